"""LicenseUsage: the product to count, its billing cycle, and where activity is read."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from licenseusage.api.model import (
    ApiModel,
    Count,
    Date,
    ObjectMeta,
    Percent,
    Rule,
    SecretKey,
    SecretName,
    map_list,
    rules,
    set_list,
)
from licenseusage.api.source import Source
from licenseusage.api.status import LicenseUsageStatus

Combine = Literal["Union", "Same"]
Disclosure = Literal["Sent", "Withheld"]
Retention = Literal["Kept", "Dropped"]
Suspend = Literal["None", "Reporting"]
ReportingMode = Literal["Online", "Export"]
Approval = Literal["Automatic", "Manual"]


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


ReportDigest = Annotated[
    str,
    Field(
        max_length=71,
        json_schema_extra=rules(
            Rule(
                "self.matches('^sha256:[0-9a-f]{64}$')",
                "must be sha256: and 64 hexadecimal digits in lower case, as the condition "
                "Reported names it",
            )
        ),
    ),
]


class LicenseSecretRef(ApiModel):
    """The Secret that holds the licence."""

    name: SecretName = Field(
        description="name is the name of a Secret in the namespace of this object."
    )
    key: SecretKey = Field(
        default="license.jwt",
        description="key is the key in the Secret under which the licence is stored.",
    )


class LicenseSource(ApiModel):
    """Reference to the vendor's licence."""

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
        description="mode is Online (the operator sends reports to the address that the licence "
        "names) or Export (nothing is sent: reports wait until `licenseusage report export` writes "
        "them into a file that somebody carries to the vendor). Without an address it is always "
        "Export. It can be changed at any time.",
    )
    approval: Approval = Field(
        default="Automatic",
        description="approval is Automatic (signed reports are sent or exported) or Manual (each "
        "of them is held until somebody approves it with `kubectl licenseusage approve`, which "
        "takes the right to patch UsageReports). It can be changed at any time.",
    )
    interims: Disclosure = Field(
        default="Sent",
        description="interims is Sent or Withheld: whether reports are made while a cycle runs. "
        "Withheld works where the licence says that interim reports are optional; finals and "
        "amendments are always made.",
    )
    adopt_head: ReportDigest | None = Field(
        default=None,
        description="adoptHead is the digest (sha256:...) of a signed report. While the chain of "
        "reports is stopped because its history was lost or contradicted, it allows the operator "
        "to go on behind that report, and to set aside what is not in its history. It is used "
        "once; afterwards it has no effect and can be removed.",
    )


class Privacy(ApiModel):
    """What reports to the vendor leave out, and what the ledger keeps of a person."""

    daily_counts: Disclosure = Field(
        default="Sent",
        description="dailyCounts is Sent or Withheld: whether reports state the number of active "
        "users of each day.",
    )
    provisioned_count: Disclosure = Field(
        default="Sent",
        description="provisionedCount is Sent or Withheld: whether reports state how many users "
        "the product lists.",
    )
    daily_facts: Retention = Field(
        default="Kept",
        description="dailyFacts is Kept or Dropped: whether the ledger keeps, under a pseudonym, "
        "on which days of a cycle somebody was active. Dropped removes what is kept, for good, and "
        "keeps only that somebody was active in the cycle. The number stays; the numbers of each "
        "day and the forecast go. Kept again acts from the next cycle.",
    )


class LicenseUsageSpec(ApiModel):
    """The configuration that the user writes."""

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
                "!has(self.reporting) || !has(self.reporting.adoptHead) || has(self.license)",
                "reporting.adoptHead goes with license only: without a licence there is no report",
                reason="FieldValueForbidden",
                field_path=".reporting",
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
                "self.sources.all(s, !(has(s.count) || has(s.prometheus)) || self.sources.all(t, "
                "t.name == s.name || !(has(t.count) || has(t.prometheus))))",
                "two sources state numbers (count, prometheus), and numbers cannot be added: the "
                "same people may be in both; keep one of them",
                reason="FieldValueForbidden",
                field_path=".sources",
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
        description="license refers to the vendor's signed licence. The licence sets the cycle, "
        "the maximum and the address for reports. Give exactly one of license and cycle.",
    )
    cycle: CycleTerms | None = Field(
        default=None,
        description="cycle is the billing cycle if there is no licence. Users are then counted "
        "and shown, but not reported. Give exactly one of license and cycle.",
    )
    maximum_active_users: Count | None = Field(
        default=None,
        description="maximumActiveUsers is the number of users that is paid for. Use it only with "
        "cycle; a licence has its own maximum.",
    )
    warn_at_percent: tuple[Percent, ...] | None = Field(
        default=None,
        max_length=8,
        json_schema_extra=set_list(),
        description="warnAtPercent lists the parts of the maximum, in percent from 1 to 200, at "
        "which WithinEntitlement warns: once per cycle, as soon as the proved number of active "
        "users reaches them. The default is 80, 90 and 100; an empty list warns only when the "
        "maximum is exceeded.",
    )
    close_grace_hours: Annotated[int, Field(ge=1, le=168)] = Field(
        default=24,
        description="closeGraceHours is how long after a cycle's end the operator keeps trying to "
        "read the evidence that it needs to close the cycle. At least the lag plus two intervals "
        "of every source, at most the length of the cycle.",
    )
    combine: Combine = Field(
        default="Union",
        description="combine describes how several sources relate: Union (each has its own users; "
        "a user who appears in several sources counts once) or Same (all observe the same "
        "activity, like a list and a log).",
    )
    sources: tuple[Source, ...] = Field(
        min_length=1,
        max_length=8,
        json_schema_extra=map_list("name"),
        description="sources are the places where activity is read, 1 to 8.",
    )
    reporting: Reporting | None = Field(
        default=None, description="reporting sets how reports reach the vendor."
    )
    privacy: Privacy | None = Field(
        default=None,
        description="privacy chooses what later reports leave out, and what the ledger keeps of a "
        "person. It is no change of the rules, and reports that were signed before stay as they "
        "are.",
    )
    suspend: Suspend = Field(
        default="None",
        description="suspend is None or Reporting. While it is Reporting, no report is made or "
        "sent. Counting never stops.",
    )


class LicenseUsage(ApiModel):
    """One product's usage: its configuration (spec) and its current number (status)."""

    api_version: str = ""
    kind: str = "LicenseUsage"
    metadata: ObjectMeta
    spec: LicenseUsageSpec = Field(
        description="spec says which product is counted, where its activity is read, and in which "
        "cycle."
    )
    status: LicenseUsageStatus | None = Field(
        default=None,
        description="status is the current number and its evidence. Only the operator writes it. "
        "It never identifies a person.",
    )

    @property
    def key(self) -> str:
        """``namespace/name``, for messages."""
        return f"{self.metadata.namespace}/{self.metadata.name}"
