"""Whether documents can be stored: asked of the database by storing something.

A disk that is full lets everything be read and nothing be kept, so that a question does not tell.
"""

import threading

from licenseusage.clock import Clock
from licenseusage.errors import Retryable
from licenseusage.receiver.store import Hold, ReceiverDatabase

PROBE_SECONDS = 5
"""Within this time the last answer is repeated, so that frequent requests do not load the disk."""


class Health:
    """The last answer, and when it was found."""

    def __init__(self, store: ReceiverDatabase, clock: Clock) -> None:
        """Know nothing yet."""
        self._store = store
        self._clock = clock
        self._one_at_a_time = threading.Lock()
        self._asked_ms: int | None = None
        self._failure: Retryable | None = None

    def check(self) -> None:
        """Return if documents can be stored.

        Raises:
            Retryable: ``DatabaseUnavailable``: they cannot.
        """
        with self._one_at_a_time:
            now_ms = self._clock.now_ms()
            if self._asked_ms is None or not 0 <= now_ms - self._asked_ms < 1000 * PROBE_SECONDS:
                self._failure = self._probe(now_ms)
                self._asked_ms = now_ms
            if self._failure is not None:
                raise self._failure

    def _probe(self, now_ms: int) -> Retryable | None:
        try:
            self._store.write(lambda writing: writing.probe(now_ms), Hold.probe())
        except Retryable as failure:
            return failure.with_traceback(None)
        return None
