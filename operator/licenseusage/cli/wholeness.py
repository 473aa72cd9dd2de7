"""Reports against each other: one document per position, linked, and none missing."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from licenseusage.cli.acknowledged import Acknowledged
from licenseusage.cli.findings import CHAIN, DocumentCheck, Level, bad
from licenseusage.cli.trust import Trust
from licenseusage.reasons import Reason
from licenseusage.reports.chain import fold_chain
from licenseusage.reports.names import Link
from licenseusage.reports.receipt import Receipt, ReceiptVerdict, Sent
from licenseusage.reports.refused import Refused, need
from licenseusage.reports.report import Envelope, Report
from licenseusage.reports.typs import REPORT


@dataclass(frozen=True, slots=True)
class Held:
    """A report that is here.

    Attributes:
        source: Where it was found.
        sent: What it says of its place.
        envelope: Its signed part; None: its signature was not verified, so that nothing but its
            place is judged.
        report: What it says; None: it only holds its place.
    """

    source: str
    token: str
    sent: Sent
    envelope: Envelope | None = None
    report: Report | None = None


@dataclass(slots=True)
class _Chain:
    """One chain: the documents at each position, and the vendor's receipts."""

    id: str
    positions: dict[int, dict[str, Held]] = field(default_factory=dict)
    receipts: list[Receipt] = field(default_factory=list)

    @property
    def source(self) -> str:
        return f"chain {self.id[:8]}"

    @property
    def heads(self) -> list[Link]:
        """Every document that the vendor has signed to hold."""
        accepted = [
            receipt for receipt in self.receipts if receipt.verdict is ReceiptVerdict.ACCEPTED
        ]
        heads = [receipt.head for receipt in self.receipts if receipt.head is not None]
        return [*(receipt.subject.link for receipt in accepted), *heads]

    @property
    def documents(self) -> list[Held]:
        """One document of each position, in order."""
        return [next(iter(self.positions[at].values())) for at in sorted(self.positions)]


def whole(
    reports: Sequence[Held], answers: Acknowledged, trust: Trust, *, complete: bool
) -> list[DocumentCheck]:
    """Judge each chain: conflicts, holes, links, the vendor's heads.

    Args:
        reports: The reports that are here.
        answers: What the vendor has signed.
        trust: Whose signatures count.
        complete: Whether a report that is missing is a fault.
    """
    chains: dict[str, _Chain] = {}
    for report in reports:
        chain = chains.setdefault(report.sent.chain_id, _Chain(report.sent.chain_id))
        chain.positions.setdefault(report.sent.subject.sequence, {})[report.sent.subject.digest] = (
            report
        )
    for receipt in answers.receipts:
        if receipt.subject.typ == REPORT and (complete or receipt.chain_id in chains):
            chain = chains.setdefault(receipt.chain_id, _Chain(receipt.chain_id))
            chain.receipts.append(receipt)
    results = []
    for chain in chains.values():
        try:
            results += _judged(chain, trust, complete=complete)
        except Refused as refusal:
            results.append(bad(chain.source, CHAIN, refusal))
    return results


def _judged(chain: _Chain, trust: Trust, *, complete: bool) -> list[DocumentCheck]:
    """Judge one chain.

    Raises:
        Refused: its first fault.
    """
    for at, documents in chain.positions.items():
        names = " and ".join(document.source for document in documents.values())
        need(len(documents) == 1, Reason.REPORT_CONFLICT, f"sequence {at}: {names}")
    envelopes = [document.envelope for document in chain.documents if document.envelope is not None]
    newest, last = (
        max(chain.positions, default=0),
        max((h.sequence for h in chain.heads), default=0),
    )
    missing = [at for at in range(1, newest + 1) if at not in chain.positions]
    words = f"{len(missing)} of {newest} reports are not here, from {min(missing, default=0)} on"
    need(not missing or not complete, Reason.CHAIN_GAP, words)
    if len(envelopes) < len(chain.positions) or not chain.positions:
        need(not complete or last <= newest, Reason.CHAIN_TRUNCATED, f"sequence {last}")
        return []  # that the signatures were not checked is said of each document
    if missing:
        _check_parts(chain)
        return [DocumentCheck(chain.source, CHAIN, Level.NOT_CHECKED, Reason.INCOMPLETE, words)]
    means = trust.of(chain.documents[0].token)
    assert means is not None  # noqa: S101 - something of it was verified
    reports = zip(envelopes, (document.report for document in chain.documents), strict=True)
    verified = fold_chain(reports, keys=means.keys, heads=chain.heads)
    notes = (*verified.findings, *_regressed(chain.receipts))
    remarks = f"; findings: {', '.join(notes)}" if notes else ""
    words = f"{len(chain.positions)} report(s) without a hole{remarks}"
    return [DocumentCheck(chain.source, CHAIN, Level.GOOD, Reason.VALID, words, notes)]


def _check_parts(chain: _Chain) -> None:
    """Check a chain with holes by neighbours and by the vendor's heads.

    Raises:
        Refused: ``ChainForked``, ``ChainTruncated``.
    """
    for before, after in pairwise(chain.documents):
        if after.sent.subject.sequence == before.sent.subject.sequence + 1:
            previous = after.envelope.previous if after.envelope else None
            need(previous == before.sent.subject.digest, Reason.CHAIN_FORKED, after.source)
    for head in chain.heads:
        need(
            head.sequence <= max(chain.positions),
            Reason.CHAIN_TRUNCATED,
            f"sequence {head.sequence}",
        )
        known = chain.positions.get(head.sequence, {head.digest: None})
        need(head.digest in known, Reason.CHAIN_FORKED, f"sequence {head.sequence}")


def _regressed(receipts: Sequence[Receipt]) -> tuple[str, ...]:
    """Say whether the vendor's head ever went back (REPORT_FORMAT §7)."""
    heads = sorted(
        (receipt.issued_at_s, receipt.head.sequence if receipt.head else 0) for receipt in receipts
    )
    back = any(
        later < sooner
        for (before_s, sooner), (after_s, later) in pairwise(heads)
        if before_s < after_s
    )
    return (Reason.VENDOR_HEAD_REGRESSED,) if back else ()
