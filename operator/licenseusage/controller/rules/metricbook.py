"""Every metric of the operator: its name, type, labels and meaning; docs/metrics.md is made of it.

No label is called ``namespace``, ``pod``, ``container``, ``service``, ``endpoint``, ``job`` or
``instance``: a scraper sets these to what it scrapes, which is the operator's pod. No label names a
person.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from licenseusage.api.conditions import ConditionType
from licenseusage.ledger.documents.records import Delivery


class Kind(StrEnum):
    """What a scraper calls the type of a metric."""

    GAUGE = "gauge"
    COUNTER = "counter"
    HISTOGRAM = "histogram"


class Per(StrEnum):
    """What the number of series grows with."""

    OPERATOR = "operator"
    OBJECT = "LicenseUsage"
    SOURCE = "source"
    REASON = "reason that occurred"


@dataclass(frozen=True, slots=True, eq=False)
class Family:
    """One metric.

    Attributes:
        name: As it is exposed; that of a counter ends with ``_total``.
        kind: Its type.
        meaning: One sentence, which the exposition shows as its help.
        labels: Its labels, in the order in which their values are given.
        per: What the number of its series grows with.
        at_most: How many series there are for each of that, at most.
    """

    name: str
    kind: Kind
    meaning: str
    labels: tuple[str, ...] = ()
    per: Per = Per.OBJECT
    at_most: int = 1


OBJECT: Final = ("usage_namespace", "name")

LABELS: Final = {
    "usage_namespace": "the namespace of the LicenseUsage",
    "name": "the name of the LicenseUsage",
    "source": "`spec.sources[].name`",
    "bound": "`lower` and `upper`; of a forecast `low`, `expected` and `high`",
    "percent": "a part of the maximum, of `spec.warnAtPercent`",
    "state": "a delivery state: " + ", ".join(f"`{state}`" for state in Delivery),
    "type": "the type of a condition: " + ", ".join(f"`{kind}`" for kind in ConditionType),
    "status": "`True`, `False` or `Unknown`",
    "reason": "a word of [reasons.md](reasons.md); empty where nothing is wrong",
    "result": "how it ended; the meaning of the metric names the words",
    "version": "the operator's version",
}

ACTIVE = Family(
    "licenseusage_active_users",
    Kind.GAUGE,
    "Distinct active users of the running cycle so far; a bound that is not known is missing.",
    (*OBJECT, "bound"),
    at_most=2,
)
PROVISIONED = Family(
    "licenseusage_provisioned_users", Kind.GAUGE, "Users that the product lists.", OBJECT
)
MAXIMUM = Family(
    "licenseusage_maximum_active_users",
    Kind.GAUGE,
    "How many active users are paid for in the running cycle.",
    OBJECT,
)
REACHED = Family(
    "licenseusage_threshold_reached",
    Kind.GAUGE,
    "1 if the running cycle has reached this part of the maximum, else 0.",
    (*OBJECT, "percent"),
    at_most=8,
)
FORECAST = Family(
    "licenseusage_forecast_active_users",
    Kind.GAUGE,
    "What the running cycle may end with, from earlier cycles; nothing is proved.",
    (*OBJECT, "bound"),
    at_most=3,
)
CYCLE_END = Family(
    "licenseusage_cycle_end_timestamp_seconds",
    Kind.GAUGE,
    "When the running cycle ends, in seconds since 1970.",
    OBJECT,
)
LICENSE_EXPIRY = Family(
    "licenseusage_license_expiry_timestamp_seconds",
    Kind.GAUGE,
    "Until when the licence that applies is valid, in seconds since 1970.",
    OBJECT,
)
EXPORT_DUE = Family(
    "licenseusage_export_due_timestamp_seconds",
    Kind.GAUGE,
    "By when the vendor has to have the oldest final that waits for an export, in seconds since "
    "1970.",
    OBJECT,
)
APPROVAL_DUE = Family(
    "licenseusage_approval_due_timestamp_seconds",
    Kind.GAUGE,
    "By when the vendor has to have the first report that waits for approval, in seconds since "
    "1970.",
    OBJECT,
)
AGE = Family(
    "licenseusage_collection_age_seconds",
    Kind.GAUGE,
    "Time since the last successful poll; before the first, since the object was created.",
    (*OBJECT, "source"),
    per=Per.SOURCE,
)
LAST_SUCCESS = Family(
    "licenseusage_collection_last_success_timestamp_seconds",
    Kind.GAUGE,
    "When the last successful poll ended, in seconds since 1970; missing before the first.",
    (*OBJECT, "source"),
    per=Per.SOURCE,
)
REFUTED = Family(
    "licenseusage_guarantees_refuted",
    Kind.GAUGE,
    "How many declared guarantees of the sources the product's answers refuted.",
    OBJECT,
)
OUTBOX = Family(
    "licenseusage_outbox_reports",
    Kind.GAUGE,
    "Reports by delivery state.",
    (*OBJECT, "state"),
    at_most=len(Delivery),
)
OUTBOX_AGE = Family(
    "licenseusage_outbox_oldest_age_seconds",
    Kind.GAUGE,
    "Age of the oldest report that was made to be sent and has no verdict of the vendor.",
    OBJECT,
)
CONDITION = Family(
    "licenseusage_condition",
    Kind.GAUGE,
    "1 for each condition that the object has, with its present status and reason.",
    (*OBJECT, "type", "status", "reason"),
    at_most=len(ConditionType),
)
BUILD = Family(
    "licenseusage_build_info",
    Kind.GAUGE,
    "1, with the version that runs.",
    ("version",),
    per=Per.OPERATOR,
)
VOLUME_SIZE = Family(
    "licenseusage_ledger_volume_size_bytes",
    Kind.GAUGE,
    "Size of the volume that the ledger is on; missing where the ledger is no file.",
    per=Per.OPERATOR,
)
VOLUME_AVAILABLE = Family(
    "licenseusage_ledger_volume_available_bytes",
    Kind.GAUGE,
    "What is left on that volume for the operator.",
    per=Per.OPERATOR,
)
LEDGER_SIZE = Family(
    "licenseusage_ledger_size_bytes",
    Kind.GAUGE,
    "Size of the ledger's files; missing where the ledger is no file.",
    per=Per.OPERATOR,
)
COLLECTIONS = Family(
    "licenseusage_collections_total",
    Kind.COUNTER,
    "Polls of sources by result (Success, Partial, Failed) and reason.",
    ("result", "reason"),
    per=Per.REASON,
    at_most=2,
)
COLLECTION_SECONDS = Family(
    "licenseusage_collection_duration_seconds",
    Kind.HISTOGRAM,
    "How long polls took.",
    per=Per.OPERATOR,
    at_most=15,
)
BUCKETS: Final = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
"""Upper limits of `COLLECTION_SECONDS`, in seconds."""

SAVED_BYTES = Family(
    "licenseusage_collection_saved_bytes_total",
    Kind.COUNTER,
    "Bytes of lists that products did not send again, because nothing had changed.",
    per=Per.OPERATOR,
)
PUSHES = Family(
    "licenseusage_push_requests_total",
    Kind.COUNTER,
    "Requests to the intake by result (Taken, Refused) and reason.",
    ("result", "reason"),
    per=Per.REASON,
)
PUSHED_EVENTS = Family(
    "licenseusage_push_events_total",
    Kind.COUNTER,
    "Events in requests that the intake took, by result (Taken, OutsideCycles, NotCounted).",
    ("result",),
    per=Per.OPERATOR,
    at_most=3,
)
DELIVERIES = Family(
    "licenseusage_deliveries_total",
    Kind.COUNTER,
    "Attempts to deliver a document, by result: a delivery state, or a word of reasons.md.",
    ("result",),
    per=Per.REASON,
)
RECONCILES = Family(
    "licenseusage_reconciles_total", Kind.COUNTER, "Looks at an object.", per=Per.OPERATOR
)
RECONCILE_ERRORS = Family(
    "licenseusage_reconcile_errors_total",
    Kind.COUNTER,
    "Failures that nobody foresaw: defects of the operator.",
    per=Per.OPERATOR,
)

BOOK: Final = (
    *(ACTIVE, PROVISIONED, MAXIMUM, REACHED, FORECAST, CYCLE_END, LICENSE_EXPIRY),
    *(AGE, LAST_SUCCESS, REFUTED, OUTBOX, OUTBOX_AGE, EXPORT_DUE, APPROVAL_DUE, CONDITION),
    *(BUILD, VOLUME_SIZE, VOLUME_AVAILABLE, LEDGER_SIZE),
    *(COLLECTIONS, COLLECTION_SECONDS, SAVED_BYTES, PUSHES, PUSHED_EVENTS, DELIVERIES),
    *(RECONCILES, RECONCILE_ERRORS),
)
"""All of them, in the order of docs/metrics.md."""
