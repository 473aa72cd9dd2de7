"""The ledger's outbox as `delivery` sees it: one translation, no decision.

Everything here runs on the ledger's thread.
"""

from collections.abc import Callable

from licenseusage.delivery.outbox import ChainView, Queued, Settlement
from licenseusage.ledger.documents.records import Delivery, DeliveryResult, OutboxItem
from licenseusage.ledger.ledger import Ledger
from licenseusage.reports.names import jti_of


class LedgerOutbox:
    """Implements `licenseusage.delivery.outbox.Outbox` over the ledger."""

    def __init__(self, ledger: Callable[[], Ledger]) -> None:
        """Serve the ledger that is open now.

        Claims are remembered, since a claim is named by its lease.
        """
        self._now_open = ledger
        self._claims: dict[str, OutboxItem] = {}

    def claim(self, chain_id: str, now_ms: int) -> Queued | None:
        """Take the document of this chain that must be sent now."""
        item = self._now_open().claim(now_ms, chain_id=chain_id)
        if item is None:
            return None
        self._claims[item.jti] = item
        return Queued(
            item.jti,
            item.chain_id,
            item.sequence,
            item.token,
            item.attempts,
            receipted=item.receipt is not None,
            cycle=item.cycle,
        )

    def chain(self, chain_id: str) -> ChainView:
        """Return what the vendor has said about a chain."""
        state = self._now_open().chain(chain_id)
        return ChainView(
            acknowledged=state.acknowledged.sequence if state.acknowledged else 0,
            vendor_time_ms=state.vendor_time_ms,
        )

    def held_digest(self, chain_id: str, sequence: int) -> str | None:
        """Return the digest of our own document at a position; None: we hold none."""
        item = self._now_open().document(jti_of(chain_id, sequence))
        return item.digest if item else None

    def settle(self, queued: Queued, settlement: Settlement, now_ms: int) -> None:
        """Write the result of one attempt and what it means for the chain."""
        self._now_open().record_result(
            self._claims.pop(queued.jti),
            DeliveryResult(
                state=Delivery(settlement.state.value),
                reason=settlement.reason,
                message=settlement.message,
                next_attempt_ms=settlement.next_attempt_ms,
                receipt=settlement.receipt,
                received_ms=settlement.received_ms,
                findings=settlement.findings,
                head=settlement.acknowledged,
                resend_after=settlement.resend_after,
                resend_ms=settlement.resend_ms,
                stopped=settlement.stopped,
            ),
            now_ms,
        )

    def put_again(self, key_chain_id: str, now_ms: int) -> None:
        """Make every key statement of a chain Pending, due now."""
        self._now_open().resend_key_statements(key_chain_id, now_ms)
