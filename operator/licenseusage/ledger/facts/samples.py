"""Numbers that products stated: the samples of a store (`metering.counts`), joined by union.

Functions of an open transaction. A product that states its number every minute for a month would
make more rows than anybody needs: far from the cycle's ends one poll an hour is kept, and every one
that states more than all before. What is left out takes sharpness and nothing else.
"""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, Row, func, select

from licenseusage.ledger.storage.database import upsert
from licenseusage.ledger.storage.schema import samples
from licenseusage.metering.counts import Counts, Sample
from licenseusage.metering.cycles import Cycle

HOUR_MS = 3_600_000
NEAR_MS = 2 * HOUR_MS
"""So close to either end of the cycle every sample is kept."""

_FLAGS = {"full": 1, "advances": 2, "saturated": 4, "estimated": 8, "stays": 16}


def record_samples(
    connection: Connection, store_id: int, cycle: Cycle, counts: Counts, since_ms: int | None
) -> bool:
    """Join the samples of one poll with those that are held.

    Args:
        connection: The ledger.
        store_id: The store.
        cycle: Its cycle.
        counts: The samples.
        since_ms: Since when the source's definition decides who counts; None: in the whole cycle.
            A number about time before that may hold people whom another definition leaves out.

    Returns:
        Whether any is new.
    """
    wanted = sorted(
        each for each in counts.samples if since_ms is None or each.first_ms >= since_ms
    )
    if not wanted or not _worth_keeping(connection, store_id, cycle, wanted):
        return False
    return _add(connection, store_id, wanted)


def samples_of(connection: Connection, store_id: int) -> Counts:
    """Return the samples of a store."""
    rows = connection.execute(select(samples).filter_by(store_id=store_id))
    return Counts(frozenset(_sample(row) for row in rows))


def join_samples(ours: Connection, store_id: int, theirs: Connection, other_id: int) -> None:
    """Take over what another ledger knows."""
    _add(ours, store_id, samples_of(theirs, other_id).samples)


def _worth_keeping(
    connection: Connection, store_id: int, cycle: Cycle, wanted: list[Sample]
) -> bool:
    at_ms = min(each.computed_ms for each in wanted)
    if min(abs(at_ms - cycle.start_ms), abs(at_ms - cycle.end_ms)) <= NEAR_MS:
        return True
    hour = at_ms // HOUR_MS * HOUR_MS
    of_store = samples.c.store_id == store_id
    same_hour = samples.c.computed_ms.between(hour, hour + HOUR_MS - 1)
    most = select(func.max(samples.c.users)).where(of_store)
    known: int | None = connection.execute(most).scalar_one()
    if known is None or max(each.users for each in wanted) > known:
        return True
    of_hour = select(samples.c.users).where(of_store, same_hour).limit(1)
    return connection.execute(of_hour).first() is None


def _add(connection: Connection, store_id: int, wanted: Iterable[Sample]) -> bool:
    count = select(func.count()).select_from(samples).where(samples.c.store_id == store_id)
    before: int = connection.execute(count).scalar_one()
    rows = [_row(store_id, each) for each in wanted]
    if rows:
        connection.execute(upsert(samples).on_conflict_do_nothing(), rows)
    return bool(connection.execute(count).scalar_one() > before)


def _row(store_id: int, sample: Sample) -> dict[str, int]:
    values = sample._asdict()
    flags = sum(bit for name, bit in _FLAGS.items() if values.pop(name))
    return {"store_id": store_id, "flags": flags, **values}


def _sample(row: Row[Any]) -> Sample:
    values = dict(row._mapping)
    flags = values.pop("flags")
    del values["store_id"]
    return Sample(**values, **{name: bool(flags & bit) for name, bit in _FLAGS.items()})
