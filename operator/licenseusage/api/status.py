"""What is known: the status of a LicenseUsage, written by the operator only.

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
    reason: Reason = Field(description="reason is a CamelCase word: why nothing was read.")


class CoverageStatus(ApiModel):
    """How much of the cycle was observed: operation, not proof."""

    observed_seconds: Seconds = Field(
        description="observedSeconds is how much of the cycle so far all sources were observed, "
        "in seconds."
    )
    gaps: tuple[CoverageGap, ...] | None = Field(
        default=None,
        max_length=32,
        json_schema_extra={LIST_TYPE: "atomic"},
        description="gaps are the spans that were not observed, ascending and disjoint.",
    )


class SkippedItems(ApiModel):
    """Items of a listing that were not counted, for one reason."""

    reason: Reason = Field(
        description="reason is why they were skipped: Excluded, ExcludedId, NeverActive, "
        "OnlyCreated, OutsideCycle or NoId."
    )
    count: Count = Field(description="count is how many items were skipped for it.")


class SourceStatus(ApiModel):
    """The last poll of one source."""

    name: Annotated[str, Field(min_length=1, max_length=63)] = Field(
        description="name is the name of the source in spec.sources."
    )
    last_success_time: Time | None = Field(
        default=None,
        description="lastSuccessTime is when the last complete poll ended (RFC 3339, UTC).",
    )
    last_poll_seconds: Annotated[int, Field(ge=0, le=86_400)] | None = Field(
        default=None,
        description="lastPollSeconds is how long the last complete poll took, rounded up.",
    )
    last_poll_bytes: Annotated[int, Field(ge=0, le=1 << 53)] | None = Field(
        default=None, description="lastPollBytes is how much it read."
    )
    users_listed: Count | None = Field(
        default=None, description="usersListed is how many items it listed."
    )
    skipped: tuple[SkippedItems, ...] | None = Field(
        default=None,
        max_length=16,
        json_schema_extra=map_list("reason"),
        description="skipped says how many of them were not counted, and why: the first thing to "
        "look at when a number surprises.",
    )
    reason: Reason | None = Field(
        default=None,
        description="reason is a CamelCase word: why the last poll failed. Absent after a success.",
    )
    message: Message | None = Field(
        default=None,
        description="message is for people: what was seen and the fix. Absent after a success.",
    )


class CycleHistory(ApiModel):
    """An ended cycle."""

    index: Annotated[int, Field(ge=0, le=100_000)] = Field(
        description="index is the number of the cycle, counted from its anchor."
    )
    start_time: Time = Field(
        description="startTime is the first moment of the cycle (RFC 3339, UTC)."
    )
    end_time: Time = Field(
        description="endTime is the first moment after the cycle (RFC 3339, UTC)."
    )
    state: CycleState = Field(
        description="state is Closing (what is needed to close it is still being read), Final or "
        "Amended."
    )
    active_text: ActiveText = Field(
        description="activeText is the number of active users in words, such as 398 or 412–419."  # noqa: RUF001
    )
    active_users: Count | None = Field(
        default=None,
        description="activeUsers is the proved number of active users; absent if nothing is "
        "proved.",
    )
    active_users_upper_bound: Count | None = Field(
        default=None,
        description="activeUsersUpperBound is the number that was certainly not exceeded; absent "
        "if there is none.",
    )
    accuracy: Accuracy = Field(description="accuracy says what the two numbers mean.")
    words: Message | None = Field(
        default=None,
        description="words is the number in a sentence, with the reason why it is not exact.",
    )
    provisioned_users: Count | None = Field(
        default=None,
        description="provisionedUsers is how many different users the product listed, less the "
        "excluded; absent if unknown.",
    )
    maximum_active_users: Count | None = Field(
        default=None,
        description="maximumActiveUsers is the number of users that was paid for; absent if there "
        "was no maximum.",
    )
    entitlement: Entitlement | None = Field(
        default=None,
        description="entitlement is Exceeded if certainly more users were active than were paid "
        "for, else Within; absent if there was no maximum.",
    )
    coverage: CoverageStatus | None = Field(
        default=None,
        description="coverage says how much of the cycle was observed; of the gaps the longest "
        "eight, the report has all of them.",
    )
    report: Annotated[str, Field(min_length=1, max_length=253)] | None = Field(
        default=None, description="report is the name of the UsageReport that states this cycle."
    )
    reason: Reason | None = Field(
        default=None,
        description="reason is a CamelCase word: NewEvidence (what was seen later narrowed the "
        "statement) or GuaranteeRefuted (what was seen contradicts it: a guarantee is false). "
        "Absent if the first statement stands.",
    )
    message: Message | None = Field(
        default=None,
        description="message is for people: what was stated before and after, and why; or which "
        "guarantee is false.",
    )


class LastReport(ApiModel):
    """The newest report."""

    name: Annotated[str, Field(min_length=1, max_length=253)] = Field(
        description="name is the name of the UsageReport."
    )
    sequence: Annotated[int, Field(ge=1, le=2_147_483_647)] = Field(
        description="sequence is its position in the chain of reports."
    )
    kind: ReportKind = Field(description="kind is Interim, Final or Amendment.")
    delivery: Delivery = Field(
        description="delivery is how far it has come on its way to the vendor."
    )
    accepted_time: Time | None = Field(
        default=None,
        description="acceptedTime is when the vendor last accepted a report of this object, this "
        "one or an earlier one (RFC 3339, UTC).",
    )


class LicenseUsageStatus(ApiModel):
    """The current truth; written by the operator only. Unknown counts are absent, never 0."""

    observed_generation: Annotated[int, Field(ge=-1)] | None = Field(
        default=None,
        description="observedGeneration is the generation of the spec that this status is about; "
        "-1 until the operator has seen the object.",
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
        "far; absent if nothing is proved.",
    )
    active_users_upper_bound: Count | None = Field(
        default=None,
        description="activeUsersUpperBound is the number that was certainly not exceeded; absent "
        "if there is none.",
    )
    accuracy: Accuracy | None = Field(
        default=None, description="accuracy says what the two numbers mean."
    )
    as_of_time: Time | None = Field(
        default=None,
        description="asOfTime is the moment up to which the numbers are stated (RFC 3339, UTC).",
    )
    provisioned_users: Count | None = Field(
        default=None,
        description="provisionedUsers is how many different users the product lists, less the "
        "excluded; absent if unknown.",
    )
    maximum_active_users: Count | None = Field(
        default=None,
        description="maximumActiveUsers is the number of users that is paid for; absent if there "
        "is no maximum.",
    )
    coverage: CoverageStatus | None = Field(
        default=None, description="coverage says how much of the running cycle was observed."
    )
    history: tuple[CycleHistory, ...] | None = Field(
        default=None,
        max_length=13,
        json_schema_extra={LIST_TYPE: "atomic"},
        description="history are the ended cycles, newest first.",
    )
    sources: tuple[SourceStatus, ...] | None = Field(
        default=None,
        max_length=8,
        json_schema_extra=map_list("name"),
        description="sources are the last polls, one entry per source.",
    )
    last_report: LastReport | None = Field(
        default=None, description="lastReport is the newest report and how far it has come."
    )
    conditions: tuple[Condition, ...] | None = Field(
        default=None,
        max_length=16,
        json_schema_extra=map_list("type"),
        description="conditions are Ready, Reconciling, Stalled, Collected, GuaranteesHold, "
        "Reported, Licensed and WithinEntitlement, each with a reason and a message that names the "
        "fix.",
    )
