"""How far event logs were read: positions, proof ranges, holes (MEASUREMENT §6).

Functions of an open transaction. A position is written with what was read up to it, so that after a
crash, or from a restored backup, reading goes on from exactly there: what is read again changes
nothing, and nothing is left out.
"""

from typing import Any

from sqlalchemy import BindParameter, Connection, Row, bindparam, delete, insert, select, update

from licenseusage.ledger.storage.database import upsert
from licenseusage.ledger.storage.schema import log_holes, log_positions, log_ranges, stores
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

_store: BindParameter[int] = bindparam("store_id")
_POSITION = select(log_positions).where(log_positions.c.store_id == _store)
_RANGES = (
    select(log_ranges.c.start_ms, log_ranges.c.end_ms)
    .where(log_ranges.c.store_id == _store)
    .order_by(log_ranges.c.start_ms)
)
_HOLES = (
    select(log_holes.c.start_ms, log_holes.c.end_ms, log_holes.c.reason)
    .where(log_holes.c.store_id == _store)
    .order_by(log_holes.c.start_ms, log_holes.c.end_ms, log_holes.c.reason)
)
_NO_RANGES = delete(log_ranges).where(log_ranges.c.store_id == _store)
_ADD_RANGES = insert(log_ranges)
_ADD_HOLES = upsert(log_holes).on_conflict_do_nothing()
_new = upsert(log_positions)
_MOVE_ON = _new.on_conflict_do_update(
    [log_positions.c.store_id],
    set_={name: value for name, value in _new.excluded.items() if name != "store_id"},
)
_CLOSED = select(stores.c.closed).where(stores.c.id == _store)
_CLOSE = (
    update(stores)
    .where(stores.c.id == _store)
    .values(
        closed=stores.c.closed.bitwise_or(bindparam("now_closed")),
        # A day is known as soon as it was read to its end, however late that was.
        followed=stores.c.followed.bitwise_or(bindparam("now_followed")),
    )
)


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
    this = {"store_id": store_id}
    position = connection.execute(_POSITION, this).one_or_none()
    if (_position(position) if position else None) != reading.before:
        return False  # it went on from elsewhere: what it claims rests on facts not here
    known = united([*_ranges(connection, store_id), *reading.ranges])
    connection.execute(_NO_RANGES, this)
    if known:
        connection.execute(_ADD_RANGES, [this | each._asdict() for each in known])
    if reading.holes:
        connection.execute(_ADD_HOLES, [this | each._asdict() for each in reading.holes])
    after = reading.after
    values: dict[str, Any] = {
        **this,
        "stream": after.stream,
        "created": after.created,
        "sequence": after.sequence,
        "stored_ms": after.stored_ms,
        "until_ms": after.until_ms,
        "mark": after.mark,
        "behind": int(reading.behind),
    }
    connection.execute(_MOVE_ON, values)
    closed = closed_windows(cycle, properties, known)
    before: int = connection.execute(_CLOSED, this).scalar_one()
    windows = {"now_closed": closed, "now_followed": closed & ~CYCLE_MASK}
    connection.execute(_CLOSE, this | windows)
    return closed & ~before != 0


def join_logs(ours: Connection, store_id: int, theirs: Connection, other_id: int) -> None:
    """Join what another ledger read of a log: what it proves, and what it knows to be lost.

    Where reading goes on stays our own: what is read again changes nothing.
    """
    known = united([*_ranges(ours, store_id), *_ranges(theirs, other_id)])
    this = {"store_id": store_id}
    ours.execute(_NO_RANGES, this)
    if known:
        ours.execute(_ADD_RANGES, [this | each._asdict() for each in known])
    if holes := _holes(theirs, other_id):
        ours.execute(_ADD_HOLES, [this | each._asdict() for each in holes])


def log_of(connection: Connection, row: Row[Any]) -> LogState | None:
    """Return how far the log of a store was read; None: it has none.

    Args:
        connection: The ledger.
        row: The store's row of `stores.store_rows`, which has its position.
    """
    if row.store_id is None:
        return None
    return LogState(
        position=_position(row),
        ranges=_ranges(connection, row.store_id),
        holes=_holes(connection, row.store_id),
        behind=bool(row.behind),
    )


def _position(row: Row[Any]) -> LogPosition:
    return LogPosition(row.stream, row.created, row.sequence, row.stored_ms, row.until_ms, row.mark)


def _ranges(connection: Connection, store_id: int) -> tuple[Range, ...]:
    return tuple(Range(*row) for row in connection.execute(_RANGES, {"store_id": store_id}))


def _holes(connection: Connection, store_id: int) -> tuple[Hole, ...]:
    return tuple(Hole(*row) for row in connection.execute(_HOLES, {"store_id": store_id}))
