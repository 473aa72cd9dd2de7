"""The join of two ledgers: any order, any number of times, and never of different users."""

import json
import shutil
import sqlite3
from contextlib import closing, contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import create_engine, insert, select, text, update
from sqlalchemy.pool import StaticPool

from licenseusage.errors import Stalled, Waiting
from licenseusage.ledger.facts import polls, registry
from licenseusage.ledger.facts.rosters import LISTED, OPEN
from licenseusage.ledger.facts.stores import store_states
from licenseusage.ledger.records import (
    CycleState,
    MeterKey,
    Subscribed,
)
from licenseusage.ledger.storage import schema
from licenseusage.ledger.upkeep.checking import Level, check_ledger
from licenseusage.ledger.upkeep.joining import united
from licenseusage.ledger.upkeep.merging import join_ledgers, merge_ledgers
from licenseusage.metering.coverage import Interval
from licenseusage.metering.events import Hole, LogPosition, LogReading, Range
from licenseusage.metering.properties import Removal
from licenseusage.metering.stores import StoreKey
from tests.ledger import book
from tests.ledger.conftest import (
    CYCLE,
    END,
    GRAPH,
    HOUR_MS,
    KEPT,
    LISTED_ONCE,
    MINUTE_MS,
    START,
    TERMS,
    declared,
    failed,
    poll,
    user,
)
from tests.ledger.older import first_schema

METER = MeterKey("default", "opencloud", "opencloud")
THERE, HERE = Path("there.db"), Path("here.db")
LOGS = StoreKey("logs", "domain")
UNSTABLE = replace(KEPT, ids_stable=False)


IDLE = []  # engines, each with an empty ledger: what SQLAlchemy has compiled is kept with them


@contextmanager
def memory():
    """An empty ledger in memory: quick, and the same tables."""
    if not IDLE:
        made = create_engine("sqlite://", poolclass=StaticPool)
        schema.metadata.create_all(made)
        IDLE.append(made)
    engine = IDLE.pop()
    with engine.connect() as connection:
        connection.execute(
            insert(schema.ledger).values(
                id=1,
                schema_version=schema.VERSION,
                ledger_id="x",
                created_ms=START,
                clock_high_water_ms=START,
            )
        )
        yield connection
        connection.rollback()
    IDLE.append(engine)


@contextmanager
def ledger_of(*history, meter=METER):
    with memory() as connection:
        begun = registry.ensure_meter(connection, meter, START)
        registry.keep_terms(connection, begun.id, TERMS, START)
        for one in history:
            polls.record_poll(connection, one, one.ended_ms)
        yield connection


def known(connection, *, of=("users", "words", "rosters", "coverage")):
    """What a ledger knows, whatever the numbers of its rows."""
    tables = {
        "users": """
            SELECT m.name, c.start_ms, s.source, s.domain, hex(f.pseudonym), f.sure, f.maybe
            FROM facts f JOIN stores s ON s.id = f.store_id JOIN cycles c ON c.id = s.cycle_id
            JOIN meters m ON m.id = c.meter_id""",
        "words": """
            SELECT m.name, c.start_ms, c.end_ms, c.pseudonym_key_id, c.wiped, s.source, s.domain,
                   s.ids_stable, s.closed, s.ended, s.refuted, s.followed, s.seen_until_ms,
                   s.low, s.full
            FROM cycles c JOIN meters m ON m.id = c.meter_id LEFT JOIN stores s
            ON s.cycle_id = c.id""",
        "rosters": """
            SELECT m.name, r.cycle_start_ms, r.source, r.domain, r.open_at_ms, r.runs,
                   hex(u.pseudonym), u.word
            FROM rosters r JOIN meters m ON m.id = r.meter_id LEFT JOIN roster_users u
            ON u.roster_id = r.id AND u.word <> 0""",
        "coverage": """
            SELECT m.name, c.source, c.start_ms, c.end_ms, c.gap_reason
            FROM coverage c JOIN meters m ON m.id = c.meter_id""",
    }
    return {
        name: sorted((_plain(row) for row in connection.execute(text(tables[name]))), key=repr)
        for name in of
    }


def _plain(row):
    """A row with its JSON objects in one order."""
    return tuple(
        sorted(json.loads(value).items()) if str(value).startswith("{") else value for value in row
    )


def joined(*histories):
    """What is known after merging ledgers of these histories into the first, one by one."""
    with ledger_of(*histories[0]) as ours:
        for history in histories[1:]:
            with ledger_of(*history) as theirs:
                join_ledgers(ours, theirs, THERE, HERE)
        return known(ours)


NAMES = ("ada", "bob", "cleo", "dan")
TIMES = st.integers(0, 24 * 4 + 12).map(lambda hours: START + hours * HOUR_MS + MINUTE_MS)
KINDS = {GRAPH: KEPT, LOGS: LISTED_ONCE, StoreKey("swapped", "other"): UNSTABLE}


@st.composite
def polled(draw):
    """A poll that tells the truth about people, each with one time of activity."""
    at = draw(TIMES)
    store, properties = draw(st.sampled_from(sorted(KINDS.items(), key=repr)))
    complete = draw(st.booleans())
    whole = complete and properties.removal is Removal.NEVER  # it is said to list everybody
    active = {
        name: START + hour * HOUR_MS
        for name, hour in ACTIVE.items()
        if START + hour * HOUR_MS < at and (whole or draw(st.booleans()))
    }
    cycles = (CYCLE, TERMS.cycle(1)) if draw(st.booleans()) else (CYCLE,)
    if draw(st.integers(0, 9)) == 0:
        return replace(failed(at), store=store, properties=properties)
    return poll(at, active, store=store, properties=properties, complete=complete, cycles=cycles)


ACTIVE = dict(zip(NAMES, (5, 30, 80, 97), strict=True))
HISTORY = st.lists(polled(), max_size=3).map(lambda one: sorted(one, key=lambda p: p.started_ms))


@given(HISTORY, HISTORY)
def test_neither_order_nor_repetition_of_merges_matters(one, two):
    assert joined(two, one, two) == joined(one, two)


@given(HISTORY, HISTORY, HISTORY)
def test_a_merge_knows_what_one_ledger_would_that_had_seen_it_all(one, two, three):
    together = sorted((*one, *two, *three), key=lambda each: each.started_ms)
    facts = ("users", "words", "rosters")
    with ledger_of(*together) as whole:
        expected = known(whole, of=facts)
    merged = joined(one, two, three)
    assert {name: merged[name] for name in facts} == expected


@given(
    st.lists(
        st.tuples(st.integers(0, 30), st.integers(1, 9), st.sampled_from(["A", "B"])), max_size=8
    )
)
def test_united_spans_cover_the_same_time_and_lie_apart(raw):
    spans = [Interval(start, start + length, reason) for start, length, reason in raw]
    found = united(spans)
    seen = {at for span in spans for at in range(span.start_ms, span.end_ms)}
    assert {at for span in found for at in range(span.start_ms, span.end_ms)} == seen
    assert all(a.end_ms < b.start_ms for a, b in pairwise(found))
    assert united(reversed(found)) == found


def test_a_million_users_are_merged_a_part_at_a_time():
    many = {f"{number}": START for number in range(25_000)}
    more = {f"{number}": START for number in range(20_000, 45_000)}
    with (
        ledger_of(poll(START + HOUR_MS, many)) as ours,
        ledger_of(poll(START + HOUR_MS, more)) as theirs,
    ):
        assert join_ledgers(ours, theirs, THERE, HERE).users == 20_000
        count = text("SELECT count(*) FROM facts")
        assert ours.execute(count).scalar_one() == 45_000
        assert join_ledgers(ours, theirs, THERE, HERE).users == 0


def test_a_maybe_that_the_other_has_ruled_out_is_gone():
    closing = END + 2 * MINUTE_MS
    overwritten = poll(closing, {"ada": END + MINUTE_MS})  # after the end: nothing rules her out
    seen = poll(START + HOUR_MS, {"ada": START + MINUTE_MS})
    merged = joined([overwritten], [seen])
    ((*_, name, sure, maybe),) = merged["users"]
    assert name == user("ada").hex().upper()
    assert (sure >> 62, maybe >> 62) == (1, 0)


CLOSING = END + 2 * MINUTE_MS


def roster_of(*history):
    """name -> word on the roster of the cycle after merging polls of one ledger each."""
    names = {user(name).hex().upper(): name for name in NAMES}
    merged = joined(*([one] for one in history))
    return {names[row[-2]]: row[-1] for row in merged["rosters"] if row[-1]}, merged["rosters"]


def test_of_closing_polls_the_earliest_counts_whoever_read_it():
    """Who was created after it, or signed in only then, is no matter of the cycle."""
    first, second = (
        poll(at, dict.fromkeys(names, END + 1), store=LOGS, properties=LISTED_ONCE)
        for at, names in ((CLOSING, ("ada", "bob")), (CLOSING + HOUR_MS, ("bob", "cleo")))
    )
    words, rows = roster_of(first, second)
    assert words == {"ada": OPEN, "bob": OPEN | LISTED, "cleo": LISTED}
    assert {row[4] for row in rows} == {first.started_ms - first.clock_skew_ms}
    assert roster_of(second, first) == (words, rows)


def test_what_closing_polls_of_one_moment_listed_is_united():
    both = [
        poll(CLOSING, {name: END + 1}, store=LOGS, properties=LISTED_ONCE) for name in NAMES[:2]
    ]
    assert roster_of(*both)[0] == {"ada": OPEN | LISTED, "bob": OPEN | LISTED}


def test_whom_only_a_cut_poll_named_is_not_part_of_the_number_at_an_earlier_time():
    later = START + HOUR_MS
    cut = replace(poll(later, {"ben": later}, complete=False), failure=failed(later).failure)
    with ledger_of(poll(START, {"ada": START})) as ours, ledger_of(cut) as theirs:
        join_ledgers(ours, theirs, THERE, HERE)
        rows = ours.execute(text("select read_until_ms, unsettled from stores")).one()
    assert rows.read_until_ms == START + 2000
    assert json.loads(rows.unsettled) == {"0": 1, "62": 1}


def test_a_store_whose_ids_were_unstable_once_stays_so():
    stable, unstable = (
        poll(START + HOUR_MS, {"ada": START}, properties=each) for each in (KEPT, UNSTABLE)
    )
    for history in ([stable], [unstable]), ([unstable], [stable]):
        assert [row[7] for row in joined(*history)["words"]] == [0]


def test_what_is_known_of_a_log_is_united_and_reading_goes_on_from_our_own_place():
    def reading(start_ms, end_ms, *holes):
        after = LogPosition("events", "2026-11-01", end_ms, end_ms, end_ms)
        return LogReading(None, after, (Range(start_ms, end_ms),), holes)

    def read(log):
        one = poll(START + HOUR_MS, {"ada": START}, complete=False, store=LOGS)
        return replace(one, readings={CYCLE: log})

    lost = Hole(START + 20, START + 30, "Purged")
    one, two = read(reading(START, START + 20, lost)), read(reading(START + 10, START + 40))
    apart = read(reading(START + 50, START + 60))
    meter = 1
    for ours, others in ((one, (two, apart)), (one, (apart, two, two))):
        with ledger_of(ours) as here:
            for other in others:
                with ledger_of(other) as there:
                    join_ledgers(here, there, THERE, HERE)
            state = store_states(here, meter, CYCLE)[LOGS].log
        assert state.ranges == (Range(START, START + 40), Range(START + 50, START + 60))
        assert state.holes == (lost,)
        assert state.position.sequence == START + 20


class TestRefused:
    """What does not count the same users is not united, and the reason is said."""

    def refusal(self, ours, theirs):
        before = known(ours)
        with pytest.raises(Stalled) as refused, ours.begin_nested():
            join_ledgers(ours, theirs, THERE, HERE)
        assert refused.value.reason == "MergeRefused"
        assert known(ours) == before
        assert "there.db cannot be merged into here.db" in refused.value.message
        return refused.value.message

    def test_another_pseudonym_key(self):
        one = poll(START + HOUR_MS, {"ada": START})
        with (
            ledger_of(one) as ours,
            ledger_of(replace(one, pseudonym_key_id="a" * 32)) as theirs,
        ):
            assert "people would count twice" in self.refusal(ours, theirs)

    def test_another_definition_of_who_counts(self):
        one, two = (poll(START + HOUR_MS, {"ada": START}, selection=each) for each in "ab")
        with ledger_of(one) as ours, ledger_of(two) as theirs:
            assert "counts other people" in self.refusal(ours, theirs)

    def test_other_rules_where_nothing_says_who_counts(self):
        one = poll(START + HOUR_MS, {"ada": START})
        with ledger_of(one) as ours, ledger_of(replace(one, rules_digest="sha256:b")) as theirs:
            assert "its definition differs" in self.refusal(ours, theirs)

    def test_other_terms(self):
        one = poll(START + HOUR_MS, {"ada": START})
        with ledger_of(one) as ours, ledger_of(one) as theirs:
            theirs.execute(update(schema.cycles).values(end_ms=END + 24 * HOUR_MS))
            assert "the terms differ" in self.refusal(ours, theirs)
            theirs.execute(update(schema.cycles).values(start_ms=START + 24 * HOUR_MS))
            assert "overlaps" in self.refusal(ours, theirs)


def test_a_definition_changed_within_the_cycle_stays_changed():
    """From before a restore: the backup knows the former definition, the other ledger both."""
    changed = START + HOUR_MS + 1
    first = poll(START + HOUR_MS, {"ada": START}, selection="a")
    second = poll(START + 2 * HOUR_MS, {"bob": changed}, selection="b", since=changed)
    for ours, theirs in (([first], [first, second]), ([first, second], [first])):
        with ledger_of(*ours) as here, ledger_of(*theirs) as there:
            join_ledgers(here, there, THERE, HERE)
            row = here.execute(select(schema.stores)).one()
            assert row.selection_changes == 1, "no upper bound is stated for it"
            assert len(known(here)["users"]) == 2


def test_facts_deleted_after_their_retention_do_not_come_back_in_any_order():
    one = poll(START + HOUR_MS, {"ada": START})
    for wiped in (0, 1):
        with ledger_of(one) as first, ledger_of(one) as second:
            gone = (first, second)[wiped]
            gone.execute(update(schema.cycles).values(wiped=1))
            gone.execute(schema.facts.delete())
            done = join_ledgers(first, second, THERE, HERE)
            assert known(first)["users"] == []
            assert first.execute(select(schema.cycles.c.wiped)).scalar_one() == 1
            assert "retention" in done.skipped[0]


def test_a_cycle_closed_before_ours_began_is_left_out():
    late = poll(TERMS.cycle(1).start_ms + HOUR_MS, {"ada": END + 1}, cycles=(TERMS.cycle(1),))
    with ledger_of(late) as ours, ledger_of(poll(START + HOUR_MS, {"ada": START})) as theirs:
        theirs.execute(update(schema.cycles).values(state=CycleState.FINAL))
        done = join_ledgers(ours, theirs, THERE, HERE)
        assert done.cycles == 0
        assert done.skipped == [
            "cycle 0 of default/opencloud was closed before this ledger's first cycle of it"
        ]


def test_an_object_that_is_not_known_comes_with_its_terms():
    with memory() as ours, ledger_of(poll(START + HOUR_MS, {"ada": START})) as theirs:
        assert join_ledgers(ours, theirs, THERE, HERE).meters == 1
        (meter,) = registry.all_meters(ours)
        assert (meter.key, meter.grids[0].terms) == (METER, TERMS)
        assert known(ours) == known(theirs)


def test_an_object_that_is_not_known_comes_with_the_licences_of_its_cycles():
    with memory() as ours, ledger_of(poll(START + HOUR_MS, {"ada": START})) as theirs:
        for contract in ("old", "new"):
            licensed = Subscribed(contract, f"the {contract} licence")
            registry.keep_terms(theirs, 1, TERMS, START, licensed=licensed)
        join_ledgers(ours, theirs, THERE, HERE)
        (meter,) = registry.all_meters(ours)
        (same,) = registry.all_meters(theirs)
        assert (meter.grids, meter.licenses, meter.license_token) == (
            same.grids,
            {"old": "the old licence", "new": "the new licence"},
            "the new licence",
        )


class TestFiles:
    """The command's part: locks, other versions, what is decided stays."""

    @pytest.fixture
    def other(self, path):
        return path.with_name("other.db")

    def test_brings_back_what_was_counted_since_the_backup(self, path, other):
        with book.opened(path) as ledger:
            book.begin(ledger)
            book.count(ledger, START + HOUR_MS, "ada")
        shutil.copy(path, other)
        with book.opened(path) as ledger:
            book.count(ledger, START + 2 * HOUR_MS, "ada", "bob")
            book.interim(ledger, 0, START + 3 * HOUR_MS)
        now = START + 30 * HOUR_MS
        assert merge_ledgers(path, other, now_ms=now).users == 1
        assert merge_ledgers(path, other, now_ms=now).users == 0
        with book.opened(other) as restored:
            assert book.lower(restored) == 2
            assert [item.sequence for item in restored.reports(1)] == [1]
            assert restored.clock_high_water_ms() >= START + 3 * HOUR_MS
        assert {one.level for one in check_ledger(other)} == {Level.GOOD}

    def test_leaves_decided_cycles_as_they_are(self, path, other):
        book.story(path)
        with book.opened(other) as ledger:
            book.begin(ledger)
            book.count(ledger, START + HOUR_MS, "zoe")
        merge_ledgers(other, path, now_ms=END + HOUR_MS)
        with book.opened(path) as ledger:
            record = ledger.cycles(1)[-1]
            assert record.state is CycleState.FINAL
            assert record.statement.bounds.lower == 3
            found = ledger.statement(1, CYCLE, sources=[declared()], as_of_ms=END)
            assert (found.bounds.lower, found.bounds.upper) == (3, None)
            assert "the list lost 1 of" in found.refuted[0], "who was active there is not listed"
            assert [item.state.value for item in ledger.reports(1)] == ["Accepted", "Accepted"]
        assert {one.level for one in check_ledger(path)} == {Level.GOOD}

    def test_a_refusal_changes_no_byte_of_what_is_known(self, path, other):
        for file, key in ((path, "f" * 32), (other, "a" * 32)):
            with book.opened(file) as ledger:
                book.begin(ledger)
                found = replace(poll(START + HOUR_MS, {"ada": START}), pseudonym_key_id=key)
                ledger.record_poll(found, START + HOUR_MS)
        before = other.read_bytes()
        with pytest.raises(Stalled, match="another key"):
            merge_ledgers(other, path, now_ms=START)
        assert other.read_bytes() == before
        with book.opened(path) as ledger:
            assert book.lower(ledger) == 1

    def test_not_while_an_operator_uses_the_ledger(self, path, other):
        book.story(other)
        with book.opened(path) as ledger:
            book.begin(ledger)
            with pytest.raises(Waiting):
                merge_ledgers(other, path, now_ms=START)

    def test_of_a_ledger_in_use_is_of_one_moment(self, path, other):
        with book.opened(path) as ledger:
            book.begin(ledger)
        with book.opened(other) as ledger:
            book.begin(ledger)
            book.count(ledger, START + HOUR_MS, "ada")
            assert merge_ledgers(other, path, now_ms=START).users == 1

    def test_one_of_the_first_schema_is_brought_up_to_date_in_a_copy(self, path, other):
        book.story(other)
        first_schema(other)
        before = other.read_bytes()
        with book.opened(path) as ledger:
            book.begin(ledger)
            book.count(ledger, START + HOUR_MS, "ada")
        merge_ledgers(other, path, now_ms=START)
        assert other.read_bytes() == before
        assert sorted(one.name for one in path.parent.iterdir()) == [
            *("ledger.db", "ledger.db.lock", "other.db", "other.db.lock")
        ]
        with book.opened(path) as ledger:
            assert book.lower(ledger) == 3

    def test_a_newer_one_is_refused_with_who_wrote_it(self, path, other):
        book.story(other)
        book.story(path)
        with closing(sqlite3.connect(other)) as newer, newer:
            newer.execute("update ledger set schema_version = 99, written_by = '9.8.7'")
        with pytest.raises(Stalled, match=r"9\.8\.7") as refused:
            merge_ledgers(other, path, now_ms=START)
        assert refused.value.reason == "MergeRefused"

    def test_itself_is_refused(self, path):
        book.story(path)
        with pytest.raises(Stalled, match="one file"):
            merge_ledgers(path, path, now_ms=START)


NEXT = Subscribed("new", "the new licence")
LATER = replace(TERMS, length_days=2, length_months=None)


def licensed(connection, at_ms, terms=LATER, contract=NEXT):
    registry.keep_terms(connection, 1, terms, at_ms, licensed=contract)


def grids(connection):
    (meter,) = registry.all_meters(connection)
    return meter.grids, meter.subscription, meter.licenses


def test_a_licence_that_only_the_other_ledger_knows_begins_here_when_it_began_there():
    one = poll(START + HOUR_MS, {"ada": START})
    with ledger_of(one) as ours, ledger_of(one) as theirs:
        licensed(theirs, START + 2 * HOUR_MS)
        join_ledgers(ours, theirs, THERE, HERE)
        assert grids(ours) == grids(theirs)
        licensed(ours, TERMS.cycle(1).start_ms + HOUR_MS)
        assert grids(ours) == grids(theirs), "the operator sees it again, and nothing moves"


def test_a_licence_that_this_ledger_has_seen_later_begins_when_it_began_there():
    one = poll(START + HOUR_MS, {"ada": START})
    with ledger_of(one) as ours, ledger_of(one) as theirs:
        licensed(theirs, START + 2 * HOUR_MS, TERMS)
        licensed(ours, TERMS.cycle(1).start_ms + HOUR_MS, TERMS)
        join_ledgers(ours, theirs, THERE, HERE)
        assert grids(ours) == grids(theirs)


@pytest.mark.parametrize("other", [TERMS, LATER])
def test_a_licence_that_only_this_ledger_knows_stays(other):
    one = poll(START + HOUR_MS, {"ada": START})
    with ledger_of(one) as ours, ledger_of(one) as theirs:
        licensed(ours, START + 2 * HOUR_MS, other)
        before = grids(ours)
        join_ledgers(ours, theirs, THERE, HERE)
        assert grids(ours) == before


def test_two_ledgers_that_follow_different_licences_keep_their_own():
    one = poll(START + HOUR_MS, {"ada": START})
    with ledger_of(one) as ours, ledger_of(one) as theirs:
        licensed(ours, TERMS.cycle(1).start_ms + HOUR_MS, LATER, Subscribed("ours", "another"))
        licensed(theirs, START + 2 * HOUR_MS)
        before = grids(ours)
        join_ledgers(ours, theirs, THERE, HERE)
        assert grids(ours) == before
