"""From facts to bounds: one store, several stores, several domains (MEASUREMENT §2, §7)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from licenseusage.metering.bounds import Bounds
from licenseusage.metering.cycles import CYCLE_BIT, CYCLE_MASK, Cycle
from licenseusage.metering.facts import Facts
from licenseusage.metering.properties import Properties


class Combine(StrEnum):
    """How the sources of one object belong together.

    ``UNION``: each is a store of its own; whoever is active in one of them counts once.
    ``SAME``: all observe the same activity (a list and a log), so each can rule people out.
    """

    UNION = "Union"
    SAME = "Same"


@dataclass(frozen=True, slots=True)
class Store:
    """Facts of one store, and what its source declares now.

    Attributes:
        domain: Identity domain; stores of different domains are never united.
        facts: What was found so far; empty facts for a declared store that was never read.
        properties: As declared now. Closed windows give an upper bound only while the source still
            declares that users are never removed.
    """

    domain: str
    facts: Facts
    properties: Properties


@dataclass(frozen=True, slots=True)
class Tally:
    """Counts of one window over stores whose ids are comparable.

    Attributes:
        lower: Distinct users with proof of activity.
        upper: Distinct users not ruled out; None where a store lacks a covering proof range.
        conflict: A declared property is refuted.
    """

    lower: int
    upper: int | None
    conflict: bool = False


def evaluate(
    stores: Sequence[Store], combine: Combine = Combine.UNION, window: int = CYCLE_BIT
) -> Bounds:
    """Return the bounds of one window of a cycle, from facts in memory.

    The ledger computes the same with SQL; a property test holds the two together.

    Args:
        stores: Every store that existed in the cycle, also one that was never read: each needs its
            own covering proof range. Empty: Unknown.
        combine: How the stores belong together.
        window: ``CYCLE_BIT``, or the number of a day.
    """
    domains: dict[str, list[Store]] = {}
    tallies: list[Tally] = []
    for store in stores:
        if store.properties.ids_stable:
            domains.setdefault(store.domain, []).append(store)
        else:
            tallies.append(unstable_tally(store.facts, store.properties, window))
    tallies += [_tally(group, combine, window) for group in domains.values()]
    return across_domains(tallies)


def evaluate_facts(facts: Facts, properties: Properties, window: int = CYCLE_BIT) -> Bounds:
    """Return the bounds of one window from the facts of a single store."""
    return evaluate([Store("", facts, properties)], window=window)


def across_domains(tallies: Sequence[Tally]) -> Bounds:
    """Return the bounds where nothing is known about people common to several identity domains.

    The same person may be in each of them, or in one: the greatest lower bound, the sum of the
    upper.
    """
    if not tallies:
        return Bounds(0, None)
    uppers = [tally.upper for tally in tallies]
    known = [upper for upper in uppers if upper is not None]
    return Bounds(
        lower=max(tally.lower for tally in tallies),
        upper=sum(known) if len(known) == len(uppers) else None,
        conflict=any(tally.conflict for tally in tallies),
    )


def unstable_tally(facts: Facts, properties: Properties, window: int) -> Tally:
    """Return the tally of a store whose ids may change: single polls only, never united (§3.8)."""
    lower = facts.low.get(window, 0)
    upper = facts.full.get(window) if properties.keeps_users else None
    return Tally(lower, upper, conflict=upper is not None and upper < lower)


def proves(facts: Facts, properties: Properties, window: int) -> bool:
    """Whether every user active in the window is known to be in ``sure`` or ``maybe``."""
    return properties.keeps_users and bool(facts.closed >> window & 1)


def day_counts(words: Iterable[int], cycle: Cycle) -> tuple[int, ...]:
    """Return how many words have the bit of each day, in the order of the days."""
    counts = [0] * cycle.days
    for word in words:
        days = word & ~CYCLE_MASK
        while days:
            lowest = days & -days
            counts[lowest.bit_length() - 1] += 1
            days ^= lowest
    return tuple(counts)


def _tally(stores: Sequence[Store], combine: Combine, window: int) -> Tally:
    sure: set[bytes] = set()
    for store in stores:
        sure |= _with_bit(store.facts.sure, window)
    proving = [s for s in stores if proves(s.facts, s.properties, window)]
    refuted = any(s.facts.refuted >> window & 1 for s in proving)
    possible = [_with_bit(s.facts.sure, window) | _with_bit(s.facts.maybe, window) for s in proving]
    if combine is Combine.UNION:
        upper = len(sure.union(*possible)) if len(proving) == len(stores) else None
        return Tally(len(sure), upper, refuted)
    if not possible:
        return Tally(len(sure), None, refuted)
    everywhere = set.intersection(*possible)
    # Somebody sure whom another source rules out: they do not observe the same activity.
    return Tally(len(sure), len(everywhere), refuted or not sure <= everywhere)


def _with_bit(words: Mapping[bytes, int], window: int) -> set[bytes]:
    return {user for user, bits in words.items() if bits >> window & 1}
