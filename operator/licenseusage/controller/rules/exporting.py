"""Export mode: reports are made and kept, and a person carries them to the vendor (§8, §10).

``spec.reporting.mode`` is Export, or there is no address to send to. Nothing is sent then. What is
agreed is a time within which a final reaches the vendor: ``exportDays`` of the licence, else one
cycle. As long as it is kept, everything is quiet.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from licenseusage.api.model import rfc3339
from licenseusage.controller.rules.conditions import Status, Verdict
from licenseusage.controller.rules.key import Key
from licenseusage.ledger.documents.records import Delivery, OutboxItem, ReportKind
from licenseusage.metering.cycles import DAY_MS
from licenseusage.reasons import Reason

WARN_PERCENT = 80
"""Of the agreed time: from then on the condition is False."""

_ROUTE = "export:"
_ROUTE_LENGTH = 64


@dataclass(frozen=True, slots=True)
class Exports:
    """What waits for an export of one object.

    Attributes:
        usage: Namespace and name of the object.
        waiting: Number of reports without the vendor's signature.
        oldest_final: The final or amendment among them that has waited longest; None: none.
        days: Agreed days between signing a final and the vendor's receipt; None: one cycle.
    """

    usage: Key
    waiting: int
    oldest_final: OutboxItem | None
    days: int | None

    @classmethod
    def of(cls, usage: Key, reports: Sequence[OutboxItem], days: int | None) -> "Exports":
        """Return what waits among the reports of an object."""
        waiting = [report for report in reports if waits(report)]
        finals = [report for report in waiting if report.kind is not ReportKind.INTERIM]
        oldest = min(finals, key=lambda final: final.created_ms, default=None)
        return cls(usage, len(waiting), oldest, days)

    @property
    def allowed_ms(self) -> int:
        """How long a final may wait."""
        final = self.oldest_final
        if self.days is not None or final is None or final.cycle is None:
            return (self.days or 0) * DAY_MS
        return final.cycle.end_ms - final.cycle.start_ms

    @property
    def due_ms(self) -> int | None:
        """By when the vendor has to have the oldest final; None: none waits."""
        return None if self.oldest_final is None else self.oldest_final.created_ms + self.allowed_ms

    @property
    def command(self) -> str:
        """What writes the file to be carried."""
        namespace, name = self.usage
        return f"kubectl licenseusage report export -n {namespace} {name} -o {name}.usage-bundle"


def waits(report: OutboxItem) -> bool:
    """Whether the vendor has not signed for a report yet."""
    if report.state is Delivery.REJECTED:
        return report.receipt is None
    return report.state in (Delivery.PENDING, Delivery.SENDING, Delivery.AWAITING_APPROVAL)


def exported(exports: Exports, now_ms: int) -> Verdict:
    """Return the condition ``Reported`` of an object whose reports are exported."""
    due_ms = exports.due_ms
    if exports.waiting == 0:
        words = "The vendor has signed for every report: nothing waits for an export."
        return Verdict(Status.TRUE, Reason.EXPORTED, words)
    wait = "1 report waits" if exports.waiting == 1 else f"{exports.waiting} reports wait"
    how = f"To hand over what there is: {exports.command}"
    if due_ms is None:
        words = f"{wait} for an export, none of an ended cycle, so that none is due. {how}"
        return Verdict(Status.TRUE, Reason.EXPORTED, words)
    day = rfc3339(due_ms)[:10]
    then = f"{how}; take the file to the vendor, and apply the receipts."
    if now_ms >= due_ms:
        return Verdict(
            Status.FALSE,
            Reason.EXPORT_OVERDUE,
            f"The export has been due since {day} ({in_days(now_ms - due_ms)} ago), and the vendor "
            f"has not signed for {_final(exports)}; {wait}. Nothing is lost. {then}",
        )
    left = in_days(due_ms - now_ms)
    if now_ms >= due_ms - exports.allowed_ms * (100 - WARN_PERCENT) // 100:
        return Verdict(
            Status.FALSE,
            Reason.EXPORT_DUE,
            f"An export is due by {day} ({left} left), with {_final(exports)}; {wait}. {then}",
        )
    words = f"{wait} for an export, {_final(exports)} until {day} ({left} left). {then}"
    return Verdict(Status.TRUE, Reason.EXPORTED, words)


def export_route(digest: str) -> str:
    """Return the route of reports that are exported, from that of reports that are sent."""
    return f"{_ROUTE}{digest}"[:_ROUTE_LENGTH]


def is_export_route(route: str | None) -> bool:
    """Whether reports were exported when the route was kept."""
    return route is not None and route.startswith(_ROUTE)


def in_days(span_ms: int) -> str:
    """Return a time in days, a part of one as one."""
    days = max(1, -(-span_ms // DAY_MS))
    return "1 day" if days == 1 else f"{days} days"


def of_cycle(report: OutboxItem) -> str:
    """Return which report it is, for people: its kind and its cycle."""
    if report.cycle is None:
        return f"{report.kind} {report.sequence}"
    start, end = (rfc3339(at_ms)[:10] for at_ms in (report.cycle.start_ms, report.cycle.end_ms))
    return f"the {str(report.kind).lower()} of the cycle {start} to {end}"


def _final(exports: Exports) -> str:
    return "a final" if exports.oldest_final is None else of_cycle(exports.oldest_final)
