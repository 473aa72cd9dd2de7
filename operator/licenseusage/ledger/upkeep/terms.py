"""Following the licences that another ledger has followed: which cycles there are, and whose.

A ledger that was restored from a backup does not know of a licence that came later. It would let it
begin with a later cycle than the ledger before it did, and report a cycle under another
subscription than it was reported under.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, RowMapping, insert, select, update

from licenseusage.ledger.storage.schema import grids, licenses, meters

_SAME = ("anchor", "length_days", "length_months", "subscription")


def follow_terms(ours: Connection, our_id: int, theirs: Connection, their_id: int) -> None:
    """Take over the grids of cycles that begin there, and not here or not yet, with their licences.

    Where the two ledgers follow different licences, each keeps its own.

    Args:
        ours: In the transaction that is written.
        our_id: The meter here.
        theirs: Only read.
        their_id: The same meter there.
    """
    here, there = _grids(ours, our_id), _grids(theirs, their_id)
    if not _goes_on(here, there):
        return
    ours.execute(grids.delete().where(grids.c.meter_id == our_id))
    for grid in there:
        ours.execute(insert(grids).values({**grid, "meter_id": our_id}))
    known = set(ours.execute(select(licenses.c.subscription).filter_by(meter_id=our_id)).scalars())
    for row in theirs.execute(select(licenses).filter_by(meter_id=their_id)).mappings():
        if row["subscription"] not in known:
            ours.execute(insert(licenses).values({**row, "meter_id": our_id}))
    subscription = theirs.execute(select(meters.c.subscription).filter_by(id=their_id)).scalar_one()
    ours.execute(update(meters).where(meters.c.id == our_id).values(subscription=subscription))


def _grids(connection: Connection, meter_id: int) -> Sequence[RowMapping]:
    query = select(grids).filter_by(meter_id=meter_id).order_by(grids.c.from_ms)
    return connection.execute(query).mappings().all()


def _goes_on(here: Sequence[RowMapping], there: Sequence[RowMapping]) -> bool:
    """Whether the other has followed the same licences, and then one that is new or later here."""
    number = 0
    while number < min(len(here), len(there)) and _whole(here[number]) == _whole(there[number]):
        number += 1
    after, before = here[number:], there[number:]
    if not after or not before:
        return bool(before)
    same = all(after[0][name] == before[0][name] for name in _SAME)
    return same and len(before) >= len(after) and bool(before[0]["from_ms"] < after[0]["from_ms"])


def _whole(grid: RowMapping) -> dict[str, Any]:
    return {name: grid[name] for name in ("from_ms", *_SAME)}
