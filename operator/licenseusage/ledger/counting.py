"""Counting by SQL: the same numbers as ``metering.combine``, for stores of a million users.

Each store is scanned once. Where stores share an identity domain, the words that an earlier store
has for a user are joined by the primary key, so that nobody counts twice.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, FromClause, and_, case, func, literal, or_, select

from licenseusage.ledger.schema import facts
from licenseusage.ledger.vanished import (
    count_common,
    count_outside,
    count_united,
    possible_users,
    sure_users,
    vanished_users,
)
from licenseusage.metering.combine import Combine
from licenseusage.metering.cycles import CYCLE_MASK
from licenseusage.metering.known import Tally


@dataclass(frozen=True, slots=True)
class CountedStore:
    """A store as counting sees it.

    Attributes:
        id: Row of ``stores``.
        proves: Its proof range covers the cycle.
        refuted: A declared property is refuted in the cycle.
        roster_id: Row of ``rosters``: the store's users may be removed; None: they stay.
    """

    id: int
    proves: bool
    refuted: bool
    roster_id: int | None = None


@dataclass(frozen=True, slots=True)
class DomainCount:
    """Counts over the stores of one identity domain.

    Attributes:
        cycle: Lower and upper of the cycle.
        days: Users proved active per day.
    """

    cycle: Tally
    days: tuple[int, ...]


def count_domain(
    connection: Connection, stores: Sequence[CountedStore], combine: Combine, days: int
) -> DomainCount:
    """Count the users of stores that share an identity domain, with stable ids."""
    lower, possible, per_day = 0, 0, [0] * days
    for number, store in enumerate(stores):
        scan = _scan(store, stores[:number], days)
        row = connection.execute(scan).one()
        lower += row[0] or 0
        possible += row[1] or 0
        per_day = [total + (count or 0) for total, count in zip(per_day, row[2:], strict=True)]
    proving = [store for store in stores if store.proves]
    conflict = any(store.refuted for store in stores)
    if any(store.roster_id is not None for store in proving):
        tally = _by_sets(connection, stores, proving, combine, lower, conflict=conflict)
        return DomainCount(tally, tuple(per_day))
    upper: int | None = None
    if combine is Combine.UNION:
        upper = possible if len(proving) == len(stores) else None
    elif proving:
        upper = _possible_everywhere(connection, proving)
        conflict = conflict or _ruled_out(connection, stores, proving)
    return DomainCount(Tally(lower, upper, conflict), tuple(per_day))


def _by_sets(
    connection: Connection,
    stores: Sequence[CountedStore],
    proving: Sequence[CountedStore],
    combine: Combine,
    lower: int,
    *,
    conflict: bool,
) -> Tally:
    """Count where a roster says who is possible, and who of them was removed."""
    possible = [possible_users(store.id, store.roster_id) for store in proving]
    sure = [sure_users(store.id) for store in stores]
    gone = [vanished_users(s.roster_id) for s in stores if s.roster_id is not None and s.proves]
    if combine is Combine.UNION:
        if len(proving) < len(stores):
            return Tally(lower, None, conflict)
        upper = count_united(connection, possible)
        return Tally(lower, upper, conflict, count_outside(connection, gone, sure))
    upper = count_common(connection, possible)
    ruled_out = any(count_outside(connection, sure, [everybody]) for everybody in possible)
    vanished = count_outside(connection, gone, sure, possible)
    return Tally(lower, upper, conflict or ruled_out, vanished)


def _scan(store: CountedStore, earlier: Sequence[CountedStore], days: int) -> Any:  # noqa: ANN401
    """Select (users sure, users possible, users sure per day) that no earlier store has."""
    own = facts.alias("own")
    source: FromClause = own
    sure_before: ColumnElement[int] = literal(0)
    maybe_before: ColumnElement[int] = literal(0)
    for number, other in enumerate(earlier):
        there = facts.alias(f"earlier_{number}")
        same = and_(there.c.store_id == other.id, there.c.pseudonym == own.c.pseudonym)
        source = source.outerjoin(there, same)
        sure_before = sure_before.bitwise_or(func.coalesce(there.c.sure, 0))
        maybe_before = maybe_before.bitwise_or(func.coalesce(there.c.maybe, 0))
    sure = own.c.sure
    added: ColumnElement[int] = sure
    new_sure = sure != 0
    new_possible = or_(sure != 0, _has_cycle(own.c.maybe))
    if earlier:
        added = sure.bitwise_and(sure_before.bitwise_not())
        new_sure = and_(new_sure, sure_before == 0)
        none_possible = maybe_before.bitwise_and(literal(CYCLE_MASK)) == 0
        new_possible = and_(new_possible, sure_before == 0, none_possible)
    per_day = [
        func.sum(added.bitwise_rshift(day).bitwise_and(1)).label(f"day_{day}")
        for day in range(days)
    ]
    return (
        select(_count_if(new_sure), _count_if(new_possible), *per_day)
        .select_from(source)
        .where(own.c.store_id == store.id)
    )


def _possible_everywhere(connection: Connection, proving: Sequence[CountedStore]) -> int:
    """Count the users that no store rules out; each of ``proving`` covers the whole cycle."""
    first, *others = (facts.alias(f"store_{number}") for number in range(len(proving)))
    source: FromClause = first
    conditions = [first.c.store_id == proving[0].id, _possible(first)]
    for store, alias in zip(proving[1:], others, strict=True):
        same = and_(alias.c.store_id == store.id, alias.c.pseudonym == first.c.pseudonym)
        source = source.join(alias, same)
        conditions.append(_possible(alias))
    query = select(func.count()).select_from(source).where(*conditions)
    return int(connection.execute(query).scalar_one())


def _ruled_out(
    connection: Connection, stores: Sequence[CountedStore], proving: Sequence[CountedStore]
) -> bool:
    """Whether a user sure in one store is proved inactive by another of the same activity."""
    for store in stores:
        for judge in proving:
            if judge.id == store.id:
                continue
            own, other = facts.alias("own"), facts.alias("other")
            same = and_(other.c.store_id == judge.id, other.c.pseudonym == own.c.pseudonym)
            listed = select(other.c.pseudonym).where(same, _possible(other)).exists()
            query = (
                select(own.c.pseudonym)
                .where(own.c.store_id == store.id, own.c.sure != 0, ~listed)
                .limit(1)
            )
            if connection.execute(query).first() is not None:
                return True
    return False


def _possible(words: FromClause) -> ColumnElement[bool]:
    return or_(words.c.sure != 0, _has_cycle(words.c.maybe))


def _has_cycle(word: ColumnElement[int]) -> ColumnElement[bool]:
    return word.bitwise_and(literal(CYCLE_MASK)) != 0


def _count_if(condition: ColumnElement[bool]) -> ColumnElement[Any]:
    return func.sum(case((condition, 1), else_=0))
