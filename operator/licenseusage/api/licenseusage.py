"""LicenseUsage: how many people used a product in a billing cycle; intent and the current truth."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from licenseusage.api.conditions import Condition
from licenseusage.api.model import (
    LIST_TYPE,
    Accuracy,
    ActiveText,
    ApiModel,
    Count,
    CyclePeriod,
    Date,
    Message,
    ObjectMeta,
    Reason,
    Rule,
    Seconds,
    SecretKey,
    SecretName,
    Time,
    map_list,
    rules,
)
from licenseusage.api.source import Source
from licenseusage.api.usagereport import Delivery, ReportKind

Combine = Literal["Union", "Same"]
Suspend = Literal["None", "Reporting"]
ReportingMode = Literal["Online"]
CycleState = Literal["Closing", "Final", "Amended"]

DEFAULT_IDENTITY = "product"
DEFAULT_LAG_SECONDS = 60
DEFAULT_INTERVAL_MINUTES = 15

Product = Annotated[
    str,
    Field(
        min_length=1,
        max_length=128,
        json_schema_extra=rules(
            Rule(
                "self.matches('^[A-Za-z0-9][A-Za-z0-9._:/-]*$')",
                "must begin with a letter or digit and hold only letters, digits and . _ : / -",
            ),
            Rule(
                "self == oldSelf",
                "product cannot be changed: delete the object and create one for the other product",
                "'product cannot be changed from \"' + oldSelf + '\" to \"' + self + '\": delete "
                "the object and create one for the other product'",
                reason="FieldValueForbidden",
            ),
        ),
    ),
]


class LicenseSecretRef(ApiModel):
    """The Secret that holds the licence."""

    name: SecretName = Field(
        description="name is the name of a Secret in the namespace of this object."
    )
    key: SecretKey = Field(
        default="license.jwt", description="key is the key of the Secret that holds the licence."
    )


class LicenseSource(ApiModel):
    """Where the vendor's licence is found."""

    secret_ref: LicenseSecretRef = Field(
        description="secretRef names the Secret and the key that hold the licence, exactly as the "
        "vendor signed it."
    )


class CycleTerms(ApiModel):
    """Billing cycles without a licence."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Rule(
                "has(self.lengthDays) != has(self.lengthMonths)",
                "cycle needs exactly one of lengthDays (1-62) and lengthMonths (1-2)",
            ),
            Rule(
                "!has(self.lengthMonths) || self.anchorDate.getDate() <= 28",
                "cycles of months must begin on a day from 1 to 28, which every month has",
                "'cycles of months must begin on a day from 1 to 28, which every month has, not on "
                "day %d'.format([self.anchorDate.getDate()])",
                field_path=".anchorDate",
            ),
        )
    )

    anchor_date: Date = Field(
        description="anchorDate is the UTC day on which the first cycle begins, such as "
        "2026-01-15.",
        json_schema_extra=rules(
            Rule(
                "self.getFullYear() >= 2000 && self.getFullYear() < 2200",
                "must be a day of the years 2000 to 2199",
            )
        ),
    )
    length_days: Annotated[int, Field(ge=1, le=62)] | None = Field(
        default=None, description="lengthDays is the length of a cycle in days, 1 to 62."
    )
    length_months: Annotated[int, Field(ge=1, le=2)] | None = Field(
        default=None,
        description="lengthMonths is the length of a cycle in calendar months, 1 or 2.",
    )


class Reporting(ApiModel):
    """How reports reach the vendor."""

    mode: ReportingMode = Field(
        default="Online",
        description="mode is Online: reports are sent to the endpoint that the licence names.",
    )


class LicenseUsageSpec(ApiModel):
    """What the user wants."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Rule(
                "has(self.license) != has(self.cycle)",
                "exactly one of license and cycle is needed: license if the vendor gave you one, "
                "cycle to count without reporting",
                "has(self.license) ? 'both license and cycle are given, and a licence brings its "
                "own cycle: remove cycle' : 'neither license nor cycle is given: name the Secret "
                "of your licence in license.secretRef, or give cycle to count without reporting'",
            ),
            Rule(
                "!has(self.maximumActiveUsers) || has(self.cycle)",
                "maximumActiveUsers goes with cycle only: a licence brings its own maximum",
                reason="FieldValueForbidden",
                field_path=".maximumActiveUsers",
            ),
            Rule(
                "!has(self.cycle) || !has(self.cycle.lengthDays) || "
                "self.closeGraceHours <= 24 * self.cycle.lengthDays",
                "closeGraceHours must not be longer than the cycle",
                "'closeGraceHours is %d, longer than the cycle of %d hours: lower it'.format("
                "[self.closeGraceHours, 24 * self.cycle.lengthDays])",
                field_path=".closeGraceHours",
            ),
            Rule(
                "self.sources.all(s, self.closeGraceHours * 3600 >= (has(s.guarantees) && "
                "has(s.guarantees.lagSeconds) ? s.guarantees.lagSeconds : 0) + "
                "(has(s.intervalMinutes) ? 120 * s.intervalMinutes : 0))",
                "closeGraceHours is shorter than a source's lagSeconds plus two of its intervals: "
                "a cycle could never be closed by a poll; raise closeGraceHours or lower "
                "intervalMinutes",
                field_path=".closeGraceHours",
            ),
            Rule(
                "self.combine != 'Same' || self.sources.all(s, "
                "(has(s.identity) ? s.identity : 'product') == "
                "(has(self.sources[0].identity) ? self.sources[0].identity : 'product'))",
                "combine Same needs sources of one identity: without it nobody can be found in two "
                "sources; use combine Union, or give all sources the same identity",
                field_path=".combine",
            ),
        )
    )

    product: Product = Field(
        description="product is the vendor's id of the product. It cannot be changed."
    )
    license: LicenseSource | None = Field(
        default=None,
        description="license says where the vendor's signed licence is found: it brings the "
        "cycle, the maximum and where reports go. Exactly one of license and cycle is given.",
    )
    cycle: CycleTerms | None = Field(
        default=None,
        description="cycle is the billing cycle if there is no licence: counted and shown, not "
        "reported. Exactly one of license and cycle is given.",
    )
    maximum_active_users: Count | None = Field(
        default=None,
        description="maximumActiveUsers is the number of users that is paid for; only with cycle, "
        "since a licence brings its own.",
    )
    close_grace_hours: Annotated[int, Field(ge=1, le=168)] = Field(
        default=24,
        description="closeGraceHours is how long after a cycle's end the operator keeps trying to "
        "read what is needed to close it: at least the lag and two intervals of every source, at "
        "most the length of the cycle.",
    )
    combine: Combine = Field(
        default="Union",
        description="combine says what several sources are: Union (each holds users of its own; "
        "whoever is in any of them counts once) or Same (they observe the same "
        "activity, like a list and a log).",
    )
    sources: tuple[Source, ...] = Field(
        min_length=1,
        max_length=8,
        json_schema_extra=map_list("name"),
        description="sources are the places where activity is read, 1 to 8.",
    )
    reporting: Reporting | None = Field(
        default=None, description="reporting says how reports reach the vendor."
    )
    suspend: Suspend = Field(
        default="None",
        description="suspend is None or Reporting: with Reporting no report is made or sent until "
        "it is set back. Counting never stops.",
    )


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
    report: Annotated[str, Field(min_length=1, max_length=253)] | None = Field(
        default=None, description="report is the name of the UsageReport that states this cycle."
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
        description="provisionedUsers is how many users the product lists, less the excluded; "
        "absent if unknown.",
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
        description="conditions are Ready, Reconciling, Stalled, Collected, Reported, Licensed and "
        "WithinEntitlement, each with a reason and a message that names the fix.",
    )


class LicenseUsage(ApiModel):
    """One product's usage: what the user wants and what is known."""

    api_version: str = ""
    kind: str = "LicenseUsage"
    metadata: ObjectMeta
    spec: LicenseUsageSpec = Field(
        description="spec is what is counted, where, and for which cycle."
    )
    status: LicenseUsageStatus | None = Field(
        default=None,
        description="status is the current number and how it came about; written by the operator "
        "only. It never names a person.",
    )

    @property
    def key(self) -> str:
        """``namespace/name``, for messages."""
        return f"{self.metadata.namespace}/{self.metadata.name}"
