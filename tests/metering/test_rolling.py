"""Rolling lists without times: rows say little, appearing says much."""

from dataclasses import replace

import pytest

from licenseusage.metering.cycles import CYCLE_BIT, DAY_MS, Cycle
from licenseusage.metering.polled import Polled
from licenseusage.metering.proofs import Proofs
from licenseusage.metering.rolling import RollingPoll, RollingProperties, rolling_proofs

CYCLE = Cycle(0, 100 * DAY_MS, 102 * DAY_MS)
START, END = CYCLE.start_ms, CYCLE.end_ms
A, B = b"a", b"b"
DECLARED = RollingProperties(window_ms=1000, lag_ms=10, relisted=False)
SURE = 1 << CYCLE_BIT | 1


def poll(began: int, *users: bytes, took: int = 0, complete: bool = True) -> RollingPoll:
    return RollingPoll(Polled(began, began + took, complete), frozenset(users))


def made(one: RollingPoll, previous: RollingPoll | None = None, **declared) -> Proofs:
    return rolling_proofs(CYCLE, replace(DECLARED, **declared), one, previous)


def ranges(facts: Proofs) -> list[tuple[int, int, set]]:
    records = facts.proofs.get(CYCLE_BIT, ())
    return [(one.start_ms, one.end_ms, set(one.possible)) for one in records]


def test_a_row_proves_activity_within_the_window_before_it():
    assert made(poll(START + 999, A)).sure == {A: SURE}
    assert made(poll(START + 998, A)).sure == {}
    assert made(poll(START + 999, A), age_ms=1).sure == {}
    assert made(poll(START + 1000, A), age_ms=1).sure == {A: SURE}
    assert made(poll(START + 999, A), skew_ms=1).sure == {}
    assert made(poll(START + 1000, A), skew_ms=1).sure == {A: SURE}


def test_a_row_read_after_the_end_proves_nothing_of_the_cycle():
    assert made(poll(END - 1, A)).sure == {A: 1 << CYCLE_BIT | 2}
    assert made(poll(END, A)).sure == {}
    assert made(poll(END - 1, A, took=1)).sure == {}


def test_the_proof_range_is_what_the_window_surely_covers():
    one = poll(START + 5000, A, took=20)
    assert ranges(made(one)) == [(START + 4021, START + 4990, {A})]
    assert ranges(made(one, age_ms=5)) == [(START + 4021, START + 4985, {A})]
    assert ranges(made(one, hidden_ms=3)) == [(START + 4024, START + 4990, {A})]
    assert ranges(made(one, skew_ms=3)) == [(START + 4024, START + 4990, {A})]
    assert ranges(made(one, skew_ms=30)) == [(START + 4051, START + 4970, {A})]
    assert ranges(made(one, kept_ms=500)) == [(START + 4520, START + 4990, {A})]
    assert ranges(made(one, kept_ms=5000)) == [(START + 4021, START + 4990, {A})]
    assert made(one, kept_ms=0).proofs == {}


def test_an_incomplete_poll_names_people_only():
    found = made(poll(START + 5000, A, complete=False))
    assert found == Proofs({A: SURE})


class TestAppearing:
    """Listed now and not before: active in between."""

    BEFORE = poll(START + 10, B)

    def test_who_appeared_was_active_since_the_poll_before(self):
        assert made(poll(START + 50, A, B), self.BEFORE).sure == {A: SURE}
        assert made(poll(START + 50, A, B), poll(START + 9, B)).sure == {}
        assert made(poll(START + 50, A, B)).sure == {}

    def test_the_age_of_both_answers_counts(self):
        now = poll(START + 50, A, B)
        assert made(now, self.BEFORE, age_ms=1).sure == {}
        assert made(now, poll(START + 11, B), age_ms=1).sure == {A: SURE}
        assert made(now, poll(START + 45, B), age_ms=5).sure == {A: SURE}
        assert made(now, poll(START + 46, B), age_ms=5).sure == {}
        assert made(now, poll(START + 20, B, took=25), age_ms=5).sure == {A: SURE}
        assert made(now, poll(START + 20, B, took=26), age_ms=5).sure == {}

    def test_a_skew_beyond_the_lag_counts_instead_of_it(self):
        assert made(poll(START + 50, A, B), self.BEFORE, skew_ms=11).sure == {}
        assert made(poll(START + 50, A, B), poll(START + 11, B), skew_ms=11).sure == {A: SURE}

    def test_an_incomplete_poll_before_proves_no_absence(self):
        assert made(poll(START + 50, A, B), poll(START + 10, B, complete=False)).sure == {}

    def test_people_who_come_back_without_activity_prove_nothing(self):
        now = poll(START + 50, A, B)
        assert made(now, self.BEFORE, relisted=True).sure == {}
        assert made(now, self.BEFORE, kept_ms=10**9).sure == {}

    def test_the_window_may_prove_more_than_the_appearance(self):
        now, before = poll(START + 5000, A), poll(START + 100)
        assert made(now, before).sure == {A: SURE}
        late = poll(START + DAY_MS + 20, A)
        assert made(late, poll(START + 200, B)).sure == {A: 1 << CYCLE_BIT}
        assert made(late, poll(START + DAY_MS + 10, B)).sure == {A: 1 << CYCLE_BIT | 2}


@pytest.mark.parametrize(
    "wrong",
    [
        {"window_ms": 0},
        {"age_ms": -1},
        {"skew_ms": -1},
        {"lag_ms": -1},
        {"hidden_ms": -1},
        {"kept_ms": -1},
    ],
)
def test_spans_that_no_rule_covers_are_refused(wrong):
    with pytest.raises(ValueError, match="must be at least 1 ms"):
        RollingProperties(**({"window_ms": 1} | wrong))
    assert RollingProperties(window_ms=1, lag_ms=0, kept_ms=0).relisted


def test_unless_declared_a_list_is_fresh_late_by_a_minute_and_loses_people():
    usual = RollingProperties(window_ms=1)
    assert (usual.age_ms, usual.skew_ms, usual.hidden_ms, usual.kept_ms) == (0, 0, 0, None)
    assert (usual.lag_ms, usual.relisted) == (60_000, True)
