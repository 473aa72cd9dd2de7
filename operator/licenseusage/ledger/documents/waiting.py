"""Reports that wait for a person: for somebody who carries them, or who approves them (§8, §10).

Functions of an open transaction. What the vendor has signed for waits for nobody, and a verdict
that is on the way still counts, as his signature always does.
"""

from collections.abc import Collection, Mapping

from sqlalchemy import Connection, and_, or_, update

from licenseusage.ledger.documents.outbox import UNDELIVERED
from licenseusage.ledger.documents.records import Delivery, Held
from licenseusage.ledger.facts.registry import MANUAL
from licenseusage.ledger.storage.schema import meters, outbox
from licenseusage.reasons import Reason


def wait_for_export(connection: Connection, meter_id: int, route: str, now_ms: int) -> int:
    """Keep a route by which nothing is sent: a meter's reports wait, and nothing has failed.

    Returns:
        How many reports wait.
    """
    connection.execute(update(meters).where(meters.c.id == meter_id).values(route=route))
    unsigned = and_(outbox.c.state == Delivery.REJECTED, outbox.c.receipt.is_(None))
    underway = outbox.c.state.in_((Delivery.PENDING, Delivery.SENDING))
    waiting = {
        "state": Delivery.PENDING,
        "reason": Reason.OFFLINE,
        "message": "It waits for an export: kubectl licenseusage report export.",
        "next_attempt_ms": now_ms,
        "lease_until_ms": None,
        "first_failure_ms": None,
    }
    of_meter = outbox.c.meter_id == meter_id
    query = update(outbox).where(of_meter, or_(underway, unsigned)).values(waiting)
    return connection.execute(query).rowcount


def follow_approvals(
    connection: Connection,
    meter_id: int,
    now_ms: int,
    *,
    manual: bool,
    hold: Mapping[str, Held],
    release: Collection[str],
) -> None:
    """Hold reports that nobody has approved, and let others go (REPORT_FORMAT §10).

    What is being sent is held as well.

    Args:
        connection: The ledger.
        meter_id: The meter.
        now_ms: The time.
        manual: Whether its reports wait for approval from now on.
        hold: Report (``jti``) -> why it waits.
        release: Reports that wait no longer.
    """
    kept = {"approval": MANUAL if manual else None}
    connection.execute(update(meters).where(meters.c.id == meter_id).values(kept))
    open_ = and_(outbox.c.state.in_((*UNDELIVERED, Delivery.REJECTED)), outbox.c.receipt.is_(None))
    for jti, why in hold.items():
        waiting = {
            "state": Delivery.AWAITING_APPROVAL,
            "reason": why.reason,
            "message": why.message,
            "lease_until_ms": None,
            "first_failure_ms": None,
        }
        this = and_(outbox.c.jti == jti, outbox.c.meter_id == meter_id, open_)
        connection.execute(update(outbox).where(this).values(waiting))
    waits = outbox.c.state == Delivery.AWAITING_APPROVAL
    for jti in release:
        this = and_(outbox.c.jti == jti, outbox.c.meter_id == meter_id, waits)
        free = {"state": Delivery.PENDING, "reason": "", "message": ""}
        connection.execute(update(outbox).where(this).values(free))
