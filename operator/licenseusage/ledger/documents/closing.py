"""Signing reports into the outbox, so that content is never signed twice.

Functions of an open transaction. The position in the chain is read, the report signed and its row
written in the same transaction: if it does not commit, the token has left nothing behind; if it
does, the token is the one that stays.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, Row, select, update

from licenseusage.ledger.documents.chains import ensure_chain
from licenseusage.ledger.documents.issued import final_of
from licenseusage.ledger.documents.outbox import add_document
from licenseusage.ledger.documents.records import (
    Delivery,
    OutboxItem,
    ReportChain,
    ReportDraft,
    ReportKind,
    SignedDocument,
    Superseded,
)
from licenseusage.ledger.facts.registry import (
    cycle_record,
    dated_ms,
    ensure_cycle,
    high_water_ms,
    older_unfinished,
)
from licenseusage.ledger.records import ClosingIntent, CycleRecord, CycleState
from licenseusage.ledger.storage.encoding import dump_statement
from licenseusage.ledger.storage.schema import cycles, outbox
from licenseusage.metering.cycles import Cycle
from licenseusage.metering.statement import CycleStatement

Sign = Callable[[ReportDraft], SignedDocument]


@dataclass(frozen=True, slots=True)
class Signing:
    """How a report is signed and when it is first due for sending.

    Attributes:
        chain: Its chain.
        sign: Signs a draft; called inside the transaction, and must not call the ledger.
        first_attempt_ms: When it is due.
        awaiting_approval: Whether a person approves it first.
    """

    chain: ReportChain
    sign: Sign
    first_attempt_ms: int
    awaiting_approval: bool = False


def mark_closing(connection: Connection, meter_id: int, cycle: Cycle) -> CycleRecord:
    """Move a cycle from Open to Closing; a later state stands."""
    row = ensure_cycle(connection, meter_id, cycle)
    still_open = (cycles.c.id == row.id) & (cycles.c.state == CycleState.OPEN)
    connection.execute(update(cycles).where(still_open).values(state=CycleState.CLOSING))
    return cycle_record(ensure_cycle(connection, meter_id, cycle))


def begin_close(
    connection: Connection,
    meter_id: int,
    cycle: Cycle,
    reason: str,
    statement: CycleStatement,
    now_ms: int,
    rules_digest: str | None,
) -> ClosingIntent:
    """Write the intent, unless there is one; return the one that stands."""
    row = ensure_cycle(connection, meter_id, cycle)
    intent = cycle_record(row).intent
    if intent is not None:
        return intent
    at_ms = dated_ms(connection, now_ms)
    intent = ClosingIntent(at_ms, reason, statement, max(at_ms, high_water_ms(connection)))
    connection.execute(
        update(cycles)
        .where(cycles.c.id == row.id)
        .values(
            state=CycleState.CLOSING,
            intent_ms=intent.at_ms,
            intent_reason=reason,
            intent_high_water_ms=intent.clock_high_water_ms,
            statement=dump_statement(statement),
            rules_digest=row.rules_digest or rules_digest,
        )
    )
    return intent


def close_cycle(
    connection: Connection, meter_id: int, cycle: Cycle, now_ms: int, signing: Signing | None
) -> OutboxItem | None:
    """Make the cycle Final as its intent says; see ``Ledger.close_cycle``."""
    row = ensure_cycle(connection, meter_id, cycle)
    record = cycle_record(row)
    if record.state is CycleState.FINAL:
        return final_of(connection, row.id)
    if record.intent is None:
        raise ValueError("a cycle is closed only after its intent was recorded")
    if older_unfinished(connection, meter_id, cycle):
        raise ValueError("cycles are closed in order: an earlier one is not Final")
    connection.execute(
        update(cycles).where(cycles.c.id == row.id).values(state=CycleState.FINAL, closed_ms=now_ms)
    )
    if signing is None:
        return None
    return sign_report(connection, row, ReportKind.FINAL, record.intent, signing)


def replace_final(
    connection: Connection, meter_id: int, cycle: Cycle, now_ms: int, signing: Signing
) -> OutboxItem | None:
    """Sign a final in place of one that was refused; see ``Ledger.replace_final``."""
    row = ensure_cycle(connection, meter_id, cycle)
    intent = cycle_record(row).intent
    held = final_of(connection, row.id)
    if intent is None or held is None or held.chain_id != signing.chain.id:
        return None
    at_ms = dated_ms(connection, now_ms)
    if not held.refused or at_ms < cycle.end_ms:
        return None
    high_water = max(at_ms, high_water_ms(connection))
    anew = replace(intent, at_ms=at_ms, clock_high_water_ms=high_water)
    return sign_report(connection, row, ReportKind.FINAL, anew, signing)


def add_interim(
    connection: Connection,
    meter_id: int,
    slot: int,
    statement: CycleStatement,
    now_ms: int,
    signing: Signing,
) -> OutboxItem | None:
    """Sign the interim report of a slot; see ``Ledger.add_interim``."""
    row = ensure_cycle(connection, meter_id, statement.cycle)
    made = row.interim_slot is not None and row.interim_slot >= slot
    if made or row.state != CycleState.OPEN:
        return None
    at_ms = dated_ms(connection, now_ms)
    content = ClosingIntent(at_ms, "", statement, max(at_ms, high_water_ms(connection)))
    item = sign_report(connection, row, ReportKind.INTERIM, content, signing)
    if item is not None:
        this = cycles.c.id == row.id
        connection.execute(update(cycles).where(this).values(interim_slot=slot))
    return item


def sign_report(
    connection: Connection,
    row: Row[Any],
    kind: ReportKind,
    content: ClosingIntent,
    signing: Signing,
    superseded: Superseded | None = None,
) -> OutboxItem | None:
    """Sign at the chain's next position; None for a chain that is stopped by a conflict."""
    chain = ensure_chain(connection, signing.chain)
    if chain.stopped is not None:
        return None
    sequence = 1 if chain.head is None else chain.head.sequence + 1
    previous_at = None
    if chain.head is not None:
        at = select(outbox.c.created_ms).filter_by(chain_id=chain.id, sequence=sequence - 1)
        previous_at = connection.execute(at).scalar_one()
    draft = ReportDraft(
        kind=kind,
        chain_id=chain.id,
        sequence=sequence,
        previous=chain.head.digest if chain.head else None,
        continuity="Start" if sequence == 1 else "Continues",
        acknowledged=chain.acknowledged,
        at_ms=content.at_ms,
        previous_at_ms=previous_at,
        statement=content.statement,
        clock_high_water_ms=content.clock_high_water_ms,
        vendor_time_ms=chain.vendor_time_ms,
        record=cycle_record(row),
        superseded=superseded,
    )
    document = signing.sign(draft)
    approval = signing.awaiting_approval
    return add_document(
        connection,
        {
            "jti": document.jti,
            "kind": kind,
            "chain_id": chain.id,
            "sequence": sequence,
            "digest": document.digest,
            "token": document.token,
            "meter_id": row.meter_id,
            "cycle_id": row.id,
            "active_text": content.statement.active_text,
            "created_ms": content.at_ms,
            "state": Delivery.AWAITING_APPROVAL if approval else Delivery.PENDING,
            "next_attempt_ms": signing.first_attempt_ms,
        },
    )
