"""The forecast of a running cycle: what it keeps to, when there is none, and that it is of use."""

from dataclasses import replace
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.forecast import PATTERNS, score
from licenseusage.metering.bounds import Bounds
from licenseusage.metering.coverage import Coverage
from licenseusage.metering.cycles import DAY_MS, Cycle
from licenseusage.metering.forecast import Lack, Past, forecast, lack_of, past_of
from licenseusage.metering.statement import CycleStatement

LENGTH = 28
CYCLES = [Cycle(n, n * LENGTH * DAY_MS, (n + 1) * LENGTH * DAY_MS) for n in range(5)]
NOW = CYCLES[4]


def past(fresh, cycle=CYCLES[3], users=None):
    total = sum(fresh)
    return Past(cycle, users or total, tuple(accumulate(fresh)), tuple(fresh))


def running(lower, days, provisioned=None, daily=None, conflict=False):
    return CycleStatement(
        NOW,
        NOW.start_ms + int(days * DAY_MS),
        Bounds(lower, None, conflict=conflict),
        tuple(daily) if daily is not None else (lower,) * int(days + 0.999),
        Coverage(0, ()),
        provisioned=provisioned,
    )


def ended(users, upper, daily=(5,) * LENGTH):
    return CycleStatement(
        CYCLES[3], CYCLES[3].end_ms, Bounds(users, upper), tuple(daily), Coverage(0, ())
    )


STEADY = past([300, *[10] * 27])  # 570 in the end

shapes = st.lists(st.integers(0, 400), min_size=LENGTH, max_size=LENGTH).filter(any)


@st.composite
def pasts(draw):
    fresh = draw(st.lists(shapes, min_size=1, max_size=4))
    return [past(each, CYCLES[3 - number]) for number, each in enumerate(fresh)]


# -- what it keeps to


@given(
    pasts(),
    st.integers(1, 20_000),
    st.floats(0.01, LENGTH - 0.01),
    st.none() | st.integers(0, 30_000),
)
def test_it_is_never_below_what_is_proved_and_never_above_the_users_listed(
    cycles, lower, days, provisioned
):
    made = forecast(running(lower, days, provisioned), cycles)
    assert lower <= made.low <= made.users <= made.high
    if provisioned is not None:
        assert made.high <= max(lower, provisioned)


@given(pasts(), st.integers(1, 20_000))
def test_at_the_end_of_the_cycle_it_is_what_is_proved(cycles, lower):
    made = forecast(running(lower, LENGTH), cycles)
    assert (made.low, made.users, made.high) == (lower, lower, lower)


@given(pasts(), st.floats(0.01, LENGTH - 0.01), st.integers(1, 10_000), st.integers(1, 10_000))
def test_more_people_so_far_never_mean_fewer_in_the_end(cycles, days, lower, more):
    assert forecast(running(lower, days), cycles).users <= (
        forecast(running(lower + more, days), cycles).users
    )


@given(st.integers(1, 27), shapes)
def test_a_cycle_that_grows_as_the_last_one_did_ends_as_that_one(days, fresh):
    before = past(fresh)
    so_far = before.growth[days - 1]
    if so_far:
        made = forecast(running(so_far, days, daily=fresh[:days]), [before])
        assert made.users == before.users


@given(st.integers(1, 27))
def test_the_interval_narrows_while_the_cycle_grows(days):
    earlier, later = (
        forecast(running(STEADY.growth[day - 1], day), [STEADY]) for day in (days, days + 1)
    )
    assert later.high - later.low <= earlier.high - earlier.low


def test_cycles_that_differed_make_the_interval_wider():
    alike = [past([300, *[10] * 27], cycle) for cycle in CYCLES[3:0:-1]]
    unlike = [past([fresh, *[10] * 27], CYCLES[3 - n]) for n, fresh in enumerate((300, 900, 100))]
    narrow, wide = (forecast(running(400, 10), cycles) for cycles in (alike, unlike))
    assert wide.high - wide.low > 2 * (narrow.high - narrow.low)
    assert (narrow.cycles, wide.cycles) == (3, 3)


def test_a_weekend_at_the_start_does_not_look_like_a_lack_of_people():
    def workdays(first):
        return [0 if (first + day) % 7 in (2, 3) else 20 for day in range(LENGTH)]

    now, three_days_off = NOW.start_ms // DAY_MS, CYCLES[3].start_ms // DAY_MS + 3
    before = past(
        workdays(three_days_off),
        Cycle(3, three_days_off * DAY_MS, (three_days_off + LENGTH) * DAY_MS),
    )
    until = workdays(now)[:9]
    made = forecast(running(sum(until), 9, daily=until), [before])
    assert abs(made.users - before.users) <= 0.05 * before.users


# -- when there is none


@pytest.mark.parametrize(
    ("statement", "count", "known", "lack"),
    [
        (running(5, 10), 0, [], Lack.FIRST_CYCLE),
        (running(5, 10), 2, [], Lack.EARLIER_UNKNOWN),
        (running(0, 10), 1, [STEADY], Lack.NOTHING_SEEN),
        (running(5, 10, conflict=True), 1, [STEADY], Lack.NOTHING_SEEN),
        (running(5, 10, daily=[5, None, None, *[5] * 7]), 1, [STEADY], Lack.DAYS_UNKNOWN),
        (running(5, 10, daily=[5, None, *[5] * 7, None]), 1, [STEADY], Lack.DAYS_UNKNOWN),
        (running(5, 12, daily=[5, None, *[5] * 9, None]), 1, [STEADY], None),
        (running(5, 10), 1, [STEADY], None),
    ],
)
def test_it_is_said_why_there_is_no_forecast(statement, count, known, lack):
    assert lack_of(statement, count, known) is lack


FIRST = (15, *[5] * 27)


def test_a_cycle_with_an_upper_bound_and_known_days_has_a_shape():
    shape = past_of(ended(150, 160), FIRST)
    assert shape is not None
    assert (shape.users, shape.growth[:2], shape.growth[-1]) == (150, (15, 20), 150)


@pytest.mark.parametrize(
    ("statement", "first_days"),
    [
        (ended(150, None), FIRST),
        (ended(0, 150), FIRST),
        (ended(150, 150), ()),
        (ended(150, 150), FIRST[:-1]),
        (ended(150, 160, [None] * 4 + [5] * 24), FIRST),
        (ended(200, 200), FIRST),
        (replace(ended(150, 150), bounds=Bounds(150, 160, conflict=True)), FIRST),
    ],
    ids=["lower bound", "upper bound", "wiped", "days", "blind", "undated", "conflict"],
)
def test_a_cycle_of_which_too_little_is_known_has_none(statement, first_days):
    assert past_of(statement, first_days) is None


# -- that it is of use (`python -m bench --only forecast` prints the table)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_on_every_pattern_it_errs_far_less_than_a_linear_forecast(pattern):
    result = score(pattern, seeds=1)
    assert result.error < 0.2 * result.naive
    assert result.covered > 0.7


# -- the shape of an ended cycle, and the time within a day


def test_a_cycle_of_one_user_has_a_shape():
    first_days = [1, *[0] * (LENGTH - 1)]
    assert past_of(ended(1, 1, daily=first_days), first_days) is not None


def test_as_a_day_passes_without_anybody_new_fewer_are_expected():
    days = (10, 10.25, 10.5, 10.75, 11)
    expected = [forecast(running(400, day, daily=(10,) * 11), [STEADY]).users for day in days]
    assert expected == sorted(expected, reverse=True)
    assert expected[0] > expected[-1]


@pytest.mark.parametrize(("dated", "has"), [(9, True), (8, False)])
def test_nine_of_ten_users_must_have_a_first_day(dated, has):
    first_days = [dated, *[0] * (LENGTH - 1)]
    assert (past_of(ended(10, 10), first_days) is not None) == has


def test_a_cycle_of_nobody_has_no_shape():
    nobody = [0] * LENGTH
    assert past_of(ended(0, 0, daily=nobody), nobody) is None
