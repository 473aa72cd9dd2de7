"""Storing documents that contradict a chain: as evidence, with a signed receipt and a quota.

A document that contradicts its chain holds no position, so that nothing but a quota ends how many
of them an installation can have stored.
"""

from dataclasses import replace

from licenseusage.reasons import Reason
from licenseusage.receiver.receipts import IssuedReceipt, ReceiptSigner
from licenseusage.receiver.requestbody import RequestRefused
from licenseusage.receiver.store import Chain, Document, Writing
from licenseusage.reports.receipt import ReceiptVerdict

CONFLICTS_KEPT = 100
"""Per installation. An honest sender stops at its first conflict (REPORT_FORMAT §11)."""
_AGAIN_SECONDS = 86400


def keep_evidence(
    writing: Writing,
    signer: ReceiptSigner,
    chain: Chain,
    document: Document,
    error: str,
    *,
    now_s: int,
) -> IssuedReceipt:
    """Store a document as evidence of a conflict of class ``error``, with its receipt.

    Raises:
        RequestRefused: ``TooManyConflicts``: the quota is used up; nothing may be stored.
        Retryable: the receipt could not be signed; the transaction must not commit.
    """
    writing.hold_evidence(chain.installation)
    if writing.conflicts_of(chain.installation) >= CONFLICTS_KEPT:
        raise RequestRefused(
            Reason.TOO_MANY_CONFLICTS,
            f"{CONFLICTS_KEPT} contradicting documents of this installation are kept as evidence; "
            "no more are stored. Ask the vendor",
            retry_after_seconds=_AGAIN_SECONDS,
        )
    evidence = replace(document, verdict=ReceiptVerdict.CONFLICT, error=error)
    writing.add(evidence)
    return signer.issue(writing, evidence, chain, chain.head, now_s=now_s)
