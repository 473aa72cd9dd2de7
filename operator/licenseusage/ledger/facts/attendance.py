"""On which days somebody was active: kept by default, or dropped for good (MEASUREMENT §8).

Functions of an open transaction. What is stated of a cycle rests on the bit of the cycle alone: a
day of it proves the cycle as well. So dropping the days of a cycle changes no bound.
"""

from sqlalchemy import Connection, and_, bindparam, case, delete, literal, select, update

from licenseusage.ledger.facts.registry import DROPPED
from licenseusage.ledger.storage.schema import cycles, facts, meters, stores
from licenseusage.metering.cycles import CYCLE_MASK, Cycle

_DROPPED = select(cycles.c.days_dropped).where(
    cycles.c.meter_id == bindparam("meter_id"), cycles.c.start_ms == bindparam("start_ms")
)


def follow_daily_facts(
    connection: Connection, meter_id: int, now_ms: int, *, dropped: bool
) -> None:
    """Keep from now on what an object's spec says of the days.

    Args:
        connection: The ledger.
        meter_id: The meter.
        now_ms: The time.
        dropped: Drop the days of every cycle that is held, and of those to come; False: cycles that
            begin later keep them, and those of now stay without.
    """
    kept = {"daily_facts": DROPPED if dropped else None}
    connection.execute(update(meters).where(meters.c.id == meter_id).values(kept))
    if dropped:
        dated = select(cycles.c.id).filter_by(meter_id=meter_id, days_dropped=0)
        for cycle_id in connection.execute(dated).scalars().all():
            drop_days(connection, cycle_id)


def drop_days(connection: Connection, cycle_id: int) -> None:
    """Drop of everybody in a cycle on which days; whether in the cycle stays.

    Whoever was only possible on a day, and not in the cycle, is not held any more. A list without
    times covers the cycle day by day: without them it rules nobody out.
    """
    here = facts.c.store_id.in_(select(stores.c.id).where(stores.c.cycle_id == cycle_id))
    of_cycle, sure = literal(CYCLE_MASK), facts.c.sure != 0
    undated = {
        "sure": case((sure, of_cycle), else_=0),
        "maybe": case((sure, 0), else_=facts.c.maybe.bitwise_and(of_cycle)),
    }
    connection.execute(update(facts).where(here).values(undated))
    connection.execute(delete(facts).where(and_(here, facts.c.sure == 0, facts.c.maybe == 0)))
    by_days = (stores.c.cycle_id == cycle_id) & stores.c.by_rows.is_not(None)
    connection.execute(update(stores).where(by_days).values(closed=0))
    connection.execute(update(cycles).where(cycles.c.id == cycle_id).values(days_dropped=1))


def are_dropped(connection: Connection, meter_id: int, cycle: Cycle) -> bool:
    """Whether a cycle keeps of nobody on which days."""
    of_cycle = {"meter_id": meter_id, "start_ms": cycle.start_ms}
    return bool(connection.execute(_DROPPED, of_cycle).scalar_one_or_none())
