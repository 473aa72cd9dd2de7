"""A definition that changes in mid-cycle: each part by its own facts, the whole by all (§7)."""

import pytest

from licenseusage.metering.bounds import Accuracy, Bounds
from licenseusage.metering.combine import Combine, Store, evaluate_segments
from licenseusage.metering.cycles import CYCLE_BIT, CYCLE_MASK, DAY_MS, Cycle, Segment
from licenseusage.metering.facts import Facts, Row, list_facts
from licenseusage.metering.properties import Properties, Removal

CYCLE = Cycle(0, 10 * DAY_MS, 13 * DAY_MS)
NOON = CYCLE.start_ms + DAY_MS + DAY_MS // 2
BEFORE, AFTER = Segment(CYCLE, CYCLE.start_ms, NOON), Segment(CYCLE, NOON, CYCLE.end_ms)
KEPT = Properties(removal=Removal.NEVER, ids_stable=True, lag_ms=0)
LOOSE = Properties(removal=Removal.NEVER, lag_ms=0)
ANN, BOB = b"a" * 16, b"b" * 16


def listed(segment, at_ms, properties=KEPT, **values):
    """Facts of a complete poll at a time: user -> last activity."""
    users = {"ann": ANN, "bob": BOB}
    return list_facts(
        segment,
        properties,
        started_ms=at_ms,
        ended_ms=at_ms,
        clock_skew_ms=0,
        complete=True,
        rows=[Row(users[name], value, None) for name, value in values.items()],
    )


def store(segment, facts, properties=KEPT, domain="one"):
    return Store(domain, facts, properties, segment)


def test_windows_are_cut_to_the_segment_and_days_keep_their_numbers():
    day = CYCLE.start_ms + DAY_MS
    assert BEFORE.windows() == {
        CYCLE_BIT: (CYCLE.start_ms, NOON),
        0: (CYCLE.start_ms, day),
        1: (day, NOON),
    }
    assert AFTER.windows() == {
        CYCLE_BIT: (NOON, CYCLE.end_ms),
        1: (NOON, day + DAY_MS),
        2: (day + DAY_MS, CYCLE.end_ms),
    }
    assert AFTER.day_of(NOON) == 1
    assert set(Segment(CYCLE, day, CYCLE.end_ms).windows()) == {CYCLE_BIT, 1, 2}


def test_a_window_has_ended_with_its_part_of_the_segment():
    assert BEFORE.ended_by(NOON - 1) == 0b001
    assert BEFORE.ended_by(NOON) == 0b011 | CYCLE_MASK
    assert AFTER.ended_by(NOON) == 0
    assert AFTER.ended_by(CYCLE.end_ms) == 0b110 | CYCLE_MASK


def test_a_window_has_begun_with_its_part_of_the_segment():
    assert AFTER.begun_by(NOON - 1) == 0
    assert AFTER.begun_by(NOON) == 0b010 | CYCLE_MASK
    assert AFTER.begun_by(CYCLE.end_ms - DAY_MS) == 0b110 | CYCLE_MASK
    assert CYCLE.begun_by(CYCLE.start_ms - 1) == 0
    assert CYCLE.begun_by(CYCLE.start_ms) == 0b001 | CYCLE_MASK


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (NOON, NOON),
        (NOON, NOON - 1),
        (CYCLE.start_ms - 1, NOON),
        (NOON, CYCLE.end_ms + 1),
    ],
)
def test_what_is_no_part_of_the_cycle_is_no_segment(start, end):
    with pytest.raises(ValueError, match="not a part"):
        Segment(CYCLE, start, end)
    assert Segment(CYCLE, CYCLE.start_ms, CYCLE.end_ms).days == 3


def test_people_are_united_over_the_segments_and_both_prove_it():
    early = listed(BEFORE, NOON, ann=NOON - 5000, bob=CYCLE.start_ms - 5000)
    late = listed(AFTER, CYCLE.end_ms, ann=NOON + 5000, bob=NOON + 5000)
    parts = {BEFORE: [store(BEFORE, early)], AFTER: [store(AFTER, late)]}
    assert evaluate_segments(parts) == Bounds(2, 2)
    assert evaluate_segments(parts, window=0) == Bounds(0, 1)  # ann may have been there before
    assert evaluate_segments(parts, window=1) == Bounds(2, 2)


def test_a_segment_without_its_own_proof_leaves_no_upper_bound():
    early = listed(BEFORE, NOON - 1, ann=NOON - 5000)  # too early to have seen all of it
    late = listed(AFTER, CYCLE.end_ms, bob=NOON + 5000)
    parts = {BEFORE: [store(BEFORE, early)], AFTER: [store(AFTER, late)]}
    assert evaluate_segments(parts) == Bounds(2, None)
    assert evaluate_segments(parts, window=2) == Bounds(0, 0), "a day of the other segment alone"


def test_a_segment_without_a_store_leaves_no_upper_bound():
    late = listed(AFTER, CYCLE.end_ms, bob=NOON + 5000)
    assert evaluate_segments({BEFORE: [], AFTER: [store(AFTER, late)]}) == Bounds(1, None)


def test_time_that_no_segment_covers_was_counted_by_nobody():
    late = listed(AFTER, CYCLE.end_ms, bob=NOON + 5000)
    assert evaluate_segments({AFTER: [store(AFTER, late)]}) == Bounds(1, None)
    assert evaluate_segments({AFTER: [store(AFTER, late)]}, window=2) == Bounds(0, 0)
    assert evaluate_segments({}) == Bounds(0, None)
    hole = {BEFORE: [store(BEFORE, listed(BEFORE, NOON))], AFTER: [store(AFTER, late)]}
    last_day = Segment(CYCLE, CYCLE.end_ms - DAY_MS, CYCLE.end_ms)
    hole[last_day] = hole.pop(AFTER)
    assert evaluate_segments(hole).upper is None


def test_the_end_of_a_cycle_that_no_segment_covers_was_counted_by_nobody():
    early = listed(BEFORE, CYCLE.end_ms, ann=NOON - 5000)
    assert evaluate_segments({BEFORE: [store(BEFORE, early)]}) == Bounds(1, None)


def test_segments_of_different_cycles_are_not_one_cycle():
    other = Cycle(1, CYCLE.end_ms, CYCLE.end_ms + 3 * DAY_MS)
    whole = [Segment(cycle, cycle.start_ms, cycle.end_ms) for cycle in (CYCLE, other)]
    parts = {one: [store(one, listed(one, one.end_ms))] for one in whole}
    assert evaluate_segments(parts).upper is None


def test_domains_that_changed_with_the_definition_are_never_united():
    early = listed(BEFORE, NOON, ann=NOON - 5000)
    late = listed(AFTER, CYCLE.end_ms, ann=NOON + 5000)
    parts = {
        BEFORE: [store(BEFORE, early, domain="one")],
        AFTER: [store(AFTER, late, domain="two")],
    }
    assert evaluate_segments(parts) == Bounds(1, 2)


def test_each_of_several_domains_is_united_over_the_segments():
    parts = {
        segment: [
            store(segment, listed(segment, segment.end_ms, ann=segment.end_ms - 5000)),
            store(
                segment, listed(segment, segment.end_ms, bob=segment.end_ms - 5000), domain="two"
            ),
        ]
        for segment in (BEFORE, AFTER)
    }
    assert evaluate_segments(parts) == Bounds(1, 2)


def test_numbers_of_unstable_ids_stand_alone_beside_users_that_can_be_compared():
    early = listed(BEFORE, NOON, LOOSE, ann=NOON - 5000)
    late = listed(AFTER, CYCLE.end_ms, bob=NOON + 5000)
    parts = {BEFORE: [store(BEFORE, early, LOOSE)], AFTER: [store(AFTER, late)]}
    assert evaluate_segments(parts) == Bounds(1, 2)


def test_observers_of_the_same_activity_rule_people_out_within_their_segment():
    early = listed(BEFORE, NOON, ann=NOON - 5000)
    whole = listed(AFTER, CYCLE.end_ms, bob=NOON + 5000)
    parts = {
        BEFORE: [store(BEFORE, early), store(BEFORE, Facts())],
        AFTER: [store(AFTER, whole), store(AFTER, Facts())],
    }
    assert evaluate_segments(parts, Combine.SAME) == Bounds(2, 2)
    assert evaluate_segments(parts) == Bounds(2, None)


def test_observers_that_cannot_be_compared_stand_for_the_same_people_within_their_segment():
    one = listed(BEFORE, NOON, ann=NOON - 5000)
    two = listed(BEFORE, NOON, ann=NOON - 5000, bob=NOON - 5000)
    late = listed(AFTER, CYCLE.end_ms)
    parts = {
        BEFORE: [store(BEFORE, one), store(BEFORE, two, domain="two")],
        AFTER: [store(AFTER, late)],
    }
    # Both observers saw all of it: one counts 1, the other 2, so that one of them is wrong.
    seen = evaluate_segments(parts, Combine.SAME)
    assert (seen.lower, seen.upper, seen.accuracy) == (2, 1, Accuracy.CONFLICT)
    two_alone = {BEFORE: [store(BEFORE, two, domain="two")], AFTER: [store(AFTER, late)]}
    assert evaluate_segments(two_alone, Combine.SAME) == Bounds(2, 2)


def test_a_number_beside_people_stands_for_the_same_people_within_its_segment():
    people = listed(BEFORE, NOON, ann=NOON - 5000)
    number = listed(BEFORE, NOON - 1, LOOSE, ann=NOON - 5000, bob=NOON - 5000)
    parts = {
        BEFORE: [store(BEFORE, people), store(BEFORE, number, LOOSE)],
        AFTER: [store(AFTER, listed(AFTER, CYCLE.end_ms))],
    }
    seen = evaluate_segments(parts, Combine.SAME)
    assert (seen.lower, seen.upper) == (2, 1), "a conflict: two by one, at most one by the other"
