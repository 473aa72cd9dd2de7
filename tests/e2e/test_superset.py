"""A real product: what the preset Superset says of a server is who signed in there."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from licenseusage.sources.definition.presets import presets
from licenseusage.sources.poll import PollResult
from tests.e2e.products import superset
from tests.e2e.products.fixtures import installed
from tests.e2e.products.superset import ADMIN, Superset
from tests.e2e.reading import SECRET, read

pytestmark = pytest.mark.products

METER = "license-meter"
PEOPLE = ("ada", "bob", "cyd", "dan", "eve")
ACTIVE = {"ada", "bob", "eve"}
"""ada signed in by the form, bob at the API, eve was deactivated afterwards; dan signed in ten days
before the cycle, and works on in that session; cyd has never been there."""


@dataclass(frozen=True, slots=True)
class Office:
    """A server, a token of its administrator, and dan's."""

    server: Superset
    token: str
    dans: str

    def asked(self, password: str = f"{METER}-secret", **users: object) -> PollResult:
        source = {
            "preset": "Superset",
            "auth": {"login": {"secretRef": {"name": SECRET}}},
            "users": users,
        }
        return read(source, self.server.port, {"username": METER, "password": password})

    def ids(self, *names: str) -> set[str]:
        return {str(self.server.ids[name]) for name in names}


@pytest.fixture(scope="module")
def office() -> Iterator[Office]:
    """Five people, an administrator, and the operator's account, which may list users only."""
    with superset.running(installed(superset.INSTALLATION)) as server:
        token = server.log_in(ADMIN)
        server.create_role(token, METER, ["can_get on User"])
        server.create(token, METER, METER)
        for name in PEOPLE:
            server.create(token, name, "Alpha")
        server.sign_in("ada")
        server.log_in("bob")
        dans = server.log_in("dan")
        server.log_in("eve")
        server.deactivate(token, "eve")
        long_ago = datetime.now(UTC) - timedelta(days=20)
        server.signed_in("dan", long_ago.strftime("%Y-%m-%d %H:%M:%S.%f"))
        yield Office(server, token, dans)


def test_the_number_is_who_signed_in(office: Office) -> None:
    result = office.asked(excludeIds=[*office.ids(METER)])
    assert (result.failure, result.complete) == (None, True)
    assert set(result.ids) == office.ids(*ACTIVE, ADMIN)
    assert result.counted == len(ACTIVE) + 1
    assert result.users_listed == len(PEOPLE) + 2
    assert result.skipped == {"ExcludedId": 1, "NeverActive": 1, "OutsideCycle": 1}


def test_the_operators_own_account_counts_unless_it_is_excluded(office: Office) -> None:
    assert office.ids(METER) <= set(office.asked().ids)


def test_work_in_a_session_of_before_the_cycle_does_not_count(office: Office) -> None:
    office.server.call("POST", "/dashboard/", office.dans, dashboard_title="Sales")
    assert office.ids("dan").isdisjoint(office.asked().ids)


def test_a_wrong_password_counts_nobody_and_says_so(office: Office) -> None:
    result = office.asked("wrong")
    assert result.failure is not None
    assert (result.failure.reason, result.ids, result.counted) == ("SignInRefused", (), 0)


def test_the_preset_was_verified_with_the_version_that_runs_here() -> None:
    preset = presets()["Superset"]
    assert preset.verified == "Live"
    assert preset.version.split()[0] == superset.VERSION
