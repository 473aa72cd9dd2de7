"""The vendor's receipts, each with the document that it acknowledges."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from licenseusage.cli.documents import Document
from licenseusage.cli.findings import RECEIPT, Finding, Level, bad
from licenseusage.cli.times import show_time
from licenseusage.reasons import Reason
from licenseusage.reports.keys import VendorKeys
from licenseusage.reports.receipt import Receipt, Sent, Verdict, read_receipt, verify_receipt
from licenseusage.reports.refused import Refused, need
from licenseusage.reports.tokens import decode


@dataclass(slots=True)
class Acknowledged:
    """Receipts that verify, and the findings about each of them.

    Attributes:
        receipts: Those that verify.
    """

    receipts: list[Receipt] = field(default_factory=list)
    _found: dict[str, list[Finding]] = field(default_factory=dict)
    _lonely: list[Finding] = field(default_factory=list)

    @property
    def refused(self) -> frozenset[str]:
        """Digests of the documents that the vendor has not accepted."""
        return frozenset(
            one.subject.digest for one in self.receipts if one.verdict is not Verdict.ACCEPTED
        )

    def about(self, document: Document) -> list[Finding]:
        """Return the findings about the receipts of a report."""
        words = "none given: whether the vendor has it is not known"
        none = Finding(document.source, RECEIPT, Level.NOT_CHECKED, Reason.NO_RECEIPT, words)
        return self._found.get(document.token) or [none]

    def others(self, tokens: Iterable[str]) -> list[Finding]:
        """Return the findings about receipts of other documents than these reports."""
        told = set(tokens)
        rest = [one for token, found in self._found.items() if token not in told for one in found]
        return rest + self._lonely


def acknowledged(
    documents: Sequence[Document],
    claimed: Iterable[Document],
    found: Iterable[Document],
    vendor_keys: VendorKeys | None,
) -> Acknowledged:
    """Verify receipts, each with the document that it names.

    Args:
        documents: Reports and key statements; a UsageReport brings its receipt.
        claimed: Receipts that were given as theirs: one that fits none of them is a fault.
        found: Receipts that lay beside them: one that fits none of them stands for itself.
        vendor_keys: The pinned keys; None: not given.
    """
    by_digest: dict[str, tuple[Document, Sent]] = {}
    by_name: dict[str, tuple[Document, Sent]] = {}
    made = Acknowledged()
    for document in documents:
        sent = _sent(document.token)
        if sent is not None:
            by_digest[sent.subject.digest] = by_name[sent.subject.jti] = (document, sent)
    for document in documents:
        sent = _sent(document.token)
        if document.receipt is not None and sent is not None:
            _verify(made, document, sent, document.receipt, vendor_keys)
    for receipts, must_fit in ((claimed, True), (found, False)):
        for one in receipts:
            jti, digest = _named(one.token)
            fitting = by_digest.get(digest) or by_name.get(jti)
            if fitting is not None:
                _verify(made, *fitting, one.token, vendor_keys)
            else:
                _alone(made, one, vendor_keys, must_fit=must_fit)
    return made


def _verify(
    made: Acknowledged, document: Document, sent: Sent, token: str, vendor_keys: VendorKeys | None
) -> None:
    found = made._found.setdefault(document.token, [])
    if vendor_keys is None:
        found.append(_unchecked(document.source))
        return
    try:
        receipt = verify_receipt(token, vendor_keys, sent)
    except Refused as refusal:
        found.append(bad(document.source, RECEIPT, refusal))
        return
    made.receipts.append(receipt)
    found.append(_told(document.source, receipt))


def _alone(
    made: Acknowledged, one: Document, vendor_keys: VendorKeys | None, *, must_fit: bool
) -> None:
    try:
        receipt = None if vendor_keys is None else read_receipt(one.token, vendor_keys)
        need(not must_fit, Reason.RECEIPT_MISMATCH, "it names none of the documents given")
    except Refused as refusal:
        made._lonely.append(bad(one.source, RECEIPT, refusal))
        return
    if receipt is None:
        made._lonely.append(_unchecked(one.source))
        return
    made.receipts.append(receipt)
    made._lonely.append(_told(one.source, receipt, "; its document is not here"))


def _told(source: str, receipt: Receipt, more: str = "") -> Finding:
    at = show_time(receipt.received_at_s)
    if receipt.verdict is not Verdict.ACCEPTED:
        words = f"the vendor signed {receipt.verdict} ({receipt.error}) at {at}{more}"
        return Finding(source, RECEIPT, Level.BAD, str(receipt.error), words)
    notes = f"; findings: {', '.join(receipt.findings)}" if receipt.findings else ""
    words = f"receipt verified: Accepted by {receipt.vendor} at {at}{notes}{more}"
    return Finding(source, RECEIPT, Level.GOOD, Reason.ACCEPTED, words, receipt.findings)


def _unchecked(source: str) -> Finding:
    return Finding(source, RECEIPT, Level.NOT_CHECKED, Reason.NO_VENDOR_KEYS, "needs --vendor-keys")


def _sent(token: str) -> Sent | None:
    try:
        need(token.isascii(), Reason.MALFORMED_TOKEN)
        return Sent.from_token(token)
    except Refused:
        return None


def _named(token: str) -> tuple[str, str]:
    """Return the id and the digest of the document that a receipt names, unverified."""
    try:
        _header, claims = decode(token)
    except Refused:
        return "", ""
    subject = claims.get("subject")
    named = subject if isinstance(subject, dict) else {}
    return str(named.get("jti")), str(named.get("digest"))
