"""Judging the wall clock: its steps, and its difference from other clocks.

A wrong clock must not close a cycle early, open one again, or date a report in the vendor's future,
which would be refused for ever. So cycles end by our clock and the API server's, whichever is
later to say so.
"""

from dataclasses import dataclass

from licenseusage.errors import Stalled
from licenseusage.metering.lifecycle import MAX_CLOCK_SKEW_MS
from licenseusage.reasons import Reason

STEP_MS = 5_000
"""Slewing and scheduling stay well below this; a step is what somebody or something set."""


@dataclass(frozen=True, slots=True)
class ClockReading:
    """Both clocks at one moment.

    Attributes:
        wall_ms: The operator's clock, ms since the epoch.
        monotonic_ms: A clock that nobody can set.
    """

    wall_ms: int
    monotonic_ms: int


def step_between(before: ClockReading, after: ClockReading) -> int | None:
    """Return by how many ms the wall clock was set between two readings; None if it was not.

    Negative is backward. A machine that was suspended shows as a step forward, which it is: nothing
    was observed meanwhile.
    """
    step = (after.wall_ms - before.wall_ms) - (after.monotonic_ms - before.monotonic_ms)
    return step if abs(step) >= STEP_MS else None


def step_since_restart(high_water_ms: int, now_ms: int) -> int | None:
    """Return how far the clock is behind the latest durable time, as a negative step; or None."""
    behind = now_ms - high_water_ms
    return behind if behind <= -STEP_MS else None


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the clock can be used for.

    Attributes:
        counting_ms: The time by which cycles begin and end: never further ahead of the API
            server's clock than the tolerance of 300 s.
        ahead: Why nothing may be signed now; None: it may.
        problem: Why the clock cannot be trusted; None: nothing contradicts it.
        hint: The clock is behind the ledger, which may have been written by one that was ahead.
    """

    counting_ms: int
    ahead: Stalled | None = None
    problem: Stalled | None = None
    hint: str | None = None


def judge(now_ms: int, reference_offset_seconds: int | None, high_water_ms: int) -> Judgement:
    """Compare the clock with the API server's and with the latest time in the ledger.

    Args:
        now_ms: Our clock.
        reference_offset_seconds: The API server's clock minus ours; None: not known yet.
        high_water_ms: The latest time that was ever written to the ledger.
    """
    offset_ms = 1000 * (reference_offset_seconds or 0)
    if abs(offset_ms) <= MAX_CLOCK_SKEW_MS:
        behind = high_water_ms - now_ms
        hint = None
        if behind > MAX_CLOCK_SKEW_MS:
            hint = (
                f"The clock is {_roughly(behind)} behind the latest time in the ledger: it is "
                f"wrong now, or was ahead then. Reports say so."
            )
        return Judgement(now_ms, hint=hint)
    ahead = offset_ms < 0
    skewed = Stalled(
        Reason.CLOCK_SKEWED,
        f"The operator's clock is {_roughly(abs(offset_ms))} {'ahead of' if ahead else 'behind'} "
        f"the API server's. Until they agree within 300 s, no cycle is closed early and no report "
        f"is dated in the future. Check time synchronisation (NTP) on the operator's node and on "
        f"the control plane.",
    )
    return Judgement(
        counting_ms=min(now_ms, now_ms + offset_ms + MAX_CLOCK_SKEW_MS),
        ahead=skewed if ahead else None,
        problem=skewed,
    )


def _roughly(span_ms: int) -> str:
    """Say a span coarsely, so that a condition's message does not change with each look."""
    for unit, name in ((86_400_000, "days"), (3_600_000, "hours"), (60_000, "minutes")):
        if span_ms >= 2 * unit:
            return f"about {span_ms // unit} {name}"
    return "a minute"
