"""The ledger on its own thread: one writer, and a loop that never waits for the disk.

A ledger that cannot be opened (damaged, newer, a disk that is gone) does not end the process: each
object says so in its conditions, and opening is tried again, so that a restore in the pod's own
shell is all it takes.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TypeVar

import structlog

from licenseusage.errors import Retryable, Stalled, UsageError, Waiting
from licenseusage.ledger.ledger import Ledger
from licenseusage.reasons import Reason

T = TypeVar("T")
_LOCK_SECONDS = 30.0
_DAMAGED = Reason.LEDGER_CORRUPT
_log = structlog.get_logger(__name__)


class Books:
    """Runs work on the ledger in the order in which it is asked for, one at a time."""

    def __init__(self, url: str, *, now_ms: Callable[[], int], ledger_id: str) -> None:
        """Know where the ledger is; `open` comes first."""
        self._url, self._now_ms, self._ledger_id = url, now_ms, ledger_id
        self._executor = ThreadPoolExecutor(1, "ledger")
        self._ledger: Ledger | None = None
        self._problem: UsageError = Retryable(
            Reason.LEDGER_UNAVAILABLE, "The ledger is not open yet."
        )

    async def open(self, first: Callable[[Ledger], None]) -> None:
        """Open the ledger and run ``first`` on it before anything else.

        Waits for another process to release it for as long as that takes: a rolling restart starts
        the next pod while the former still ends, so a lock is nothing to fail for. It is logged
        each time.

        Raises:
            UsageError: As `Ledger.open` says, but for ``LedgerLocked``; or as ``first`` does. `do`
                raises the same until a later `open` succeeds.
        """
        while True:
            try:
                self._ledger = await self._run(self._opened, first)
            except Waiting as error:
                self._problem = error
                _log.warning("waiting for the ledger", reason=error.reason, error=error.message)
            except UsageError as error:
                self._problem = error
                raise
            else:
                return

    @property
    def is_open(self) -> bool:
        """Whether `do` can work."""
        return self._ledger is not None

    def now_open(self) -> Ledger:
        """Return the ledger itself, for what `do` runs, on the ledger's thread.

        Raises:
            UsageError: Why it is not open.
        """
        if self._ledger is None:
            raise self._problem.with_traceback(None)
        return self._ledger

    async def do(self, work: Callable[[Ledger], T]) -> T:
        """Run ``work(ledger)`` on the ledger's thread and return its result.

        Raises:
            UsageError: As `Ledger` says; nothing has changed then. Why the ledger is not open.
        """
        return await self._run(self._worked, work)

    async def close(self) -> None:
        """Finish what was begun, close the file and release the lock."""
        await self._run(self._closed)
        self._executor.shutdown()

    async def _run(self, call: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, call, *arguments)

    def _opened(self, first: Callable[[Ledger], None]) -> Ledger:
        ledger = Ledger.open(
            self._url,
            now_ms=self._now_ms(),
            ledger_id=self._ledger_id,
            lock_wait_seconds=_LOCK_SECONDS,
        )
        try:
            first(ledger)
        except BaseException:
            ledger.close()
            raise
        return ledger

    def _worked(self, work: Callable[[Ledger], T]) -> T:
        try:
            return work(self.now_open())
        except Stalled as error:
            if error.reason == _DAMAGED:
                # Its lock is released, so that a backup can be put in its place.
                self._problem = error
                self._closed()
            raise

    def _closed(self) -> None:
        if self._ledger is not None:
            ledger, self._ledger = self._ledger, None
            with suppress(UsageError):
                ledger.close()
