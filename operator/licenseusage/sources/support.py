"""What a source can support at best, given what it promises and what a poll found."""

from dataclasses import dataclass

from licenseusage.metering.bounds import Accuracy
from licenseusage.sources.definition import EffectiveSource
from licenseusage.sources.failures import Reason
from licenseusage.sources.poll import PollResult

_HEALED_BY_CLOSING = {Reason.CANNOT_OVERLAP}
"""Not complete by one pass; a closing poll reads the list again and may be."""


@dataclass(frozen=True, slots=True)
class Support:
    """The best accuracy (MEASUREMENT §2) of a cycle's count, and why it is not better."""

    accuracy: Accuracy
    why: str


def supported(source: EffectiveSource, result: PollResult) -> Support:
    """Judge one source by one poll."""
    if result.failure is not None:
        return Support(Accuracy.UNKNOWN, "the poll failed")
    promised = source.guarantees
    if promised.removal != "Never":
        return Support(
            Accuracy.LOWER_BOUND,
            f"users may be removed unseen (guarantees.removal {promised.removal}); declare Never "
            "only if the product keeps listing those it deactivates",
        )
    incomplete = result.incomplete
    if incomplete is not None and incomplete.reason not in _HEALED_BY_CLOSING:
        return Support(Accuracy.LOWER_BOUND, incomplete.message)
    if incomplete is not None:
        return Support(
            Accuracy.EXACT,
            "only if the list is the same in two readings at the cycle's end; else a lower bound",
        )
    if promised.hidden_seconds:
        return Support(
            Accuracy.BOUNDED,
            f"activity within {promised.hidden_seconds} s after a shown one is not recorded, so "
            "those last seen just before the cycle are uncertain",
        )
    return Support(
        Accuracy.EXACT,
        "unless somebody new is seen first after the cycle's end; then bounded by those few",
    )
