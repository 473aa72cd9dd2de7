"""Counting by SQL: the same numbers as ``metering.combine``, for stores of a million users.

Each store is scanned once. Where stores share an identity domain, the words that an earlier store
has for a user are joined by the primary key, so that nobody counts twice.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Integer,
    Select,
    and_,
    case,
    distinct,
    func,
    literal,
    literal_column,
    not_,
    or_,
    select,
    union,
    union_all,
)

from licenseusage.ledger.facts.vanished import (
    Doubt,
    Users,
    count_common,
    count_outside,
    count_united,
    doubtful,
    gone_users,
    kept_users,
    lost_users,
    plain,
    possible_users,
    sure_users,
    vanished_users,
)
from licenseusage.ledger.storage.schema import facts
from licenseusage.metering.combine import Combine
from licenseusage.metering.cycles import CYCLE_BIT, CYCLE_MASK
from licenseusage.metering.derivation import DomainCount
from licenseusage.metering.known import WindowCounts

_WORDS = "words"
"""The subquery (pseudonym, sure) whose users are counted per day."""


@dataclass(frozen=True, slots=True)
class CountedStore:
    """A store as counting sees it.

    Attributes:
        id: Row of ``stores``.
        proves: Its proof range covers the cycle.
        roster_id: Row of ``rosters``: the store's users may be removed; None: they stay.
        moved_id: Row of ``rosters``: they stay, and some have been excluded since; None: nobody.
        doubt: Why some with proof of activity do not count; None: all do.
        by_days: Whoever is possible on a day is possible in the cycle (``metering.rolling``).
    """

    id: int
    proves: bool
    roster_id: int | None = None
    moved_id: int | None = None
    doubt: Doubt | None = None
    by_days: bool = False

    @property
    def possible(self) -> int:
        """The windows of a ``maybe`` word that leave somebody possible in the cycle."""
        return (1 << CYCLE_BIT + 1) - 1 if self.by_days else CYCLE_MASK

    @property
    def by_sets(self) -> bool:
        """Whether the words of its users do not say everything."""
        return any(value is not None for value in (self.roster_id, self.moved_id, self.doubt))


def count_domain(
    connection: Connection, stores: Sequence[CountedStore], combine: Combine, days: int
) -> DomainCount:
    """Count the users of stores that share an identity domain, with stable ids."""
    proving = [store for store in stores if store.proves]
    same = combine is Combine.SAME and bool(proving)
    if any(store.by_sets for store in stores) or (same and _ruled_out(connection, stores, proving)):
        return _by_sets(connection, stores, proving, combine, days)
    lower, possible, per_day = 0, 0, [0] * days
    for number, store in enumerate(stores):
        scan = _scan(store, stores[:number], days)
        row = connection.execute(scan).one()
        lower += row[0] or 0
        possible += row[1] or 0
        per_day = [total + (count or 0) for total, count in zip(per_day, row[2:], strict=True)]
    upper: int | None = None
    if combine is Combine.UNION:
        upper = possible if len(proving) == len(stores) else None
    elif proving:
        upper = _possible_everywhere(connection, proving)
    return DomainCount(WindowCounts(lower, upper), tuple(per_day))


def counted_users(stores: Sequence[CountedStore], combine: Combine) -> Users:
    """Select those whom `count_domain` counts in the lower bound, unless it is contradicted."""
    sets = [kept_users(store.id, store.doubt) for store in stores]
    chosen = (union(*sets) if len(sets) > 1 else sets[0]).subquery()
    query = select(chosen.c.pseudonym).order_by(chosen.c.pseudonym)
    if combine is Combine.UNION:
        return query
    return query.where(*(chosen.c.pseudonym.not_in(each) for each in _doubted(stores)))


def _by_sets(
    connection: Connection,
    stores: Sequence[CountedStore],
    proving: Sequence[CountedStore],
    combine: Combine,
    days: int,
) -> DomainCount:
    """Count where a roster says who is possible, who of them was removed, and who does not count.

    The same as ``metering.known.united`` and ``intersected``.
    """
    possible = [
        possible_users(store.id, store.roster_id, store.moved_id, store.possible)
        for store in proving
    ]
    gone: list[Users] = [
        gone_users(s.id, s.roster_id) for s in proving if s.roster_id is not None
    ] + [vanished_users(s.moved_id) for s in proving if s.moved_id is not None]
    if combine is Combine.UNION:
        lower, per_day = _kept(connection, stores, days)
        if len(proving) < len(stores):
            return DomainCount(WindowCounts(lower, None), per_day)
        kept = [kept_users(store.id, store.doubt) for store in stores]
        vanished = count_outside(connection, gone, kept) if gone else 0
        upper = count_united(connection, possible)
        return DomainCount(WindowCounts(lower, upper, vanished=vanished), per_day)
    lower, per_day = _kept(connection, stores, days, everywhere=True)
    within, _ = _kept(connection, stores, days, everywhere=True, possible=possible)
    if within < lower:
        return DomainCount(WindowCounts(within, None), per_day, contradicted=True)
    common = count_common(connection, possible) if possible else None
    vanished = _vanished(connection, stores, gone, possible) if gone else 0
    return DomainCount(WindowCounts(lower, common, vanished=vanished), per_day)


def _kept(
    connection: Connection,
    stores: Sequence[CountedStore],
    days: int,
    *,
    everywhere: bool = False,
    possible: Sequence[Users] = (),
) -> tuple[int, tuple[int, ...]]:
    """Count those with proof of activity who count, in the cycle and per day.

    Args:
        connection: The ledger.
        stores: Stores of one identity domain.
        days: Days of the cycle.
        everywhere: Who does not count in one of them counts in none.
        possible: Only those who are in each of these sets.
    """
    parts = []
    for store in stores:
        part = select(facts.c.pseudonym, facts.c.sure).where(
            facts.c.store_id == store.id, facts.c.sure != 0
        )
        if store.doubt is not None:
            part = part.where(not_(doubtful(store.doubt, facts.c.pseudonym)))
        parts.append(part)
    words = union_all(*parts).subquery(_WORDS)
    query = select(func.count(distinct(words.c.pseudonym)), *_per_day(days)).select_from(words)
    if everywhere:
        query = query.where(*(words.c.pseudonym.not_in(each) for each in _doubted(stores)))
    query = query.where(*(words.c.pseudonym.in_(plain(each)) for each in possible))
    row = connection.execute(query).one()
    return row[0], tuple(row[1:])


@cache
def _per_day(days: int) -> tuple[ColumnElement[int], ...]:
    """Return, per day, the count of the users of ``_WORDS`` who were active on it.

    As text, made once: 62 expressions for each statement took half of a statement's time.
    """
    return tuple(
        literal_column(
            f"count(distinct case when ({_WORDS}.sure >> {day}) & 1 then {_WORDS}.pseudonym end)",
            Integer,
        )
        for day in range(days)
    )


def _doubted(stores: Sequence[CountedStore]) -> Iterator[Select[tuple[bytes]]]:
    """Select those who do not count in some store."""
    for store in stores:
        if store.doubt is not None:
            yield sure_users(store.id).where(doubtful(store.doubt, facts.c.pseudonym))
            if store.doubt.lost:
                yield lost_users(store.doubt)


def _vanished(
    connection: Connection,
    stores: Sequence[CountedStore],
    gone: Sequence[Users],
    possible: Sequence[Users],
) -> int:
    """Count those of the users possible everywhere who had left a list, and do not count."""
    kept = union(*(kept_users(store.id, store.doubt) for store in stores)).subquery()
    counting = select(kept.c.pseudonym).where(
        *(kept.c.pseudonym.not_in(each) for each in _doubted(stores))
    )
    return count_outside(connection, gone, [counting], possible)


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
        maybe = func.coalesce(there.c.maybe, 0).bitwise_and(literal(other.possible))
        maybe_before = maybe_before.bitwise_or(maybe)
    sure = own.c.sure
    new_sure = sure != 0
    new_possible = _possible(own, store)
    if earlier:
        new_sure = and_(new_sure, sure_before == 0)
        new_possible = and_(new_possible, sure_before == 0, maybe_before == 0)
    per_day = _added_per_day(days, len(earlier))
    return (
        select(_count_if(new_sure), _count_if(new_possible), *per_day)
        .select_from(source)
        .where(own.c.store_id == store.id)
    )


@cache
def _added_per_day(days: int, earlier: int) -> tuple[ColumnElement[int], ...]:
    """Return, per day, the count of the users of ``own`` whom no ``earlier_0``, .. has on it.

    As text, made once: see `_per_day`.
    """
    before = " | ".join(["0", *(f"coalesce(earlier_{n}.sure, 0)" for n in range(earlier))])
    return tuple(
        literal_column(f"sum(((own.sure & ~({before})) >> {day}) & 1)", Integer)
        for day in range(days)
    )


def _possible_everywhere(connection: Connection, proving: Sequence[CountedStore]) -> int:
    """Count the users that no store rules out; each of ``proving`` covers the whole cycle."""
    first, *others = (facts.alias(f"store_{number}") for number in range(len(proving)))
    source: FromClause = first
    conditions = [first.c.store_id == proving[0].id, _possible(first, proving[0])]
    for store, alias in zip(proving[1:], others, strict=True):
        same = and_(alias.c.store_id == store.id, alias.c.pseudonym == first.c.pseudonym)
        source = source.join(alias, same)
        conditions.append(_possible(alias, store))
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
            listed = select(other.c.pseudonym).where(same, _possible(other, judge)).exists()
            query = (
                select(own.c.pseudonym)
                .where(own.c.store_id == store.id, own.c.sure != 0, ~listed)
                .limit(1)
            )
            if connection.execute(query).first() is not None:
                return True
    return False


def _possible(words: FromClause, store: CountedStore) -> ColumnElement[bool]:
    return or_(words.c.sure != 0, words.c.maybe.bitwise_and(literal(store.possible)) != 0)


def _count_if(condition: ColumnElement[bool]) -> ColumnElement[Any]:
    return func.sum(case((condition, 1), else_=0))
