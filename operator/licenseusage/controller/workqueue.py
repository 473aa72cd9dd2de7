"""A work queue of keys: what client-go calls a rate-limited delaying queue, level-triggered.

A key says "look at this object", never what happened to it. Any number of additions while a key
waits are one piece of work; an addition while it is being worked on makes one more round.
"""

import asyncio
from collections.abc import Hashable
from contextlib import suppress
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class WorkQueue(Generic[K]):
    """One entry per key, one worker per key at a time, an earlier due time wins."""

    def __init__(self, first_seconds: float = 1.0, cap_seconds: float = 300.0) -> None:
        """Set the back-off of failing keys: ``first * 2**n``, at most ``cap``."""
        self._due: dict[K, float] = {}
        self._active: set[K] = set()
        self._failures: dict[K, int] = {}
        self._first, self._cap = first_seconds, cap_seconds
        self._wake = asyncio.Event()

    def __len__(self) -> int:
        """Keys waiting or being worked on."""
        return len(self._due.keys() | self._active)

    def add(self, key: K, after_seconds: float = 0.0) -> None:
        """Have the key worked on ``after_seconds`` from now; an earlier due time stands."""
        due = asyncio.get_running_loop().time() + after_seconds
        self._due[key] = min(due, self._due.get(key, due))
        self._wake.set()

    async def get(self) -> K:
        """Wait for the next due key that nobody works on; the caller must call `done` for it."""
        loop = asyncio.get_running_loop()
        while True:
            now = loop.time()
            waiting = {k: d for k, d in self._due.items() if k not in self._active}
            key = min(waiting, key=waiting.__getitem__, default=None)
            if key is not None and waiting[key] <= now:
                del self._due[key]
                self._active.add(key)
                return key
            self._wake.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(None if key is None else waiting[key] - now):
                    await self._wake.wait()

    def done(self, key: K, *, failed: bool = False) -> None:
        """Say that the work on a key ended; a failed one is due again after its back-off."""
        self._active.discard(key)
        if failed:
            n = self._failures[key] = self._failures.get(key, -1) + 1
            self.add(key, min(self._first * 2.0 ** min(n, 30), self._cap))
        else:
            self._failures.pop(key, None)
        self._wake.set()

    def overdue_seconds(self) -> float:
        """How long the longest-waiting due key has waited: 0 in a healthy operator (`/healthz`)."""
        now = asyncio.get_running_loop().time()
        waits = [now - d for k, d in self._due.items() if k not in self._active]
        return max(0.0, *waits) if waits else 0.0
