"""When something is due: polls, the close of a cycle, interim reports. Decisions only, no effects.

All are pure functions of what is known and of times that come in as values; the controller asks
them on every reconcile and performs what they say (MEASUREMENT §0, §8; REPORT_FORMAT §10).
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from licenseusage.errors import Stalled
from licenseusage.metering.cycles import DAY_MS, Cycle
from licenseusage.reasons import Reason

MINUTE_MS = 60_000
HOUR_MS = 3_600_000
MIN_CLOCK_SKEW_MS = 1000
MAX_CLOCK_SKEW_MS = 300_000
DENSE_MARGIN_MS = 10 * MINUTE_MS
DENSE_STEP_MS = 15_000
# A listing of 40 MB is a load on the product: at most 1 % of the time, 10 % around a cycle's end.
# Of a log each message is read once, so that less polling would be no less load.
LOAD_FACTOR = 100
DENSE_LOAD_FACTOR = 10
# What fails or brings only a part may last for minutes, and then the next attempt is no better: at
# most a quarter of the time, wherever the interval would allow more.
PAUSE_FACTOR = 3
QUICK_MS = 5_000
_RETRY_MS = 30_000
_CLOSING_SPREAD_MS = 5_000


def effective_interval_ms(interval_ms: int, last_poll_ms: int | None) -> int:
    """Return how far apart polls are: the interval, but never less than 100 x one poll's duration.

    Also wherever "two intervals" is said.

    Args:
        interval_ms: As declared.
        last_poll_ms: Duration of the last complete poll of a list, which every poll reads again as
            a whole. None before the first, and for a log.
    """
    return max(interval_ms, LOAD_FACTOR * (last_poll_ms or 0))


def spread_ms(key: str, span_ms: int) -> int:
    """Return a stable offset in ``[0, span_ms)``, so that many objects do not poll at once."""
    fraction = int.from_bytes(hashlib.sha256(key.encode()).digest()[:4], "big")
    return fraction * span_ms >> 32


@dataclass(frozen=True, slots=True)
class Boundary:
    """The end of a cycle that a source still has to read.

    Attributes:
        end_ms: The cycle's end.
        ended: A complete poll late enough to close the cycle has been read.
        repeat: One was read that contradicts what is declared: it is repeated before it decides.
    """

    end_ms: int
    ended: bool
    repeat: bool = False


@dataclass(frozen=True, slots=True)
class PollSchedule:
    """The facts that decide when a source is polled next.

    Attributes:
        key: Stable name of object and source, for the spread.
        interval_ms: Effective interval.
        lag_ms: L of the source.
        clock_skew_ms: k of its last poll.
        last_started_ms: Start of the last attempt, None before the first.
        last_ended_ms: End of the last attempt.
        duration_ms: Duration of the last complete poll, None before the first and for a log.
        failures: Attempts that failed in a row.
        boundaries: Ends of the running cycle and of those that are closing.
        log: Each message is read once; a list is read again as a whole by every poll.
        catching_up: A log: the last poll read on, and stopped at its bounds before the end.
    """

    key: str
    interval_ms: int
    lag_ms: int
    clock_skew_ms: int
    last_started_ms: int | None
    last_ended_ms: int | None
    duration_ms: int | None
    failures: int
    boundaries: Sequence[Boundary]
    log: bool = False
    catching_up: bool = False

    @property
    def took_ms(self) -> int:
        """How long the last attempt lasted, whatever came of it; 0 before the first."""
        if self.last_started_ms is None or self.last_ended_ms is None:
            return 0
        return max(0, self.last_ended_ms - self.last_started_ms)

    @property
    def quick(self) -> bool:
        """Whether there was an attempt, and it lasted for seconds only, whatever came of it."""
        return self.last_started_ms is not None and self.took_ms <= QUICK_MS


def next_poll_ms(schedule: PollSchedule, now_ms: int) -> int:
    """Return when the source is polled next; at or before ``now_ms``: now.

    Every interval plus a stable spread; after a failure earlier, backing off from 30 s; from 10 min
    before a cycle's end until 10 min after everything of it must be visible every 15 s or 10 x the
    duration of a poll, and exactly when the first poll can close the cycle. At once while a log is
    being caught up with: what is left of it was to be read by now.

    Whatever an attempt came to, three times as long as it lasted passes before the next one: what
    hangs must not keep a worker busy.
    """
    started = schedule.last_started_ms
    if started is None or (schedule.catching_up and not schedule.failures):
        return now_ms
    due = _regular_ms(schedule, started)
    for boundary in schedule.boundaries:
        if not boundary.ended:
            due = min(due, _dense_ms(schedule, started, boundary))
            if boundary.repeat and not schedule.failures:
                due = min(due, started + _step_ms(schedule, started))
    return due


def attempted_ms(last_started_ms: int | None, now_ms: int) -> int | None:
    """Return the start of the last attempt for the schedule, None where it says nothing.

    One that lies in the future was dated by a clock that has been set back since; without this no
    poll would be made until that time comes.
    """
    if last_started_ms is None or last_started_ms > now_ms + MAX_CLOCK_SKEW_MS:
        return None
    return last_started_ms


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


def wants_passes(boundaries: Sequence[Boundary], started_ms: int, lag_ms: int) -> bool:
    """Whether a poll starting now is a closing poll, which may read a listing more than once."""
    return any(not b.ended and started_ms >= b.end_ms + lag_ms for b in boundaries)


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
        last_slot: Newest slot with a report, None before the first.
        seen_until_ms: End of the newest poll of the cycle that succeeded, plus its skew.
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
    if seen_until_ms is not None and seen_until_ms >= slot_start:
        as_of = -(-seen_until_ms // 1000) * 1000
        due = as_of
    else:
        as_of = now_ms // 1000 * 1000
        due = max(slot_start, since_ms) + 2 * poll_interval_ms
    return InterimPlan(slot, due, as_of) if max(as_of, due) < cycle.end_ms else None


def _regular_ms(schedule: PollSchedule, started: int) -> int:
    period = schedule.interval_ms + spread_ms(schedule.key, schedule.interval_ms // 20 + 1)
    if not schedule.failures:
        # A part of a list may take as long as it likes; of all of it the interval knows.
        return started + period if schedule.log else max(started + period, _rested_ms(schedule))
    ended = schedule.last_ended_ms if schedule.last_ended_ms is not None else started
    backoff = _RETRY_MS << min(schedule.failures - 1, 16)
    # A poll that fails late is as much of a load as a good one.
    calm = DENSE_LOAD_FACTOR * (ended - started)
    return max(min(started + period, ended + max(backoff, calm)), _rested_ms(schedule))


def _rested_ms(schedule: PollSchedule) -> int:
    """Return until when nothing is due after the last attempt, for how long that lasted."""
    ended = schedule.last_ended_ms
    return 0 if ended is None else ended + PAUSE_FACTOR * schedule.took_ms


def _step_ms(schedule: PollSchedule, started: int) -> int:
    """Return how far apart polls are where they are dense."""
    step = max(DENSE_STEP_MS, DENSE_LOAD_FACTOR * (schedule.duration_ms or 0))
    if schedule.failures:
        step = max(step, schedule.took_ms + DENSE_STEP_MS)
    return step if schedule.log else max(step, (1 + PAUSE_FACTOR) * schedule.took_ms)


def _dense_ms(schedule: PollSchedule, started: int, boundary: Boundary) -> int:
    """Return when the dense polling around one boundary wants the next poll."""
    step = _step_ms(schedule, started)
    closing = closing_poll_ms(boundary.end_ms, schedule.lag_ms, schedule.clock_skew_ms)
    closing += spread_ms(schedule.key, _CLOSING_SPREAD_MS)
    opens = boundary.end_ms - DENSE_MARGIN_MS + spread_ms(schedule.key, DENSE_STEP_MS)
    due = max(started + step, opens)
    if started < closing:
        # The poll that can close the cycle takes the place of one shortly before it.
        return max(due, closing) if closing < due + step else due
    return due if due < closing + DENSE_MARGIN_MS else _regular_ms(schedule, started)


def _tried(cycle: Cycle, source: SourceProgress) -> bool:
    earliest = closing_poll_ms(cycle.end_ms, source.lag_ms, source.clock_skew_ms)
    return source.last_attempt_ms is not None and source.last_attempt_ms >= earliest


def _hours(span_ms: int) -> str:
    return f"{span_ms / HOUR_MS:.4g} h"
