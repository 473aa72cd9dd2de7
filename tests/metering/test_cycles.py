"""Cycles: whole UTC days on a grid from the anchor, half-open."""

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from licenseusage.errors import Stalled
from licenseusage.metering.cycles import (
    CYCLE_BIT,
    DAY_MS,
    Cycle,
    Grid,
    Terms,
    cycle_at,
    first_grid,
    grid_at,
    next_cycle,
    seen_before,
    with_terms,
)


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


DAYS = Terms(date(2026, 1, 15), length_days=30)
MONTHS = Terms(date(2026, 1, 15), length_months=1)

lengths = st.one_of(
    st.builds(Terms, st.dates(date(2000, 1, 1), date(2100, 1, 1)), st.integers(1, 62)),
    st.builds(
        lambda day, months: Terms(day.replace(day=min(day.day, 28)), length_months=months),
        st.dates(date(2000, 1, 1), date(2100, 1, 1)),
        st.integers(1, 2),
    ),
)


@pytest.mark.parametrize(
    ("terms", "index", "start", "end"),
    [
        (DAYS, 0, "2026-01-15", "2026-02-14"),
        (DAYS, 10, "2026-11-11", "2026-12-11"),
        (MONTHS, 0, "2026-01-15", "2026-02-15"),
        (MONTHS, 11, "2026-12-15", "2027-01-15"),
        (Terms(date(2026, 12, 28), length_months=2), 1, "2027-02-28", "2027-04-28"),
        (Terms(date(2028, 2, 28), length_days=1), 1, "2028-02-29", "2028-03-01"),
    ],
)
def test_a_cycle_starts_and_ends_at_midnight_utc(terms, index, start, end):
    assert terms.cycle(index) == Cycle(index, ms(start), ms(end))


def test_the_end_belongs_to_the_next_cycle():
    end = DAYS.cycle(3).end_ms
    assert DAYS.at(end - 1).index == 3
    assert DAYS.at(end).index == 4


@pytest.mark.parametrize("terms", [DAYS, MONTHS])
def test_there_is_no_cycle_before_the_anchor(terms):
    assert terms.at(ms("2026-01-15") - 1) is None
    assert terms.at(ms("2026-01-15")).index == 0


def test_daylight_saving_moves_no_boundary():
    for index in range(15):
        assert DAYS.cycle(index).start_ms % DAY_MS == 0
        assert DAYS.cycle(index).days == 30


@given(lengths, st.integers(0, 1000))
def test_cycles_follow_each_other_without_hole_or_overlap(terms, index):
    cycle, following = terms.cycle(index), terms.cycle(index + 1)
    assert cycle.end_ms == following.start_ms
    assert 1 <= cycle.days <= 62
    assert terms.at(cycle.start_ms) == terms.at(cycle.end_ms - 1) == cycle
    assert terms.first_from(cycle.start_ms) == cycle
    assert terms.first_from(cycle.start_ms + 1) == following


def test_windows_are_the_cycle_and_its_days():
    windows = Terms(date(2026, 3, 1), length_days=2).cycle(0).windows()
    start = ms("2026-03-01")
    assert windows == {
        CYCLE_BIT: (start, start + 2 * DAY_MS),
        0: (start, start + DAY_MS),
        1: (start + DAY_MS, start + 2 * DAY_MS),
    }


@pytest.mark.parametrize(
    ("days", "months", "reason"),
    [
        (None, None, "InvalidSpec"),
        (30, 1, "InvalidSpec"),
        (0, None, "InvalidSpec"),
        (None, 0, "InvalidSpec"),
        (63, None, "CycleUnsupported"),
        (None, 3, "CycleUnsupported"),
    ],
)
def test_impossible_lengths_are_refused(days, months, reason):
    with pytest.raises(Stalled) as refused:
        Terms(date(2026, 1, 15), days, months)
    assert refused.value.reason == reason


@pytest.mark.parametrize(("days", "months", "told"), [(63, None, "63 days"), (None, 3, "3 months")])
def test_a_length_that_is_too_great_is_named_with_its_unit(days, months, told):
    with pytest.raises(Stalled, match=f"length of {told} is not supported"):
        Terms(date(2026, 1, 15), days, months)


def test_months_from_a_day_that_not_every_month_has_are_refused():
    with pytest.raises(Stalled, match="day 29") as refused:
        Terms(date(2026, 1, 29), length_months=1)
    assert refused.value.reason == "InvalidSpec"
    Terms(date(2026, 1, 31), length_days=30)


def test_the_longest_cycles_and_the_last_index_are_those_of_the_format():
    assert Terms(date(2026, 1, 1), length_days=62).cycle(100_000).days == 62
    assert Terms(date(2026, 1, 28), length_months=2).cycle(0).days == 59


@pytest.mark.parametrize("index", [-1, 100_001])
def test_an_index_beyond_the_format_is_refused(index):
    with pytest.raises(ValueError, match="not in 0"):
        DAYS.cycle(index)


@given(lengths, lengths, st.integers(0, 400), st.integers(0, DAY_MS), st.integers(0, 100))
def test_a_restored_ledger_lets_no_former_cycle_run_beside_a_reported_one(old, new, day, at, later):
    before = (first_grid(old, "old"),)
    seen_ms = before[0].first().start_ms + day * DAY_MS + at
    first = with_terms(before, new, seen_ms, "new")[-1].first()
    now_ms = first.start_ms + later * DAY_MS
    restored = with_terms(before, new, seen_before(before, first.start_ms, now_ms), "new")
    assert cycle_at(restored, first.start_ms) == first
    last = cycle_at(restored, first.start_ms - 1)
    assert last is None or last.end_ms <= first.start_ms


def test_terms_of_which_nothing_was_reported_are_seen_now():
    grids = (first_grid(DAYS, "old"),)
    assert seen_before(grids, None, 5) == 5
    assert seen_before((), ms("2026-12-15"), 5) == 5


class TestNewTerms:
    """A changed licence never moves a boundary in mid-cycle: the old cycle runs to its end."""

    old = first_grid(DAYS)
    now = ms("2026-11-23")
    changed = with_terms([old], MONTHS, now)

    def test_the_same_terms_change_nothing(self):
        assert with_terms([self.old], DAYS, self.now) == (self.old,)

    def test_the_first_terms_start_at_their_anchor(self):
        assert with_terms([], DAYS, self.now) == (Grid(ms("2026-01-15"), DAYS),)

    def test_the_running_cycle_keeps_its_end(self):
        assert cycle_at(self.changed, self.now) == DAYS.cycle(10)
        assert cycle_at(self.changed, DAYS.cycle(10).end_ms - 1) == DAYS.cycle(10)

    def test_the_span_up_to_the_new_grid_belongs_to_no_cycle(self):
        assert cycle_at(self.changed, ms("2026-12-11")) is None
        assert cycle_at(self.changed, ms("2026-12-15") - 1) is None
        assert cycle_at(self.changed, ms("2026-12-15")) == MONTHS.cycle(11)

    def test_the_next_cycle_is_found_across_the_change(self):
        assert next_cycle(self.changed, self.now) == MONTHS.cycle(11)
        assert next_cycle(self.changed, ms("2026-12-12")) == MONTHS.cycle(11)
        assert next_cycle([self.old], self.now) == DAYS.cycle(11)

    def test_terms_taken_back_before_they_acted_leave_no_trace(self):
        assert with_terms(self.changed, DAYS, self.now + DAY_MS) == (self.old,)

    def test_terms_that_never_acted_give_way_to_newer_ones(self):
        other = Terms(date(2026, 1, 1), length_months=1)
        boundary = DAYS.cycle(10).end_ms
        assert with_terms(self.changed, other, self.now) == (self.old, Grid(boundary, other))
        between = with_terms(self.changed, other, ms("2026-12-12"))
        assert between == (self.old, Grid(boundary, other))
        assert cycle_at(between, ms("2026-12-12")) is None
        assert cycle_at(between, ms("2027-01-01")) == other.cycle(12)

    def test_an_anchor_corrected_before_the_first_cycle_replaces_it(self):
        wrong = first_grid(Terms(date(2027, 1, 15), length_days=30))
        assert with_terms([wrong], DAYS, self.now) == (self.old,)
        later = Terms(date(2028, 1, 1), length_days=30)
        assert with_terms([wrong], later, self.now) == (first_grid(later),)

    def test_another_contract_with_the_same_terms_acts_from_the_next_cycle_on(self):
        begun = with_terms([], DAYS, self.now, "old")
        changed = with_terms(begun, DAYS, self.now, "new")
        assert changed == (*begun, Grid(DAYS.cycle(10).end_ms, DAYS, "new"))
        assert cycle_at(changed, self.now) == DAYS.cycle(10)
        assert next_cycle(changed, self.now) == DAYS.cycle(11)
        assert with_terms(changed, DAYS, self.now, "old") == begun

    def test_of_contracts_that_never_acted_only_the_last_one_does(self):
        begun = with_terms([], DAYS, self.now, "old")
        wrong = with_terms(begun, MONTHS, self.now, "wrong")
        between = with_terms(wrong, DAYS, ms("2026-12-12"), "new")
        assert between == (*begun, Grid(DAYS.cycle(10).end_ms, DAYS, "new"))

    def test_before_the_first_cycle_another_contract_takes_its_place(self):
        early = with_terms([], DAYS, ms("2026-01-01"), "old")
        assert with_terms(early, DAYS, ms("2026-01-02"), "new") == (first_grid(DAYS, "new"),)

    def test_cycles_counted_without_a_contract_belong_to_the_first_of_their_terms(self):
        assert with_terms([self.old], DAYS, self.now, "first") == (first_grid(DAYS, "first"),)
        assert with_terms([self.old], MONTHS, self.now, "first") == (
            self.old,
            Grid(DAYS.cycle(10).end_ms, MONTHS, "first"),
        )

    def test_terms_without_a_contract_leave_the_one_of_the_cycles_that_run(self):
        begun = with_terms([], DAYS, self.now, "old")
        assert with_terms(begun, DAYS, self.now) == begun

    def test_cycles_counted_before_those_without_a_contract_stay_as_they_were(self):
        grids = (first_grid(DAYS, "old"), Grid(DAYS.cycle(10).end_ms, MONTHS))
        later = ms("2027-01-20")
        assert with_terms(grids, MONTHS, later, "first") == (
            grids[0],
            replace(grids[1], subscription="first"),
        )

    def test_terms_that_come_with_the_first_instant_of_a_cycle_wait_for_its_end(self):
        first = DAYS.cycle(0)
        assert with_terms([self.old], MONTHS, first.start_ms) == (
            self.old,
            Grid(first.end_ms, MONTHS),
        )

    def test_terms_that_come_with_the_end_of_the_old_cycle_take_the_place_of_the_new_ones(self):
        other = Terms(date(2026, 1, 1), length_months=1)
        boundary = DAYS.cycle(10).end_ms
        assert with_terms(self.changed, other, boundary) == (self.old, Grid(boundary, other))

    def test_of_several_grids_the_one_at_the_cycles_end_says_what_comes_next(self):
        later = Grid(MONTHS.cycle(11).end_ms, Terms(date(2027, 3, 1), length_days=7))
        assert next_cycle((*self.changed, later), self.now) == MONTHS.cycle(11)
        assert next_cycle((*self.changed, later), MONTHS.cycle(11).start_ms) == later.first()

    def test_before_the_anchor_of_the_new_terms_no_cycle_runs(self):
        late = Terms(date(2027, 3, 1), length_days=30)
        assert cycle_at(with_terms([self.old], late, self.now), ms("2027-02-01")) is None

    def test_the_first_instant_of_a_grid_belongs_to_its_first_cycle(self):
        assert cycle_at([self.old], DAYS.cycle(0).start_ms) == DAYS.cycle(0)
        assert grid_at([self.old], DAYS.cycle(0).start_ms) == self.old
        assert grid_at([self.old], DAYS.cycle(0).start_ms - 1) is None
        assert grid_at([], self.now) is None

    def test_before_the_anchor_the_first_cycle_is_next(self):
        assert cycle_at([self.old], ms("2026-01-01")) is None
        assert next_cycle([self.old], ms("2026-01-01")) == DAYS.cycle(0)
        assert next_cycle([], self.now) is None
