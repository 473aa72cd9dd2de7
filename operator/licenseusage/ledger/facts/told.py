"""Whom the newest poll of a list named, in memory, so that the next one is held against it.

A list of a million users changes by some dozens from poll to poll: where the ledger holds what is
remembered here, only those are written. What is remembered belongs to one open connection, and
counts only while the roster's row has its digest: after a transaction that was undone, a restored
ledger or another list it has another one, or none.
"""

from typing import Final, NamedTuple

from sqlalchemy import Connection

from licenseusage.metering.roster import Roster

MOST_BYTES: Final = 64 * 1024 * 1024
"""What all rosters together may take: lists of four million users."""

_NAME = "licenseusage.told"


class Told(NamedTuple):
    """The packed users of a poll, as in ``Roster``; ``digest`` is that of the row."""

    digest: str
    start: bytes
    before: bytes
    last: bytes

    @property
    def size(self) -> int:
        """Bytes held; ``before`` and ``last`` mostly are the same."""
        shared = self.before is self.last
        return len(self.start) + len(self.last) + (0 if shared else len(self.before))


def told_last(connection: Connection, roster_id: int, digest: str | None) -> Told | None:
    """Return what is remembered of a roster; None where the ledger holds something else."""
    remembered = _all(connection).get(roster_id)
    return remembered if remembered is not None and remembered.digest == digest else None


def remember(connection: Connection, roster_id: int, polled: Roster, digest: str) -> None:
    """Remember the users of a poll; those of the roster written longest ago make room."""
    memory = _all(connection)
    memory.pop(roster_id, None)
    last = polled.before if polled.last == polled.before else polled.last
    memory[roster_id] = Told(digest, polled.start, polled.before, last)
    while sum(roster.size for roster in memory.values()) > MOST_BYTES:
        del memory[next(iter(memory))]


def _all(connection: Connection) -> dict[int, Told]:
    memory: dict[int, Told] = connection.info.setdefault(_NAME, {})
    return memory
