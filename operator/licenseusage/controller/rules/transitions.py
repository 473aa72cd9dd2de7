"""Which transitions are worth an event: a pure comparison of the status before and after."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from licenseusage.api.conditions import ConditionType
from licenseusage.api.model import rfc3339
from licenseusage.delivery.outbox import Attempt, DeliveryState, Queued
from licenseusage.reasons import Reason
from licenseusage.reports.receipt import Sent
from licenseusage.reports.refused import MEANING
from licenseusage.reports.report import read_report
from licenseusage.reports.typs import ENROLMENT, REPORT


class Kind(StrEnum):
    """Type of an event."""

    NORMAL = "Normal"
    WARNING = "Warning"


@dataclass(frozen=True, slots=True)
class Event:
    """A transition worth telling.

    Attributes:
        reason: CamelCase, at most 128; equal to the condition reason where there is one.
        action: What the operator did or tried: ``Collect``, ``CloseCycle``, ``Deliver``, ….
        note: For people; cut at 1,024 bytes.
    """

    kind: Kind
    reason: str
    action: str
    note: str


_ACTIONS = {
    ConditionType.COLLECTED: "Collect",
    ConditionType.GUARANTEES_HOLD: "Collect",
    ConditionType.LICENSED: "VerifyLicense",
    ConditionType.REPORTED: "Report",
    ConditionType.WITHIN_ENTITLEMENT: "Count",
    ConditionType.COUNTED_ONCE: "Report",
}
# On its way is no event, and that it has arrived is told by the delivery itself.
_UNTOLD = {Reason.DELIVERY_PENDING, Reason.REPORT_ACCEPTED}
# Worth an event of its own although the condition was False before.
_TOLD_ANEW = {
    Reason.EXPORT_OVERDUE,
    Reason.AWAITING_APPROVAL,
    Reason.APPROVAL_DUE,
    Reason.APPROVAL_OVERDUE,
}
_AS_USUAL = {Reason.AWAITING_APPROVAL}
_VERDICTS = {
    DeliveryState.ACCEPTED: Kind.NORMAL,
    DeliveryState.REJECTED: Kind.WARNING,
    DeliveryState.CONFLICT: Kind.WARNING,
}
_OF_REPORTS = {
    DeliveryState.ACCEPTED: Reason.REPORT_ACCEPTED,
    DeliveryState.REJECTED: Reason.REPORT_REJECTED,
    DeliveryState.CONFLICT: Reason.REPORT_CONFLICT,
}
_OF_KEYS = {
    DeliveryState.ACCEPTED: Reason.KEYS_ACCEPTED,
    DeliveryState.REJECTED: Reason.KEYS_REJECTED,
    DeliveryState.CONFLICT: Reason.KEYS_CONFLICT,
}
_WHAT_NEXT: Mapping[str, str] = {
    Reason.VENDOR_HEAD_REGRESSED: " What it lost is sent again by itself."
}


def of_status(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Event]:
    """Return the events of a status write: conditions that turned, cycles that closed.

    The first appearance of a condition is told only if it is False: nothing has turned before.
    """
    was = {c["type"]: c for c in before.get("conditions") or ()}
    events = []
    for condition in after.get("conditions") or ():
        kind = condition["type"]
        if kind not in _ACTIONS or condition["status"] == "Unknown":
            continue
        if condition["reason"] in _UNTOLD:
            continue
        bad = condition["status"] == "False"
        previous = was.get(kind, {}).get("status")
        reason, before_reason = condition["reason"], was.get(kind, {}).get("reason")
        anew = reason in _TOLD_ANEW and reason != before_reason
        if (previous == condition["status"] and not anew) or (
            previous in (None, "Unknown") and not bad
        ):
            continue
        events.append(
            Event(
                Kind.WARNING if bad and reason not in _AS_USUAL else Kind.NORMAL,
                reason,
                _ACTIONS[kind],
                condition["message"],
            )
        )
    events += _thresholds(before, after, exceeded=_turned_to_exceeded(events))
    closed = {cycle["startTime"] for cycle in before.get("history") or () if _final(cycle)}
    events += [
        Event(
            Kind.NORMAL,
            Reason.CYCLE_CLOSED,
            "CloseCycle",
            f"The cycle from {cycle['startTime'][:10]} to {cycle['endTime'][:10]} ended with "
            f"{_number(cycle)}.{_exceeded(cycle)}",
        )
        for cycle in after.get("history") or ()
        if _final(cycle) and cycle["startTime"] not in closed
    ]
    messages = {cycle["startTime"]: cycle.get("message") for cycle in before.get("history") or ()}
    events += [
        Event(
            Kind.NORMAL,
            Reason.CYCLE_AMENDED,
            "AmendCycle",
            f"The cycle from {cycle['startTime'][:10]} to {cycle['endTime'][:10]}: "
            f"{cycle['message']}.",
        )
        for cycle in after.get("history") or ()
        if cycle["state"] == "Amended"
        and cycle.get("reason") != Reason.GUARANTEE_REFUTED
        and cycle["startTime"] in closed
        and messages.get(cycle["startTime"]) != cycle.get("message")
    ]
    return events


def _turned_to_exceeded(events: Sequence[Event]) -> bool:
    return any(event.reason == Reason.MAXIMUM_EXCEEDED for event in events)


def _thresholds(
    before: Mapping[str, Any], after: Mapping[str, Any], *, exceeded: bool
) -> list[Event]:
    """Return the event of thresholds that were reached; of several at once, of the highest.

    Args:
        before: The status before.
        after: The status now.
        exceeded: That the maximum is exceeded is told already.
    """
    start = (after.get("cycle") or {}).get("startTime")
    same = start == (before.get("cycle") or {}).get("startTime")
    known = {entry["percent"] for entry in before.get("thresholds") or () if same}
    new = [entry for entry in after.get("thresholds") or () if entry["percent"] not in known]
    if not new or exceeded:
        return []
    highest = max(new, key=lambda entry: int(entry["percent"]))
    users, maximum = highest["activeUsers"], highest["maximumActiveUsers"]
    reason = Reason.THRESHOLD_REACHED
    if users >= maximum:
        reason = Reason.MAXIMUM_REACHED if users == maximum else Reason.MAXIMUM_EXCEEDED
    note = (
        f"{highest['percent']} % of the {maximum} users that are paid for is reached: {users} have "
        f"been seen active in the cycle that began on {str(start)[:10]}."
    )
    return [Event(Kind.WARNING, reason, "Count", note)]


def of_deliveries(attempts: Sequence[Attempt]) -> list[Event]:
    """Return the events of signed verdicts; a temporary failure is a condition, not an event."""
    events = []
    for attempt in attempts:
        settlement = attempt.settlement
        if settlement.receipt is not None and settlement.state in _VERDICTS:
            events.append(_verdict(attempt))
        if settlement.warning is not None:
            note = f"{attempt.host}: {MEANING.get(settlement.warning, settlement.warning)}."
            note += _WHAT_NEXT.get(settlement.warning, "")
            events.append(Event(Kind.WARNING, settlement.warning, "Deliver", note))
    return events


def _verdict(attempt: Attempt) -> Event:
    queued, settlement, host = attempt.queued, attempt.settlement, attempt.host
    typ = Sent.from_token(queued.token).subject.typ
    accepted = settlement.state is DeliveryState.ACCEPTED
    if typ == REPORT:
        what = _report(queued)
        note = f"{what} accepted by {host}" if accepted else f"{what}: {settlement.message}"
    elif typ == ENROLMENT:
        note = f"Enrolled with {host}" if accepted else f"Enrolment: {settlement.message}"
    else:
        note = f"New key known to {host}" if accepted else f"New key: {settlement.message}"
    return Event(
        _VERDICTS[settlement.state],
        (_OF_REPORTS if typ == REPORT else _OF_KEYS)[settlement.state],
        "Deliver",
        f"{note}; receipt verified." if accepted else note,
    )


def _report(queued: Queued) -> str:
    content = read_report(queued.token).content
    cycle, kind = content.cycle, content.kind.value.capitalize()
    start, end = (rfc3339(1000 * at_s)[:10] for at_s in (cycle.start_s, cycle.end_s))
    return f"{kind} report {queued.sequence} (cycle {start} to {end})"


def _number(cycle: Mapping[str, Any]) -> str:
    """The number, what it means, and why it is not exact."""
    words = str(cycle.get("words") or cycle["activeText"])
    number, colon, why = words.partition(": ")
    number = "an unknown number of" if number == "unknown" else number
    return f"{number} active users ({cycle['accuracy']}){colon}{why}"


def _exceeded(cycle: Mapping[str, Any]) -> str:
    if cycle.get("entitlement") != "Exceeded":
        return ""
    return f" {cycle['maximumActiveUsers']} were paid for; talk to the vendor."


def _final(cycle: Mapping[str, Any]) -> bool:
    return cycle["state"] in ("Final", "Amended")
