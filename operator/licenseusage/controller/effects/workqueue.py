"""A work queue of keys: what client-go calls a rate-limited delaying queue, level-triggered.

A key says "look at this object", never what happened to it. Any number of additions while a key
waits are one piece of work; an addition while it is being worked on makes one more round.
"""

import asyncio
import heapq
import itertools
import math
from collections.abc import Hashable
from contextlib import suppress
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class WorkQueue(Generic[K]):
    """One entry per key, one worker per key at a time, an earlier due time wins."""

    def __init__(self, first_seconds: float = 1.0, cap_seconds: float = 300.0) -> None:
        """Set the back-off of failing keys: ``first * 2**n``, at most ``cap``."""
        self._due: dict[K, float] = {}
        # By due time, each with its number; those that do not fit `_due` any more are passed over.
        self._row: list[tuple[float, int, K]] = []
        self._number = itertools.count()
        self._active: set[K] = set()
        self._failures: dict[K, int] = {}
        self._first, self._cap = first_seconds, cap_seconds
        self._wake = asyncio.Event()

    def __len__(self) -> int:
        """Keys waiting or being worked on."""
        return len(self._due.keys() | self._active)

    def __contains__(self, key: object) -> bool:
        """Whether a key waits, however long, or is being worked on."""
        return key in self._due or key in self._active

    def add(self, key: K, after_seconds: float = 0.0) -> None:
        """Have the key worked on ``after_seconds`` from now; an earlier due time stands."""
        due = asyncio.get_running_loop().time() + after_seconds
        if due < self._due.get(key, math.inf):
            self._due[key] = due
            self._queue(key)

    async def get(self) -> K:
        """Wait for the next due key that nobody works on; the caller must call `done` for it."""
        loop = asyncio.get_running_loop()
        while True:
            now, first = loop.time(), self._first_of_row()
            if first is not None and self._due[first] <= now:
                heapq.heappop(self._row)
                del self._due[first]
                self._active.add(first)
                return first
            self._wake.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(None if first is None else self._due[first] - now):
                    await self._wake.wait()

    def done(self, key: K, *, failed: bool = False) -> None:
        """Say that the work on a key ended; a failed one is due again after its back-off."""
        self._active.discard(key)
        if failed:
            n = self._failures[key] = self._failures.get(key, -1) + 1
            self.add(key, min(self._first * 2.0 ** min(n, 30), self._cap))
        else:
            self._failures.pop(key, None)
        if key in self._due:
            self._queue(key)

    def _queue(self, key: K) -> None:
        """Take a waiting key into the row; one that is worked on comes into it when that ends."""
        if key not in self._active:
            heapq.heappush(self._row, (self._due[key], next(self._number), key))
            self._wake.set()

    def _first_of_row(self) -> K | None:
        while self._row:
            due, _, key = self._row[0]
            if key not in self._active and self._due.get(key) == due:
                return key
            heapq.heappop(self._row)
        return None

    def overdue_seconds(self) -> float:
        """How long the longest-waiting due key has waited: 0 in a healthy operator (`/healthz`)."""
        now = asyncio.get_running_loop().time()
        waits = [now - d for k, d in self._due.items() if k not in self._active]
        return max(0.0, *waits) if waits else 0.0
