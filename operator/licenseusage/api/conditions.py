"""The conditions of a LicenseUsage: types with their polarity.

``Ready``, ``Reconciling`` and ``Stalled`` are those of kstatus (Flux, Argo CD, ``kubectl wait``);
the others say which step is meant. No condition ever stops a step: ``Stalled`` is a summary, not a
gate.

Their reasons are members of the one vocabulary (:mod:`licenseusage.reasons`), and part of the API.
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

    COUNTED_ONCE = "CountedOnce"
    """Positive polarity, absent while no other object reports the same product under the same
    contract. Unknown: another one does, and only people know whether it is the same installation.
    False: an object was deleted, and this one reports the same cycle. It changes neither ``Ready``
    nor ``Stalled``."""

    KEYS_EXPORTED = "KeysExported"
    """Positive polarity, absent once the operator's keys were exported, without a licence, and if
    the operator's settings say that they are backed up elsewhere. It changes neither ``Ready`` nor
    ``Stalled``."""


class ReceiptConditionType(StrEnum):
    """The condition types of a UsageReceipt, in the order in which they are shown."""

    READY = "Ready"
    """Positive polarity, always present: the ledger has what every receipt says."""

    RECONCILING = "Reconciling"
    """Abnormal-true, absent when false: a receipt waits for its document, or it is tried again."""

    STALLED = "Stalled"
    """Abnormal-true, absent when false: a person must act (a key is missing, a receipt is wrong).
    The other receipts are used."""

    VERIFIED = "Verified"
    """Positive polarity, always present: the vendor signed every receipt, each for a document of
    this namespace. Unknown while such a document is missing."""


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
        "status. docs/reasons.md says what each word means and what to do."
    )
    message: Annotated[str, Field(max_length=2048)] = Field(
        description="message says for people which object is affected, what was seen and how to "
        "fix it."
    )
