"""A roster in the ledger is the join of all polls, whichever of them this process remembers."""

from collections.abc import Iterator
from functools import reduce
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, create_engine, select

from licenseusage.ledger.facts import told
from licenseusage.ledger.facts.rosters import (
    BEFORE,
    IDLE,
    INACTIVE,
    LISTED,
    OPEN,
    QUIET,
    START,
    join_roster,
)
from licenseusage.ledger.storage.schema import metadata, roster_users, rosters
from licenseusage.metering.cycles import DAY_MS, Cycle
from licenseusage.metering.packing import differences, packed, unpacked
from licenseusage.metering.roster import Roster, Run, merge_rosters
from licenseusage.metering.stores import StoreKey

CYCLE = Cycle(1, 30 * DAY_MS, 60 * DAY_MS)
STORE = StoreKey("graph", "domain")
PEOPLE = [bytes([number * 5 % 256]) * 16 for number in range(40)]

sets = st.sets(st.sampled_from(PEOPLE)).map(packed)


@pytest.fixture(scope="module")
def connection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    path: Path = tmp_path_factory.mktemp("told") / "ledger.db"
    engine = create_engine(f"sqlite:///{path}")
    with engine.connect() as opened:
        metadata.create_all(opened)
        yield opened
    engine.dispose()


@st.composite
def polls(draw: st.DrawFn) -> Roster:
    kind = draw(st.sampled_from(["start", "before", "before", "before", "closing", "partial"]))
    some, others = draw(sets), draw(sets)
    hour = {"start": 29 * 24, "closing": 60 * 24}.get(kind, 35 * 24)
    at_ms = 3_600_000 * (hour + draw(st.integers(0, 20)))
    everybody = packed({*unpacked(some), *unpacked(others)})
    listed = {"last_at_ms": at_ms, "last": draw(st.sampled_from([some, everybody]))}
    runs = (Run(at_ms + 1, at_ms - 1),)
    match kind:
        case "start":
            return Roster(start_at_ms=at_ms, start=some, runs=runs, **listed)
        case "before":
            return Roster(before=some, runs=runs, **listed)
        case "closing":
            idle = {"inactive": others, "idle_at_ms": at_ms, "idle": others}
            return Roster(
                open_at_ms=at_ms, open=some, quiet=draw(sets), runs=runs, **idle, **listed
            )
    return Roster(inactive=some, quiet=others)


def words(roster: Roster) -> dict[bytes, int]:
    held: dict[bytes, int] = {}
    for users, word in (
        (roster.start, START),
        (roster.before, BEFORE),
        (roster.open, OPEN),
        (roster.inactive, INACTIVE),
        (roster.quiet, QUIET),
        (roster.idle, IDLE),
        (roster.last, LISTED),
    ):
        for user in unpacked(users):
            held[user] = held.get(user, 0) | word
    return held


def kept(connection: Connection) -> dict[bytes, int]:
    query = select(roster_users.c.pseudonym, roster_users.c.word).join(rosters)
    return {user: word for user, word in connection.execute(query)}


steps = st.tuples(polls(), st.sampled_from(["kept", "kept", "kept", "undone", "restarted"]))


@given(st.lists(steps, max_size=10), st.booleans())
def test_a_roster_is_the_join_of_its_polls_whatever_is_remembered(connection, history, forgetful):
    seen: list[Roster] = []
    with connection.begin_nested() as whole:
        for roster, fate in history:
            if fate == "restarted" or forgetful:
                connection.info.clear()
            with connection.begin_nested() as attempt:
                join_roster(connection, 1, CYCLE, STORE, roster)
                if fate == "undone":
                    attempt.rollback()
                else:
                    seen.append(roster)
            joined = reduce(merge_rosters, seen, None)
            assert kept(connection) == (words(joined) if joined else {})
        whole.rollback()


def test_a_list_as_the_one_before_costs_what_has_changed(connection, monkeypatch):
    """A thousand users more or less are not read again."""
    written = []
    real = differences

    def noted(before, now):
        written.append(real(before, now))
        return written[-1]

    monkeypatch.setattr("licenseusage.ledger.facts.rosters.differences", noted)
    first, second = packed(PEOPLE[:30]), packed(PEOPLE[2:33])
    with connection.begin_nested() as whole:
        for at_ms, users in ((1, first), (2, first), (3, second)):
            found = Roster(before=users, last_at_ms=at_ms, last=users)
            join_roster(connection, 1, CYCLE, STORE, found)
        assert written
        assert set(written) <= {(packed(PEOPLE[30:33]), packed(PEOPLE[:2])), (b"", b"")}
        assert kept(connection) == {
            **dict.fromkeys(PEOPLE[:2], BEFORE),
            **dict.fromkeys(PEOPLE[2:33], BEFORE | LISTED),
        }
        whole.rollback()


def test_the_roster_written_longest_ago_makes_room(connection, monkeypatch):
    monkeypatch.setattr(told, "MOST_BYTES", 3 * 16)
    connection.info.clear()
    users = Roster(before=packed(PEOPLE[:2]), last_at_ms=1, last=packed(PEOPLE[:2]))
    for roster_id in (1, 2):
        told.remember(connection, roster_id, users, "digest")
    assert told.told_last(connection, 1, "digest") is None
    assert told.told_last(connection, 2, "digest") is not None
    assert told.told_last(connection, 2, "another") is None


@given(st.sets(st.integers(0, 400)), st.sets(st.integers(0, 400)))
def test_differences_are_those_of_the_sets(before, now):
    was, is_now = ({number.to_bytes(16) for number in each} for each in (before, now))
    expected = packed(is_now - was), packed(was - is_now)
    assert differences(packed(was), packed(is_now)) == expected
