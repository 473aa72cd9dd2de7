"""The ledger on a thread of its own: one writer, and a loop that never waits for the disk."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Self, TypeVar

import structlog

from licenseusage.errors import Waiting
from licenseusage.ledger.ledger import Ledger

T = TypeVar("T")
_LOCK_SECONDS = 30.0
_log = structlog.get_logger(__name__)


class Books:
    """Runs work on the ledger in the order in which it is asked for, one at a time."""

    def __init__(self, ledger: Ledger, executor: ThreadPoolExecutor) -> None:
        """Take an open ledger and the single thread that opened it."""
        self._ledger, self._executor = ledger, executor

    @classmethod
    async def open(cls, url: str, *, now_ms: Callable[[], int], ledger_id: str) -> Self:
        """Open the ledger, waiting for another process to release it for as long as that takes.

        A rolling restart starts the next pod while the former still ends, so a lock is nothing to
        fail for; it is logged each time.

        Raises:
            UsageError: As `Ledger.open` says, but for ``LedgerLocked``.
        """
        executor = ThreadPoolExecutor(1, "ledger")
        loop = asyncio.get_running_loop()

        def attempt() -> Ledger:
            return Ledger.open(
                url, now_ms=now_ms(), ledger_id=ledger_id, lock_wait_seconds=_LOCK_SECONDS
            )

        while True:
            try:
                return cls(await loop.run_in_executor(executor, attempt), executor)
            except Waiting as error:
                _log.warning("waiting for the ledger", reason=error.reason, error=error.message)

    @property
    def ledger(self) -> Ledger:
        """The ledger itself, for what is run by `do` only."""
        return self._ledger

    async def do(self, work: Callable[[Ledger], T]) -> T:
        """Run ``work(ledger)`` on the ledger's thread and return its result.

        Raises:
            UsageError: ``LedgerUnavailable`` or ``LedgerCorrupt``; nothing has changed then.
        """
        return await asyncio.get_running_loop().run_in_executor(self._executor, work, self._ledger)

    async def close(self) -> None:
        """Finish what was begun, close the file and release the lock."""
        await self.do(Ledger.close)
        self._executor.shutdown()
