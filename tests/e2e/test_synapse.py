"""A real product: what the preset Synapse says of a homeserver is what people did there."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from licenseusage.sources.definition.presets import presets
from licenseusage.sources.poll import PollResult
from tests.e2e.conftest import Counting
from tests.e2e.products import synapse
from tests.e2e.products.fixtures import installed
from tests.e2e.products.synapse import METER, Synapse, user_id
from tests.e2e.reading import SECRET, read

pytestmark = pytest.mark.products

DAY_MS = 86_400_000
PEOPLE = ("ada", "bob", "cyd", "dan", "eve", "fay", "gus")
ACTIVE = {"ada", "bob", "eve", "gus"}
"""ada wrote and stayed, bob wrote and signed out, eve was deactivated afterwards, and gus wrote in
a browser, and on his phone before the cycle; fay wrote on her phone then, and never since."""

USERS = ("ada", "bob", "eve", "fay", "gus", "robot", "helper")


@dataclass(frozen=True, slots=True)
class House:
    """A homeserver, and gus's token in the browser."""

    server: Synapse
    guss: str

    def asked(self, **users: object) -> PollResult:
        return read(source(**users), self.server.port, {"token": self.server.token})


def source(**users: object) -> dict[str, object]:
    return {
        "preset": "Synapse",
        "auth": {"header": {"secretRef": {"name": SECRET, "key": "token"}}},
        "users": users,
    }


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    """Seven people, a bot and an account of the support: some have used it."""
    with synapse.running(installed(synapse.INSTALLATION)) as server:
        for name in PEOPLE:
            server.create(name)
        server.create("robot", user_type="bot")
        server.create("helper", user_type="support")
        server.say(server.sign_in("ada"))
        bobs = server.sign_in("bob")
        server.say(bobs)
        for name in ("robot", "helper", "eve"):
            server.say(server.sign_in(name))
        server.sign_in("dan")  # and nothing else
        for name in ("fay", "gus"):
            server.say(server.sign_in(name, "phone"))
        guss = server.sign_in("gus")
        server.say(guss)
        _await(lambda: all(server.last_seen(name) for name in (*USERS, METER)))
        # The list tells of one device of gus; the other may be written later.
        _await(lambda: all(server.has_written("gus", device) for device in ("phone", "browser")))
        server.sign_out(bobs)
        server.deactivate("eve")
        for name in ("fay", "gus"):
            server.was_seen(name, _days_ago(20), "phone")
        yield House(server, guss)


def _await(written: Callable[[], bool]) -> None:
    """Wait until Synapse has written what it has seen; it does so every five seconds."""
    deadline = time.monotonic() + 60
    while not written():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def _days_ago(days: int) -> int:
    return time.time_ns() // 1_000_000 - days * DAY_MS


def test_the_number_is_the_people_who_used_it(house: House) -> None:
    result = house.asked(excludeIds=[user_id(METER)])
    assert result.failure is None
    assert set(result.ids) == {user_id(name) for name in ACTIVE}
    assert result.counted == len(ACTIVE)
    assert result.users_listed == len(PEOPLE) + 3
    # cyd has never signed in, and of a sign-in alone (dan) Synapse knows nothing; fay came before.
    assert result.skipped == {
        "Excluded": 2,
        "ExcludedId": 1,
        "NeverActive": 2,
        "OutsideCycle": 1,
    }
    assert result.provisioned == len(PEOPLE)


def test_the_operators_own_account_counts_unless_it_is_excluded(house: House) -> None:
    assert set(house.asked().ids) == {user_id(name) for name in (*ACTIVE, METER)}


def test_its_own_number_counts_bots_and_the_operators_account_too(house: House) -> None:
    """Also fay, who came before the cycle: the number is about 30 days."""
    used_it = {"ada", "bob", "eve", "fay", "gus", "robot", METER}

    def counted() -> PollResult:
        return read({"preset": "SynapseGauge"}, house.server.port, {})

    _await(lambda: counted().counted >= len(used_it))
    result = counted()
    assert (result.failure, result.counted) == (None, len(used_it))
    assert result.ids == ()


@pytest.mark.controlplane
def test_an_activity_can_be_taken_back_so_the_number_is_a_lower_bound(
    house: House, counting: Counting
) -> None:
    server = house.server
    definition = source(excludeIds=[user_id(METER)])
    counted = counting(definition, server.port, {"token": server.token})
    before = counted.status()
    assert (before["activeUsers"], before["accuracy"]) == (len(ACTIVE), "LowerBound")

    # gus signs out where he wrote; what is left is the phone that he used before the cycle.
    server.sign_out(house.guss)
    assert user_id("gus") not in house.asked().ids

    # The operator has read it before, so he stays counted.
    counted.collect_now()
    lost = {"reason": "OutsideCycle", "count": 2}
    after = counted.await_status(lambda status: lost in status["sources"][0]["skipped"])
    assert (after["activeUsers"], after["accuracy"]) == (len(ACTIVE), "LowerBound")


@pytest.mark.parametrize("name", ["Synapse", "SynapseGauge"])
def test_the_preset_was_verified_with_the_version_that_runs_here(name: str) -> None:
    preset = presets()[name]
    assert (preset.verified, preset.version) == ("Live", synapse.VERSION)
