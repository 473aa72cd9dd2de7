"""Steps of the wall clock, seen against the monotonic one: evidence for the report."""

from dataclasses import dataclass

STEP_MS = 5_000
"""Slewing and scheduling stay well below this; a step is what somebody or something set."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Both clocks at one moment.

    Attributes:
        wall_ms: The operator's clock, ms since the epoch.
        monotonic_ms: A clock that nobody can set.
    """

    wall_ms: int
    monotonic_ms: int


def step_between(before: Reading, after: Reading) -> int | None:
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
