"""Finding signed documents: by name, by chain, by meter and by cycle.

Functions of an open transaction.
"""

import json
from typing import Any

from sqlalchemy import Connection, Integer, Row, Select, and_, bindparam, select

from licenseusage.ledger.documents.records import Delivery, OutboxItem, ReportKind
from licenseusage.ledger.storage.schema import chains, cycles, outbox
from licenseusage.metering.cycles import Cycle

ITEMS: Select[Any] = select(
    outbox, chains.c.key_chain_id, cycles.c.cycle_index, cycles.c.start_ms, cycles.c.end_ms
).select_from(
    outbox.join(chains, chains.c.id == outbox.c.chain_id).outerjoin(
        cycles, cycles.c.id == outbox.c.cycle_id
    )
)
"""The query for the rows that `item` reads: each document with its chain and its cycle."""

_NAMED = ITEMS.where(outbox.c.jti == bindparam("jti"))
_OF_CHAIN = ITEMS.where(outbox.c.chain_id == bindparam("chain_id")).order_by(outbox.c.sequence)
_NEWEST_FIRST = (outbox.c.created_ms.desc(), outbox.c.sequence.desc())
_OF_METER = ITEMS.where(outbox.c.meter_id == bindparam("meter_id")).order_by(*_NEWEST_FIRST)
_newest_interims = (
    select(outbox.c.jti)
    .where(outbox.c.meter_id == bindparam("meter_id"), outbox.c.kind == ReportKind.INTERIM)
    .order_by(*_NEWEST_FIRST)
    .limit(bindparam("interims", type_=Integer))
)
_WITHOUT_OLD_INTERIMS = _OF_METER.where(
    ~and_(
        outbox.c.kind == ReportKind.INTERIM,
        outbox.c.state == Delivery.ACCEPTED,
        outbox.c.jti.not_in(_newest_interims),
    )
)
_FINAL_OF_CYCLE = (
    ITEMS.where(outbox.c.cycle_id == bindparam("cycle_id"), outbox.c.kind == ReportKind.FINAL)
    .order_by(outbox.c.sequence.desc())
    .limit(1)
)


def get(connection: Connection, jti: str) -> OutboxItem:
    """Return a document that exists."""
    return item(connection.execute(_NAMED, {"jti": jti}).one())


def find(connection: Connection, jti: str) -> OutboxItem | None:
    """Return a document, None if there is none of that name."""
    row = connection.execute(_NAMED, {"jti": jti}).one_or_none()
    return None if row is None else item(row)


def with_digest(connection: Connection, digest: str) -> OutboxItem | None:
    """Return the document with a digest, of whatever chain; None if there is none."""
    row = connection.execute(ITEMS.where(outbox.c.digest == digest).limit(1)).one_or_none()
    return None if row is None else item(row)


def reports_of(
    connection: Connection,
    meter_id: int,
    *,
    limit: int | None = None,
    interims: int | None = None,
) -> tuple[OutboxItem, ...]:
    """Return the reports of a meter, newest first.

    Args:
        connection: The ledger.
        meter_id: The meter.
        limit: At most so many.
        interims: Leave out accepted interims but the newest so many; None: leave out none.
    """
    query = _OF_METER if interims is None else _WITHOUT_OLD_INTERIMS
    given = {"meter_id": meter_id} | ({} if interims is None else {"interims": interims})
    query = query if limit is None else query.limit(limit)
    return tuple(item(row) for row in connection.execute(query, given))


def final_of(connection: Connection, cycle_id: int) -> OutboxItem | None:
    """Return the final report of a cycle: the newest, should one have been replaced."""
    row = connection.execute(_FINAL_OF_CYCLE, {"cycle_id": cycle_id}).one_or_none()
    return None if row is None else item(row)


def statements_of(connection: Connection, cycle_id: int) -> tuple[OutboxItem, ...]:
    """Return the finals and amendments of a cycle, newest first."""
    kinds = (ReportKind.FINAL, ReportKind.AMENDMENT)
    query = ITEMS.where(outbox.c.cycle_id == cycle_id, outbox.c.kind.in_(kinds))
    rows = connection.execute(query.order_by(outbox.c.sequence.desc()))
    return tuple(item(row) for row in rows)


def documents_of(connection: Connection, chain_id: str) -> tuple[OutboxItem, ...]:
    """Return the documents of a chain by position."""
    return tuple(item(row) for row in connection.execute(_OF_CHAIN, {"chain_id": chain_id}))


def all_key_statements(connection: Connection) -> tuple[OutboxItem, ...]:
    """Return every enrolment and succession: by chain, then by position."""
    query = ITEMS.where(outbox.c.kind.in_((ReportKind.ENROLMENT, ReportKind.SUCCESSION)))
    rows = connection.execute(query.order_by(outbox.c.chain_id, outbox.c.sequence))
    return tuple(item(row) for row in rows)


def item(row: Row[Any]) -> OutboxItem:
    """Return a document and the state of its delivery."""
    cycle = None
    if row.cycle_id is not None:
        cycle = Cycle(row.cycle_index, row.start_ms, row.end_ms)
    return OutboxItem(
        jti=row.jti,
        kind=ReportKind(row.kind),
        chain_id=row.chain_id,
        key_chain_id=row.key_chain_id,
        sequence=row.sequence,
        digest=row.digest,
        token=row.token,
        meter_id=row.meter_id,
        cycle=cycle,
        active_text=row.active_text,
        created_ms=row.created_ms,
        state=Delivery(row.state),
        reason=row.reason,
        message=row.message,
        attempts=row.attempts,
        first_failure_ms=row.first_failure_ms,
        next_attempt_ms=row.next_attempt_ms,
        lease_until_ms=row.lease_until_ms,
        receipt=row.receipt,
        accepted_ms=row.accepted_ms,
        findings=tuple(json.loads(row.findings)),
    )
