"""A real product: what the preset Unleash says of a server is who signed in there."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from licenseusage.sources.definition.presets import presets
from licenseusage.sources.poll import PollResult
from tests.e2e.products import unleash
from tests.e2e.products.fixtures import installed
from tests.e2e.products.unleash import ADMIN, Unleash
from tests.e2e.reading import SECRET, read

pytestmark = pytest.mark.products

PEOPLE = ("ada", "bob", "cyd", "dan", "eve")
ACTIVE = {"ada", "bob"}
"""ada made a flag, bob only signed in; dan did so ten days before the cycle, eve has been deleted,
and cyd has never been there."""


@dataclass(frozen=True, slots=True)
class Team:
    """A server, a token of its administrator, and one of somebody who left it to a program."""

    server: Unleash
    token: str
    dans: str

    def asked(self, **users: object) -> PollResult:
        source = {
            "preset": "Unleash",
            "auth": {"header": {"secretRef": {"name": SECRET, "key": "token"}}},
            "users": users,
        }
        return read(source, self.server.port, {"token": self.token})

    def ids(self, *names: str) -> set[str]:
        return {str(self.server.ids[name]) for name in names}


@pytest.fixture(scope="module")
def team() -> Iterator[Team]:
    """Five people, a service account, and the administrator who made the operator's token."""
    with unleash.running(installed(unleash.INSTALLATION)) as server:
        token = server.token(server.sign_in(ADMIN))
        for name in PEOPLE:
            server.create(token, name)
        server.create_flag(server.sign_in("ada"), "dark-mode")
        server.sign_in("bob")
        dans = server.token(server.sign_in("dan"))
        server.sign_in("eve")
        server.execute(
            "UPDATE users SET seen_at = now() - interval '20 days' "
            f"WHERE id = {server.ids['dan']};"
            "INSERT INTO users (name, username, is_service, seen_at) "
            "VALUES ('deploy', 'deploy', true, now())"
        )
        yield Team(server, token, dans)


def test_the_number_is_who_signed_in(team: Team) -> None:
    before = team.asked(excludeIds=[*team.ids(ADMIN)])
    assert set(before.ids) == team.ids(*ACTIVE, "eve")
    team.server.delete(team.token, "eve")

    result = team.asked(excludeIds=[*team.ids(ADMIN)])
    assert (result.failure, result.complete) == (None, True)
    assert set(result.ids) == team.ids(*ACTIVE)
    assert result.counted == len(ACTIVE)
    # Who is deleted is gone from the list; the service account was never in it.
    assert result.users_listed == len(PEOPLE) - 1 + 1
    assert result.skipped == {"ExcludedId": 1, "NeverActive": 1, "OutsideCycle": 1}


def test_the_administrator_of_the_token_counts_unless_excluded(team: Team) -> None:
    assert team.ids(ADMIN) <= set(team.asked().ids)


def test_a_program_with_a_persons_token_makes_nobody_active(team: Team) -> None:
    assert team.server.call("GET", "/projects", team.dans)["projects"]
    assert team.ids("dan").isdisjoint(team.asked().ids)


def test_the_preset_was_verified_with_the_version_that_runs_here() -> None:
    preset = presets()["Unleash"]
    assert (preset.verified, preset.version) == ("Live", unleash.VERSION)
