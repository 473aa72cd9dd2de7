"""Receipts: the vendor's signed answer, stored beside the document in the same transaction (§7)."""

from dataclasses import dataclass

import structlog

from licenseusage.errors import Retryable
from licenseusage.reasons import Reason
from licenseusage.receiver.store import Chain, Document, Writing
from licenseusage.reports.keys import SigningKey, VendorKeys
from licenseusage.reports.names import Link
from licenseusage.reports.receipt import ReceiptInput, ReceiptVerdict, Subject, build_receipt
from licenseusage.reports.typs import RECEIPT

log = structlog.get_logger("licenseusage.receiver")


@dataclass(frozen=True, slots=True)
class IssuedReceipt:
    """A signed verdict.

    Attributes:
        error: The class, unless accepted.
        receipt: The receipt, a token.
        known: The same octets had been stored before; this is the verdict they got then.
    """

    verdict: ReceiptVerdict
    error: str | None
    receipt: str
    known: bool


class ReceiptSigner:
    """Signs receipts with the vendor's on-line receipt key."""

    def __init__(self, key: SigningKey, published: VendorKeys) -> None:
        """Use ``key``; ``published`` are the keys that senders verify with."""
        self._key = key
        self._valid = {kid for kid, known in published.items() if known.permits(RECEIPT)}

    def withdrawn(self, document: Document) -> bool:
        """Whether the key of a document's receipt no longer verifies at the senders."""
        return document.receipt_kid not in self._valid

    def issue(
        self, writing: Writing, document: Document, chain: Chain, head: Link | None, *, now_s: int
    ) -> IssuedReceipt:
        """Sign the receipt of a stored document and store it.

        Args:
            writing: The transaction that stored the document.
            document: With its verdict, error and findings.
            chain: Its chain.
            head: The head of the chain after this transaction.
            now_s: When it is signed, seconds since 1970 UTC.

        Raises:
            Retryable: ``ReceiptNotSigned``. Whatever the cause, a document without a receipt must
                not be stored: the caller's transaction has to end with this error.
        """
        received_s = document.received_ms // 1000
        issued_at_s = max(received_s, now_s)
        receipt = self._sign(
            ReceiptInput(
                vendor=chain.aud,
                installation=chain.installation,
                subscription=chain.subscription,
                receipt_id=f"rcpt-{document.digest.removeprefix('sha256:')[:32]}-{issued_at_s}",
                issued_at_s=issued_at_s,
                received_at_s=received_s,
                verdict=document.verdict,
                subject=Subject(document.typ, document.jti, document.sequence, document.digest),
                chain_id=chain.id,
                head=head,
                error=document.error,
                findings=document.findings,
            )
        )
        writing.set_receipt(document.digest, receipt, self._key.kid)
        return IssuedReceipt(document.verdict, document.error, receipt, known=False)

    def _sign(self, receipt: ReceiptInput) -> str:
        try:
            return build_receipt(receipt, self._key)
        except Exception as error:
            log.exception("receipt not signed", document=receipt.subject.jti)
            raise Retryable(
                Reason.RECEIPT_NOT_SIGNED,
                f"The receipt of {receipt.subject.jti} could not be signed "
                f"({type(error).__name__}); nothing was stored. The receiver's log says more.",
            ) from error
