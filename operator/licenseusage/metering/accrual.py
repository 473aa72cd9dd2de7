"""What one poll adds to a store, besides its users: words, numbers, how far it was read.

Everything grows by union, maximum or minimum, so that a poll may be recorded any number of times;
only the definition of who counts, and why nothing is proved, are those of the newest poll.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from licenseusage.metering.coverage import days_followed
from licenseusage.metering.cycles import Cycle
from licenseusage.metering.definitions import Definition, differ, reaches_before
from licenseusage.metering.facts import Facts
from licenseusage.metering.stores import StoreState


@dataclass(frozen=True, slots=True)
class PollOfStore:
    """One poll of a source, as far as a store of one cycle is concerned.

    Attributes:
        started_ms: Start of the poll.
        ended_ms: End of the poll.
        clock_skew_ms: k of the poll.
        interval_ms: The source's effective interval.
        succeeded: Everything was read that can be; a failed poll proves only who was active.
        ids_stable: Ids are never renamed, as declared for the poll.
        by_log: The cycle's facts were read from an event log, whose days are known once they were
            read, however late.
        selection: Digest of what decides who counts; None: not told.
        planned_ms: Since when the facts are; None: they are about the whole cycle.
        incomplete: Why the poll was not complete (Token); None: it was, or it failed.
        by_rows: As of `StoreState`.
    """

    started_ms: int
    ended_ms: int
    clock_skew_ms: int
    interval_ms: int
    succeeded: bool
    ids_stable: bool
    by_log: bool = False
    selection: str | None = None
    planned_ms: int | None = None
    incomplete: str | None = None
    by_rows: bool | None = None

    def tells(self, facts: Facts) -> bool:
        """Return whether the poll tells something of the cycle.

        A definition by which no poll ever told anything has counted nothing: a source that is
        written by trial and error counts from the cycle's start, once it works.
        """
        return self.succeeded or bool(facts.sure or facts.low)

    def since_ms(self, state: StoreState) -> int | None:
        """Return since when the poll's definition decides who counts; None: in the whole cycle."""
        return state.definition.polled_ms(self.selection, self.planned_ms, self.started_ms)

    def usable(self, state: StoreState, cycle: Cycle, facts: Facts) -> Facts:
        """Return the facts without those about time in which another definition decided."""
        if reaches_before(cycle, self.planned_ms, self.since_ms(state)):
            return Facts(ended=facts.ended)
        return facts


def accrued(
    state: StoreState, cycle: Cycle, poll: PollOfStore, facts: Facts, refuted: int
) -> StoreState:
    """Return what is kept of a store after a poll.

    Args:
        state: Before it.
        cycle: The cycle.
        poll: The poll.
        facts: Its facts (`PollOfStore.usable`).
        refuted: Windows in which its users and those kept refute each other.
    """
    tells = poll.tells(facts)
    read_ms = poll.ended_ms + poll.clock_skew_ms if tells else None
    follows = poll.succeeded and not poll.by_log
    followed = days_followed(cycle, poll.ended_ms, poll.interval_ms) if follows else 0
    changed = tells and differ(state.definition.digest, poll.selection)
    return replace(
        state,
        # Unstable once is unstable for the cycle: listings before and after are not united.
        ids_stable=state.ids_stable and poll.ids_stable,
        closed=state.closed | facts.closed,
        ended=state.ended | facts.ended,
        refuted=state.refuted | refuted,
        followed=state.followed | followed,
        seen_until_ms=_latest(state.seen_until_ms, read_ms),
        read_until_ms=_latest(state.read_until_ms, read_ms if poll.succeeded else None),
        definition=_definition(state, poll) if tells else state.definition,
        redefinitions=state.redefinitions + changed,
        low=_joined(state.low, facts.low, max),
        full=_joined(state.full, facts.full, min),
        unproved=_unproved(state, cycle, poll),
        by_rows=poll.by_rows if state.by_rows is None else state.by_rows or bool(poll.by_rows),
    )


def adds(before: StoreState, after: StoreState) -> bool:
    """Return whether something came to be known of the cycle: a window, or a number."""
    known, now = (
        (state.closed, state.ended, state.refuted, state.low, state.full)
        for state in (before, after)
    )
    return known != now


def _definition(state: StoreState, poll: PollOfStore) -> Definition:
    return Definition(poll.selection or state.definition.digest, poll.since_ms(state))


def _unproved(state: StoreState, cycle: Cycle, poll: PollOfStore) -> str | None:
    """Return why no poll after the cycle's end proves anything, as the newest such poll says.

    A failed poll says nothing of it; where the source could not be read at all, coverage has a gap.
    """
    late = poll.started_ms - poll.clock_skew_ms >= cycle.end_ms
    return poll.incomplete if late and poll.succeeded else state.unproved


def _joined(
    known: Mapping[int, int], more: Mapping[int, int], best: Callable[[int, int], int]
) -> dict[int, int]:
    joined = dict(known)
    for window, count in more.items():
        joined[window] = best(joined.get(window, count), count)
    return joined


def _latest(before_ms: int | None, read_ms: int | None) -> int | None:
    return max((ms for ms in (before_ms, read_ms) if ms is not None), default=None)
