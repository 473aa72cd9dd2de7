"""Chains of signed documents: their two ends, and whether anything may be added to them.

Functions of an open transaction.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Connection, Row, and_, bindparam, func, insert, select, update

from licenseusage.ledger.documents.records import (
    ChainState,
    Delivery,
    Recovery,
    ReportChain,
    SetAside,
)
from licenseusage.ledger.storage.schema import chains, outbox, recoveries, set_aside
from licenseusage.reports.names import Link

_CHAIN = select(chains.c.id).where(chains.c.id == bindparam("chain_id"))

_before = outbox.alias("before")
_last = select(func.max(_before.c.sequence)).where(_before.c.chain_id == chains.c.id)
_conflict = outbox.alias("conflict")
_refusal = (
    select(_conflict.c.reason)
    .where(_conflict.c.chain_id == chains.c.id, _conflict.c.state == Delivery.CONFLICT)
    .limit(1)
)
_head = and_(outbox.c.chain_id == chains.c.id, outbox.c.sequence == _last.scalar_subquery())
# Chains, each with its newest document and with why the vendor refuses to go on.
_STATES = (
    select(
        chains,
        outbox.c.sequence.label("head_sequence"),
        outbox.c.digest.label("head_digest"),
        _refusal.scalar_subquery().label("refused"),
    )
    .select_from(chains.outerjoin(outbox, _head))
    .where(chains.c.id.in_(bindparam("chain_ids", expanding=True)))
)
_RECOVERIES = (
    select(recoveries.c.chain_id, recoveries.c.event, recoveries.c.sequence, recoveries.c.digest)
    .where(recoveries.c.chain_id.in_(bindparam("chain_ids", expanding=True)))
    .order_by(recoveries.c.sequence)
)


def ensure_chain(connection: Connection, chain: ReportChain) -> ChainState:
    """Return the chain, created with its key chain if absent."""
    know_chain(connection, chain.id, chain.key_chain_id)
    return chain_state(connection, chain.id)


def know_chain(connection: Connection, chain_id: str, key_chain_id: str | None) -> None:
    """Make the rows of a chain and of its key chain, where there are none."""
    for own, before in ((key_chain_id, None), (chain_id, key_chain_id)):
        if own is None:
            continue
        if connection.execute(_CHAIN, {"chain_id": own}).one_or_none() is None:
            connection.execute(insert(chains).values(id=own, key_chain_id=before))


def stop_chain(
    connection: Connection,
    chain_id: str,
    key_chain_id: str | None,
    reason: str,
    lost: Link | None,
    now_ms: int,
) -> None:
    """Keep why nothing more of a chain is signed or sent; the first reason stands."""
    know_chain(connection, chain_id, key_chain_id)
    if chain_state(connection, chain_id).stopped is None:
        this = chains.c.id == chain_id
        connection.execute(update(chains).where(this).values(stopped=reason))
    if lost is not None:
        note(connection, chain_id, Recovery.LOST, lost, now_ms)


def note(connection: Connection, chain_id: str, event: Recovery, link: Link, now_ms: int) -> None:
    """Remember a position of a chain; what is remembered already stands."""
    at = {"chain_id": chain_id, "event": event, "sequence": link.sequence}
    known = select(recoveries.c.digest).filter_by(**at)
    if connection.execute(known).one_or_none() is None:
        connection.execute(insert(recoveries).values(**at, digest=link.digest, at_ms=now_ms))


def chain_state(connection: Connection, chain_id: str) -> ChainState:
    """Return a chain as both ends see it; an empty one if it is not known."""
    return chain_states(connection, [chain_id])[chain_id]


def chain_states(connection: Connection, chain_ids: Iterable[str]) -> dict[str, ChainState]:
    """Return chains as both ends see them, by their names; an empty one for each unknown name."""
    wanted = {"chain_ids": list(dict.fromkeys(chain_ids))}
    rows = {row.id: row for row in connection.execute(_STATES, wanted)}
    noted: dict[tuple[str, str], tuple[Link, ...]] = {}
    for chain_id, event, *link in connection.execute(_RECOVERIES, wanted):
        noted[chain_id, event] = (*noted.get((chain_id, event), ()), Link(*link))
    return {
        chain_id: _state(chain_id, rows.get(chain_id), noted) for chain_id in wanted["chain_ids"]
    }


def _state(
    chain_id: str, row: Row[Any] | None, noted: Mapping[tuple[str, str], tuple[Link, ...]]
) -> ChainState:
    """Return a chain of a row of `_STATES`, with what was noted of any chain for each event."""
    head = acknowledged = None
    if row is not None and row.head_sequence is not None:
        head = Link(row.head_sequence, row.head_digest)
    if row is not None and row.acknowledged_sequence is not None:
        acknowledged = Link(row.acknowledged_sequence, row.acknowledged_digest)
    return ChainState(
        id=chain_id,
        head=head,
        acknowledged=acknowledged,
        vendor_time_ms=row.vendor_time_ms if row else None,
        # What the vendor contradicts cannot be completed, whatever else is lost.
        stopped=(row.refused or row.stopped) if row else None,
        lost=noted.get((chain_id, Recovery.LOST), ()),
        resumed=next(iter(noted.get((chain_id, Recovery.RESUMED), ())[-1:]), None),
        adopted=noted.get((chain_id, Recovery.ADOPTED), ()),
    )


def set_aside_of(connection: Connection, chain_id: str) -> tuple[SetAside, ...]:
    """Return what a chain went on without, by position."""
    columns = (set_aside.c.sequence, set_aside.c.digest, set_aside.c.token, set_aside.c.receipt)
    query = select(*columns).filter_by(chain_id=chain_id)
    rows = connection.execute(query.order_by(set_aside.c.sequence, set_aside.c.at_ms))
    return tuple(SetAside(Link(row.sequence, row.digest), row.token, row.receipt) for row in rows)
