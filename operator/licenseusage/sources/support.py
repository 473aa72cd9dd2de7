"""What a source can support at best, given what it promises and what a poll found."""

from dataclasses import dataclass

from licenseusage.metering.bounds import Accuracy
from licenseusage.sources.definition.model import EffectiveSource
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
    if source.reads_log:
        return _of_log(result)
    promised = source.guarantees
    if promised.removal == "Unknown":
        return Support(
            Accuracy.LOWER_BOUND,
            "users may be removed unseen (guarantees.removal Unknown); declare Never only if the "
            "product keeps listing those it deactivates",
        )
    if promised.removal == "ListedOnce" and source.http.names("cycle"):
        return Support(
            Accuracy.LOWER_BOUND,
            "users may be removed (guarantees.removal ListedOnce), and the request lists only "
            "those active in the cycle; ask for everybody, so that those who vanish are noticed",
        )
    if promised.removal == "ListedOnce" and not result.ids_stable:
        return Support(
            Accuracy.LOWER_BOUND,
            "users may be removed (guarantees.removal ListedOnce), and ids may be renamed, so that "
            "those who vanish cannot be told from those renamed",
        )
    incomplete = result.incomplete
    if incomplete is not None and incomplete.reason not in _HEALED_BY_CLOSING:
        return Support(Accuracy.LOWER_BOUND, incomplete.message)
    if incomplete is not None:
        return Support(
            Accuracy.EXACT,
            "only if the list is the same in two readings at the cycle's end; else a lower bound",
        )
    if promised.removal == "ListedOnce":
        return Support(
            Accuracy.EXACT,
            "in a cycle that was read from before its start on, at least daily; people who are "
            "removed within it make an upper bound of it",
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


def _of_log(result: PollResult) -> Support:
    """What was lost of a log is lost for the cycles concerned; later ones can be exact."""
    lost = any(reading.holes for reading in result.readings.values())
    if lost:
        return Support(
            Accuracy.LOWER_BOUND,
            "part of this cycle was lost before it was read (see below); a cycle that is read from "
            "its start on, at least as often as the stream forgets, can be exact",
        )
    return Support(
        Accuracy.EXACT,
        "for a cycle that is read to its end before the stream forgets any of it",
    )
