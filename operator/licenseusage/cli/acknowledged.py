"""The vendor's receipts, each with the document that it acknowledges."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from licenseusage.cli.documents import GivenDocument
from licenseusage.cli.findings import RECEIPT, DocumentCheck, Level, bad
from licenseusage.cli.times import show_time
from licenseusage.reasons import Reason
from licenseusage.reports.keys import VendorKeys
from licenseusage.reports.receipt import Receipt, ReceiptVerdict, Sent, read_receipt, verify_receipt
from licenseusage.reports.refused import Refused, need
from licenseusage.reports.tokens import decode


@dataclass(slots=True)
class Acknowledged:
    """Receipts that verify, and the findings about each of them.

    Attributes:
        receipts: Those that verify.
    """

    receipts: list[Receipt] = field(default_factory=list)
    _by_token: dict[str, list[DocumentCheck]] = field(default_factory=dict)
    _lonely: list[DocumentCheck] = field(default_factory=list)

    @property
    def refused(self) -> frozenset[str]:
        """Digests of the documents that the vendor has not accepted."""
        return frozenset(
            receipt.subject.digest
            for receipt in self.receipts
            if receipt.verdict is not ReceiptVerdict.ACCEPTED
        )

    def about(self, document: GivenDocument) -> list[DocumentCheck]:
        """Return the checks of a report's receipts."""
        words = "none given: whether the vendor has it is not known"
        none = DocumentCheck(document.source, RECEIPT, Level.NOT_CHECKED, Reason.NO_RECEIPT, words)
        return self._by_token.get(document.token) or [none]

    def others(self, tokens: Iterable[str]) -> list[DocumentCheck]:
        """Return the checks of receipts of other documents than these reports."""
        reports = set(tokens)
        rest = [
            result
            for token, results in self._by_token.items()
            if token not in reports
            for result in results
        ]
        return rest + self._lonely


def acknowledged(
    documents: Sequence[GivenDocument],
    claimed: Iterable[GivenDocument],
    beside: Iterable[GivenDocument],
    vendor_keys: VendorKeys | None,
) -> Acknowledged:
    """Verify receipts, each with the document that it names.

    Args:
        documents: Reports and key statements; a UsageReport brings its receipt.
        claimed: Receipts that were given as theirs: one that fits none of them is a fault.
        beside: Receipts that lay beside them: one that fits none of them stands for itself.
        vendor_keys: The pinned keys; None: not given.
    """
    by_digest: dict[str, tuple[GivenDocument, Sent]] = {}
    by_name: dict[str, tuple[GivenDocument, Sent]] = {}
    made = Acknowledged()
    for document in documents:
        sent = _sent(document.token)
        if sent is not None:
            by_digest[sent.subject.digest] = by_name[sent.subject.jti] = (document, sent)
    for document in documents:
        sent = _sent(document.token)
        if document.receipt is not None and sent is not None:
            _verify(made, document, sent, document.receipt, vendor_keys)
    for receipts, must_fit in ((claimed, True), (beside, False)):
        for receipt in receipts:
            jti, digest = _named(receipt.token)
            fitting = by_digest.get(digest) or by_name.get(jti)
            if fitting is not None:
                _verify(made, *fitting, receipt.token, vendor_keys)
            else:
                _alone(made, receipt, vendor_keys, must_fit=must_fit)
    return made


def _verify(
    made: Acknowledged,
    document: GivenDocument,
    sent: Sent,
    token: str,
    vendor_keys: VendorKeys | None,
) -> None:
    results = made._by_token.setdefault(document.token, [])
    if vendor_keys is None:
        results.append(_unchecked(document.source))
        return
    try:
        receipt = verify_receipt(token, vendor_keys, sent)
    except Refused as refusal:
        results.append(bad(document.source, RECEIPT, refusal))
        return
    made.receipts.append(receipt)
    results.append(_result(document.source, receipt))


def _alone(
    made: Acknowledged, document: GivenDocument, vendor_keys: VendorKeys | None, *, must_fit: bool
) -> None:
    try:
        receipt = None if vendor_keys is None else read_receipt(document.token, vendor_keys)
        need(not must_fit, Reason.RECEIPT_MISMATCH, "it names none of the documents given")
    except Refused as refusal:
        made._lonely.append(bad(document.source, RECEIPT, refusal))
        return
    if receipt is None:
        made._lonely.append(_unchecked(document.source))
        return
    made.receipts.append(receipt)
    made._lonely.append(_result(document.source, receipt, "; its document is not here"))


def _result(source: str, receipt: Receipt, more: str = "") -> DocumentCheck:
    at = show_time(receipt.received_at_s)
    if receipt.verdict is not ReceiptVerdict.ACCEPTED:
        words = f"the vendor signed {receipt.verdict} ({receipt.error}) at {at}{more}"
        return DocumentCheck(source, RECEIPT, Level.BAD, str(receipt.error), words)
    notes = f"; findings: {', '.join(receipt.findings)}" if receipt.findings else ""
    words = f"receipt verified: Accepted by {receipt.vendor} at {at}{notes}{more}"
    return DocumentCheck(source, RECEIPT, Level.GOOD, Reason.ACCEPTED, words, receipt.findings)


def _unchecked(source: str) -> DocumentCheck:
    return DocumentCheck(
        source, RECEIPT, Level.NOT_CHECKED, Reason.NO_VENDOR_KEYS, "needs --vendor-keys"
    )


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
