"""Coverage: observed seconds and gaps with their reasons (MEASUREMENT §0, REPORT_FORMAT §5)."""

from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from licenseusage.metering.coverage import (
    Coverage,
    Gap,
    Interval,
    Observed,
    coverage,
    days_followed,
    extended,
    gap_around,
)
from licenseusage.metering.cycles import DAY_MS, Terms
from licenseusage.metering.events import Hole

MINUTE = 60_000
STEP = 15 * MINUTE
CYCLE = Terms(date(2026, 11, 11), length_days=3).cycle(0)


def seconds(*spans: tuple[int, int, str]) -> Observed:
    return Observed([Interval(a * 1000, b * 1000, why) for a, b, why in spans])


class TestExtending:
    """Two intervals apart is still observed; more is a gap."""

    last = Interval(0, MINUTE, "x")

    def test_within_two_intervals_the_span_grows(self):
        start = MINUTE + 2 * STEP
        assert extended(self.last, start, start + 5, STEP, None) == Interval(0, start + 5, "x")

    def test_beyond_two_intervals_a_new_one_begins(self):
        start = MINUTE + 2 * STEP + 1
        assert extended(self.last, start, start + 5, STEP, "Timeout") == Interval(
            start, start + 5, "Timeout"
        )
        assert extended(self.last, start, start + 5, STEP, None).gap_reason == "NoPoll"

    def test_the_first_poll_begins_the_first_span(self):
        assert extended(None, 7, 9, STEP, None) == Interval(7, 9, "BeforeFirstPoll")
        assert extended(None, 7, 9, STEP, "Unauthorized") == Interval(7, 9, "Unauthorized")

    def test_a_span_never_shrinks(self):
        assert extended(self.last, 5, 9, STEP, None) == self.last


def test_observed_and_gaps_add_up_to_the_elapsed_time():
    source = seconds((10, 20, "BeforeFirstPoll"), (50, 60, "Timeout"))
    assert coverage(0, 100_000, [source]) == Coverage(
        20,
        (Gap(0, 10, "BeforeFirstPoll"), Gap(20, 50, "Timeout"), Gap(60, 100, "NoPoll")),
    )


def test_a_success_that_ends_with_the_cycle_leaves_no_gap_before_the_next():
    found = coverage(0, 100_000, [seconds((0, 100, "x"), (200, 300, "y"))])
    assert (found.observed_seconds, found.gaps) == (100, ())


def test_what_lies_outside_the_cycle_is_cut_off():
    source = seconds((-50, 20, "x"), (50, 600, "Timeout"))
    assert coverage(0, 100_000, [source]) == Coverage(70, (Gap(20, 50, "Timeout"),))
    before = seconds((-50, -20, "x"), (200, 600, "Timeout"))
    assert coverage(0, 100_000, [before]) == Coverage(0, (Gap(0, 100, "Timeout"),))


def test_the_time_since_the_last_success_is_no_gap_before_two_intervals():
    recent = Observed([Interval(0, 60_000)], None, interval_ms=20_000)
    assert coverage(0, 100_000, [recent]).gaps == ()
    assert coverage(0, 101_000, [recent]).gaps == (Gap(60, 101, "NoPoll"),)


def test_a_failing_source_gives_the_reason_of_the_gap_at_the_end():
    failing = Observed([Interval(0, 60_000)], "Unauthorized")
    assert coverage(0, 100_000, [failing]).gaps == (Gap(60, 100, "Unauthorized"),)
    never = Observed([], "Unauthorized")
    assert coverage(0, 100_000, [never]).gaps == (Gap(0, 100, "Unauthorized"),)
    for fresh in (Observed([]), Observed([], interval_ms=60_000)):
        assert coverage(0, 100_000, [fresh]).gaps == (Gap(0, 100, "BeforeFirstPoll"),)


def test_without_a_source_nothing_is_observed():
    assert coverage(0, 100_000, []) == Coverage(0, (Gap(0, 100, "NoPoll"),))
    assert coverage(5_000, 5_000, []) == Coverage(0, ())


def test_observed_means_by_all_sources():
    one = seconds((0, 50, "x"), (80, 100, "One"))
    two = seconds((0, 60, "x"), (70, 100, "Two"))
    assert coverage(0, 100_000, [one, two]) == Coverage(70, (Gap(50, 80, "One"),))


def test_gaps_that_touch_keep_their_own_reasons():
    one = seconds((0, 50, "x"), (60, 100, "One"))
    two = seconds((0, 55, "x"), (70, 100, "Two"))
    assert coverage(0, 100_000, [one, two]).gaps == (Gap(50, 60, "One"), Gap(60, 70, "Two"))


def test_gaps_that_touch_for_the_same_reason_are_one():
    one = seconds((0, 50, "x"), (60, 100, "Same"))
    two = seconds((0, 60, "x"), (70, 100, "Same"))
    assert coverage(0, 100_000, [one, two]).gaps == (Gap(50, 70, "Same"),)


def test_a_cycle_that_begins_later_is_covered_from_its_own_start():
    source = seconds((0, 60, "x"), (80, 100, "Timeout"))
    assert coverage(50_000, 100_000, [source]) == Coverage(30, (Gap(60, 80, "Timeout"),))


def test_the_parts_of_a_second_are_never_called_observed():
    source = Observed([Interval(0, 10_900), Interval(20_100, 30_000, "Timeout")])
    assert coverage(0, 30_000, [source]).gaps == (Gap(10, 21, "Timeout"),)


def test_at_most_32_gaps_and_the_nearest_are_joined():
    spans = [(100 * n, 100 * n + 50, f"R{n}") for n in range(33)]
    spans[7] = (700, 701, "R7")  # the shortest observed span
    whole = coverage(0, 3_300_000, [seconds(*spans)])
    assert whole.merged
    assert len(whole.gaps) == 32
    assert Gap(650, 800, "R8") in whole.gaps  # the longer one's reason stands
    lost = sum(gap.end_s - gap.start_s for gap in whole.gaps)
    assert whole.observed_seconds == 32 * 50 + 1
    assert whole.observed_seconds + lost == 3300 + 1

    fits = coverage(0, 3_250_000, [seconds(*spans)])
    assert not fits.merged
    assert len(fits.gaps) == 32


def test_of_joined_gaps_the_longer_ones_reason_stands_or_the_earlier_ones():
    def joined(near: int, length: int) -> Gap:
        """33 gaps of 50 s, but for one of ``length`` that begins a second after the one before."""
        at = [(100 * n, 100 * n + 50) for n in range(33)]
        at[near] = (at[near - 1][1] + 1, at[near - 1][1] + 1 + length)
        observed = [(0, 0, "x")]
        for number, (start, end) in enumerate(at):
            observed[-1] = (observed[-1][0], start, observed[-1][2])
            observed.append((end, end, f"R{number}"))
        observed[-1] = (observed[-1][0], 3300, observed[-1][2])
        (gap,) = set(coverage(0, 3_300_000, [seconds(*observed)]).gaps) - {
            Gap(start, end, f"R{number}") for number, (start, end) in enumerate(at)
        }
        return gap

    assert joined(5, 10) == Gap(400, 461, "R4")
    assert joined(5, 50) == Gap(400, 501, "R4")
    assert joined(32, 51) == Gap(3100, 3202, "R32")


@given(
    st.lists(
        st.lists(st.tuples(st.integers(-50, 4000), st.integers(1, 90)), max_size=40), max_size=3
    ),
    st.integers(0, 4000),
)
def test_coverage_is_consistent_whatever_was_seen(sources, end):
    observed = []
    for spans in sources:
        intervals: list[Interval] = []
        for start, length in sorted(spans):
            if not intervals or start * 1000 > intervals[-1].end_ms:
                intervals.append(Interval(start * 1000, (start + length) * 1000, "Why"))
        observed.append(Observed(intervals))
    found = coverage(0, end * 1000, observed)
    assert found.observed_seconds >= 0
    assert len(found.gaps) <= 32
    assert all(0 <= gap.start_s < gap.end_s <= end for gap in found.gaps)
    assert all(a.end_s <= b.start_s for a, b in zip(found.gaps, found.gaps[1:], strict=False))
    total = found.observed_seconds + sum(gap.end_s - gap.start_s for gap in found.gaps)
    assert total >= end if found.merged else total == end


class TestDaysFollowed:
    """A day is known if a poll ended within two intervals after its end."""

    def test_the_day_before_is_known(self):
        assert days_followed(CYCLE, CYCLE.start_ms + DAY_MS, STEP) == 0b1
        assert days_followed(CYCLE, CYCLE.start_ms + DAY_MS + 2 * STEP, STEP) == 0b1

    def test_a_later_poll_makes_nothing_known(self):
        assert days_followed(CYCLE, CYCLE.start_ms + DAY_MS + 2 * STEP + 1, STEP) == 0
        assert days_followed(CYCLE, CYCLE.start_ms + DAY_MS - 1, STEP) == 0

    def test_the_last_day_is_known_by_a_poll_after_the_cycle(self):
        assert days_followed(CYCLE, CYCLE.end_ms + STEP, STEP) == 0b100
        assert days_followed(CYCLE, CYCLE.end_ms + DAY_MS, STEP) == 0

    def test_long_intervals_may_follow_several_days(self):
        assert days_followed(CYCLE, CYCLE.end_ms, DAY_MS) == 0b111

    def test_before_the_cycle_nothing_is_known(self):
        assert days_followed(CYCLE, CYCLE.start_ms - DAY_MS, STEP) == 0


class TestGapAround:
    """The unobserved span around a cycle's end, for the sentence about it."""

    def test_from_the_last_success_to_the_first_one_after(self):
        source = seconds((0, 50, "x"), (80, 100, "y"))
        assert gap_around(60_000, [source]) == (50_000, 80_000)

    def test_a_success_that_ends_at_the_instant_is_before_it_and_one_that_starts_there_observes_it(
        self,
    ):
        source = seconds((0, 50, "x"), (80, 100, "y"))
        assert gap_around(50_000, [source]) == (50_000, 80_000)
        assert gap_around(80_000, [source]) is None

    def test_none_where_it_was_observed_or_never_read_again(self):
        source = seconds((0, 50, "x"), (80, 100, "y"))
        assert gap_around(90_000, [source]) is None
        assert gap_around(120_000, [source]) is None
        assert gap_around(-1, [source]) is None

    def test_the_nearest_successes_on_either_side_tell(self):
        source = seconds((0, 10, "x"), (20, 50, "x"), (80, 100, "y"), (200, 300, "z"))
        assert gap_around(60_000, [source]) == (50_000, 80_000)
        assert [gap_around(at, [source]) for at in (25_000, 80_000, 90_000)] == [None] * 3

    def test_the_widest_of_several_sources(self):
        sources = [seconds((0, 50, "x"), (80, 100, "y")), seconds((0, 40, "x"), (70, 100, "y"))]
        assert gap_around(60_000, sources) == (40_000, 80_000)


class TestHoles:
    """What a log lost is a gap, although every poll succeeded; in whole seconds, to the outside."""

    def found(self, *holes: Hole) -> Coverage:
        return coverage(0, 100_000, [Observed([Interval(0, 100_000, "")], holes=holes)])

    def test_a_hole_is_a_gap_with_its_reason(self):
        found = self.found(Hole(20_999, 29_001, "StreamPurged"))
        assert found.gaps == (Gap(20, 30, "StreamPurged"),)

    def test_only_the_part_within_the_time_stated_counts(self):
        found = self.found(Hole(0, 5_000, "A"), Hole(95_000, 200_000, "B"))
        assert found.gaps == (Gap(0, 5, "A"), Gap(95, 100, "B"))
        assert found.observed_seconds == 90

    def test_nothing_outside_is_a_gap(self):
        assert self.found(Hole(100_000, 100_500, "A"), Hole(50_000, 50_000, "B")).gaps == ()
