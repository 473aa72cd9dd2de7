"""The users of one poll join those held for a store, and what of that cannot be true together.

Functions of an open transaction.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, func, insert, select, update

from licenseusage.ledger.facts import unsettled
from licenseusage.ledger.facts.rosters import BEFORE, EVER, INACTIVE, LISTED, OPEN, word_of
from licenseusage.ledger.storage.bulk import insert_users, spans
from licenseusage.ledger.storage.schema import facts
from licenseusage.metering.facts import Facts, join_maybe
from licenseusage.metering.roster import Roster, counts_for, is_listed
from licenseusage.metering.words import PackedWords

_BATCH = 10_000
_AT_ONCE = 100_000  # users as objects, about 400 bytes each
_NAMED = 20_000  # users that are looked up by name; for more a scan is quicker
_AT_A_TIME = 900  # parameters of a statement, below the least limit of SQLite
_FEW = 16  # users with the same words, for whom a statement of their own costs too much


def join_users(
    connection: Connection,
    store: Row[Any],
    polled: Facts,
    roster: Row[Any] | None,
    late: Counter[int] | None,
    *,
    untimed: bool = False,
) -> tuple[bool, int, bool]:
    """Join the facts of a poll with those held (as ``merge`` does), writing only what changed.

    Args:
        connection: The ledger.
        store: The row of ``stores`` before this poll.
        polled: What the poll says.
        roster: The row of ``rosters`` before this poll; None: there was none.
        late: Is raised by whom these facts prove active first, by window; None: nobody
            asks.
        untimed: A list without times, which rules out by not naming somebody (``rolling``).

    Returns:
        Whether anything changed; the windows that this join refutes; and whether somebody was
        active in a closed window who had been on no list.
    """
    most = max(len(polled.sure) + len(polled.maybe), _count(connection, store.id, polled))
    all_sure, all_maybe = PackedWords.of(polled.sure), PackedWords.of(polled.maybe)
    changed, refuted, unlisted = False, 0, False
    for first, end in spans(most, _AT_ONCE):
        span = _Span(all_sure.between(first, end), all_maybe.between(first, end), polled.closed)
        span.join(connection, store, (first, end), late)
        changed |= span.write(connection, store.id)
        for user, bits in span.against.items():
            if bits & ~refuted and _refutes(polled.roster, user, untimed=untimed):
                refuted |= bits
        afterwards, nowhere = _shown_late(connection, span.shown, roster)
        refuted |= afterwards
        unlisted |= nowhere
    return changed, refuted, unlisted


def words_of(
    connection: Connection, store_id: int, users: Sequence[bytes]
) -> dict[bytes, tuple[int, int]]:
    """Return the words (sure, maybe) of those of some users whom a store has."""
    words: dict[bytes, tuple[int, int]] = {}
    query = select(facts.c.pseudonym, facts.c.sure, facts.c.maybe).filter_by(store_id=store_id)
    for first in range(0, len(users), _AT_A_TIME):
        some = users[first : first + _AT_A_TIME]
        rows = connection.execute(query.where(facts.c.pseudonym.in_(some)))
        words |= {user: (sure, maybe) for user, sure, maybe in rows}
    return words


def adds_anybody(connection: Connection, store_id: int, sure: Mapping[bytes, int]) -> bool:
    """Whether these words prove an activity that a store does not know."""
    known = words_of(connection, store_id, sorted(sure))
    return any(bits & ~known.get(user, (0, 0))[0] for user, bits in sure.items())


def _refutes(roster: Roster | None, user: bytes, *, untimed: bool) -> bool:
    """Whether ruling out somebody with proof of activity refutes what is declared.

    Somebody who is excluded by now is listed, and refutes nothing. Of a list with times it matters
    to its roster, and not here, that somebody is not on it; of one without, that is all it says.
    """
    if untimed:
        return roster is not None and not is_listed(roster, user)
    return roster is None or counts_for(roster, user)


def _count(connection: Connection, store_id: int, polled: Facts) -> int:
    """Return how many users a poll that rules people out is held against."""
    if not polled.closed:
        return 0
    query = select(func.count()).select_from(facts).filter_by(store_id=store_id)
    return int(connection.execute(query).scalar_one())


class _Span:
    """The users of a poll within a span of pseudonyms, and what they change in the ledger.

    Attributes:
        against: Windows in which this poll rules out somebody held.
        shown: Windows closed before in which it proves somebody active whom nothing had named.
    """

    def __init__(self, sure: dict[bytes, int], maybe: dict[bytes, int], closed: int) -> None:
        self._sure, self._maybe, self._closed = sure, maybe, closed
        self.against: dict[bytes, int] = {}
        self.shown: dict[bytes, int] = {}
        self._changed: list[dict[str, Any]] = []
        self._added: list[tuple[bytes, int, int]] = []
        self._gone: list[dict[str, Any]] = []  # ruled out everywhere: nobody is kept without a bit

    def join(
        self,
        connection: Connection,
        store: Row[Any],
        span: tuple[bytes, bytes | None],
        late: Counter[int] | None,
    ) -> None:
        """Find what changes; raises ``late``."""
        new = self._sure.keys() | self._maybe.keys()
        if not self._closed and len(new) <= _NAMED:
            # It rules nobody out, so that only those whom it names matter.
            for user, (sure, maybe) in words_of(connection, store.id, sorted(new)).items():
                new.discard(user)
                self._known(store, user, sure, maybe, late)
        else:
            query = select(facts.c.pseudonym, facts.c.sure, facts.c.maybe)
            query = query.where(facts.c.store_id == store.id, facts.c.pseudonym >= span[0])
            query = query if span[1] is None else query.where(facts.c.pseudonym < span[1])
            with connection.execution_options(yield_per=_BATCH).execute(query) as rows:
                for user, sure, maybe in rows:
                    new.discard(user)
                    self._known(store, user, sure, maybe, late)
        for user in sorted(new):  # in the order of the key: each page of the table is written once
            self._new(store, user, late)

    def _known(
        self, store: Row[Any], user: bytes, sure: int, maybe: int, late: Counter[int] | None
    ) -> None:
        now_sure = self._sure.get(user, 0)
        if not self._closed and not now_sure & ~sure:
            return  # nearly everybody: known to have been active then
        now_maybe = self._maybe.get(user, 0)
        if bits := sure & self._closed & ~(now_sure | now_maybe):
            self.against[user] = bits
        if bits := now_sure & store.closed & ~(sure | maybe):
            self.shown[user] = bits
        joined = sure | now_sure
        if late is not None and joined != sure:
            late.update(unsettled.windows(joined & ~sure, first=not sure))
        possible = join_maybe(maybe, store.closed, now_maybe, self._closed) & ~joined
        if not joined and not possible:
            self._gone.append({"user": user})
        elif (joined, possible) != (sure, maybe):
            self._changed.append({"user": user, "now_sure": joined, "now_maybe": possible})

    def _new(self, store: Row[Any], user: bytes, late: Counter[int] | None) -> None:
        now_sure, now_maybe = self._sure.get(user, 0), self._maybe.get(user, 0)
        if bits := now_sure & store.closed:
            self.shown[user] = bits
        possible = join_maybe(0, store.closed, now_maybe, self._closed) & ~now_sure
        if late is not None and now_sure:
            late.update(unsettled.windows(now_sure, first=True))
        if now_sure or possible:
            self._added.append((user, now_sure, possible))

    def write(self, connection: Connection, store_id: int) -> bool:
        """Write it; return whether anything has changed."""
        same = (facts.c.store_id == store_id) & (facts.c.pseudonym == bindparam("user"))
        if self._gone:
            connection.execute(delete(facts).where(same), self._gone)
        if self._changed:
            write = update(facts).where(same)
            connection.execute(
                write.values(sure=bindparam("now_sure"), maybe=bindparam("now_maybe")),
                self._changed,
            )
        _insert(connection, store_id, self._added)
        return bool(self._gone or self._changed or self._added)


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
