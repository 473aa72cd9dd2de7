"""The status of a LicenseUsage. Only the operator writes it.

Counts, bounds and times; never a user, never a pseudonym. Unknown counts are absent, never 0.
"""

from typing import Annotated, Literal

from pydantic import Field

from licenseusage.api.conditions import Condition
from licenseusage.api.model import (
    LIST_TYPE,
    Accuracy,
    ActiveText,
    ApiModel,
    Count,
    CyclePeriod,
    Message,
    Percent,
    Reason,
    Seconds,
    Time,
    map_list,
)
from licenseusage.api.usagereport import Delivery, ReportKind

CycleState = Literal["Closing", "Final", "Amended"]
Entitlement = Literal["Within", "Exceeded"]


class CoverageGap(ApiModel):
    """A span of the cycle that no successful polls enclose, half-open ``[startTime, endTime)``."""

    start_time: Time = Field(
        description="startTime is the first moment of the gap (RFC 3339, UTC)."
    )
    end_time: Time = Field(description="endTime is the first moment after the gap (RFC 3339, UTC).")
    reason: Reason = Field(description="reason is a CamelCase word that says why nothing was read.")


class CoverageStatus(ApiModel):
    """How much of the cycle was observed. It describes the operation and proves nothing."""

    observed_seconds: Seconds = Field(
        description="observedSeconds is the part of the cycle so far, in seconds, during which "
        "all sources were observed."
    )
    gaps: tuple[CoverageGap, ...] | None = Field(
        default=None,
        max_length=32,
        json_schema_extra={LIST_TYPE: "atomic"},
        description="gaps lists the spans that were not observed, ascending and without overlap.",
    )


class SkippedItems(ApiModel):
    """Items of a listing that were not counted, for one reason."""

    reason: Reason = Field(
        description="reason says why they were not counted: Excluded, ExcludedId, NeverActive, "
        "OnlyCreated, OutsideCycle or NoId."
    )
    count: Count = Field(
        description="count is the number of items that were not counted for this reason."
    )


class SourceStatus(ApiModel):
    """The last poll of one source."""

    name: Annotated[str, Field(min_length=1, max_length=63)] = Field(
        description="name is the name of the source in spec.sources."
    )
    last_success_time: Time | None = Field(
        default=None,
        description="lastSuccessTime is the time when the last complete poll ended (RFC 3339, "
        "UTC).",
    )
    last_poll_seconds: Annotated[int, Field(ge=0, le=86_400)] | None = Field(
        default=None,
        description="lastPollSeconds is the duration of the last complete poll, rounded up.",
    )
    last_poll_bytes: Annotated[int, Field(ge=0, le=1 << 53)] | None = Field(
        default=None,
        description="lastPollBytes is the number of bytes that the last successful poll read: 0 if "
        "the product said that its list had not changed.",
    )
    next_poll_time: Time | None = Field(
        default=None,
        description="nextPollTime is the time when the next poll is due (RFC 3339, UTC). It begins "
        "later if all workers are busy. It is absent if the next poll depends on something else, "
        "such as a pod that is not ready.",
    )
    interval_seconds: Annotated[int, Field(ge=0, le=1 << 31)] | None = Field(
        default=None,
        description="intervalSeconds is how far apart polls are now, in seconds, rounded up: "
        "intervalMinutes, or what intervalReason says.",
    )
    interval_reason: Reason | None = Field(
        default=None,
        description="intervalReason is a CamelCase word that says why: AsDeclared, LoadBounded "
        "(100 times as long as a poll takes), PauseAfterSlowPoll (three times as long as the last "
        "poll took), CycleEnds (more often around the end of a cycle), Retry (after a failure) or "
        "SignInRefused.",
    )
    users_listed: Count | None = Field(
        default=None, description="usersListed is the number of items in the last complete poll."
    )
    stated_number: Count | None = Field(
        default=None,
        description="statedNumber is what the product stated at the last successful poll, if the "
        "source is a number of users. It is about the source's window, not about the cycle.",
    )
    skipped: tuple[SkippedItems, ...] | None = Field(
        default=None,
        max_length=16,
        json_schema_extra=map_list("reason"),
        description="skipped says how many of these items were not counted, and why. Look here "
        "first when a number surprises you.",
    )
    reason: Reason | None = Field(
        default=None,
        description="reason is a CamelCase word that says why the last poll failed. It is absent "
        "after a success.",
    )
    message: Message | None = Field(
        default=None,
        description="message says for people what was seen and how to fix it. It is absent after "
        "a success.",
    )


class CycleHistory(ApiModel):
    """An ended cycle."""

    index: Annotated[int, Field(ge=0, le=100_000)] = Field(
        description="index is the number of the cycle, counted from 0 at the anchor date."
    )
    start_time: Time = Field(
        description="startTime is the first moment of the cycle (RFC 3339, UTC)."
    )
    end_time: Time = Field(
        description="endTime is the first moment after the cycle (RFC 3339, UTC)."
    )
    state: CycleState = Field(
        description="state is Closing (the evidence that the final statement needs is still being "
        "read), Final or Amended."
    )
    active_text: ActiveText = Field(
        description="activeText is the number of active users in words, such as 398 or 412–419."  # noqa: RUF001
    )
    active_users: Count | None = Field(
        default=None,
        description="activeUsers is the proved number of active users. It is absent if nothing is "
        "proved.",
    )
    active_users_upper_bound: Count | None = Field(
        default=None,
        description="activeUsersUpperBound is the number that was certainly not exceeded. It is "
        "absent if there is no such number.",
    )
    accuracy: Accuracy = Field(
        description="accuracy says how activeUsers and activeUsersUpperBound are to be read."
    )
    words: Message | None = Field(
        default=None,
        description="words states the number in a sentence, with the reason if it is not exact.",
    )
    provisioned_users: Count | None = Field(
        default=None,
        description="provisionedUsers is the number of different users that the product listed, "
        "without the excluded ones. It is absent if unknown.",
    )
    maximum_active_users: Count | None = Field(
        default=None,
        description="maximumActiveUsers is the number of users that was paid for. It is absent if "
        "there was no maximum.",
    )
    entitlement: Entitlement | None = Field(
        default=None,
        description="entitlement is Exceeded if certainly more users were active than were paid "
        "for, otherwise Within. It is absent if there was no maximum.",
    )
    coverage: CoverageStatus | None = Field(
        default=None,
        description="coverage says how much of the cycle was observed. It lists the eight longest "
        "gaps; the report lists all of them.",
    )
    report: Annotated[str, Field(min_length=1, max_length=253)] | None = Field(
        default=None, description="report is the name of the UsageReport that states this cycle."
    )
    reason: Reason | None = Field(
        default=None,
        description="reason is a CamelCase word: NewEvidence (later evidence narrowed the "
        "statement) or GuaranteeRefuted (later evidence contradicts the statement: a guarantee is "
        "false). It is absent if the first statement still holds.",
    )
    message: Message | None = Field(
        default=None,
        description="message says for people what was stated before and after, and why; or which "
        "guarantee is false.",
    )


class ThresholdReached(ApiModel):
    """A part of the maximum that was reached in the running cycle."""

    percent: Percent = Field(
        description="percent is the part of the maximum, one of spec.warnAtPercent."
    )
    reached_time: Time = Field(
        description="reachedTime is the time as of which it was first proved in this cycle (RFC "
        "3339, UTC)."
    )
    active_users: Count = Field(
        description="activeUsers is the proved number of active users at that time."
    )
    maximum_active_users: Count = Field(
        description="maximumActiveUsers is the number of users that was paid for at that time."
    )


class CycleForecast(ApiModel):
    """What the running cycle may end with. It proves nothing, and no report contains it."""

    active_users: Count | None = Field(
        default=None,
        description="activeUsers is the likely number of active users at the cycle's end. It is "
        "absent if there is no forecast.",
    )
    low: Count | None = Field(
        default=None,
        description="low is the lower end of the interval in which about nine of ten cycles end; "
        "never less than what is proved.",
    )
    high: Count | None = Field(
        default=None,
        description="high is the upper end of that interval; never more than the users that the "
        "product lists.",
    )
    basis: Message = Field(
        description="basis says what the forecast rests on, or why there is none."
    )


class LastReport(ApiModel):
    """The newest report."""

    name: Annotated[str, Field(min_length=1, max_length=253)] = Field(
        description="name is the name of the UsageReport."
    )
    sequence: Annotated[int, Field(ge=1, le=2_147_483_647)] = Field(
        description="sequence is the position of the report in its chain."
    )
    kind: ReportKind = Field(description="kind is Interim, Final or Amendment.")
    delivery: Delivery = Field(
        description="delivery is the state of the report's delivery to the vendor."
    )
    accepted_time: Time | None = Field(
        default=None,
        description="acceptedTime is the time when the vendor last accepted a report of this "
        "object, this one or an earlier one (RFC 3339, UTC).",
    )


class LicenseUsageStatus(ApiModel):
    """The current number and its evidence. Unknown counts are absent, never 0."""

    observed_generation: Annotated[int, Field(ge=-1)] | None = Field(
        default=None,
        description="observedGeneration is the generation of the spec to which this status "
        "belongs; -1 until the operator has seen the object.",
    )
    cycle: CyclePeriod | None = Field(
        default=None, description="cycle is the running billing cycle."
    )
    active_text: ActiveText | None = Field(
        default=None,
        description="activeText is the number of active users of the running cycle in words, such "
        "as 412 so far, none seen so far or unknown.",
    )
    active_users: Count | None = Field(
        default=None,
        description="activeUsers is the proved number of active users of the running cycle so "
        "far. It is absent if nothing is proved.",
    )
    active_users_upper_bound: Count | None = Field(
        default=None,
        description="activeUsersUpperBound is the number that was certainly not exceeded. It is "
        "absent if there is no such number.",
    )
    accuracy: Accuracy | None = Field(
        default=None,
        description="accuracy says how activeUsers and activeUsersUpperBound are to be read.",
    )
    as_of_time: Time | None = Field(
        default=None,
        description="asOfTime is the moment up to which the numbers are stated (RFC 3339, UTC).",
    )
    provisioned_users: Count | None = Field(
        default=None,
        description="provisionedUsers is the number of different users that the product lists, "
        "without the excluded ones. It is absent if unknown.",
    )
    maximum_active_users: Count | None = Field(
        default=None,
        description="maximumActiveUsers is the number of users that is paid for. It is absent if "
        "there is no maximum.",
    )
    thresholds: tuple[ThresholdReached, ...] | None = Field(
        default=None,
        max_length=8,
        json_schema_extra=map_list("percent"),
        description="thresholds lists the parts of the maximum that the proved number has reached "
        "in the running cycle, ascending. Each causes one event.",
    )
    forecast: CycleForecast | None = Field(
        default=None,
        description="forecast is what the running cycle may end with, from the growth of earlier "
        "cycles. It proves nothing.",
    )
    coverage: CoverageStatus | None = Field(
        default=None, description="coverage says how much of the running cycle was observed."
    )
    history: tuple[CycleHistory, ...] | None = Field(
        default=None,
        max_length=13,
        json_schema_extra={LIST_TYPE: "atomic"},
        description="history lists the ended cycles, newest first.",
    )
    sources: tuple[SourceStatus, ...] | None = Field(
        default=None,
        max_length=8,
        json_schema_extra=map_list("name"),
        description="sources describes the last poll of each source.",
    )
    last_report: LastReport | None = Field(
        default=None, description="lastReport is the newest report and its delivery state."
    )
    conditions: tuple[Condition, ...] | None = Field(
        default=None,
        max_length=16,
        json_schema_extra=map_list("type"),
        description="conditions are Ready, Reconciling, Stalled, Collected, GuaranteesHold, "
        "Reported, Licensed, WithinEntitlement and KeysExported. Each has a reason, and a message "
        "that names the fix.",
    )
