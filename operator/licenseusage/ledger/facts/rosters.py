"""Rosters in the ledger: whom each complete poll of a list named, by what that says of the cycle.

Functions of an open transaction. A million rows are written twice in a cycle, by its first poll and
by the closing one; between them a listing of the same people as before writes nothing.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import (
    Connection,
    Row,
    and_,
    bindparam,
    delete,
    exists,
    func,
    insert,
    not_,
    select,
    update,
)

from licenseusage.ledger.facts.told import Told, remember, told_last
from licenseusage.ledger.storage.bulk import join_words, spans
from licenseusage.ledger.storage.schema import cycles, roster_users, rosters
from licenseusage.metering.cycles import DAY_MS, Cycle
from licenseusage.metering.packing import differences, unpacked
from licenseusage.metering.pseudonym import SIZE
from licenseusage.metering.roster import JOINED_GAP_MS, Roster, Run, joined_runs
from licenseusage.metering.stores import StoreKey

BEFORE, OPEN, INACTIVE, LISTED, START, QUIET, IDLE = 1, 2, 4, 8, 16, 32, 64
EVER = START | BEFORE
"""Bits of a user's word: the sets of `metering.roster.Roster`; ``LISTED`` is its ``last``."""

AT_ONCE = 20_000
_ORPHANED_MS = 7 * DAY_MS

_OF_CYCLE = select(rosters).where(
    rosters.c.meter_id == bindparam("meter_id"),
    rosters.c.cycle_start_ms == bindparam("cycle_start_ms"),
)
_OF_STORE = _OF_CYCLE.where(
    rosters.c.source == bindparam("source"), rosters.c.domain == bindparam("domain")
)
_ROSTER = select(rosters).where(rosters.c.id == bindparam("roster_id"))
_CHANGE = update(rosters).where(rosters.c.id == bindparam("roster_id"))


@dataclass(frozen=True, slots=True)
class Joined:
    """The changes of a roster by one poll.

    Attributes:
        row: The row of ``rosters`` as it is now.
        more: It may say more of the cycle than before.
        newest: The poll is the newest one, and does not list the same people as the one before, or
            it closes the cycle: it is worth being held against those.
    """

    row: Row[Any]
    more: bool
    newest: bool


class _Part(NamedTuple):
    """Packed users and the bit that they are given."""

    users: bytes
    word: int


def join_roster(
    connection: Connection,
    meter_id: int,
    cycle: Cycle,
    store: StoreKey,
    polled: Roster | None,
    listing: str | None = None,
) -> Joined | None:
    """Join the roster of a poll with the one held, as ``metering.roster.merge_rosters`` does.

    Args:
        connection: The ledger.
        meter_id: The meter.
        cycle: The cycle, which may be to come.
        store: The store.
        polled: The roster of the poll; None: it has none.
        listing: Digest of what decides who is listed. Where it changes, it is another list, which
            cannot be held against the former one: the roster begins anew. None: not told.
    """
    if polled is None:
        return None
    row = ensure_roster(connection, meter_id, cycle.start_ms, store)
    if listing is not None and row.listing not in {None, listing}:
        row = _begun_anew(connection, row)
    newest = _wins(polled.last_at_ms, row.last_at_ms)
    starts = _wins(polled.start_at_ms, row.start_at_ms)
    idles = _wins(polled.idle_at_ms, row.idle_at_ms)
    closes = polled.open_at_ms is not None and (
        row.open_at_ms is None or polled.open_at_ms <= row.open_at_ms
    )
    # Of polls that say who was inactive more than the list of users can change.
    digest = _digest(polled) if newest and polled.idle_at_ms is None else None
    unknown = digest is None or digest != row.before_digest
    changed = False
    if unknown:
        parts = [_Part(polled.before, BEFORE), _Part(polled.inactive, INACTIVE)]
        parts += [_Part(polled.quiet, QUIET)]
        parts += [_Part(polled.start, START)] if starts else []
        parts += [_Part(polled.idle, IDLE)] if idles else []
        parts += [_Part(polled.open, OPEN)] if closes else []
        parts += [_Part(polled.last, LISTED)] if newest else []
        clearing = LISTED if newest and polled.last_at_ms != row.last_at_ms else 0
        clearing |= START if starts and polled.start_at_ms != row.start_at_ms else 0
        clearing |= IDLE if idles and polled.idle_at_ms != row.idle_at_ms else 0
        clearing |= OPEN if closes and polled.open_at_ms != row.open_at_ms else 0
        remembered = told_last(connection, row.id, row.before_digest)
        if remembered is not None and _goes_on(row, polled, remembered):
            changed = _write_changes(connection, row.id, remembered, polled)
        else:
            changed = write_words(connection, row.id, parts, clearing)
        if digest is not None and starts == bool(polled.start):
            remember(connection, row.id, polled, digest)
    now = {
        "start_at_ms": polled.start_at_ms if starts else row.start_at_ms,
        "open_at_ms": polled.open_at_ms if closes else row.open_at_ms,
        "last_at_ms": polled.last_at_ms if newest else row.last_at_ms,
        "idle_at_ms": polled.idle_at_ms if idles else row.idle_at_ms,
        "runs": json.dumps(joined_runs((*runs_of(row), *polled.runs), JOINED_GAP_MS)),
        "before_digest": digest if newest else row.before_digest,
        "listing": listing or row.listing,
    }
    this = {"roster_id": row.id}
    connection.execute(_CHANGE, now | this)
    more = changed or now["open_at_ms"] != row.open_at_ms
    after = connection.execute(_ROSTER, this).one()
    return Joined(after, more, newest=newest and unknown)


def ensure_roster(
    connection: Connection, meter_id: int, start_ms: int, store: StoreKey
) -> Row[Any]:
    """Return the row of ``rosters`` of a store and cycle, made if absent."""
    key = {"meter_id": meter_id, "cycle_start_ms": start_ms, **store._asdict()}
    row = connection.execute(_OF_STORE, key).one_or_none()
    if row is None:
        connection.execute(insert(rosters).values(**key))
        row = connection.execute(_OF_STORE, key).one()
    return row


def rosters_of(connection: Connection, meter_id: int, cycle: Cycle) -> dict[StoreKey, Row[Any]]:
    """Return the row of ``rosters`` of each store of a cycle."""
    of_cycle = {"meter_id": meter_id, "cycle_start_ms": cycle.start_ms}
    rows = connection.execute(_OF_CYCLE, of_cycle)
    return {StoreKey(row.source, row.domain): row for row in rows}


def runs_of(row: Row[Any]) -> tuple[Run, ...]:
    """Return the runs of complete polls of a row of ``rosters``."""
    return tuple(Run(*run) for run in json.loads(row.runs))


def word_of(connection: Connection, roster_id: int, user: bytes) -> int:
    """Return the word of one user; 0: on no list."""
    query = select(roster_users.c.word).filter_by(roster_id=roster_id, pseudonym=user)
    return int(connection.execute(query).scalar_one_or_none() or 0)


def words_between(
    connection: Connection, roster_id: int, first: bytes, end: bytes | None
) -> dict[bytes, int]:
    """Return the words of the users in a span of pseudonyms; without an end: of all from there."""
    query = select(roster_users.c.pseudonym, roster_users.c.word).where(
        roster_users.c.roster_id == roster_id, roster_users.c.pseudonym >= first
    )
    if end is not None:
        query = query.where(roster_users.c.pseudonym < end)
    return {user: word for user, word in connection.execute(query)}


def delete_rosters(connection: Connection, now_ms: int) -> None:
    """Delete the rosters of cycles whose facts were deleted, and of cycles that never came."""
    same = and_(
        cycles.c.meter_id == rosters.c.meter_id, cycles.c.start_ms == rosters.c.cycle_start_ms
    )
    wiped = exists().where(same, cycles.c.wiped == 1)
    orphaned = and_(rosters.c.cycle_start_ms < now_ms - _ORPHANED_MS, not_(exists().where(same)))
    gone = connection.execute(select(rosters.c.id).where(wiped | orphaned)).scalars().all()
    for roster_id in gone:
        connection.execute(delete(roster_users).where(roster_users.c.roster_id == roster_id))
        connection.execute(delete(rosters).where(rosters.c.id == roster_id))


def count_users(connection: Connection, roster_id: int) -> int:
    """Return how many users have a word."""
    query = select(func.count()).select_from(roster_users).filter_by(roster_id=roster_id)
    return int(connection.execute(query).scalar_one())


def write_words(
    connection: Connection, roster_id: int, parts: Sequence[tuple[bytes, int]], clearing: int
) -> bool:
    """Clear bits for everybody, then set the bit of each set of packed users, and write changes.

    Returns:
        Whether anything has changed.
    """
    count = count_users(connection, roster_id)
    if not count:
        return _write_first(connection, roster_id, parts)
    most = max(count, *(len(users) // SIZE for users, _ in parts))
    covering = spans(most, AT_ONCE)
    split = [_split(users, len(covering)) for users, _ in parts]
    wrote = False
    for number, (first, end) in enumerate(covering):
        now: dict[bytes, int] = {}
        for span, (_, word) in zip(split, parts, strict=True):
            for user in unpacked(span[number]):
                now[user] = now.get(user, 0) | word
        wrote |= write_span(connection, roster_id, (first, end), now, clearing)
    return wrote


def _goes_on(row: Row[Any], polled: Roster, remembered: Told) -> bool:
    """Whether a later poll says the same kind of thing as the one that is remembered."""
    more = polled.open_at_ms is not None or polled.inactive or polled.quiet or polled.idle
    later = polled.last_at_ms is not None and polled.last_at_ms > (row.last_at_ms or 0)
    return later and not more and bool(polled.start) == bool(remembered.start)


def _write_changes(
    connection: Connection, roster_id: int, remembered: Told, polled: Roster
) -> bool:
    """Write how a list differs from the one before; whether anything has changed."""
    wrote = False
    for was, now, word in (
        (remembered.start, polled.start, START),
        (remembered.before, polled.before, BEFORE),
        (remembered.last, polled.last, LISTED),
    ):
        added, gone = differences(was, now)
        values = {"roster_id": roster_id, "word": word}
        wrote |= join_words(connection, roster_users, added, values)
        if word != BEFORE:  # whoever was listed in the cycle stays so
            wrote |= _clear(connection, roster_id, gone, word)
    return wrote


def _clear(connection: Connection, roster_id: int, users: bytes, word: int) -> bool:
    """Clear a bit of some users; nobody is kept without one."""
    if not users:
        return False
    same = (roster_users.c.roster_id == roster_id) & (roster_users.c.pseudonym == bindparam("user"))
    rows = [{"user": user} for user in unpacked(users)]
    left = roster_users.c.word.bitwise_and(~word)
    connection.execute(update(roster_users).where(same).values(word=left), rows)
    connection.execute(delete(roster_users).where(same, roster_users.c.word == 0), rows)
    return True


def _write_first(
    connection: Connection, roster_id: int, parts: Sequence[tuple[bytes, int]]
) -> bool:
    words: dict[bytes, int] = {}
    for users, word in parts:  # often the same users under several bits
        words[users] = words.get(users, 0) | word
    for users in sorted(words, key=len, reverse=True):
        join_words(connection, roster_users, users, {"roster_id": roster_id, "word": words[users]})
    return any(words)


def write_span(
    connection: Connection,
    roster_id: int,
    span: tuple[bytes, bytes | None],
    now: dict[bytes, int],
    clearing: int,
) -> bool:
    """Write what changes in a span of pseudonyms, in the order of the key; whether anything did."""
    words = words_between(connection, roster_id, *span)
    changed, gone = [], []
    for user, word in words.items():
        after = word & ~clearing | now.pop(user, 0)
        if after == word:
            continue
        if after:
            changed.append({"user": user, "now": after})
        else:
            gone.append({"user": user})
    same = (roster_users.c.roster_id == roster_id) & (roster_users.c.pseudonym == bindparam("user"))
    if changed:
        connection.execute(update(roster_users).where(same).values(word=bindparam("now")), changed)
    if gone:
        connection.execute(delete(roster_users).where(same), gone)
    if now:
        rows = [{"roster_id": roster_id, "pseudonym": u, "word": now[u]} for u in sorted(now)]
        connection.execute(insert(roster_users), rows)
    return bool(changed or gone or now)


def _split(users: bytes, parts: int) -> list[bytes]:
    """Return packed users by the span that they are in, of so many `spans`."""
    if parts == 1:
        return [users]
    split: list[bytearray] = [bytearray() for _ in range(parts)]
    for user in unpacked(users):
        split[user[0] * parts // 256] += user
    return [bytes(span) for span in split]


def _begun_anew(connection: Connection, row: Row[Any]) -> Row[Any]:
    connection.execute(delete(roster_users).where(roster_users.c.roster_id == row.id))
    connection.execute(delete(rosters).where(rosters.c.id == row.id))
    key = StoreKey(row.source, row.domain)
    return ensure_roster(connection, row.meter_id, row.cycle_start_ms, key)


def _wins(found_ms: int | None, held_ms: int | None) -> bool:
    """Whether a poll is the newest of its kind."""
    return found_ms is not None and (held_ms is None or found_ms >= held_ms)


def _digest(polled: Roster) -> str:
    digest = hashlib.sha256()
    for users in (polled.start, polled.before, polled.last):
        digest.update(len(users).to_bytes(8) + users)
    return digest.hexdigest()
