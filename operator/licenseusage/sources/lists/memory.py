"""A worker process's memory of the lists that it read; losing it costs only time.

See ``naming``: columns of pseudonyms and of keyed hashes, never an id. They live in the memory of
the worker alone and end with it.
"""

import hashlib
import resource
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple, Self

from licenseusage.metering.cycles import Cycle
from licenseusage.sources.lists.naming import Named
from licenseusage.sources.lists.unchanged import AnswerMemory
from licenseusage.sources.poll import MIB, PollRequest

MOST_BYTES: Final = 64 * MIB
"""Enough for lists of 1.6 million users together."""


_STATUS = Path("/proc/self/status")


class ListKey(NamedTuple):
    """A list: an object's source. Another one of the same name only makes it forgotten."""

    subject: str
    source: str

    @classmethod
    def of(cls, request: PollRequest) -> Self:
        """Return the list that a request reads."""
        return cls(request.subject, request.source.name)


class NamingContext(NamedTuple):
    """Whatever a pseudonym depends on, beside the id."""

    key: bytes
    product: str
    start_ms: int


class ListMemory:
    """Lists by the time of their last poll, the oldest first.

    Attributes:
        answers: What of the same lists need not be sent again.
    """

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        """Begin empty; ``most_bytes`` is the limit of all lists together."""
        self._most = most_bytes
        self.answers = AnswerMemory()
        self._lists: dict[ListKey, dict[NamingContext, Named]] = {}

    def known(self, request: PollRequest, cycle: Cycle) -> Named | None:
        """Return the memory of a list under the pseudonyms of a cycle."""
        of_list = self._lists.get(ListKey.of(request), {})
        return of_list.get(_pseudonym_key(request, cycle))

    def keep(self, request: PollRequest, by_cycle: dict[Cycle, Named]) -> None:
        """Remember a list as it was read, and forget others where there is no room.

        Where a poll needed half of what a worker may use nothing is kept: the next one must have as
        much.
        """
        limit = request.limits.worker_bytes
        if limit and _peak_bytes() > limit // 2:
            self._lists.clear()
            return
        self._lists.pop(ListKey.of(request), None)
        self._lists[ListKey.of(request)] = {
            _pseudonym_key(request, cycle): named for cycle, named in by_cycle.items()
        }
        while self.size > self._most:
            del self._lists[next(iter(self._lists))]

    @property
    def size(self) -> int:
        """The size in bytes."""
        return sum(named.size for of_list in self._lists.values() for named in of_list.values())


def _pseudonym_key(request: PollRequest, cycle: Cycle) -> NamingContext:
    key = hashlib.sha256(request.pseudonym_key).digest()
    return NamingContext(key, request.product, cycle.start_ms)


def _peak_bytes() -> int:
    """Return the most memory that this program has had at once.

    ``getrusage`` says it too, but on Linux it counts the process that started this one as well: a
    worker would remember nothing because the operator is large.
    """
    with suppress(OSError):
        for line in _STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return 1024 * int(line.split()[1])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak
