"""The users of one poll join those held for a store, and what of that cannot be true together.

Functions of an open transaction.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, insert, select, update

from licenseusage.ledger import unsettled
from licenseusage.ledger.bulk import insert_users
from licenseusage.ledger.rosters import BEFORE, EVER, INACTIVE, LISTED, OPEN, word_of
from licenseusage.ledger.schema import facts
from licenseusage.metering.facts import Facts, join_maybe
from licenseusage.metering.roster import counts_for

_BATCH = 10_000
_FEW = 16  # users with the same words, for whom a statement of their own costs too much


def join_users(
    connection: Connection,
    store: Row[Any],
    found: Facts,
    roster: Row[Any] | None,
    late: Counter[int] | None,
) -> tuple[bool, int, bool]:
    """Join the facts of a poll with those held (as ``merge`` does), writing only what changed.

    Args:
        connection: The ledger.
        store: The row of ``stores`` before this poll.
        found: What the poll says.
        roster: The row of ``rosters`` before this poll; None: there was none.
        late: Is raised by whom these facts prove active first, by window; None: nobody
            asks.

    Returns:
        Whether anything changed; the windows that this join refutes; and whether somebody was
        active in a closed window who had been on no list.
    """
    against: dict[bytes, int] = {}  # by this poll, of those held
    shown: dict[bytes, int] = {}  # now, in windows closed before
    changed: list[dict[str, Any]] = []
    added: list[tuple[bytes, int, int]] = []
    gone: list[dict[str, Any]] = []  # ruled out everywhere: nobody is kept without a bit
    new = found.sure.keys() | found.maybe.keys()
    held = select(facts.c.pseudonym, facts.c.sure, facts.c.maybe).filter_by(store_id=store.id)
    with connection.execution_options(yield_per=_BATCH).execute(held) as rows:
        for user, sure, maybe in rows:
            new.discard(user)
            now_sure = found.sure.get(user, 0)
            if not found.closed and not now_sure & ~sure:
                continue  # nearly everybody: known to have been active then
            now_maybe = found.maybe.get(user, 0)
            if bits := sure & found.closed & ~(now_sure | now_maybe):
                against[user] = bits
            if bits := now_sure & store.closed & ~(sure | maybe):
                shown[user] = bits
            joined = sure | now_sure
            if late is not None and joined != sure:
                late.update(unsettled.windows(joined & ~sure, first=not sure))
            possible = join_maybe(maybe, store.closed, now_maybe, found.closed) & ~joined
            if not joined and not possible:
                gone.append({"user": user})
            elif (joined, possible) != (sure, maybe):
                changed.append({"user": user, "now_sure": joined, "now_maybe": possible})
    for user in sorted(new):  # in the order of the key: each page of the table is written once
        now_sure = found.sure.get(user, 0)
        if bits := now_sure & store.closed:
            shown[user] = bits
        possible = join_maybe(0, store.closed, found.maybe.get(user, 0), found.closed) & ~now_sure
        if late is not None and now_sure:
            late.update(unsettled.windows(now_sure, first=True))
        if now_sure or possible:
            added.append((user, now_sure, possible))
    same = (facts.c.store_id == store.id) & (facts.c.pseudonym == bindparam("user"))
    if gone:
        connection.execute(delete(facts).where(same), gone)
    if changed:
        write = update(facts).where(same)
        connection.execute(
            write.values(sure=bindparam("now_sure"), maybe=bindparam("now_maybe")), changed
        )
    _insert(connection, store.id, added)
    refuted = 0
    for user, bits in against.items():
        if bits & ~refuted and (found.roster is None or counts_for(found.roster, user)):
            refuted |= bits
    afterwards, unlisted = _shown_late(connection, shown, roster)
    return bool(gone or changed or added), refuted | afterwards, unlisted


def _insert(connection: Connection, store_id: int, added: list[tuple[bytes, int, int]]) -> None:
    """Insert users with their words, all of those at once who have the same words."""
    alike: dict[tuple[int, int], bytearray] = {}
    for user, sure, maybe in added:
        alike.setdefault((sure, maybe), bytearray()).extend(user)
    if len(alike) * _FEW < len(added):
        for (sure, maybe), users in alike.items():
            words = {"store_id": store_id, "sure": sure, "maybe": maybe}
            insert_users(connection, facts, bytes(users), words)
    elif added:
        rows = [
            {"store_id": store_id, "pseudonym": user, "sure": sure, "maybe": maybe}
            for user, sure, maybe in added
        ]
        connection.execute(insert(facts), rows)


def _shown_late(
    connection: Connection, shown: Mapping[bytes, int], roster: Row[Any] | None
) -> tuple[int, bool]:
    """Return the windows that were closed without somebody's activity, although he was listed.

    And whether somebody was on no list at all. One who is listed and was excluded until now is
    neither: for him the definition has changed.
    """
    refuted, unlisted = 0, False
    for user, bits in shown.items():
        word = LISTED | BEFORE if roster is None else word_of(connection, roster.id, user)
        if word & LISTED and word & (EVER | OPEN | INACTIVE):
            refuted |= bits
        unlisted = unlisted or not word
    return refuted, unlisted
