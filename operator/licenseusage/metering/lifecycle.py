"""When something is due: the close of a cycle, interim reports, what a poll is made for.

Decisions only, no effects; `polling` says when a poll is due. All are pure functions of what is
known and of times that come in as values; the controller asks them on every reconcile and performs
what they say (MEASUREMENT §0, §8; REPORT_FORMAT §10).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from licenseusage.errors import Stalled
from licenseusage.metering.cycles import DAY_MS, Cycle
from licenseusage.reasons import Reason

MINUTE_MS = 60_000
HOUR_MS = 3_600_000
MIN_CLOCK_SKEW_MS = 1000
MAX_CLOCK_SKEW_MS = 300_000


def closing_poll_ms(end_ms: int, lag_ms: int, clock_skew_ms: int) -> int:
    """Return the earliest start of a poll that closes a window (MEASUREMENT §3.5): E + L + k."""
    return end_ms + lag_ms + max(clock_skew_ms, MIN_CLOCK_SKEW_MS)


def precedes(
    cycle: Cycle, now_ms: int, interval_ms: int, gap_ms: int, last_started_ms: int | None
) -> bool:
    """Whether a poll now belongs to the first roster of a cycle that is to come.

    A roster begins with the last complete poll that ended before the cycle, under the pseudonyms of
    that cycle. Which one is the last is known afterwards only: so the first one of each hour lists
    people for both as long as the gap that a roster may have, and those of the last hour all do, or
    of the last two intervals where polls are rarer (MEASUREMENT §0).

    Args:
        cycle: The coming cycle.
        now_ms: The time.
        interval_ms: The source's effective interval.
        gap_ms: How far two complete polls of a roster may lie apart.
        last_started_ms: Start of the source's last attempt, None before the first.
    """
    left_ms = cycle.start_ms - now_ms
    if not 0 < left_ms <= max(gap_ms, HOUR_MS, 2 * interval_ms):
        return False
    if left_ms <= max(HOUR_MS, 2 * interval_ms) or last_started_ms is None:
        return True
    return last_started_ms // HOUR_MS != now_ms // HOUR_MS


def looks_back(ended: bool, last_started_ms: int | None, now_ms: int) -> bool:
    """Whether a poll now also collects evidence for an already closed cycle.

    No poll is made for that: the first one of an hour brings it as long as the cycle's closing poll
    is missing; after that the first one since noon, to find what was shown too late (MEASUREMENT
    §8). Cycles end at midnight, when polls have enough to do.

    Args:
        ended: The cycle's closing poll of this source has been read.
        last_started_ms: Start of the source's last attempt, None before the first.
        now_ms: The time.
    """
    span_ms, from_ms = (DAY_MS, DAY_MS // 2) if ended else (HOUR_MS, 0)
    if last_started_ms is None:
        return True
    return (last_started_ms - from_ms) // span_ms != (now_ms - from_ms) // span_ms


class CloseReason(StrEnum):
    """Why a cycle is closed now."""

    CLOSING_POLLS = "ClosingPolls"
    GRACE_OVER = "GraceOver"


@dataclass(frozen=True, slots=True)
class SourceProgress:
    """How far one declared source is with a cycle that has ended.

    Attributes:
        ended: Its closing poll has been read.
        last_attempt_ms: Start of its last attempt, successful or not; None before the first.
        lag_ms: L.
        clock_skew_ms: k of its last poll.
    """

    ended: bool
    last_attempt_ms: int | None
    lag_ms: int
    clock_skew_ms: int


def close_due(
    cycle: Cycle, now_ms: int, grace_ms: int, sources: Sequence[SourceProgress]
) -> CloseReason | None:
    """Return why the cycle is to be closed now, None if it is not.

    It is closed by the first closing poll of every source, else when the grace is over, with what
    is proved. A cycle that became overdue while the operator was away waits until one poll of each
    source was tried. Without sources (the object is gone) only the grace ends it.
    """
    if now_ms < cycle.end_ms:
        return None
    if sources and all(source.ended for source in sources):
        return CloseReason.CLOSING_POLLS
    if now_ms < cycle.end_ms + grace_ms:
        return None
    tried = all(source.ended or _tried(cycle, source) for source in sources)
    return CloseReason.GRACE_OVER if tried else None


def check_grace(grace_ms: int, cycle: Cycle, lag_ms: int, interval_ms: int) -> None:
    """Refuse a grace that could not work.

    Raises:
        Stalled: ``InvalidSpec``: below L + 2 intervals, so that no closing poll might happen in it,
            or above the cycle's length.
    """
    least, most = lag_ms + 2 * interval_ms, cycle.end_ms - cycle.start_ms
    if least <= grace_ms <= most:
        return
    raise Stalled(
        Reason.INVALID_SPEC,
        f"closeGraceHours is {_hours(grace_ms)}, it must be at least {_hours(least)} (the lag and "
        f"two polling intervals) and at most {_hours(most)} (the cycle).",
    )


@dataclass(frozen=True, slots=True)
class InterimPlan:
    """The next interim report of a cycle.

    Attributes:
        slot: Number of its slot on the grid ``cycle.start + slot * interval``.
        due_ms: When it is to be signed; at or before now: now.
        as_of_ms: End of the time it states, if it is signed now. Whole seconds.
    """

    slot: int
    due_ms: int
    as_of_ms: int


def reported_slot(
    cycle: Cycle, now_ms: int, *, interval_ms: int, last_slot: int | None, signed_ms: Iterable[int]
) -> int | None:
    """Return the newest slot that has a report, of those that have begun.

    A slot that is still to come was reported while the clock was ahead. It says nothing of the
    slots until then: they are reported as if it had not been.

    Args:
        cycle: The running cycle.
        now_ms: The time.
        interval_ms: The licence's interval.
        last_slot: Newest slot with a report, None before the first.
        signed_ms: When interims of the cycle were signed.
    """
    if last_slot is None or last_slot <= (now_ms - cycle.start_ms) // interval_ms:
        return last_slot
    begun = [at_ms for at_ms in signed_ms if cycle.start_ms <= at_ms <= now_ms]
    return max(((at_ms - cycle.start_ms) // interval_ms for at_ms in begun), default=None)


def next_interim(
    cycle: Cycle,
    now_ms: int,
    *,
    interval_ms: int,
    last_slot: int | None,
    seen_until_ms: int | None,
    poll_interval_ms: int,
    since_ms: int,
) -> InterimPlan | None:
    """Return the next interim report, None if the cycle needs no more.

    One per slot, only the latest of those missed. A slot's report states the time until the first
    poll in it, and is signed once the clock has passed that; if nothing could be read for two
    polling intervals it says so, as of now. None is made whose ``asOf`` would reach the cycle's
    end.

    Args:
        cycle: The running cycle.
        now_ms: The time.
        interval_ms: The licence's interval.
        last_slot: Newest slot with a report (`reported_slot`), None before the first.
        seen_until_ms: End of the newest poll of the cycle that succeeded, plus its skew; one that
            is still to come was dated by a clock that was ahead, and says nothing.
        poll_interval_ms: The greatest effective interval of the sources.
        since_ms: When this operator began to look after the object: nothing is stale before.
    """
    if not cycle.start_ms <= now_ms < cycle.end_ms:
        return None
    slot = (now_ms - cycle.start_ms) // interval_ms
    slot_start = cycle.start_ms + slot * interval_ms
    if last_slot is not None and last_slot >= slot:
        slot = last_slot + 1
        slot_start = cycle.start_ms + slot * interval_ms
        return InterimPlan(slot, slot_start, slot_start) if slot_start < cycle.end_ms else None
    ahead = seen_until_ms is not None and seen_until_ms > now_ms + MAX_CLOCK_SKEW_MS
    if seen_until_ms is not None and seen_until_ms >= slot_start and not ahead:
        as_of = -(-seen_until_ms // 1000) * 1000
        due = as_of
    else:
        as_of = now_ms // 1000 * 1000
        due = max(slot_start, since_ms) + 2 * poll_interval_ms
    return InterimPlan(slot, due, as_of) if max(as_of, due) < cycle.end_ms else None


def _tried(cycle: Cycle, source: SourceProgress) -> bool:
    earliest = closing_poll_ms(cycle.end_ms, source.lag_ms, source.clock_skew_ms)
    return source.last_attempt_ms is not None and source.last_attempt_ms >= earliest


def _hours(span_ms: int) -> str:
    return f"{span_ms / HOUR_MS:.4g} h"
