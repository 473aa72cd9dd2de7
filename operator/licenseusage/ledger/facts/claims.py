"""What producers have proved of a cycle by their heartbeats (`metering.pushes`).

Functions of an open transaction.
"""

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from licenseusage.ledger.records import Pushed
from licenseusage.ledger.storage.schema import push_ranges, stores
from licenseusage.metering.cycles import CYCLE_MASK, Cycle
from licenseusage.metering.events import Range, closed_windows, united
from licenseusage.metering.properties import Properties
from licenseusage.metering.pushes import shared

_of_producer = (push_ranges.c.store_id == bindparam("store_id")) & (
    push_ranges.c.producer == bindparam("producer")
)
_RANGES = (
    select(push_ranges.c.start_ms, push_ranges.c.end_ms)
    .where(_of_producer)
    .order_by(push_ranges.c.start_ms)
)
_NO_RANGES = delete(push_ranges).where(_of_producer)
_ADD_RANGES = insert(push_ranges)
_CLOSED = select(stores.c.closed).where(stores.c.id == bindparam("store_id"))
_CLOSE = (
    update(stores)
    .where(stores.c.id == bindparam("store_id"))
    .values(
        closed=stores.c.closed.bitwise_or(bindparam("now_closed")),
        ended=stores.c.ended.bitwise_or(bindparam("now_ended")),
        # A day is known as soon as it was sent to its end, however late that was.
        followed=stores.c.followed.bitwise_or(bindparam("now_followed")),
    )
)


def record_claims(
    connection: Connection, store_id: int, cycle: Cycle, properties: Properties, pushed: Pushed
) -> bool:
    """Join what producers have proved with what is held; close the windows that all have proved.

    Returns:
        Whether more windows are closed than before.
    """
    for producer, ranges in pushed.claims.items():
        known = claims(connection, store_id, producer)
        # A little more than the cycle, so that no window of it needs to be looked up elsewhere.
        within = (
            Range(max(r.start_ms, cycle.start_ms), min(r.end_ms, cycle.end_ms)) for r in ranges
        )
        joined = united([*known, *within])
        if joined != known:
            _replace(connection, store_id, producer, joined)
    if not pushed.producers:
        return False
    of_all = [claims(connection, store_id, producer) for producer in pushed.producers]
    closed = closed_windows(cycle, properties, shared(of_all))
    ended = 0 if pushed.heard_until_ms is None else cycle.ended_by(pushed.heard_until_ms)
    this = {"store_id": store_id}
    before: int = connection.execute(_CLOSED, this).scalar_one()
    windows = {"now_closed": closed, "now_ended": ended, "now_followed": closed & ~CYCLE_MASK}
    connection.execute(_CLOSE, this | windows)
    return closed & ~before != 0


def claims(connection: Connection, store_id: int, producer: str) -> tuple[Range, ...]:
    """Return what a producer has proved of a cycle."""
    rows = connection.execute(_RANGES, {"store_id": store_id, "producer": producer})
    return tuple(Range(*row) for row in rows)


def join_claims(ours: Connection, store_id: int, theirs: Connection, other_id: int) -> None:
    """Join what producers have proved to another ledger: its facts have been joined as well.

    Where their chains go on stays our own: a receipt of the other ledger begins a new one here.
    """
    query = select(push_ranges.c.producer).filter_by(store_id=other_id).distinct()
    for producer in theirs.execute(query).scalars().all():
        joined = united([*claims(ours, store_id, producer), *claims(theirs, other_id, producer)])
        _replace(ours, store_id, producer, joined)


def _replace(
    connection: Connection, store_id: int, producer: str, ranges: tuple[Range, ...]
) -> None:
    same = {"store_id": store_id, "producer": producer}
    connection.execute(_NO_RANGES, same)
    if ranges:
        connection.execute(_ADD_RANGES, [{**same, **r._asdict()} for r in ranges])
