"""When polls, closings and interim reports are due."""

from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from licenseusage.errors import Stalled
from licenseusage.metering.cycles import DAY_MS, Terms
from licenseusage.metering.lifecycle import (
    CloseReason,
    InterimPlan,
    SourceProgress,
    check_grace,
    close_due,
    closing_poll_ms,
    looks_back,
    next_interim,
    precedes,
    reported_slot,
)
from licenseusage.metering.polling import (
    Boundary,
    PollSchedule,
    attempted_ms,
    effective_interval_ms,
    next_poll,
    spread_ms,
    wants_passes,
)
from licenseusage.reasons import Reason

SECOND, MINUTE, HOUR = 1000, 60_000, 3_600_000
CYCLE = Terms(date(2026, 11, 11), length_days=30).cycle(0)
START, END = CYCLE.start_ms, CYCLE.end_ms
INTERVAL, LAG = 15 * MINUTE, MINUTE
CLOSING = END + LAG + SECOND
GRACE = 24 * HOUR


def schedule(last_ms: int | None, **changes: object) -> PollSchedule:
    usual = PollSchedule(
        key="default/opencloud/graph",
        declared_ms=INTERVAL,
        interval_ms=INTERVAL,
        lag_ms=LAG,
        clock_skew_ms=SECOND,
        last_started_ms=last_ms,
        last_ended_ms=None if last_ms is None else last_ms + 200,
        duration_ms=200,
        failures=0,
        boundaries=(Boundary(END, ended=False),),
    )
    return replace(usual, **changes)


def next_poll_ms(one: PollSchedule, now_ms: int) -> int:
    return next_poll(one, now_ms).at_ms


class TestPolls:
    """Every interval; densely around a cycle's end; exactly when a poll can close it."""

    closing = CLOSING + spread_ms("default/opencloud/graph", 5 * SECOND)

    def test_a_new_source_is_polled_at_once(self):
        assert next_poll_ms(schedule(None), START) == START

    @given(st.text(max_size=20))
    def test_the_spread_is_stable_and_below_a_twentieth(self, key):
        due = next_poll_ms(schedule(START, key=key), START)
        assert due == START + INTERVAL + spread_ms(key, INTERVAL // 20 + 1)
        assert INTERVAL <= due - START <= INTERVAL + INTERVAL // 20
        assert due == next_poll_ms(schedule(START, key=key), START + HOUR)

    def test_different_keys_are_spread(self):
        assert len({spread_ms(f"key-{number}", INTERVAL) for number in range(100)}) > 95
        assert {spread_ms(f"key-{number}", 10) for number in range(100)} == set(range(10))

    @pytest.mark.parametrize(
        ("duration", "expected"), [(None, INTERVAL), (9 * SECOND, INTERVAL), (MINUTE, 100 * MINUTE)]
    )
    def test_a_poll_takes_at_most_a_hundredth_of_the_time(self, duration, expected):
        assert effective_interval_ms(INTERVAL, duration) == expected
        assert effective_interval_ms(1, None) == 1

    def test_a_log_that_is_caught_up_with_is_read_on_at_once(self):
        now = START + MINUTE
        assert next_poll_ms(schedule(START, catching_up=True), now) == now

    def test_a_log_whose_last_poll_failed_backs_off_like_any_source(self):
        failed = schedule(START, catching_up=True, failures=1)
        assert next_poll_ms(failed, START + SECOND) == START + 30_200

    def test_polls_are_dense_from_ten_minutes_before_the_end(self):
        due = next_poll_ms(schedule(END - 12 * MINUTE), START)
        key = schedule(None).key
        assert due == END - 10 * MINUTE + spread_ms(key, 15 * SECOND)
        assert next_poll_ms(schedule(due), START) == due + 15 * SECOND

    def test_dense_polls_take_at_most_a_tenth_of_the_time(self):
        slow = schedule(END - 5 * MINUTE, duration_ms=3 * SECOND)
        assert next_poll_ms(slow, START) == END - 5 * MINUTE + 30 * SECOND

    def test_a_poll_starts_when_it_can_close_the_cycle(self):
        due = next_poll_ms(schedule(CLOSING - 20 * SECOND), START)
        assert due == self.closing

    def test_products_are_asked_for_it_within_five_seconds_of_each_other(self):
        for key in (f"key-{number}" for number in range(20)):
            due = next_poll_ms(schedule(CLOSING - 20 * SECOND, key=key), START)
            assert due == CLOSING + spread_ms(key, 5 * SECOND)

    def test_a_slow_product_is_not_polled_twice_in_a_row_for_it(self):
        slow = schedule(CLOSING - 20 * SECOND, duration_ms=10 * SECOND)
        assert next_poll_ms(slow, START) == CLOSING + 80 * SECOND

    def test_no_poll_shortly_before_takes_the_place_of_the_closing_one(self):
        slow = schedule(CLOSING - 110 * SECOND, duration_ms=10 * SECOND)
        due = next_poll_ms(slow, START)  # -10 s would be the next dense one
        assert CLOSING <= due < CLOSING + 5 * SECOND

    def test_dense_polls_go_on_until_a_poll_has_closed_the_cycle(self):
        late = CLOSING + 6 * SECOND
        assert next_poll_ms(schedule(late), START) == late + 15 * SECOND
        closed = schedule(late, boundaries=(Boundary(END, ended=True),))
        assert next_poll_ms(closed, START) >= late + INTERVAL

    def test_a_dense_poll_that_leaves_room_for_another_before_the_closing_one_is_made(self):
        last = self.closing - 30 * SECOND
        assert next_poll_ms(schedule(last), START) == last + 15 * SECOND
        assert next_poll_ms(schedule(last + 1), START) == self.closing

    def test_a_source_whose_polls_are_of_unknown_length_is_polled_densely_too(self):
        last = END - 5 * MINUTE
        assert next_poll_ms(schedule(last, duration_ms=None), START) == last + 15 * SECOND

    def test_dense_polls_end_ten_minutes_later(self):
        last = self.closing + 10 * MINUTE - 15 * SECOND
        assert next_poll_ms(schedule(last - 1), START) == last - 1 + 15 * SECOND
        assert next_poll_ms(schedule(last), START) >= last + INTERVAL
        late = CLOSING + 11 * MINUTE
        assert next_poll_ms(schedule(late), START) >= late + INTERVAL

    def test_an_overdue_closing_poll_is_due_at_once(self):
        asleep = schedule(END - 3 * HOUR)
        assert next_poll_ms(asleep, END + 5 * HOUR) <= END + 5 * HOUR

    def test_failures_back_off_up_to_the_interval(self):
        first, second, many = (
            next_poll_ms(schedule(START, failures=n), START) - START for n in (1, 2, 9)
        )
        assert (first, second) == (30_200, 60_200)
        assert INTERVAL <= many <= INTERVAL + INTERVAL // 20

    def test_a_failure_without_an_end_counts_from_its_start(self):
        failed = schedule(START, failures=1, last_ended_ms=None)
        assert next_poll_ms(failed, START) == START + 30 * SECOND
        dense = schedule(END - MINUTE, failures=1, last_ended_ms=None)
        assert next_poll_ms(dense, START) == END - MINUTE + 15 * SECOND

    def test_a_failure_that_took_long_is_not_repeated_at_once(self):
        slow = schedule(START, failures=1, last_ended_ms=START + 30 * SECOND)
        assert next_poll_ms(slow, START) == START + 330 * SECOND
        dense = schedule(END - MINUTE, failures=1, last_ended_ms=END - MINUTE + 4 * SECOND)
        assert next_poll_ms(dense, START) == END - MINUTE + 19 * SECOND

    @pytest.mark.parametrize("failures", [0, 1, 9])
    @pytest.mark.parametrize("took", [6 * MINUTE, HOUR])
    def test_what_took_longer_than_its_interval_rests_three_times_as_long_whatever_came_of_it(
        self, took, failures
    ):
        hung = schedule(START, failures=failures, duration_ms=None, last_ended_ms=START + took)
        assert next_poll_ms(hung, START + took) == START + 4 * took
        again = schedule(END - MINUTE, failures=failures, last_ended_ms=END - MINUTE + took)
        assert next_poll_ms(again, START) >= END - MINUTE + 4 * took

    def test_a_log_that_takes_long_keeps_to_its_interval_unless_it_failed(self):
        long = schedule(START, log=True, duration_ms=None, last_ended_ms=START + 10 * MINUTE)
        assert next_poll_ms(long, START) <= START + INTERVAL + INTERVAL // 20
        assert next_poll_ms(replace(long, failures=1), START) == START + 40 * MINUTE
        dense = replace(long, last_started_ms=END - MINUTE, last_ended_ms=END - 20 * SECOND)
        assert next_poll_ms(dense, START) == END - 45 * SECOND

    def test_a_source_is_quick_only_after_an_attempt_of_seconds(self):
        assert not schedule(None).quick
        assert schedule(START, last_ended_ms=START + 5 * SECOND).quick
        assert not schedule(START, last_ended_ms=START + 5 * SECOND + 1).quick

    @given(
        st.integers(END - 2 * HOUR, END + 2 * HOUR),
        st.integers(1, 20 * SECOND),
        st.integers(0, 3),
        st.booleans(),
    )
    def test_the_load_is_bounded_wherever_the_boundary_lies(self, last, took, failures, ended):
        one = schedule(
            last,
            interval_ms=effective_interval_ms(INTERVAL, took),
            last_ended_ms=last + took,
            duration_ms=took,
            failures=failures,
            boundaries=(Boundary(END, ended), Boundary(END + 30 * DAY_MS, ended=False)),
        )
        due = next_poll_ms(one, last)
        least = took + 15 * SECOND if failures else max(15 * SECOND, 10 * took)
        assert due - last >= least
        assert due - last <= one.interval_ms + one.interval_ms // 20 + 1


class TestWhy:
    """How far apart polls are is said with its reason, and bounded by the load on the product."""

    def said(self, one):
        due = next_poll(one, START)
        return due.reason, due.interval_ms

    def test_as_declared_without_the_spread(self):
        assert self.said(schedule(START)) == (Reason.AS_DECLARED, INTERVAL)
        log = schedule(START, log=True, duration_ms=None, last_ended_ms=START + HOUR)
        assert self.said(log) == (Reason.AS_DECLARED, INTERVAL)

    def test_a_hundred_times_as_long_as_a_complete_poll_takes(self):
        slow = schedule(START, interval_ms=100 * MINUTE, last_ended_ms=START + MINUTE)
        assert self.said(slow) == (Reason.LOAD_BOUNDED, 100 * MINUTE)

    def test_three_times_as_long_as_what_was_slow_and_not_complete_behind_it(self):
        part = schedule(START, duration_ms=None, last_ended_ms=START + 6 * MINUTE)
        assert self.said(part) == (Reason.PAUSE_AFTER_SLOW_POLL, 24 * MINUTE)
        failed = replace(part, failures=1)
        assert self.said(failed) == (Reason.PAUSE_AFTER_SLOW_POLL, 24 * MINUTE)

    def test_sooner_after_a_failure_until_the_interval_is_reached(self):
        assert self.said(schedule(START, failures=1)) == (Reason.RETRY, 30_200)
        assert self.said(schedule(START, failures=9)) == (Reason.AS_DECLARED, INTERVAL)

    def test_a_refused_login_rests(self):
        refused = schedule(START, failures=1, refused=True)
        assert self.said(refused) == (Reason.SIGN_IN_REFUSED, 15 * MINUTE)

    def test_more_often_around_the_end_of_a_cycle(self):
        assert self.said(schedule(END - 5 * MINUTE)) == (Reason.CYCLE_ENDS, 15 * SECOND)
        doubted = schedule(END + 5 * HOUR, boundaries=(Boundary(END, ended=False, repeat=True),))
        assert self.said(doubted) == (Reason.CYCLE_ENDS, 15 * SECOND)

    def test_nothing_of_what_is_due_at_once(self):
        assert self.said(schedule(None)) == (None, 0)
        assert self.said(schedule(START, catching_up=True)) == (None, 0)

    @given(st.integers(START, END + HOUR), st.integers(0, HOUR), st.integers(0, 3), st.booleans())
    def test_what_is_said_does_not_change_by_the_time(self, last, took, failures, log):
        one = schedule(last, last_ended_ms=last + took, failures=failures, log=log)
        assert next_poll(one, last) == next_poll(one, last + took + DAY_MS)


def test_an_attempt_dated_by_a_clock_that_was_set_back_delays_no_poll():
    assert attempted_ms(None, START) is None
    assert attempted_ms(START + 300 * SECOND, START) == START + 300 * SECOND
    assert attempted_ms(START + 300 * SECOND + 1, START) is None


@pytest.mark.parametrize(
    ("interval", "lead"), [(MINUTE, HOUR), (30 * MINUTE, HOUR), (40 * MINUTE, 80 * MINUTE)]
)
def test_the_last_hour_or_two_intervals_belong_to_the_next_cycles_first_roster(interval, lead):
    def listed(at):
        """Whether a poll is, of which there was another one a second before."""
        return precedes(CYCLE, at, interval, DAY_MS, at - SECOND)

    assert not listed(START - lead - MINUTE)
    assert listed(START - lead)
    assert listed(START - 1)
    assert not listed(START)


def test_one_poll_an_hour_of_the_last_day_belongs_to_it_too():
    """So that a maintenance window before the start does not leave the cycle without a list."""

    def listed(at, before):
        return precedes(CYCLE, at, 15 * MINUTE, DAY_MS, before)

    at = START - 10 * HOUR
    assert listed(at, at - 1)
    assert not listed(at + 15 * MINUTE, at)
    assert listed(at + HOUR, at + 45 * MINUTE)
    assert listed(at + 15 * MINUTE, None)
    assert listed(START - DAY_MS, START - DAY_MS - 1)
    assert not listed(START - DAY_MS - 1, None)
    assert precedes(CYCLE, START - 30 * HOUR, 15 * MINUTE, 48 * HOUR, None)
    assert precedes(CYCLE, START - 30 * HOUR, 20 * HOUR, DAY_MS, START - 50 * HOUR)


def test_a_closing_poll_that_contradicts_what_is_declared_is_repeated_at_once():
    late = END + 5 * HOUR  # long after polls were dense
    once = schedule(late)
    assert next_poll_ms(once, late) >= late + 15 * MINUTE
    doubted = replace(once, boundaries=(Boundary(END, ended=False, repeat=True),))
    assert next_poll_ms(doubted, late) == late + 15 * SECOND
    slow = replace(doubted, duration_ms=3 * SECOND)
    assert next_poll_ms(slow, late) == late + 30 * SECOND
    # Not again and again where it cannot be read, nor once it is decided.
    failing = replace(doubted, failures=5)
    assert next_poll_ms(failing, late) > late + MINUTE
    decided = replace(doubted, boundaries=(Boundary(END, ended=True, repeat=True),))
    assert next_poll_ms(decided, late) >= late + 15 * MINUTE


def test_a_poll_after_the_end_and_lag_may_read_a_listing_twice():
    open_, ended = Boundary(END, ended=False), Boundary(END, ended=True)
    assert wants_passes([open_], END + LAG, LAG)
    assert not wants_passes([open_], END + LAG - 1, LAG)
    assert not wants_passes([ended], END + LAG, LAG)
    assert wants_passes([Boundary(END + DAY_MS, ended=False), open_], END + LAG, LAG)


def test_a_poll_closes_after_the_lag_and_the_clock_difference():
    assert closing_poll_ms(END, LAG, 2500) == END + LAG + 2500
    assert closing_poll_ms(END, LAG, 0) == END + LAG + 1000  # k is at least a second


class TestClosing:
    """The first closing poll of every source closes a cycle, else the grace does."""

    done = SourceProgress(True, CLOSING, LAG, SECOND)
    waiting = SourceProgress(False, END - HOUR, LAG, SECOND)
    failing = SourceProgress(False, CLOSING + HOUR, LAG, SECOND)

    def test_a_running_cycle_is_not_closed(self):
        assert close_due(CYCLE, END - 1, GRACE, [self.done]) is None

    def test_every_source_needs_its_closing_poll(self):
        assert close_due(CYCLE, CLOSING, GRACE, [self.done]) is CloseReason.CLOSING_POLLS
        assert close_due(CYCLE, CLOSING, GRACE, [self.done, self.waiting]) is None
        assert close_due(CYCLE, END, GRACE, [self.done]) is CloseReason.CLOSING_POLLS

    def test_the_grace_ends_the_waiting(self):
        sources = [self.done, self.failing]
        assert close_due(CYCLE, END + GRACE - 1, GRACE, sources) is None
        assert close_due(CYCLE, END + GRACE, GRACE, sources) is CloseReason.GRACE_OVER

    def test_a_source_that_has_its_closing_poll_is_waited_for_no_more(self):
        once = replace(self.done, last_attempt_ms=None)
        sources = [once, self.failing]
        assert close_due(CYCLE, END + GRACE, GRACE, sources) is CloseReason.GRACE_OVER

    def test_an_overdue_cycle_waits_for_one_poll_of_each_source(self):
        late = END + 5 * GRACE
        assert close_due(CYCLE, late, GRACE, [self.failing, self.waiting]) is None
        never = SourceProgress(False, None, LAG, SECOND)
        assert close_due(CYCLE, late, GRACE, [never]) is None

    def test_the_poll_that_could_just_have_closed_an_overdue_cycle_is_a_try(self):
        tried = SourceProgress(False, CLOSING, LAG, SECOND)
        assert close_due(CYCLE, END + GRACE, GRACE, [tried]) is CloseReason.GRACE_OVER
        early = SourceProgress(False, CLOSING - 1, LAG, SECOND)
        assert close_due(CYCLE, END + GRACE, GRACE, [early]) is None
        never = SourceProgress(False, None, LAG, SECOND)
        assert close_due(CYCLE, END + GRACE, GRACE, [never]) is None

    def test_an_object_that_is_gone_ends_with_the_grace(self):
        assert close_due(CYCLE, CLOSING, GRACE, []) is None
        assert close_due(CYCLE, END + GRACE, GRACE, []) is CloseReason.GRACE_OVER


class TestGrace:
    """At least the lag and two intervals, at most the cycle."""

    @pytest.mark.parametrize("grace", [LAG + 2 * INTERVAL, 24 * HOUR, 30 * DAY_MS])
    def test_a_grace_that_works(self, grace):
        check_grace(grace, CYCLE, LAG, INTERVAL)

    @pytest.mark.parametrize("grace", [LAG + 2 * INTERVAL - 1, 30 * DAY_MS + 1])
    def test_a_grace_that_cannot_work_is_an_error_of_the_spec(self, grace):
        with pytest.raises(Stalled, match="closeGraceHours") as refused:
            check_grace(grace, CYCLE, LAG, INTERVAL)
        assert refused.value.reason == "InvalidSpec"

    def test_the_error_says_what_was_seen_and_what_is_possible(self):
        said = "closeGraceHours is 1000 h, it must be at least 0.5167 h .* and at most 720 h"
        with pytest.raises(Stalled, match=said):
            check_grace(1000 * HOUR, CYCLE, LAG, INTERVAL)


class TestInterims:
    """One per slot, of the latest slot only, signed once the clock has passed its asOf."""

    def plan(self, now_ms: int, **changes: object) -> InterimPlan | None:
        usual = {
            "interval_ms": 24 * HOUR,
            "last_slot": None,
            "seen_until_ms": None,
            "poll_interval_ms": INTERVAL,
            "since_ms": START,
        }
        return next_interim(CYCLE, now_ms, **{**usual, **changes})

    def test_the_first_poll_of_a_slot_makes_its_report(self):
        seen = START + DAY_MS + 5_300
        plan = self.plan(START + DAY_MS + MINUTE, last_slot=0, seen_until_ms=seen)
        assert plan == InterimPlan(1, START + DAY_MS + 6_000, START + DAY_MS + 6_000)

    def test_a_poll_that_ends_with_the_first_instant_of_a_slot_makes_its_report(self):
        begun = START + DAY_MS
        plan = self.plan(begun + MINUTE, last_slot=0, seen_until_ms=begun)
        assert plan == InterimPlan(1, begun, begun)

    def test_none_that_would_be_signed_after_the_cycle(self):
        assert self.plan(END - MINUTE, last_slot=28, since_ms=END - MINUTE) is None

    def test_it_is_not_signed_before_its_as_of(self):
        seen = START + DAY_MS + 5_300
        plan = self.plan(START + DAY_MS + 5_500, last_slot=0, seen_until_ms=seen)
        assert plan.due_ms > START + DAY_MS + 5_500

    def test_only_the_latest_missed_slot_is_made_up(self):
        seen = START + 4 * DAY_MS + HOUR
        assert self.plan(seen + HOUR, last_slot=1, seen_until_ms=seen).slot == 4

    def test_a_slot_with_a_report_waits_for_the_next(self):
        plan = self.plan(START + DAY_MS + HOUR, last_slot=1, seen_until_ms=START + DAY_MS)
        assert plan == InterimPlan(2, START + 2 * DAY_MS, START + 2 * DAY_MS)

    def test_without_a_poll_in_the_slot_it_waits_two_intervals_then_says_so_as_of_now(self):
        before = START + DAY_MS - 1
        early = self.plan(START + DAY_MS + MINUTE, last_slot=0, seen_until_ms=before)
        assert early.due_ms == START + DAY_MS + 2 * INTERVAL
        now = START + DAY_MS + 2 * INTERVAL + 700
        late = self.plan(now, last_slot=0, seen_until_ms=before)
        assert late.due_ms <= now
        assert late.as_of_ms == now - 700

    def test_an_operator_that_just_started_polls_first(self):
        now = START + 3 * DAY_MS + 5 * HOUR
        plan = self.plan(now, seen_until_ms=START + HOUR, since_ms=now - SECOND)
        assert plan.due_ms == now - SECOND + 2 * INTERVAL

    def test_a_cycle_in_which_nothing_was_read_says_so_too(self):
        now = START + 2 * INTERVAL
        assert self.plan(now) == InterimPlan(0, now, now)
        assert self.plan(START) == InterimPlan(0, START + 2 * INTERVAL, START)

    def test_none_whose_as_of_would_reach_the_cycles_end(self):
        assert self.plan(END - SECOND, last_slot=28, seen_until_ms=END - 500) is None
        assert self.plan(END - SECOND, last_slot=28, seen_until_ms=END + 500) is None
        assert self.plan(END - SECOND, last_slot=29) is None

    def test_a_slot_that_is_still_to_come_was_reported_by_a_clock_that_was_ahead(self):
        now = START + 2 * DAY_MS + HOUR
        grid = {"interval_ms": 24 * HOUR}
        past, ahead = [START + HOUR, START + DAY_MS + HOUR], START + 12 * DAY_MS
        assert reported_slot(CYCLE, now, last_slot=12, signed_ms=[*past, ahead], **grid) == 1
        assert reported_slot(CYCLE, now, last_slot=12, signed_ms=[ahead], **grid) is None
        assert reported_slot(CYCLE, now, last_slot=2, signed_ms=[*past, now], **grid) == 2
        assert reported_slot(CYCLE, now, last_slot=2, signed_ms=(), **grid) == 2, "it is lost"
        assert reported_slot(CYCLE, now, last_slot=None, signed_ms=(), **grid) is None

    def test_a_poll_that_is_still_to_come_says_nothing_of_the_slot(self):
        now = START + 2 * DAY_MS + 2 * INTERVAL
        plan = self.plan(now, last_slot=1, seen_until_ms=START + 12 * DAY_MS)
        assert plan == InterimPlan(2, now, now)

    def test_none_outside_the_cycle(self):
        assert self.plan(START - 1) is None
        assert self.plan(END) is None


class TestLookingBack:
    """Ordinary polls bring evidence of decided cycles: bounded, and none is made for it."""

    NOW = END + 10 * DAY_MS + 12 * HOUR

    def test_the_first_poll_of_an_hour_while_the_closing_poll_is_missing(self):
        assert looks_back(False, self.NOW - 1, self.NOW)
        assert not looks_back(False, self.NOW, self.NOW + HOUR - 1)
        assert looks_back(False, self.NOW, self.NOW + HOUR)

    def test_after_it_the_first_poll_since_noon(self):
        assert looks_back(True, self.NOW - 1, self.NOW)
        assert not looks_back(True, self.NOW, self.NOW + DAY_MS - 1)
        assert looks_back(True, self.NOW, self.NOW + DAY_MS)

    def test_a_first_poll_does(self):
        assert looks_back(True, None, self.NOW)


# -- a refused login --


def refused_for(failures: int, last_ms: int = START) -> int:
    """Minutes until the next attempt after so many refused logins."""
    made = schedule(last_ms, refused=True, failures=failures, last_ended_ms=last_ms + SECOND)
    return (next_poll_ms(made, last_ms + SECOND) - last_ms) // MINUTE


def test_a_refused_login_is_tried_after_15_minutes_then_once_an_hour():
    assert [refused_for(failures) for failures in (1, 2, 3, 4, 99)] == [15, 30, 60, 60, 60]


def test_a_refused_login_is_not_tried_more_often_around_a_cycles_end():
    for minutes in (-9, -1, 0, 1, 5):
        assert refused_for(1, END + minutes * MINUTE) == 15
