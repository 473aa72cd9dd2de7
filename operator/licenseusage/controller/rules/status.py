"""``LicenseUsage.status`` from the view: pure, and written only if it changed.

Unknown counts are left out, never 0. A number is shown once a poll of the running cycle succeeded:
failed polls may have named people, and those count later, but they never make a number.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from licenseusage.api.conditions import Condition
from licenseusage.api.model import CyclePeriod, rfc3339
from licenseusage.api.status import (
    CoverageGap,
    CoverageStatus,
    CycleForecast,
    CycleHistory,
    Entitlement,
    LastReport,
    LicenseUsageStatus,
    SkippedItems,
    SourceStatus,
    ThresholdReached,
)
from licenseusage.api.usagereport import report_name
from licenseusage.controller.rules.conditions import Findings, conditions, cut
from licenseusage.errors import Failure
from licenseusage.ledger import records
from licenseusage.ledger.documents import records as documents
from licenseusage.metering.bounds import Accuracy
from licenseusage.metering.coverage import Coverage
from licenseusage.metering.cycles import Cycle
from licenseusage.metering.forecast import Forecast, Lack
from licenseusage.metering.polling import NextPoll
from licenseusage.metering.statement import CycleStatement
from licenseusage.reasons import Reason

HISTORY = 13
_SKIPPED = 16
_GAPS = 32
_GAPS_OF_ENDED = 8
UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class SourceView:
    """One declared source and its last polls.

    Attributes:
        polls: What the ledger knows; None before the first attempt.
        problem: Why the last attempt, or the definition, failed; None after a success.
        number: It states a number, and names nobody.
        next_poll: When it is polled next; None: while nobody can be asked.
    """

    name: str
    polls: records.LastPolls | None
    problem: Failure | None
    number: bool = False
    next_poll: NextPoll | None = None


@dataclass(frozen=True, slots=True)
class Ended:
    """An ended cycle: its record and what is, or for now can be, stated about it.

    Attributes:
        maximum: How many users were paid for; None: no maximum.
    """

    record: records.CycleRecord
    statement: CycleStatement
    maximum: int | None = None

    @property
    def exceeded(self) -> bool:
        """Whether certainly more were active than were paid for."""
        bounds = self.statement.bounds
        proved = bounds.accuracy is not Accuracy.CONFLICT
        return proved and self.maximum is not None and bounds.lower > self.maximum


@dataclass(frozen=True, slots=True)
class Threshold:
    """A part of the maximum that was reached in the running cycle.

    Attributes:
        percent: Which part.
        reached: As of when it was proved, RFC 3339.
        users: How many were proved active then.
        maximum: How many were paid for then.
    """

    percent: int
    reached: str
    users: int
    maximum: int


@dataclass(frozen=True, slots=True)
class View:
    """Everything that a status is made of.

    Attributes:
        cycle: The running cycle; None before the first, or without terms.
        statement: About the running cycle; None without one.
        informed: A poll of the running cycle has succeeded, so that there is a number.
        percents: At which parts of the maximum a person is warned.
        thresholds: Those that were reached in the running cycle, ascending.
        foreseen: What the running cycle may end with, or why nobody can say; None: there is no
            number.
        refuted: How many guarantees of the sources as declared now are refuted.
        ended: Ended cycles, newest first.
        reports: Reports of the object, newest first.
        previous: Conditions of the live object.
        export_due_ms: By when the vendor has to have what is exported; None: nothing is due.
        approval_due_ms: By when he has to have what waits for approval; None: nothing is due.
    """

    name: str
    generation: int
    now_ms: int
    findings: Findings
    cycle: Cycle | None = None
    statement: CycleStatement | None = None
    informed: bool = False
    maximum: int | None = None
    percents: Sequence[int] = ()
    thresholds: Sequence[Threshold] = ()
    foreseen: Forecast | Lack | None = None
    refuted: int = 0
    ended: Sequence[Ended] = ()
    sources: Sequence[SourceView] = ()
    reports: Sequence[documents.OutboxItem] = ()
    previous: Sequence[Mapping[str, Any]] = ()
    export_due_ms: int | None = None
    approval_due_ms: int | None = None


def compose(view: View) -> dict[str, Any]:
    """Return the whole status as JSON."""
    statement = view.statement if view.informed else None
    shown = conditions(view.findings, view.previous, view.generation, view.now_ms)
    return LicenseUsageStatus(
        observed_generation=view.generation,
        cycle=_period(view.cycle),
        active_text=statement.active_text if statement else UNKNOWN,
        active_users=statement.bounds.active_users if statement else None,
        active_users_upper_bound=statement.bounds.so_far().active_users_upper_bound
        if statement
        else None,
        accuracy=_accuracy(statement),
        as_of_time=rfc3339(statement.as_of_ms) if statement else None,
        provisioned_users=statement.provisioned if statement else None,
        maximum_active_users=view.maximum,
        thresholds=tuple(_threshold(threshold) for threshold in view.thresholds) or None,
        forecast=_forecast(view.foreseen),
        coverage=_coverage(statement.coverage) if statement else None,
        history=tuple(_history(view, ended) for ended in view.ended[:HISTORY]) or None,
        sources=tuple(_source(source) for source in view.sources) or None,
        last_report=_last_report(view),
        conditions=tuple(Condition.model_validate(condition) for condition in shown),
    ).to_object()


def with_conditions(
    live: Mapping[str, Any],
    findings: Findings,
    previous: Sequence[Mapping[str, Any]],
    generation: int,
    now_ms: int,
) -> dict[str, Any]:
    """Return the live status with other conditions: what it says about counts stands."""
    return {
        "activeText": UNKNOWN,
        **live,
        "observedGeneration": generation,
        "conditions": conditions(findings, previous, generation, now_ms),
    }


def changed(live: Mapping[str, Any], desired: Mapping[str, Any]) -> bool:
    """Whether the desired status says anything that the live one does not.

    Transition times are copied while a condition stands, so the comparison can be plain.
    """
    return dict(live) != dict(desired)


def _period(cycle: Cycle | None) -> CyclePeriod | None:
    return CyclePeriod.of(cycle.index, cycle.start_ms, cycle.end_ms) if cycle else None


def _forecast(foreseen: Forecast | Lack | None) -> CycleForecast | None:
    if foreseen is None:
        return None
    if isinstance(foreseen, Lack):
        return CycleForecast(basis=_NO_FORECAST[foreseen])
    cycles = "the last cycle" if foreseen.cycles == 1 else f"the last {foreseen.cycles} cycles"
    return CycleForecast(
        active_users=foreseen.users,
        low=foreseen.low,
        high=foreseen.high,
        basis=f"the growth of {cycles}; nothing is proved. About nine of ten cycles end between "
        "low and high",
    )


_NO_FORECAST = {
    Lack.FIRST_CYCLE: "no forecast yet: this is the first cycle",
    Lack.NOTHING_SEEN: "no forecast yet: nobody was seen active in this cycle",
    Lack.DAYS_UNKNOWN: (
        "no forecast: on too many days of this cycle not all sources were read, or days are not "
        "kept (spec.privacy.dailyFacts)"
    ),
    Lack.EARLIER_UNKNOWN: (
        "no forecast: it needs an ended cycle, one of the last three, that has an upper bound and "
        "in which all sources were read on nearly every day; and that days are kept "
        "(spec.privacy.dailyFacts)"
    ),
}


def _threshold(threshold: Threshold) -> ThresholdReached:
    return ThresholdReached(
        percent=threshold.percent,
        reached_time=threshold.reached,
        active_users=threshold.users,
        maximum_active_users=threshold.maximum,
    )


def _accuracy(statement: CycleStatement | None) -> Any:  # noqa: ANN401 - a Literal of the model
    """The class of a running cycle: a lower bound, or nothing (MEASUREMENT §0)."""
    return str(statement.bounds.so_far().stated) if statement else "Unknown"


def _coverage(coverage: Coverage) -> CoverageStatus:
    gaps = tuple(
        CoverageGap(
            start_time=rfc3339(gap.start_s * 1000),
            end_time=rfc3339(gap.end_s * 1000),
            reason=gap.reason,
        )
        for gap in coverage.gaps[:_GAPS]
    )
    return CoverageStatus(observed_seconds=coverage.observed_seconds, gaps=gaps or None)


def _history(view: View, ended: Ended) -> CycleHistory:
    record, statement = ended.record, ended.statement
    cycle, final = record.cycle, record.state is records.CycleState.FINAL
    stated = [
        i
        for i in view.reports
        if i.cycle == cycle and i.kind is not documents.ReportKind.INTERIM and not i.refused
    ] or [i for i in view.reports if i.cycle == cycle and i.kind is documents.ReportKind.FINAL]
    reason, message = _later(ended)
    return CycleHistory(
        index=cycle.index,
        start_time=rfc3339(cycle.start_ms),
        end_time=rfc3339(cycle.end_ms),
        state="Amended" if record.amendments else "Final" if final else "Closing",
        active_text=statement.active_text,
        active_users=statement.bounds.active_users,
        active_users_upper_bound=statement.bounds.active_users_upper_bound,
        accuracy=_stated(statement),
        words=cut(statement.words),
        provisioned_users=statement.provisioned,
        maximum_active_users=ended.maximum,
        entitlement=_entitlement(ended),
        coverage=_coverage(_longest(statement.coverage)),
        report=_report_name(view.name, stated[0]) if stated else None,
        reason=reason,
        message=cut(message) if message else None,
    )


def _entitlement(ended: Ended) -> Entitlement | None:
    if ended.maximum is None:
        return None
    return "Exceeded" if ended.exceeded else "Within"


def _longest(seen: Coverage) -> Coverage:
    """Return the coverage with its longest gaps, in order of time."""
    longest = sorted(seen.gaps, key=lambda gap: gap.start_s - gap.end_s)[:_GAPS_OF_ENDED]
    return Coverage(seen.observed_seconds, tuple(sorted(longest, key=lambda gap: gap.start_s)))


def _later(ended: Ended) -> tuple[str | None, str | None]:
    """What came to be known after the first statement, or contradicts it: reason and words."""
    record = ended.record
    if record.contradiction is not None:
        return Reason.GUARANTEE_REFUTED, record.contradiction.words
    if record.amendments:
        return record.amendments[-1].reason, record.amendments[-1].words
    conflict = ended.statement.bounds.accuracy is Accuracy.CONFLICT
    refuted = ended.statement.refuted if conflict else ()
    return (Reason.GUARANTEE_REFUTED, "; ".join(refuted)) if refuted else (None, None)


def _stated(statement: CycleStatement) -> Any:  # noqa: ANN401 - a Literal of the model
    return str(statement.bounds.stated)


def _source(view: SourceView) -> SourceStatus:
    polls = view.polls
    if polls is None:
        return SourceStatus(name=view.name, **_problem(view))
    duration = polls.last_complete_duration_ms
    if duration is None:
        duration = polls.last_duration_ms
    skipped = tuple(
        SkippedItems(reason=reason, count=count)
        for reason, count in sorted(polls.skipped.items())[:_SKIPPED]
        if count
    )
    return SourceStatus(
        name=view.name,
        last_success_time=_time(polls.last_success_ms),
        last_poll_seconds=None if duration is None else -(-duration // 1000),
        last_poll_bytes=polls.size_bytes,
        **_pace(view.next_poll),
        users_listed=polls.listed,
        stated_number=polls.counted if view.number else None,
        skipped=skipped or None,
        **_problem(view),
    )


def _pace(due: NextPoll | None) -> dict[str, Any]:
    """Return what is said of the next poll: it changes with a poll only, never by the time."""
    if due is None or due.reason is None:
        return {}
    return {
        "next_poll_time": rfc3339(due.at_ms),
        "interval_seconds": -(-due.interval_ms // 1000),
        "interval_reason": due.reason,
    }


def _problem(view: SourceView) -> dict[str, Any]:
    if view.problem is not None:
        return {"reason": view.problem.reason, "message": cut(view.problem.message)}
    return {}


def _last_report(view: View) -> LastReport | None:
    if not view.reports:
        return None
    newest = view.reports[0]
    accepted = [i.accepted_ms for i in view.reports if i.accepted_ms is not None]
    return LastReport(
        name=_report_name(view.name, newest),
        sequence=newest.sequence,
        kind=_kind(newest),
        delivery=_delivery(newest),
        accepted_time=_time(max(accepted, default=None)),
    )


def _kind(item: documents.OutboxItem) -> Any:  # noqa: ANN401 - a Literal of the model
    return str(item.kind)


def _delivery(item: documents.OutboxItem) -> Any:  # noqa: ANN401 - a Literal of the model
    """``Sending`` lasts seconds and would write the status twice per attempt: it is Pending."""
    sending = item.state is documents.Delivery.SENDING
    return str(documents.Delivery.PENDING if sending else item.state)


def _report_name(usage: str, item: documents.OutboxItem) -> str:
    return report_name(usage, item.chain_id, item.sequence)


def _time(at_ms: int | None) -> str | None:
    return None if at_ms is None else rfc3339(at_ms)
