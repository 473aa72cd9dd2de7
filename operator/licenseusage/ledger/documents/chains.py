"""Chains of signed documents: their two ends, and whether anything may be added to them.

Functions of an open transaction.
"""

from sqlalchemy import Connection, insert, select, update

from licenseusage.ledger.documents.records import (
    ChainState,
    Delivery,
    Recovery,
    ReportChain,
    SetAside,
)
from licenseusage.ledger.storage.schema import chains, outbox, recoveries, set_aside
from licenseusage.reports.names import Link


def ensure_chain(connection: Connection, chain: ReportChain) -> ChainState:
    """Return the chain, created with its key chain if absent."""
    know_chain(connection, chain.id, chain.key_chain_id)
    return chain_state(connection, chain.id)


def know_chain(connection: Connection, chain_id: str, key_chain_id: str | None) -> None:
    """Make the rows of a chain and of its key chain, where there are none."""
    for own, before in ((key_chain_id, None), (chain_id, key_chain_id)):
        known = select(chains.c.id).filter_by(id=own)
        if own is not None and connection.execute(known).one_or_none() is None:
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


def _noted(connection: Connection, chain_id: str, event: Recovery) -> tuple[Link, ...]:
    query = select(recoveries.c.sequence, recoveries.c.digest)
    of_chain = query.filter_by(chain_id=chain_id, event=event).order_by(recoveries.c.sequence)
    return tuple(Link(*row) for row in connection.execute(of_chain))


def chain_state(connection: Connection, chain_id: str) -> ChainState:
    """Return a chain as both ends see it; an empty one if it is not known."""
    row = connection.execute(select(chains).filter_by(id=chain_id)).one_or_none()
    newest = (
        select(outbox.c.sequence, outbox.c.digest)
        .filter_by(chain_id=chain_id)
        .order_by(outbox.c.sequence.desc())
        .limit(1)
    )
    head = connection.execute(newest).one_or_none()
    conflict = select(outbox.c.reason).filter_by(chain_id=chain_id, state=Delivery.CONFLICT)
    refused = connection.execute(conflict.limit(1)).scalar_one_or_none()
    acknowledged = None
    if row is not None and row.acknowledged_sequence is not None:
        acknowledged = Link(row.acknowledged_sequence, row.acknowledged_digest)
    return ChainState(
        id=chain_id,
        head=Link(*head) if head else None,
        acknowledged=acknowledged,
        vendor_time_ms=row.vendor_time_ms if row else None,
        # What the vendor contradicts cannot be completed, whatever else is lost.
        stopped=refused or (row.stopped if row else None),
        lost=_noted(connection, chain_id, Recovery.LOST),
        resumed=next(iter(_noted(connection, chain_id, Recovery.RESUMED)[-1:]), None),
        adopted=_noted(connection, chain_id, Recovery.ADOPTED),
    )


def set_aside_of(connection: Connection, chain_id: str) -> tuple[SetAside, ...]:
    """Return what a chain went on without, by position."""
    columns = (set_aside.c.sequence, set_aside.c.digest, set_aside.c.token, set_aside.c.receipt)
    query = select(*columns).filter_by(chain_id=chain_id)
    rows = connection.execute(query.order_by(set_aside.c.sequence, set_aside.c.at_ms))
    return tuple(SetAside(Link(row.sequence, row.digest), row.token, row.receipt) for row in rows)
