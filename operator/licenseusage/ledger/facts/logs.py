"""How far event logs were read: positions, proof ranges, holes (MEASUREMENT §6).

Functions of an open transaction. A position is written with what was read up to it, so that after a
crash, or from a restored backup, reading goes on from exactly there: what is read again changes
nothing, and nothing is left out.
"""

from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from licenseusage.ledger.storage.database import upsert
from licenseusage.ledger.storage.schema import cycles, log_holes, log_positions, log_ranges, stores
from licenseusage.metering.cycles import CYCLE_MASK, Cycle
from licenseusage.metering.events import (
    Hole,
    LogPosition,
    LogReading,
    LogState,
    Range,
    closed_windows,
    united,
)
from licenseusage.metering.properties import Properties
from licenseusage.metering.stores import StoreKey


def record_reading(
    connection: Connection,
    store_id: int,
    cycle: Cycle,
    properties: Properties,
    reading: LogReading,
) -> bool:
    """Join what was read of a log with what is held, and move the position on.

    Returns:
        Whether more windows are closed than before.
    """
    position = connection.execute(select(log_positions).filter_by(store_id=store_id)).one_or_none()
    if (_position(position) if position else None) != reading.before:
        return False  # it went on from elsewhere: what it claims rests on facts not here
    known = united([*_ranges(connection, store_id), *reading.ranges])
    connection.execute(delete(log_ranges).where(log_ranges.c.store_id == store_id))
    if known:
        connection.execute(
            insert(log_ranges),
            [{"store_id": store_id, **known_range._asdict()} for known_range in known],
        )
    for hole in reading.holes:
        write = upsert(log_holes).values(store_id=store_id, **hole._asdict())
        connection.execute(write.on_conflict_do_nothing())
    after = reading.after
    values: dict[str, Any] = {
        "stream": after.stream,
        "created": after.created,
        "sequence": after.sequence,
        "stored_ms": after.stored_ms,
        "until_ms": after.until_ms,
        "mark": after.mark,
        "behind": int(reading.behind),
    }
    connection.execute(
        upsert(log_positions)
        .values(store_id=store_id, **values)
        .on_conflict_do_update([log_positions.c.store_id], set_=values)
    )
    closed = closed_windows(cycle, properties, known)
    before: int = connection.execute(select(stores.c.closed).filter_by(id=store_id)).scalar_one()
    connection.execute(
        update(stores)
        .where(stores.c.id == store_id)
        .values(
            closed=stores.c.closed.bitwise_or(closed),
            # A day is known as soon as it was read to its end, however late that was.
            followed=stores.c.followed.bitwise_or(closed & ~CYCLE_MASK),
        )
    )
    return closed & ~before != 0


def join_logs(ours: Connection, store_id: int, theirs: Connection, other_id: int) -> None:
    """Join what another ledger read of a log: what it proves, and what it knows to be lost.

    Where reading goes on stays our own: what is read again changes nothing.
    """
    known = united([*_ranges(ours, store_id), *_ranges(theirs, other_id)])
    ours.execute(delete(log_ranges).where(log_ranges.c.store_id == store_id))
    if known:
        ours.execute(insert(log_ranges), [{"store_id": store_id, **r._asdict()} for r in known])
    for hole in _holes(theirs, other_id):
        write = upsert(log_holes).values(store_id=store_id, **hole._asdict())
        ours.execute(write.on_conflict_do_nothing())


def log_states(connection: Connection, meter_id: int, cycle: Cycle) -> dict[StoreKey, LogState]:
    """Return how far each log was read for a cycle."""
    of_cycle = (cycles.c.meter_id == meter_id) & (cycles.c.start_ms == cycle.start_ms)
    query = (
        select(log_positions, stores.c.source, stores.c.domain)
        .join(stores, stores.c.id == log_positions.c.store_id)
        .join(cycles, cycles.c.id == stores.c.cycle_id)
        .where(of_cycle)
    )
    return {
        StoreKey(row.source, row.domain): LogState(
            position=_position(row),
            ranges=_ranges(connection, row.store_id),
            holes=_holes(connection, row.store_id),
            behind=bool(row.behind),
        )
        for row in connection.execute(query).all()
    }


def _position(row: Row[Any]) -> LogPosition:
    return LogPosition(row.stream, row.created, row.sequence, row.stored_ms, row.until_ms, row.mark)


def _ranges(connection: Connection, store_id: int) -> tuple[Range, ...]:
    rows = connection.execute(
        select(log_ranges.c.start_ms, log_ranges.c.end_ms)
        .filter_by(store_id=store_id)
        .order_by(log_ranges.c.start_ms)
    )
    return tuple(Range(*row) for row in rows)


def _holes(connection: Connection, store_id: int) -> tuple[Hole, ...]:
    rows = connection.execute(
        select(log_holes.c.start_ms, log_holes.c.end_ms, log_holes.c.reason)
        .filter_by(store_id=store_id)
        .order_by(log_holes.c.start_ms, log_holes.c.end_ms, log_holes.c.reason)
    )
    return tuple(Hole(*row) for row in rows)
