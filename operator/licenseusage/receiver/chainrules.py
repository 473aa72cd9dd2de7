"""A report's position in its chain: pure decisions over stored rows (REPORT_FORMAT §6, §12)."""

from collections.abc import Collection

from licenseusage.reasons import Reason
from licenseusage.receiver.inforce import LICENSE_UNKNOWN
from licenseusage.receiver.store import Document
from licenseusage.reports.chain import ChainProgress, Reported
from licenseusage.reports.content import Kind
from licenseusage.reports.findings import findings_of
from licenseusage.reports.names import Link
from licenseusage.reports.receipt import MAX_FINDINGS
from licenseusage.reports.refused import Refused
from licenseusage.reports.report import Envelope, Report, read_report


def contradiction(
    envelope: Envelope, rank: int, *, occupied: bool, before: Document | None, newest_rank: int
) -> str | None:
    """Return why a report can hold no position at all, or None: the class of a ``Conflict``.

    Args:
        envelope: The report.
        rank: Rank of the key that signed it.
        occupied: Whether its position is held, by another report.
        before: What holds the position before, if anything does.
        newest_rank: Highest rank that signed a held position before.
    """
    if occupied:
        return Reason.REPORT_CONFLICT
    if before is not None and before.digest != envelope.previous:
        return Reason.CHAIN_FORKED
    return Reason.KEY_RETIRED if rank < newest_rank else None


def breach(
    report: Report,
    rank: int,
    *,
    first_cycle: int | None,
    closed: Collection[int],
    amended: str | None,
) -> str | None:
    """Return the rule of order or amendment that a report of the unbroken run breaks, or None.

    Args:
        report: The report; its link is known to fit.
        rank: Rank of the key that signed it.
        first_cycle: First cycle of the chain; None: this report is the first that counts.
        closed: Indices of the cycles that a report before closed.
        amended: For an amendment, the token of the report before that states its cycle's value.
    """
    envelope = report.envelope
    head = None
    if envelope.previous is not None:
        head = Link(envelope.sequence - 1, envelope.previous)
    stated = None if amended is None else read_report(amended)
    state = ChainProgress(
        head=head,
        rank=0,  # settled before, by ``contradiction``
        first_cycle=first_cycle,
        closed=frozenset(closed),
        values=(
            {}
            if stated is None
            else {stated.content.cycle.index: Reported(stated.envelope.link, stated.content)}
        ),
    )
    try:
        state.after(report, rank)
    except Refused as refusal:
        return refusal.error
    return None


def amendment_late(report: Report, *, received_s: int) -> bool:
    """Whether an amendment arrived after the cycle that follows its own had ended as well.

    REPORT_FORMAT names the finding ``AmendmentLate`` and leaves the limit to the vendor: by then
    the amended cycle has been invoiced, and the next one is about to be.
    """
    cycle = report.content.cycle
    following_end_s = cycle.end_s + (cycle.end_s - cycle.start_s)
    return report.content.kind is Kind.AMENDMENT and received_s >= following_end_s


def report_findings(
    report: Report,
    before: Report | None,
    *,
    linked: bool,
    overdue: bool,
    received_s: int,
    licensed: bool = True,
) -> tuple[str, ...]:
    """Return everything that a receipt says about a report beyond its verdict, ascending.

    Args:
        report: The report.
        before: The accepted report before it in its chain; None also where that is not held yet.
        linked: Whether the unbroken run from sequence 1 reaches it.
        overdue: Whether it ends a silence that was too long.
        received_s: When it arrived.
        licensed: Whether the licence that it names is known.
    """
    findings = set(findings_of(report, before if linked else None))
    if not linked:
        findings.add(Reason.CHAIN_GAP)
    if overdue:
        findings.add(Reason.REPORT_OVERDUE)
    if not licensed:
        findings.add(LICENSE_UNKNOWN)
    if amendment_late(report, received_s=received_s):
        findings.add(Reason.AMENDMENT_LATE)
    return tuple(sorted(findings)[:MAX_FINDINGS])
