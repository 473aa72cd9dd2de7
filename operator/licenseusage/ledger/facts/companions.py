"""Other meters that count the same product under the same contract. Functions of a transaction."""

from collections.abc import Iterable, Iterator

from sqlalchemy import Connection, bindparam, select

from licenseusage.ledger.records import Companion, Meter, MeterKey
from licenseusage.ledger.storage.schema import cycles, grids, meters
from licenseusage.metering.cycles import Cycle, grid_at

NAMED = 4
"""So many are looked for: a customer may have hundreds of honest ones."""

_subscription = (
    select(grids.c.subscription)
    .where(grids.c.meter_id == meters.c.id, grids.c.from_ms <= bindparam("start_ms"))
    .order_by(grids.c.from_ms.desc())
    .limit(1)
    .scalar_subquery()
)
_COMPANIONS = (
    select(meters.c.namespace, meters.c.name, meters.c.product, meters.c.deleted_ms)
    .join(cycles, cycles.c.meter_id == meters.c.id)
    .where(
        meters.c.product == bindparam("product"),
        meters.c.id != bindparam("meter_id"),
        cycles.c.start_ms == bindparam("start_ms"),
        _subscription == bindparam("subscription"),
    )
    .order_by(meters.c.id)
    .limit(NAMED)
)


def companions(
    connection: Connection, meter: Meter, counted: Iterable[Cycle]
) -> tuple[Companion, ...]:
    """Return meters that report a cycle of the same product under the same subscription.

    Args:
        connection: Of an open transaction.
        meter: The meter that is looked at.
        counted: Its cycles in question.

    Returns:
        At most `NAMED` for each cycle, by cycle, then in the order of their creation; none for
        a cycle that is reported under no licence.
    """
    return tuple(
        companion for cycle in counted for companion in _of_cycle(connection, meter, cycle)
    )


def _of_cycle(connection: Connection, meter: Meter, cycle: Cycle) -> Iterator[Companion]:
    grid = grid_at(meter.grids, cycle.start_ms)
    if grid is None or grid.subscription is None:
        return
    rows = connection.execute(
        _COMPANIONS,
        {
            "product": meter.key.product,
            "meter_id": meter.id,
            "start_ms": cycle.start_ms,
            "subscription": grid.subscription,
        },
    )
    for row in rows:
        yield Companion(MeterKey(row.namespace, row.name, row.product), row.deleted_ms, cycle)
