"""Tempting claims about the other kinds of sources, each with its counterexample: MEASUREMENT §9.

``test_claims`` has those about lists with times. Times are the oracle's ticks, the cycle is
[30, 54). Claims about complete listings (equal totals, overlap rows) are in
``tests/sources/test_claims.py``, those about event logs in ``test_events.py``.
"""

from dataclasses import replace

from licenseusage.metering.bounds import Accuracy, Bounds
from licenseusage.metering.combine import CountStore, ProofStore, evaluate, evaluate_facts
from licenseusage.metering.counts import CountProperties, Counts, sample
from licenseusage.metering.countwindows import FromTo, Rolling
from licenseusage.metering.cycles import CYCLE_BIT
from licenseusage.metering.facts import Facts, Row, merge
from licenseusage.metering.known import Overlap
from licenseusage.metering.listing import listing_proofs
from licenseusage.metering.polled import Polled
from licenseusage.metering.proofs import Proofs, merge_proofs
from licenseusage.metering.properties import Properties, Removal
from tests.metering import translate
from tests.metering.oracle.bounds import ListSpec, Poll
from tests.metering.untimed import Lists

TICK = translate.TICK_MS
CYCLE = translate.CYCLE
LENGTH = 24


def ticks(start: int, end: int | None = None) -> Polled:
    return Polled(start * TICK, (start if end is None else end) * TICK, complete=True)


def proved(facts: Proofs) -> Bounds:
    return evaluate([ProofStore("", facts, CYCLE)])


# --- lists that remove users -------------------------------------------------------------


def roster(*polls: tuple, **spec: bool) -> Bounds:
    """Polls are (start, rows); rows are (name, value) or (name, value, created)."""
    declared = ListSpec(kept=0, listed_once=True, **spec)
    facts = Facts()
    for start, rows in polls:
        listed = tuple(row if len(row) == 3 else (*row, None) for row in rows)
        facts = merge(facts, translate.facts(declared, Poll(start, start, True, listed)))
    properties = replace(translate.properties(declared), roster_gap_ms=LENGTH * TICK)
    return evaluate_facts(facts, properties, cycle=CYCLE)


def test_absent_or_null_does_not_prove_inactive_where_ids_are_reused():
    """Removed, and created again with the same id: the new one shows null, or a late creation."""
    before, null, new = (29, [("a", 20)]), (53, [("a", None)]), (54, [("a", 54, 54)])
    assert roster(before, null, (54, [("a", None)])) == Bounds(0, 0)  # wrong where ids are reused
    assert roster(before, null, (54, [("a", None)]), id_reuse=True) == Bounds(0, 1)
    assert roster(before, null, new) == Bounds(0, 0)
    assert roster(before, null, new, id_reuse=True) == Bounds(0, 1)


def test_absence_at_the_end_does_not_prove_inactive_where_users_are_removed():
    stayed = roster((29, [("a", 20), ("b", 20)]), (50, [("b", 20)]), (54, [("b", 20)]))
    assert stayed == Bounds(0, 1)  # a may have been active before she was removed


def test_a_roster_that_began_within_the_cycle_is_none():
    assert roster((31, [("a", 20)]), (54, [("a", 20)])) == Bounds(0, None)


# --- lists that forget users -------------------------------------------------------------


def test_kept_for_longer_than_the_gap_between_poll_starts_is_not_enough():
    """The row of somebody active at 30 is read at 42 by a poll that began at 36: K = 10 is over."""
    declared = translate.properties(ListSpec())
    rows = [Row(translate.user("b"), 20 * TICK, None)]
    kept = 10 * TICK
    slow = [ticks(start, start + 8) for start in range(31, 60, 8)]
    facts = Proofs()
    for polled in slow:
        found = listing_proofs(CYCLE, declared, polled, rows, kept_ms=kept)
        facts = merge_proofs(facts, found)
    assert proved(facts).upper is None  # activity at 30 was gone when the first poll ended
    early = listing_proofs(CYCLE, declared, ticks(31, 39), rows, kept_ms=9 * TICK)
    assert facts.proofs[CYCLE_BIT] != early.proofs[CYCLE_BIT]
    quick = Proofs()
    for start in range(31, 60, 8):
        found = listing_proofs(CYCLE, declared, ticks(start), rows, kept_ms=kept)
        quick = merge_proofs(quick, found)
    assert proved(quick).accuracy is Accuracy.EXACT


# --- rolling lists -----------------------------------------------------------------------

ROLLING = Properties(
    window=Rolling((LENGTH - 1) * TICK + 1), lag_ms=0, removal=Removal.NEVER, ids_stable=True
)


def rolling(*polls: tuple, properties: Properties = ROLLING, memory: bool = True) -> Bounds:
    lists, facts = Lists(CYCLE, properties), Facts()
    for start, *names in polls:
        lists = lists if memory else Lists(CYCLE, properties)
        facts = merge(facts, lists.read(ticks(start), set(map(translate.user, names))))
    return evaluate_facts(facts, properties, cycle=CYCLE)


def test_a_rolling_list_as_long_as_the_cycle_read_after_its_end_is_not_exact():
    """a was active at 55 only and is listed; b at 30 only and has left: one poll cannot tell."""
    assert rolling((57, "a")) == Bounds(0, None)
    assert rolling((45, "b"), (57, "a")).upper == 2  # a chain of two polls bounds it


def test_a_rolling_list_names_nobody_for_sure_who_is_listed_all_the_time():
    assert rolling((29, "a"), (41, "a"), (52, "a"), (55, "a")) == Bounds(0, 1)


def test_appearing_in_a_rolling_list_is_activity_in_between():
    assert rolling((31,), (40, "a")).lower == 1
    assert rolling((31,), (40, "a"), memory=False).lower == 0


def test_appearing_is_no_activity_if_a_hidden_account_can_be_shown_again():
    assert (
        rolling((31,), (40, "a"), properties=replace(ROLLING, removal=Removal.UNKNOWN)).lower == 0
    )


def test_appearing_is_no_activity_if_the_poll_read_an_older_cache_than_the_one_before():
    assert rolling((31,), (40, "a"), properties=replace(ROLLING, age_ms=10 * TICK)).lower == 0


def test_appearing_is_no_activity_within_the_cycle_if_it_was_written_late():
    """Active at 29, shown at 32 only."""
    assert rolling((31,), (40, "a"), properties=replace(ROLLING, lag_ms=3 * TICK)).lower == 0


# --- bare counts -------------------------------------------------------------------------

COUNTS = CountProperties(
    window=Rolling((LENGTH - 1) * TICK + 1), lag_ms=0, kept_ms=None, relisted=False, whole=True
)


def counted(*samples: tuple, **declared) -> Bounds:
    """Samples are (time, number) or (time, number, warm)."""
    properties = replace(COUNTS, **declared)
    made = [sample(properties, ticks(at), n, warm=not cold) for at, n, *cold in samples]
    return evaluate([CountStore("", Counts(frozenset(made)), properties, CYCLE)])


def test_a_rolling_count_as_long_as_the_cycle_near_its_end_is_an_estimate():
    """The same number on both sides proves nothing: one left, one came."""
    both = counted((52, 7), (56, 7))
    assert (both.lower, both.upper, both.estimate) == (0, 14, 7)
    only = counted((54, 7))
    assert (only.accuracy, only.estimate) == (Accuracy.ESTIMATE, 7)


def test_a_longer_rolling_count_after_the_end_is_an_upper_bound():
    longer = replace(COUNTS, window=Rolling(26 * TICK))
    assert counted((55, 7), window=longer.window) == Bounds(0, 7, 7)


def test_rises_and_counts_are_lower_bounds_less_the_collectors_own_account():
    shorter = Rolling(9 * TICK)
    assert counted((45, 3), window=shorter).lower == 3
    assert counted((45, 3), window=shorter, self_counted=1).lower == 2
    assert counted((31, 3), (45, 8)).lower == 5
    assert counted((31, 3), (45, 8), self_counted=1).lower == 4


def test_the_least_sample_is_no_upper_bound_after_a_restart():
    asked = FromTo(CYCLE.start_ms, CYCLE.end_ms)
    assert counted((55, 7), (56, 7), window=asked) == Bounds(7, 7, 7)
    # A count from zero, right after a restart: it contradicts what was proved before.
    assert counted((55, 7), (56, 0), window=asked).upper is None
    assert counted((55, 7), (56, 0, "cold"), window=asked).upper == 7
    # And nobody was active between two samples only because the first was too low.
    assert counted((31, 0, "cold"), (45, 8)).lower == 0
    assert counted((31, 0), (45, 8)).lower == 8


def test_a_licences_cap_is_no_upper_bound():
    asked = FromTo(CYCLE.start_ms, CYCLE.end_ms)
    assert counted((55, 50), window=asked, saturates_at=50) == Bounds(50, None)


def test_an_asked_for_span_is_exact_only_where_nobody_left_the_count():
    asked = FromTo(CYCLE.start_ms, CYCLE.end_ms)
    assert counted((55, 7), window=asked).accuracy is Accuracy.EXACT
    assert counted((55, 7), window=asked, kept_ms=0).accuracy is Accuracy.LOWER_BOUND
    assert counted((55, 7), window=asked, whole=False).accuracy is Accuracy.LOWER_BOUND
    assert counted((55, 7), window=asked, lag_ms=2 * TICK).accuracy is Accuracy.LOWER_BOUND
    assert counted((55, 7), window=asked, self_counted=1) == Bounds(6, 7, 7)


def test_pods_that_tell_the_same_number_are_not_added():
    asked = FromTo(CYCLE.start_ms, CYCLE.end_ms)
    properties = replace(COUNTS, window=asked)
    pods = [
        CountStore(
            pod, Counts(frozenset([sample(properties, ticks(at), 7, warm=True)])), properties, CYCLE
        )
        for pod, at in (("one", 55), ("two", 56))
    ]
    assert evaluate(pods, overlap=Overlap.SAME) == Bounds(7, 7, 7)
    assert evaluate(pods, overlap=Overlap.DISJOINT) == Bounds(14, 14, 14)
    assert evaluate(pods) == Bounds(7, 14)
