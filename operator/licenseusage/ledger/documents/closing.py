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
from licenseusage.ledger.documents.committing import commit, keep_commitment
from licenseusage.ledger.documents.issued import final_of
from licenseusage.ledger.documents.outbox import add_document
from licenseusage.ledger.documents.records import (
    ChainState,
    Committing,
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
    cycle_row,
    dated_ms,
    high_water_ms,
    older_unfinished,
)
from licenseusage.ledger.records import ClosingIntent, CycleRecord, CycleState
from licenseusage.ledger.storage.encoding import dump_statement
from licenseusage.ledger.storage.schema import cycles, outbox
from licenseusage.metering.cycles import Cycle
from licenseusage.metering.statement import CycleStatement
from licenseusage.reasons import Reason

Sign = Callable[[ReportDraft], SignedDocument]


@dataclass(frozen=True, slots=True)
class Signing:
    """How a report is signed and when it is first due for sending.

    Attributes:
        chain: Its chain.
        sign: Signs a draft; called inside the transaction, at most once per commit, and must not
            call the ledger.
        first_attempt_ms: When it is due for sending.
        awaiting_approval: Start as AwaitingApproval instead of Pending.
        committing: Makes the commitment of finals and amendments; None: they have none.
    """

    chain: ReportChain
    sign: Sign
    first_attempt_ms: int
    awaiting_approval: bool = False
    committing: Committing | None = None


def mark_closing(connection: Connection, meter_id: int, cycle: Cycle, now_ms: int) -> CycleRecord:
    """Move a cycle that has ended from Open to Closing; a later state is kept.

    ``now_ms`` becomes durable with it.
    """
    row = cycle_row(connection, meter_id, cycle)
    still_open = (cycles.c.id == row.id) & (cycles.c.state == CycleState.OPEN)
    connection.execute(update(cycles).where(still_open).values(state=CycleState.CLOSING))
    return cycle_record(cycle_row(connection, meter_id, cycle))


def begin_close(
    connection: Connection,
    meter_id: int,
    cycle: Cycle,
    *,
    reason: str,
    statement: CycleStatement,
    now_ms: int,
    rules_digest: str | None = None,
) -> ClosingIntent:
    """Store the decision to close a cycle with a statement; an earlier decision is kept.

    Later evidence is taken under the same rules only: those of the cycle's polls, or
    ``rules_digest`` where there was none.
    """
    row = cycle_row(connection, meter_id, cycle)
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
    connection: Connection,
    meter_id: int,
    cycle: Cycle,
    now_ms: int,
    signing: Signing | None = None,
) -> OutboxItem | None:
    """Make a cycle Final as its intent says: statement, report, outbox row in one transaction.

    Idempotent: a cycle that is Final already returns its report as it was signed.

    Args:
        connection: The ledger.
        meter_id: The meter.
        cycle: The cycle; ``begin_close`` has been called for it.
        now_ms: The time.
        signing: Signs the report; None (no licence): the cycle is closed without one.

    Raises:
        ValueError: No intent was recorded, or a cycle before it is not Final.
    """
    row = cycle_row(connection, meter_id, cycle)
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
    state = ensure_chain(connection, signing.chain)
    content = dated_in_order(connection, state, record.intent, now_ms)
    return sign_report(connection, row, ReportKind.FINAL, content, signing)


def dated_in_order(
    connection: Connection, chain: ChainState, content: ClosingIntent, now_ms: int
) -> ClosingIntent:
    """Date a decided final: with its decision, but not before the report in front of it.

    After a loss of the ledger, cycles become known whose successors were decided while the chain
    was stopped; their finals stand in front of those. A report dated before the one in front of it
    would prove a clock that was set back (REPORT_FORMAT §6 rule 5), and none was. Where the one in
    front is dated later than now, a clock was: then the report says so.
    """
    if chain.head is None:
        return content
    previous_ms = _signed_ms(connection, chain.id, chain.head.sequence)
    if not content.at_ms < previous_ms <= dated_ms(connection, now_ms):
        return content
    high_water = max(content.clock_high_water_ms, previous_ms)
    return replace(content, at_ms=previous_ms, clock_high_water_ms=high_water)


def _signed_ms(connection: Connection, chain_id: str, sequence: int) -> int:
    query = select(outbox.c.created_ms).filter_by(chain_id=chain_id, sequence=sequence)
    return int(connection.execute(query).scalar_one())


def replace_final(
    connection: Connection, meter_id: int, cycle: Cycle, now_ms: int, signing: Signing
) -> OutboxItem | None:
    """Sign the decided statement of a Final cycle once more, dated now.

    Only in place of a final with a signed ``Rejected``, which holds its place in the chain and does
    not count as final (REPORT_FORMAT §6 rule 4).

    Returns:
        The new report; None if the cycle's newest final is no such final of this chain, or if the
        report would be dated before the end of the cycle.
    """
    row = cycle_row(connection, meter_id, cycle)
    intent = cycle_record(row).intent
    final = final_of(connection, row.id)
    if intent is None or final is None or final.chain_id != signing.chain.id:
        return None
    at_ms = dated_ms(connection, now_ms)
    if not final.refused or at_ms < cycle.end_ms:
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
    """Sign and keep the interim report of a slot; None if that slot or a later one has one.

    One that was signed by a clock that was ahead keeps no slot from its report.
    """
    row = cycle_row(connection, meter_id, statement.cycle)
    at_ms = dated_ms(connection, now_ms)
    made = row.interim_slot is not None and row.interim_slot >= slot
    newest = next(iter(interims_signed_ms(connection, meter_id, statement.cycle)), at_ms)
    if (made and newest <= at_ms) or row.state != CycleState.OPEN:
        return None
    content = ClosingIntent(at_ms, "", statement, max(at_ms, high_water_ms(connection)))
    item = sign_report(connection, row, ReportKind.INTERIM, content, signing)
    if item is not None:
        this = cycles.c.id == row.id
        connection.execute(update(cycles).where(this).values(interim_slot=slot))
    return item


def interims_signed_ms(connection: Connection, meter_id: int, cycle: Cycle) -> tuple[int, ...]:
    """Return when the interims of a cycle were signed, the last one first."""
    query = (
        select(outbox.c.created_ms)
        .join(cycles, cycles.c.id == outbox.c.cycle_id)
        .where(cycles.c.meter_id == meter_id, cycles.c.start_ms == cycle.start_ms)
        .where(outbox.c.kind == ReportKind.INTERIM)
    )
    return tuple(connection.execute(query.order_by(outbox.c.sequence.desc())).scalars())


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
    draft = draft_of(connection, row, chain, kind, content, superseded)
    commitment = None
    if signing.committing is not None and kind is not ReportKind.INTERIM:
        commitment = commit(connection, row, content.statement, signing.committing)
    if commitment is not None:
        draft = replace(draft, commitment=commitment.digest)
    document = signing.sign(draft)
    approval = signing.awaiting_approval
    item = add_document(
        connection,
        {
            "jti": document.jti,
            "kind": kind,
            "chain_id": chain.id,
            "sequence": draft.sequence,
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
    if commitment is not None and item is not None:
        keep_commitment(connection, document.jti, row.id, commitment)
    return item


def draft_of(
    connection: Connection,
    row: Row[Any],
    chain: ChainState,
    kind: ReportKind,
    content: ClosingIntent,
    superseded: Superseded | None = None,
) -> ReportDraft:
    """Return what the next report of a chain is signed from; this only reads."""
    sequence = 1 if chain.head is None else chain.head.sequence + 1
    previous_at = None
    if chain.head is not None:
        previous_at = _signed_ms(connection, chain.id, chain.head.sequence)
    return ReportDraft(
        kind=kind,
        chain_id=chain.id,
        sequence=sequence,
        previous=chain.head.digest if chain.head else None,
        continuity=_continuity(chain),
        acknowledged=chain.acknowledged,
        at_ms=content.at_ms,
        previous_at_ms=previous_at,
        statement=content.statement,
        clock_high_water_ms=content.clock_high_water_ms,
        vendor_time_ms=chain.vendor_time_ms,
        record=cycle_record(row),
        superseded=superseded,
    )


def _continuity(chain: ChainState) -> str:
    """How the next report of a chain goes on from the one before (REPORT_FORMAT §5, §11)."""
    if chain.head is None:
        return "Start"
    return Reason.RESTORED if chain.resumed == chain.head else "Continues"
