"""Going on behind a head that an administrator named, whatever this ledger has signed beside it.

Functions of an open transaction. The caller has verified the history up to the head as one chain
(REPORT_FORMAT §11). What of the ledger's is not in it is set aside with its bytes, its cycles are
what the history says of them, or are reported anew, and the chain goes on behind the head: all of
it, or nothing.
"""

from collections.abc import Sequence

from sqlalchemy import Connection, delete, insert, select, update

from licenseusage.ledger.documents.chains import ensure_chain, note, set_aside_of
from licenseusage.ledger.documents.issued import documents_of
from licenseusage.ledger.documents.records import (
    Adoption,
    OutboxItem,
    Recovery,
    ReportChain,
    ReportKind,
    SetAside,
)
from licenseusage.ledger.documents.recovering import amend, take_over
from licenseusage.ledger.facts.registry import (
    amendments_of,
    cycle_record,
    cycle_row,
    dated_ms,
    high_water_ms,
)
from licenseusage.ledger.records import CycleState
from licenseusage.ledger.storage.encoding import dump_statement
from licenseusage.ledger.storage.schema import (
    amendments,
    chains,
    commitments,
    cycles,
    outbox,
    recoveries,
)
from licenseusage.ledger.storage.schema import set_aside as kept_aside
from licenseusage.metering.cycles import Cycle

_DECIDES = (ReportKind.FINAL, ReportKind.AMENDMENT)


def adopt(
    connection: Connection,
    meter_id: int,
    chain: ReportChain,
    adoption: Adoption,
    now_ms: int,
    *,
    interim_ms: int,
) -> None:
    """Let a chain go on behind the head of a history, and keep what is not in it beside the chain.

    A cycle whose final is in the history is Final with what that says. One whose final is not is
    Closing again, and its statement is signed anew behind the head.

    Args:
        connection: The ledger.
        meter_id: The meter that the reports are about.
        chain: Their chain.
        adoption: The history, verified.
        now_ms: The time.
        interim_ms: Length of a slot of interims.

    Raises:
        NotWholeError: A cycle was closed otherwise, as `recovering.take_over` says.
    """
    ensure_chain(connection, chain)
    history = {each.report.envelope.sequence: each for each in adoption.documents}
    ours = documents_of(connection, chain.id)
    left = [
        item
        for item in ours
        if item.sequence not in history
        or history[item.sequence].report.envelope.digest != item.digest
    ]
    others = (*map(_aside, left), *adoption.others)
    _keep_aside(connection, chain.id, others, now_ms)
    names = [item.jti for item in left]
    # What they had committed to is of no use without them; the final in their place commits anew.
    connection.execute(delete(commitments).where(commitments.c.jti.in_(names)))
    connection.execute(delete(outbox).where(outbox.c.jti.in_(names)))
    for cycle in dict.fromkeys(item.cycle for item in left if item.kind in _DECIDES and item.cycle):
        _open_again(connection, meter_id, cycle, left, adoption, now_ms)
    _forget_positions(connection, chain.id, adoption)
    head = adoption.acknowledged
    connection.execute(
        update(chains)
        .where(chains.c.id == chain.id)
        .values(
            stopped=None,
            acknowledged_sequence=None if head is None else head.sequence,
            acknowledged_digest=None if head is None else head.digest,
        )
    )
    take_over(connection, meter_id, chain, adoption.documents, now_ms, interim_ms=interim_ms)
    note(connection, chain.id, Recovery.ADOPTED, adoption.head, now_ms)


def _aside(item: OutboxItem) -> SetAside:
    return SetAside(item.link, item.token, item.receipt)


def _keep_aside(
    connection: Connection, chain_id: str, documents: Sequence[SetAside], now_ms: int
) -> None:
    known = {each.link.digest for each in set_aside_of(connection, chain_id)}
    for document in documents:
        if document.link.digest in known:
            continue
        known.add(document.link.digest)
        connection.execute(
            insert(kept_aside).values(
                chain_id=chain_id,
                digest=document.link.digest,
                sequence=document.link.sequence,
                token=document.token,
                receipt=document.receipt,
                at_ms=now_ms,
            )
        )


def _open_again(
    connection: Connection,
    meter_id: int,
    cycle: Cycle,
    left: Sequence[OutboxItem],
    adoption: Adoption,
    now_ms: int,
) -> None:
    """Take back what the reports that are left had decided about their cycle.

    What it states stands until the history, or another final, says otherwise.
    """
    row = cycle_row(connection, meter_id, cycle)
    amended = amendments_of(connection, [row.id]).get(row.id, ())
    stated = cycle_record(row, amended).stated
    connection.execute(delete(amendments).where(amendments.c.cycle_id == row.id))
    anew = {"evidence": row.evidence + 1, "contradiction_ms": None, "contradiction_words": None}
    if any(item.kind is ReportKind.FINAL and item.cycle == cycle for item in left):
        at_ms = dated_ms(connection, now_ms)
        anew |= {
            "state": CycleState.CLOSING,
            "closed_ms": None,
            "intent_ms": at_ms,
            "intent_high_water_ms": max(at_ms, high_water_ms(connection)),
            "statement": row.statement if stated is None else dump_statement(stated),
        }
    connection.execute(update(cycles).where(cycles.c.id == row.id).values(anew))
    amending = select(outbox.c.digest).filter_by(cycle_id=row.id, kind=ReportKind.AMENDMENT)
    digests = set(connection.execute(amending).scalars())
    for document in adoption.documents:
        if document.report.envelope.digest in digests:
            amend(connection, row, document)


def _forget_positions(connection: Connection, chain_id: str, adoption: Adoption) -> None:
    """Forget what was missing of another history, and where that one had gone on."""
    history = {each.report.envelope.digest for each in adoption.documents}
    of_chain = recoveries.c.chain_id == chain_id
    lost = select(recoveries.c.sequence, recoveries.c.digest).where(
        of_chain, recoveries.c.event == Recovery.LOST
    )
    for row in connection.execute(lost).all():
        if row.digest not in history:
            this = (recoveries.c.event == Recovery.LOST) & (recoveries.c.sequence == row.sequence)
            connection.execute(delete(recoveries).where(of_chain & this))
    behind = (recoveries.c.event != Recovery.LOST) & (
        recoveries.c.sequence >= adoption.head.sequence
    )
    connection.execute(delete(recoveries).where(of_chain & behind))
