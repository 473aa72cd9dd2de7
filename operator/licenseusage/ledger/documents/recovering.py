"""Taking over what this ledger had signed and lost, from reports that were found elsewhere (§11).

Functions of an open transaction. The caller has verified the reports together with those held, as
one chain without a hole; here they become rows again, byte for byte, each cycle is what its final
says, and the chain goes on behind them, all in one transaction.
"""

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from licenseusage.ledger.documents.chains import chain_state, ensure_chain, note
from licenseusage.ledger.documents.issued import documents_of
from licenseusage.ledger.documents.outbox import UNDELIVERED, add_document
from licenseusage.ledger.documents.readback import cycle_of, statement_of
from licenseusage.ledger.documents.records import (
    HISTORY_LOST,
    Delivery,
    OutboxItem,
    Recovered,
    Recovery,
    ReportChain,
    ReportKind,
)
from licenseusage.ledger.facts.lost import add_lost_span, add_proved
from licenseusage.ledger.facts.registry import amendments_of, cycle_row, older_unfinished
from licenseusage.ledger.records import CycleState
from licenseusage.ledger.storage.encoding import dump_statement
from licenseusage.ledger.storage.schema import amendments, chains, cycles, outbox, recoveries
from licenseusage.ledger.storage.transactions import raise_high_water
from licenseusage.metering.reported import proved_by
from licenseusage.reasons import Reason
from licenseusage.reports.names import Link


class NotWholeError(Exception):
    """The ledger is no longer what the reports were verified with: nothing was changed."""


def take_over(
    connection: Connection,
    meter_id: int,
    chain: ReportChain,
    documents: Sequence[Recovered],
    now_ms: int,
    *,
    interim_ms: int,
) -> None:
    """Take lost reports of a chain over, and let the chain go on behind them.

    Each is Accepted or Rejected as its receipt says, or acknowledged by a later receipt's head;
    without either it is due for sending. A cycle whose final is among them is Final with what that
    says. What else the reports say of their cycles is a lower bound of later statements, and the
    time that was observed and lost is a gap.

    Args:
        connection: The ledger.
        meter_id: The meter that the reports are about.
        chain: Their chain.
        documents: Reports that are not held, or whose receipt is not; by position.
        now_ms: The time.
        interim_ms: Length of a slot of interims.

    Raises:
        NotWholeError: They do not continue what is held, or a cycle was closed otherwise meanwhile.
    """
    ensure_chain(connection, chain)
    ours = {item.sequence: item for item in documents_of(connection, chain.id)}
    missing = [each for each in documents if each.report.envelope.sequence not in ours]
    _refuse_what_does_not_follow(ours, documents)
    for document in documents:
        known = ours.get(document.report.envelope.sequence)
        if known is not None:
            _keep_verdict(connection, known, document)
        else:
            _take(connection, meter_id, chain, document, now_ms, interim_ms)
    if missing:
        newest_ms = max(1000 * each.report.envelope.issued_at_s for each in missing)
        first_ms = min(cycle_of(each.report.content).start_ms for each in missing)
        add_lost_span(connection, meter_id, first_ms, newest_ms)
        raise_high_water(connection, newest_ms)
    _acknowledge(connection, chain.id, documents)
    resume(connection, chain.id, now_ms)


def begin_anew(connection: Connection, chain: ReportChain, now_ms: int) -> None:
    """Let a chain begin whose ledger was lost: the vendor holds nothing of it.

    What is only known to have existed of it is given up.
    """
    ensure_chain(connection, chain)
    of_chain = recoveries.c.chain_id == chain.id
    connection.execute(delete(recoveries).where(of_chain, recoveries.c.event == Recovery.LOST))
    stopped = update(chains).where(chains.c.id == chain.id, chains.c.stopped == HISTORY_LOST)
    connection.execute(stopped.values(stopped=None))
    note(connection, chain.id, Recovery.RESUMED, Link(0, ""), now_ms)


def resume(connection: Connection, chain_id: str, now_ms: int) -> None:
    """Let a chain go on behind its newest document: nothing is missing of it any more."""
    released = update(chains).where(chains.c.id == chain_id, chains.c.stopped == HISTORY_LOST)
    connection.execute(released.values(stopped=None))
    head = chain_state(connection, chain_id).head
    if head is not None:
        note(connection, chain_id, Recovery.RESUMED, head, now_ms)


def _refuse_what_does_not_follow(
    ours: dict[int, OutboxItem], documents: Sequence[Recovered]
) -> None:
    positions = {sequence: item.digest for sequence, item in ours.items()}
    for document in documents:
        link = document.report.envelope.link
        if positions.setdefault(link.sequence, link.digest) != link.digest:
            raise NotWholeError(f"another report is held at position {link.sequence}")
    if sorted(positions) != list(range(1, len(positions) + 1)):
        raise NotWholeError("positions are missing")


def _take(
    connection: Connection,
    meter_id: int,
    chain: ReportChain,
    document: Recovered,
    now_ms: int,
    interim_ms: int,
) -> None:
    envelope, content = document.report.envelope, document.report.content
    statement = statement_of(content)
    row = cycle_row(connection, meter_id, cycle_of(content))
    if (row.cycle_index, row.end_ms) != (statement.cycle.index, statement.cycle.end_ms):
        raise NotWholeError(f"cycle {row.cycle_index} has other terms here")
    beside = (cycles.c.start_ms < row.end_ms) & (cycles.c.end_ms > row.start_ms)
    others = select(cycles.c.cycle_index).filter_by(meter_id=meter_id).where(beside)
    other = connection.execute(others.where(cycles.c.id != row.id)).scalar()
    if other is not None:
        raise NotWholeError(
            f"cycle {row.cycle_index} runs beside cycle {other} of other terms here"
        )
    anew = content.supersedes is not None and content.supersedes.reason != Reason.NEW_EVIDENCE
    add_proved(connection, meter_id, statement.cycle, proved_by(statement), anew=anew)
    if document.kind is ReportKind.INTERIM:
        slot = max(0, 1000 * envelope.issued_at_s - row.start_ms) // interim_ms
        known = {
            "interim_slot": slot if row.interim_slot is None else max(slot, row.interim_slot),
            # The rules of the polls that are lost: those that come are held against them.
            "rules_digest": row.rules_digest or content.rules.digest,
            "rules_changes": max(row.rules_changes, content.rules.changes_in_cycle),
        }
        connection.execute(update(cycles).where(cycles.c.id == row.id).values(known))
    elif document.kind is ReportKind.FINAL:
        _close(connection, meter_id, row, document)
    else:
        amend(connection, row, document)
    add_document(
        connection,
        {
            "jti": envelope.jti,
            "kind": document.kind,
            "chain_id": chain.id,
            "sequence": envelope.sequence,
            "digest": envelope.digest,
            "token": envelope.token,
            "meter_id": meter_id,
            "cycle_id": row.id,
            "active_text": statement.active_text,
            "created_ms": 1000 * envelope.issued_at_s,
            "state": Delivery.PENDING,
            "next_attempt_ms": now_ms,
            **_verdict(document),
        },
    )


def _verdict(document: Recovered) -> dict[str, Any]:
    """Return the columns that the vendor's verdict decides; none without one."""
    receipt = document.receipt
    if receipt is None:
        return {}
    accepted = not document.refused
    return {
        "state": Delivery.ACCEPTED if accepted else Delivery.REJECTED,
        "reason": receipt.error or "",
        "next_attempt_ms": None,
        "receipt": receipt.token,
        "accepted_ms": 1000 * receipt.received_at_s if accepted else None,
        "findings": json.dumps(list(receipt.findings)),
    }


def _keep_verdict(connection: Connection, known: OutboxItem, document: Recovered) -> None:
    """Take over the verdict about a report that is held, if it came after the backup."""
    if known.receipt is None and document.receipt is not None:
        this = outbox.c.jti == known.jti
        later = {**_verdict(document), "first_failure_ms": None, "lease_until_ms": None}
        connection.execute(update(outbox).where(this).values(later))


def _close(connection: Connection, meter_id: int, row: Row[Any], document: Recovered) -> None:
    """Make a cycle Final as its final report says, whatever was decided here meanwhile.

    One that takes the place of a refused final repeats what that says.
    """
    content, at_ms = document.report.content, 1000 * document.report.envelope.issued_at_s
    before = select(outbox.c.jti).filter_by(cycle_id=row.id, kind=ReportKind.FINAL)
    if row.state == CycleState.FINAL and connection.execute(before).first() is None:
        raise NotWholeError(f"cycle {row.cycle_index} was closed without this final")
    statement = statement_of(content)
    if older_unfinished(connection, meter_id, statement.cycle):
        raise NotWholeError(f"a cycle before cycle {row.cycle_index} is not Final")
    connection.execute(
        update(cycles)
        .where(cycles.c.id == row.id)
        .values(
            state=CycleState.FINAL,
            intent_ms=at_ms,
            intent_reason=Reason.RESTORED,
            intent_high_water_ms=1000 * content.clock.high_water_s,
            statement=dump_statement(statement),
            closed_ms=at_ms,
            rules_digest=content.rules.digest,
            rules_changes=max(row.rules_changes, content.rules.changes_in_cycle),
            pseudonym_key_id=row.pseudonym_key_id or content.pseudonym_key_id,
            # The facts held are compared with it once, and may only narrow it (§6 rule 3).
            evidence=row.evidence + 1,
        )
    )


def amend(connection: Connection, row: Row[Any], document: Recovered) -> None:
    """Keep what an amendment states; one in a refused one's place repeats what that says."""
    content, supersedes = document.report.content, document.report.content.supersedes
    statement, before = statement_of(content), amendments_of(connection, [row.id]).get(row.id, ())
    if before and before[-1].statement == statement:
        return
    connection.execute(
        insert(amendments).values(
            cycle_id=row.id,
            number=len(before) + 1,
            at_ms=1000 * document.report.envelope.issued_at_s,
            reason="" if supersedes is None else supersedes.reason,
            words="" if supersedes is None else supersedes.note or "",
            statement=dump_statement(statement),
        )
    )


def _acknowledge(connection: Connection, chain_id: str, documents: Sequence[Recovered]) -> None:
    """Take over the newest head of the receipts: it acknowledges what has no verdict of its own."""
    receipts = [each.receipt for each in documents if each.receipt is not None]
    digests = {item.sequence: item.digest for item in documents_of(connection, chain_id)}
    heads = [
        receipt.head
        for receipt in receipts
        if receipt.head is not None and digests.get(receipt.head.sequence) == receipt.head.digest
    ]
    state = chain_state(connection, chain_id)
    known = [state.acknowledged] if state.acknowledged is not None else []
    head = max([*heads, *known], key=_position, default=None)
    received = [1000 * receipt.received_at_s for receipt in receipts]
    received += [] if state.vendor_time_ms is None else [state.vendor_time_ms]
    if head is None:
        return
    connection.execute(
        update(chains)
        .where(chains.c.id == chain_id)
        .values(
            acknowledged_sequence=head.sequence,
            acknowledged_digest=head.digest,
            vendor_time_ms=max(received, default=None),
        )
    )
    covered = (outbox.c.chain_id == chain_id) & (outbox.c.sequence <= head.sequence)
    waiting = outbox.c.receipt.is_(None) & outbox.c.state.in_((*UNDELIVERED, Delivery.REJECTED))
    connection.execute(
        update(outbox)
        .where(covered & waiting)
        .values(
            state=Delivery.ACCEPTED,
            reason=Reason.ACKNOWLEDGED_BY_HEAD,
            message=f"The vendor's receipts cover it, up to position {head.sequence}.",
            next_attempt_ms=None,
            lease_until_ms=None,
            first_failure_ms=None,
            accepted_ms=max(received, default=None),
        )
    )


def _position(link: Link) -> int:
    return link.sequence
