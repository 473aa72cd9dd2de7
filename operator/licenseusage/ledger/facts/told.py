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
    told = _all(connection).get(roster_id)
    return told if told is not None and told.digest == digest else None


def remember(connection: Connection, roster_id: int, found: Roster, digest: str) -> None:
    """Remember the users of a poll; those of the roster written longest ago make room."""
    told = _all(connection)
    told.pop(roster_id, None)
    last = found.before if found.last == found.before else found.last
    told[roster_id] = Told(digest, found.start, found.before, last)
    while sum(one.size for one in told.values()) > MOST_BYTES:
        del told[next(iter(told))]


def _all(connection: Connection) -> dict[int, Told]:
    told: dict[int, Told] = connection.info.setdefault(_NAME, {})
    return told
