"""The conditions of a LicenseUsage: types with their polarity, and the vocabulary of reasons.

``Ready``, ``Reconciling`` and ``Stalled`` are those of kstatus (Flux, Argo CD, ``kubectl wait``);
the others say which step is meant. No condition ever stops a step: ``Stalled`` is a summary, not a
gate.

Reasons are CamelCase tokens and part of the API; the vocabulary may grow. Errors carry their own
reason (:mod:`licenseusage.errors`), among them the error classes of REPORT_FORMAT §12.
"""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from licenseusage.api.model import ApiModel, Time

ConditionStatus = Literal["True", "False", "Unknown"]


class ConditionType(StrEnum):
    """The condition types of a LicenseUsage, in the order in which they are shown."""

    READY = "Ready"
    """Positive polarity, always present: the spec is valid, the last poll of every source
    succeeded within two intervals, and ``Licensed`` is not False. A vendor's outage or an overage
    never make it False."""

    RECONCILING = "Reconciling"
    """Abnormal-true, absent when false: the operator is working towards the current spec, or
    retries (reason ``ProgressingWithRetry``)."""

    STALLED = "Stalled"
    """Abnormal-true, absent when false: a person must act (bad spec, missing Secret, invalid key).
    The other steps go on."""

    COLLECTED = "Collected"
    """Positive polarity, present from the first poll: the last poll of every source succeeded."""

    GUARANTEES_HOLD = "GuaranteesHold"
    """Positive polarity, absent while nothing was ever refuted: what the product answers agrees
    with what the sources declare. False takes away what rests on the false guarantee; counting goes
    on, and ``Ready`` does not change."""

    REPORTED = "Reported"
    """Positive polarity, absent without a licence: what was due has been accepted by the vendor."""

    LICENSED = "Licensed"
    """Positive polarity, absent with ``spec.cycle``: the licence is readable, verified and in
    force. Metering goes on without it, on the last verified terms."""

    WITHIN_ENTITLEMENT = "WithinEntitlement"
    """Positive polarity, absent without a maximum: the count is at most the entitlement."""


class Reason(StrEnum):
    """Reasons of conditions that come from the operator's own decisions."""

    # Ready, Reconciling, Stalled
    SUCCEEDED = "Succeeded"
    """Ready=True: everything that was due has been done."""
    PROGRESSING = "Progressing"
    """Reconciling=True: the current spec has not been acted upon yet."""
    PROGRESSING_WITH_RETRY = "ProgressingWithRetry"
    """Reconciling=True: a transient failure, tried again by itself."""
    INVALID_SPEC = "InvalidSpec"
    """Stalled=True: a member of the spec, its value and the fix are in the message."""
    INVALID_SOURCE = "InvalidSource"
    """Stalled=True: a source, merged with its preset, cannot be read that way."""
    UNKNOWN_PRESET = "UnknownPreset"
    """Stalled=True: no preset has this name."""
    SECRET_NOT_FOUND = "SecretNotFound"  # noqa: S105
    """Stalled=True: a Secret that the spec names does not exist."""
    SECRET_KEY_MISSING = "SecretKeyMissing"  # noqa: S105
    """Stalled=True: a Secret that the spec names lacks a key."""
    SECRET_NOT_CREDENTIALS = "SecretNotCredentials"  # noqa: S105
    """Stalled=True: a Secret was not made to be sent to a product; the message shows how its owner
    permits it."""
    FORBIDDEN_BY_CLUSTER = "ForbiddenByCluster"
    """Stalled=True: the operator may not read pods or Secrets here; the message shows the
    RoleBinding."""
    INTERNAL_ERROR = "InternalError"
    """Ready=False: a defect of the operator; the message has the id that finds it in the log."""

    # Collected
    POLL_SUCCEEDED = "PollSucceeded"
    """Collected=True."""
    NOT_COLLECTED_YET = "NotCollectedYet"
    """Collected=Unknown: no poll has ended yet."""
    NO_READY_PODS = "NoReadyPods"
    """Collected=False: the selector matches no pod that is Ready."""
    STALE = "Stale"
    """Collected=False: the last success is more than two intervals ago."""

    # GuaranteesHold
    GUARANTEE_REFUTED = "GuaranteeRefuted"
    """GuaranteesHold=False: what was seen contradicts a guarantee of a source; the message names
    it, what was seen and what to do."""

    # Licensed
    LICENSE_VALID = "LicenseValid"
    """Licensed=True."""
    LICENSE_NOT_FOUND = "LicenseNotFound"
    """Licensed=False: the Secret or its key is missing."""
    CYCLE_UNSUPPORTED = "CycleUnsupported"
    """Licensed=False: cycles of more than 62 days are not resolved (MEASUREMENT §0)."""

    # Reported
    REPORT_ACCEPTED = "ReportAccepted"
    """Reported=True: the newest report that was due has a verified receipt."""
    NOTHING_DUE = "NothingDue"
    """Reported=True: no report has been due yet."""
    DELIVERY_PENDING = "DeliveryPending"
    """Reported=False: a report is on its way."""
    OFFLINE = "Offline"
    """Reported=False: the licence names no endpoint."""
    IDENTITY_LOST = "IdentityLost"
    """Reported=False: the identity's Secret is gone although reports exist; never replaced
    silently."""

    # WithinEntitlement
    WITHIN_MAXIMUM = "WithinMaximum"
    """WithinEntitlement=True."""
    MAXIMUM_EXCEEDED = "MaximumExceeded"
    """WithinEntitlement=False: at least this many were active."""
    COUNT_UNKNOWN = "CountUnknown"
    """WithinEntitlement=Unknown: nothing is known about the count yet."""


class Condition(ApiModel):
    """One condition, as everywhere in Kubernetes (KEP-1623)."""

    type: Annotated[str, Field(min_length=1, max_length=64)] = Field(
        description="type is the name of the condition, such as Ready or Collected."
    )
    status: ConditionStatus = Field(description="status is True, False or Unknown.")
    observed_generation: Annotated[int, Field(ge=0)] | None = Field(
        default=None,
        description="observedGeneration is the generation of the object to which the condition "
        "belongs.",
    )
    last_transition_time: Time = Field(
        description="lastTransitionTime is the time when status last changed (RFC 3339)."
    )
    reason: Annotated[str, Field(min_length=1, max_length=64)] = Field(
        description="reason is a CamelCase word for machines that says why the condition has this "
        "status."
    )
    message: Annotated[str, Field(max_length=2048)] = Field(
        description="message says for people which object is affected, what was seen and how to "
        "fix it."
    )
