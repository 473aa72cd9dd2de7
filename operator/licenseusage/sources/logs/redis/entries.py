"""A Redis stream as its server describes it: ids, counters, and what was removed."""

import re
from dataclasses import dataclass
from typing import Final, NamedTuple

_ID: Final = re.compile(rb"([0-9]{1,20})-([0-9]{1,20})")


class EntryId(NamedTuple):
    """The id of an entry: when the server stored it, and its number in that millisecond.

    The server gives them; they ascend and have gaps (redis.io, "Entry IDs").
    """

    ms: int
    number: int = 0

    def __str__(self) -> str:
        """Write it as Redis does."""
        return f"{self.ms}-{self.number}"


NO_ENTRY: Final = EntryId(0)
"""Where Redis has no id to tell."""


def entry_id(text: object) -> EntryId:
    """Read an id as Redis writes it; raises ``ValueError``."""
    match = _ID.fullmatch(text if isinstance(text, bytes) else str(text).encode())
    if match is None:
        raise ValueError("no id of an entry")
    return EntryId(int(match[1]), int(match[2]))


class Mark(NamedTuple):
    """A position in a stream, as the ledger keeps it.

    Attributes:
        entry: The newest entry that was read, or is known to be gone.
        asked_ms: When the stream was asked, our clock, where it was read to its end; else None.
    """

    entry: EntryId
    asked_ms: int | None = None

    def __str__(self) -> str:
        """Write it, to be read by ``mark_of``."""
        return str(self.entry) + ("" if self.asked_ms is None else f" {self.asked_ms}")


def mark_of(text: str) -> Mark:
    """Read a mark; raises ``ValueError``."""
    entry, _, asked = text.partition(" ")
    return Mark(entry_id(entry), int(asked) if asked else None)


@dataclass(frozen=True, slots=True)
class StreamState:
    """A stream (XINFO STREAM of Redis 7).

    Attributes:
        run: The run of the server that answered: another one after a restart or a failover.
        since_ms: Since when that run has answered for the stream; None: not known.
        length: Entries that it holds.
        added: Entries that were ever added.
        first: Its oldest entry; None: it is empty.
        last: The newest entry that was ever added.
        deleted: The newest entry that was removed by its id (XDEL); trimming removes the oldest
            entries, and is not noted here.
    """

    run: str
    since_ms: int | None
    length: int
    added: int
    first: EntryId | None
    last: EntryId
    deleted: EntryId = NO_ENTRY
