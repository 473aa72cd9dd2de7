"""Erasing one person: the row stays and counts, and leads to nobody any more.

In a Final cycle the person's pseudonym is replaced by a random one, the same in every store and
roster of the cycle. That changes no set but for the name of one member, so that every count, and
with it what was stated, is borne out by the facts as before. But a product that still lists the
person would add them once more: such a cycle is sealed, it takes no evidence any more.

In a cycle that is not Final, nobody can be erased and not be counted twice: to see that a listed
person is one who counts already, the ledger must know that person's pseudonym, and that is the
link. So the order is kept, and carried out when the cycle is Final.

Functions of an open transaction.
"""

from collections.abc import Callable, Collection, Mapping
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from licenseusage.ledger.records import CycleState
from licenseusage.ledger.storage.schema import (
    commitments,
    cycles,
    erasures,
    facts,
    roster_users,
    rosters,
    stores,
)
from licenseusage.metering.cycles import DAY_MS
from licenseusage.metering.pseudonym import SIZE

_ORPHANED_MS = 7 * DAY_MS
RandomBytes = Callable[[int], bytes]


class Erasure(StrEnum):
    """What became of a person in one cycle.

    ``ERASED``: nothing leads to the person any more. ``ORDERED``: that will be so when the cycle is
    Final. ``NOT_IN_DATA``: nothing is held. ``NOT_KEPT``: the facts of the cycle were deleted.
    ``OTHER_KEY``: the cycle was counted under another pseudonym key, so that it cannot be told.
    """

    ERASED = "Erased"
    ORDERED = "Ordered"
    NOT_IN_DATA = "NotInData"
    NOT_KEPT = "NotKept"
    OTHER_KEY = "OtherKey"


def kept_starts(connection: Connection, meter_id: int) -> tuple[int, ...]:
    """Return the starts of all cycles that anything about users may be kept of, ascending, in ms.

    With those whose facts were deleted, and those to come that have a roster already.
    """
    begun = select(cycles.c.start_ms).where(cycles.c.meter_id == meter_id)
    listed = select(rosters.c.cycle_start_ms).where(rosters.c.meter_id == meter_id)
    return tuple(sorted(connection.execute(begun.union(listed)).scalars()))


def erase_person(
    connection: Connection,
    meter_id: int,
    pseudonyms: Mapping[int, Collection[bytes]],
    key_id: str,
    now_ms: int,
    random_bytes: RandomBytes,
) -> dict[int, Erasure]:
    """Erase a person from the facts of a meter, now or when the cycle is Final.

    Idempotent: whoever was erased is not in the data.

    Args:
        connection: The ledger.
        meter_id: The meter.
        pseudonyms: Start of a cycle -> the person's pseudonyms in it: one for each way in which
            sources write the id.
        key_id: Public name of the key that made them.
        now_ms: The time.
        random_bytes: Returns so many random octets.

    Returns:
        What became of each cycle, by its start.
    """
    done: dict[int, Erasure] = {}
    for start_ms, users in pseudonyms.items():
        row = _cycle(connection, meter_id, start_ms)
        if row is not None and row.wiped:
            done[start_ms] = Erasure.NOT_KEPT
            continue
        if row is not None and row.pseudonym_key_id not in {None, key_id}:
            done[start_ms] = Erasure.OTHER_KEY
            continue
        present = [user for user in users if _present(connection, meter_id, start_ms, user)]
        if not present:
            done[start_ms] = Erasure.NOT_IN_DATA
        elif row is not None and row.state == CycleState.FINAL:
            for user in present:
                _replace(connection, meter_id, start_ms, user, random_bytes(SIZE))
            _seal(connection, row.id)
            done[start_ms] = Erasure.ERASED
        else:
            for user in present:
                _order(connection, meter_id, start_ms, user, now_ms)
            done[start_ms] = Erasure.ORDERED
    return done


def carry_out_erasures(connection: Connection, now_ms: int, random_bytes: RandomBytes) -> int:
    """Erase whoever was to be erased from cycles that are Final now; return how many.

    An order whose cycle has no facts any more, or never came, is forgotten.
    """
    erased = 0
    for order in connection.execute(select(erasures)).all():
        row = _cycle(connection, order.meter_id, order.cycle_start_ms)
        if row is None and order.cycle_start_ms > now_ms - _ORPHANED_MS:
            continue
        if row is not None and not row.wiped:
            if row.state != CycleState.FINAL:
                continue
            new = random_bytes(SIZE)
            _replace(connection, order.meter_id, order.cycle_start_ms, order.pseudonym, new)
            _seal(connection, row.id)
            erased += 1
        same = (erasures.c.meter_id == order.meter_id) & (erasures.c.pseudonym == order.pseudonym)
        same &= erasures.c.cycle_start_ms == order.cycle_start_ms
        connection.execute(delete(erasures).where(same))
    return erased


def _cycle(connection: Connection, meter_id: int, start_ms: int) -> Row[Any] | None:
    return connection.execute(
        select(cycles).filter_by(meter_id=meter_id, start_ms=start_ms)
    ).one_or_none()


def _places(connection: Connection, meter_id: int, start_ms: int) -> tuple[list[int], list[int]]:
    """Return the rows of ``stores`` and of ``rosters`` of a cycle."""
    of_cycle = (cycles.c.meter_id == meter_id) & (cycles.c.start_ms == start_ms)
    stored = select(stores.c.id).join(cycles).where(of_cycle)
    listed = select(rosters.c.id).filter_by(meter_id=meter_id, cycle_start_ms=start_ms)
    return list(connection.execute(stored).scalars()), list(connection.execute(listed).scalars())


def _present(connection: Connection, meter_id: int, start_ms: int, user: bytes) -> bool:
    stored, listed = _places(connection, meter_id, start_ms)
    counted = select(facts.c.store_id).where(
        facts.c.store_id.in_(stored), facts.c.pseudonym == user
    )
    named = select(roster_users.c.roster_id).where(
        roster_users.c.roster_id.in_(listed), roster_users.c.pseudonym == user
    )
    queries = (counted.limit(1), named.limit(1))
    return any(connection.execute(query).first() is not None for query in queries)


def _replace(connection: Connection, meter_id: int, start_ms: int, user: bytes, new: bytes) -> None:
    stored, listed = _places(connection, meter_id, start_ms)
    connection.execute(
        update(facts)
        .where(facts.c.store_id.in_(stored), facts.c.pseudonym == user)
        .values(pseudonym=new)
    )
    connection.execute(
        update(roster_users)
        .where(roster_users.c.roster_id.in_(listed), roster_users.c.pseudonym == user)
        .values(pseudonym=new)
    )
    # It is the digest of other users now, and who has both could look for the difference.
    connection.execute(update(rosters).where(rosters.c.id.in_(listed)).values(before_digest=None))


def _order(connection: Connection, meter_id: int, start_ms: int, user: bytes, now_ms: int) -> None:
    key = {"meter_id": meter_id, "cycle_start_ms": start_ms, "pseudonym": user}
    if connection.execute(select(erasures.c.at_ms).filter_by(**key)).first() is None:
        connection.execute(insert(erasures).values(**key, at_ms=now_ms))


def _seal(connection: Connection, cycle_id: int) -> None:
    connection.execute(update(cycles).where(cycles.c.id == cycle_id).values(sealed=1))
    # It is a list of whom a report counted, with the person on it; without that it proves nothing.
    connection.execute(delete(commitments).where(commitments.c.cycle_id == cycle_id))
