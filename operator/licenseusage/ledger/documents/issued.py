"""Finding signed documents: by name, by chain, by meter and by cycle.

Functions of an open transaction.
"""

import json
from typing import Any

from sqlalchemy import Connection, Row, Select, and_, select

from licenseusage.ledger.documents.records import Delivery, OutboxItem, ReportKind
from licenseusage.ledger.storage.schema import chains, cycles, outbox
from licenseusage.metering.cycles import Cycle


def get(connection: Connection, jti: str) -> OutboxItem:
    """Return a document that exists."""
    return item(connection.execute(items().where(outbox.c.jti == jti)).one())


def find(connection: Connection, jti: str) -> OutboxItem | None:
    """Return a document, None if there is none of that name."""
    row = connection.execute(items().where(outbox.c.jti == jti)).one_or_none()
    return None if row is None else item(row)


def with_digest(connection: Connection, digest: str) -> OutboxItem | None:
    """Return the document with a digest, of whatever chain; None if there is none."""
    row = connection.execute(items().where(outbox.c.digest == digest).limit(1)).one_or_none()
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
    query = items().where(outbox.c.meter_id == meter_id)
    if interims is not None:
        newest = (
            select(outbox.c.jti)
            .where(outbox.c.meter_id == meter_id, outbox.c.kind == ReportKind.INTERIM)
            .order_by(outbox.c.created_ms.desc(), outbox.c.sequence.desc())
            .limit(interims)
        )
        done = and_(
            outbox.c.kind == ReportKind.INTERIM,
            outbox.c.state == Delivery.ACCEPTED,
            outbox.c.jti.not_in(newest),
        )
        query = query.where(~done)
    query = query.order_by(outbox.c.created_ms.desc(), outbox.c.sequence.desc()).limit(limit)
    return tuple(item(row) for row in connection.execute(query))


def final_of(connection: Connection, cycle_id: int) -> OutboxItem | None:
    """Return the final report of a cycle: the newest, should one have been replaced."""
    query = items().where(outbox.c.cycle_id == cycle_id, outbox.c.kind == ReportKind.FINAL)
    row = connection.execute(query.order_by(outbox.c.sequence.desc()).limit(1)).one_or_none()
    return None if row is None else item(row)


def statements_of(connection: Connection, cycle_id: int) -> tuple[OutboxItem, ...]:
    """Return the finals and amendments of a cycle, newest first."""
    kinds = (ReportKind.FINAL, ReportKind.AMENDMENT)
    query = items().where(outbox.c.cycle_id == cycle_id, outbox.c.kind.in_(kinds))
    rows = connection.execute(query.order_by(outbox.c.sequence.desc()))
    return tuple(item(row) for row in rows)


def documents_of(connection: Connection, chain_id: str) -> tuple[OutboxItem, ...]:
    """Return the documents of a chain by position."""
    query = items().where(outbox.c.chain_id == chain_id).order_by(outbox.c.sequence)
    return tuple(item(row) for row in connection.execute(query))


def all_key_statements(connection: Connection) -> tuple[OutboxItem, ...]:
    """Return every enrolment and succession: by chain, then by position."""
    query = items().where(outbox.c.kind.in_((ReportKind.ENROLMENT, ReportKind.SUCCESSION)))
    rows = connection.execute(query.order_by(outbox.c.chain_id, outbox.c.sequence))
    return tuple(item(row) for row in rows)


def _joined() -> Any:  # noqa: ANN401
    """Return the outbox with the chain and the cycle of each document."""
    return outbox.join(chains, chains.c.id == outbox.c.chain_id).outerjoin(
        cycles, cycles.c.id == outbox.c.cycle_id
    )


def items() -> Select[Any]:
    """Return the query for the rows that `item` reads."""
    columns = (chains.c.key_chain_id, cycles.c.cycle_index, cycles.c.start_ms, cycles.c.end_ms)
    return select(outbox, *columns).select_from(_joined())


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
