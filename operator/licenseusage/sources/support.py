"""The best accuracy that a source can support, given its guarantees and one poll."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from licenseusage.chain import first_answer
from licenseusage.metering.bounds import Accuracy
from licenseusage.metering.properties import Removal
from licenseusage.reasons import Reason
from licenseusage.sources.definition import windowed
from licenseusage.sources.definition.attainable import attainable
from licenseusage.sources.definition.model import EffectiveSource
from licenseusage.sources.poll import PollResult

_HEALED_BY_CLOSING = {Reason.CANNOT_OVERLAP}
"""Not complete by one pass; a closing poll reads the list again and may be."""


@dataclass(frozen=True, slots=True)
class Support:
    """The best accuracy (MEASUREMENT §2) of a cycle's count, and why it is not better."""

    accuracy: Accuracy
    why: str


Rule: TypeAlias = Callable[[EffectiveSource, PollResult], Support | None]


def supported(
    source: EffectiveSource, result: PollResult, days: int = windowed.USUAL_DAYS
) -> Support:
    """Judge one source by one poll: the first rule that limits it says how and why.

    Args:
        source: The source.
        result: One poll of it.
        days: Length of the cycle; what a window proves depends on it.
    """
    limit = first_answer(LIMITS, source, result)
    if limit is None and _windowed(source):
        return _by_window(source, days)
    return limit or _exact(
        "unless somebody new is seen first after the cycle's end; then bounded by those few"
    )


def _by_window(source: EffectiveSource, days: int) -> Support:
    """A number or a list without times proves as much as its window (MEASUREMENT §4, §5)."""
    best, words = attainable(source, days)
    first, *others = words
    return Support(best, " ".join([first.partition(": ")[2], *others]).removesuffix("."))


def poll_failed(source: EffectiveSource, result: PollResult) -> Support | None:
    """Nothing is known of the source."""
    if result.failure is None:
        return None
    return Support(Accuracy.UNKNOWN, "the poll failed")


def log_proves_what_was_read(source: EffectiveSource, result: PollResult) -> Support | None:
    """Events that a log lost are missing in their cycles only; later cycles can be exact."""
    if not source.reads_log:
        return None
    if any(reading.holes for reading in result.readings.values()):
        return _lower_bound(
            "part of this cycle was lost before it was read (see below); a cycle that is read from "
            "its start on, before the log forgets any of it, can be exact"
        )
    return _exact("for a cycle that is read to its end before the log forgets any of it")


def users_vanish_unseen(source: EffectiveSource, result: PollResult) -> Support | None:
    """Whoever is removed may have been active after the last poll."""
    if source.guarantees.removal is not Removal.UNKNOWN or _windowed(source):
        return None
    return _lower_bound(
        "users may be removed unseen (guarantees.removal Unknown); declare Never only if the "
        "product keeps listing those it deactivates"
    )


def only_the_active_are_listed(source: EffectiveSource, result: PollResult) -> Support | None:
    """Whoever is removed is not missed where he was not asked for."""
    if not (_lists_once(source) and source.http.names("cycle")):
        return None
    return _lower_bound(
        "users may be removed (guarantees.removal ListedOnce), and the request lists only "
        "those active in the cycle; ask for everybody, so that those who vanish are noticed"
    )


def renamed_look_removed(source: EffectiveSource, result: PollResult) -> Support | None:
    """Whoever gets another id vanishes under the old one."""
    if not _lists_once(source) or result.ids_stable:
        return None
    return _lower_bound(
        "users may be removed (guarantees.removal ListedOnce), and ids may be renamed, so that "
        "those who vanish cannot be told from those renamed"
    )


def list_is_incomplete(source: EffectiveSource, result: PollResult) -> Support | None:
    """The list proves nothing about those it does not name, or only if it is read twice."""
    if result.incomplete is None:
        return None
    if result.incomplete.reason not in _HEALED_BY_CLOSING:
        return _lower_bound(result.incomplete.message)
    if _windowed(source):
        return None
    return _exact(
        "only if the list is the same in two readings at the cycle's end; else a lower bound"
    )


def removed_users_are_missed(source: EffectiveSource, result: PollResult) -> Support | None:
    """Everybody was listed once: those who vanish bound the number from above."""
    if not _lists_once(source):
        return None
    return _exact(
        "in a cycle that was read from before its start on, at least daily; people who are "
        "removed within it make an upper bound of it"
    )


def activity_is_hidden(source: EffectiveSource, result: PollResult) -> Support | None:
    """The product does not record every activity."""
    hidden = source.guarantees.hidden_seconds
    if not hidden or _windowed(source):
        return None
    return Support(
        Accuracy.BOUNDED,
        f"activity within {hidden} s after a shown one is not recorded, so "
        "those last seen just before the cycle are uncertain",
    )


LIMITS: tuple[Rule, ...] = (
    poll_failed,
    log_proves_what_was_read,
    users_vanish_unseen,
    only_the_active_are_listed,
    renamed_look_removed,
    list_is_incomplete,
    removed_users_are_missed,
    activity_is_hidden,
)


def _windowed(source: EffectiveSource) -> bool:
    """Whether the product chooses a span of time: then its window decides, and not who stays."""
    return source.states_number or source.window is not None


def _lists_once(source: EffectiveSource) -> bool:
    return source.guarantees.removal is Removal.LISTED_ONCE


def _lower_bound(why: str) -> Support:
    return Support(Accuracy.LOWER_BOUND, why)


def _exact(why: str) -> Support:
    return Support(Accuracy.EXACT, why)
