"""What one poll adds to a store, besides its users."""

from dataclasses import replace

import pytest

from licenseusage.metering.accrual import PollOfStore, accrued, adds
from licenseusage.metering.cycles import CYCLE_BIT, DAY_MS, Cycle
from licenseusage.metering.definitions import Definition
from licenseusage.metering.facts import Facts
from licenseusage.metering.stores import StoreState

START = 20_000 * DAY_MS
CYCLE = Cycle(0, START, START + 4 * DAY_MS)
END = CYCLE.end_ms
WHOLE = 1 << CYCLE_BIT
HOUR_MS = 3_600_000
NOON = START + 36 * HOUR_MS  # of the second day
SOMEBODY = Facts(sure={b"u" * 16: 1})
POLL = PollOfStore(NOON, NOON + 1000, 500, HOUR_MS, succeeded=True, ids_stable=True)
FAILED = replace(POLL, succeeded=False)


def after(poll=POLL, state=None, found=SOMEBODY, refuted=0):
    return accrued(state or StoreState(), CYCLE, poll, found, refuted)


class TestTelling:
    """Whether a poll says anything of a cycle."""

    def test_a_success_tells_even_that_nobody_was_active(self):
        assert POLL.tells(Facts())

    def test_a_failed_poll_tells_whom_it_proved_active(self):
        assert FAILED.tells(SOMEBODY)
        assert FAILED.tells(Facts(low={0: 3}))
        assert not FAILED.tells(Facts())
        assert not FAILED.tells(Facts(maybe={b"u" * 16: 1}))

    def test_until_when_the_store_was_seen_and_read(self):
        read_ms = POLL.ended_ms + 500
        both, seen = after(), after(FAILED)
        assert (both.seen_until_ms, both.read_until_ms) == (read_ms, read_ms)
        assert (seen.seen_until_ms, seen.read_until_ms) == (read_ms, None)
        assert after(FAILED, found=Facts()) == StoreState()

    def test_an_older_poll_takes_nothing_back(self):
        known = StoreState(seen_until_ms=END, read_until_ms=END)
        assert after(state=known).seen_until_ms == END
        assert after(state=known).read_until_ms == END


class TestWords:
    """Windows known so far are kept, those found are added."""

    def test_they_are_united(self):
        known = StoreState(closed=1, ended=2, refuted=4, followed=8)
        found = Facts(closed=WHOLE, ended=WHOLE | 1)
        now = after(state=known, found=found, refuted=2)
        assert (now.closed, now.ended, now.refuted) == (WHOLE | 1, WHOLE | 3, 6)
        assert now.followed & 8

    def test_days_that_a_success_followed_in_time(self):
        early = replace(POLL, started_ms=START + DAY_MS, ended_ms=START + DAY_MS + 1000)
        assert after(early).followed == 0b01
        assert after().followed == 0  # twelve hours later, of an interval of one
        assert after(replace(POLL, interval_ms=7 * HOUR_MS)).followed == 0b01
        assert after(replace(early, succeeded=False)).followed == 0

    def test_days_of_a_log_are_known_by_what_was_read(self):
        early = replace(POLL, started_ms=START + DAY_MS, ended_ms=START + DAY_MS + 1000)
        assert after(replace(early, by_log=True)).followed == 0

    def test_unstable_once_is_unstable_for_the_cycle(self):
        unstable = replace(POLL, ids_stable=False)
        assert after().ids_stable
        assert not after(unstable).ids_stable
        assert not after(state=after(unstable)).ids_stable

    def test_numbers_of_single_polls_are_the_best_so_far(self):
        known = StoreState(low={0: 5, 1: 1}, full={0: 9, 1: 3})
        now = after(state=known, found=Facts(low={0: 4, 1: 2, 2: 7}, full={0: 8, 1: 4, 2: 7}))
        assert now.low == {0: 5, 1: 2, 2: 7}
        assert now.full == {0: 8, 1: 3, 2: 7}


class TestDefinitions:
    """By which definition of who counts, and since when."""

    ONE = StoreState(definition=Definition("one"))
    TWO = replace(POLL, selection="two", planned_ms=NOON)

    def test_the_first_one_that_tells_something(self):
        now = after(replace(POLL, selection="one"))
        assert (now.definition, now.redefinitions) == (Definition("one"), 0)
        silent = after(replace(FAILED, selection="one"), found=Facts())
        assert silent.definition == Definition()

    def test_another_one_begins_a_segment(self):
        now = after(self.TWO, self.ONE)
        assert (now.definition, now.redefinitions) == (Definition("two", NOON), 1)
        again = after(replace(self.TWO, started_ms=NOON + HOUR_MS), now)
        assert (again.definition, again.redefinitions) == (Definition("two", NOON), 1)

    def test_not_by_a_poll_that_tells_nothing(self):
        now = after(replace(self.TWO, succeeded=False), self.ONE, Facts())
        assert (now.definition, now.redefinitions) == (Definition("one"), 0)

    def test_a_poll_that_does_not_tell_its_own_changes_none(self):
        now = after(state=self.ONE)
        assert (now.definition, now.redefinitions) == (Definition("one"), 0)

    def test_facts_about_the_time_before_are_dropped(self):
        found = Facts(sure=SOMEBODY.sure, closed=1, ended=3)
        whole = replace(self.TWO, planned_ms=None)
        assert whole.usable(self.ONE, CYCLE, found) == Facts(ended=3)
        assert self.TWO.usable(self.ONE, CYCLE, found) == found
        assert POLL.usable(StoreState(), CYCLE, found) == found


class TestUnproved:
    """Why no poll after the cycle's end proves anything."""

    LATE = replace(POLL, started_ms=END + 500, incomplete="ListCut")

    def test_as_the_newest_success_after_the_end_says(self):
        cut = after(self.LATE)
        assert cut.unproved == "ListCut"
        assert after(replace(self.LATE, incomplete=None), cut).unproved is None

    @pytest.mark.parametrize(
        "change", [{"started_ms": END + 499}, {"started_ms": NOON}, {"succeeded": False}]
    )
    def test_other_polls_say_nothing_of_it(self, change):
        assert after(replace(self.LATE, **change)).unproved is None
        assert after(replace(self.LATE, **change), after(self.LATE)).unproved == "ListCut"


def test_evidence_is_a_window_or_a_number_that_was_not_known():
    known = StoreState(closed=1, ended=1, low={0: 1}, full={0: 2})
    assert not adds(known, replace(known, followed=1, seen_until_ms=1, unproved="ListCut"))
    for more in ({"closed": 3}, {"ended": 3}, {"refuted": 1}, {"low": {0: 2}}, {"full": {0: 1}}):
        assert adds(known, replace(known, **more))
