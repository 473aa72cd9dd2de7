"""An outbox in memory that keeps the rules of the Protocol, readable enough to be believed."""

from dataclasses import dataclass, field

from licenseusage.delivery.outbox import ChainView, DeliveryState, Queued, Settlement
from licenseusage.reports.receipt import Sent

LEASE_MS = 60_000
SENDING = "Sending"


@dataclass
class Row:
    token: str
    chain_id: str
    jti: str
    sequence: int
    digest: str
    state: str = DeliveryState.PENDING
    next_ms: int | None = 0
    attempts: int = 0
    lease_ms: int = 0
    last: Settlement | None = None


@dataclass
class MemoryOutbox:
    key_chain_id: str
    rows: list[Row] = field(default_factory=list)
    acknowledged: dict[str, int] = field(default_factory=dict)
    vendor_time_ms: dict[str, int] = field(default_factory=dict)
    stopped: dict[str, str] = field(default_factory=dict)

    def add(self, *tokens: str) -> None:
        for token in tokens:
            sent = Sent.from_token(token)
            subject = sent.subject
            row = Row(token, sent.chain_id, subject.jti, subject.sequence, subject.digest)
            self.rows.append(row)

    def states(self, chain_id: str) -> list[str]:
        return [str(row.state) for row in self._chain(chain_id)]

    def _chain(self, chain_id: str) -> list[Row]:
        return sorted(
            (row for row in self.rows if row.chain_id == chain_id), key=lambda row: row.sequence
        )

    def claim(self, chain_id: str, now_ms: int) -> Queued | None:
        rows = self._chain(chain_id)
        if chain_id in self.stopped or any(row.state == DeliveryState.CONFLICT for row in rows):
            return None
        if chain_id != self.key_chain_id and not all(
            row.state == DeliveryState.ACCEPTED for row in self._chain(self.key_chain_id)
        ):
            return None
        if any(row.state == SENDING and row.lease_ms > now_ms for row in rows):
            return None
        waiting = [row for row in rows if row.state in (DeliveryState.PENDING, SENDING)]
        rejected = [row for row in rows if row.state == DeliveryState.REJECTED]
        for row in [*waiting[:1], *rejected]:
            if row.next_ms is not None and row.next_ms <= now_ms:
                row.state, row.lease_ms, row.attempts = SENDING, now_ms + LEASE_MS, row.attempts + 1
                receipted = row.last is not None and row.last.receipt is not None
                return Queued(
                    row.jti, row.chain_id, row.sequence, row.token, row.attempts, receipted
                )
        return None

    def chain(self, chain_id: str) -> ChainView:
        return ChainView(self.acknowledged.get(chain_id, 0), self.vendor_time_ms.get(chain_id))

    def held_digest(self, chain_id: str, sequence: int) -> str | None:
        return next((r.digest for r in self._chain(chain_id) if r.sequence == sequence), None)

    def settle(self, queued: Queued, settlement: Settlement, now_ms: int) -> None:
        chain_id = queued.chain_id
        for row in self._chain(chain_id):
            if row.jti == queued.jti:
                row.state, row.next_ms = settlement.state, settlement.next_attempt_ms
                row.last = settlement
            elif settlement.acknowledged and row.sequence <= settlement.acknowledged.sequence:
                if row.state in (DeliveryState.PENDING, SENDING) or (
                    row.state == DeliveryState.REJECTED and row.next_ms is not None
                ):
                    row.state, row.next_ms = DeliveryState.ACCEPTED, None
            elif (
                settlement.resend_after is not None
                and row.sequence > settlement.resend_after
                and row.state == DeliveryState.ACCEPTED
            ):
                row.state, row.next_ms = DeliveryState.PENDING, settlement.resend_ms
        if settlement.acknowledged:
            known = self.acknowledged.get(chain_id, 0)
            self.acknowledged[chain_id] = max(known, settlement.acknowledged.sequence)
        if settlement.received_ms is not None:
            newest = self.vendor_time_ms.get(chain_id, 0)
            self.vendor_time_ms[chain_id] = max(newest, settlement.received_ms)
        if settlement.stopped:
            self.stopped[chain_id] = settlement.stopped

    def put_again(self, key_chain_id: str, now_ms: int) -> None:
        for row in self._chain(key_chain_id):
            row.state, row.next_ms = DeliveryState.PENDING, now_ms
