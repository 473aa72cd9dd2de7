"""Which cycles a refuted guarantee concerns, and until when."""

from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from licenseusage.metering.cycles import DAY_MS, Cycle
from licenseusage.metering.properties import Guarantee
from licenseusage.metering.refuting import Refutation, applies_to

CYCLES = [Cycle(n, start, start + 4 * DAY_MS) for n, start in zip(range(5), count(0, 4 * DAY_MS))]
BEFORE, FIRST, SECOND, THIRD, LATER = CYCLES
TIMES = st.integers(0, LATER.end_ms)


def seen(at_ms: int, lifted_ms: int | None, guarantee: Guarantee = Guarantee.ONE_LOG) -> Refutation:
    return Refutation("events", guarantee, "", at_ms, "words", lifted_ms)


def concerned(refutation: Refutation) -> list[int]:
    return [cycle.index for cycle in CYCLES if applies_to(refutation, cycle)]


@given(TIMES, st.sampled_from(Guarantee))
def test_what_stands_concerns_every_cycle(at_ms, guarantee):
    assert concerned(seen(at_ms, None, guarantee)) == [0, 1, 2, 3, 4]


@given(TIMES, TIMES, st.sampled_from([one for one in Guarantee if one != Guarantee.ONE_LOG]))
def test_another_guarantee_that_is_declared_anew_is_believed_of_all(at_ms, lifted_ms, guarantee):
    assert concerned(seen(at_ms, lifted_ms, guarantee)) == []


@given(TIMES, TIMES)
def test_several_logs_cost_the_bound_of_each_cycle_in_which_they_were_seen(at_ms, later_ms):
    at_ms, lifted_ms = sorted((at_ms, later_ms))
    found = concerned(seen(at_ms, lifted_ms))
    for cycle in CYCLES:
        overlaps = cycle.start_ms <= at_ms < cycle.end_ms or (
            cycle.start_ms < lifted_ms and at_ms < cycle.end_ms
        )
        assert not overlaps or cycle.index in found


@given(TIMES, TIMES)
def test_a_cycle_that_began_when_there_was_one_log_again_is_not_concerned(at_ms, later_ms):
    at_ms, lifted_ms = sorted((at_ms, later_ms))
    after = [c.index for c in CYCLES if c.start_ms >= lifted_ms and c.start_ms > at_ms]
    assert not set(after) & set(concerned(seen(at_ms, lifted_ms)))


def test_seen_after_the_end_they_may_have_been_there_before():
    """A cycle that waits for its closing poll then is proved by nothing of what comes."""
    at_ms = FIRST.end_ms + 60_000
    assert concerned(seen(at_ms, at_ms + 60_000)) == [0, 1, 2]


@pytest.mark.parametrize("lifted_ms", [SECOND.start_ms, BEFORE.start_ms])
def test_a_clock_that_was_set_back_takes_no_sighting_out_of_its_cycle(lifted_ms):
    assert concerned(seen(SECOND.start_ms, lifted_ms)) == [0, 1, 2]
