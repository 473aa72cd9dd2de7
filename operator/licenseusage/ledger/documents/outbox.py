"""Signed documents on their way to the vendor: claims, leases, verdicts (REPORT_FORMAT §10).

Functions of an open transaction. A token is written once and never changed; only the columns about
its delivery change.
"""

import json
from collections.abc import Callable
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    and_,
    bindparam,
    case,
    insert,
    or_,
    select,
    update,
)

from licenseusage.errors import Stalled
from licenseusage.ledger.documents.chains import know_chain
from licenseusage.ledger.documents.issued import ITEMS, get, item
from licenseusage.ledger.documents.records import (
    HISTORY_LOST,
    Delivery,
    DeliveryResult,
    OutboxItem,
    Recovery,
    ReportKind,
    SignedDocument,
)
from licenseusage.ledger.facts.registry import add_clock_step
from licenseusage.ledger.storage.schema import chains, meters, outbox, recoveries
from licenseusage.metering.cycles import DAY_MS
from licenseusage.reasons import Reason

LEASE_MS = 60_000
"""How long a claim on a document lasts."""

UNDELIVERED = (Delivery.PENDING, Delivery.SENDING, Delivery.AWAITING_APPROVAL)
"""States of a document that the vendor has not decided on."""

_KEY_STATEMENTS = (ReportKind.ENROLMENT, ReportKind.SUCCESSION)

_ROUTE = select(meters.c.route).where(meters.c.id == bindparam("meter_id"))


def add_document(connection: Connection, values: dict[str, Any]) -> OutboxItem:
    """Insert a signed document; ``values`` are its columns."""
    connection.execute(insert(outbox).values(values))
    return get(connection, values["jti"])


def add_key_statement(
    connection: Connection,
    chain_id: str,
    kind: ReportKind,
    sequence: int,
    document: SignedDocument,
    now_ms: int,
    *,
    first_attempt_ms: int | None = None,
) -> OutboxItem:
    """Keep a signed key statement for sending; the same position is returned as it is.

    Raises:
        Stalled: ``ReportConflict``: another document holds this position.
    """
    know_chain(connection, chain_id, None)
    row = connection.execute(ITEMS.where(_at(chain_id, sequence))).one_or_none()
    if row is None:
        return add_document(
            connection,
            {
                "jti": document.jti,
                "kind": kind,
                "chain_id": chain_id,
                "sequence": sequence,
                "digest": document.digest,
                "token": document.token,
                "active_text": "",
                "created_ms": now_ms,
                "state": Delivery.PENDING,
                "next_attempt_ms": now_ms if first_attempt_ms is None else first_attempt_ms,
            },
        )
    if row.digest != document.digest:
        raise Stalled(
            Reason.REPORT_CONFLICT,
            f"The ledger holds another key statement at position {sequence} of chain {chain_id} "
            f"than the identity Secret. Restore the Secret or the ledger from the same backup.",
        )
    return item(row)


def claim(connection: Connection, now_ms: int, *, chain_id: str | None = None) -> OutboxItem | None:
    """Claim the oldest due document, of one chain or of any; None if nothing is due.

    Per chain at most one is in flight, in order of position. Rejected does not hold up later ones;
    Conflict stops the chain; AwaitingApproval holds up what is behind it. Reports wait until their
    key statements are Accepted. The state becomes Sending with a lease; ``attempts`` grows.
    """
    query = ITEMS.where(*_unblocked()).order_by(
        outbox.c.kind.in_(_KEY_STATEMENTS).desc(),  # the enrolment goes first
        outbox.c.next_attempt_ms,
        outbox.c.chain_id,
        outbox.c.sequence,
    )
    if chain_id is not None:
        query = query.where(outbox.c.chain_id == chain_id)
    row = connection.execute(query.where(_when() <= now_ms).limit(1)).one_or_none()
    if row is None:
        return None
    connection.execute(
        update(outbox)
        .where(outbox.c.jti == row.jti)
        .values(
            state=Delivery.SENDING,
            lease_until_ms=now_ms + LEASE_MS,
            attempts=outbox.c.attempts + 1,
        )
    )
    return get(connection, row.jti)


def record_result(
    connection: Connection, claimed: OutboxItem, result: DeliveryResult, now_ms: int
) -> OutboxItem:
    """Record the result of sending a claimed document.

    A verdict (with a receipt) counts even if the lease is over; a temporary failure does not, then
    whoever claimed it since decides. A head acknowledges every report up to it, but for explicit
    verdicts.
    """
    document = get(connection, claimed.jti)
    ours = document.state is Delivery.SENDING and document.lease_until_ms == claimed.lease_until_ms
    if result.receipt is None and not ours:
        return document
    failed = result.receipt is None and result.state in {Delivery.PENDING, Delivery.REJECTED}
    first_failure = document.first_failure_ms if document.first_failure_ms is not None else now_ms
    received = result.received_ms if result.received_ms is not None else now_ms
    connection.execute(
        update(outbox)
        .where(outbox.c.jti == claimed.jti)
        .values(
            state=result.state,
            reason=result.reason,
            message=result.message,
            next_attempt_ms=result.next_attempt_ms,
            lease_until_ms=None,
            first_failure_ms=first_failure if failed else None,
            receipt=result.receipt if result.receipt is not None else document.receipt,
            accepted_ms=received if result.state is Delivery.ACCEPTED else None,
            findings=json.dumps(list(result.findings)),
        )
    )
    if result.receipt is not None:
        _acknowledge(connection, claimed, result, received)
    if result.stopped is not None:
        halted = {"stopped": result.stopped}
        of_chain = chains.c.id == claimed.chain_id
        connection.execute(update(chains).where(of_chain).values(halted))
    if result.resend_after is not None:
        due_ms = now_ms if result.resend_ms is None else result.resend_ms
        _resend_after(connection, claimed, result.resend_after, due_ms)
    # The same receipt as before says that the vendor knew the key all along: nothing has changed,
    # and two chains of reports would release each other for ever.
    newly_known = result.state is Delivery.ACCEPTED and result.receipt != document.receipt
    if newly_known and not claimed.kind.is_report:
        _release_reports(connection, claimed.chain_id, now_ms)
    return get(connection, claimed.jti)


def restart(connection: Connection, now_ms: int, delay_ms: Callable[[str], int]) -> int:
    """After a restart: Sending is Pending again, due at max(stored, now + delay), 24 h at most.

    Args:
        connection: The ledger.
        now_ms: The time.
        delay_ms: Chain id -> 0..60,000, random, so that a fleet does not send at once.

    Returns:
        How many documents were Sending.
    """
    sending = connection.execute(
        update(outbox)
        .where(outbox.c.state == Delivery.SENDING)
        .values(state=Delivery.PENDING, lease_until_ms=None)
    ).rowcount
    scheduled = outbox.c.next_attempt_ms.is_not(None)
    of_chain = select(outbox.c.chain_id).where(scheduled).distinct()
    for chain_id in connection.execute(of_chain).scalars().all():
        earliest = now_ms + delay_ms(chain_id)
        early = and_(outbox.c.chain_id == chain_id, outbox.c.next_attempt_ms < earliest)
        connection.execute(update(outbox).where(early).values(next_attempt_ms=earliest))
    _bring_within(connection, outbox.c.next_attempt_ms, now_ms + DAY_MS)  # a clock step
    return sending


def record_clock_step(connection: Connection, step_ms: int, now_ms: int) -> None:
    """Count a step of the clock (negative: backward) in every cycle that is not Final.

    After a step back, nothing in the outbox waits for times of the clock before it: what was to
    wait a minute by that clock waits a minute from now.
    """
    add_clock_step(connection, step_ms)
    if step_ms < 0:
        due = outbox.c.next_attempt_ms
        sooner = case((due + step_ms > now_ms, due + step_ms), else_=now_ms)
        connection.execute(update(outbox).where(due > now_ms).values(next_attempt_ms=sooner))
        _bring_within(connection, due, now_ms + DAY_MS)
        _bring_within(connection, outbox.c.lease_until_ms, now_ms + LEASE_MS)


def _bring_within(connection: Connection, column: Column[Any], latest_ms: int) -> None:
    connection.execute(update(outbox).where(column > latest_ms).values({column: latest_ms}))


def resend(connection: Connection, now_ms: int, *, meter_id: int | None = None) -> int:
    """Make everything undelivered due now, Rejected too (settings or licence changed, request).

    Returns:
        How many documents became due.
    """
    wanted: list[ColumnElement[bool]] = [outbox.c.state.in_((Delivery.PENDING, Delivery.REJECTED))]
    if meter_id is not None:
        wanted.append(or_(outbox.c.meter_id == meter_id, outbox.c.meter_id.is_(None)))
    again = {"state": Delivery.PENDING, "next_attempt_ms": now_ms}
    exported = and_(outbox.c.reason == Reason.OFFLINE, *wanted)
    connection.execute(update(outbox).where(exported).values(reason="", message=""))
    return connection.execute(update(outbox).where(*wanted).values(again)).rowcount


def route_of(connection: Connection, meter_id: int) -> str | None:
    """Return the route of a meter as `reroute` last kept it; None before that."""
    route: str | None = connection.execute(_ROUTE, {"meter_id": meter_id}).scalar_one()
    return route


def reroute(connection: Connection, meter_id: int, route: str, now_ms: int) -> int:
    """Store a new route and make waiting documents due; return how many."""
    former = route_of(connection, meter_id)
    connection.execute(update(meters).where(meters.c.id == meter_id).values(route=route))
    return 0 if former in {None, route} else resend(connection, now_ms, meter_id=meter_id)


def resend_key_statements(connection: Connection, key_chain_id: str, now_ms: int) -> None:
    """Send all key statements of a chain again (the vendor answered ``KeyUnknown``)."""
    sent = and_(
        outbox.c.chain_id == key_chain_id,
        outbox.c.state.in_((Delivery.ACCEPTED, Delivery.REJECTED, Delivery.PENDING)),
    )
    again = {"state": Delivery.PENDING, "next_attempt_ms": now_ms}
    connection.execute(update(outbox).where(sent).values(again))


def _when() -> ColumnElement[Any]:
    """When a document can be claimed: when it is due, or when its lease is over."""
    lease_over = (outbox.c.state == Delivery.SENDING, outbox.c.lease_until_ms)
    return case(lease_over, else_=outbox.c.next_attempt_ms)


def _unblocked() -> tuple[ColumnElement[bool], ...]:
    """Return the conditions for a document to be the next of its chain.

    What is in flight blocks the others of its chain even when its lease is over: then it is itself
    the one to be claimed.
    """
    before = outbox.alias("before")
    key = outbox.alias("key")
    stops = before.c.state == Delivery.CONFLICT
    holds_up = and_(before.c.sequence < outbox.c.sequence, before.c.state.in_(UNDELIVERED))
    in_flight = and_(before.c.jti != outbox.c.jti, before.c.state == Delivery.SENDING)
    of_chain = before.c.chain_id == outbox.c.chain_id
    blocked = select(before.c.jti).where(of_chain, or_(stops, holds_up, in_flight))
    statements = select(key.c.jti).where(key.c.chain_id == chains.c.key_chain_id)
    enrolled = and_(
        statements.where(key.c.state == Delivery.ACCEPTED).exists(),
        ~statements.where(key.c.state != Delivery.ACCEPTED).exists(),
    )
    of_key = chains.alias("of_key")
    its_key = of_key.c.id == chains.c.key_chain_id
    lost = and_(its_key, of_key.c.stopped == HISTORY_LOST)
    resumed = and_(recoveries.c.chain_id == chains.c.id, recoveries.c.event == Recovery.RESUMED)
    # A chain of reports may begin only once its key chain has lost nothing, or it was resumed.
    begins = or_(
        ~select(of_key.c.id).where(lost).exists(),
        select(recoveries.c.chain_id).where(resumed).exists(),
    )
    return (
        outbox.c.state.in_((Delivery.PENDING, Delivery.SENDING, Delivery.REJECTED)),
        ~blocked.exists(),
        or_(chains.c.stopped.is_(None), _is_whole_key_chain()),
        or_(chains.c.key_chain_id.is_(None), and_(enrolled, begins)),
    )


def _is_whole_key_chain() -> ColumnElement[bool]:
    """Key statements are sent also while the history of their reports is lost.

    They are whole, since they are kept beside the keys, and to send them once more is harmless
    (REPORT_FORMAT §4). The vendor has to know the newest key before it tells that key its history:
    a succession may have been signed while no licence was valid, and its former key is gone.
    """
    return and_(chains.c.key_chain_id.is_(None), chains.c.stopped == HISTORY_LOST)


def _acknowledge(
    connection: Connection, claimed: OutboxItem, result: DeliveryResult, received_ms: int
) -> None:
    """Take over the vendor's head: it acknowledges every report up to it, but for verdicts."""
    chain = chains.c.id == claimed.chain_id
    later = or_(chains.c.vendor_time_ms.is_(None), chains.c.vendor_time_ms < received_ms)
    connection.execute(update(chains).where(chain, later).values(vendor_time_ms=received_ms))
    if result.head is None:
        return
    ahead = or_(
        chains.c.acknowledged_sequence.is_(None),
        chains.c.acknowledged_sequence < result.head.sequence,
    )
    sequence = result.head.sequence
    link = {"acknowledged_sequence": sequence, "acknowledged_digest": result.head.digest}
    connection.execute(update(chains).where(chain, ahead).values(link))
    covered = and_(
        outbox.c.chain_id == claimed.chain_id,
        outbox.c.jti != claimed.jti,
        outbox.c.sequence <= sequence,
        outbox.c.receipt.is_(None),
        outbox.c.state.in_((*UNDELIVERED, Delivery.REJECTED)),
    )
    accepted = {
        "state": Delivery.ACCEPTED,
        "reason": Reason.ACKNOWLEDGED_BY_HEAD,
        "message": f"The vendor's receipt for position {claimed.sequence} covers it.",
        "next_attempt_ms": None,
        "lease_until_ms": None,
        "first_failure_ms": None,
        "accepted_ms": received_ms,
    }
    connection.execute(update(outbox).where(covered).values(accepted))


def _resend_after(connection: Connection, claimed: OutboxItem, sequence: int, due_ms: int) -> None:
    """Make accepted documents due again that the vendor no longer has."""
    lost = and_(
        outbox.c.chain_id == claimed.chain_id,
        outbox.c.jti != claimed.jti,
        outbox.c.sequence > sequence,
        outbox.c.state == Delivery.ACCEPTED,
    )
    again = {"state": Delivery.PENDING, "next_attempt_ms": due_ms, "accepted_ms": None}
    connection.execute(update(outbox).where(lost).values(again))


def _release_reports(connection: Connection, key_chain_id: str, now_ms: int) -> None:
    """Reports that were refused because the vendor did not know the key are due at once."""
    of_key = select(chains.c.id).where(chains.c.key_chain_id == key_chain_id)
    refused = and_(
        outbox.c.chain_id.in_(of_key),
        outbox.c.state == Delivery.PENDING,
        outbox.c.reason == Reason.KEY_UNKNOWN,
    )
    connection.execute(update(outbox).where(refused).values(next_attempt_ms=now_ms))


def _at(chain_id: str, sequence: int) -> ColumnElement[bool]:
    return and_(outbox.c.chain_id == chain_id, outbox.c.sequence == sequence)
