"""The ledger as the sender sees it: the one place where ``delivery`` and ``ledger`` meet."""

from licenseusage.delivery.outbox import ChainView, Queued, Settlement
from licenseusage.ledger.ledger import Ledger
from licenseusage.ledger.records import Delivery, DeliveryResult, Link, OutboxItem
from licenseusage.reports.names import jti_of


class LedgerOutbox:
    """Joins a ``Ledger`` to ``delivery.outbox.Outbox``. Used on the ledger's thread."""

    def __init__(self, ledger: Ledger) -> None:
        """Take the ledger."""
        self._ledger = ledger
        self._claimed: dict[str, OutboxItem] = {}

    def claim(self, chain_id: str, now_ms: int) -> Queued | None:
        """Take what is due in a chain, as ``Sending``."""
        item = self._ledger.claim(now_ms, chain_id=chain_id)
        if item is None:
            return None
        self._claimed[item.jti] = item
        return Queued(item.jti, item.chain_id, item.sequence, item.token, item.attempts)

    def chain(self, chain_id: str) -> ChainView:
        """Return what the vendor has said about a chain."""
        state = self._ledger.chain(chain_id)
        acknowledged = state.acknowledged.sequence if state.acknowledged else 0
        return ChainView(acknowledged, state.vendor_time_ms)

    def held_digest(self, chain_id: str, sequence: int) -> str | None:
        """Return the digest of our own document at a position; None: we hold none."""
        item = self._ledger.document(jti_of(chain_id, sequence))
        return item.digest if item else None

    def settle(self, queued: Queued, settlement: Settlement, now_ms: int) -> None:
        """Write the result of one attempt."""
        head = settlement.acknowledged
        result = DeliveryResult(
            state=Delivery(settlement.state.value),
            reason="" if settlement.state.value == Delivery.ACCEPTED else settlement.reason,
            message=settlement.message,
            next_attempt_ms=settlement.next_attempt_ms,
            receipt=settlement.receipt,
            received_ms=settlement.received_ms,
            findings=settlement.findings,
            head=Link(head.sequence, head.digest) if head else None,
            resend_after=settlement.resend_after,
            resend_ms=settlement.resend_ms,
            stopped=settlement.stopped,
        )
        self._ledger.record_result(self._claimed.pop(queued.jti), result, now_ms)

    def put_again(self, key_chain_id: str, now_ms: int) -> None:
        """Send every key statement again: the vendor does not know us."""
        self._ledger.resend_key_statements(key_chain_id, now_ms)
