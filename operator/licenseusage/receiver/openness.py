"""Which findings of a chain are open, and which have ended: pure decisions.

A finding belongs to a cycle. It is open while that cycle is what vendor and customer talk about,
and ends with the next cycle's final, unless it has ended before: a gap was filled, a licence has
arrived, an amendment has no gaps any more, another report took a refused one's place. Evidence that
arrives later opens it again. What has ended stays with its cycle, as what was found then.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from licenseusage.reasons import Reason
from licenseusage.receiver.inforce import LICENSE_UNKNOWN

# Taken from the document again as soon as they are over.
_ENDED_BY_REMOVAL = frozenset({LICENSE_UNKNOWN, Reason.CHAIN_GAP})
_TOLD_OF_A_SILENCE = Reason.REPORT_OVERDUE
_OF_THE_VALUE = Reason.COVERAGE_INCOMPLETE


@dataclass(frozen=True, slots=True)
class DocumentFinding:
    """A finding, or the class of a refusal, as a document has it.

    Attributes:
        cycle: Index of the cycle that the document speaks of; None: it does not say.
        kind: Of the report; None: it does not say.
        sequence: Position of the document.
        received_ms: When it arrived.
        verdict: ``Accepted``, ``Rejected`` or ``Conflict``, of the document.
    """

    name: str
    cycle: int | None
    kind: str | None
    sequence: int
    received_ms: int
    verdict: str


@dataclass(frozen=True, slots=True)
class Stated:
    """The report that states a cycle's value now: its last valid one.

    Attributes:
        kind: ``interim``: it is not closed yet.
        findings: Of that report.
    """

    kind: str
    sequence: int
    received_ms: int
    findings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CycleFinding:
    """A finding of a cycle; ``cycle`` None: of the chain as it is now."""

    name: str
    cycle: int | None
    open: bool


def findings_of_chain(
    findings: Iterable[DocumentFinding],
    stated: Mapping[int, Stated],
    *,
    missing: bool,
    overdue: bool,
) -> tuple[CycleFinding, ...]:
    """Return each finding once per cycle, open if one of its documents leaves it open.

    Args:
        findings: Of all documents of the chain.
        stated: By cycle index; of the newest cycles at least.
        missing: Whether positions are missing now.
        overdue: Whether its silence is too long now.
    """
    closed = [index for index, value in stated.items() if value.kind != "interim"]
    last = max(closed, default=None)
    merged: dict[tuple[int | None, str], bool] = {}
    for finding in findings:
        where = (finding.cycle, finding.name)
        merged[where] = merged.get(where, False) or _open(finding, stated, last)
    now = {Reason.CHAIN_GAP: missing, _TOLD_OF_A_SILENCE: overdue}
    merged |= {(None, name): True for name, holds in now.items() if holds}
    return tuple(
        CycleFinding(name, cycle, open_)
        for (cycle, name), open_ in sorted(merged.items(), key=lambda item: _order(item[0]))
    )


def names_of(findings: Sequence[CycleFinding], *, cycle: int | None = None) -> tuple[str, ...]:
    """Return the names of those that are open, each once; of one cycle if it is given."""
    wanted = [
        finding
        for finding in findings
        if finding.open and (cycle is None or finding.cycle == cycle)
    ]
    return tuple(sorted({finding.name for finding in wanted}))


def _open(finding: DocumentFinding, stated: Mapping[int, Stated], last: int | None) -> bool:
    if finding.name in _ENDED_BY_REMOVAL:
        return True
    if finding.name == _TOLD_OF_A_SILENCE:
        return False  # of one that its own arrival ended
    value = None if finding.cycle is None else stated.get(finding.cycle)
    if value is not None and _ended_within(finding, value):
        return False
    if last is None or (finding.cycle is not None and last <= finding.cycle):
        return True
    return not _follows(stated[last], finding)


def _ended_within(finding: DocumentFinding, value: Stated) -> bool:
    """Whether a later report of its own cycle has ended it."""
    if finding.verdict == "Rejected":
        closes = value.kind != "interim" or finding.kind == "interim"
        return value.sequence > finding.sequence and closes
    return finding.name == _OF_THE_VALUE and finding.name not in value.findings


def _follows(final: Stated, finding: DocumentFinding) -> bool:
    """Whether a final came after it: by position, or by arrival if it has no position."""
    if finding.verdict == "Conflict":
        return final.received_ms > finding.received_ms
    return final.sequence > finding.sequence


def _order(where: tuple[int | None, str]) -> tuple[float, str]:
    cycle, name = where
    return (float("-inf") if cycle is None else -cycle, name)
