"""Why a reading of a log cannot be trusted: a chain of rules."""

from collections.abc import Callable
from typing import TypeAlias

from licenseusage.chain import first_answer
from licenseusage.reasons import Reason
from licenseusage.sources.clockskew import LARGEST_MS
from licenseusage.sources.definition.model import SECOND_MS, EffectiveSource
from licenseusage.sources.failures import PollError
from licenseusage.sources.logs.hints import span
from licenseusage.sources.logs.tally import EventTally

Rule: TypeAlias = Callable[[EffectiveSource, EventTally], PollError | None]


def unusable(
    source: EffectiveSource, tally: EventTally, *, first_reading: bool
) -> PollError | None:
    """Return why no event of a reading counts; None: those that were read count.

    Args:
        source: Whose log was read.
        tally: The events.
        first_reading: Nothing was read of this log before.
    """
    chain = (*ALWAYS, no_event_names_a_user) if first_reading else ALWAYS
    return first_answer(chain, source, tally)


def events_in_the_future(source: EffectiveSource, tally: EventTally) -> PollError | None:
    """If one time is wrong by its clock or zone, all may be (MEASUREMENT §0)."""
    if not tally.future.count:
        return None
    return PollError(
        Reason.STAMP_IN_FUTURE,
        f"{tally.future.count} events are stamped up to {span(tally.future.most_ms)} in "
        f"the future ({tally.future.named}). If one stamp is wrong by its clock or time "
        "zone, all may be, so nothing of this poll is used. Likely a wrong "
        f"users.time.naiveTimezone (now {source.users.last_active.naive_timezone}), or a clock "
        "that runs ahead. Events that are wrong for good can be left out by "
        "users.exclude, or removed from the log (a hole that is stated).",
        stalls=True,
        facts_stand=False,
    )


def events_ahead_of_the_stream(source: EffectiveSource, tally: EventTally) -> PollError | None:
    """The product's clock and the stream's are too far apart."""
    if tally.ahead_ms <= LARGEST_MS:
        return None
    return PollError(
        Reason.CLOCK_SKEW_TOO_LARGE,
        f"events are stamped up to {span(tally.ahead_ms)} later than the stream stored "
        f"them; at most {LARGEST_MS // SECOND_MS} s can be allowed for. Set the clocks of "
        "the product and of the message broker by NTP, and see users.time.naiveTimezone.",
        facts_stand=False,
    )


def ids_are_not_stable(source: EffectiveSource, tally: EventTally) -> PollError | None:
    """Somebody renamed would count twice, as every event is united with all others."""
    if not tally.unstable.count:
        return None
    return PollError(
        Reason.IDS_NOT_STABLE,
        f"users.id ({source.users.id}) gives ids which are neither UUIDs nor integers, and "
        "guarantees.ids does not say that they are Stable: somebody renamed would count "
        "twice. Name an id that never changes, and declare guarantees.ids: Stable.",
        stalls=True,
        facts_stand=False,
    )


def no_event_is_readable(source: EffectiveSource, tally: EventTally) -> PollError | None:
    """Messages came, and none of them is an event as the source describes it."""
    if not tally.unreadable.count or tally.named:
        return None
    return PollError(
        Reason.EVENTS_UNREADABLE,
        f"none of {tally.unreadable.count} messages could be read as an event "
        f"({tally.unreadable.named}): {tally.unreadable.why}. Correct {source.read_by} or "
        "users of the source.",
        stalls=True,
        facts_stand=False,
    )


def no_event_names_a_user(source: EffectiveSource, tally: EventTally) -> PollError | None:
    """Events came, and none of them has an id: later on that can be so by chance."""
    if not tally.skipped[Reason.NO_ID] or tally.named:
        return None
    return PollError(
        Reason.ID_MISSING,
        f"none of {tally.skipped[Reason.NO_ID]} events names its user at users.id "
        f"({source.users.id}). Correct users.id; if they are all anonymous, wait for the first "
        "one that is not.",
        stalls=True,
        facts_stand=False,
    )


ALWAYS: tuple[Rule, ...] = (
    events_in_the_future,
    events_ahead_of_the_stream,
    ids_are_not_stable,
    no_event_is_readable,
)
