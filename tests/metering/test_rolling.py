"""Lists without times: what rows prove, what appearing proves, and what a cycle is made up of."""

from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest

from licenseusage.metering.bounds import Accuracy
from licenseusage.metering.combine import Store, evaluate
from licenseusage.metering.countwindows import (
    CalendarMonthToDate,
    FromTo,
    Rolling,
    RollingCalendarMonth,
)
from licenseusage.metering.cycles import CYCLE_BIT, CYCLE_MASK, DAY_MS, Cycle, Segment
from licenseusage.metering.facts import Facts, merge, without_days
from licenseusage.metering.polled import Polled
from licenseusage.metering.properties import Guarantee, Properties, Removal
from licenseusage.metering.rolling import (
    ListBefore,
    appeared_word,
    believes,
    must_list_again,
    must_stay,
    plausible,
    possible_in_cycle,
    rolling_facts,
    rows_fit,
)
from licenseusage.metering.roster import Listed, Run
from tests.metering.untimed import Lists

HOUR_MS = 3_600_000
CYCLE = Cycle(0, 100 * DAY_MS, 110 * DAY_MS)
START, END = CYCLE.start_ms, CYCLE.end_ms
A, B, C = (name * 16 for name in (b"a", b"b", b"c"))
SHORT = Properties(window=Rolling(3 * DAY_MS), lag_ms=10, removal=Removal.NEVER, ids_stable=True)
LONG = replace(SHORT, window=Rolling(10 * DAY_MS))
IN_CYCLE = CYCLE_MASK


def polled(began: int, *, took: int = 0, complete: bool = True) -> Polled:
    return Polled(began, began + took, complete)


def everybody(*users: bytes) -> Listed:
    return Listed(users, (), ())


def made(one: Polled, *users: bytes, of: Properties = SHORT, cycle=CYCLE, **declared) -> Facts:
    return rolling_facts(cycle, replace(of, **declared), one, everybody(*users))


class TestRows:
    """Where the window fits into the cycle, a row says: active in the window before the reading."""

    def test_the_whole_window_must_lie_in_the_cycle(self):
        first = START + 3 * DAY_MS - 1
        assert dict(made(polled(first), A).sure) == {A: IN_CYCLE}
        assert dict(made(polled(first - 1), A).sure) == {}

    @pytest.mark.parametrize("declared", [{"age_ms": 1}, {"skew_ms": 1}])
    def test_it_is_as_much_earlier_as_the_answer_may_be_old_or_the_stamps_wrong(self, declared):
        first = START + 3 * DAY_MS
        assert dict(made(polled(first), A, **declared).sure) == {A: IN_CYCLE}
        assert dict(made(polled(first - 1), A, **declared).sure) == {}

    def test_a_row_read_after_the_end_proves_nothing_of_the_cycle(self):
        assert dict(made(polled(END - 1), A).sure) == {A: IN_CYCLE}
        assert dict(made(polled(END), A).sure) == {}
        assert dict(made(polled(END - 1, took=1), A).sure) == {}

    def test_rows_of_an_incomplete_poll_count_and_rule_nobody_out(self):
        found = made(polled(END - 1, complete=False), A)
        assert (dict(found.sure), dict(found.maybe), found.closed) == ({A: IN_CYCLE}, {}, 0)
        assert found.ended == 0

    def test_a_window_of_hours_proves_days(self):
        found = made(polled(START + DAY_MS + HOUR_MS - 1), A, window=Rolling(HOUR_MS))
        assert dict(found.sure) == {A: IN_CYCLE | 2}

    def test_a_month_to_date_proves_what_lies_after_its_first_day(self):
        month = replace(SHORT, window=CalendarMonthToDate())
        april = Cycle(0, 90 * DAY_MS, 120 * DAY_MS)  # 1 to 30 April 1970
        found = made(polled(april.start_ms + DAY_MS), A, of=month, cycle=april)
        assert dict(found.sure) == {A: IN_CYCLE}
        berlin = replace(month, window=CalendarMonthToDate(ZoneInfo("Europe/Berlin")))
        assert not made(polled(april.start_ms + DAY_MS), A, of=berlin, cycle=april).sure
        assert not rows_fit(april, berlin)

    def test_a_question_for_the_cycle_proves_the_cycle(self):
        asked = replace(SHORT, window=FromTo(START, END))
        found = made(polled(START + 5), A, of=asked)
        assert dict(found.sure) == {A: IN_CYCLE | 1}
        late = made(polled(END + 10), A, of=asked)
        assert possible_in_cycle(late.closed, CYCLE.days)

    def test_where_the_window_is_as_long_as_the_cycle_rows_prove_nothing(self):
        assert rows_fit(CYCLE, SHORT)
        last = replace(SHORT, window=Rolling(9 * DAY_MS + 1))
        assert rows_fit(CYCLE, last)
        assert not rows_fit(CYCLE, replace(SHORT, window=Rolling(9 * DAY_MS + 2)))
        assert not rows_fit(CYCLE, replace(last, age_ms=1))
        assert not rows_fit(CYCLE, replace(last, skew_ms=1))
        assert made(polled(END - 1), A, of=last).sure
        assert not made(polled(END - 1), A, of=LONG).sure

    def test_of_a_segment_the_window_must_lie_in_the_segment(self):
        segment = Segment(CYCLE, START + DAY_MS, END)
        assert not made(polled(START + 4 * DAY_MS - 2), A, cycle=segment).sure
        assert made(polled(START + 4 * DAY_MS - 1), A, cycle=segment).sure


class TestDays:
    """A complete list rules out, for the days it looks at as a whole, whoever is not on it."""

    def days(self, one: Polled, **declared) -> list[int]:
        found = made(one, A, **declared)
        listed = found.maybe.get(A, 0) | found.sure.get(A, 0) & ~IN_CYCLE
        assert listed & found.closed == found.closed
        return [day for day in range(CYCLE.days) if found.closed >> day & 1]

    def test_from_the_first_instant_that_the_window_surely_covers(self):
        assert self.days(polled(START + 5 * DAY_MS)) == [3]  # day 2 began before it
        assert self.days(polled(START + 5 * DAY_MS - 1)) == [2, 3]

    def test_the_lag_ends_it(self):
        at = START + 5 * DAY_MS + 10
        assert self.days(polled(at)) == [3, 4]
        assert self.days(polled(at - 1)) == [3]
        assert self.days(polled(at), age_ms=1) == [3]
        assert self.days(polled(at), skew_ms=11) == [3]
        assert self.days(polled(at), skew_ms=10) == [3, 4]

    def test_hidden_activity_and_a_slow_poll_begin_it_later(self):
        at = START + 5 * DAY_MS - 1
        assert self.days(polled(at)) == [2, 3]
        assert self.days(polled(at, took=1)) == [3]
        assert self.days(polled(at), hidden_ms=1) == [3]
        assert self.days(polled(at), skew_ms=1) == [3]

    def test_a_window_of_a_day_covers_no_day(self):
        for at in range(0, DAY_MS, HOUR_MS):
            assert self.days(polled(START + 5 * DAY_MS + at), window=Rolling(DAY_MS)) == []

    @pytest.mark.parametrize("removal", [Removal.UNKNOWN, Removal.LISTED_ONCE])
    def test_a_list_that_may_lose_people_rules_nobody_out(self, removal):
        found = made(polled(END + 10), A, removal=removal)
        assert (found.closed, dict(found.maybe)) == (0, {})
        assert found.ended & CYCLE_MASK

    def test_a_cycle_is_ended_by_the_first_list_that_must_show_all_of_it(self):
        assert made(polled(END + 10), A).ended & CYCLE_MASK
        assert not made(polled(END + 9), A).ended & CYCLE_MASK
        assert not made(polled(END + 10), A, age_ms=1).ended & CYCLE_MASK

    def test_no_list_covers_the_cycle_but_by_its_days(self):
        """So that somebody who is ruled out of every day is ruled out of the cycle."""
        found = made(polled(END + 10), A, window=Rolling(20 * DAY_MS))
        assert (found.closed, found.maybe[A]) == ((1 << 10) - 1, (1 << 10) - 1)

    def test_all_days_together_are_the_cycle(self):
        assert possible_in_cycle((1 << 10) - 1, 10)
        assert not possible_in_cycle((1 << 9) - 1, 10)
        assert not possible_in_cycle(CYCLE_MASK, 10)


class TestAppearing:
    """Where rows prove nothing: listed now, and on no complete list before."""

    BEFORE = ListBefore(START + 100, START + 110)
    OF = replace(LONG, window=Rolling(30 * DAY_MS))

    def word(self, at: int, before=BEFORE, cycle=CYCLE, **declared) -> int:
        return appeared_word(cycle, replace(self.OF, **declared), polled(at), before)

    def test_somebody_was_active_since_the_list_before(self):
        assert self.word(START + 200) == IN_CYCLE | 1
        assert self.word(START + 200, ListBefore(START + 10, START + 10)) == IN_CYCLE | 1
        assert self.word(START + 200, ListBefore(START + 9, START + 10)) == 0

    def test_of_the_day_only_if_both_lists_are_of_the_day(self):
        assert self.word(START + DAY_MS) == IN_CYCLE
        assert self.word(START + DAY_MS - 1) == IN_CYCLE | 1
        assert self.word(END) == 0

    def test_the_age_of_both_answers_counts(self):
        assert self.word(START + 200, age_ms=90) == IN_CYCLE | 1
        assert self.word(START + 200, age_ms=91) == 0

    def test_a_skew_beyond_the_lag_counts_instead_of_it(self):
        assert self.word(START + 200, skew_ms=100) == IN_CYCLE | 1
        assert self.word(START + 200, skew_ms=101) == 0

    @pytest.mark.parametrize("removal", [Removal.UNKNOWN, Removal.LISTED_ONCE])
    def test_it_is_nothing_where_people_may_come_back_without_activity(self, removal):
        assert self.word(START + 200, removal=removal) == 0

    def test_it_is_nothing_where_ids_may_be_renamed(self):
        assert self.word(START + 200, ids_stable=False) == 0

    def test_it_is_not_asked_for_where_rows_say_it(self):
        assert self.word(START + 200, window=Rolling(3 * DAY_MS)) == 0

    def test_it_is_nothing_where_the_window_may_move_backwards(self):
        """On 29 March the window begins where it began on the 28th, or earlier."""
        march = Cycle(0, 59 * DAY_MS, 90 * DAY_MS)
        months = {"window": RollingCalendarMonth()}
        for day, proved in ((10, True), (28, False), (29, False)):
            at = march.start_ms + day * DAY_MS + 5 * HOUR_MS
            before = ListBefore(at - 1000, at - 900)
            assert bool(self.word(at, before, march, **months)) is proved, day

    def test_an_old_answer_is_held_against_a_list_that_is_older_than_it(self):
        """Runs say that there is a list in every hour, between the ends of one."""
        at = START + 10 * HOUR_MS
        newest = ListBefore(at - 100, at - 90, (Run(START, at - 100),))
        assert self.word(at, newest, age_ms=HOUR_MS) == IN_CYCLE | 1
        alone = ListBefore(at - 100, at - 90, (Run(at - 90, at - 100),))
        assert self.word(at, alone, age_ms=HOUR_MS) == 0
        # Two hours before the computation, an hour of age of that list, and the lag.
        early = START + 3 * HOUR_MS
        runs = (Run(START - HOUR_MS, early - 100),)
        for later, proved in ((9, False), (10, True)):
            newest = ListBefore(early - 100, early - 90, runs)
            assert bool(self.word(early + later, newest, age_ms=HOUR_MS)) is proved

    def test_the_end_of_a_list_of_an_older_ledger_is_not_known(self):
        at = START + 10 * HOUR_MS
        before = ListBefore(at - 100, None, (Run(START, at - 100),))
        assert self.word(at, before) == IN_CYCLE | 1
        assert self.word(at, ListBefore(at - 100, None)) == 0

    def test_many_at_once_are_not_people_who_became_active(self):
        assert plausible(3, 0)
        assert not plausible(4, 39)
        assert plausible(4, 40)


class TestHeard:
    """The list against itself."""

    def test_rows_count_once_the_list_was_seen_to_forget(self):
        assert believes(CYCLE, SHORT, forgets=True)
        assert not believes(CYCLE, SHORT, forgets=False)
        assert believes(CYCLE, replace(SHORT, removal=Removal.UNKNOWN), forgets=True)

    def test_who_appeared_counts_as_long_as_nobody_comes_back_without_activity(self):
        longer = replace(SHORT, window=Rolling(30 * DAY_MS))
        assert believes(CYCLE, longer, forgets=False)
        assert not believes(CYCLE, replace(longer, removal=Removal.UNKNOWN), forgets=True)

    def test_nobody_counts_of_a_list_that_contradicted_itself(self):
        refuted = frozenset([Guarantee.REMOVAL_NEVER])
        assert not believes(CYCLE, replace(SHORT, refuted=refuted), forgets=True)

    def test_within_a_month_nobody_leaves_its_list(self):
        month = replace(SHORT, window=CalendarMonthToDate())
        april = 90 * DAY_MS
        before = ListBefore(april + 1000, april + 1000)
        assert must_list_again(month, before, polled(april + 1011))
        assert not must_list_again(month, before, polled(april + 1010))
        earlier = ListBefore(april - 1, april - 1)
        assert not must_list_again(month, earlier, polled(april + 1011))
        assert not must_list_again(month, ListBefore(april + 1000, None), polled(april + 1011))
        assert not must_list_again(
            replace(month, removal=Removal.UNKNOWN), before, polled(april + 1011)
        )

    def test_everybody_may_leave_a_window_that_moves_on(self):
        assert not must_list_again(SHORT, ListBefore(START, START), polled(START + DAY_MS))

    def test_but_who_is_proved_active_stays_as_long_as_the_window_is_the_cycles(self):
        before = ListBefore(START + 100, START + 110)
        assert must_stay(CYCLE, LONG, before, polled(START + 121))
        assert not must_stay(CYCLE, LONG, before, polled(START + 120))
        assert must_stay(CYCLE, LONG, before, polled(END - 1))
        assert not must_stay(CYCLE, LONG, before, polled(END))
        assert not must_stay(CYCLE, SHORT, before, polled(END - 1))
        unknown = replace(LONG, removal=Removal.UNKNOWN)
        assert not must_stay(CYCLE, unknown, before, polled(START + 121))


class TestACycle:
    """Polls every six hours, from three days before the cycle to three days after it."""

    TIMES = range(START - 3 * DAY_MS, END + 3 * DAY_MS, DAY_MS // 4)

    def bounds(self, stamps, *, of=SHORT, forgets=None, times=TIMES, window=CYCLE_BIT):
        lists, facts = Lists(CYCLE, of), Facts()
        for at in times:
            first = of.window.span(at, at).first_earliest_ms
            users = {user for user, when in stamps.items() if any(first <= t <= at for t in when)}
            facts = merge(facts, lists.read(polled(at), users))
        forgets = lists.forgets if forgets is None else forgets
        return evaluate([Store("", facts, of, CYCLE, forgets)], window=window)

    def test_people_who_come_and_go_are_counted_exactly(self):
        """b is active right before and right after the cycle, and a in it."""
        stamps = {A: [START + DAY_MS, START + 8 * DAY_MS]}
        stamps[B] = [START - 7 * HOUR_MS, END + 7 * HOUR_MS]
        found = self.bounds(stamps)
        assert (found.lower, found.upper, found.accuracy) == (1, 1, Accuracy.EXACT)

    def test_a_list_that_never_forgets_proves_nobody_active(self):
        """A list of all accounts: a came last year."""
        found = self.bounds({A: list(self.TIMES)})
        assert (found.lower, found.upper) == (0, 1)

    def test_a_window_as_long_as_the_cycle_counts_who_is_new(self):
        """a is listed all the time; b comes on the fifth day; c was active before the cycle."""
        stamps = {A: list(self.TIMES), B: [START + 5 * DAY_MS], C: [START - 2 * DAY_MS]}
        found = self.bounds(stamps, of=replace(SHORT, window=Rolling(11 * DAY_MS)))
        assert (found.lower, found.upper, found.accuracy) == (1, 2, Accuracy.BOUNDED)

    def test_without_a_list_after_the_end_there_is_no_upper_bound(self):
        found = self.bounds({A: [START + DAY_MS]}, times=self.TIMES[:-13])
        assert found.upper is None

    def test_polls_further_apart_than_the_window_leave_a_day_uncovered(self):
        assert self.bounds({A: [START + DAY_MS]}, times=self.TIMES[::13]).upper is None

    def test_a_window_of_a_day_gives_a_lower_bound_only(self):
        stamps = {A: [START + DAY_MS, START + 8 * DAY_MS]}
        found = self.bounds(stamps, of=replace(SHORT, window=Rolling(DAY_MS)))
        assert (found.lower, found.upper) == (1, None)

    def test_facts_without_days_cover_nothing(self):
        found = made(polled(START + 5 * DAY_MS), A, B)
        kept = without_days(found, by_days=True)
        assert (dict(kept.maybe), kept.closed, dict(kept.sure)) == ({}, 0, dict(found.sure))

    def test_ids_that_may_be_renamed_prove_what_one_list_covers(self):
        """Which of them came back cannot be seen, so that rows prove nothing."""
        renamed = replace(SHORT, ids_stable=False, window=Rolling(12 * DAY_MS))
        found = made(polled(END + 10), A, B, of=renamed)
        bounds = evaluate([Store("", found, renamed, CYCLE)])
        assert (bounds.lower, bounds.upper) == (0, 2)
        assert (found.roster, found.low, found.listed) == (None, {}, 2)
        assert evaluate([Store("", made(polled(END + 10), A), renamed, CYCLE)]).upper is None
