"""Receipts that came without a network: their decisions, and what they mean for the chain.

Functions of an open transaction.
"""

from dataclasses import replace

from sqlalchemy import Connection, and_, or_, select, update

from licenseusage.ledger.documents.issued import get
from licenseusage.ledger.documents.outbox import record_result
from licenseusage.ledger.documents.records import Delivery, DeliveryResult, OutboxItem
from licenseusage.ledger.storage.schema import outbox
from licenseusage.reasons import Reason
from licenseusage.reports.receipt import ReceiptVerdict, stored_receipt


def record_receipt(
    connection: Connection, jti: str, result: DeliveryResult, now_ms: int
) -> OutboxItem:
    """Record what a verified receipt says of a document, whatever the state of its delivery.

    As on line (`outbox.record_result`), with two differences, because receipts come late and in any
    order: documents that the vendor lost are due again only if no receipt of the same time or a
    newer one proves that it has them; and a head also restores those that were due again.

    Args:
        connection: Of an open transaction.
        jti: The document.
        result: With a receipt.
        now_ms: The time.
    """
    document = get(connection, jti)
    record_result(connection, document, replace(result, resend_after=None), now_ms)
    received_ms = result.received_ms if result.received_ms is not None else now_ms
    if result.head is not None:
        _restore(connection, document, result.head.sequence, received_ms)
    if result.resend_after is not None:
        _lose(connection, document, result.resend_after, received_ms, now_ms)
    return get(connection, jti)


def _restore(connection: Connection, document: OutboxItem, sequence: int, received_ms: int) -> None:
    """Accept again what was accepted once, was due again, and is covered by the vendor's head."""
    covered = and_(
        outbox.c.chain_id == document.chain_id,
        outbox.c.jti != document.jti,
        outbox.c.sequence <= sequence,
        outbox.c.receipt.is_not(None),
        outbox.c.state.in_((Delivery.PENDING, Delivery.SENDING)),
    )
    again = {
        "state": Delivery.ACCEPTED,
        "reason": Reason.ACCEPTED,
        "next_attempt_ms": None,
        "lease_until_ms": None,
        "first_failure_ms": None,
        "accepted_ms": received_ms,
    }
    rows = connection.execute(select(outbox.c.jti, outbox.c.receipt).where(covered)).all()
    for jti, receipt in rows:
        if stored_receipt(receipt).verdict is ReceiptVerdict.ACCEPTED:
            connection.execute(update(outbox).where(outbox.c.jti == jti).values(again))


def _lose(
    connection: Connection, document: OutboxItem, head: int, received_ms: int, now_ms: int
) -> None:
    """Make due again what the vendor accepted before and does not have any more."""
    lost = and_(
        outbox.c.chain_id == document.chain_id,
        outbox.c.jti != document.jti,
        outbox.c.sequence > head,
        outbox.c.state == Delivery.ACCEPTED,
        or_(outbox.c.accepted_ms.is_(None), outbox.c.accepted_ms < received_ms),
    )
    again = {"state": Delivery.PENDING, "next_attempt_ms": now_ms, "accepted_ms": None}
    connection.execute(update(outbox).where(lost).values(again))
