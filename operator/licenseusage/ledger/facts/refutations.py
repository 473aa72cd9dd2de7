"""Refuted guarantees: found in a poll's transaction, then kept.

The decision is `metering.refuting`'s; here the same numbers come from SQL. What is kept is a union:
it may be joined with that of another ledger any number of times.
"""

from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    and_,
    bindparam,
    delete,
    func,
    insert,
    not_,
    select,
    update,
)

from licenseusage.ledger.facts.rosters import (
    EVER,
    IDLE,
    INACTIVE,
    LISTED,
    OPEN,
    rosters_of,
    runs_of,
)
from licenseusage.ledger.records import PollRecord
from licenseusage.ledger.storage.database import upsert
from licenseusage.ledger.storage.schema import cycles, facts, refutations, roster_users, stores
from licenseusage.metering.cycles import Cycle
from licenseusage.metering.properties import Guarantee, Properties, Removal
from licenseusage.metering.refuting import (
    SEVERAL_LOGS_WORDS,
    Refutation,
    Seen,
    applies_to,
    believed,
    refuted_by,
    refuted_of,
)
from licenseusage.metering.roster import missing
from licenseusage.metering.stores import StoreKey

_OF_METER = (
    select(refutations)
    .where(refutations.c.meter_id == bindparam("meter_id"))
    .order_by(refutations.c.source, refutations.c.at_ms, refutations.c.guarantee)
)
_LIFT_OTHERS = (
    update(refutations)
    .where(
        refutations.c.meter_id == bindparam("of_meter"),
        refutations.c.source == bindparam("of_source"),
        refutations.c.declaration != bindparam("declared"),
        refutations.c.lifted_ms.is_(None),
    )
    .values(lifted_ms=bindparam("now_ms"))
)


def refuted(connection: Connection, meter_id: int) -> tuple[Refutation, ...]:
    """Return the guarantees that stand refuted, by source and time."""
    return tuple(each for each in _refutations(connection, meter_id) if each.lifted_ms is None)


def refuted_in(connection: Connection, meter_id: int, cycle: Cycle) -> tuple[Refutation, ...]:
    """Return the guarantees that are refuted for a cycle, by source and time."""
    return tuple(each for each in _refutations(connection, meter_id) if applies_to(each, cycle))


def _refutations(connection: Connection, meter_id: int) -> list[Refutation]:
    return [
        Refutation(
            row.source,
            Guarantee(row.guarantee),
            row.declaration,
            row.at_ms,
            row.words,
            row.lifted_ms,
        )
        for row in connection.execute(_OF_METER, {"meter_id": meter_id})
    ]


def refute(
    connection: Connection,
    meter_id: int,
    source: str,
    declaration: str,
    properties: Properties,
    seen: Seen,
    at_ms: int,
) -> bool:
    """Keep what is refuted and was not before; return whether anything is."""
    trusted = believed(properties, refuted_of(refuted(connection, meter_id), source, declaration))
    new = refuted_by(trusted, seen)
    for guarantee, words in new.items():
        row = {"source": source, "guarantee": guarantee, "declaration": declaration}
        values = {"meter_id": meter_id, "at_ms": at_ms, "words": words, **row}
        connection.execute(insert(refutations).values(values))
    return bool(new)


def lift(connection: Connection, meter_id: int, source: str, declaration: str, at_ms: int) -> None:
    """A poll was made by this declaration: what was refuted of others is a matter of the past."""
    others = {"of_meter": meter_id, "of_source": source, "declared": declaration}
    connection.execute(_LIFT_OTHERS, others | {"now_ms": at_ms})


def note_logs(connection: Connection, poll: PollRecord) -> None:
    """Keep that pods of a source keep logs of their own, or that all of them keep one again.

    A poll that did not hear every pod says neither: a pod that is silent may keep another log. What
    stands is kept with the time at which it was seen last: another ledger may have seen that all
    pods agreed, but only later than that is it a matter of the past.
    """
    row = {
        "meter_id": poll.meter_id,
        "source": poll.store.source,
        "guarantee": Guarantee.ONE_LOG,
        "declaration": poll.declaration,
    }
    standing = and_(
        *(refutations.c[name] == value for name, value in row.items()),
        refutations.c.lifted_ms.is_(None),
    )
    if poll.one_log:
        lifted = update(refutations).where(standing).values(lifted_ms=poll.ended_ms)
        connection.execute(lifted)
    elif poll.one_log is False:
        at_ms = poll.started_ms
        connection.execute(delete(refutations).where(standing, refutations.c.at_ms < at_ms))
        if connection.execute(select(1).where(standing)).first() is None:
            values = {**row, "at_ms": at_ms, "words": SEVERAL_LOGS_WORDS}
            write = upsert(refutations).values(values)
            key = list(refutations.primary_key)
            connection.execute(write.on_conflict_do_update(key, set_={"lifted_ms": None}))


def join_refutations(
    ours: Connection, meter_id: int, theirs: Connection, their_meter_id: int
) -> None:
    """Unite the refutations of two ledgers; one that either of them has lifted stays lifted.

    Of two times the later one, so that in which order ledgers are united is all the same. Several
    logs that were seen after the other ledger had lifted them stand.
    """
    query = select(refutations).filter_by(meter_id=their_meter_id)
    for row in theirs.execute(query).mappings().all():
        write = upsert(refutations).values({**row, "meter_id": meter_id})
        times = refutations.c.lifted_ms, write.excluded.lifted_ms
        lifted = func.coalesce(func.max(*times), *times)
        key = list(refutations.primary_key)
        ours.execute(write.on_conflict_do_update(key, set_={"lifted_ms": lifted}))
    _settle_logs(ours, meter_id)


def _settle_logs(connection: Connection, meter_id: int) -> None:
    """Hold sightings of several logs against the last time at which all pods agreed.

    A sighting before that is a matter of the past, whoever made it; of those after it the newest
    says all.
    """
    table = refutations.alias()
    alike = and_(
        *(refutations.c[name] == table.c[name] for name in ("meter_id", "source", "declaration")),
        table.c.guarantee == Guarantee.ONE_LOG,
    )
    ours = (refutations.c.meter_id == meter_id) & (refutations.c.guarantee == Guarantee.ONE_LOG)
    agreed = select(func.max(table.c.lifted_ms)).where(alike).scalar_subquery()
    connection.execute(
        update(refutations).where(ours, refutations.c.at_ms <= agreed).values(lifted_ms=agreed)
    )
    newest = select(func.max(table.c.at_ms)).where(alike).scalar_subquery()
    left = refutations.c.lifted_ms.is_(None) & (refutations.c.at_ms < newest)
    connection.execute(delete(refutations).where(ours, left))


def refute_joined(connection: Connection, meter_id: int) -> None:
    """Find what two ledgers' facts refute together: a list that is said to lose nobody lost some.

    Only such a list closes a window. In which order the two were made is not known, so that nothing
    else can be told apart.
    """
    never = Properties(removal=Removal.NEVER, ids_stable=True)
    query = (
        select(stores, cycles.c.cycle_index, cycles.c.start_ms, cycles.c.end_ms)
        .join(cycles)
        .where(cycles.c.meter_id == meter_id, stores.c.closed != 0, stores.c.ids_stable != 0)
        .where(stores.c.by_rows.is_(None))  # users leave a list without times
    )
    for row in connection.execute(query).all():
        cycle = Cycle(row.cycle_index, row.start_ms, row.end_ms)
        key = StoreKey(row.source, row.domain)
        roster = rosters_of(connection, meter_id, cycle).get(key)
        if roster is None or roster.last_at_ms is None:
            continue
        seen = seen_in(connection, cycle, never, row, roster)
        at_ms: int = roster.last_at_ms
        only = Seen(seen.ever, seen.lost)
        refute(connection, meter_id, row.source, row.declaration, never, only, at_ms)


def seen_in(
    connection: Connection, cycle: Cycle, properties: Properties, store: Row[Any], roster: Row[Any]
) -> Seen:
    """Return what the facts of a store say: as ``metering.refuting.seen_in``, for any size.

    Args:
        connection: The ledger.
        cycle: The cycle.
        properties: As declared.
        store: Its row of ``stores``.
        roster: Its row of ``rosters``.
    """
    if not properties.ids_stable:
        return Seen()
    ever = _listed(connection, roster.id, _has(EVER))
    lost = _listed(connection, roster.id, and_(_has(EVER), not_(_has(LISTED))))
    closed = roster.open_at_ms is not None
    if closed:
        lost += _sure_without(connection, store.id, roster.id, EVER | LISTED)
    ruled_out = _sure_with(connection, store.id, roster.id, INACTIVE)
    back = _sure_with(connection, store.id, roster.id, IDLE) if ruled_out else 0
    gap_ms = properties.roster_gap_ms
    whole = missing(cycle.start_ms, roster.open_at_ms, runs_of(roster), gap_ms) is None
    return Seen(
        ever=ever,
        lost=lost,
        unlisted=_sure_without(connection, store.id, roster.id, EVER | LISTED | OPEN)
        if whole
        else 0,
        back=back,
        late=bool(store.refuted) or ruled_out > back,
    )


def _listed(connection: Connection, roster_id: int, condition: ColumnElement[bool]) -> int:
    query = select(func.count()).where(roster_users.c.roster_id == roster_id, condition)
    return int(connection.execute(query).scalar_one())


def _sure_with(connection: Connection, store_id: int, roster_id: int, word: int) -> int:
    return _listed_sure(connection, store_id, roster_id, word, among=True)


def _sure_without(connection: Connection, store_id: int, roster_id: int, word: int) -> int:
    return _listed_sure(connection, store_id, roster_id, word, among=False)


def _listed_sure(
    connection: Connection, store_id: int, roster_id: int, word: int, *, among: bool
) -> int:
    """Count those with proof of activity who have one of the bits, or none of them."""
    listed = (
        select(roster_users.c.pseudonym)
        .where(
            roster_users.c.roster_id == roster_id,
            roster_users.c.pseudonym == facts.c.pseudonym,
            _has(word),
        )
        .exists()
    )
    query = select(func.count()).where(
        facts.c.store_id == store_id, facts.c.sure != 0, listed if among else not_(listed)
    )
    return int(connection.execute(query).scalar_one())


def _has(word: int) -> ColumnElement[bool]:
    return roster_users.c.word.bitwise_and(word) != 0
