"""Which definition a poll's facts were made by, since when it decides, what it is evidence for.

Digests stand for definitions: that of a source decides who counts, that of an object covers all its
sources and their guarantees. A digest of None was never told, and differs from none.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from licenseusage.metering.cycles import Cycle


def differ(known: str | None, other: str | None) -> bool:
    """Return whether two digests are told, and stand for different definitions."""
    return known is not None and other is not None and known != other


def evidence_counts(decided_by: str | None, found_by: str | None) -> bool:
    """Return whether evidence about a cycle counts: only under the rules that decided the cycle.

    Later changes to sources or guarantees do not alter ended cycles (MEASUREMENT §7).

    Args:
        decided_by: Digest of the object's rules that the cycle was decided by.
        found_by: Digest of the rules that the evidence was found by.
    """
    return not differ(decided_by, found_by)


@dataclass(frozen=True, slots=True)
class Definition:
    """The definition of who counts that a store's facts were made by last.

    After a change, the facts of before and after are about two segments of the cycle: no poll by
    the new definition says anything about the time before it (MEASUREMENT §7).

    Attributes:
        digest: Of the definition; None: no poll has told.
        since_ms: Since when it decides; None: in the whole cycle.
    """

    digest: str | None = None
    since_ms: int | None = None

    def planned_ms(self, digest: str | None, now_ms: int) -> int | None:
        """Return since when a definition decides if a poll by it begins now.

        None: in the whole cycle. A change that no poll has seen yet is dated now.
        """
        return now_ms if differ(self.digest, digest) else self.since_ms

    def polled_ms(self, digest: str | None, planned_ms: int | None, started_ms: int) -> int | None:
        """Return since when the definition of a poll that was made decides.

        None: in the whole cycle. As another poll may have been made since this one was planned, it
        is not always the time that it was planned for.

        Args:
            digest: Of the poll's definition.
            planned_ms: Since when the poll's facts are; None: they are about the whole cycle.
            started_ms: Start of the poll.
        """
        if differ(self.digest, digest):
            return started_ms if planned_ms is None else planned_ms
        return planned_ms if self.digest is None else self.since_ms


def segment_ms(cycle: Cycle, known: Iterable[Definition], digest: str, now_ms: int) -> int | None:
    """Return since when a source's definition decides who counts; None: in the whole cycle.

    A definition that changed when the cycle was over has no part in it, and the ledger takes
    nothing from it.

    Args:
        cycle: The cycle.
        known: Definitions of the source so far (`stores.definitions_of`).
        digest: Of the definition now.
        now_ms: When the poll begins: a change that no poll has seen yet is dated so.
    """
    times = [definition.planned_ms(digest, now_ms) for definition in known]
    since_ms = max((at for at in times if at is not None), default=cycle.start_ms)
    return since_ms if cycle.start_ms < since_ms < cycle.end_ms else None


def reaches_before(cycle: Cycle, planned_ms: int | None, since_ms: int | None) -> bool:
    """Return whether facts may be about time in which another definition decided who counts.

    Args:
        cycle: The cycle.
        planned_ms: Since when the facts are; None: they are about the whole cycle.
        since_ms: Since when their definition decides; None: in the whole cycle.
    """
    begins_ms = cycle.start_ms if planned_ms is None else planned_ms
    return since_ms is not None and begins_ms < since_ms
