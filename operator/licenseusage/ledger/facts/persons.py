"""What the ledger holds about one pseudonym. Functions of an open transaction; they only read."""

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Connection, Row, select

from licenseusage.ledger.facts.counting import CountedStore
from licenseusage.ledger.facts.rosters import (
    EVER,
    INACTIVE,
    LISTED,
    OPEN,
    QUIET,
    rosters_of,
    word_of,
)
from licenseusage.ledger.facts.statements import judged_stores
from licenseusage.ledger.facts.vanished import (
    Users,
    doubtful,
    kept_users,
    lost_users,
    plain,
    possible_users,
    sure_users,
)
from licenseusage.ledger.storage.schema import facts
from licenseusage.metering.cycles import Cycle
from licenseusage.metering.persons import Evidence
from licenseusage.metering.stores import DeclaredSource, StoreKey


def evidence_about(
    connection: Connection,
    meter_id: int,
    cycle: Cycle,
    user_of: Callable[[str], bytes],
    sources: Sequence[DeclaredSource],
    as_of_ms: int | None,
) -> list[list[tuple[StoreKey, Evidence]]]:
    """Return what each store of a cycle holds about a person, in groups of one identity domain.

    Args:
        connection: The ledger.
        meter_id: The meter.
        cycle: The cycle.
        user_of: Returns the person's pseudonym of this cycle, by the source's name.
        sources: Every source declared now.
        as_of_ms: As of ``make_statement``.
    """
    rosters = rosters_of(connection, meter_id, cycle)
    return [
        [
            (store.key, _unread(stable=store.stable))
            if counted is None
            else (
                store.key,
                _evidence(connection, counted, rosters.get(store.key), user_of(store.key.source)),
            )
            for store, counted in group
        ]
        for group in judged_stores(connection, meter_id, cycle, sources, as_of_ms)
    ]


def _unread(*, stable: bool) -> Evidence:
    return Evidence(ids_stable=stable, read=False)


def _evidence(
    connection: Connection, store: CountedStore, roster: Row[Any] | None, user: bytes
) -> Evidence:
    query = select(facts.c.sure, facts.c.maybe).filter_by(store_id=store.id, pseudonym=user)
    words = connection.execute(query).one_or_none()
    listed = 0 if roster is None else word_of(connection, roster.id, user)
    doubted = False
    if store.doubt is not None:
        without = sure_users(store.id).where(doubtful(store.doubt, facts.c.pseudonym))
        doubted = _among(connection, without, user)
        if store.doubt.lost:
            doubted = doubted or _among(connection, lost_users(store.doubt), user)
    possible = None
    if store.proves:
        chosen = possible_users(store.id, store.roster_id, store.moved_id)
        possible = _among(connection, chosen, user)
    return Evidence(
        sure=0 if words is None else words.sure,
        maybe=0 if words is None else words.maybe,
        listed=bool(listed & LISTED),
        ever=bool(listed & EVER),
        closing=bool(listed & OPEN),
        inactive=bool(listed & (INACTIVE | QUIET)),
        kept=_among(connection, kept_users(store.id, store.doubt), user),
        doubted=doubted,
        possible=possible,
    )


def _among(connection: Connection, users: Users, user: bytes) -> bool:
    chosen = plain(users).subquery()
    query = select(chosen.c.pseudonym).where(chosen.c.pseudonym == user).limit(1)
    return connection.execute(query).first() is not None
