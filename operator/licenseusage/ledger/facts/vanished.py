"""Counting by sets of users, where a store has a roster: whoever was ever listed is possible.

The same as ``metering.roster.known_by_roster`` and ``metering.known`` say, by SQL. It is asked for
once a cycle has ended: until then nothing is said of an upper bound.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
    Connection,
    Select,
    func,
    intersect,
    literal,
    not_,
    or_,
    select,
    union,
)

from licenseusage.ledger.facts.rosters import EVER, IDLE, INACTIVE, LISTED, OPEN, QUIET
from licenseusage.ledger.storage.schema import facts, roster_users
from licenseusage.metering.cycles import CYCLE_MASK

Users = Select[tuple[bytes]] | CompoundSelect[Any]


@dataclass(frozen=True, slots=True)
class Doubt:
    """Why users of a store with proof of activity may not count (``doubted_users`` in metering).

    Attributes:
        roster_id: Row of ``rosters``; None: nothing is known of who is listed.
        lost: The list lost somebody, so that only those count whom it lists now.
    """

    roster_id: int | None
    lost: bool


def sure_users(store_id: int) -> Select[tuple[bytes]]:
    """Select the users of a store with proof of activity."""
    return select(facts.c.pseudonym).where(facts.c.store_id == store_id, facts.c.sure != 0)


def kept_users(store_id: int, doubt: Doubt | None) -> Select[tuple[bytes]]:
    """Select the users of a store with proof of activity who count."""
    sure = sure_users(store_id)
    return sure if doubt is None else sure.where(not_(doubtful(doubt, facts.c.pseudonym)))


def doubtful(doubt: Doubt, user: ColumnElement[bytes]) -> ColumnElement[bool]:
    """Return whether somebody with proof of activity does not count."""
    if doubt.roster_id is None:
        return literal(doubt.lost)
    listed = select(roster_users.c.pseudonym).where(
        roster_users.c.roster_id == doubt.roster_id, roster_users.c.pseudonym == user
    )
    idle = listed.where(_has(IDLE)).exists()
    return or_(idle, not_(listed.where(_has(LISTED)).exists())) if doubt.lost else idle


def lost_users(doubt: Doubt) -> Select[tuple[bytes]]:
    """Select those who were listed once and are no longer: somebody else's proof may be theirs."""
    return select(roster_users.c.pseudonym).where(
        roster_users.c.roster_id == doubt.roster_id, _has(EVER), not_(_has(LISTED))
    )


def possible_users(
    store_id: int,
    roster_id: int | None,
    moved_id: int | None = None,
    windows: int = CYCLE_MASK,
) -> Users:
    """Select the users whom a store does not rule out of the cycle.

    Args:
        store_id: Row of ``stores``.
        roster_id: Row of ``rosters`` where the store's users may be removed.
        moved_id: Row of ``rosters`` where they stay, and some have been excluded since.
        windows: In which of them somebody may have been active who is possible.
    """
    if roster_id is not None:
        listed = select(roster_users.c.pseudonym).where(
            roster_users.c.roster_id == roster_id, not_(_has(INACTIVE | QUIET)), _has(EVER | OPEN)
        )
        return union(listed, sure_users(store_id))
    maybe = facts.c.maybe.bitwise_and(literal(windows)) != 0
    of_store = facts.c.store_id == store_id
    known = select(facts.c.pseudonym).where(of_store, or_(facts.c.sure != 0, maybe))
    return known if moved_id is None else union(known, vanished_users(moved_id))


def vanished_users(roster_id: int) -> Select[tuple[bytes]]:
    """Select the users who had left the listing before the closing poll could rule them out."""
    return select(roster_users.c.pseudonym).where(
        roster_users.c.roster_id == roster_id,
        not_(_has(INACTIVE | OPEN | QUIET)),
        _has(EVER),
    )


def gone_users(store_id: int, roster_id: int) -> Users:
    """Select the possible users who were not on the closing poll's list, those sure included."""
    still = select(roster_users.c.pseudonym).where(
        roster_users.c.roster_id == roster_id,
        roster_users.c.pseudonym == facts.c.pseudonym,
        _has(OPEN),
    )
    return union(vanished_users(roster_id), sure_users(store_id).where(not_(still.exists())))


def any_vanished(connection: Connection, roster_id: int) -> bool:
    """Whether somebody had left the listing, or those counted, before the closing poll."""
    return connection.execute(vanished_users(roster_id).limit(1)).first() is not None


def seen_but_unlisted(connection: Connection, store_id: int, roster_id: int) -> bool:
    """Whether somebody with proof of activity was in no complete poll: the roster is not whole."""
    listed = select(roster_users.c.pseudonym).where(
        roster_users.c.roster_id == roster_id,
        roster_users.c.pseudonym == facts.c.pseudonym,
        _has(EVER | OPEN | LISTED),
    )
    missing = sure_users(store_id).where(not_(listed.exists())).limit(1)
    return connection.execute(missing).first() is not None


def seen_but_idle(connection: Connection, store_id: int, roster_id: int) -> bool:
    """Whether the newest list shows somebody with proof of activity without it."""
    ruled_out = select(roster_users.c.pseudonym).where(
        roster_users.c.roster_id == roster_id,
        roster_users.c.pseudonym == facts.c.pseudonym,
        _has(IDLE),
    )
    query = sure_users(store_id).where(ruled_out.exists()).limit(1)
    return connection.execute(query).first() is not None


def count_united(connection: Connection, sets: Sequence[Users]) -> int:
    """Count the distinct users of some sets."""
    return _count(connection, union(*map(plain, sets)) if len(sets) > 1 else sets[0])


def count_common(connection: Connection, sets: Sequence[Users]) -> int:
    """Count the users who are in each of some sets."""
    return _count(connection, intersect(*map(plain, sets)) if len(sets) > 1 else sets[0])


def count_outside(
    connection: Connection,
    users: Sequence[Users],
    outside: Sequence[Users],
    within: Sequence[Users] = (),
) -> int:
    """Count the users of some sets who are in none of ``outside`` and in each of ``within``."""
    counted = (union(*map(plain, users)) if len(users) > 1 else users[0]).subquery()
    conditions = [counted.c.pseudonym.not_in(plain(each)) for each in outside]
    conditions += [counted.c.pseudonym.in_(plain(each)) for each in within]
    query = select(func.count()).select_from(counted).where(*conditions)
    return int(connection.execute(query).scalar_one())


def plain(users: Users) -> Select[tuple[bytes]]:
    """Return a set as a simple select: SQLite takes no compound one within another."""
    if isinstance(users, Select):
        return users
    return select(users.subquery().c.pseudonym)


def _count(connection: Connection, users: Users) -> int:
    query = select(func.count()).select_from(users.subquery())
    return int(connection.execute(query).scalar_one())


def _has(word: int) -> ColumnElement[bool]:
    return roster_users.c.word.bitwise_and(word) != 0
