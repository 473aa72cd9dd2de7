"""Rosters in the ledger: who was ever listed, by sources whose users may be removed.

Functions of an open transaction. A million rows are written twice in a cycle, by its first poll and
by the closing one; between them a listing of the same people as before writes nothing.
"""

import hashlib
import json
from collections.abc import Iterable
from itertools import islice
from typing import Any

from sqlalchemy import Connection, Row, and_, delete, exists, insert, not_, select, update

from licenseusage.ledger.database import upsert
from licenseusage.ledger.records import StoreKey
from licenseusage.ledger.schema import cycles, roster_users, rosters
from licenseusage.metering.cycles import DAY_MS, Cycle
from licenseusage.metering.roster import JOINED_GAP_MS, Roster, Run, joined_runs, unpacked

BEFORE, OPEN, INACTIVE = 1, 2, 4
_BATCH = 10_000
_ORPHANED_MS = 7 * DAY_MS


def join_roster(
    connection: Connection, meter_id: int, cycle: Cycle, store: StoreKey, found: Roster | None
) -> bool:
    """Join the roster of a poll with the one held, as ``metering.roster.merge_rosters`` does.

    Returns:
        Whether it may say more than the one held.
    """
    if found is None:
        return False
    row = ensure_roster(connection, meter_id, cycle.start_ms, store)
    digest = hashlib.sha256(found.before).hexdigest() if found.before else row.before_digest
    if digest != row.before_digest:
        add_users(connection, row.id, found.before, BEFORE)
    add_users(connection, row.id, found.inactive, INACTIVE)
    open_at = row.open_at_ms
    if found.open_at_ms is not None and (open_at is None or found.open_at_ms <= open_at):
        if open_at is not None and found.open_at_ms < open_at:
            clear_open(connection, row.id)
        add_users(connection, row.id, found.open, OPEN)
        open_at = found.open_at_ms
    connection.execute(
        update(rosters)
        .where(rosters.c.id == row.id)
        .values(
            open_at_ms=open_at,
            runs=json.dumps(joined_runs((*runs_of(row), *found.runs), JOINED_GAP_MS)),
            before_digest=digest,
        )
    )
    more = (open_at, digest) != (row.open_at_ms, row.before_digest)
    return more or bool(found.inactive)


def ensure_roster(
    connection: Connection, meter_id: int, start_ms: int, store: StoreKey
) -> Row[Any]:
    """Return the row of ``rosters`` of a store and cycle, made if absent."""
    key = {"meter_id": meter_id, "cycle_start_ms": start_ms, **store._asdict()}
    row = connection.execute(select(rosters).filter_by(**key)).one_or_none()
    if row is None:
        connection.execute(insert(rosters).values(**key))
        row = connection.execute(select(rosters).filter_by(**key)).one()
    return row


def rosters_of(connection: Connection, meter_id: int, cycle: Cycle) -> dict[StoreKey, Row[Any]]:
    """Return the row of ``rosters`` of each store of a cycle."""
    of_cycle = select(rosters).filter_by(meter_id=meter_id, cycle_start_ms=cycle.start_ms)
    return {StoreKey(row.source, row.domain): row for row in connection.execute(of_cycle)}


def runs_of(row: Row[Any]) -> tuple[Run, ...]:
    """Return the runs of complete polls of a row of ``rosters``."""
    return tuple(Run(*run) for run in json.loads(row.runs))


def delete_rosters(connection: Connection, now_ms: int) -> None:
    """Delete the rosters of cycles whose facts were deleted, and of cycles that never came."""
    same = and_(
        cycles.c.meter_id == rosters.c.meter_id, cycles.c.start_ms == rosters.c.cycle_start_ms
    )
    wiped = exists().where(same, cycles.c.wiped == 1)
    orphaned = and_(rosters.c.cycle_start_ms < now_ms - _ORPHANED_MS, not_(exists().where(same)))
    gone = connection.execute(select(rosters.c.id).where(wiped | orphaned)).scalars().all()
    for roster_id in gone:
        connection.execute(delete(roster_users).where(roster_users.c.roster_id == roster_id))
        connection.execute(delete(rosters).where(rosters.c.id == roster_id))


def add_users(connection: Connection, roster_id: int, users: bytes, word: int) -> None:
    """Set a bit for packed users, in the order of the key: each page is written once."""
    adding = upsert(roster_users)
    joined = roster_users.c.word.bitwise_or(adding.excluded.word)
    key = [roster_users.c.roster_id, roster_users.c.pseudonym]
    write = adding.on_conflict_do_update(
        key, set_={"word": joined}, where=roster_users.c.word != joined
    )
    for batch in _batches(unpacked(users)):
        rows = [{"roster_id": roster_id, "pseudonym": user, "word": word} for user in batch]
        connection.execute(write, rows)


def _batches(users: Iterable[bytes]) -> Iterable[tuple[bytes, ...]]:
    iterator = iter(users)
    while batch := tuple(islice(iterator, _BATCH)):
        yield batch


def clear_open(connection: Connection, roster_id: int) -> None:
    """An earlier closing poll came to be known: the other one counts no more."""
    held = (roster_users.c.roster_id == roster_id) & (roster_users.c.word.bitwise_and(OPEN) != 0)
    closed = roster_users.c.word.bitwise_and(~OPEN)
    connection.execute(update(roster_users).where(held).values(word=closed))
