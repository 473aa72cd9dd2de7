"""Time limits that hold whatever the product does, also while it drips one byte after the other.

Socket time-outs start anew with every byte. So in a worker, whose process does nothing else, a
request's limit is an alarm signal as well.
"""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from licenseusage.sources.failures import PollError, Reason


class Deadline:
    """The end of one poll, and of the request that is under way."""

    def __init__(self, poll_seconds: float, *, alarm: bool = False) -> None:
        """Start now.

        Args:
            poll_seconds: What the whole poll may take.
            alarm: Interrupt by SIGALRM; only in the main thread of a process of one's own.
        """
        self._alarm = alarm
        self._poll_seconds = poll_seconds
        self._started = time.monotonic()
        self._request_ends = self._poll_ends = self._started + poll_seconds
        self._request_seconds = poll_seconds

    @property
    def seconds(self) -> float:
        """Seconds since the poll began."""
        return time.monotonic() - self._started

    @contextmanager
    def request(self, seconds: float) -> Iterator[float]:
        """Bound one request; yields the seconds that it may take.

        Raises:
            PollError: ``PollTimeout`` or ``RequestTimeout``, at once when the time is over.
        """
        now = time.monotonic()
        self._request_seconds = seconds
        self._request_ends = min(now + seconds, self._poll_ends)
        left = self._request_ends - now
        if left <= 0:
            self.timed_out()
        if not self._alarm:
            yield left
            return
        with _alarm(left, self.timed_out):
            yield left

    def check(self) -> None:
        """Raise if the time is over."""
        if time.monotonic() >= self._request_ends:
            self.timed_out()

    def timed_out(self) -> NoReturn:
        """Say which limit was reached.

        Raises:
            PollError: Always.
        """
        if self._request_ends >= self._poll_ends:
            raise PollError(
                Reason.POLL_TIMEOUT,
                f"the list was not read within {self._poll_seconds:g} s. Ask for larger pages, or "
                "raise POLL_SECONDS of the operator.",
            )
        raise PollError(
            Reason.REQUEST_TIMEOUT,
            f"a request was not answered completely within {self._request_seconds:g} s. See how "
            "busy the product is; ask for smaller pages, or raise POLL_REQUEST_SECONDS of the "
            "operator.",
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
