"""Time limits that hold whatever the product does, also while it drips one byte after the other.

A large product may think for half a minute before the first byte, and then send for a minute: what
is bounded is each silence, by the socket, and the poll as a whole. Socket time-outs start anew with
every byte, so in a worker, whose process does nothing else, the poll's end is an alarm as well.
"""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from licenseusage.reasons import Reason
from licenseusage.sources.failures import PollError


class Deadline:
    """The end of one poll, and of each silence of the product in it."""

    def __init__(
        self,
        poll_seconds: float,
        *,
        alarm: bool = False,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Start now.

        Args:
            poll_seconds: What the whole poll may take.
            alarm: Interrupt by SIGALRM; only in the main thread of a process of one's own.
            sleep: Waits so many seconds.
        """
        self._alarm, self._sleep = alarm, sleep
        self._poll_seconds = self._silence_seconds = poll_seconds
        self._started = time.monotonic()
        self._ends = self._started + poll_seconds

    @property
    def seconds(self) -> float:
        """Seconds since the poll began."""
        return time.monotonic() - self._started

    @property
    def left(self) -> float:
        """Seconds until the poll must end; negative after that."""
        return self._ends - time.monotonic()

    @contextmanager
    def request(self, silence_seconds: float) -> Iterator[float]:
        """Bound one request; yields the seconds that each wait for a byte may take.

        Args:
            silence_seconds: How long the product may send nothing at all.

        Raises:
            PollError: ``PollTimeout``, at once when the poll's time is over.
        """
        self._silence_seconds = silence_seconds
        left = self.left
        if left <= 0:
            self._poll_is_over()
        wait = min(silence_seconds, left)
        if not self._alarm:
            yield wait
            return
        with _alarm(left, self._poll_is_over):
            yield wait

    def pause(self, seconds: float) -> None:
        """Wait, within a request; the caller has seen that there is time for it.

        Raises:
            PollError: ``PollTimeout``: there was not.
        """
        self._sleep(seconds)
        self.check()

    def check(self) -> None:
        """Raise if the poll's time is over."""
        if self.left <= 0:
            self._poll_is_over()

    def timed_out(self) -> NoReturn:
        """Return the error for a wait that took too long: the end of the poll, or a silent product.

        Raises:
            PollError: Always.
        """
        self.check()
        raise PollError(
            Reason.REQUEST_TIMEOUT,
            f"the product sent nothing for {self._silence_seconds:g} s in the middle of a request. "
            "See how busy it is; ask for smaller pages, or raise POLL_REQUEST_SECONDS of the "
            "operator.",
        )

    def _poll_is_over(self) -> NoReturn:
        raise PollError(
            Reason.POLL_TIMEOUT,
            f"the list was not read within {self._poll_seconds:g} s. Ask for larger pages, or "
            "raise POLL_SECONDS of the operator.",
        )


@contextmanager
def _alarm(seconds: float, ring: Callable[[], NoReturn]) -> Iterator[None]:
    armed = True

    def handler(_number: int, _frame: FrameType | None) -> None:
        if armed:
            ring()

    before = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        armed = False
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
