"""What the status of a UsageReceipt says: a result for each receipt, and the conditions. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from licenseusage.api.conditions import Condition, ReceiptConditionType
from licenseusage.api.usagereceipt import ReceiptResult, ReceiptStatus, UsageReceiptStatus
from licenseusage.controller.rules.conditions import Status, Verdict, condition, cut
from licenseusage.errors import Failure
from licenseusage.reasons import Reason
from licenseusage.reports.names import digest
from licenseusage.reports.receipt import ReceiptVerdict

GET_AGAIN = "Get the vendor's receipts file again, and import it as it is."
FIXES = {
    Reason.RECEIPT_MISMATCH: "The vendor holds another document at this position: ask the vendor.",
    Reason.AUDIENCE_MISMATCH: "Apply it in the cluster of the installation that it names.",
    Reason.KEY_REVOKED: "Ask the vendor for a receipt that a valid key has signed.",
    Reason.KEY_NOT_PERMITTED: "Ask the vendor for a receipt that a key for receipts has signed.",
}
"""What to do about a receipt that is refused for a reason that others give, too."""


class Standing(Enum):
    """What became of a receipt, the worst first."""

    INVALID = auto()
    """It cannot be verified, or is none for a document of this namespace."""
    UNVERIFIABLE = auto()
    """It cannot be verified now: a key is missing."""
    CONTRADICTED = auto()
    """It is verified, and contradicts an earlier one."""
    WAITING = auto()
    """It is verified, and its document is not there."""
    USED = auto()
    """The ledger has what it says."""


@dataclass(frozen=True, slots=True)
class ImportedReceipt:
    """One receipt of a UsageReceipt and what became of it.

    Attributes:
        token: The receipt, as it stands in the object.
        standing: What became of it.
        result: For the status.
        subject: ``jti`` of the document that it acknowledges; None: it cannot be read.
        reason: None: an accepted document and nothing to add.
        message: For people, with the fix.
        needs_a_person: It stays so until somebody acts.
    """

    token: str
    standing: Standing
    result: ReceiptResult
    subject: str | None = None
    reason: str | None = None
    message: str | None = None
    needs_a_person: bool = False


def compose(
    receipts: Sequence[ImportedReceipt],
    previous: Sequence[Mapping[str, Any]],
    generation: int,
    now_ms: int,
) -> dict[str, Any]:
    """Return the whole status as JSON.

    Args:
        receipts: In the order of the spec.
        previous: The live object's conditions.
        generation: Generation of the spec that was looked at.
        now_ms: The reconcile's one time.
    """
    used = [receipt for receipt in receipts if receipt.standing is Standing.USED]
    return UsageReceiptStatus(
        observed_generation=generation,
        total=len(receipts),
        accepted=sum(receipt.result == ReceiptVerdict.ACCEPTED.value for receipt in used),
        receipts=tuple(_result(receipt) for receipt in receipts) or None,
        conditions=_conditions(_verdicts(receipts), previous, generation, now_ms),
    ).to_object()


def halted(
    live: Mapping[str, Any],
    problem: Failure,
    previous: Sequence[Mapping[str, Any]],
    generation: int,
    now_ms: int,
) -> dict[str, Any]:
    """Return the live status with the reason why nothing could be read or written.

    What the status says of single receipts stands: the ledger keeps what it had.

    Args:
        live: The status as it is.
        problem: Why.
        previous: The live object's conditions.
        generation: Generation of the spec that was looked at.
        now_ms: The reconcile's one time.
    """
    failed = Verdict.failed(problem)
    summary = (
        ReceiptConditionType.STALLED if problem.needs_a_person else ReceiptConditionType.RECONCILING
    )
    shown = {
        ReceiptConditionType.READY: failed,
        summary: Verdict(Status.TRUE, failed.reason, failed.message),
        ReceiptConditionType.VERIFIED: Verdict(Status.UNKNOWN, failed.reason, failed.message),
    }
    conditions = _conditions(shown, previous, generation, now_ms)
    return {
        **live,
        "observedGeneration": generation,
        "conditions": [shown_condition.to_object() for shown_condition in conditions],
    }


def _verdicts(receipts: Sequence[ImportedReceipt]) -> dict[ReceiptConditionType, Verdict]:
    """Return the conditions that are present, with what they say."""
    worst = min(receipts, key=lambda receipt: receipt.standing.value, default=None)
    if worst is None or worst.standing is Standing.USED:
        good = Verdict(Status.TRUE, Reason.RECEIPTS_IMPORTED, _summary(receipts))
        return {ReceiptConditionType.READY: good, ReceiptConditionType.VERIFIED: good}
    reason, message = str(worst.reason), _about(worst, receipts)
    shown = {ReceiptConditionType.READY: Verdict(Status.FALSE, reason, message)}
    summary = (
        ReceiptConditionType.STALLED if worst.needs_a_person else ReceiptConditionType.RECONCILING
    )
    shown[summary] = Verdict(Status.TRUE, reason, message)
    if worst.standing in (Standing.INVALID, Standing.UNVERIFIABLE):
        verified = Verdict(Status.FALSE, reason, message)
    elif worst.standing is Standing.WAITING:
        verified = Verdict(Status.UNKNOWN, reason, message)
    else:
        verified = Verdict(Status.TRUE, Reason.RECEIPTS_IMPORTED, _summary(receipts))
    shown[ReceiptConditionType.VERIFIED] = verified
    return shown


def _summary(receipts: Sequence[ImportedReceipt]) -> str:
    """Return how many receipts there are, and how many of them say what."""
    counts = Counter(str(receipt.result).lower() for receipt in receipts)
    parts = [f"{count} {result}" for result, count in counts.items()]
    verb = "receipt is" if len(receipts) == 1 else "receipts are"
    return f"{len(receipts)} {verb} verified and in the ledger: {', '.join(parts)}."


def _about(receipt: ImportedReceipt, receipts: Sequence[ImportedReceipt]) -> str:
    """Return what is wrong with a receipt, which one it is, and how many others are like it."""
    number = receipts.index(receipt) + 1
    same = sum(other.reason == receipt.reason for other in receipts) - 1
    others = f" ({same} more likewise.)" if same else ""
    of = f" of {len(receipts)}" if len(receipts) > 1 else ""
    subject = f" (for {receipt.subject})" if receipt.subject else ""
    return f"Receipt {number}{of}{subject}: {receipt.message}{others}"


def _result(receipt: ImportedReceipt) -> ReceiptStatus:
    return ReceiptStatus(
        digest=digest(receipt.token),
        subject=receipt.subject,
        result=receipt.result,
        reason=receipt.reason,
        message=cut(receipt.message) if receipt.message else None,
    )


def _conditions(
    shown: Mapping[ReceiptConditionType, Verdict],
    previous: Sequence[Mapping[str, Any]],
    generation: int,
    now_ms: int,
) -> tuple[Condition, ...]:
    before = {str(c.get("type")): c for c in previous}
    return tuple(
        Condition.model_validate(
            condition(str(kind), shown[kind], before.get(str(kind)), generation, now_ms)
        )
        for kind in ReceiptConditionType
        if kind in shown
    )
