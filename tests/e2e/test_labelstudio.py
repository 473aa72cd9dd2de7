"""A real product: what the preset LabelStudio says of a server is who changed something there."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from licenseusage.sources.definition.presets import presets
from licenseusage.sources.poll import PollResult
from tests.e2e.products import labelstudio
from tests.e2e.products.fixtures import installed
from tests.e2e.products.labelstudio import LabelStudio
from tests.e2e.reading import SECRET, read

pytestmark = pytest.mark.products

METER = "license-meter"
PEOPLE = ("ada", "bob", "cyd", "dan", "eve")
ACTIVE = {"ada", "eve"}
"""ada made a project, and so did eve, who has left the organisation; bob signed in and looked; cyd
only has an account; dan made a project ten days before the cycle."""


@dataclass(frozen=True, slots=True)
class Studio:
    """A server, the personal access token of the operator's account, and bob's browser."""

    server: LabelStudio
    token: str
    bobs: httpx.Client

    def asked(self, token: str = "", **users: object) -> PollResult:
        source = {
            "preset": "LabelStudio",
            "auth": {"login": {"secretRef": {"name": SECRET}}},
            "users": users,
        }
        return read(source, self.server.port, {"token": token or self.token})

    def ids(self, *names: str) -> set[str]:
        return {str(self.server.ids[name]) for name in names}


@pytest.fixture(scope="module")
def studio() -> Iterator[Studio]:
    """Five people, and the operator's account, which has made itself a token."""
    with labelstudio.running(installed(labelstudio.INSTALLATION)) as server:
        admin = server.sign_up(METER)
        token = server.change(admin, "POST", "/api/token/")["token"]
        new = {name: server.sign_up(name) for name in PEOPLE}
        for name, browser in {**new, "ada": server.sign_in("ada")}.items():
            if name in ("ada", "dan", "eve"):
                server.change(browser, "POST", "/api/projects/", title=f"{name}'s cats")
        bobs = server.sign_in("bob")
        server.get(bobs, "/api/projects/")
        left = f"/api/organizations/1/memberships/{server.ids['eve']}/"
        server.change(admin, "DELETE", left)
        months_ago = datetime.now(UTC) - timedelta(days=60)
        server.execute(
            "UPDATE htx_user SET date_joined = ?, last_activity = ? WHERE id = ?",
            f"{months_ago:%Y-%m-%d %H:%M:%S.%f}",
            f"{months_ago + timedelta(days=40):%Y-%m-%d %H:%M:%S.%f}",
            server.ids["dan"],
        )
        # It takes an activity within a second of the sign-up for the sign-up itself.
        for name in ("ada", "eve", METER):
            server.execute(
                "UPDATE htx_user SET date_joined = datetime(date_joined, '-5 minutes') "
                "WHERE id = ?",
                server.ids[name],
            )
        yield Studio(server, token, bobs)


def test_the_number_is_who_changed_something(studio: Studio) -> None:
    result = studio.asked(excludeIds=[*studio.ids(METER)])
    assert (result.failure, result.complete) == (None, True)
    assert set(result.ids) == studio.ids(*ACTIVE)
    assert result.counted == len(ACTIVE)
    assert result.users_listed == len(PEOPLE) + 1
    # To sign up is no activity, and to sign in and look is none either.
    assert result.skipped == {"ExcludedId": 1, "OnlyCreated": 2, "OutsideCycle": 1}


def test_reading_with_the_token_makes_nobody_active(studio: Studio) -> None:
    before = set(studio.asked().ids)
    assert studio.ids(METER) <= before  # it has changed something: it made its token
    assert set(studio.asked().ids) == before


def test_who_looked_counts_from_the_first_change(studio: Studio) -> None:
    server = studio.server
    server.execute(
        "UPDATE htx_user SET date_joined = datetime(date_joined, '-5 minutes'), "
        "last_activity = datetime(last_activity, '-5 minutes') WHERE id = ?",
        server.ids["bob"],
    )
    assert studio.ids("bob").isdisjoint(studio.asked().ids)
    server.change(studio.bobs, "POST", "/api/projects/", title="bob's dogs")
    assert studio.ids("bob") <= set(studio.asked().ids)


def test_a_wrong_token_counts_nobody_and_says_so(studio: Studio) -> None:
    result = studio.asked("wrong")
    assert result.failure is not None
    assert (result.failure.reason, result.ids, result.counted) == ("SignInRefused", (), 0)


def test_the_preset_was_verified_with_the_version_that_runs_here() -> None:
    preset = presets()["LabelStudio"]
    assert (preset.verified, preset.version) == ("Live", labelstudio.VERSION)
