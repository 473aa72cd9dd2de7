"""The condition ``Reported``: a pure function of the outbox."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from licenseusage.api.model import rfc3339
from licenseusage.api.usagereport import report_name
from licenseusage.chain import first_answer
from licenseusage.controller.rules.approval import Approvals, awaiting, late
from licenseusage.controller.rules.conditions import Status, Verdict
from licenseusage.controller.rules.exporting import Exports, exported
from licenseusage.controller.rules.key import Key
from licenseusage.errors import Failure
from licenseusage.ledger.documents.records import Delivery, OutboxItem, ReportKind
from licenseusage.reasons import Reason


@dataclass(frozen=True, slots=True)
class Reporting:
    """What is known about the reports of a licensed object.

    Attributes:
        suspended: ``spec.suspend: Reporting``.
        exports: What waits for an export; None: reports are sent.
        approvals: What waits for approval.
        interims_refused: Why interims are made that are not wanted; None: they are.
        now_ms: The time.
        problem: Why nothing can be signed (identity lost, …) or the vendor's keys are unusable.
        waiting_final: A cycle has ended and been decided on, but its report could not be made.
        statements: Key statements, which go first.
        reports: Reports, newest first.
        usage: Namespace and name of the object.
        host: Of the endpoint; "": none.
    """

    suspended: bool
    exports: Exports | None
    approvals: Approvals
    now_ms: int
    problem: Failure | None
    waiting_final: bool
    statements: Sequence[OutboxItem]
    reports: Sequence[OutboxItem]
    usage: Key
    host: str
    interims_refused: Verdict | None = None


def of_living_chains(
    reports: Sequence[OutboxItem], chains: Collection[str]
) -> tuple[OutboxItem, ...]:
    """Return the reports but those of chains that ended in a conflict under a former identity.

    A copy of an operator that got an identity of its own goes on in chains of its own; what it had
    signed under the other one's name, and the vendor did not take, is over.

    Args:
        reports: All reports of an object.
        chains: The chains that the object's reports may be in, under the identity of now.
    """
    ended = {item.chain_id for item in reports if item.state is Delivery.CONFLICT} - set(chains)
    return tuple(item for item in reports if item.chain_id not in ended)


def reported(seen: Reporting) -> Verdict:
    """Return the condition ``Reported``; the worst that a person should know comes first."""
    verdict = first_answer(REPORTED, seen) or Verdict(
        Status.TRUE,
        Reason.REPORT_ACCEPTED,
        f"{_named(_accepted(seen)[0])} accepted by {seen.host}; receipt verified.",
    )
    well = verdict.status is Status.TRUE
    return seen.interims_refused if well and seen.interims_refused is not None else verdict


def cannot_sign_or_verify(seen: Reporting) -> Verdict | None:
    """Identity, ledger or the vendor's keys are not usable."""
    return None if seen.problem is None else Verdict.failed(seen.problem)


def suspended(seen: Reporting) -> Verdict | None:
    """``spec.suspend`` is Reporting."""
    if not seen.suspended:
        return None
    waits = " A final report is held back." if seen.waiting_final else ""
    return Verdict(
        Status.FALSE,
        Reason.SUSPENDED,
        f"spec.suspend is Reporting: no report is made or sent, counting goes on.{waits} Set it "
        f"to None to report again.",
    )


def refused_by_the_vendor(seen: Reporting) -> Verdict | None:
    """The vendor refused a document for good, a contradiction first; none took its place."""
    for state in (Delivery.CONFLICT, Delivery.REJECTED):
        for item in (*seen.statements, *seen.reports):
            if item.state is state and not _replaced(item, seen.reports):
                message = f"{_sentence(item)} {_what_goes_on(item, seen)}"
                return Verdict(Status.FALSE, item.reason or str(state), message)
    return None


def approval_is_late(seen: Reporting) -> Verdict | None:
    """A report waits for approval, and its deadline is near or over."""
    return late(seen.approvals, seen.now_ms)


def awaits_approval(seen: Reporting) -> Verdict | None:
    """A report waits for approval."""
    return awaiting(seen.approvals, seen.now_ms)


def export_mode(seen: Reporting) -> Verdict | None:
    """Reports are carried to the vendor."""
    if seen.exports is None:
        return None
    if not seen.reports:
        words = "No report has been due yet; reports will wait for an export."
        return Verdict(Status.TRUE, Reason.NOTHING_DUE, words)
    return exported(seen.exports, seen.now_ms)


def delivery_fails(seen: Reporting) -> Verdict | None:
    """A document was tried and did not arrive; the oldest of them."""
    if seen.exports is not None:
        return None
    for item in (*seen.statements, *reversed(seen.reports)):
        if item.state in (Delivery.PENDING, Delivery.SENDING) and item.first_failure_ms is not None:
            return Verdict(Status.FALSE, item.reason or Reason.DELIVERY_PENDING, _sentence(item))
    return None


def on_its_way(seen: Reporting) -> Verdict | None:
    """A final or an amendment, or a first report, waits for its turn; the oldest of them."""
    waiting_final = [
        i for i in seen.reports if i.kind is not ReportKind.INTERIM and i.state in _UNDER_WAY
    ]
    if not waiting_final and (not seen.reports or _accepted(seen)):
        return None
    item = (waiting_final or list(seen.reports))[-1]
    return Verdict(Status.FALSE, Reason.DELIVERY_PENDING, _on_its_way(item, seen.host))


def nothing_due(seen: Reporting) -> Verdict | None:
    """No report was made yet."""
    if seen.reports:
        return None
    enrolled = any(item.state is Delivery.ACCEPTED for item in seen.statements)
    before = f"Enrolled with {seen.host}; receipt verified. " if enrolled else ""
    return Verdict(Status.TRUE, Reason.NOTHING_DUE, f"{before}No report has been due yet.")


REPORTED: tuple[Callable[[Reporting], Verdict | None], ...] = (
    cannot_sign_or_verify,
    suspended,
    refused_by_the_vendor,
    approval_is_late,
    delivery_fails,
    awaits_approval,
    export_mode,
    on_its_way,
    nothing_due,
)


def _accepted(seen: Reporting) -> list[OutboxItem]:
    return [item for item in seen.reports if item.state is Delivery.ACCEPTED]


_UNDER_WAY = (Delivery.PENDING, Delivery.SENDING)


def _sentence(item: OutboxItem) -> str:
    return f"{_named(item)}: {item.message or item.reason or item.state}"


def _named(item: OutboxItem) -> str:
    if not item.kind.is_report:
        return str(item.kind)
    what = f"{item.kind} report {item.sequence}"
    if item.cycle is None:
        return what
    start, end = (rfc3339(at_ms)[:10] for at_ms in (item.cycle.start_ms, item.cycle.end_ms))
    return f"{what} (cycle {start} to {end})"


def _on_its_way(item: OutboxItem, host: str) -> str:
    """Say by when a report is sent that waits for its turn, and that nothing is wrong."""
    at_ms = item.next_attempt_ms
    if item.state is Delivery.SENDING or at_ms is None or at_ms - item.created_ms < _MINUTE_MS:
        return f"{_named(item)} is being sent to {host}."
    by = rfc3339(-(-at_ms // _MINUTE_MS) * _MINUTE_MS)[11:16]
    interim = item.kind is ReportKind.INTERIM
    spread = "five minutes" if interim else "an hour, as many cycles end at one midnight"
    return f"{_named(item)} is sent to {host} by {by} UTC (spread over {spread}); nothing is wrong."


def _what_goes_on(item: OutboxItem, seen: Reporting) -> str:
    """Return the consequence of a refusal, and what to send the vendor."""
    if not item.kind.is_report:
        return (
            "Counting goes on; reports are made and wait. Send the vendor the output of "
            "licenseusage ledger enrolment (docs/operations.md)."
        )
    name = report_name(seen.usage.name, item.chain_id, item.sequence)
    send = f"send the vendor kubectl get usagereport -n {seen.usage.namespace} {name} -o yaml"
    if item.state is Delivery.CONFLICT:
        return f"Counting goes on; nothing more of this chain is sent: {send}."
    if item.kind is ReportKind.INTERIM:
        return f"Counting and reporting go on; if the next report is refused, too, {send}."
    return (
        f"Counting goes on, and a new report replaces it by itself once the cause is gone; "
        f"until then later cycles wait: {send}."
    )


_MINUTE_MS = 60_000


def _replaced(item: OutboxItem, reports: Sequence[OutboxItem]) -> bool:
    """Whether a later report of the same cycle and kind was accepted in a rejected one's place."""
    return item.state is Delivery.REJECTED and any(
        other.sequence > item.sequence
        and other.kind is item.kind
        and (other.cycle == item.cycle or item.kind is ReportKind.INTERIM)
        and other.state is Delivery.ACCEPTED
        for other in reports
    )
