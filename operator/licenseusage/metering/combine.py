"""From facts to bounds: stores of every kind, segments, identity domains (MEASUREMENT §2, §7)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Protocol

from licenseusage.metering.bounds import Bounds
from licenseusage.metering.counts import CountProperties, Counts, tally_counts
from licenseusage.metering.cycles import CYCLE_BIT, Cycle, Segment
from licenseusage.metering.facts import Facts
from licenseusage.metering.known import (
    Known,
    Overlap,
    WindowCounts,
    across,
    bounds_of,
    intersected,
    tallied,
    united,
)
from licenseusage.metering.proofs import Proofs, known_by_proofs
from licenseusage.metering.properties import Properties
from licenseusage.metering.rolling import believes, possible_in_cycle
from licenseusage.metering.roster import doubted_users, known_by_roster, set_aside


class Combine(StrEnum):
    """How the sources of one object belong together.

    ``UNION``: each is a store of its own; whoever is active in one of them counts once.
    ``SAME``: all observe the same activity (a list and a log), so each can rule people out.
    """

    UNION = "Union"
    SAME = "Same"


class Evidence(Protocol):
    """The evidence of one store, of any kind.

    A store belongs to an identity domain; those of different domains are never united.
    """

    @property
    def domain(self) -> str:
        """Identity domain."""
        ...

    def known(self, window: int) -> Known | WindowCounts:
        """Return the knowledge about one window; a `WindowCounts` if users cannot be compared."""
        ...


@dataclass(frozen=True, slots=True)
class Store:
    """A list of users (kinds A and B): its facts, and what it declares now.

    Attributes:
        domain: Identity domain.
        facts: What was found so far; empty facts for a declared store that was never read.
        properties: As declared now, and what of it is refuted. Closed windows give an upper bound
            only while the source still declares that users are never removed.
        cycle: The cycle or segment that the facts are about; without it a roster proves nothing,
            nor does a list without times.
        forgets: A list without times was seen to forget (``rolling``).
    """

    domain: str
    facts: Facts
    properties: Properties
    cycle: Cycle | Segment | None = None
    forgets: bool = True

    def known(self, window: int) -> Known | WindowCounts:
        """Return the users that the list proves in one window."""
        facts, properties = self.facts, self.properties
        if not properties.ids_stable:
            return unstable_tally(facts, properties, window)
        sure = _with_bit(facts.sure, window)
        if properties.window is not None:
            return self._by_days(sure, window)
        if properties.keeps_roster and window == CYCLE_BIT and self.cycle is not None:
            return known_by_roster(self.cycle, properties, sure, facts.roster)
        doubted = doubted_users(properties, sure, facts.roster)
        kept = Known(sure - doubted, doubted=doubted)
        moved = set_aside(facts.roster) - sure
        if not proves(facts, properties, window) or (moved and window != CYCLE_BIT):
            return kept
        possible = sure | _with_bit(facts.maybe, window) | moved
        return replace(kept, possible=possible, vanished=moved)

    def _by_days(self, sure: set[bytes], window: int) -> Known:
        """Return what a list without times proves: of the cycle what it proves of all its days."""
        facts, properties, cycle = self.facts, self.properties, self.cycle
        if facts.refuted or properties.refuted:
            return Known(frozenset())
        counted = sure if cycle is None or believes(cycle, properties, forgets=self.forgets) else ()
        whole = window == CYCLE_BIT
        days = 0 if cycle is None else cycle.days
        covered = possible_in_cycle(facts.closed, days) if whole else facts.closed >> window & 1
        if not (properties.keeps_users and covered):
            return Known(frozenset(counted))
        maybe = facts.maybe.keys() if whole else _with_bit(facts.maybe, window)
        return Known(frozenset(counted), sure | maybe)


@dataclass(frozen=True, slots=True)
class ProofStore:
    """A store whose facts are proof records: lists that forget users after a while."""

    domain: str
    facts: Proofs
    cycle: Cycle | Segment

    def known(self, window: int) -> Known:
        """Return the users that the records prove in one window."""
        return known_by_proofs(self.facts, self.cycle, window)


@dataclass(frozen=True, slots=True)
class CountStore:
    """A source of bare counts: one series of samples."""

    domain: str
    facts: Counts
    properties: CountProperties
    cycle: Cycle | Segment

    def known(self, window: int) -> WindowCounts:
        """Return the bounds that the samples prove for one window."""
        return tally_counts(self.facts, self.properties, self.cycle, window)


def evaluate(
    stores: Sequence[Evidence],
    combine: Combine = Combine.UNION,
    window: int = CYCLE_BIT,
    overlap: Overlap = Overlap.UNKNOWN,
) -> Bounds:
    """Return the bounds of one window of a cycle, from facts in memory.

    The ledger computes the same with SQL; a property test holds the two together.

    Args:
        stores: Every store that existed in the cycle, also one that was never read or whose pod
            took it away: each needs its own covering proof range. Empty: Unknown.
        combine: How the stores belong together.
        window: ``CYCLE_BIT``, or the number of a day.
        overlap: What is known of people common to stores whose users cannot be compared; with
            ``Combine.SAME`` they are the same people.
    """
    domains, tallies = _by_domain(stores, combine, window)
    counts = [*tallies, *map(tallied, domains.values())]
    return bounds_of(across(counts, overlap_of(combine, overlap)))


def evaluate_segments(
    segments: Mapping[Segment, Sequence[Evidence]],
    combine: Combine = Combine.UNION,
    window: int = CYCLE_BIT,
    overlap: Overlap = Overlap.UNKNOWN,
) -> Bounds:
    """Return the bounds of one window where the definition of activity changed in the cycle.

    Each segment has its own stores, whose facts are about that segment only. Users of one identity
    domain are united over the segments, and each segment needs its own proof; a domain that changed
    with them is never united (MEASUREMENT §7).

    Args:
        segments: Segments, each with every store that it had. Time that none of them covers was
            counted by nobody.
        combine: How the stores of one segment belong together.
        window: ``CYCLE_BIT``, or the number of a day.
        overlap: As for ``evaluate``, among the stores of one segment.
    """
    parts: dict[str, list[Known]] = {}
    numbers: list[WindowCounts] = []
    for segment, stores in segments.items():
        if window not in segment.windows():
            continue
        domains, tallies = _by_domain(stores, combine, window)
        if combine is Combine.SAME and len(domains) + len(tallies) > 1:
            # Not to be united with other segments, but about the same people here.
            tallies += map(tallied, domains.values())
            domains = {}
        if tallies or not stores:
            numbers.append(across(tallies, overlap_of(combine, overlap)))
        for domain, known in domains.items():
            parts.setdefault(domain, []).append(known)
    counts = [*numbers, *(tallied(united(each)) for each in parts.values())]
    if not _cover(segments, window):
        counts.append(WindowCounts(0, None))
    # The same people come back in every segment, whatever is known of the stores of one.
    return bounds_of(across(counts))


def evaluate_facts(
    facts: Facts,
    properties: Properties,
    window: int = CYCLE_BIT,
    cycle: Cycle | Segment | None = None,
) -> Bounds:
    """Return the bounds of one window from the facts of a single store."""
    return evaluate([Store("", facts, properties, cycle)], window=window)


def unstable_tally(facts: Facts, properties: Properties, window: int) -> WindowCounts:
    """Return the tally of a store whose ids may change: single polls only, never united (§3.8)."""
    lower = facts.low.get(window, 0)
    upper = facts.full.get(window) if properties.keeps_users else None
    # Fewer are possible in one poll than another proves: users are removed, and nothing is ruled
    # out by not being listed. What a single poll proves stands.
    return WindowCounts(lower, None if upper is not None and upper < lower else upper)


def proves(facts: Facts, properties: Properties, window: int) -> bool:
    """Whether every user active in the window is known to be in ``sure`` or ``maybe``."""
    return properties.keeps_users and not facts.refuted and bool(facts.closed >> window & 1)


def overlap_of(combine: Combine, overlap: Overlap = Overlap.UNKNOWN) -> Overlap:
    """Return the knowledge about people who are common to several identity domains."""
    return Overlap.SAME if combine is Combine.SAME else overlap


def _by_domain(
    stores: Sequence[Evidence], combine: Combine, window: int
) -> tuple[dict[str, Known], list[WindowCounts]]:
    """Return what each identity domain knows together, and the numbers that stand alone."""
    domains: dict[str, list[Known]] = {}
    tallies: list[WindowCounts] = []
    for store in stores:
        known = store.known(window)
        if isinstance(known, WindowCounts):
            tallies.append(known)
        else:
            domains.setdefault(store.domain, []).append(known)
    if combine is Combine.UNION:
        return {domain: united(group) for domain, group in domains.items()}, tallies
    whole = window == CYCLE_BIT
    return {domain: intersected(group, whole=whole) for domain, group in domains.items()}, tallies


def _cover(segments: Iterable[Segment], window: int) -> bool:
    """Whether segments of a cycle leave no time of a window out."""
    parts = sorted(s.windows()[window] for s in segments if window in s.windows())
    whole = {s.cycle.windows()[window] for s in segments}
    if len(whole) != 1:
        return False
    (start, end) = whole.pop()
    for first, last in parts:
        if first > start:
            return False
        start = max(start, last)
    return start >= end


def _with_bit(words: Mapping[bytes, int], window: int) -> set[bytes]:
    return {user for user, bits in words.items() if bits >> window & 1}
