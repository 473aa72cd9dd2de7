"""A real product: what the preset Gitea says of a server is who signed in there."""

import time
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest

from licenseusage.sources.definition.presets import presets
from licenseusage.sources.poll import PollResult
from tests.e2e.products import gitea
from tests.e2e.products.fixtures import installed
from tests.e2e.products.gitea import ADMIN, Gitea
from tests.e2e.reading import SECRET, read

pytestmark = pytest.mark.products

MANY = [f"user-{number:03d}" for number in range(48)]  # more than one page
PEOPLE = ["ada", "bob", "cyd", "dan", "eve", *MANY, "zoe"]
ACTIVE = ["ada", "dan", "zoe"]
"""On the first and the last page; dan may not sign in any more. bob uses git and the API only, cyd
signed in ten days before the cycle and is remembered, eve has been deleted."""


@dataclass(frozen=True, slots=True)
class Forge:
    """A server, and the browser that remembers cyd."""

    server: Gitea
    cyds: httpx.Client

    def asked(self, *, closing: bool = False, **users: object) -> PollResult:
        source = {
            "preset": "Gitea",
            "auth": {"header": {"secretRef": {"name": SECRET, "key": "token"}}},
            "users": users,
        }
        return read(source, self.server.port, {"token": self.server.token}, closing=closing)

    def ids(self, *names: str) -> set[str]:
        return {str(self.server.ids[name]) for name in names}


@pytest.fixture(scope="module")
def forge() -> Iterator[Forge]:
    """Sixty people, a bot, an organisation, and the administrator whose token is used."""
    with gitea.running(installed(gitea.INSTALLATION)) as server:
        for name in PEOPLE:
            server.create(name)
        server.call("POST", "/orgs", ADMIN, username="acme")
        server.create_repository(server.sign_in("ada"), "ada", "kitchen")
        server.call("POST", "/user/repos", "bob", name="kitchen")
        cyds = server.sign_in("cyd")
        server.signed_in("cyd", int(time.time()) - 20 * 86_400)
        for name in ("dan", "eve", "zoe"):
            server.sign_in(name)
        server.prohibit("dan")
        server.call("DELETE", "/admin/users/eve", ADMIN)
        yield Forge(server, cyds)


def test_the_number_is_who_signed_in(forge: Forge) -> None:
    result = forge.asked(excludeIds=[*forge.ids(ADMIN)], closing=True)
    assert (result.failure, result.complete) == (None, True)
    assert set(result.ids) == forge.ids(*ACTIVE)
    assert result.counted == len(ACTIVE)
    # Who is deleted is gone; the bot and the organisation were never listed.
    assert result.users_listed == len(PEOPLE) - 1 + 1
    never = len(MANY) + 1  # and bob
    assert result.skipped == {"ExcludedId": 1, "NeverActive": never, "OutsideCycle": 1}


def test_reading_by_a_token_makes_the_administrator_not_active(forge: Forge) -> None:
    assert forge.ids(ADMIN).isdisjoint(forge.asked().ids)
    forge.server.sign_in(ADMIN)
    assert forge.ids(ADMIN) <= set(forge.asked().ids)


def test_who_comes_back_remembered_does_not_count_until_the_next_sign_in(forge: Forge) -> None:
    later = forge.server.come_back(forge.cyds)
    forge.server.create_repository(later, "cyd", "kitchen")
    assert forge.ids("cyd").isdisjoint(forge.asked().ids)
    forge.server.sign_in("cyd")
    assert forge.ids("cyd") <= set(forge.asked().ids)


def test_the_preset_was_verified_with_the_version_that_runs_here() -> None:
    preset = presets()["Gitea"]
    assert (preset.verified, preset.version) == ("Live", gitea.VERSION)
