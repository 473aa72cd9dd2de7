"""For each alert: series on which it fires, and series that come close and do not.

A case is a healthy installation with some series in the place of others, seven hours later. Times
in seconds are since 1970, at which promtool's clock begins.
"""

from dataclasses import dataclass, field

STEP_MINUTES = 10
STEPS = 42
NOW = STEPS * STEP_MINUTES * 60
DAY = 86_400

USAGE = 'usage_namespace="shop",name="{name}",namespace="licenseusage-system",pod="operator-0"'
OPERATOR = 'namespace="licenseusage-system",pod="operator-0"'


def steady(value: float) -> str:
    """The same value all the time."""
    return f"{value:f}+0x{STEPS}"


def after(steps: int, before: str, then: str) -> str:
    """One value, or ``_`` for none, and another one for the last steps."""
    shape = "{}x{}" if before == "_" else "{}+0x{}"
    return shape.format(before, STEPS - steps) + f" {then}+0x{steps - 1}"


def growing(start: float, hourly: float) -> str:
    """A value that grows, or falls, by so much in an hour."""
    by = hourly * STEP_MINUTES / 60
    return f"{start:f}{by:+f}x{STEPS}"


def of_usage(metric: str, **labels: str) -> str:
    """A series about the object of the case."""
    more = "".join(f',{name}="{value}"' for name, value in labels.items())
    return f"licenseusage_{metric}{{{USAGE}{more}}}"


def of_operator(metric: str) -> str:
    return f"licenseusage_{metric}{{{OPERATOR}}}"


def condition(kind: str, status: str, reason: str) -> str:
    return of_usage("condition", type=kind, status=status, reason=reason)


def due(metric: str, seconds: float) -> dict[str, str]:
    """A time that is so far away from the end of the case."""
    return {of_usage(f"{metric}_timestamp_seconds"): steady(NOW + seconds)}


AGE = of_usage("collection_age_seconds", source="list")
WORKED = of_usage("collection_last_success_timestamp_seconds", source="list")
RECONCILES = of_operator("reconciles_total")
DEFECTS = of_operator("reconcile_errors_total")
SIZE = of_operator("ledger_volume_size_bytes")
FREE = of_operator("ledger_volume_available_bytes")
OLDEST = of_usage("outbox_oldest_age_seconds")
REJECTED = of_usage("outbox_reports", state="Rejected")
REFUTED = of_usage("guarantees_refuted")
ACTIVE = of_usage("active_users", bound="lower")
MAXIMUM = of_usage("maximum_active_users")
EXPIRY = of_usage("license_expiry_timestamp_seconds")

OPERATORS = {
    RECONCILES: growing(0, 60),
    DEFECTS: steady(3),
    SIZE: steady(1e9),
    FREE: steady(8e8),
}
"""What a healthy operator says of itself."""

HEALTHY = {
    AGE: steady(600),
    WORKED: steady(60),
    of_usage("outbox_reports", state="Accepted"): steady(4),
    REFUTED: steady(0),
    ACTIVE: steady(50),
    MAXIMUM: steady(100),
    of_usage("threshold_reached", percent="80"): steady(0),
    EXPIRY: steady(NOW + 90 * DAY),
    condition("Ready", "True", "PollSucceeded"): steady(1),
    condition("Collected", "True", "PollSucceeded"): steady(1),
    condition("Reported", "True", "ReportAccepted"): steady(1),
}
"""What it says of an object with which all is well."""


@dataclass(frozen=True)
class Case:
    """What is other than in a healthy installation, and which alerts fire then.

    Attributes:
        title: What it is about.
        series: Series -> values, beside the healthy ones or in their place.
        without: Healthy series that are missing.
        fires: Alerts, and what their labels ``days`` or ``reason`` say; empty: quiet.
    """

    title: str
    series: dict[str, str] = field(default_factory=dict)
    without: tuple[str, ...] = ()
    fires: frozenset[str] = frozenset()


def fires(*names: str) -> frozenset[str]:
    return frozenset(names)


NEVER = {AGE: growing(0, 3600)}

OF_THE_OPERATOR = (
    Case("healthy"),
    Case("no operator", without=(RECONCILES,), fires=fires("LicenseUsageOperatorAbsent")),
    Case("an operator that is restarted", {RECONCILES: f"0+1x20 _ 0+1x{STEPS - 22}"}),
    Case(
        "a full disk",
        {condition("Ready", "False", "LedgerDiskFull"): steady(1)},
        fires=fires("LedgerUnusable reason=LedgerDiskFull"),
    ),
    Case(
        "a lost key",
        {
            condition("Ready", "False", "PseudonymKeyLost"): steady(1),
            condition("Stalled", "True", "PseudonymKeyLost"): steady(1),
        },
        fires=fires("LedgerUnusable reason=PseudonymKeyLost"),
    ),
    Case("a product that is down", {condition("Ready", "False", "NoReadyPods"): steady(1)}),
    Case("a small volume", {FREE: steady(9e7)}, fires=fires("LedgerVolumeFilling")),
    Case("a volume that fills", {FREE: growing(8e8, -6e7)}, fires=fires("LedgerVolumeFilling")),
    Case("a volume with a fifth free", {FREE: steady(2e8)}),
    Case("a volume that fills slowly", {FREE: growing(4.5e8, -1e6)}),
    Case(
        "keys without backup",
        {condition("KeysExported", "False", "KeysNotExported"): steady(1)},
        fires=fires("KeysWithoutBackup reason=KeysNotExported"),
    ),
    Case(
        "keys without backup for half an hour",
        {condition("KeysExported", "False", "KeysNotExported"): after(3, "_", "1")},
    ),
    Case("a defect", {DEFECTS: after(2, "3", "4")}, fires=fires("OperatorDefect")),
    Case("a defect two hours ago", {DEFECTS: after(12, "3", "4")}),
)
"""Alerts about the operator: each case is an installation of its own."""

OF_OBJECTS = (
    Case("a source that never worked", NEVER, without=(WORKED,), fires=fires("SourceNeverWorked")),
    Case("a source of an hour ago", {AGE: steady(3500)}, without=(WORKED,)),
    Case(
        "an object whose cycle has not begun",
        {**NEVER, condition("Collected", "Unknown", "NotCollectedYet"): steady(1)},
        without=(WORKED, condition("Collected", "True", "PollSucceeded")),
    ),
    Case(
        "a source that works no more",
        {**NEVER, WORKED: steady(0)},
        fires=fires("UsersNotCounted"),
    ),
    Case("a source of five hours ago", {AGE: steady(5 * 3600)}),
    Case("a refuted guarantee", {REFUTED: steady(1)}, fires=fires("GuaranteeRefuted")),
    Case(
        "a person is needed",
        {condition("Stalled", "True", "SecretNotFound"): steady(1)},
        fires=fires("PersonNeeded reason=SecretNotFound"),
    ),
    Case(
        "a person was needed for half an hour",
        {condition("Stalled", "True", "SecretNotFound"): after(3, "_", "1")},
    ),
    Case("a report of two days ago", {OLDEST: steady(2 * DAY)}, fires=fires("ReportNotAccepted")),
    Case("a report of an hour ago", {OLDEST: steady(3600)}),
    Case(
        "a refused report",
        {REJECTED: steady(1), condition("Reported", "False", "CountsInconsistent"): steady(1)},
        fires=fires("ReportRefused"),
    ),
    Case("a refused report that was replaced", {REJECTED: steady(1)}),
    Case(
        "a refused report, while reporting is suspended",
        {REJECTED: steady(1), condition("Reported", "False", "Suspended"): steady(1)},
    ),
    *(
        Case(
            f"a chain that stopped: {reason}",
            {
                condition(kind, "False", reason): steady(1),
                condition("Stalled", "True", reason): steady(1),
            },
            fires=fires(f"ChainStopped reason={reason}"),
        )
        for kind, reason in (
            ("Reported", "LocalHistoryLost"),
            ("Reported", "ChainForked"),
            ("Reported", "ReportConflict"),
            ("Ready", "AdoptHeadUnknown"),
        )
    ),
    Case("a vendor that is away", {condition("Reported", "False", "ConnectionLost"): steady(1)}),
    Case("an export in four days", due("export_due", 4 * DAY), fires=fires("ExportDue")),
    Case("an export that is late", due("export_due", -DAY), fires=fires("ExportDue")),
    Case("an export in six days", due("export_due", 6 * DAY)),
    Case("an approval in two hours", due("approval_due", 7200), fires=fires("ApprovalDue")),
    Case("an approval in two days", due("approval_due", 2 * DAY)),
    *(
        Case(
            f"a licence for {days} days",
            {EXPIRY: steady(NOW + days * DAY)},
            fires=fires(*(f"LicenseExpires days={of}" for of in labels)),
        )
        for days, labels in (
            (31, ()),
            (29, ("30",)),
            (8, ("30",)),
            (6, ("7",)),
            (2, ("7",)),
            (0.9, ("1",)),
            (-3, ("1",)),
        )
    ),
    Case(
        "a threshold",
        {of_usage("threshold_reached", percent="80"): steady(1)},
        fires=fires("EntitlementThresholdReached"),
    ),
    Case("too many users", {ACTIVE: steady(101)}, fires=fires("EntitlementExceeded")),
    Case("as many users as are paid for", {ACTIVE: steady(100)}),
)
"""Alerts about one object: each case is an object beside the others."""
