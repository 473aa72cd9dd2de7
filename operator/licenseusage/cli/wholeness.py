"""Reports against each other: one document per position, linked, and none missing."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from licenseusage.cli.acknowledged import Acknowledged
from licenseusage.cli.findings import CHAIN, Finding, Level, bad
from licenseusage.cli.trust import Trust
from licenseusage.reasons import Reason
from licenseusage.reports.chain import fold_chain
from licenseusage.reports.names import Link
from licenseusage.reports.receipt import Receipt, Sent, Verdict
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
    held: dict[int, dict[str, Held]] = field(default_factory=dict)
    receipts: list[Receipt] = field(default_factory=list)

    @property
    def source(self) -> str:
        return f"chain {self.id[:8]}"

    @property
    def heads(self) -> list[Link]:
        """Every document that the vendor has signed to hold."""
        accepted = [one for one in self.receipts if one.verdict is Verdict.ACCEPTED]
        heads = [one.head for one in self.receipts if one.head is not None]
        return [*(one.subject.link for one in accepted), *heads]

    @property
    def documents(self) -> list[Held]:
        """One document of each position, in order."""
        return [next(iter(self.held[at].values())) for at in sorted(self.held)]


def whole(
    held: Sequence[Held], answers: Acknowledged, trust: Trust, *, complete: bool
) -> list[Finding]:
    """Judge each chain: conflicts, holes, links, the vendor's heads.

    Args:
        held: The reports that are here.
        answers: What the vendor has signed.
        trust: Whose signatures count.
        complete: Whether a report that is missing is a fault.
    """
    chains: dict[str, _Chain] = {}
    for one in held:
        chain = chains.setdefault(one.sent.chain_id, _Chain(one.sent.chain_id))
        chain.held.setdefault(one.sent.subject.sequence, {})[one.sent.subject.digest] = one
    for receipt in answers.receipts:
        if receipt.subject.typ == REPORT and (complete or receipt.chain_id in chains):
            chain = chains.setdefault(receipt.chain_id, _Chain(receipt.chain_id))
            chain.receipts.append(receipt)
    found = []
    for chain in chains.values():
        try:
            found += _judged(chain, trust, complete=complete)
        except Refused as refusal:
            found.append(bad(chain.source, CHAIN, refusal))
    return found


def _judged(chain: _Chain, trust: Trust, *, complete: bool) -> list[Finding]:
    """Judge one chain.

    Raises:
        Refused: its first fault.
    """
    for at, documents in chain.held.items():
        names = " and ".join(one.source for one in documents.values())
        need(len(documents) == 1, Reason.REPORT_CONFLICT, f"sequence {at}: {names}")
    envelopes = [one.envelope for one in chain.documents if one.envelope is not None]
    newest, last = max(chain.held, default=0), max((h.sequence for h in chain.heads), default=0)
    missing = [at for at in range(1, newest + 1) if at not in chain.held]
    words = f"{len(missing)} of {newest} reports are not here, from {min(missing, default=0)} on"
    need(not missing or not complete, Reason.CHAIN_GAP, words)
    if len(envelopes) < len(chain.held) or not chain.held:
        need(not complete or last <= newest, Reason.CHAIN_TRUNCATED, f"sequence {last}")
        return []  # that the signatures were not checked is said of each document
    if missing:
        _check_parts(chain)
        return [Finding(chain.source, CHAIN, Level.NOT_CHECKED, Reason.INCOMPLETE, words)]
    means = trust.of(chain.documents[0].token)
    assert means is not None  # noqa: S101 - something of it was verified
    reports = zip(envelopes, (one.report for one in chain.documents), strict=True)
    verified = fold_chain(reports, keys=means.keys, heads=chain.heads)
    notes = (*verified.findings, *_regressed(chain.receipts))
    said = f"; findings: {', '.join(notes)}" if notes else ""
    words = f"{len(chain.held)} report(s) without a hole{said}"
    return [Finding(chain.source, CHAIN, Level.GOOD, Reason.VALID, words, notes)]


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
        need(head.sequence <= max(chain.held), Reason.CHAIN_TRUNCATED, f"sequence {head.sequence}")
        known = chain.held.get(head.sequence, {head.digest: None})
        need(head.digest in known, Reason.CHAIN_FORKED, f"sequence {head.sequence}")


def _regressed(receipts: Sequence[Receipt]) -> tuple[str, ...]:
    """Say whether the vendor's head ever went back (REPORT_FORMAT §7)."""
    heads = sorted((one.issued_at_s, one.head.sequence if one.head else 0) for one in receipts)
    back = any(
        later < sooner
        for (before_s, sooner), (after_s, later) in pairwise(heads)
        if before_s < after_s
    )
    return (Reason.VENDOR_HEAD_REGRESSED,) if back else ()
