"""Random histories of a simulated product: the rules against the oracle, and against the truth.

Lists whose users stay; each history is a seed, and a failure names it (``histories``).
"""

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from licenseusage.metering.bounds import Bounds
from licenseusage.metering.combine import Combine, Store, evaluate, evaluate_facts
from licenseusage.metering.cycles import CYCLE_BIT
from licenseusage.metering.facts import Facts, horizon_ms, merge
from licenseusage.metering.properties import Removal
from licenseusage.metering.roster import set_aside
from tests.metering import translate
from tests.metering.histories import WINDOWS, blocks, check, joined
from tests.metering.oracle import bounds as oracle
from tests.metering.oracle import simulator as world


def join(random_: random.Random, parts: list[Facts]) -> Facts:
    return joined(random_, parts, merge, Facts())


def polled(random_: random.Random, **force: object):
    product, spec = world.make_a(random_, **force)
    polls = [
        world.shift(random_, poll, spec.poll_skew) for poll in world.polls_a(random_, product, spec)
    ]
    return product, spec, polls


@blocks
def test_kept_users_give_the_oracles_words_and_bounds_around_the_truth(seeds: range):
    for seed in seeds:
        random_ = random.Random(f"kept-{seed}")
        product, spec, polls = polled(random_, kept=oracle.INF)
        parts = [translate.facts(spec, poll) for poll in polls]
        theirs = oracle.Compact()
        for poll in polls:
            compact = oracle.compact(oracle.list_facts(world.CY, spec, poll), world.CY)
            theirs = oracle.merge_compact(theirs, compact)
        ours = join(random_, parts)

        sure = {translate.user(u): bits for u, bits in theirs.sure.items()}
        assert ours.sure == sure, seed
        assert ours.closed == ours.ended == theirs.closed, seed
        maybe = {translate.user(u): b for u, b in theirs.maybe.items()}
        maybe = {u: b & ~sure.get(u, 0) for u, b in maybe.items() if b & ~sure.get(u, 0)}
        assert ours.maybe == maybe, seed
        assert not ours.refuted, seed
        aside = set_aside(ours.roster) - ours.sure.keys()
        for window in WINDOWS:
            mine = evaluate_facts(ours, translate.properties(spec), window)
            oracles = oracle.evaluate_compact(theirs, window)
            upper = oracles.upper
            if aside and upper is not None:
                # Clocks that differ within the skew: listed by a poll that seems to come before the
                # closing one, and not by that. He may have been excluded, so he stays possible.
                upper = upper + len(aside) if window == CYCLE_BIT else None
            assert (mine.lower, mine.upper) == (oracles.lower, upper), (seed, window)
            check(mine, len(product.truth(window)), f"seed {seed} window {window}")


@blocks
def test_bounds_only_narrow_with_more_polls_and_users_stay_counted(seeds: range):
    for seed in seeds:
        random_ = random.Random(f"narrow-{seed}")
        _, spec, polls = polled(random_, kept=oracle.INF)
        declared, facts, before = translate.properties(spec), Facts(), Bounds(0, None)
        for poll in polls:
            grown = merge(facts, translate.facts(spec, poll))
            assert facts.sure.keys() <= grown.sure.keys(), seed
            after = evaluate_facts(grown, declared)
            assert before.lower <= after.lower, seed
            if before.upper is not None:
                assert after.upper is not None, seed
                assert after.upper <= before.upper, seed
            facts, before = grown, after


def never_falling(polls: Sequence[Any]) -> bool:
    """Whether nobody's value is lower in a poll than in one before.

    Of two polls that overlap the later one may have read a user earlier.
    """
    held: dict[str, float] = {}
    for poll in polls:
        for user, value, _ in poll.rows:
            if (value or 0) < held.get(user, 0):
                return False
            held[user] = value or 0
    return True


@blocks
def test_windows_closed_before_stay_proved_and_around_the_truth(seeds: range):
    """Only the earliest closing poll of a window writes its maybe users; nothing becomes untrue."""
    for seed in seeds:
        random_ = random.Random(f"closed-{seed}")
        product, spec, polls = polled(random_, kept=oracle.INF)
        declared, facts, whole = translate.properties(spec), Facts(), Facts()
        for poll in polls:
            facts = merge(facts, translate.facts(spec, poll, already_closed=facts.closed))
            whole = merge(whole, translate.facts(spec, poll))
        assert (facts.sure, facts.closed) == (whole.sure, whole.closed), seed
        for window in WINDOWS:
            bounds = evaluate_facts(facts, declared, window)
            check(bounds, len(product.truth(window)), f"seed {seed} window {window}")
            if spec.hidden == 0 and spec.skew == 0 and never_falling(polls):  # nothing is lost
                assert bounds == evaluate_facts(whole, declared, window), (seed, window)


@blocks
def test_users_that_may_be_removed_give_a_lower_bound_only(seeds: range):
    for seed in seeds:
        random_ = random.Random(f"removed-{seed}")
        product, spec, polls = polled(random_, kept=random_.choice([0, 4, 12]))
        theirs = oracle.Facts()
        for poll in polls:
            theirs = oracle.merge(theirs, oracle.list_facts(world.CY, spec, poll))
        ours = join(random_, [translate.facts(spec, poll) for poll in polls])
        assert ours.closed == 0, seed
        assert not ours.maybe, seed
        assert ours.ended == sum(1 << window for window in theirs.closed), seed
        for window in WINDOWS:
            bounds = evaluate_facts(ours, translate.properties(spec), window)
            assert bounds.upper is None, seed
            assert bounds.lower == len(oracle.certain_users(theirs, window)), (seed, window)
            check(bounds, len(product.truth(window)), f"seed {seed} window {window}")


@blocks
def test_unstable_ids_give_the_oracles_numbers_of_single_polls(seeds: range):
    for seed in seeds:
        random_ = random.Random(f"renamed-{seed}")
        product, spec = world.make_a(random_, kept=oracle.INF, reuse=False)
        spec = oracle.ListSpec(**{**spec.__dict__, "id_stable": False, "poll_skew": 0})
        parts, theirs = [], oracle.Facts()
        for start in world.schedule(random_):
            names = list("abcdefgh")
            if random_.random() < 0.5:
                random_.shuffle(names)
            listed = [user for user in product.users if user.listed(start)]
            rows = [
                (name, *product.row(user, start)[1:])
                for name, user in zip(names, listed, strict=False)
            ]
            poll = oracle.Poll(start, start, True, tuple(rows))
            parts.append(translate.facts(spec, poll))
            theirs = oracle.merge(theirs, oracle.list_facts(world.CY, spec, poll))
        ours = join(random_, parts)
        assert not ours.sure, seed
        for window in WINDOWS:
            bounds = evaluate_facts(ours, translate.properties(spec), window)
            oracles = oracle.evaluate_list(theirs, world.CY, spec, window)
            assert (bounds.lower, bounds.upper) == (oracles.lower, oracles.upper), (seed, window)
            check(bounds, len(product.truth(window)), f"seed {seed} window {window}")


@blocks
def test_several_stores_are_united_and_each_needs_its_own_proof(seeds: range):
    for seed in seeds:
        random_ = random.Random(f"stores-{seed}")
        stores, apart, results, truth = [], [], [], set()
        for number in range(random_.randint(1, 3)):
            kept = random_.choice([oracle.INF, oracle.INF, oracle.INF, 4])
            product, spec, polls = polled(random_, kept=kept)
            facts = join(random_, [translate.facts(spec, poll) for poll in polls])
            declared = translate.properties(spec)
            stores.append(Store("one", facts, declared))
            apart.append(Store(f"domain-{number}", facts, declared))
            truth |= product.truth()
            bounds = evaluate_facts(facts, declared)
            results.append(oracle.Result(bounds.lower, bounds.upper))
        united = evaluate(stores)
        check(united, len(truth), f"union of seed {seed}")
        if any(result.upper is None for result in results):
            assert united.upper is None, seed
        strangers, oracles = evaluate(apart), oracle.combine(results, "overlap")
        check(strangers, len(truth), f"domains of seed {seed}")
        assert (strangers.lower, strangers.upper) == (oracles.lower, oracles.upper), seed


@blocks
def test_sources_of_the_same_activity_rule_people_out_for_each_other(seeds: range):
    for seed in seeds:
        random_ = random.Random(f"same-{seed}")
        product, spec = world.make_a(random_, kept=oracle.INF)
        stores = []
        for _ in range(random_.randint(1, 3)):
            polls = [
                world.shift(random_, poll, spec.poll_skew)
                for poll in world.polls_a(random_, product, spec)
            ]
            facts = join(random_, [translate.facts(spec, poll) for poll in polls])
            stores.append(Store("one", facts, translate.properties(spec)))
        for window in WINDOWS:
            same = evaluate(stores, Combine.SAME, window)
            check(same, len(product.truth(window)), f"same of seed {seed} window {window}")
            union = evaluate(stores, Combine.UNION, window)
            assert same.lower == union.lower, seed
            if union.upper is not None:
                assert same.upper is not None, seed
                assert same.upper <= union.upper, seed


@blocks
def test_rows_before_the_horizon_change_no_facts(seeds: range):
    for seed in seeds:
        random_ = random.Random(f"horizon-{seed}")
        _, spec, polls = polled(random_, kept=oracle.INF)
        first = horizon_ms(translate.CYCLE, translate.properties(spec))
        for poll in polls:
            kept = tuple(
                row
                for row in poll.rows
                if row[1] is not None and row[1] * translate.TICK_MS >= first
            )
            late = oracle.Poll(poll.start, poll.end, poll.complete, kept)
            rows = [replace(translate.facts(spec, each), roster=None) for each in (late, poll)]
            assert rows[0] == rows[1], seed


@blocks
def test_no_upper_bound_once_the_source_stops_declaring_that_users_stay(seeds: range):
    for seed in seeds:
        random_ = random.Random(f"declared-{seed}")
        _, spec, polls = polled(random_, kept=oracle.INF)
        facts = join(random_, [translate.facts(spec, poll) for poll in polls])
        forgets = replace(translate.properties(spec), removal=Removal.UNKNOWN)
        assert evaluate_facts(facts, forgets, CYCLE_BIT).upper is None, seed
