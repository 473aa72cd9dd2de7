"""Deletion of facts about users after their retention. Functions of an open transaction."""

from sqlalchemy import Connection, delete, select, update

from licenseusage.ledger.facts.rosters import delete_rosters
from licenseusage.ledger.records import CycleState
from licenseusage.ledger.storage.schema import commitments, cycles, facts, stores


def delete_expired_facts(connection: Connection, now_ms: int, *, cycle_lengths: int = 3) -> int:
    """Delete facts about users of cycles that have been Final for so many cycle lengths.

    Counts, statements, tokens and receipts stay. Returns how many cycles were wiped.
    """
    kept_until = cycles.c.closed_ms + cycle_lengths * (cycles.c.end_ms - cycles.c.start_ms)
    expired = select(cycles.c.id).where(
        cycles.c.state == CycleState.FINAL, cycles.c.wiped == 0, kept_until <= now_ms
    )
    wiped = connection.execute(expired).scalars().all()
    for cycle_id in wiped:
        of_cycle = select(stores.c.id).where(stores.c.cycle_id == cycle_id)
        connection.execute(delete(facts).where(facts.c.store_id.in_(of_cycle)))
        connection.execute(delete(commitments).where(commitments.c.cycle_id == cycle_id))
        connection.execute(update(cycles).where(cycles.c.id == cycle_id).values(wiped=1))
    delete_rosters(connection, now_ms)
    return len(wiped)
