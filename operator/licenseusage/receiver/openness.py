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
class Found:
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
class Finding:
    """A finding of a cycle; ``cycle`` None: of the chain as it is now."""

    name: str
    cycle: int | None
    open: bool


def findings_of_chain(
    found: Iterable[Found], stated: Mapping[int, Stated], *, missing: bool, overdue: bool
) -> tuple[Finding, ...]:
    """Return each finding once per cycle, open if one of its documents leaves it open.

    Args:
        found: Of all documents of the chain.
        stated: By cycle index; of the newest cycles at least.
        missing: Whether positions are missing now.
        overdue: Whether its silence is too long now.
    """
    closed = [index for index, value in stated.items() if value.kind != "interim"]
    last = max(closed, default=None)
    merged: dict[tuple[int | None, str], bool] = {}
    for one in found:
        where = (one.cycle, one.name)
        merged[where] = merged.get(where, False) or _open(one, stated, last)
    now = {Reason.CHAIN_GAP: missing, _TOLD_OF_A_SILENCE: overdue}
    merged |= {(None, name): True for name, holds in now.items() if holds}
    return tuple(
        Finding(name, cycle, open_)
        for (cycle, name), open_ in sorted(merged.items(), key=lambda item: _order(item[0]))
    )


def names_of(findings: Sequence[Finding], *, cycle: int | None = None) -> tuple[str, ...]:
    """Return the names of those that are open, each once; of one cycle if it is given."""
    wanted = [one for one in findings if one.open and (cycle is None or one.cycle == cycle)]
    return tuple(sorted({one.name for one in wanted}))


def _open(one: Found, stated: Mapping[int, Stated], last: int | None) -> bool:
    if one.name in _ENDED_BY_REMOVAL:
        return True
    if one.name == _TOLD_OF_A_SILENCE:
        return False  # of one that its own arrival ended
    value = None if one.cycle is None else stated.get(one.cycle)
    if value is not None and _ended_within(one, value):
        return False
    if last is None or (one.cycle is not None and last <= one.cycle):
        return True
    return not _follows(stated[last], one)


def _ended_within(one: Found, value: Stated) -> bool:
    """Whether a later report of its own cycle has ended it."""
    if one.verdict == "Rejected":
        closes = value.kind != "interim" or one.kind == "interim"
        return value.sequence > one.sequence and closes
    return one.name == _OF_THE_VALUE and one.name not in value.findings


def _follows(final: Stated, one: Found) -> bool:
    """Whether a final came after it: by position, or by arrival if it has no position."""
    if one.verdict == "Conflict":
        return final.received_ms > one.received_ms
    return final.sequence > one.sequence


def _order(where: tuple[int | None, str]) -> tuple[float, str]:
    cycle, name = where
    return (float("-inf") if cycle is None else -cycle, name)
