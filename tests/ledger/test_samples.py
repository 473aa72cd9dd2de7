"""Numbers that products state are kept as samples: joined by union, never mixed with people."""

import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, create_engine
from sqlalchemy.pool import StaticPool

from licenseusage.ledger.facts import polls, registry
from licenseusage.ledger.facts.samples import HOUR_MS, samples_of
from licenseusage.ledger.facts.statements import make_statement
from licenseusage.ledger.ledger import Ledger
from licenseusage.ledger.records import MeterKey, PollRecord
from licenseusage.ledger.storage import schema
from licenseusage.ledger.storage.encoding import dump_statement, load_statement
from licenseusage.ledger.storage.schema import stores
from licenseusage.ledger.storage.transactions import reads
from licenseusage.ledger.upkeep.checking import Level, check_ledger
from licenseusage.ledger.upkeep.merging import merge_ledgers
from licenseusage.metering.bounds import Accuracy, Bounds
from licenseusage.metering.counts import (
    CountProperties,
    Counts,
    Sample,
    sample,
    tally_counts,
)
from licenseusage.metering.countwindows import FromTo, Rolling
from licenseusage.metering.cycles import CYCLE_BIT, DAY_MS
from licenseusage.metering.facts import Facts
from licenseusage.metering.polled import Polled
from licenseusage.metering.properties import Properties
from licenseusage.metering.stores import NUMBERS, DeclaredSource, StoreKey
from tests.ledger.conftest import (
    CYCLE,
    END,
    INTERVAL_MS,
    MINUTE_MS,
    START,
    declared,
    poll,
)

GAUGE = StoreKey("gauge", NUMBERS)
ASKED = CountProperties(
    window=FromTo(START, END), lag_ms=MINUTE_MS, kept_ms=None, relisted=False, whole=True
)
MONTH = replace(ASKED, window=Rolling(END - START))
DAY = replace(ASKED, window=Rolling(DAY_MS))
AFTER = END + 2 * MINUTE_MS
SECOND_MS = 1000


def stated(
    at_ms: int, *users: int, terms: CountProperties = ASKED, selection: str = "sha256:one"
) -> PollRecord:
    """A poll of one second that read these numbers."""
    polled = Polled.at(at_ms, at_ms + SECOND_MS, SECOND_MS, complete=True)
    found = frozenset(sample(terms, polled, each, warm=True) for each in users)
    return replace(
        poll(at_ms, {}, store=GAUGE, properties=of(terms).properties, selection=selection),
        facts={CYCLE: Facts(ended=CYCLE.ended_by(polled.began_ms - terms.lag_ms))},
        samples={CYCLE: Counts(found)},
        pseudonym_key_id="e" * 32,
    )


def of(terms: CountProperties = ASKED) -> DeclaredSource:
    """The source as declared."""
    properties = Properties(ids_stable=True, lag_ms=terms.lag_ms)
    return DeclaredSource(GAUGE, properties, INTERVAL_MS, terms=terms)


def statement(ledger: Ledger, *sources: DeclaredSource, as_of_ms: int | None = END):
    return ledger.statement(1, CYCLE, sources=sources, as_of_ms=as_of_ms)


def samples_in(connection: Connection) -> frozenset[Sample]:
    """The samples of the only store of numbers."""
    row = connection.execute(stores.select().filter_by(domain=NUMBERS)).one()
    return samples_of(connection, row.id).samples


held = reads(samples_in)


class TestTheStatementOfANumber:
    def test_asked_for_the_cycle_after_its_end_it_is_exact(self, ledger):
        ledger.record_poll(stated(AFTER, 7), AFTER)
        found = statement(ledger, of())
        assert found.bounds == Bounds(7, 7, 7)
        assert (found.words, found.assumptions) == ("7", ("RemovalNever", "CountComplete"))
        assert found.daily == (None,) * 4

    def test_zero_is_stated_only_where_it_is_proved(self, ledger):
        ledger.record_poll(stated(AFTER, 0), AFTER)
        assert statement(ledger, of()).bounds.accuracy is Accuracy.EXACT
        weak = replace(ASKED, whole=False)
        assert statement(ledger, of(weak)).bounds.accuracy is Accuracy.ESTIMATE

    def test_without_a_promise_it_is_a_lower_bound_that_says_why(self, ledger):
        ledger.record_poll(stated(AFTER, 7, terms=replace(ASKED, whole=False)), AFTER)
        found = statement(ledger, of(replace(ASKED, whole=False)))
        assert found.bounds.accuracy is Accuracy.LOWER_BOUND
        assert (
            found.words
            == "at least 7: the product states numbers only, none of which covers the cycle"
        )

    def test_a_rolling_window_as_long_as_the_cycle_is_an_estimate_that_says_why(self, ledger):
        ledger.record_poll(stated(AFTER, 7, terms=replace(MONTH, whole=False)), AFTER)
        found = statement(ledger, of(replace(MONTH, whole=False)))
        assert found.bounds == Bounds(0, None, 7)
        assert found.words.startswith("about 7, an estimate: the product states numbers only")
        assert found.no_bound == ("UnprovedCounts",)

    def test_while_the_cycle_runs_nobody_is_seen_and_the_number_is_unknown(self, ledger):
        ledger.record_poll(stated(START + DAY_MS, 7, terms=MONTH), START + DAY_MS)
        found = statement(ledger, of(MONTH), as_of_ms=None)
        assert (found.bounds.stated, found.active_text) == (Accuracy.UNKNOWN, "unknown so far")

    def test_a_window_within_the_cycle_counts_while_it_runs(self, ledger):
        at = START + 2 * DAY_MS
        ledger.record_poll(stated(at, 7, terms=DAY), at)
        assert statement(ledger, of(DAY), as_of_ms=None).active_text == "7 so far"

    def test_a_source_that_is_gone_leaves_what_it_proved(self, ledger):
        ledger.record_poll(stated(AFTER, 7), AFTER)
        found = statement(ledger)
        assert (found.bounds.lower, found.bounds.upper) == (7, None)
        assert found.unbounded == ("ObjectGone",)

    def test_a_changed_definition_leaves_numbers_of_its_own_time_only(self, ledger):
        at = START + DAY_MS + HOUR_MS
        ledger.record_poll(stated(at, 9, terms=DAY), at)
        later = at + HOUR_MS
        ledger.record_poll(stated(later, 11, terms=DAY, selection="sha256:two"), later)
        assert {each.users for each in held(ledger)} == {9}
        whole_day = later + DAY_MS + HOUR_MS
        ledger.record_poll(stated(whole_day, 5, terms=DAY, selection="sha256:two"), whole_day)
        assert {each.users for each in held(ledger)} == {9, 5}
        found = statement(ledger, of(DAY))
        assert found.bounds == Bounds(9, None)
        assert "RulesChanged" in found.unbounded


class TestBesideAList:
    @pytest.fixture
    def both(self, ledger):
        ledger.record_poll(poll(AFTER, {"ann": START, "bob": START}), AFTER)
        return ledger

    def test_the_number_is_not_mixed_with_what_is_known_of_users(self, both):
        both.record_poll(stated(AFTER, 9), AFTER)
        assert statement(both, declared(), of()).bounds == Bounds(2, 2)
        assert statement(both, declared()).bounds == Bounds(2, 2)
        assert statement(both).bounds.lower == 2

    def test_that_both_cannot_be_true_is_said(self, both):
        both.record_poll(stated(AFTER, 9), AFTER)
        (check,) = statement(both, declared(), of()).beside
        assert check.proved
        assert check.words.startswith(
            "source gauge states that at least 9 were active in the cycle, and 2 are proved"
        )

    def test_an_estimate_that_is_far_away_is_a_remark(self, both):
        terms = replace(MONTH, whole=False)
        both.record_poll(stated(AFTER, 90, terms=terms), AFTER)
        (check,) = statement(both, declared(), of(terms)).beside
        assert not check.proved

    @pytest.mark.parametrize("users", [2, 7])
    def test_what_agrees_is_not_remarked(self, both, users):
        terms = replace(MONTH, whole=False)
        both.record_poll(stated(AFTER, users, terms=terms), AFTER)
        assert statement(both, declared(), of(terms)).beside == ()

    def test_the_statement_that_is_kept_says_it_as_well(self, both):
        both.record_poll(stated(AFTER, 9), AFTER)
        found = statement(both, declared(), of())
        assert found.coverage == statement(both, declared()).coverage
        assert load_statement(dump_statement(found)) == found


class TestWhatIsKept:
    def test_a_poll_that_is_recorded_twice_is_one_sample(self, ledger):
        for _ in range(2):
            ledger.record_poll(stated(AFTER, 7), AFTER)
        assert len(held(ledger)) == 1

    def test_far_from_the_ends_one_an_hour_is_kept_and_each_that_is_greater(self, ledger):
        noon = START + DAY_MS + 12 * HOUR_MS
        numbers = [(0, 7), (15, 6), (30, 8), (45, 8), (60, 5)]
        for minutes, users in numbers:
            at = noon + minutes * MINUTE_MS + 2000
            ledger.record_poll(stated(at, users, terms=DAY), at)
        assert sorted(each.users for each in held(ledger)) == [5, 7, 8]

    def test_close_to_an_end_every_sample_is_kept(self, ledger):
        for minutes in range(5):
            at = END - HOUR_MS + minutes * MINUTE_MS
            ledger.record_poll(stated(at, 7, terms=DAY), at)
        assert len(held(ledger)) == 5

    def test_another_pseudonym_key_is_no_matter_of_a_number(self, ledger):
        ledger.record_poll(poll(START + HOUR_MS, {"ann": START}), START + HOUR_MS)
        ledger.record_poll(stated(AFTER, 7), AFTER)
        assert ledger.cycles(1, 1)[0].pseudonym_key_id == "f" * 32

    def test_its_cycle_was_read_once_all_activity_must_be_counted(self, ledger):
        ledger.record_poll(stated(END + 30 * SECOND_MS, 7), END + 30 * SECOND_MS)
        assert not ledger.store_states(1, CYCLE)[GAUGE].ended >> CYCLE_BIT & 1
        ledger.record_poll(stated(AFTER, 7), AFTER)
        assert ledger.store_states(1, CYCLE)[GAUGE].ended >> CYCLE_BIT & 1


class TestUpkeep:
    def test_a_merged_ledger_knows_the_samples_of_both(self, ledger, path, reopen):
        ledger.record_poll(stated(END - HOUR_MS, 5, terms=DAY), END)
        ledger.close()
        other = path.with_name("other.db")
        shutil.copy(path, other)
        ours = reopen()
        ours.record_poll(stated(AFTER, 7), AFTER)
        ours.close()
        merge_ledgers(path, other, now_ms=AFTER)
        shutil.copy(other, path)
        merged = reopen()
        assert {each.users for each in held(merged)} == {5, 7}
        assert statement(merged, of()).bounds.upper == 7

    def test_the_check_bears_out_what_was_stated(self, ledger, path, signer):
        ledger.record_poll(stated(AFTER, 7), AFTER)
        intent = statement(ledger, of())
        assert intent.bounds.lower == 7
        ledger.close()
        assert all(each.level is not Level.BAD for each in check_ledger(path))


NUMBER_BREAKS = {
    "fewer than none": ("update samples set users = -1", "fewer users than none"),
    "own accounts below none": ("update samples set own = -1", "fewer than none of the product"),
    "an unknown mark": ("update samples set flags = flags | 32", "marks that do not exist"),
    "whole and at its cap": ("update samples set flags = 5", "called whole"),
    "whole and estimated": ("update samples set flags = 9", "called whole"),
    "computed after it was read": (
        "update samples set computed_ms = read_ms + 1",
        "computed after they were read",
    ),
    "about later activity": ("update samples set last_ms = read_ms + 1", "after they were read"),
    "an end before its begin": (
        "update samples set first_ms = last_ms + 1",
        "end before they begin",
    ),
    "covers what is not over": (
        "update samples set covers_until_ms = computed_ms + 1",
        "had not been computed",
    ),
    "settles what is not over": (
        "update samples set settled_ms = computed_ms + 1",
        "had not been computed",
    ),
    "a number among people": ("update stores set domain = 'product'", "among people"),
    "a number of the future": (
        "update ledger set clock_high_water_ms = 1",
        "after the latest time known",
    ),
    "a person among numbers": (
        "insert into facts values ((select min(id) from stores),"
        " x'00000000000000000000000000000000', (1 << 62) | 1, 0)",
        "hold people",
    ),
    "numbers that rule people out": ("update stores set closed = 1 << 62", "rule somebody out"),
}


@pytest.mark.parametrize("terms", [ASKED, MONTH, DAY, replace(DAY, estimated=True)])
@pytest.mark.parametrize("saturates_at", [None, 7])
def test_every_number_as_it_is_read_is_in_order(ledger, path, terms, saturates_at):
    declared_now = replace(terms, saturates_at=saturates_at, self_counted=1)
    ledger.record_poll(stated(AFTER, 7, 6, terms=declared_now), AFTER)
    ledger.close()
    found = {each.check: each for each in check_ledger(path)}
    assert (found["numbers"].level, found["numbers"].message[:9]) == (Level.GOOD, "2 numbers")


@pytest.mark.parametrize(("damage", "told"), NUMBER_BREAKS.values(), ids=NUMBER_BREAKS)
def test_a_damaged_number_is_found(ledger, path, damage, told):
    ledger.record_poll(stated(AFTER, 7), AFTER)
    ledger.close()
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("PRAGMA ignore_check_constraints = ON")
        database.execute(damage)
    found = {each.check: each for each in check_ledger(path)}
    assert found["numbers"].level is Level.BAD
    assert told in found["numbers"].message


@given(
    st.lists(st.tuples(st.integers(0, 6 * 24 * 60), st.integers(0, 9)), min_size=1, max_size=12),
    st.sampled_from([ASKED, MONTH, DAY]),
)
def test_what_is_left_out_takes_sharpness_and_never_adds_anything(found, terms):
    made = [
        stated(START - DAY_MS + minute * MINUTE_MS, users, terms=terms) for minute, users in found
    ]
    made = [each for each in made if each.ended_ms >= START]
    every = frozenset[Sample]().union(*(each.samples[CYCLE].samples for each in made))
    engine = create_engine("sqlite://", poolclass=StaticPool)
    schema.metadata.create_all(engine)
    with engine.connect() as connection:
        meter = registry.ensure_meter(connection, MeterKey("default", "x", "x"), START)
        for each in made:
            polls.record_poll(connection, replace(each, meter_id=meter.id), each.ended_ms)
        kept = samples_in(connection) if made else frozenset()
        whole = tally_counts(Counts(every), terms, CYCLE)
        here = make_statement(
            connection, meter.id, CYCLE, sources=[of(terms)], as_of_ms=END, against=()
        )
        connection.rollback()
    assert kept <= every
    assert here.bounds.lower == tally_counts(Counts(kept), terms, CYCLE).lower <= whole.lower
    if whole.upper is not None and here.bounds.upper is not None:
        assert here.bounds.upper >= whole.upper
