"""How the number of a cycle grew: on which day users were seen active first.

Functions of an open transaction.
"""

from sqlalchemy import Connection, func, select

from licenseusage.ledger.facts.attendance import are_dropped
from licenseusage.ledger.storage.schema import cycles, facts, stores
from licenseusage.metering.cycles import Cycle


def first_days(connection: Connection, meter_id: int, cycle: Cycle) -> tuple[int, ...]:
    """Return, for each day of a cycle, the users proved active on it and on none before.

    Somebody in several stores of one identity domain is one user. Who was active on a day that
    nobody knows is left out. Empty without facts: they were deleted, hold no days, or the ids are
    not stable.
    """
    if are_dropped(connection, meter_id, cycle):
        return ()
    of_cycle = (cycles.c.meter_id == meter_id) & (cycles.c.start_ms == cycle.start_ms)
    ids = connection.execute(select(stores.c.id).join(cycles).where(of_cycle)).scalars().all()
    # The lowest bit of a word is its first day.
    first = facts.c.sure.bitwise_and(-facts.c.sure)
    sure = (facts.c.sure != 0) & facts.c.store_id.in_(ids)
    if len(ids) > 1:
        users = select(func.min(first).label("first")).where(sure).group_by(facts.c.pseudonym)
    else:
        users = select(first.label("first")).where(sure)
    each = users.subquery()
    query = select(each.c.first, func.count()).group_by(each.c.first)
    counts = {bit.bit_length() - 1: count for bit, count in connection.execute(query)}
    return tuple(counts.get(day, 0) for day in range(cycle.days)) if counts else ()
