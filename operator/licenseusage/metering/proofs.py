"""Facts in their general form: proof records, for every kind of source that names users.

A proof record says: every user with an activity in this range is one of these. It is a statement
about the past that never becomes false, so that records of any number of polls, replicas and
backups are simply collected; one that another makes superfluous is dropped (MEASUREMENT §8).

Two kinds have a compact form that says the same in two words a user: lists that never forget
(``facts``), and event logs (``events``), whose records differ by the stretch of time alone.
"""

from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from itertools import pairwise

from licenseusage.metering.cycles import CYCLE_BIT, Cycle, Segment
from licenseusage.metering.known import Known


@dataclass(frozen=True, slots=True)
class Proof:
    """Every user with an activity in ``[start_ms, end_ms)`` is in ``possible``."""

    start_ms: int
    end_ms: int
    possible: frozenset[bytes]

    def beats(self, other: "Proof") -> bool:
        """Whether this record says at least as much as another one."""
        return (
            self.start_ms <= other.start_ms
            and self.end_ms >= other.end_ms
            and self.possible <= other.possible
        )


@dataclass(slots=True)
class Proofs:
    """The proof records about one cycle (or segment), identity domain and store.

    Attributes:
        sure: User -> word of the windows in which activity is proved. Only users with a bit.
        proofs: Window -> records, cut to the window, none of which beats another.
        refuted: A declared property was refuted by a row that cannot be.
    """

    sure: dict[bytes, int] = field(default_factory=dict)
    proofs: dict[int, frozenset[Proof]] = field(default_factory=dict)
    refuted: bool = False


def proved(
    windows: Mapping[int, tuple[int, int]],
    start_ms: int,
    end_ms: int,
    possible: Mapping[int, Iterable[bytes]],
) -> dict[int, frozenset[Proof]]:
    """Return one poll's records: its proof range, cut to each window that it meets.

    Args:
        windows: Window -> ``(start, end)`` in ms.
        start_ms: Start of the proof range.
        end_ms: Its end, exclusive.
        possible: Window -> users whom the poll does not rule out there, those sure included.
    """
    records = {}
    for window, (first, end) in windows.items():
        since, until = max(start_ms, first), min(end_ms, end)
        if since < until:
            records[window] = frozenset([Proof(since, until, frozenset(possible[window]))])
    return records


def merge_proofs(a: Proofs, b: Proofs) -> Proofs:
    """Return the join of two sets of facts about one cycle, domain and store."""
    sure = dict(a.sure)
    for user, word in b.sure.items():
        sure[user] = sure.get(user, 0) | word
    windows = a.proofs.keys() | b.proofs.keys()
    none: frozenset[Proof] = frozenset()
    return Proofs(
        sure,
        {w: frozenset(_pareto(a.proofs.get(w, none) | b.proofs.get(w, none))) for w in windows},
        a.refuted or b.refuted,
    )


def known_by_proofs(facts: Proofs, cycle: Cycle | Segment, window: int = CYCLE_BIT) -> Known:
    """Return the users that the records prove in one window."""
    start_ms, end_ms = cycle.windows()[window]
    sure = {user for user, word in facts.sure.items() if word >> window & 1}
    possible = possible_between(facts.proofs.get(window, ()), start_ms, end_ms)
    return Known(sure, possible, conflict=facts.refuted)


def possible_between(
    records: Iterable[Proof], start_ms: int, end_ms: int
) -> frozenset[bytes] | None:
    """Return everybody who may have an activity in ``[start_ms, end_ms)``; None: not covered.

    At each instant those are possible whom no record of that instant rules out. This is never wider
    than the best chain of records, and more records only narrow it.
    """
    records = list(records)
    # Between two ends of records the first instant is the one that the fewest of them rule.
    ends = {r.end_ms for r in records if start_ms < r.end_ms < end_ms}
    possible: set[bytes] = set()
    for since, until in pairwise(sorted({start_ms, *ends, end_ms})):
        ruling = [r.possible for r in records if r.start_ms <= since and until <= r.end_ms]
        if not ruling:
            return None
        possible |= ruling[0].intersection(*ruling[1:])
    return frozenset(possible)


def covered_until(records: Iterable[Proof], start_ms: int) -> int | None:
    """Return until when activity since ``start_ms`` is covered without a hole; None: not at all.

    While a window runs, ``possible_between`` up to this time is an upper bound as of it, and the
    users sure are a lower bound as of the last poll (MEASUREMENT §8).
    """
    until = start_ms
    for record in sorted(records, key=lambda r: r.start_ms):
        if record.start_ms <= until:
            until = max(until, record.end_ms)
    return until if until > start_ms else None


def _pareto(records: Set[Proof]) -> Iterator[Proof]:
    return (r for r in records if not any(o.beats(r) for o in records if o != r))
