"""Time that passes only when everybody waits: one event loop, no threads, no sleeping.

The loop jumps to its next timer as soon as nothing is ready, so that a year takes as long as the
work in it. ``true_ms`` is the time of the world: the products' own clocks follow it, and with them
what counts as activity in a cycle. The operator and the vendor have clocks that may be wrong.
"""

import asyncio
import selectors
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from licenseusage.clock import SystemClock

T = TypeVar("T")
_TICK_S = 1e-7


class StuckError(RuntimeError):
    """Nothing is ready and no timer is set: a task waits for something that cannot come."""


class _Jumping(selectors.SelectSelector):
    """Answers at once; what the loop would have slept is added to its time."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        ready = super().select(0) if self.get_map() and len(self.get_map()) > 1 else []
        if not ready:
            if timeout is None:
                raise StuckError("every task waits, and no timer is set")
            # A year in seconds leaves a float no room for the shortest waits: without a tick in
            # every round, whoever waits for a moment that is a rounding error away waits for ever.
            self.now_s += max(timeout, _TICK_S)
        return ready


class Timeline(asyncio.SelectorEventLoop):
    """An event loop in simulated time, which begins at 0 s."""

    def __init__(self) -> None:
        """Begin."""
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        """Seconds since the beginning."""
        return self._jumping.now_s


@dataclass(frozen=True)
class World:
    """The true time.

    Attributes:
        loop: Whose time it is.
        start_ms: Epoch time of its beginning.
    """

    loop: Timeline
    start_ms: int

    def now_ms(self) -> int:
        """The true time, ms since the epoch."""
        return self.start_ms + round(1000 * self.loop.time())

    async def until(self, at_ms: int) -> None:
        """Wait for an instant; returns at once if it has passed."""
        wait = at_ms - self.now_ms()
        await asyncio.sleep(max(0, wait) / 1000)


class WrongClock(SystemClock):
    """A machine's clock: the true time plus an error that may change."""

    def __init__(self, now_ms: Callable[[], int], error_ms: int = 0) -> None:
        """Follow ``now_ms``."""
        super().__init__()
        object.__setattr__(self, "state", _State(now_ms, error_ms))

    @property
    def error_ms(self) -> int:
        """How far it is ahead."""
        error: int = self.state.error_ms
        return error

    def step(self, error_ms: int) -> None:
        """Set the clock."""
        self.state.error_ms = error_ms

    def now_ms(self) -> int:
        """What the clock shows, ms since the epoch."""
        shown: int = self.state.now_ms() + self.state.error_ms
        return shown

    state: Any


@dataclass(slots=True)
class _State:
    now_ms: Callable[[], int]
    error_ms: int
