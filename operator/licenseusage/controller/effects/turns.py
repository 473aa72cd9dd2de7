"""Who polls next: namespaces take turns, and what is slow never takes the last free place.

A place is a worker. Its poll may last for minutes, and nothing takes it back before: so what
matters is who gets one. A namespace never has all of them. What was slow the last time, or is new,
waits for its like: one poll of an object at a time, half of the places for a namespace, all but one
for all of them together. So a source that hangs delays its own object first, then its own
namespace, and never a source elsewhere that answers.
"""

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from licenseusage.controller.rules.key import Key


@dataclass(slots=True, eq=False)
class _Asking:
    key: Key
    quick: bool
    given: asyncio.Future[None]


@dataclass(slots=True)
class Places:
    """Who has the places: the rule, without any waiting.

    Attributes:
        size: How many there are.
        of_namespaces: Taken, by namespace.
        slow: Objects with a place for a poll that is not known to be quick.
    """

    size: int
    of_namespaces: Counter[str] = field(default_factory=Counter)
    slow: list[Key] = field(default_factory=list)

    def admits(self, key: Key, *, quick: bool) -> bool:
        """Whether a poll of this object may begin now."""
        taken = self.of_namespaces[key.namespace]
        if self.of_namespaces.total() >= self.size:
            return False
        spare = max(1, self.size - 1)
        if taken >= spare:
            return False
        if quick:
            return True
        slow_here = sum(1 for polled in self.slow if polled.namespace == key.namespace)
        return (
            key not in self.slow and slow_here < max(1, self.size // 2) and len(self.slow) < spare
        )

    def take(self, key: Key, *, quick: bool) -> None:
        """Note that a poll begins."""
        self.of_namespaces[key.namespace] += 1
        if not quick:
            self.slow.append(key)

    def leave(self, key: Key, *, quick: bool) -> None:
        """Note that it has ended."""
        self.of_namespaces[key.namespace] -= 1
        if not quick:
            self.slow.remove(key)


class Turns:
    """Gives places to polls; those that wait are served by namespace, in turn."""

    def __init__(self, size: int) -> None:
        """Give out ``size`` places."""
        self._places = Places(size)
        self._asking: list[_Asking] = []
        self._turns: dict[str, int] = {}  # the number of each namespace's last turn
        self._turn = itertools.count(1)

    @asynccontextmanager
    async def place(self, key: Key, *, quick: bool) -> AsyncIterator[None]:
        """Wait for a place, and have it for the length of the context.

        Args:
            key: The object that is polled.
            quick: Its source's last poll was quick.
        """
        asking = _Asking(key, quick, asyncio.get_running_loop().create_future())
        self._asking.append(asking)
        self._serve()
        try:
            await asking.given
            yield
        finally:
            if asking in self._asking:  # cancelled while it waited
                self._asking.remove(asking)
            else:
                self._places.leave(key, quick=quick)
            self._serve()

    def _serve(self) -> None:
        """Give out what can be given, first to the namespace whose last turn is longest ago."""
        while (asking := self._next()) is not None:
            self._asking.remove(asking)
            self._places.take(asking.key, quick=asking.quick)
            self._turns[asking.key.namespace] = next(self._turn)
            asking.given.set_result(None)

    def _next(self) -> _Asking | None:
        waiting = sorted(self._asking, key=lambda asking: self._turns.get(asking.key.namespace, 0))
        for asking in waiting:
            if not asking.given.done() and self._places.admits(asking.key, quick=asking.quick):
                return asking
        return None
