"""How the statement about a cycle follows from its stores and from the counts of their users.

The ledger counts: of each identity domain, whom its stores prove active and whom they leave
possible. Here is what that means for the cycle (MEASUREMENT §0, §7).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from licenseusage.metering.bounds import Bounds
from licenseusage.metering.combine import Combine, overlap_of, unstable_tally
from licenseusage.metering.counts import Counts, CountTerms, tally_counts
from licenseusage.metering.coverage import Observed, coverage, gap_around
from licenseusage.metering.cycles import CYCLE_BIT, Cycle
from licenseusage.metering.known import WindowCounts, across, bounds_of
from licenseusage.metering.statement import (
    NEVER_FORGETS,
    NO_CLOSING_POLL,
    RULES_CHANGED,
    UNLISTED_USERS,
    UNPROVED_COUNTS,
    CycleStatement,
    daily_series,
    uncertainty_of,
)
from licenseusage.metering.stores import DeclaredSource, JudgedStore


@dataclass(frozen=True, slots=True)
class DomainCount:
    """Counts over the stores of one identity domain.

    Attributes:
        cycle: Lower and upper of the cycle.
        days: Users proved active per day.
        contradicted: Observers of the same activity contradict each other.
    """

    cycle: WindowCounts
    days: tuple[int, ...]
    contradicted: bool = False

    def with_unread(self, combine: Combine) -> "DomainCount":
        """Return the count where a store of the domain was never read: it may hold anybody."""
        if combine is Combine.SAME:
            return self
        return replace(self, cycle=WindowCounts(self.cycle.lower, None))

    def without(self, late: Mapping[int, int]) -> "DomainCount":
        """Return the count without users who must not count yet, by window."""
        if not late:
            return self
        lower = max(0, self.cycle.lower - late.get(CYCLE_BIT, 0))
        days = tuple(max(0, users - late.get(day, 0)) for day, users in enumerate(self.days))
        return replace(self, cycle=replace(self.cycle, lower=lower), days=days)


@dataclass(frozen=True, slots=True)
class Sight:
    """What was seen of the sources, besides their users.

    Attributes:
        observed: When each declared source was observed; without any, each that has facts.
        provisioned: Source -> users that its product lists, where that is known.
    """

    observed: Sequence[Observed]
    provisioned: Mapping[str, int]


def read_until_ms(cycle: Cycle, stores: Sequence[JudgedStore]) -> int:
    """Return the end of the newest poll that succeeded, in whole seconds, within the cycle."""
    read = [store.words.read_until_ms for store in stores]
    latest = max((ms for ms in read if ms is not None), default=cycle.start_ms)
    return min(cycle.end_ms, max(cycle.start_ms, -(-latest // 1000) * 1000))


def by_domain(stores: Sequence[JudgedStore]) -> list[list[JudgedStore]]:
    """Return the stores that are counted together: one identity domain, ids that stay.

    A store whose ids may be renamed stands alone (`count_of_numbers`), and so does one of numbers
    (`count_of_samples`); these come first.
    """
    alone: list[list[JudgedStore]] = []
    domains: dict[str, list[JudgedStore]] = {}
    for store in stores:
        if store.stable and not store.key.of_numbers:
            domains.setdefault(store.key.domain, []).append(store)
        else:
            alone.append([store])
    return alone + list(domains.values())


def count_of_numbers(cycle: Cycle, store: JudgedStore) -> DomainCount:
    """Return the count of a store whose ids may be renamed: of single polls, never united."""
    numbers = store.numbers
    days = tuple(numbers.low.get(day, 0) for day in range(cycle.days))
    return DomainCount(unstable_tally(numbers, store.properties, CYCLE_BIT), days)


def count_of_samples(cycle: Cycle, store: JudgedStore, facts: Counts) -> DomainCount:
    """Return the count of a source that states a number, which names nobody on any day.

    Where who counts changed within the cycle, numbers of before and after are about others: each is
    what it is, and nothing follows from two of them.
    """
    if not store.segmented:
        return DomainCount(tally_counts(facts, store.terms, cycle), ())
    own = store.terms.self_counted if store.terms is not None else 0
    tally = tally_counts(facts, CountTerms(self_counted=own), cycle)
    return DomainCount(replace(tally, estimate=None), ())


def counted_apart(
    stores: Sequence[JudgedStore],
) -> tuple[list[JudgedStore], list[JudgedStore]]:
    """Return the stores that a statement rests on, and those that are only held against it.

    A number is never added to what is known of users, nor taken in its place: where anything tells
    of users, a number beside it is a cross-check.
    """
    people = [store for store in stores if not store.key.of_numbers]
    numbers = [store for store in stores if store.key.of_numbers]
    if any(store.tells for store in people):
        return people, numbers
    return (numbers, []) if numbers else (people, [])


def derive(
    cycle: Cycle,
    as_of_ms: int,
    stores: Sequence[JudgedStore],
    counts: Sequence[DomainCount],
    sources: Sequence[DeclaredSource],
    combine: Combine,
    sight: Sight,
) -> CycleStatement:
    """Return the statement about a cycle.

    Args:
        cycle: The cycle.
        as_of_ms: End of the time stated; the cycle's end: it has ended, so that there may be an
            upper bound.
        stores: Every store of the cycle.
        counts: Of each group of `by_domain`.
        sources: Every source declared now; none: the object is gone.
        combine: How the sources belong together.
        sight: What was seen of the sources.
    """
    ended = as_of_ms == cycle.end_ms
    tally = across([count.cycle for count in counts], overlap_of(combine))
    bounds = bounds_of(tally) if ended else bounds_of(tally).so_far()
    return CycleStatement(
        cycle=cycle,
        as_of_ms=as_of_ms,
        bounds=bounds,
        daily=_daily(cycle, as_of_ms, stores, counts, sources),
        coverage=coverage(cycle.start_ms, as_of_ms, sight.observed),
        uncertainty=uncertainty_of(
            bounds,
            [store.properties for store in stores],
            len(counts),
            tally.vanished,
            numbers=_of_numbers(stores),
            unheard=any(store.words.unheard for store in stores),
        ),
        unbounded=unbounded(bounds, stores) if ended else _unseen(stores),
        refuted=_refuted(stores, counts),
        boundary_gap_ms=gap_around(cycle.end_ms, sight.observed) if ended else None,
        provisioned=_provisioned(sight.provisioned, sources, combine),
        assumptions=_assumptions(stores, sources),
    )


def unbounded(bounds: Bounds, stores: Sequence[JudgedStore]) -> tuple[str, ...]:
    """Return why an ended cycle has no upper bound (Tokens); empty: it has one."""
    if bounds.upper is not None:
        return ()
    reasons = [store.lacks for store in stores if store.by_roster or store.lacks == UNLISTED_USERS]
    if any(store.words.unheard for store in stores) and not bounds.lower:
        reasons.append(NEVER_FORGETS)
    if any(store.segmented or store.redefined for store in stores):
        reasons.append(RULES_CHANGED)
    reasons += [reason for store in stores for reason in store.why_unproved()]
    left_open = [store for store in stores if not store.ended]
    reasons += [store.words.unproved or "" for store in left_open]
    if left_open or not stores:
        reasons.append(NO_CLOSING_POLL)
    return tuple(dict.fromkeys(reason for reason in reasons if reason))


def _of_numbers(stores: Sequence[JudgedStore]) -> bool:
    return any(store.key.of_numbers for store in stores)


def _unseen(stores: Sequence[JudgedStore]) -> tuple[str, ...]:
    """Return why nobody is seen while the cycle runs, where that is in the nature of the source."""
    return (UNPROVED_COUNTS,) if _of_numbers(stores) else ()


def _daily(
    cycle: Cycle,
    as_of_ms: int,
    stores: Sequence[JudgedStore],
    counts: Sequence[DomainCount],
    sources: Sequence[DeclaredSource],
) -> tuple[int | None, ...]:
    """Return the lower bounds per day; of a day that a declared source did not follow, None."""
    if _of_numbers(stores):
        return (None,) * len(daily_series(cycle, as_of_ms, [0] * cycle.days, 0))
    declared = {source.store for source in sources}
    known, refuted = (1 << cycle.days) - 1 if stores else 0, 0
    if any(count.contradicted for count in counts):
        known = 0
    for store in stores:
        refuted |= store.words.refuted
        if store.by_days:
            known = 0  # on which days somebody was active is what such a list does not say
        if not declared or store.key in declared:
            known &= store.words.followed
    days = [max(column) for column in zip(*(count.days for count in counts), strict=True)]
    return daily_series(cycle, as_of_ms, days or [0] * cycle.days, known & ~refuted)


def _refuted(stores: Sequence[JudgedStore], counts: Sequence[DomainCount]) -> tuple[str, ...]:
    """Return what is refuted of what the sources declare, in words."""
    words = [
        f"source {refutation.source}: {refutation.words}"
        for store in stores
        for refutation in store.refutations
    ]
    if any(count.contradicted for count in counts):
        names = ", ".join(store.key.source for store in stores)
        words.append(
            f"sources {names}: one saw somebody active whom another one rules out; combine: Same "
            "says that they observe the same activity. Declare combine: Union, or correct the "
            "guarantees of the one that is wrong"
        )
    return tuple(dict.fromkeys(words))


def _provisioned(
    listed: Mapping[str, int], sources: Sequence[DeclaredSource], combine: Combine
) -> int | None:
    """Return the users listed; of several sources only where they list the same users."""
    names = {source.store.source for source in sources}
    if len(names) > 1 and combine is not Combine.SAME:
        return None
    return max((listed[name] for name in names if name in listed), default=None)


def _assumptions(
    stores: Sequence[JudgedStore], sources: Sequence[DeclaredSource]
) -> tuple[str, ...]:
    """Return what is left of what every source declares, in a fixed order."""
    declared = {source.store for source in sources}
    kept = [
        store.terms.assumptions() if store.terms else store.properties.assumptions()
        for store in stores
        if store.key in declared
    ]
    if not kept:
        return ()
    return tuple(token for token in kept[0] if all(token in tokens for tokens in kept))
