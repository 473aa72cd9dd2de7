"""Storing a report where it belongs in its chain, and moving the head (REPORT_FORMAT §6, §12)."""

from collections.abc import Set
from dataclasses import replace

from licenseusage.reasons import Reason
from licenseusage.receiver.authentication import AuthenticReport
from licenseusage.receiver.chainrules import breach, contradiction, report_findings
from licenseusage.receiver.evidence import keep_evidence
from licenseusage.receiver.inforce import Register
from licenseusage.receiver.receipts import IssuedReceipt, ReceiptSigner
from licenseusage.receiver.store import Chain, Document, Installation, ReportRow, Writing
from licenseusage.reports.content import Kind
from licenseusage.reports.names import Link
from licenseusage.reports.receipt import ReceiptVerdict
from licenseusage.reports.refused import Refused
from licenseusage.reports.report import Envelope, Report, read_report
from licenseusage.reports.typs import REPORT


def place_report(
    writing: Writing,
    signer: ReceiptSigner,
    authentic: AuthenticReport,
    judged: Report | Refused,
    register: Register,
    *,
    now_s: int,
) -> IssuedReceipt:
    """Store an authentic report with its receipt: accepted, rejected, or a conflict's evidence.

    Args:
        writing: The transaction; the report is not stored yet.
        signer: Signs the receipt.
        authentic: The report's envelope, and whose it is.
        judged: Its content, or why that is refused.
        register: Its installation's licences.
        now_s: When it arrived, seconds since 1970 UTC.

    Raises:
        RequestRefused: too many conflicts are kept; the transaction must not commit.
        Retryable: the receipt could not be signed; the transaction must not commit.
    """
    envelope, rank = authentic.envelope, authentic.rank
    chain = writing.stored(_chain_of(envelope))
    document = _document(authentic, now_s)
    before, there = writing.at_position_and_before(chain.id, envelope.sequence)
    conflict = contradiction(
        envelope,
        rank,
        occupied=there is not None,
        before=before,
        newest_rank=writing.newest_rank_before(chain.id, envelope.sequence),
    )
    if conflict is not None:
        return keep_evidence(writing, signer, chain, document, conflict, now_s=now_s)
    linked = envelope.sequence == (chain.head.sequence + 1 if chain.head else 1)
    stored = _judged(writing, document, authentic.installation, judged, register, linked=linked)
    writing.add(stored, _row(judged) if stored.verdict == ReceiptVerdict.ACCEPTED else None)
    head = _advance(writing, chain.id, envelope.link) if linked else chain.head
    return signer.issue(writing, stored, chain, head, now_s=now_s)


def _judged(
    writing: Writing,
    document: Document,
    installation: Installation,
    judged: Report | Refused,
    register: Register,
    *,
    linked: bool,
) -> Document:
    """Return the document with the verdict on its content and, if it is linked, on its order."""
    error: str | None
    if isinstance(judged, Refused):
        error = judged.error
    else:
        error = _breach(writing, judged, document.rank) if linked else None
    if error is not None or isinstance(judged, Refused):
        gap = () if linked else (Reason.CHAIN_GAP,)
        return replace(document, verdict=ReceiptVerdict.REJECTED, error=error, findings=gap)
    licensed = register.named(judged.content.license_id) is not None
    findings = report_findings(
        judged,
        _counted_before(writing, document),
        linked=linked,
        # Under a licence that is not known, nobody knows when it was due.
        overdue=licensed and _overdue(writing, installation, document, register),
        received_s=document.received_ms // 1000,
        licensed=licensed,
    )
    return replace(document, findings=findings)


def _advance(writing: Writing, chain_id: str, head: Link) -> Link:
    """Advance the head as far as positions link, and return the findings that follow."""
    while (following := writing.at_position(chain_id, head.sequence + 1)) is not None:
        if following.previous != head.digest:
            writing.set_findings(
                following.digest, {*following.findings, Reason.CHAIN_FORKED}, stands=False
            )
            break
        findings, stands = _reconsidered(writing, following)
        writing.set_findings(following.digest, findings, stands=stands)
        head = Link(following.sequence, following.digest)
    writing.set_head(chain_id, head)
    return head


def _reconsidered(writing: Writing, document: Document) -> tuple[Set[str], bool]:
    """Judge a report that arrived early by the rules that need the reports before it.

    Its verdict is signed and stays; what is found now can only be added (REPORT_FORMAT §12).

    Returns:
        Its findings, and whether it may state its cycle's value.
    """
    findings = set(document.findings) - {Reason.CHAIN_GAP}
    broken: set[str] = set()
    if document.rank < writing.newest_rank_before(document.chain_id, document.sequence):
        broken.add(Reason.KEY_RETIRED)
    if document.verdict == ReceiptVerdict.ACCEPTED:
        report = read_report(document.token)
        error = _breach(writing, report, document.rank)
        broken |= {error} if error else set()
        findings |= set(
            report_findings(
                report,
                _counted_before(writing, document),
                linked=True,
                overdue=False,
                received_s=document.received_ms // 1000,
            )
        )
    return findings | broken, not broken


def _breach(writing: Writing, report: Report, rank: int) -> str | None:
    envelope, content = report.envelope, report.content
    before = (envelope.chain_id, envelope.sequence)
    amends = content.kind is Kind.AMENDMENT
    return breach(
        report,
        rank,
        first_cycle=writing.first_cycle(*before),
        closed=writing.closed_cycles(*before),
        amended=writing.cycle_value(*before, content.cycle.index) if amends else None,
    )


def _overdue(
    writing: Writing, installation: Installation, document: Document, register: Register
) -> bool:
    """Whether it ends a silence that was too long.

    A chain's first report ends none of its own: the usage object may be as new as it is.
    """
    last_ms = writing.last_received_ms(document.chain_id)
    if last_ms is None:
        return False
    newest = writing.newest_counted(document.chain_id)
    due_s = register.silence_ends_s(
        None if newest is None else read_report(newest.token).content.license_id,
        enrolled_s=installation.enrolled_ms // 1000,
        last_received_s=last_ms // 1000,
        last_final=writing.last_final(document.chain_id),
    )
    return due_s is not None and document.received_ms // 1000 >= due_s


def _counted_before(writing: Writing, document: Document) -> Report | None:
    before = writing.counted_before(document.chain_id, document.sequence)
    return None if before is None else read_report(before.token)


def _chain_of(envelope: Envelope) -> Chain:
    return Chain(
        id=envelope.chain_id,
        aud=envelope.vendor,
        installation=envelope.installation,
        subscription=envelope.subscription,
        namespace=envelope.namespace,
        name=envelope.name,
    )


def _document(authentic: AuthenticReport, now_s: int) -> Document:
    envelope = authentic.envelope
    return Document(
        digest=envelope.digest,
        chain_id=envelope.chain_id,
        sequence=envelope.sequence,
        typ=REPORT,
        jti=envelope.jti,
        previous=envelope.previous,
        rank=authentic.rank,
        token=envelope.token,
        verdict=ReceiptVerdict.ACCEPTED,
        received_ms=now_s * 1000,
    )


def _row(judged: Report | Refused) -> ReportRow | None:
    if isinstance(judged, Refused):
        return None
    envelope, content = judged.envelope, judged.content
    return ReportRow(
        digest=envelope.digest,
        chain_id=envelope.chain_id,
        sequence=envelope.sequence,
        kind=content.kind,
        cycle_index=content.cycle.index,
        cycle_start_s=content.cycle.start_s,
        cycle_end_s=content.cycle.end_s,
        as_of_s=content.cycle.as_of_s,
        accuracy=content.accuracy,
        active_users=content.active_users,
        active_users_upper_bound=content.active_users_upper_bound,
        provisioned_users=content.provisioned_users,
        observed_seconds=content.coverage.observed_seconds,
    )
