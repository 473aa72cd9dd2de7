"""What can be seen in the cluster, and what of it changed: one line per change, for people."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The demo's objects at one moment, as the API server has them.

    Attributes:
        usage: The LicenseUsage, empty before it exists.
        reports: The UsageReports by name, oldest first.
        events: Kubernetes events by uid, oldest first.
        receipts: The UsageReceipts by name.
    """

    usage: Object
    reports: dict[str, Object]
    events: dict[str, Object]
    receipts: dict[str, Object] = field(default_factory=dict)

    @classmethod
    def of(cls, items: Sequence[Object]) -> Self:
        """Sort out the objects of the demo's namespace, each with its kind."""
        usages = [item for item in items if item["kind"] == "LicenseUsage"]
        return cls(
            usages[0] if usages else {},
            {i["metadata"]["name"]: i for i in sorted(items, key=_name) if _is(i, "UsageReport")},
            {i["metadata"]["uid"]: i for i in sorted(items, key=_time) if _is(i, "Event")},
            {i["metadata"]["name"]: i for i in items if _is(i, "UsageReceipt")},
        )

    @property
    def status(self) -> Object:
        """The LicenseUsage's status."""
        status: Object = self.usage.get("status") or {}
        return status

    @property
    def ended(self) -> Object:
        """The newest ended cycle in the status, empty if there is none."""
        history: list[Object] = self.status.get("history") or [{}]
        return history[0]

    @property
    def final(self) -> Object:
        """The newest final report, empty if there is none."""
        finals = [r for r in self.reports.values() if r["spec"]["kind"] == "Final"]
        return finals[-1] if finals else {}

    def condition(self, kind: str) -> Object:
        """The condition of this type, empty if there is none."""
        return condition_of(self.usage, kind)


def condition_of(item: Object, kind: str) -> Object:
    """Return an object's condition of this type, empty if there is none."""
    conditions: list[Object] = (item.get("status") or {}).get("conditions") or []
    return next((c for c in conditions if c["type"] == kind), {})


NOTHING = Snapshot({}, {}, {})


def changes(before: Snapshot, after: Snapshot) -> Iterator[str]:
    """Yield a line for each thing that happened between two looks."""
    for uid, event in after.events.items():
        if uid not in before.events:
            mark = "[yellow]" if event.get("type") == "Warning" else ""
            yield f"{mark}event {event['reason']}: {event['message']}"
    if (text := _counted(after)) != _counted(before) and text:
        yield text
    for now in after.status.get("conditions") or []:
        was = before.condition(now["type"])
        if (was.get("status"), was.get("reason")) != (now["status"], now["reason"]):
            yield f"condition {now['type']}={now['status']} ({now['reason']})"
    ended, earlier = after.ended, before.ended
    if (ended.get("index"), ended.get("state")) != (earlier.get("index"), earlier.get("state")):
        words = f": {ended['activeText']}" if ended.get("activeText") else ""
        accuracy = f" ({ended['accuracy']})" if ended.get("accuracy") else ""
        yield f"cycle {ended.get('index')} is {ended.get('state')}{words}{accuracy}"
    for name, report in after.reports.items():
        spec, old = report["spec"], before.reports.get(name, {})
        if not old:
            yield f"report {name}: {spec['kind']}, {spec['activeText']}, signed and kept"
        delivery, was_delivery = _delivery(report), _delivery(old)
        if delivery != was_delivery and delivery:
            yield f"report {name}: {delivery}"
    for name, receipts in after.receipts.items():
        ready = condition_of(receipts, "Ready")
        if ready and ready != condition_of(before.receipts.get(name, {}), "Ready"):
            yield f"receipts {name}: Ready={ready['status']} ({ready['reason']})"


def _counted(snapshot: Snapshot) -> str:
    text = snapshot.status.get("activeText")
    return f"active users: {text} (running cycle)" if text else ""


def _delivery(report: Object) -> str:
    status = report.get("status") or {}
    words = status.get("delivery", "")
    reason = status.get("reason")
    return f"{words} ({reason})" if reason and reason != words else words


def _is(item: Object, kind: str) -> bool:
    return bool(item["kind"] == kind)


def _time(item: Object) -> str:
    """When an event happened (RFC 3339): one that is a series has an end, too."""
    return str(item.get("eventTime") or item.get("lastTimestamp") or "")


def _name(item: Object) -> str:
    return str(item["metadata"]["name"])
