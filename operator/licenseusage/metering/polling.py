"""When a source is polled next, and why then: decisions only, no effects.

Pure functions of what is known of a source and of times that come in as values. The interval is
bounded by the load on the product (MEASUREMENT §0).
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from licenseusage.metering.lifecycle import (
    HOUR_MS,
    MAX_CLOCK_SKEW_MS,
    MINUTE_MS,
    closing_poll_ms,
)
from licenseusage.reasons import Reason

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
# Who refuses a login may count the attempts, and lock the account after a few.
REFUSED_MS = 15 * MINUTE_MS
REFUSED_MOST_MS = HOUR_MS
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
        declared_ms: The interval as declared.
        interval_ms: Effective interval.
        lag_ms: L of the source.
        clock_skew_ms: k of its last poll.
        last_started_ms: Start of the last attempt, None before the first.
        last_ended_ms: End of the last attempt.
        duration_ms: Duration of the last complete poll, None before the first and for a log.
        failures: Attempts that failed in a row.
        refused: The last of them was a login that was refused.
        boundaries: Ends of the running cycle and of those that are closing.
        log: Each message is read once; a list is read again as a whole by every poll.
        catching_up: A log: the last poll read on, and stopped at its bounds before the end.
    """

    key: str
    declared_ms: int
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
    refused: bool = False

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


class NextPoll(NamedTuple):
    """When a source is polled next.

    Attributes:
        at_ms: The time; at or before now: now.
        interval_ms: How far apart polls are now, without their spread.
        reason: Why then and not earlier; None: it is due whenever there is time for it.
    """

    at_ms: int
    interval_ms: int
    reason: Reason | None


def next_poll(schedule: PollSchedule, now_ms: int) -> NextPoll:
    """Return when the source is polled next, and why.

    Every interval plus a stable spread; after a failure earlier, backing off from 30 s; from 10 min
    before a cycle's end until 10 min after everything of it must be visible every 15 s or 10 x the
    duration of a poll, and exactly when the first poll can close the cycle. At once while a log is
    being caught up with: what is left of it was to be read by now.

    Whatever an attempt came to, three times as long as it lasted passes before the next one: what
    hangs must not keep a worker busy. After a refused login 15 minutes pass, later an hour, around
    a cycle's end as well.
    """
    started = schedule.last_started_ms
    if started is None or (schedule.catching_up and not schedule.failures):
        return NextPoll(now_ms, 0, None)
    if schedule.refused:
        pause = min(REFUSED_MS << max(0, min(schedule.failures - 1, 4)), REFUSED_MOST_MS)
        return NextPoll(started + pause, pause, Reason.SIGN_IN_REFUSED)
    due = _regular(schedule, started)
    for boundary in schedule.boundaries:
        if not boundary.ended:
            near = _dense_ms(schedule, started, boundary)
            if boundary.repeat and not schedule.failures:
                repeated = started + _step_ms(schedule)
                near = repeated if near is None else min(near, repeated)
            if near is not None and near < due.at_ms:
                due = NextPoll(near, near - started, Reason.CYCLE_ENDS)
    return due


def attempted_ms(last_started_ms: int | None, now_ms: int) -> int | None:
    """Return the start of the last attempt for the schedule, None where it says nothing.

    One that lies in the future was dated by a clock that has been set back since; without this no
    poll would be made until that time comes.
    """
    if last_started_ms is None or last_started_ms > now_ms + MAX_CLOCK_SKEW_MS:
        return None
    return last_started_ms


def wants_passes(boundaries: Sequence[Boundary], started_ms: int, lag_ms: int) -> bool:
    """Whether a poll starting now is a closing poll, which may read a listing more than once."""
    return any(not b.ended and started_ms >= b.end_ms + lag_ms for b in boundaries)


def _regular(schedule: PollSchedule, started: int) -> NextPoll:
    """Return what is due without regard to a cycle's end."""
    period = schedule.interval_ms + spread_ms(schedule.key, schedule.interval_ms // 20 + 1)
    slowed = schedule.interval_ms > schedule.declared_ms
    usual = Reason.LOAD_BOUNDED if slowed else Reason.AS_DECLARED
    due = NextPoll(started + period, schedule.interval_ms, usual)
    if schedule.failures:
        ended = schedule.last_ended_ms if schedule.last_ended_ms is not None else started
        backoff = _RETRY_MS << min(schedule.failures - 1, 16)
        # A poll that fails late is as much of a load as a good one.
        calm = DENSE_LOAD_FACTOR * (ended - started)
        again = ended + max(backoff, calm)
        if again < due.at_ms:
            due = NextPoll(again, again - started, Reason.RETRY)
    elif schedule.log:
        # A part of a list may take as long as it likes; of all of it the interval knows.
        return due
    rested = _rested_ms(schedule)
    if rested <= due.at_ms:
        return due
    return NextPoll(rested, rested - started, Reason.PAUSE_AFTER_SLOW_POLL)


def _rested_ms(schedule: PollSchedule) -> int:
    """Return until when nothing is due after the last attempt, for how long that lasted."""
    ended = schedule.last_ended_ms
    return 0 if ended is None else ended + PAUSE_FACTOR * schedule.took_ms


def _step_ms(schedule: PollSchedule) -> int:
    """Return how far apart polls are where they are dense."""
    step = max(DENSE_STEP_MS, DENSE_LOAD_FACTOR * (schedule.duration_ms or 0))
    if schedule.failures:
        step = max(step, schedule.took_ms + DENSE_STEP_MS)
    return step if schedule.log else max(step, (1 + PAUSE_FACTOR) * schedule.took_ms)


def _dense_ms(schedule: PollSchedule, started: int, boundary: Boundary) -> int | None:
    """Return when the dense polling around one boundary wants a poll; None: it wants none."""
    step = _step_ms(schedule)
    closing = closing_poll_ms(boundary.end_ms, schedule.lag_ms, schedule.clock_skew_ms)
    closing += spread_ms(schedule.key, _CLOSING_SPREAD_MS)
    opens = boundary.end_ms - DENSE_MARGIN_MS + spread_ms(schedule.key, DENSE_STEP_MS)
    due = max(started + step, opens)
    if started < closing:
        # The poll that can close the cycle takes the place of one shortly before it.
        return max(due, closing) if closing < due + step else due
    return due if due < closing + DENSE_MARGIN_MS else None
