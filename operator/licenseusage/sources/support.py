"""The best accuracy that a source can support, given its guarantees and one poll."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from licenseusage.chain import first_answer
from licenseusage.metering.bounds import Accuracy
from licenseusage.metering.properties import Removal
from licenseusage.reasons import Reason
from licenseusage.sources.definition.model import DAY_MS, EffectiveSource
from licenseusage.sources.poll import PollResult

_HEALED_BY_CLOSING = {Reason.CANNOT_OVERLAP}
"""Not complete by one pass; a closing poll reads the list again and may be."""


@dataclass(frozen=True, slots=True)
class Support:
    """The best accuracy (MEASUREMENT §2) of a cycle's count, and why it is not better."""

    accuracy: Accuracy
    why: str


Rule: TypeAlias = Callable[[EffectiveSource, PollResult], Support | None]


def supported(source: EffectiveSource, result: PollResult) -> Support:
    """Judge one source by one poll: the first rule that limits it says how and why."""
    return first_answer(LIMITS, source, result) or _exact(
        "unless somebody new is seen first after the cycle's end; then bounded by those few"
    )


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


def number_names_nobody(source: EffectiveSource, result: PollResult) -> Support | None:
    """A number proves as much as the window that it is about (MEASUREMENT §5)."""
    number = source.number
    if number is None:
        return None
    if number.precision == "Estimated":
        return Support(Accuracy.ESTIMATE, "the product estimates its number (count.precision)")
    match number.window.type:
        case "Cycle" if source.count_terms is not None and source.count_terms.keeps_users:
            return _exact("if it is asked after the cycle's end, as the operator does")
        case "Cycle":
            return _lower_bound(
                "declare guarantees.completeness: Complete and removal: Never, if they are true: "
                "then the number is an upper bound as well"
            )
        case "CalendarMonthToDate":
            return _lower_bound("the number is about months, of which only a part is the cycle's")
        case _:
            return Support(
                Accuracy.ESTIMATE,
                f"the number is about who was active {number.window.words}: at the end of a cycle "
                "of that length an estimate; a shorter window gives a lower bound, a longer one an "
                "upper bound where guarantees.completeness is Complete and removal is Never",
            )


def list_has_no_times(source: EffectiveSource, result: PollResult) -> Support | None:
    """Who was active lately is told, and not when (MEASUREMENT §4)."""
    window = source.window
    if window is None or (result.incomplete is not None and not _healed(result)):
        return None
    if window.type == "CalendarMonthToDate":
        return _lower_bound(
            "the list begins anew with each month, so that who was active right before the cycle's "
            "end cannot be read after it"
        )
    if source.guarantees.removal is Removal.UNKNOWN:
        return _lower_bound(
            "people may leave the list early, or come back to it without activity "
            "(guarantees.removal Unknown), so that it rules nobody out; a window as long as the "
            "cycle gives no number then"
        )
    if window.type == "Rolling" and window.length_ms <= DAY_MS:
        return _lower_bound("a window of a day or less rules nobody out of any whole day")
    return Support(
        Accuracy.BOUNDED,
        f"who was active {window.words} is listed, and not when: with a window as long as the "
        "cycle only who is new on the list is sure; with a shorter one exact where nobody was "
        "active right before the cycle's start or right after its end only",
    )


def _healed(result: PollResult) -> bool:
    return result.incomplete is not None and result.incomplete.reason in _HEALED_BY_CLOSING


def users_vanish_unseen(source: EffectiveSource, result: PollResult) -> Support | None:
    """Whoever is removed may have been active after the last poll."""
    if source.guarantees.removal is not Removal.UNKNOWN:
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
    if not hidden:
        return None
    return Support(
        Accuracy.BOUNDED,
        f"activity within {hidden} s after a shown one is not recorded, so "
        "those last seen just before the cycle are uncertain",
    )


LIMITS: tuple[Rule, ...] = (
    poll_failed,
    log_proves_what_was_read,
    number_names_nobody,
    list_has_no_times,
    users_vanish_unseen,
    only_the_active_are_listed,
    renamed_look_removed,
    list_is_incomplete,
    removed_users_are_missed,
    activity_is_hidden,
)


def _lists_once(source: EffectiveSource) -> bool:
    return source.guarantees.removal is Removal.LISTED_ONCE


def _lower_bound(why: str) -> Support:
    return Support(Accuracy.LOWER_BOUND, why)


def _exact(why: str) -> Support:
    return Support(Accuracy.EXACT, why)
