"""Counting by sets of users, where a store has a roster: whoever was ever listed is possible.

The same as ``metering.roster.known_by_roster`` and ``metering.known`` say, by SQL. It is asked for
once a cycle has ended: until then nothing is said of an upper bound.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
    Connection,
    Select,
    and_,
    func,
    intersect,
    literal,
    not_,
    or_,
    select,
    union,
)

from licenseusage.ledger.rosters import BEFORE, INACTIVE, OPEN
from licenseusage.ledger.schema import facts, roster_users
from licenseusage.metering.cycles import CYCLE_MASK

Users = Select[tuple[bytes]] | CompoundSelect[Any]


def sure_users(store_id: int) -> Select[tuple[bytes]]:
    """Select the users of a store with proof of activity."""
    return select(facts.c.pseudonym).where(facts.c.store_id == store_id, facts.c.sure != 0)


def possible_users(store_id: int, roster_id: int | None) -> Users:
    """Select the users whom a store does not rule out of the cycle."""
    if roster_id is None:
        maybe = facts.c.maybe.bitwise_and(literal(CYCLE_MASK)) != 0
        of_store = facts.c.store_id == store_id
        return select(facts.c.pseudonym).where(of_store, or_(facts.c.sure != 0, maybe))
    listed = select(roster_users.c.pseudonym).where(
        roster_users.c.roster_id == roster_id, not_(_has(INACTIVE)), _has(BEFORE | OPEN)
    )
    return union(listed, sure_users(store_id))


def vanished_users(roster_id: int) -> Select[tuple[bytes]]:
    """Select the users who had left the listing before the closing poll could rule them out."""
    return select(roster_users.c.pseudonym).where(
        roster_users.c.roster_id == roster_id,
        not_(_has(INACTIVE)),
        not_(_has(OPEN)),
        _has(BEFORE),
    )


def seen_but_unlisted(connection: Connection, store_id: int, roster_id: int) -> bool:
    """Whether somebody with proof of activity was in no complete poll: the roster is not whole."""
    listed = select(roster_users.c.pseudonym).where(
        roster_users.c.roster_id == roster_id,
        roster_users.c.pseudonym == facts.c.pseudonym,
        _has(BEFORE | OPEN),
    )
    missing = sure_users(store_id).where(not_(listed.exists())).limit(1)
    return connection.execute(missing).first() is not None


def seen_but_inactive(connection: Connection, store_id: int, roster_id: int) -> bool:
    """Whether somebody with proof of activity is proved inactive: a declared property is false."""
    same = and_(
        facts.c.store_id == store_id,
        facts.c.sure != 0,
        facts.c.pseudonym == roster_users.c.pseudonym,
    )
    refuted = (
        select(roster_users.c.pseudonym)
        .join(facts, same)
        .where(roster_users.c.roster_id == roster_id, _has(INACTIVE))
        .limit(1)
    )
    return connection.execute(refuted).first() is not None


def count_united(connection: Connection, sets: Sequence[Users]) -> int:
    """Count the distinct users of some sets."""
    return _count(connection, union(*map(_plain, sets)) if len(sets) > 1 else sets[0])


def count_common(connection: Connection, sets: Sequence[Users]) -> int:
    """Count the users who are in each of some sets."""
    return _count(connection, intersect(*map(_plain, sets)) if len(sets) > 1 else sets[0])


def count_outside(
    connection: Connection,
    users: Sequence[Users],
    outside: Sequence[Users],
    within: Sequence[Users] = (),
) -> int:
    """Count the users of some sets who are in none of ``outside`` and in each of ``within``."""
    found = (union(*map(_plain, users)) if len(users) > 1 else users[0]).subquery()
    conditions = [found.c.pseudonym.not_in(_plain(each)) for each in outside]
    conditions += [found.c.pseudonym.in_(_plain(each)) for each in within]
    query = select(func.count()).select_from(found).where(*conditions)
    return int(connection.execute(query).scalar_one())


def _plain(users: Users) -> Select[tuple[bytes]]:
    """A set as a simple select: SQLite takes no compound one within another."""
    if isinstance(users, Select):
        return users
    return select(users.subquery().c.pseudonym)


def _count(connection: Connection, users: Users) -> int:
    query = select(func.count()).select_from(users.subquery())
    return int(connection.execute(query).scalar_one())


def _has(word: int) -> ColumnElement[bool]:
    return roster_users.c.word.bitwise_and(word) != 0
