"""Approval: signed reports are held until a person has let each of them go (REPORT_FORMAT §10).

``spec.reporting.approval`` is Manual. A person approves a report by an annotation of its
UsageReport, whose value is the digest of the document: so an approval is for these bytes only, and
the API server's audit log has the name. What counts is what the objects say now, as long as the
report has not left: an approval that is taken back holds the report again.

All reports are held, interims too. Key statements are not: they hold no count, and nothing that is
approved could be verified without them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from licenseusage.api.model import rfc3339
from licenseusage.api.usagereport import report_name
from licenseusage.controller.rules.conditions import Status, Verdict
from licenseusage.controller.rules.exporting import Exports, in_days, of_cycle
from licenseusage.controller.rules.key import Key
from licenseusage.ledger.documents.records import (
    Delivery,
    Held,
    MeterFacts,
    OutboxItem,
    ReportKind,
)
from licenseusage.reasons import Reason
from licenseusage.reports.licence import LicenseTerms
from licenseusage.reports.overdue import overdue_at_s

APPROVED = "licenseusage.dev/approved"
"""The annotation of a UsageReport; its value is the digest of the document, ``sha256:…``."""

MANUAL = "Manual"
WARN_PERCENT = 80
"""Of the time from signing to the deadline: from then on it is said that approval is due."""

_SHOWN = 100


@dataclass(frozen=True, slots=True)
class Changes:
    """What the outbox has to change so that it agrees with the approvals.

    Attributes:
        hold: Report (``jti``) -> why it waits.
        release: Reports (``jti``) that wait no longer.
    """

    hold: Mapping[str, Held] = field(default_factory=dict)
    release: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        """Whether there is anything to change."""
        return bool(self.hold or self.release)


def needs_approval(wanted: bool | None, facts: MeterFacts) -> bool:
    """Return whether reports of an object wait for approval.

    Args:
        wanted: As its spec says; None: the object is gone, and what it said last holds.
        facts: What the ledger knows of it.
    """
    return facts.meter.approval if wanted is None else wanted


def open_to_approval(report: OutboxItem, acknowledged: int) -> bool:
    """Whether approval still makes a difference to a report: the vendor has not signed for it.

    Args:
        report: The report.
        acknowledged: Position up to which the vendor has signed for the chain; 0: none.
    """
    undecided = report.state not in (Delivery.ACCEPTED, Delivery.CONFLICT)
    return undecided and report.receipt is None and report.sequence > acknowledged


def changes(
    key: Key,
    reports: Sequence[OutboxItem],
    acknowledged: Mapping[str, int],
    approvals: Mapping[str, str],
    *,
    manual: bool,
) -> Changes:
    """Return which reports are to be held from now on, and which are to be let go.

    Args:
        key: Namespace and name of the object.
        reports: Its reports, in any order.
        acknowledged: Chain -> position up to which the vendor has signed for it; absent: none.
        approvals: Report (``jti``) -> what its annotation says; absent: there is none.
        manual: Whether reports wait for approval.
    """
    hold: dict[str, Held] = {}
    release = set()
    for report in reports:
        given = approvals.get(report.jti)
        waits = manual and open_to_approval(report, acknowledged.get(report.chain_id, 0))
        if waits and given != report.digest:
            why = _why(key, report, given)
            if report.state is not Delivery.AWAITING_APPROVAL or why != _kept(report):
                hold[report.jti] = why
        elif report.state is Delivery.AWAITING_APPROVAL:
            release.add(report.jti)
    return Changes(hold, frozenset(release))


def approvals_in(
    usage: str, objects: Mapping[str, Mapping[str, Any]], reports: Sequence[OutboxItem]
) -> dict[str, str]:
    """Return what the annotations of UsageReports say, by report (``jti``).

    Args:
        usage: Name of the LicenseUsage.
        objects: Its UsageReports as they are in the cluster, by name.
        reports: Its reports.
    """
    given_by_report = {}
    for report in reports:
        live = objects.get(report_name(usage, report.chain_id, report.sequence), {})
        given = ((live.get("metadata") or {}).get("annotations") or {}).get(APPROVED)
        if isinstance(given, str):
            given_by_report[report.jti] = given
    return given_by_report


def interim_waits(reports: Sequence[OutboxItem], chain_id: str) -> bool:
    """Whether no further interim is made: a report of the chain waits for approval.

    It would wait behind that one; the next is made after the approval, with fresh numbers. So at
    most one interim waits, however long nobody looks.
    """
    return any(
        report.state is Delivery.AWAITING_APPROVAL and report.chain_id == chain_id
        for report in reports
    )


def held_behind(report: OutboxItem, reports: Sequence[OutboxItem]) -> OutboxItem | None:
    """Return the oldest report that waits for approval before one that does not; None: none."""
    if report.state not in (Delivery.PENDING, Delivery.SENDING):
        return None
    before = [
        other
        for other in reports
        if other.state is Delivery.AWAITING_APPROVAL
        and other.chain_id == report.chain_id
        and other.sequence < report.sequence
    ]
    return min(before, key=lambda other: other.sequence, default=None)


@dataclass(frozen=True, slots=True)
class Approvals:
    """What of an object waits for approval.

    Attributes:
        usage: Namespace and name of the object.
        waiting: Reports that wait, oldest first.
        behind: Number of reports that are approved and wait for one before them.
        due: Report (``jti``) that waits -> by when the vendor has to have it, ms since the epoch;
            absent: nothing is agreed.
    """

    usage: Key
    waiting: tuple[OutboxItem, ...] = ()
    behind: int = 0
    due: Mapping[str, int] = field(default_factory=dict)

    @property
    def first(self) -> OutboxItem | None:
        """The report that is due first, else the oldest; None: none waits."""
        return min(self.waiting, key=self._urgency, default=None)

    @property
    def due_ms(self) -> int | None:
        """By when the vendor has to have the first of them; None: nothing is agreed."""
        return min(self.due.values(), default=None)

    @property
    def soon_ms(self) -> int | None:
        """From when on a person is warned."""
        first, due_ms = self.first, self.due_ms
        if first is None or due_ms is None:
            return None
        return due_ms - max(0, due_ms - first.created_ms) * (100 - WARN_PERCENT) // 100

    @property
    def command(self) -> str:
        """What approves all of them, after it has shown them."""
        return f"kubectl licenseusage approve -n {self.usage.namespace} --all"

    def _urgency(self, report: OutboxItem) -> tuple[bool, int, int]:
        due_ms = self.due.get(report.jti)
        return due_ms is None, due_ms or 0, report.sequence


def approvals_of(
    key: Key, reports: Sequence[OutboxItem], due: Mapping[str, int] | None = None
) -> Approvals:
    """Return what of an object's reports waits for approval.

    Args:
        key: Namespace and name of the object.
        reports: Its reports, in any order.
        due: See `Approvals`; of other reports, too.
    """
    waiting = [report for report in reports if report.state is Delivery.AWAITING_APPROVAL]
    waiting.sort(key=lambda report: (report.created_ms, report.sequence))
    behind = sum(held_behind(report, reports) is not None for report in reports)
    names = {report.jti for report in waiting}
    wanted = {jti: at for jti, at in (due or {}).items() if jti in names}
    return Approvals(key, tuple(waiting), behind, wanted)


def due_online(
    of_chain: Sequence[OutboxItem], terms: LicenseTerms, enrolled_ms: int
) -> dict[str, int]:
    """Return by when the vendor has to have the reports of a chain that wait, ms since the epoch.

    From then on its silence is the finding ``ReportOverdue`` at the vendor (§6 rule 5).

    Args:
        of_chain: Reports of one chain.
        terms: Of the licence that they are made under.
        enrolled_ms: When the vendor received the enrolment, or could have.
    """
    accepted = [report for report in of_chain if report.state is Delivery.ACCEPTED]
    received = [report.accepted_ms for report in accepted if report.accepted_ms is not None]
    finals = [
        report.cycle.index
        for report in accepted
        if report.kind is ReportKind.FINAL and report.cycle is not None
    ]
    at_s = overdue_at_s(
        terms,
        enrolled_s=enrolled_ms // 1000,
        last_received_s=max(received) // 1000 if received else None,
        last_final=max(finals, default=None),
    )
    return {
        report.jti: 1000 * at_s for report in of_chain if report.state is Delivery.AWAITING_APPROVAL
    }


def due_exported(key: Key, reports: Sequence[OutboxItem], days: int | None) -> dict[str, int]:
    """Return by when the vendor has to have finals that wait, where reports are exported.

    Args:
        key: Namespace and name of the object.
        reports: Its reports.
        days: Agreed days between signing and the vendor's receipt; None: one cycle.
    """
    each = (
        (report.jti, Exports.of(key, [report], days).due_ms)
        for report in reports
        if report.state is Delivery.AWAITING_APPROVAL
    )
    return {jti: due_ms for jti, due_ms in each if due_ms is not None}


def late(approvals: Approvals, now_ms: int) -> Verdict | None:
    """Return the condition ``Reported`` if an approval is due or overdue; None: it is not."""
    first, due_ms, soon_ms = approvals.first, approvals.due_ms, approvals.soon_ms
    if first is None or due_ms is None or soon_ms is None or now_ms < soon_ms:
        return None
    day, what = rfc3339(due_ms)[:10], _what(approvals, first)
    if now_ms >= due_ms:
        return Verdict(
            Status.FALSE,
            Reason.APPROVAL_OVERDUE,
            f"The approval of {what} has been due since {day} ({in_days(now_ms - due_ms)} ago). "
            f"Nothing is lost. To see and approve: {approvals.command}",
        )
    return Verdict(
        Status.FALSE,
        Reason.APPROVAL_DUE,
        f"The approval of {what} is due by {day} ({in_days(due_ms - now_ms)} left). To see and "
        f"approve: {approvals.command}",
    )


def awaiting(approvals: Approvals, now_ms: int) -> Verdict | None:
    """Return the condition ``Reported`` while a report waits for approval; None: none does."""
    first, due_ms = approvals.first, approvals.due_ms
    if first is None:
        return None
    until = ""
    if due_ms is not None:
        left = in_days(due_ms - now_ms)
        until = f" The vendor has to have it by {rfc3339(due_ms)[:10]} ({left} left)."
    return Verdict(
        Status.FALSE,
        Reason.AWAITING_APPROVAL,
        f"It waits for the approval of {_what(approvals, first)}; nothing of it leaves before."
        f"{until} To see and approve: {approvals.command}",
    )


def _what(approvals: Approvals, first: OutboxItem) -> str:
    """Return what waits: the first of it, how many more, and how many behind them."""
    words = of_cycle(first)
    more = len(approvals.waiting) - 1
    if more:
        words += f", and of {more} more" if more > 1 else ", and of another"
    if approvals.behind:
        words += f" ({approvals.behind} approved behind it)"
    return words


def _kept(report: OutboxItem) -> Held:
    return Held(report.reason, report.message)


def _why(key: Key, report: OutboxItem, given: str | None) -> Held:
    """Return why a report waits, with the way to approve it."""
    name = report_name(key.name, report.chain_id, report.sequence)
    how = f"kubectl licenseusage approve -n {key.namespace} {name}"
    if given is None:
        words = f"Nothing of it is sent or exported before it is approved: {how}"
        return Held(Reason.AWAITING_APPROVAL, words)
    shown = given if len(given) <= _SHOWN else f"{given[: _SHOWN - 1]}…"
    return Held(
        Reason.APPROVAL_MISMATCH,
        f"The annotation {APPROVED} is {shown!r}, and the digest of this report is "
        f"{report.digest}: an approval is for one document. To approve this one: {how}",
    )
