"""Bare counts: what a number says of a cycle, alone and together with others."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from licenseusage.metering.counts import (
    ESTIMATE_WITHIN_MS,
    CountProperties,
    Counts,
    Sample,
    contradictory,
    merge_counts,
    sample,
    tally_counts,
)
from licenseusage.metering.countwindows import (
    CalendarMonthToDate,
    FromTo,
    Rolling,
    RollingCalendarMonth,
    WindowSpan,
)
from licenseusage.metering.cycles import CYCLE_BIT, DAY_MS, Cycle
from licenseusage.metering.known import WindowCounts
from licenseusage.metering.polled import Polled

CYCLE = Cycle(0, 100 * DAY_MS, 130 * DAY_MS)
START, END = CYCLE.start_ms, CYCLE.end_ms
HOUR_MS = 3_600_000
DECLARED = CountProperties(
    window=Rolling(1000), lag_ms=10, kept_ms=None, relisted=False, whole=True
)


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def taken(began: int, users: int = 5, *, took: int = 0, warm: bool = True, **declared) -> Sample:
    polled = Polled(began, began + took, complete=True)
    return sample(replace(DECLARED, **declared), polled, users, warm=warm)


def stated(*samples: Sample, window: int = CYCLE_BIT, **declared) -> WindowCounts:
    properties = replace(DECLARED, **declared)
    return tally_counts(Counts(frozenset(samples)), properties, CYCLE, window)


def about(
    users: int, inside: tuple, covers: tuple = (0, 0), at: tuple = (0, 0), full: bool = True
) -> Sample:
    """A sample of a source that was declared as `DECLARED` when it was read."""
    settled = at[0] - DECLARED.lag_ms
    return Sample(users, *inside, *covers, *at, full, settled_ms=settled, stays=True)


class TestOneSample:
    def test_a_rolling_window_is_known_as_far_as_the_age_and_the_poll_allow(self):
        found = taken(START + 5000, took=20, age_ms=100)
        assert (found.first_ms, found.last_ms) == (START + 3901, START + 5020)
        assert (found.covers_from_ms, found.covers_until_ms) == (START + 4021, START + 4890)
        assert (found.computed_ms, found.read_ms, found.users) == (START + 4900, START + 5020, 5)

    def test_skew_and_hidden_activity_widen_what_is_inside_and_narrow_what_is_covered(self):
        found = taken(START + 5000, took=20, skew_ms=3, hidden_ms=40)
        assert (found.first_ms, found.last_ms) == (START + 3998, START + 5020)
        assert (found.covers_from_ms, found.covers_until_ms) == (START + 4064, START + 4990)
        wide = taken(START + 5000, skew_ms=30)
        assert wide.covers_until_ms == START + 4970

    def test_users_that_leave_the_count_shorten_what_is_covered(self):
        found = taken(START + 5000, took=20, kept_ms=500)
        assert found.covers_from_ms == START + 4520
        assert taken(START + 5000, kept_ms=5000).covers_from_ms == START + 4001
        gone = taken(START + 5000, kept_ms=0)
        assert gone.covers_from_ms > gone.covers_until_ms

    def test_only_a_warm_whole_count_below_its_cap_is_not_too_low(self):
        assert taken(START).full
        assert not taken(START, warm=False).full
        assert not taken(START, whole=False).full
        assert not taken(START, 5, saturates_at=5).full
        assert not taken(START, 6, saturates_at=5).full
        assert taken(START, 4, saturates_at=5).full


class TestLowerAndUpper:
    def test_a_window_inside_the_cycle_is_a_lower_bound(self):
        assert stated(about(7, (START, END - 1))) == WindowCounts(7, None, estimate=7)
        assert stated(about(7, (START - 1, END - 1))).lower == 0
        assert stated(about(7, (START, END))).lower == 0
        assert stated(about(7, (START, END - 1)), self_counted=2).lower == 5
        assert stated(about(1, (START, END - 1)), self_counted=2).lower == 0

    def test_a_window_that_covers_the_cycle_is_an_upper_bound(self):
        assert stated(about(7, (0, 0), (START, END))).upper == 7
        assert stated(about(7, (0, 0), (START + 1, END))).upper is None
        assert stated(about(7, (0, 0), (START, END - 1))).upper is None
        assert stated(about(7, (0, 0), (START, END), full=False)).upper is None

    def test_windows_that_follow_each_other_are_added(self):
        middle = START + 10 * DAY_MS
        first, second = about(7, (0, 0), (START, middle)), about(5, (0, 0), (middle, END))
        assert stated(first, second).upper == 12
        assert stated(first, about(5, (0, 0), (middle + 1, END))).upper is None

    def test_the_cheapest_chain_counts(self):
        middle, later = START + 10 * DAY_MS, START + 20 * DAY_MS
        chain = [
            about(7, (0, 0), (START, middle)),
            about(9, (0, 0), (START, later)),
            about(5, (0, 0), (middle, END)),
            about(2, (0, 0), (later, END)),
        ]
        assert stated(*chain).upper == 11
        assert stated(*chain, about(3, (0, 0), (START, later))).upper == 5
        assert stated(*chain, about(0, (0, 0), (START - 5, START))).upper == 11

    def test_the_greatest_lower_bound_counts(self):
        assert stated(about(7, (START, END - 1)), about(3, (START, END - 1))).lower == 7

    def test_days_are_windows_of_their_own(self):
        found = about(7, (START + DAY_MS, START + 2 * DAY_MS - 1))
        assert stated(found, window=1) == WindowCounts(7, None)
        assert stated(found, window=0) == WindowCounts(0, None)


class TestWhatIsDeclaredNow:
    """What was true of a sample when it was read stands; what is declared now can only take."""

    COVERING = about(7, (START, END - 1), (START, END))

    def test_a_guarantee_that_is_withdrawn_takes_the_upper_bound_of_all_samples(self):
        assert stated(self.COVERING) == WindowCounts(7, 7, estimate=7)
        assert stated(self.COVERING, kept_ms=0).upper is None
        assert stated(self.COVERING, whole=False).upper is None

    def test_of_a_source_that_is_gone_only_the_lower_bound_stands(self):
        facts = Counts(frozenset([self.COVERING]))
        assert tally_counts(facts, None, CYCLE) == WindowCounts(7, None, estimate=7)

    def test_of_a_source_that_is_gone_a_rise_stands_as_well(self):
        facts = Counts(frozenset([TestRises.BEFORE, TestRises.LATER]))
        assert tally_counts(facts, None, CYCLE).lower == 5

    def test_own_accounts_count_as_declared_then_or_now_whichever_is_more(self):
        assert stated(self.COVERING._replace(own=2)).lower == 5
        assert stated(self.COVERING._replace(own=2), self_counted=3).lower == 4

    def test_an_estimate_bounds_nothing(self):
        guess = self.COVERING._replace(estimated=True)
        assert stated(guess) == WindowCounts(0, None, estimate=7)
        assert stated(guess, self.COVERING._replace(users=9)).lower == 9

    def test_a_number_at_its_cap_is_no_estimate(self):
        capped = self.COVERING._replace(saturated=True, full=False)
        assert stated(capped) == WindowCounts(7, None)


class TestRises:
    """Whoever is counted later and was not counted before was active in between."""

    BEFORE, LATER = (
        about(3, (0, 0), at=(START + 10, START + 20)),
        about(8, (0, 0), at=(START + 21, END - 1)),
    )

    def test_a_rise_between_two_samples_of_the_cycle_is_a_lower_bound(self):
        assert stated(self.BEFORE, self.LATER).lower == 5
        assert stated(self.BEFORE, self.LATER, self_counted=1).lower == 4

    def test_not_where_users_come_back_without_activity(self):
        assert stated(self.BEFORE, self.LATER, relisted=True).lower == 0
        assert stated(self.BEFORE._replace(stays=False), self.LATER).lower == 0
        assert stated(self.BEFORE, self.LATER._replace(stays=False)).lower == 0

    def test_not_from_a_number_that_may_be_too_low(self):
        assert stated(self.BEFORE._replace(full=False), self.LATER).lower == 0
        assert stated(self.BEFORE, self.LATER._replace(full=False)).lower == 5

    def test_not_from_before_the_start_lag_and_skew_considered(self):
        assert stated(self.BEFORE._replace(computed_ms=START + 9), self.LATER).lower == 0
        assert stated(self.BEFORE._replace(settled_ms=START - 1), self.LATER).lower == 0
        assert stated(self.BEFORE, self.LATER, skew_ms=10).lower == 5
        assert stated(self.BEFORE, self.LATER, skew_ms=11).lower == 0

    def test_not_until_after_the_end(self):
        assert stated(self.BEFORE, self.LATER._replace(read_ms=END)).lower == 0

    def test_the_samples_must_follow_each_other(self):
        assert stated(self.BEFORE, self.LATER._replace(computed_ms=START + 20)).lower == 0

    def test_the_greatest_rise_counts(self):
        lower = about(1, (0, 0), at=(START + 30, START + 31))
        high = about(9, (0, 0), at=(START + 40, START + 41))
        assert stated(self.BEFORE, lower, high).lower == 8
        afterwards = lower._replace(computed_ms=START + 50, read_ms=START + 51)
        assert stated(self.BEFORE, high, afterwards).lower == 6

    def test_not_to_a_window_that_may_start_earlier(self):
        assert stated(self.BEFORE, self.LATER._replace(advances=False)).lower == 0
        assert stated(self.BEFORE._replace(advances=False), self.LATER).lower == 5


class TestContradictions:
    def test_a_sample_below_what_another_proves_inside_it_takes_the_upper_bound_away(self):
        zero, good = about(0, (0, 0), (START, END)), about(7, (START, END - 1))
        assert stated(zero, good).upper is None
        assert contradictory([zero, good])
        assert contradictory([good, zero], 6)
        assert not contradictory([zero, good], 7)

    def test_not_where_the_other_reaches_beyond_it(self):
        zero = about(0, (0, 0), (START, END))
        assert not contradictory([zero, about(7, (START - 1, END - 1))])
        assert not contradictory([zero, about(7, (START, END))])
        assert not contradictory([zero._replace(full=False), about(7, (START, END - 1))])

    def test_among_many_samples(self):
        inside = [
            about(users, (START + users, END - 100 + last))
            for users, last in ((4, 9), (6, 5), (5, 7))
        ]
        low = about(5, (0, 0), (START + 4, END - 93))
        assert contradictory([*inside, low])
        assert not contradictory([*inside, low._replace(users=6)])
        assert not contradictory([*inside, low._replace(covers_until_ms=END - 95)])
        assert contradictory([*inside, low._replace(covers_until_ms=END - 94)])
        assert not contradictory([*inside, low._replace(covers_from_ms=START + 7)])


class TestEstimates:
    def test_a_rolling_window_of_the_cycles_length_is_an_estimate_at_its_end(self):
        near = taken(END + HOUR_MS, 7, window=Rolling(30 * DAY_MS))
        far = taken(END - 2 * HOUR_MS, 9, window=Rolling(30 * DAY_MS))
        assert stated(near) == WindowCounts(0, None, estimate=7)
        assert stated(near, far).estimate == 7
        assert stated(near, far, window=0).estimate is None

    def test_not_one_far_from_it(self):
        assert stated(about(7, (START - ESTIMATE_WITHIN_MS, END))).estimate == 7
        assert stated(about(7, (START - ESTIMATE_WITHIN_MS - 1, END))).estimate is None
        assert stated(about(7, (START, END + ESTIMATE_WITHIN_MS + 1))).estimate is None
        assert stated().estimate is None

    def test_in_a_short_cycle_the_day_before_is_no_estimate(self):
        day = Cycle(0, START, START + DAY_MS)
        before = about(20, (START - DAY_MS + 9_000, START + 9_000))
        near = about(20, (START + 60_000, START + DAY_MS + 60_000))

        def estimate(sample):
            return tally_counts(Counts(frozenset([sample])), None, day).estimate

        assert (estimate(before), estimate(near)) == (None, 20)

    def test_the_farther_end_decides(self):
        uneven, even = about(7, (START - 5, END - 90)), about(8, (START - 50, END + 50))
        assert stated(uneven, even).estimate == 8


def test_samples_are_joined_by_union():
    one, two = about(1, (0, 0)), about(2, (0, 0))
    joined = merge_counts(Counts(frozenset([one])), Counts(frozenset([one, two])))
    assert joined.samples == {one, two}


def test_an_upper_bound_below_the_lower_is_a_conflict():
    """Only possible if the product counted somebody twice: two samples that no third explains."""
    middle = START + 10 * DAY_MS
    parts = [about(1, (0, 0), (START, middle)), about(1, (0, 0), (middle, END))]
    assert stated(*parts, about(5, (START, END - 1))).conflict
    assert not stated(*parts, about(2, (START, END - 1))).conflict


INSTANTS = st.integers(0, 6)
SAMPLES = st.lists(
    st.builds(
        Sample,
        users=st.integers(0, 5),
        first_ms=INSTANTS,
        last_ms=INSTANTS,
        covers_from_ms=INSTANTS,
        covers_until_ms=INSTANTS,
        computed_ms=INSTANTS,
        read_ms=INSTANTS,
        full=st.booleans(),
    ),
    max_size=8,
)


@pytest.mark.parametrize(
    "within",
    [
        [(3, (2, 2)), (7, (1, 3))],
        [(7, (2, 3)), (3, (2, 2)), (5, (1, 1))],
    ],
)
def test_of_all_counts_within_another_the_greatest_contradicts_it(within):
    low = about(6, (0, 9), covers=(0, 4))
    samples = [about(users, span) for users, span in within]
    assert contradictory([low, *samples])
    assert not contradictory([low._replace(users=7), *samples])


@given(SAMPLES, st.integers(0, 2))
def test_a_count_contradicts_another_if_it_is_lower_than_one_that_lies_within_it(samples, own):
    assert contradictory(samples, own) == any(
        low.full
        and low.users < one.users - max(own, one.own)
        and low.covers_from_ms <= one.first_ms
        and one.last_ms < low.covers_until_ms
        for low in samples
        for one in samples
    )


@pytest.mark.parametrize(
    "wrong",
    [
        {"age_ms": -1},
        {"skew_ms": -1},
        {"lag_ms": -1},
        {"hidden_ms": -1},
        {"kept_ms": -1},
        {"self_counted": -1},
        {"saturates_at": -1},
    ],
)
def test_properties_that_no_rule_covers_are_refused(wrong):
    with pytest.raises(ValueError, match="must not be negative"):
        CountProperties(window=Rolling(1), **wrong)


def test_unless_declared_a_count_is_late_by_a_minute_and_promises_nothing():
    assert CountProperties(window=DECLARED.window) == CountProperties(
        window=DECLARED.window,
        age_ms=0,
        skew_ms=0,
        lag_ms=60_000,
        hidden_ms=0,
        kept_ms=0,
        relisted=True,
        self_counted=0,
        saturates_at=None,
        whole=False,
    )


def test_a_count_may_be_capped_at_nobody():
    assert replace(DECLARED, lag_ms=0, saturates_at=0).saturates_at == 0


class TestWindows:
    def test_rolling(self):
        assert Rolling(10).span(100, 120) == WindowSpan(91, 111, 120, 100)

    def test_from_to(self):
        assert FromTo(100, 200).span(5, 7) == WindowSpan(100, 100, 199, 200)

    def test_calendar_month_to_date(self):
        early, late = ms("2026-11-30T23:59"), ms("2026-12-01T00:01")
        span = CalendarMonthToDate().span(early, late)
        assert span == WindowSpan(ms("2026-11-01"), ms("2026-12-01"), late, early)

    def test_calendar_month_in_a_time_zone(self):
        at = ms("2026-10-31T23:30")
        berlin = CalendarMonthToDate(ZoneInfo("Europe/Berlin")).span(at, at)
        assert berlin.first_earliest_ms == berlin.first_latest_ms == ms("2026-10-31T23:00")

    @pytest.mark.parametrize(
        ("now", "since"),
        [
            ("2026-11-15T10:20:30", "2026-10-15T10:20:30"),
            ("2026-03-27T10:00", "2026-02-27T10:00"),
            ("2026-01-31T10:00", "2025-12-31T10:00"),
            ("2026-02-28T10:00", "2026-01-28T10:00"),
            ("2026-04-30T10:00", "2026-03-30T10:00"),
        ],
    )
    def test_rolling_calendar_month(self, now, since):
        span = RollingCalendarMonth().span(ms(now), ms(now))
        assert span == WindowSpan(ms(since), ms(since) + 1, ms(now), ms(now))
        assert RollingCalendarMonth().advances(ms(now), ms(now))

    @pytest.mark.parametrize(
        ("now", "earliest", "latest", "advances"),
        [
            ("2026-03-28T10:00", "2026-02-28", "2026-03-01", True),
            ("2026-03-31T10:00", "2026-02-28", "2026-03-01", False),
            ("2028-03-30T10:00", "2028-02-29", "2028-03-01", False),
            ("2026-12-31T10:00", "2026-11-30", "2026-12-01", False),
        ],
    )
    def test_on_days_that_the_month_before_did_not_have(self, now, earliest, latest, advances):
        span = RollingCalendarMonth().span(ms(now), ms(now))
        assert (span.first_earliest_ms, span.first_latest_ms) == (ms(earliest), ms(latest) + 1)
        assert RollingCalendarMonth().advances(ms(now), ms(now)) is advances
        assert RollingCalendarMonth().advances(ms(now) - 5 * DAY_MS, ms(now)) is advances

    def test_a_month_that_ends_meanwhile_may_hold_such_days(self):
        window = RollingCalendarMonth()
        assert not window.advances(ms("2026-03-28T20:00"), ms("2026-04-01T10:00"))
        assert not window.advances(ms("2026-03-28T20:00"), ms("2027-03-28T21:00"))
        assert window.advances(ms("2026-03-28T20:00"), ms("2026-03-28T21:00"))

    def test_a_rolling_month_between_two_instants(self):
        early, late = ms("2026-11-15T10:00"), ms("2026-11-15T10:05")
        span = RollingCalendarMonth().span(early, late)
        first, last = ms("2026-10-15T10:00"), ms("2026-10-15T10:05") + 1
        assert span == WindowSpan(first, last, late, early)

    def test_a_local_time_that_happened_twice_is_read_both_ways(self):
        """2026-10-25 02:30 in Berlin is 00:30Z and 01:30Z."""
        zone = ZoneInfo("Europe/Berlin")
        now = ms("2026-11-25T01:30")
        span = RollingCalendarMonth(zone).span(now, now)
        assert span.first_earliest_ms == ms("2026-10-25T00:30")
        assert span.first_latest_ms == ms("2026-10-25T01:30") + 1

    def test_a_months_first_midnight_that_happened_twice_is_read_both_ways(self):
        """On 2026-11-01 Havana turned its clocks from 01:00 back to 00:00."""
        at = ms("2026-11-20T12:00")
        span = CalendarMonthToDate(ZoneInfo("America/Havana")).span(at, at)
        assert span.first_earliest_ms == ms("2026-11-01T04:00")
        assert span.first_latest_ms == ms("2026-11-01T05:00")

    @pytest.mark.parametrize(
        ("zone", "now", "earliest", "latest"),
        [
            # On 2004-04-30 Cairo turned its clocks from 00:00 to 01:00, Baghdad on 1982-05-01.
            ("Africa/Cairo", "2004-05-31T12:00", "2004-04-29T21:00", "2004-04-30T21:00"),
            ("Asia/Baghdad", "1982-05-31T12:00", "1982-04-29T21:00", "1982-04-30T21:00"),
        ],
    )
    def test_a_last_day_whose_midnight_never_was_is_read_both_ways(
        self, zone, now, earliest, latest
    ):
        span = RollingCalendarMonth(ZoneInfo(zone)).span(ms(now), ms(now))
        assert (span.first_earliest_ms, span.first_latest_ms) == (ms(earliest), ms(latest) + 1)

    @pytest.mark.parametrize("window", [CalendarMonthToDate(), Rolling(DAY_MS), FromTo(0, 1)])
    def test_all_windows_but_the_rolling_month_always_advance(self, window):
        assert window.advances(ms("2026-03-30"), ms("2026-03-31"))

    def test_a_months_first_midnight_that_never_was_is_read_both_ways(self):
        """On 2011-12-31 Samoa had skipped a day; a midnight that was skipped stays harmless."""
        zone = ZoneInfo("America/Sao_Paulo")  # 2017-10-15 began at 01:00
        at = ms("2017-10-20T12:00")
        span = CalendarMonthToDate(zone).span(at, at)
        assert span.first_earliest_ms == span.first_latest_ms == ms("2017-10-01T03:00")

    @pytest.mark.parametrize(
        "window", [RollingCalendarMonth(), CalendarMonthToDate(), Rolling(DAY_MS), FromTo(0, 1)]
    )
    def test_a_window_that_advances_starts_no_earlier_than_any_before(self, window):
        """The product's own starts: as a count computed at that very time has them."""
        days = range(ms("2026-01-01"), ms("2028-05-01"), 11 * HOUR_MS)
        latest = 0
        for at in days:
            span = window.span(at, at)
            start = span.first_earliest_ms
            if isinstance(window, RollingCalendarMonth):
                start = exact_month_before(at)
            assert span.first_earliest_ms <= start <= span.first_latest_ms
            if window.advances(at, at):
                assert start >= latest
            latest = max(latest, start)


def exact_month_before(at: int) -> int:
    now = datetime.fromtimestamp(at // 1000, UTC)
    before = now.replace(day=1) - timedelta(days=1)
    day = min(now.day, before.day)
    return int(before.replace(day=day).timestamp() * 1000)
