"""What remains of facts that were lost with a ledger: what reports had said, and when it was seen.

Functions of an open transaction.
"""

from typing import NamedTuple

from sqlalchemy import Connection, bindparam, insert, select, update

from licenseusage.ledger.facts.registry import cycle_row
from licenseusage.ledger.facts.sources import intervals
from licenseusage.ledger.storage.schema import coverage, cycles, lost_spans
from licenseusage.metering.cycles import Cycle
from licenseusage.metering.reported import Proved

_REPORTED = select(cycles.c.reported).where(
    cycles.c.meter_id == bindparam("meter_id"), cycles.c.start_ms == bindparam("start_ms")
)
_SPANS = (
    select(lost_spans.c.source, lost_spans.c.start_ms, lost_spans.c.end_ms)
    .where(lost_spans.c.meter_id == bindparam("meter_id"))
    .order_by(lost_spans.c.source, lost_spans.c.start_ms)
)

EVERY_SOURCE = ""
"""Source of a lost span, where it is not known which sources had been observed."""


class LostSpan(NamedTuple):
    """A span ``[start_ms, end_ms)`` in which a source was observed by a ledger that was lost."""

    source: str
    start_ms: int
    end_ms: int


def proved_by_reports(connection: Connection, meter_id: int, cycle: Cycle) -> Proved | None:
    """Return what reports prove of a cycle beyond the facts held; None: there are none."""
    of_cycle = {"meter_id": meter_id, "start_ms": cycle.start_ms}
    text = connection.execute(_REPORTED, of_cycle).scalar_one_or_none()
    return None if text is None else Proved.load(text)


def add_proved(
    connection: Connection, meter_id: int, cycle: Cycle, proved: Proved, *, anew: bool = False
) -> None:
    """Keep what a report proves of a cycle, beside what others do; or in their place (``anew``)."""
    known = None if anew else proved_by_reports(connection, meter_id, cycle)
    joined = proved if known is None else known.joined(proved)
    this = cycles.c.id == cycle_row(connection, meter_id, cycle).id
    connection.execute(update(cycles).where(this).values(reported=joined.dump()))


def lost_spans_of(connection: Connection, meter_id: int) -> list[LostSpan]:
    """Return what was observed of a meter and lost, in order."""
    return [LostSpan(*row) for row in connection.execute(_SPANS, {"meter_id": meter_id})]


def add_lost_span(connection: Connection, meter_id: int, first_ms: int, until_ms: int) -> None:
    """Note that a ledger had counted until ``until_ms``, and what this one does not have of it.

    Each source's last observation before that is where the loss begins; where the observed time
    reaches beyond it nothing is missing.

    Args:
        connection: The ledger.
        meter_id: The meter.
        first_ms: Where it begins for a meter that was never observed here.
        until_ms: The time of the newest report of the lost ledger.
    """
    named = select(coverage.c.source).filter_by(meter_id=meter_id).distinct()
    sources = connection.execute(named.order_by(coverage.c.source)).scalars().all()
    for source in sources or [EVERY_SOURCE]:
        seen = intervals(connection, meter_id, source)
        if any(span.start_ms <= until_ms < span.end_ms for span in seen):
            continue
        start_ms = max((s.end_ms for s in seen if s.end_ms <= until_ms), default=first_ms)
        row = {
            "meter_id": meter_id,
            "source": source,
            "start_ms": start_ms,
            "end_ms": until_ms,
        }
        known = select(lost_spans.c.source).filter_by(**row)
        if start_ms < until_ms and connection.execute(known).one_or_none() is None:
            connection.execute(insert(lost_spans).values(row))
