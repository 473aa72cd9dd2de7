"""The ledger's facts: as its file holds them, and as the polls have found them."""

import json
import sqlite3
from collections import defaultdict
from copy import deepcopy
from dataclasses import dataclass, field

from licenseusage.ledger.facts.rosters import BEFORE, IDLE, INACTIVE, LISTED, OPEN, QUIET, START
from licenseusage.ledger.records import PollRecord
from licenseusage.metering.facts import Facts
from licenseusage.metering.roster import Roster, Run, merge_rosters
from trials.soak.need import need


@dataclass(slots=True)
class _Found:
    """What polls have found of one store in one cycle.

    Attributes:
        must: User -> windows that must be in the ledger: their poll was kept.
        may: User -> windows that may be: their poll was at least about to be kept.
        closed: Windows that must be closed.
        low: Window -> count that must not fall.
        rosters: What the roster may be: with and without the polls whose keeping was cut short.
    """

    must: dict[bytes, int] = field(default_factory=dict)
    may: dict[bytes, int] = field(default_factory=dict)
    closed: int = 0
    low: dict[int, int] = field(default_factory=dict)
    rosters: list[Roster | None] = field(default_factory=lambda: [None])


class Books:
    """What was found, to be compared with what is held."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._stores: dict[tuple[int, int, str, str], _Found] = defaultdict(_Found)

    def asked(self, poll: PollRecord) -> None:
        """A poll is about to be kept: its facts may be in the ledger from now on."""
        for cycle, facts in poll.facts.items():
            store = self._stores[poll.meter_id, cycle.start_ms, *poll.store]
            for user, word in facts.sure.items():
                store.may[user] = store.may.get(user, 0) | word
            joined = [merge_rosters(roster, facts.roster) for roster in store.rosters]
            store.rosters = _different([*store.rosters, *joined])

    def kept(self, poll: PollRecord, *, decides: bool) -> None:
        """A poll was kept: its facts must be in the ledger from now on.

        Of one that decides nothing yet only who it names.
        """
        for cycle, facts in poll.facts.items():
            store = self._stores[poll.meter_id, cycle.start_ms, *poll.store]
            if decides:
                joined = [merge_rosters(roster, facts.roster) for roster in store.rosters]
                store.rosters = _different(joined)
            if cycle.start_ms > poll.ended_ms:
                continue  # by the operator's clock it has not begun: only the roster is kept
            for user, word in facts.sure.items():
                store.must[user] = store.must.get(user, 0) | word
            store.closed |= facts.closed if decides else 0
            for window, count in facts.low.items():
                store.low[window] = max(store.low.get(window, 0), count)

    def restored(self, other: "Books") -> None:
        """From now on a ledger is judged that holds what another one had found."""
        self._stores = deepcopy(other._stores)

    def merged(self, other: "Books") -> None:
        """What another ledger had found was added to what this one has."""
        for at, theirs in deepcopy(other._stores).items():
            ours = self._stores[at]
            for user, word in theirs.must.items():
                ours.must[user] = ours.must.get(user, 0) | word
            for user, word in theirs.may.items():
                ours.may[user] = ours.may.get(user, 0) | word
            ours.closed |= theirs.closed
            for window, count in theirs.low.items():
                ours.low[window] = max(ours.low.get(window, 0), count)
            ours.rosters = _different(
                [merge_rosters(a, b) for a in ours.rosters for b in theirs.rosters]
            )

    def expired(self) -> None:
        """Rosters of cycles that have not begun, and may never, can be gone from now on."""
        for store in self._stores.values():
            if not store.must and None not in store.rosters:
                store.rosters.append(None)

    def compare(
        self, what: str, at: tuple[int, int, str, str], facts: Facts, *, honest: bool
    ) -> None:
        """Compare the facts of one store with what its polls have found.

        Args:
            what: The store, for people.
            at: Meter, start of the cycle in ms, source, domain.
            facts: What the ledger holds.
            honest: The product does not lie, so that nothing may be refuted.

        Raises:
            Violation: A fact is lost, or comes from nowhere.
        """
        store = self._stores[at]
        for user, word in store.must.items():
            need(facts.sure.get(user, 0) & word == word, f"{what}: a fact is lost")
        for user, word in facts.sure.items():
            need(store.may.get(user, 0) & word == word, f"{what}: nobody has seen this")
        need(facts.closed & store.closed == store.closed, f"{what}: a closed window is open")
        for window, count in store.low.items():
            need(facts.low.get(window, 0) >= count, f"{what}: a count has fallen")
        need(
            not (honest and facts.refuted), f"{what}: refuted, although all that is declared holds"
        )
        need(facts.roster in store.rosters, f"{what}: the roster is another one")
        store.rosters = [facts.roster]


def _different(rosters: list[Roster | None]) -> list[Roster | None]:
    """Return each of them once: what may be would double with every poll otherwise."""
    different: list[Roster | None] = []
    for roster in rosters:
        if roster not in different:
            different.append(roster)
    return different


def read_facts(connection: sqlite3.Connection, store: sqlite3.Row, at: tuple[int, int]) -> Facts:
    """Read the facts of a row of ``stores``; ``at`` is the meter and the start of the cycle."""
    query = "select pseudonym, sure, maybe from facts where store_id = ?"
    rows = connection.execute(query, (store["id"],)).fetchall()
    low, full = ({int(w): n for w, n in json.loads(store[c]).items()} for c in ("low", "full"))
    return Facts(
        sure={user: word for user, word, _ in rows if word},
        maybe={user: word for user, _, word in rows if word},
        closed=store["closed"],
        ended=store["ended"],
        refuted=store["refuted"],
        low=low,
        full=full,
        roster=_roster(connection, (*at, store["source"], store["domain"])),
    )


def _roster(connection: sqlite3.Connection, at: tuple[int, int, str, str]) -> Roster | None:
    query = """
    select id, start_at_ms, open_at_ms, idle_at_ms, last_at_ms, runs from rosters
    where meter_id = ? and cycle_start_ms = ? and source = ? and domain = ?
    """
    row = connection.execute(query, at).fetchone()
    if row is None:
        return None
    query = "select pseudonym, word from roster_users where roster_id = ? order by pseudonym"
    users = connection.execute(query, (row["id"],)).fetchall()

    def with_bit(bit: int) -> bytes:
        return b"".join(user for user, word in users if word & bit)

    return Roster(
        start_at_ms=row["start_at_ms"],
        start=with_bit(START),
        before=with_bit(BEFORE),
        open_at_ms=row["open_at_ms"],
        open=with_bit(OPEN),
        inactive=with_bit(INACTIVE),
        idle_at_ms=row["idle_at_ms"],
        idle=with_bit(IDLE),
        quiet=with_bit(QUIET),
        last_at_ms=row["last_at_ms"],
        last=with_bit(LISTED),
        runs=tuple(Run(*run) for run in json.loads(row["runs"])),
    )
