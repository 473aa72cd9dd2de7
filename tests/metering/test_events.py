"""Event logs: random histories against the oracle and against the truth; the join; the stores.

Each history is a seed; a failure names it. ``HISTORIES`` sets how many are tried per rule.
"""

import random
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from licenseusage.metering.bounds import Accuracy, Bounds
from licenseusage.metering.combine import Combine, Store, evaluate, evaluate_facts
from licenseusage.metering.cycles import CYCLE_BIT, DAY_MS, Segment
from licenseusage.metering.events import (
    Event,
    EventWords,
    LogFacts,
    LogPosition,
    LogReading,
    LogState,
    Range,
    as_facts,
    closed_windows,
    log_facts,
    merge,
    missing,
    shown_until_ms,
    united,
)
from licenseusage.metering.facts import Facts, ImpossibleStampError
from licenseusage.metering.facts import merge as merge_lists
from licenseusage.metering.polled import Polled
from licenseusage.metering.properties import Properties, Removal
from tests.metering import translate
from tests.metering.histories import WINDOWS, blocks, check, joined, narrows
from tests.metering.oracle import bounds as oracle
from tests.metering.oracle import simulator as world
from tests.metering.translate import CYCLE, TICK_MS

EXACT = Properties(granularity_ms=1, lag_ms=0, removal=Removal.NEVER, ids_stable=True)


def properties(spec: oracle.LogSpec) -> Properties:
    return replace(EXACT, skew_ms=spec.skew * TICK_MS, lag_ms=spec.lag * TICK_MS)


def told(spec, start, end, complete, a, b, events) -> LogFacts:
    """Our facts of one answer of the oracle's world, and nothing else."""
    return log_facts(
        CYCLE,
        properties(spec),
        Polled.at(start * TICK_MS, end * TICK_MS, 0, complete=complete),
        [Event(translate.user(name), stamp * TICK_MS) for name, stamp in events],
        asked=Range(a * TICK_MS, b * TICK_MS),
        retention_ms=translate.ms(spec.kept),
    )


def history(random_: random.Random, **force):
    """A product's log and the answers to random questions about it, as the oracle plays it."""
    skew = force.get("skew", random_.choice([0, 0, 2]))
    lag = random_.choice([0, 3])
    kept = random_.choice([oracle.INF, 10, 30])
    product = world.Product(random_, skew=skew, lag=0)
    log = []
    for user in product.users:
        for at in user.events:
            stamp, shown = at + random_.randint(-skew, skew), at + random_.randint(0, lag)
            gone = at + kept + random_.randint(1, 5) if kept < oracle.INF else oracle.INF
            log.append((user.id, stamp, shown, gone))
    spec, answers = oracle.LogSpec(skew, lag, kept), []
    for at in world.schedule(random_):
        a = random_.choice([world.S, at - 8, at - 20]) - random_.choice([0, skew])
        b = random_.choice([world.E, at - lag, at + 5]) + random_.choice([0, skew])
        end = at + random_.choice([0, 2])
        events = []
        for name, stamp, shown, gone in log:
            seen = random_.randint(at, end)
            if a <= stamp < b and product.visible(shown, seen) and seen < gone:
                events.append((name, stamp))
        complete = random_.random() > 0.15
        if not complete:
            events = events[: random_.randint(0, len(events))]
        answers.append((at, end, complete, a, b, events))
    return product, spec, answers


def stated(declared: Properties, facts: LogFacts, window: int = CYCLE_BIT) -> Bounds:
    return evaluate_facts(as_facts(CYCLE, declared, facts), declared, window)


@blocks
def test_logs_give_the_oracles_bounds_around_the_truth(seeds: range):
    closed = 0
    for seed in seeds:
        random_ = random.Random(f"log-{seed}")
        product, spec, answers = history(random_)
        ours = joined(random_, [told(spec, *answer) for answer in answers], merge, LogFacts())
        theirs = oracle.Facts()
        for answer in answers:
            theirs = oracle.merge(theirs, oracle.log_facts(world.CY, spec, *answer))
        for window in WINDOWS:
            mine = stated(properties(spec), ours, window)
            oracles = oracle.evaluate_sets(theirs, world.CY, window)
            check(mine, len(product.truth(window)), f"seed {seed} window {window}")
            assert mine.lower == oracles.lower, (seed, window)
            if spec.skew == 0:
                assert mine.upper == oracles.upper, (seed, window)
            closed += mine.upper is not None and window == CYCLE_BIT
    assert closed, "no history of this block closed its cycle"


@blocks
def test_bounds_only_narrow_with_more_answers(seeds: range):
    for seed in seeds:
        random_ = random.Random(f"log-narrow-{seed}")
        _, spec, answers = history(random_)
        declared, facts = properties(spec), LogFacts()
        before = dict.fromkeys(WINDOWS, Bounds(0, None))
        for answer in answers:
            facts = merge(facts, told(spec, *answer))
            for window in WINDOWS:
                after = stated(declared, facts, window)
                narrows(before[window], after, f"seed {seed} window {window}")
                before[window] = after


@blocks
def test_a_list_and_a_log_of_the_same_activity_close_each_others_gaps(seeds: range):
    for seed in seeds:
        random_ = random.Random(f"log-same-{seed}")
        product, spec = world.make_a(
            random_, throttle=0, order="max", kept=oracle.INF, reuse=False, initial=False
        )
        polls = [
            world.shift(random_, poll, spec.poll_skew)
            for poll in world.polls_a(random_, product, spec)
        ]
        listed = Facts()
        for poll in polls:
            listed = merge_lists(listed, translate.facts(spec, poll))
        log, kept = LogFacts(), oracle.LogSpec(0, 0, 20)
        for at in world.schedule(random_):
            events = [
                (user.id, t)
                for user in product.users
                for t in user.events
                if world.S <= t < world.E and at - 20 <= t < at
            ]
            log = merge(log, told(kept, at, at, True, world.S, world.E, events))
        declared = properties(kept)
        stores = [
            Store("one", listed, translate.properties(spec)),
            Store("one", as_facts(CYCLE, declared, log), declared),
        ]
        for window in WINDOWS:
            truth = len(product.truth(window))
            same = evaluate(stores, Combine.SAME, window)
            union = evaluate(stores, Combine.UNION, window)
            check(same, truth, f"same of seed {seed} window {window}")
            check(union, truth, f"union of seed {seed} window {window}")
            assert same.lower == union.lower, seed
            narrows(union, same, f"seed {seed} window {window}")
            for one in stores:
                narrows(evaluate([one], window=window), same, f"seed {seed} window {window}")
            apart = evaluate([stores[0], replace(stores[1], domain="two")], Combine.SAME, window)
            check(apart, truth, f"domains of seed {seed} window {window}")


# -- single rules --


def asked(start_ms, end_ms, *, at_ms, events=(), declared=EXACT, complete=True, retention_ms=None):
    return log_facts(
        CYCLE,
        declared,
        Polled.at(at_ms, at_ms, 0, complete=complete),
        [Event(translate.user(name), ms) for name, ms in events],
        asked=Range(start_ms, end_ms),
        retention_ms=retention_ms,
    )


S, E = CYCLE.start_ms, CYCLE.end_ms


def test_nobody_in_a_complete_log_is_an_exact_zero():
    facts = asked(S, E, at_ms=E)
    assert stated(EXACT, facts) == Bounds(0, 0)
    assert stated(EXACT, LogFacts()).accuracy is Accuracy.UNKNOWN


def test_the_right_end_is_what_was_shown_before_the_question():
    late = replace(EXACT, lag_ms=60_000)
    assert stated(late, asked(S, E, at_ms=E + 59_999, declared=late)).upper is None
    assert stated(late, asked(S, E, at_ms=E + 60_000, declared=late)).upper == 0


def test_the_left_end_is_what_the_log_still_held_when_the_answer_ended():
    assert stated(EXACT, asked(S, E, at_ms=E, retention_ms=E - S)).upper == 0
    assert stated(EXACT, asked(S, E, at_ms=E + 1, retention_ms=E - S)).upper is None


def test_a_hole_is_never_filled_after_the_retention():
    week = 7 * DAY_MS
    facts = asked(S, S + DAY_MS, at_ms=S + DAY_MS, events=[("ada", S)], retention_ms=week)
    facts = merge(facts, asked(S + 2 * DAY_MS, E, at_ms=E, retention_ms=week))
    assert missing(facts.ranges, S, E) == (Range(S + DAY_MS, S + 2 * DAY_MS),)
    again = merge(facts, asked(S, E, at_ms=S + DAY_MS + week + DAY_MS, retention_ms=week))
    assert stated(EXACT, again) == Bounds(1, None)
    in_time = merge(facts, asked(S, E, at_ms=S + DAY_MS + week, retention_ms=week))
    assert stated(EXACT, in_time) == Bounds(1, 1)


def test_touching_ranges_are_one_and_prove_the_cycle():
    facts = merge(asked(S, S + 1000, at_ms=E), asked(S + 1000, E, at_ms=E))
    assert facts.ranges == (Range(S, E),)
    assert stated(EXACT, facts).upper == 0


def test_events_of_an_answer_that_was_cut_count_and_prove_nothing_else():
    facts = asked(S, E, at_ms=E, events=[("ada", S)], complete=False)
    assert stated(EXACT, facts) == Bounds(1, None)
    assert facts.ranges == ()


@pytest.mark.parametrize(
    ("value_ms", "words"),
    [
        (S - 1, None),
        (S, 1 << CYCLE_BIT | 1),
        (S + DAY_MS - 1, 1 << CYCLE_BIT | 1),
        (S + DAY_MS, 1 << CYCLE_BIT | 2),
        (E - 1, 1 << CYCLE_BIT | 1 << CYCLE.days - 1),
        (E, None),
    ],
    ids=["before", "first instant", "end of day 0", "day 1", "last instant", "after"],
)
def test_an_exact_stamp_is_sure_in_its_day_and_cycle_and_in_no_other(value_ms, words):
    facts = asked(S, E, at_ms=E + 1, events=[("ada", value_ms)])
    assert facts.sure.get(translate.user("ada")) == words
    assert not facts.maybe


def test_a_straddler_is_maybe_in_both_windows_and_widens_the_bound():
    unsure = replace(EXACT, skew_ms=1000)
    wide = (S - 1000, E + 1000)
    facts = asked(*wide, at_ms=E + 2000, events=[("ada", E - 1000)], declared=unsure)
    assert stated(unsure, facts) == Bounds(0, 1)
    inside = asked(*wide, at_ms=E + 2000, events=[("ada", E - 1001)], declared=unsure)
    assert stated(unsure, inside) == Bounds(1, 1)
    both = merge(facts, inside)
    assert both.maybe.get(translate.user("ada"), 0) >> CYCLE_BIT & 1 == 0
    assert stated(unsure, both) == Bounds(1, 1)


def test_a_straddler_of_two_days_is_sure_in_the_cycle_and_maybe_in_both_days():
    unsure = replace(EXACT, skew_ms=1000)
    facts = asked(S, E, at_ms=E, events=[("ada", S + DAY_MS)], declared=unsure)
    assert facts.sure[translate.user("ada")] == 1 << CYCLE_BIT
    assert facts.maybe[translate.user("ada")] == 0b11


@pytest.mark.parametrize(
    ("value_ms", "unsure_ms", "wanted"),
    [
        (S - 2002, 0, False),  # two seconds of a granule and a clock that may be a second off
        (S - 2001, 0, False),
        (S - 2000, 0, False),
        (S - 1999, 0, True),
        (S - 2002, 3, True),
        (S - 2002, 2, False),
        (E + 999, 0, True),
        (E + 1000, 0, False),
        (E + 1000, 5, False),
    ],
)
def test_only_events_that_may_be_in_the_cycle_need_a_pseudonym(value_ms, unsure_ms, wanted):
    wide = replace(EXACT, granularity_ms=1000, skew_ms=1000)
    words = EventWords(CYCLE, wide)
    assert words.wants(value_ms, unsure_ms) is wanted
    words.add(b"a" * 16, value_ms, E + 10_000, unsure_ms)
    assert bool(words.sure or words.maybe) is wanted
    if not unsure_ms:
        assert words.wants(value_ms) is wanted


def test_a_local_hour_that_happened_twice_widens_an_event_to_its_later_side():
    words = EventWords(CYCLE, EXACT)
    words.add(b"a" * 16, S - 1, E, 1)
    words.add(b"b" * 16, S - 2, E, 1)
    assert (words.sure, words.unsure()) == ({}, {b"a" * 16: 1 << CYCLE_BIT | 1})


def test_what_straddles_the_end_may_be_in_the_last_day_and_in_none_behind():
    words = EventWords(CYCLE, replace(EXACT, skew_ms=2 * DAY_MS))
    words.add(b"a" * 16, E - 1, E + 9 * DAY_MS)
    last = CYCLE.days - 1
    assert words.maybe == {b"a" * 16: 1 << CYCLE_BIT | 0b111 << last - 2}
    words = EventWords(CYCLE, replace(EXACT, granularity_ms=2))
    words.add(b"a" * 16, E - 1, E + 9)
    assert words.maybe == {b"a" * 16: 1 << CYCLE_BIT | 1 << last}


def test_facts_of_a_segment_are_about_its_own_time():
    part = Segment(CYCLE, S + 5, S + DAY_MS + 5)
    facts = log_facts(
        part,
        EXACT,
        Polled.at(E, E, 0, complete=True),
        [Event(bytes([n]) * 16, at) for n, at in enumerate((S + 4, S + 5, S + DAY_MS + 5))],
        asked=Range(S + 5, S + DAY_MS + 5),
    )
    assert facts.sure == {bytes([1]) * 16: 1 << CYCLE_BIT | 1}
    assert as_facts(part, EXACT, facts).closed == 1 << CYCLE_BIT | 0b11
    assert stated(EXACT, facts) == Bounds(1, None)


def test_a_stamp_that_was_ahead_expires_later_than_its_clock_tells():
    unsure = replace(EXACT, skew_ms=1000)
    facts = asked(S, E, at_ms=E, declared=unsure, retention_ms=DAY_MS)
    assert facts.ranges == (Range(E - DAY_MS + 1000, E - 1000),)


def test_a_state_is_not_behind_unless_it_is_said():
    here = LogPosition("log", "", 1, S, S)
    assert not LogState(here).behind
    assert not LogReading(None, here).behind


def test_what_was_read_by_then_happened_by_then():
    unsure = replace(EXACT, skew_ms=1000)
    facts = asked(S, E, at_ms=E - 1, events=[("ada", E - 500)], declared=unsure)
    assert facts.sure[translate.user("ada")] >> CYCLE_BIT & 1


def test_an_event_in_the_future_makes_no_facts():
    with pytest.raises(ImpossibleStampError) as seen:
        asked(S, E, at_ms=S, events=[("ada", S + 5)])
    assert seen.value.ahead_ms == 5


def test_a_granule_of_a_day_proves_its_day():
    daily = replace(EXACT, granularity_ms=DAY_MS)
    facts = asked(S, E, at_ms=E + DAY_MS, events=[("ada", E - DAY_MS)], declared=daily)
    assert facts.sure[translate.user("ada")] == 1 << CYCLE_BIT | 1 << CYCLE.days - 1


def test_ended_windows_are_those_that_must_all_be_shown():
    late = replace(EXACT, lag_ms=1000)
    assert CYCLE.ended_by(shown_until_ms(late, S + DAY_MS + 999)) == 0
    assert CYCLE.ended_by(shown_until_ms(late, S + DAY_MS + 1000)) == 1
    assert CYCLE.ended_by(S - DAY_MS) == 0
    assert CYCLE.ended_by(E) == closed_windows(CYCLE, EXACT, [Range(S, E)])


def test_empty_ranges_are_none():
    assert united([Range(5, 5), Range(7, 6)]) == ()


ranges = st.lists(
    st.tuples(st.integers(0, 40), st.integers(0, 40)).map(lambda ends: Range(*ends)), max_size=8
)


@given(ranges)
def test_united_ranges_hold_the_same_instants_in_the_fewest_pieces(given_ranges):
    joined = united(given_ranges)
    for at in range(41):
        inside = any(start <= at < end for start, end in given_ranges)
        assert any(start <= at < end for start, end in joined) == inside
    for before, after in pairwise(joined):
        assert before.end_ms < after.start_ms


@given(ranges, st.integers(0, 40), st.integers(0, 40))
def test_missing_is_what_no_range_holds(given_ranges, start, end):
    known = united(given_ranges)
    gaps = missing(known, start, end)
    for at in range(41):
        lost = start <= at < end and not any(a <= at < b for a, b in known)
        assert any(a <= at < b for a, b in gaps) == lost
    assert all(gap.start_ms < gap.end_ms for gap in gaps)
