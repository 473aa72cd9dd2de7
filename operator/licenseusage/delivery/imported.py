"""A receipt that came without a network: what it changes in the outbox (REPORT_FORMAT §8). Pure.

It changes what the same receipt changes on line (`settle`). But it comes late, twice, or after
newer ones: a file is applied again, an object is read again after each restart. So a receipt that
says nothing new changes nothing, and the first decision about a document stands.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

from licenseusage.delivery.outbox import ChainView, DeliveryState, Queued, Settlement
from licenseusage.delivery.outcome import Outcome, explain_receipt
from licenseusage.delivery.schedule import Schedule
from licenseusage.delivery.settle import settle
from licenseusage.reasons import Reason
from licenseusage.reports.receipt import Receipt


class Bearing(StrEnum):
    """What a verified receipt means for a document of the ledger."""

    NEWS = "News"
    KNOWN = "Known"
    """The ledger has it, or something newer."""
    CONTRADICTED = "Contradicted"
    """The vendor has signed another decision before."""


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """A document of the ledger, as a receipt finds it.

    Attributes:
        queued: The document.
        state: The state of its delivery.
        reason: Of that state.
        former: The receipt that the ledger has for it; None: none.
        chain: What the vendor has said about the chain so far.
        own_digest: Of our own document at the position of the receipt's head; None: none there.
    """

    queued: Queued
    state: DeliveryState | None
    reason: str
    former: Receipt | None
    chain: ChainView
    own_digest: str | None


def bearing(document: Acknowledged, receipt: Receipt) -> Bearing:
    """Return what a receipt means for the document that it acknowledges."""
    former = document.former
    if former is not None and former.verdict is not receipt.verdict:
        return Bearing.CONTRADICTED
    if former is not None and receipt.received_at_s <= former.received_at_s:
        return Bearing.KNOWN
    if _lost_since(document, receipt):
        return Bearing.KNOWN
    return Bearing.NEWS


def settle_imported(document: Acknowledged, receipt: Receipt, now_ms: int) -> Settlement:
    """Return the consequences of a receipt that is news.

    Args:
        document: The document that it acknowledges.
        receipt: The verified receipt.
        now_ms: The time.
    """
    chain = document.chain
    received_ms = 1000 * receipt.received_at_s
    # Receipts of one bundle have the same time, and are read in any order: of two of the same time
    # the one with the lower head is no news.
    late = chain.vendor_time_ms is not None and received_ms <= chain.vendor_time_ms
    queued = replace(document.queued, receipted=document.queued.receipted or late, attempt=1)
    outcome = Outcome(
        DeliveryState(receipt.verdict.value),
        receipt.error or Reason.ACCEPTED,
        Schedule.NONE,
        receipt,
    )
    settlement = settle(
        queued,
        outcome,
        explain_receipt(receipt, receipt.vendor),
        chain=chain,
        own_digest=document.own_digest,
        now_ms=now_ms,
        permille=0,
    )
    # What an older receipt says of the chain, a newer one has said already, or taken back.
    older = chain.vendor_time_ms is not None and received_ms < chain.vendor_time_ms
    return replace(settlement, acknowledged=None) if older else settlement


def _lost_since(document: Acknowledged, receipt: Receipt) -> bool:
    """Whether the vendor had the document, and has said since that it has it no more."""
    lost = document.state is DeliveryState.PENDING and document.reason in (
        Reason.ACCEPTED,
        Reason.ACKNOWLEDGED_BY_HEAD,
    )
    newest_ms = document.chain.vendor_time_ms or 0
    return lost and 1000 * receipt.received_at_s < newest_ms
