"""A list without times, held against the lists before it: who appeared, who came back, who is gone.

The rules are ``metering.rolling``'s. Functions of an open transaction, of a poll that has not been
recorded yet. The lists before are the store's roster; a poll that is recorded again is not newer
than itself, and tells nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, Row, select, update

from licenseusage.ledger.facts.rosters import EVER, LISTED, runs_of
from licenseusage.ledger.facts.told import told_last
from licenseusage.ledger.records import PollRecord
from licenseusage.ledger.storage.schema import facts as facts_table
from licenseusage.ledger.storage.schema import roster_users, rosters
from licenseusage.metering.cycles import CYCLE_MASK, Cycle, Segment
from licenseusage.metering.facts import Facts
from licenseusage.metering.packing import differences, packed, unpacked
from licenseusage.metering.polled import Polled
from licenseusage.metering.pseudonym import SIZE
from licenseusage.metering.rolling import (
    ListBefore,
    appeared_word,
    must_list_again,
    must_stay,
    plausible,
)
from licenseusage.metering.roster import Roster
from licenseusage.metering.words import PackedWords

_AT_ONCE = 5_000


@dataclass(frozen=True, slots=True)
class Compared:
    """The difference between a list and those before it.

    Attributes:
        facts: What the poll says of the cycle, with those who appeared as proved active.
        returned: Somebody came back who had been listed before, and not by the newest list.
        at_once: So many appeared at once that none of them counts; 0: nobody, or not too many.
    """

    facts: Facts
    returned: bool = False
    at_once: int = 0


def compared(
    connection: Connection,
    store_id: int,
    cycle: Cycle,
    poll: PollRecord,
    facts: Facts,
    row: Row[Any] | None,
) -> Compared:
    """Hold the list of a poll against the lists before it.

    Args:
        connection: The ledger.
        store_id: Row of ``stores``.
        cycle: The cycle.
        poll: The poll.
        facts: What it says of the cycle by itself.
        row: The row of ``rosters`` before this poll; None: there was no list.
    """
    now = facts.roster
    if row is None or now is None or not _goes_on(row, now, poll.listing or poll.selection):
        return Compared(facts)
    before = _listed(connection, row)
    added, gone = differences(before, now.last)
    polled = _polled(poll)
    list_before = ListBefore(row.last_at_ms, row.last_read_ms, runs_of(row))
    since_ms = poll.since.get(cycle)
    part = cycle if since_ms is None else Segment(cycle, since_ms, cycle.end_ms)
    if must_list_again(poll.properties, list_before, polled):
        contradicts = bool(gone)
    else:
        stays = must_stay(part, poll.properties, list_before, polled)
        contradicts = stays and _any_sure(connection, store_id, gone)
    if contradicts:
        facts = replace(facts, refuted=facts.refuted | CYCLE_MASK)
    known = _words(connection, row.id, added)
    returned = any(word & EVER for word in known.values())
    people = set(unpacked(now.before))
    new = packed(user for user in unpacked(added) if user not in known and user in people)
    word = appeared_word(part, poll.properties, polled, list_before) if new else 0
    if not word:
        return Compared(facts, returned)
    if not plausible(len(new) // SIZE, len(before) // SIZE):
        return Compared(facts, returned, at_once=len(new) // SIZE)
    # Where appearing proves something rows prove nothing, so that nobody else is sure.
    return Compared(replace(facts, sure=PackedWords({word: new})), returned)


def note_list(
    connection: Connection, roster_id: int, poll: PollRecord, polled: Roster, *, returned: bool
) -> None:
    """Keep when the newest list had been read, and that the list forgets, if it was seen to."""
    polled_at = _polled(poll)
    this = (rosters.c.id == roster_id) & (rosters.c.last_at_ms == polled.last_at_ms)
    connection.execute(update(rosters).where(this).values(last_read_ms=polled_at.read_ms))
    if returned:
        unknown = (rosters.c.id == roster_id) & rosters.c.returned_ms.is_(None)
        connection.execute(update(rosters).where(unknown).values(returned_ms=polled_at.began_ms))


def _polled(poll: PollRecord) -> Polled:
    return Polled.at(poll.started_ms, poll.ended_ms, poll.clock_skew_ms, complete=poll.complete)


def _goes_on(row: Row[Any], now: Roster, listing: str | None) -> bool:
    """Whether the poll read the same list later than the newest one known."""
    if row.last_at_ms is None or now.last_at_ms is None or now.last_at_ms <= row.last_at_ms:
        return False
    return listing is None or row.listing in {None, listing}


def _listed(connection: Connection, row: Row[Any]) -> bytes:
    """Return whom the newest list named, packed."""
    remembered = told_last(connection, row.id, row.before_digest)
    if remembered is not None:
        return remembered.last
    query = select(roster_users.c.pseudonym).where(
        roster_users.c.roster_id == row.id, roster_users.c.word.bitwise_and(LISTED) != 0
    )
    return packed(connection.execute(query).scalars())


def _any_sure(connection: Connection, store_id: int, users: bytes) -> bool:
    """Whether one of some users is proved active."""
    sure = select(facts_table.c.pseudonym).where(
        facts_table.c.store_id == store_id, facts_table.c.sure != 0
    )
    return any(
        connection.execute(sure.where(facts_table.c.pseudonym.in_(some)).limit(1)).first()
        for some in _portions(users)
    )


def _portions(users: bytes) -> Iterator[list[bytes]]:
    for at in range(0, len(users), _AT_ONCE * SIZE):
        yield list(unpacked(users[at : at + _AT_ONCE * SIZE]))


def _words(connection: Connection, roster_id: int, users: bytes) -> dict[bytes, int]:
    """Return the words of those of some users who have been listed before."""
    words: dict[bytes, int] = {}
    for some in _portions(users):
        query = select(roster_users.c.pseudonym, roster_users.c.word).where(
            roster_users.c.roster_id == roster_id, roster_users.c.pseudonym.in_(some)
        )
        words.update((user, word) for user, word in connection.execute(query))
    return words
