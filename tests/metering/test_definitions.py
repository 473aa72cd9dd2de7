"""A definition that changes within a cycle: two segments, each counted by its own."""

import pytest

from licenseusage.metering.cycles import DAY_MS, Cycle
from licenseusage.metering.definitions import (
    Definition,
    differ,
    evidence_counts,
    reaches_before,
    segment_ms,
)
from licenseusage.metering.stores import StoreKey, StoreState, definitions_of

START = 20_000 * DAY_MS
CYCLE = Cycle(3, START, START + 30 * DAY_MS)
CHANGE = START + 5 * DAY_MS
STORE, FORMER, OTHER = StoreKey("list", "d"), StoreKey("list", "c"), StoreKey("log", "c")


def since(states, selection="two", now_ms=CHANGE):
    return segment_ms(CYCLE, definitions_of(STORE, states), selection, now_ms)


def by(selection, since_ms=None):
    return StoreState(definition=Definition(selection, since_ms))


@pytest.mark.parametrize(
    ("known", "other", "expected"),
    [
        ("one", "two", True),
        ("one", "one", False),
        (None, "two", False),
        ("one", None, False),
        (None, None, False),
    ],
)
def test_a_digest_that_was_never_told_differs_from_none(known, other, expected):
    assert differ(known, other) is expected
    assert evidence_counts(known, other) is not expected


class TestSegments:
    """What a poll that begins now is about."""

    def test_an_unchanged_definition_counts_in_the_whole_cycle(self):
        assert since({}) is None
        assert since({STORE: by("two")}) is None
        assert since({STORE: by(None)}) is None

    def test_a_change_counts_from_now_on(self):
        assert since({STORE: by("one")}) == CHANGE
        assert since({STORE: by("two", CHANGE)}, now_ms=CHANGE + DAY_MS) == CHANGE
        assert since({STORE: by("two", CHANGE)}, "one", CHANGE + DAY_MS) == CHANGE + DAY_MS

    def test_another_way_to_read_ids_begins_a_store_that_knows_of_the_former_one(self):
        assert since({FORMER: by("one")}) == CHANGE
        assert since({FORMER: by("two", START + DAY_MS)}) == START + DAY_MS
        assert since({FORMER: by("two")}) is None  # only other sources of its identity changed
        assert since({FORMER: by("one"), STORE: by("two", CHANGE)}, now_ms=CHANGE + 1) == CHANGE
        assert since({FORMER: by("one"), STORE: by("two")}) is None

    def test_of_several_former_stores_the_last_change_counts(self):
        older = StoreKey("list", "b")
        states = {FORMER: by("two", START + DAY_MS), older: by("two", START + 2 * DAY_MS)}
        assert since(states) == START + 2 * DAY_MS

    def test_other_sources_do_not_matter(self):
        assert since({OTHER: by("one")}) is None

    def test_what_changed_when_the_cycle_was_over_is_no_segment_of_it(self):
        assert since({STORE: by("one")}, now_ms=CYCLE.end_ms) is None
        assert since({STORE: by("one")}, now_ms=CYCLE.end_ms - 1) == CYCLE.end_ms - 1

    def test_what_changed_before_the_cycle_counts_in_the_whole_of_it(self):
        assert since({STORE: by("one")}, now_ms=START) is None
        assert since({STORE: by("one")}, now_ms=START + 1) == START + 1


class TestPolls:
    """What a poll that was made is about, after what other polls have told meanwhile."""

    def test_a_change_is_dated_as_the_poll_was_planned(self):
        assert Definition("one").polled_ms("two", CHANGE, CHANGE + 5) == CHANGE
        assert Definition("one").polled_ms("two", None, CHANGE + 5) == CHANGE + 5

    def test_the_first_definition_counts_as_the_poll_was_planned(self):
        assert Definition().polled_ms("two", None, CHANGE) is None
        assert Definition().polled_ms("two", CHANGE, CHANGE + 5) == CHANGE

    def test_a_known_definition_stays_dated_as_it_was(self):
        assert Definition("two").polled_ms("two", CHANGE, CHANGE) is None
        assert Definition("two", CHANGE).polled_ms("two", None, CHANGE + DAY_MS) == CHANGE
        assert Definition("two", CHANGE).polled_ms(None, None, CHANGE + DAY_MS) == CHANGE

    def test_facts_that_begin_before_their_definition_say_nothing(self):
        assert reaches_before(CYCLE, None, CHANGE)
        assert reaches_before(CYCLE, CHANGE - 1, CHANGE)
        assert not reaches_before(CYCLE, CHANGE, CHANGE)
        assert not reaches_before(CYCLE, None, None)
        assert not reaches_before(CYCLE, CHANGE, None)
        assert not reaches_before(CYCLE, None, START)
