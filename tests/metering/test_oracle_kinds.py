"""Random histories of the other kinds of sources: the rules against the oracle and the truth.

Lists that remove users, lists that forget, rolling lists, bare counts, and several together.
"""

import random
from dataclasses import replace
from functools import reduce

from licenseusage.metering.bounds import Bounds
from licenseusage.metering.combine import (
    CountStore,
    ProofStore,
    Store,
    evaluate,
    evaluate_facts,
    evaluate_segments,
)
from licenseusage.metering.counts import (
    CountProperties,
    Counts,
    contradictory,
    merge_counts,
    sample,
)
from licenseusage.metering.countwindows import FromTo, Rolling, WindowSpan
from licenseusage.metering.cycles import CYCLE_BIT, Segment
from licenseusage.metering.facts import Facts, Row, list_facts, merge
from licenseusage.metering.known import Known, Overlap, tallied
from licenseusage.metering.listing import Shown, listing_proofs
from licenseusage.metering.proofs import (
    Proofs,
    covered_until,
    known_by_proofs,
    merge_proofs,
    possible_between,
)
from licenseusage.metering.properties import Properties, Removal
from licenseusage.metering.roster import Run
from tests.metering import translate
from tests.metering.histories import WINDOWS, blocks, check, joined, narrows
from tests.metering.oracle import bounds as oracle
from tests.metering.oracle import simulator as world
from tests.metering.untimed import Lists

TICK = translate.TICK_MS
CYCLE = translate.CYCLE
ALWAYS = (Run(0, 1 << 50),)


def proved(facts: Proofs, window: int = CYCLE_BIT) -> Bounds:
    return evaluate([ProofStore("", facts, CYCLE)], window=window)


# --- lists that remove users, with a roster ----------------------------------------------


def removed_once(random_: random.Random) -> tuple:
    """Users removed at any time; each active one is in a complete poll up to the closing one."""
    product, spec = world.make_a(
        random_, kept=0, reuse=random_.random() < 0.6, initial=random_.random() < 0.15
    )
    spec = oracle.ListSpec(**{**spec.__dict__, "kept": 0, "listed_once": True, "poll_skew": 0})
    polls = world.polls_a(random_, product, spec)
    if random_.random() < 0.5:  # short enough to be part of a run
        polls = [
            oracle.Poll(p.start, p.start, p.complete, p.rows) for p in polls if p.end == p.start
        ]
    closing = [p for p in polls if p.complete and p.start - spec.lag >= world.E][:1]
    before = [p for p in polls if p.complete and (not closing or p.start <= closing[0].start)]
    seen = {row[0] for poll in before for row in poll.rows}
    gone = {
        user.id
        for user in product.users
        if user.id not in seen and any(world.S <= t < world.E for t in user.events)
    }
    product.users = [user for user in product.users if user.id not in gone]
    names = {user.id for user in product.users}
    polls = [
        oracle.Poll(p.start, p.end, p.complete, tuple(r for r in p.rows if r[0] in names))
        for p in polls
    ]
    return product, spec, polls


@blocks
def test_a_roster_holds_everybody_who_may_have_been_active(seeds: range):
    """Where the polls that ran are taken for enough, the numbers are the oracle's."""
    for seed in seeds:
        random_ = random.Random(f"roster-{seed}")
        product, spec, polls = removed_once(random_)
        facts = joined(random_, [translate.facts(spec, p) for p in polls], merge, Facts())
        theirs = oracle.Facts()
        for poll in polls:
            theirs = oracle.merge(theirs, oracle.list_facts(world.CY, spec, poll))
        declared = translate.properties(spec)
        stated = evaluate_facts(facts, declared, cycle=CYCLE)
        check(stated, len(product.truth()), f"seed {seed}")
        if facts.roster is None:
            continue
        enough = replace(facts, roster=replace(facts.roster, runs=ALWAYS))
        bounds = evaluate_facts(enough, declared, cycle=CYCLE)
        check(bounds, len(product.truth()), f"seed {seed} with every run")
        closing = [p for p in polls if p.complete and p.start - spec.lag >= world.E]
        early = [p for p in polls if not closing or p.start <= closing[0].start]
        up_to = oracle.Facts()
        for poll in early:
            up_to = oracle.merge(up_to, oracle.list_facts(world.CY, spec, poll))
        tight = oracle.evaluate_list(up_to, world.CY, spec)
        assert bounds.lower == oracle.evaluate_list(theirs, world.CY, spec).lower, seed
        assert (bounds.upper is None) == (tight.upper is None), seed
        if bounds.upper is not None and len(early) == len(polls):
            assert bounds.upper == tight.upper, seed


@blocks
def test_a_roster_gives_an_upper_bound_only_if_polled_all_the_time(seeds: range):
    for seed in seeds:
        random_ = random.Random(f"runs-{seed}")
        product, spec, polls = removed_once(random_)
        gap = random_.choice([2, 6, 12])
        declared = replace(translate.properties(spec), roster_gap_ms=gap * TICK)
        facts = joined(random_, [translate.facts(spec, p) for p in polls], merge, Facts())
        bounds = evaluate_facts(facts, declared, cycle=CYCLE)
        check(bounds, len(product.truth()), f"seed {seed}")
        closing = [p.start for p in polls if p.complete and p.start - spec.lag >= world.E][:1]
        times = [p.start for p in polls if p.complete and p.start == p.end]
        reached = max((t for t in times if t <= world.S), default=None)
        for time in times:
            if reached is not None and reached < time <= reached + gap:
                reached = time
        ran = bool(closing) and reached is not None and reached >= closing[0]
        assert (bounds.upper is not None) == ran, seed


@blocks
def test_a_roster_only_narrows_in_the_order_of_polls(seeds: range):
    for seed in seeds:
        random_ = random.Random(f"narrow-roster-{seed}")
        _, spec, polls = removed_once(random_)
        declared = replace(translate.properties(spec), roster_gap_ms=12 * TICK)
        facts, before = Facts(), Bounds(0, None)
        for poll in polls:
            facts = merge(facts, translate.facts(spec, poll))
            after = evaluate_facts(facts, declared, cycle=CYCLE)
            narrows(before, after, f"seed {seed}")
            before = after


# --- lists that forget users after a while -----------------------------------------------


@blocks
def test_lists_that_forget_are_chained_around_the_truth(seeds: range):
    for seed in seeds:
        random_ = random.Random(f"forget-{seed}")
        product, spec = world.make_a(random_)
        declared, kept = translate.properties(spec), translate.ms(spec.kept)
        polls = [
            world.shift(random_, p, spec.poll_skew) for p in world.polls_a(random_, product, spec)
        ]
        parts, theirs = [], oracle.Facts()
        memory: dict[int, tuple[oracle.Poll, Shown]] = {}
        for poll in polls:
            replica = random_.randint(0, 2)  # each with a memory of its own
            previous, shown = memory.get(replica, (None, None))
            times = translate.polled(poll, spec.poll_skew)
            rows = translate.listed(spec, replace(poll)).later
            rows = [
                Row(translate.user(n), v * TICK, None if c is None else c * TICK)
                for n, v, c in poll.rows
                if v is not None
            ]
            parts.append(listing_proofs(CYCLE, declared, times, rows, kept_ms=kept, previous=shown))
            theirs = oracle.merge(theirs, oracle.list_facts(world.CY, spec, poll, previous))
            values: dict[bytes, set[int]] = {}
            for name, value, _ in poll.rows:
                # A user without a time is remembered as one with none.
                values.setdefault(translate.user(name), set()).add(
                    -1 if value is None else value * TICK
                )
            memory[replica] = poll, Shown(times, values)
        facts = joined(random_, parts, merge_proofs, Proofs())
        assert facts.sure == {translate.user(u): b for u, b in theirs.bits.items()}, seed
        for window in WINDOWS:
            bounds, oracles = (
                proved(facts, window),
                oracle.evaluate_list(theirs, world.CY, spec, window),
            )
            check(bounds, len(product.truth(window)), f"seed {seed} window {window}")
            assert (bounds.upper is None) == (oracles.upper is None), seed
            assert bounds.upper is None or bounds.upper <= oracles.upper, seed


@blocks
def test_proof_records_only_narrow_and_hold_at_any_time_in_the_cycle(seeds: range):
    for seed in seeds:
        random_ = random.Random(f"mid-{seed}")
        product, spec = world.make_a(random_)
        facts, before = Proofs(), Bounds(0, None)
        for poll in world.polls_a(random_, product, spec):
            poll = world.shift(random_, poll, spec.poll_skew)
            found = oracle.list_facts(world.CY, spec, poll)
            facts = merge_proofs(facts, translate.proofs(found))
            after = proved(facts)
            narrows(before, after, f"seed {seed}")
            before = after
            records = facts.proofs.get(CYCLE_BIT, frozenset())
            until = covered_until(records, CYCLE.start_ms)
            if until is not None:
                active = {
                    translate.user(u.id)
                    for u in product.users
                    if any(world.S <= t < until // TICK for t in u.events)
                }
                assert active <= possible_between(records, CYCLE.start_ms, until), seed


# --- rolling lists -----------------------------------------------------------------------


@blocks
def test_rolling_lists_are_bounded_around_the_truth(seeds: range):
    for seed in seeds:
        random_ = random.Random(f"rolling-{seed}")
        kept = random_.choice([oracle.INF, oracle.INF, 4, 12])
        product, spec = world.make_a(
            random_, kept=kept, gran=1, order="max", initial=False, tz=0, hide=True
        )
        length = world.E - world.S
        window = random_.choice([4, 9, 15, length, length, length + 1, 40])
        rolling = oracle.RollSpec(
            window,
            age=random_.choice([0, 0, 2, 5]),
            skew=spec.skew,
            lag=spec.lag,
            hidden=spec.hidden,
            kept=kept,
            relist=kept != oracle.INF,
        )
        declared = Properties(
            window=Rolling((window - 1) * TICK + 1),
            age_ms=rolling.age * TICK,
            skew_ms=rolling.skew * TICK,
            lag_ms=rolling.lag * TICK,
            hidden_ms=rolling.hidden * TICK,
            removal=Removal.NEVER if kept == oracle.INF else Removal.UNKNOWN,
            ids_stable=True,
        )
        parts, theirs, previous = [], oracle.Facts(), None
        lists, before = Lists(CYCLE, declared), Bounds(0, None)
        for start in world.schedule(random_):
            read, rows = start, []
            for one in sorted(product.users, key=lambda user: user.id):
                read += random_.choice([0, 0, 1])
                computed = read - random_.randint(0, rolling.age)
                if one in world.counted(product, read, computed, computed - window + 1):
                    rows.append((one.id, None, None))
            complete = random_.random() > 0.1
            shown = rows if complete else rows[: random_.randint(0, len(rows))]
            poll = oracle.Poll(start, read, complete, tuple(shown))
            users = {translate.user(row[0]) for row in shown}
            parts.append(lists.read(translate.polled(poll), users))
            theirs = oracle.merge(theirs, oracle.roll_facts(world.CY, rolling, poll, previous))
            previous = poll if complete else previous
            after = untimed(reduce(merge, parts, Facts()), declared, lists)
            narrows(before, after, f"seed {seed}")
            before = after
        facts = joined(random_, parts, merge, Facts())
        assert not facts.refuted, seed
        for user, word in facts.sure.items():
            name = user.rstrip(b".").decode()
            assert word & ~theirs.bits[name] == 0, (seed, name)  # never more than the oracle
        for each in WINDOWS:
            bounds = untimed(facts, declared, lists, each)
            oracles = oracle.evaluate_sets(theirs, world.CY, each)
            check(bounds, len(product.truth(each)), f"seed {seed} window {each} W {window}")
            assert bounds.upper is None or oracles.upper is not None, seed


def untimed(facts: Facts, declared: Properties, lists: Lists, window: int = CYCLE_BIT) -> Bounds:
    return evaluate([Store("", facts, declared, CYCLE, lists.forgets)], window=window)


# --- bare counts -------------------------------------------------------------------------


class Months:
    """Calendar months of 26 ticks, with any alignment to the cycle."""

    def __init__(self, first: int) -> None:
        self.first = first

    def start(self, tick: int) -> int:
        return (tick - self.first) // 26 * 26 + self.first

    def span(self, earliest_ms: int, latest_ms: int) -> WindowSpan:
        first, last = (self.start(at // TICK) * TICK for at in (earliest_ms, latest_ms))
        return WindowSpan(first, last, latest_ms, earliest_ms)

    def advances(self, earliest_ms: int, latest_ms: int) -> bool:
        return True


def counting(random_: random.Random) -> tuple:
    """A product that only counts: (product, oracle's spec, properties, samples of both)."""
    kept = random_.choice([oracle.INF, oracle.INF, 4, 12])
    product, spec = world.make_a(
        random_, kept=kept, gran=1, order="max", initial=False, tz=0, reuse=False, hide=True
    )
    own, first = random_.randint(0, 1), random_.randint(0, 25)
    kind = random_.choice(["<", "=", ">", "month", "query"])
    length = world.E - world.S
    rolling = {"<": random_.choice([4, 9, 15]), "=": length, ">": random_.choice([length + 1, 40])}
    window = rolling.get(kind, 0)
    age = random_.choice([0, 0, 3])
    theirs = oracle.CountSpec(
        skew=spec.skew,
        lag=spec.lag,
        hidden=spec.hidden,
        kept=kept,
        self_counted=own,
        relist=kept != oracle.INF,
    )
    months = Months(first)
    chosen = {
        "month": months,
        "query": FromTo(CYCLE.start_ms, CYCLE.end_ms),
    }.get(kind, Rolling((window - 1) * TICK + 1))
    declared = CountProperties(
        window=chosen,
        age_ms=age * TICK,
        skew_ms=spec.skew * TICK,
        lag_ms=spec.lag * TICK,
        hidden_ms=spec.hidden * TICK,
        kept_ms=translate.ms(kept),
        relisted=theirs.relist,
        self_counted=own,
        whole=True,
    )
    samples, mine = [], []
    for start in world.schedule(random_):
        read = start + random_.choice([0, 0, 2])
        at = random_.randint(start, read)
        computed = at - random_.randint(0, age)
        if kind == "query":
            counted = {
                user.id
                for user in product.users
                if user.listed(at)
                and any(
                    product.visible(w, computed) and world.S <= s < world.E for w, s in user.writes
                )
            }
            made = oracle.count_sample(
                0, (world.S, world.S), (world.E, world.E), start - age, read, theirs
            )
            made = (*made[:2], min(world.E - 1 + spec.skew, read), *made[3:])
            made = (*made[:4], min(world.E - spec.skew, start - age - spec.lag), *made[5:])
        else:
            begins = months.start if kind == "month" else (lambda c: c - window + 1)
            counted = {u.id for u in world.counted(product, at, computed, begins(computed))}
            firsts = begins(start - age), begins(read)
            made = oracle.count_sample(0, firsts, (start - age, read), start - age, read, theirs)
        number = len(counted) + own * random_.randint(0, 1)
        samples.append((number, *made[1:]))
        times = translate.polled(oracle.Poll(start, read, True, ()))
        mine.append(sample(declared, times, number, warm=True))
    return product, theirs, declared, samples, mine


@blocks
def test_bare_counts_are_bounded_as_the_oracle_bounds_them(seeds: range):
    for seed in seeds:
        random_ = random.Random(f"counts-{seed}")
        product, theirs, declared, samples, mine = counting(random_)
        parts = [Counts(frozenset([one])) for one in mine]
        facts = joined(random_, parts, merge_counts, Counts())
        assert not contradictory(facts.samples, declared.self_counted), seed
        known = oracle.Facts(samples=frozenset(samples))
        for window, (start, end) in world.CY.windows().items():
            bounds = evaluate([CountStore("", facts, declared, CYCLE)], window=window)
            oracles = oracle.evaluate_counts(known, theirs, start, end)
            assert (bounds.lower, bounds.upper) == (oracles.lower, oracles.upper), (seed, window)
            truth = len(product.truth(window))
            assert bounds.lower <= truth, (seed, window)
            assert bounds.upper is None or truth <= bounds.upper, (seed, window)


@blocks
def test_more_samples_only_narrow(seeds: range):
    for seed in seeds:
        random_ = random.Random(f"samples-{seed}")
        _, _, declared, _, mine = counting(random_)
        facts, before = Counts(), Bounds(0, None)
        random_.shuffle(mine)
        for one in mine:
            facts = merge_counts(facts, Counts(frozenset([one])))
            after = evaluate([CountStore("", facts, declared, CYCLE)])
            narrows(before, after, f"seed {seed}")
            before = after


# --- several stores of several kinds -----------------------------------------------------


def any_store(random_: random.Random, domain: str) -> tuple:
    """A store of any kind that names users: (product, store)."""
    kind = random_.choice(["kept", "roster", "forgets"])
    if kind == "roster":
        product, spec, polls = removed_once(random_)
        facts = joined(random_, [translate.facts(spec, p) for p in polls], merge, Facts())
        declared = replace(translate.properties(spec), roster_gap_ms=12 * TICK)
        return product, Store(domain, facts, declared, CYCLE)
    forced = {"kept": oracle.INF} if kind == "kept" else {}
    product, spec = world.make_a(random_, **forced)
    spec = oracle.ListSpec(**{**spec.__dict__, "poll_skew": 0})
    polls = world.polls_a(random_, product, spec)
    if kind == "kept":
        facts = joined(random_, [translate.facts(spec, p) for p in polls], merge, Facts())
        return product, Store(domain, facts, translate.properties(spec), CYCLE)
    found = [translate.proofs(oracle.list_facts(world.CY, spec, p)) for p in polls]
    return product, ProofStore(domain, joined(random_, found, merge_proofs, Proofs()), CYCLE)


@blocks
def test_stores_of_every_kind_are_united_and_each_needs_its_own_proof(seeds: range):
    for seed in seeds:
        random_ = random.Random(f"mixed-{seed}")
        products, stores = [], []
        for _ in range(random_.randint(1, 3)):
            product, store = any_store(random_, "one")
            products.append(product)
            stores.append(store)
        for window in WINDOWS:
            names = set().union(*(p.truth(window) for p in products))
            united = evaluate(stores, window=window)
            check(united, len(names), f"union of seed {seed} window {window}")
            alone = [evaluate([store], window=window) for store in stores]
            assert (united.upper is None) == any(one.upper is None for one in alone), seed
            apart = [replace(s, domain=f"d{n}") for n, s in enumerate(stores)]
            check(evaluate(apart, window=window), len(names), f"domains of seed {seed}")
            shards = [tallied(s.known(window)) for s in stores]
            sums = oracle.combine([oracle.Result(t.lower, t.upper) for t in shards], "disjoint")
            disjoint = evaluate(apart, window=window, overlap=Overlap.DISJOINT)
            assert (disjoint.lower, disjoint.upper) == (sums.lower, sums.upper), seed
            persons = sum(len(p.truth(window)) for p in products)
            check(disjoint, persons, f"shards of seed {seed}")


@blocks
def test_segments_of_two_definitions_are_counted_each_by_its_own(seeds: range):
    """Until x one product defines activity, from then on another; the same people in both."""
    for seed in seeds:
        random_ = random.Random(f"segments-{seed}")
        changed = random_.randint(world.S + 1, world.E - 1)
        parts = {
            Segment(CYCLE, CYCLE.start_ms, changed * TICK): (world.S, changed),
            Segment(CYCLE, changed * TICK, CYCLE.end_ms): (changed, world.E),
        }
        stores, truths = {}, {}
        domain = random_.choice([["one", "one"], ["one", "two"]])
        for (segment, (first, last)), name in zip(parts.items(), domain, strict=True):
            product, spec = world.make_a(random_, kept=oracle.INF)
            spec = oracle.ListSpec(**{**spec.__dict__, "poll_skew": 0})
            facts = Facts()
            for poll in world.polls_a(random_, product, spec):
                rows = [
                    Row(translate.user(n), v * TICK, None if c is None else c * TICK)
                    for n, v, c in poll.rows
                    if v is not None
                ]
                found = list_facts(
                    segment,
                    translate.properties(spec),
                    started_ms=poll.start * TICK,
                    ended_ms=poll.end * TICK,
                    clock_skew_ms=0,
                    complete=poll.complete,
                    rows=rows,
                )
                facts = merge(facts, found)
            stores[segment] = [Store(name, facts, translate.properties(spec), segment)]
            truths[segment] = product, first, last
        for window, (start, end) in world.CY.windows().items():
            names = set()
            for product, first, last in truths.values():
                names |= {
                    user.id
                    for user in product.users
                    if any(max(first, start) <= t < min(last, end) for t in user.events)
                }
            bounds = evaluate_segments(stores, window=window)
            check(bounds, len(names), f"seed {seed} window {window}")
            alone = {
                segment: evaluate(each, window=window)
                for segment, each in stores.items()
                if window in segment.windows()
            }
            assert (bounds.upper is None) == any(b.upper is None for b in alone.values()), seed


@blocks
def test_possible_users_are_never_wider_than_the_best_chain(seeds: range):
    for seed in seeds:
        random_ = random.Random(f"chain-{seed}")
        product, spec = world.make_a(random_)
        theirs = oracle.Facts()
        for poll in world.polls_a(random_, product, spec):
            theirs = oracle.merge(theirs, oracle.list_facts(world.CY, spec, poll))
        for window in WINDOWS:
            known = known_by_proofs(translate.proofs(theirs), CYCLE, window)
            chain = oracle.possible_users(theirs, world.CY, window)
            assert (known.possible is None) == (chain is None), seed
            assert chain is None or tallied(known).upper <= len(chain), seed
            assert isinstance(known, Known)
