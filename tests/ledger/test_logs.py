"""Event logs in the ledger: position, ranges and facts are one; statements of logs and lists."""

import itertools
import random
import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import event

from licenseusage.errors import Failure
from licenseusage.ledger.ledger import Ledger
from licenseusage.ledger.records import MeterKey, PollRecord
from licenseusage.ledger.storage.schema import log_positions, stores
from licenseusage.metering.combine import Combine, Store, evaluate
from licenseusage.metering.cycles import CYCLE_BIT, DAY_MS
from licenseusage.metering.events import (
    EventWords,
    Hole,
    LogFacts,
    LogPosition,
    LogReading,
    LogState,
    Range,
    as_facts,
    merge,
    shown_until_ms,
    united,
)
from licenseusage.metering.facts import Facts
from licenseusage.metering.facts import merge as merge_lists
from licenseusage.metering.properties import Properties, Removal
from licenseusage.metering.stores import DeclaredSource, StoreKey
from tests.ledger.conftest import (
    CYCLE,
    END,
    HOUR_MS,
    KEPT,
    MINUTE_MS,
    START,
    TERMS,
    declared,
    poll,
    user,
)

EXACT = Properties(
    granularity_ms=1, lag_ms=MINUTE_MS, removal=Removal.NEVER, ids_stable=True, log=True
)
LOG = StoreKey("events", "domain")
SOURCE = DeclaredSource(LOG, EXACT, 5 * DAY_MS)


def at(sequence: int, until_ms: int) -> LogPosition:
    return LogPosition("main-queue", "2026-01-01T00:00:00Z", sequence, START + sequence, until_ms)


def reading(
    before: LogPosition | None,
    sequence: int,
    ranges: list[tuple[int, int]],
    holes: tuple[Hole, ...] = (),
    *,
    behind: bool = False,
) -> LogReading:
    until = max((end for _, end in ranges), default=START)
    known = tuple(Range(*one) for one in ranges)
    return LogReading(before, at(sequence, until), known, holes, behind)


def read(
    at_ms: int,
    events: dict[str, list[int]],
    found: LogReading | None,
    *,
    failure: Failure | None = None,
    properties: Properties = EXACT,
    meter_id: int = 1,
) -> PollRecord:
    """A poll of a log that read these events: name -> stamps."""
    words = EventWords(CYCLE, properties)
    for name, stamps in events.items():
        for stamp in stamps:
            words.add(user(name), stamp, max(at_ms + 2000, stamp))
    facts = Facts(sure=words.sure, maybe=words.unsure())
    complete = failure is None and found is not None and not found.behind
    if complete:
        facts.ended = CYCLE.ended_by(shown_until_ms(properties, at_ms - 1000))
    record = poll(at_ms, {}, store=LOG, properties=properties, meter_id=meter_id)
    return replace(
        record,
        facts={CYCLE: facts},
        readings={} if found is None else {CYCLE: found},
        complete=complete,
        failure=failure,
        listed=None,
        provisioned=None,
    )


def seldom(record: PollRecord) -> PollRecord:
    """Polled so seldom that a cycle without polls is no gap."""
    return replace(record, interval_ms=SOURCE.interval_ms)


def state(ledger: Ledger) -> LogState:
    found = ledger.store_states(1, CYCLE)[LOG].log
    assert found is not None
    return found


def stated(ledger: Ledger, *sources: DeclaredSource, combine=Combine.UNION, as_of_ms=END):
    return ledger.statement(
        1, CYCLE, sources=sources or (SOURCE,), combine=combine, as_of_ms=as_of_ms
    )


LATE = END + HOUR_MS


def test_a_store_and_its_position_which_are_read_as_one_row_share_no_column_name():
    assert set(stores.c.keys()).isdisjoint(log_positions.c.keys())


def test_a_log_read_from_start_to_end_is_exact(ledger):
    first = reading(None, 5, [(START - HOUR_MS, START + DAY_MS)])
    ledger.record_poll(read(START + DAY_MS, {"ada": [START]}, first), LATE)
    second = reading(first.after, 9, [(START + DAY_MS, END)])
    ledger.record_poll(read(LATE, {"ben": [END - 1], "ada": [END - 1]}, second), LATE)
    said = stated(ledger)
    assert (said.bounds.lower, said.bounds.upper, said.words) == (2, 2, "2")
    assert said.daily == (1, 0, 0, 2)
    assert state(ledger) == LogState(second.after, (Range(START - HOUR_MS, END),))
    assert said.assumptions == ("IdsStable", "IdsNotReused")


def test_a_log_that_was_not_read_to_the_end_is_a_lower_bound(ledger):
    ledger.record_poll(
        read(START + DAY_MS, {"ada": [START]}, reading(None, 5, [(START, START + DAY_MS)])), LATE
    )
    said = stated(ledger)
    assert (said.bounds.lower, said.bounds.upper) == (1, None)
    assert said.unbounded == ("NoClosingPoll",)


def test_a_hole_is_stated_in_bounds_words_and_coverage(ledger):
    lost = Hole(START + DAY_MS, START + DAY_MS + HOUR_MS, "StreamPurged")
    first = reading(None, 1, [(START, lost.start_ms)])
    ledger.record_poll(seldom(read(START, {}, first)), LATE)
    later = reading(first.after, 5, [(lost.end_ms, END)], (lost,))
    ledger.record_poll(seldom(read(LATE, {"ada": [END - DAY_MS]}, later)), LATE)
    said = stated(ledger)
    assert (said.bounds.lower, said.bounds.upper) == (1, None)
    assert said.unbounded == ("LogHole",)
    assert (
        said.words == "at least 1: part of the product's event log was lost before it could be read"
    )
    (gap,) = said.coverage.gaps
    assert gap.reason == "StreamPurged"
    assert (gap.start_s * 1000, gap.end_s * 1000) == (lost.start_ms, lost.end_ms)
    assert said.daily == (0, None, 0, 1)


def test_a_hole_that_another_reading_covers_is_none(ledger):
    lost = Hole(START + DAY_MS, START + DAY_MS + HOUR_MS, "StreamPurged")
    known = [(START, lost.start_ms), (lost.end_ms, END)]
    first = reading(None, 5, known, (lost,))
    ledger.record_poll(read(LATE, {}, first), LATE)
    filled = reading(first.after, 6, [(lost.start_ms, lost.end_ms)])
    ledger.record_poll(read(LATE + 1000, {}, filled), LATE)
    said = stated(ledger)
    assert said.bounds.upper == 0
    assert not [one for one in said.coverage.gaps if one.reason == "StreamPurged"]


def test_a_reading_that_is_behind_knows_only_what_it_read(ledger):
    found = reading(None, 5, [(START - HOUR_MS, START + HOUR_MS)], behind=True)
    now = START + DAY_MS
    ledger.record_poll(seldom(read(START, {"ada": [START]}, found)), now)
    said = stated(ledger, as_of_ms=now)
    assert said.active_text == "1 so far"
    assert said.daily == (None,)
    (gap,) = said.coverage.gaps
    assert (gap.reason, gap.start_s * 1000) == ("ReadingBehind", START + HOUR_MS)


def test_a_day_is_known_when_it_was_read_however_late(ledger):
    now = START + 3 * DAY_MS + HOUR_MS
    found = reading(None, 5, [(START - HOUR_MS, now - MINUTE_MS)])
    ledger.record_poll(read(now, {"ada": [START + DAY_MS]}, found), now)
    assert stated(ledger, as_of_ms=now).daily == (0, 1, 0, 0)


def test_a_reading_that_goes_on_from_elsewhere_only_names_people(ledger):
    first = reading(None, 5, [(START, START + DAY_MS)])
    ledger.record_poll(read(START + DAY_MS, {"ada": [START]}, first), LATE)
    other = reading(at(7, START), 9, [(START, END)])
    ledger.record_poll(read(LATE, {"ben": [START]}, other), LATE)
    assert state(ledger).position == first.after
    assert state(ledger).ranges == (Range(START, START + DAY_MS),)
    assert (stated(ledger).bounds.lower, stated(ledger).bounds.upper) == (2, None)


def test_the_same_reading_again_is_harmless(ledger):
    first = reading(None, 5, [(START, END)])
    record = read(LATE, {"ada": [START]}, first)
    ledger.record_poll(record, LATE)
    before = (state(ledger), stated(ledger).bounds)
    ledger.record_poll(record, LATE)
    assert (state(ledger), stated(ledger).bounds) == before


def test_what_a_failed_poll_had_read_counts_and_its_position_stands(ledger):
    broken = Failure("ConnectionLost", "it broke")
    found = reading(None, 5, [(START, START + HOUR_MS)], behind=True)
    ledger.record_poll(read(START + DAY_MS, {"ada": [START]}, found, failure=broken), LATE)
    assert state(ledger).position.sequence == 5
    assert stated(ledger).bounds.lower == 1


def test_an_event_of_a_window_that_was_complete_refutes_the_lag(ledger):
    first = reading(None, 5, [(START, END)])
    ledger.record_poll(read(LATE, {"ada": [START]}, first), LATE)
    late = reading(first.after, 6, [(END, END + 1)])
    ledger.record_poll(read(LATE + HOUR_MS, {"ben": [START + 5]}, late), LATE)
    said = stated(ledger)
    assert (said.bounds.lower, said.bounds.upper) == (2, None)
    assert said.unbounded == ("ActivityLost",)
    assert said.refuted[0].startswith("source events: an event came to light in a stretch")
    assert "lagSeconds: 60" in said.refuted[0]


def test_an_event_of_somebody_counted_already_refutes_nothing(ledger):
    first = reading(None, 5, [(START, END)])
    ledger.record_poll(read(LATE, {"ada": [START]}, first), LATE)
    ledger.record_poll(
        read(LATE + HOUR_MS, {"ada": [START + 5]}, reading(first.after, 6, [(END, END + 1)])), LATE
    )
    assert not stated(ledger).bounds.conflict


def test_events_on_either_side_of_an_end_are_why_the_number_is_not_exact(ledger):
    daily = replace(EXACT, granularity_ms=DAY_MS)
    found = reading(None, 5, [(START - DAY_MS, END + DAY_MS)])
    straddling = {"ada": [START], "ben": [START - HOUR_MS]}
    ledger.record_poll(read(LATE + DAY_MS, straddling, found, properties=daily), LATE)
    said = stated(ledger, replace(SOURCE, properties=daily))
    assert (said.bounds.lower, said.bounds.upper) == (1, 2)
    assert said.words == (
        "at least 1, at most 2: 1 person may have been active on either side of the cycle's start "
        "or end"
    )


def test_positions_survive_a_restart_and_are_kept_for_each_cycle(ledger, reopen):
    found = reading(None, 5, [(START, END)], (Hole(START, START + 5, "StreamBegan"),))
    ledger.record_poll(read(LATE, {"ada": [START]}, found), LATE)
    before = state(ledger)
    again = reopen()
    assert state(again) == before
    assert again.store_states(1, TERMS.cycle(1)) == {}


class Crash(BaseException):
    """Ends everything, as a kill would."""


def test_a_crash_between_any_two_steps_leaves_position_and_facts_together(ledger, path):
    first = reading(None, 5, [(START, START + DAY_MS)])
    ledger.record_poll(read(START + DAY_MS, {"ada": [START]}, first), LATE)
    second = reading(
        first.after, 9, [(START + DAY_MS, END)], (Hole(START, START + 1, "StreamPurged"),)
    )
    record = read(LATE, {"ben": [START + 2 * DAY_MS]}, second)
    crashes, seen = 0, 0

    def crash(*_: object) -> None:
        nonlocal seen
        seen += 1
        if seen > crashes:
            raise Crash

    engine = ledger._database.engine
    event.listen(engine, "before_cursor_execute", crash)
    event.listen(engine, "commit", crash)
    while True:
        seen = 0
        try:
            ledger.record_poll(record, LATE)
        except Crash:
            with closing(sqlite3.connect(path)) as reader:  # as another process sees it
                assert reader.execute("select sequence from log_positions").fetchall() == [(5,)]
                assert reader.execute("select end_ms from log_ranges").fetchall() == [
                    (START + DAY_MS,)
                ]
                assert reader.execute("select count(*) from facts").fetchone() == (1,)
            crashes += 1
        else:
            break
    event.remove(engine, "before_cursor_execute", crash)
    event.remove(engine, "commit", crash)
    assert crashes > 8
    assert state(ledger).position == second.after
    assert (stated(ledger).bounds.lower, stated(ledger).bounds.upper) == (2, 2)


# -- with lists --

LIST = declared()
_numbers = itertools.count(1)


@st.composite
def together(draw: st.DrawFn):
    """Polls of a list and of a log about the same people: consistent with one truth."""
    seed = draw(st.integers(0, 2**32))
    random_ = random.Random(seed)
    truth = {
        name: sorted(START + random_.randrange(-6, 110) * HOUR_MS for _ in range(4))
        for name in ("ada", "ben", "cleo", "dan")
    }
    polls, position, until = [], None, START - HOUR_MS
    for hour in sorted(random_.sample(range(1, 120), random_.randint(1, 8))):
        now = START + hour * HOUR_MS
        shown = now - 2 * MINUTE_MS
        if random_.random() < 0.5:
            last = {n: max((t for t in s if t <= shown), default=None) for n, s in truth.items()}
            listed = {name: t for name, t in last.items() if t is not None}
            polls.append(poll(now, listed, complete=random_.random() < 0.8))
            continue
        since = until
        if random_.random() < 0.2:
            since = min(until + random_.randrange(1, 12) * HOUR_MS, shown)
        upto = shown if random_.random() < 0.8 else random_.randrange(since, shown + 1, MINUTE_MS)
        events = {n: [t for t in s if since <= t < upto] for n, s in truth.items()}
        holes = (Hole(until, since, "StreamPurged"),) if since > until else ()
        after = LogPosition("q", "c", hour, now, max(upto, since))
        ranges = united([Range(since, upto)])
        found = LogReading(position, after, ranges, holes, behind=upto < shown)
        polls.append(read(now, events, found))
        position, until = after, after.until_ms
    return truth, polls


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory):
    path = tmp_path_factory.mktemp("ledger") / "ledger.db"
    with Ledger.open(f"sqlite:///{path}", now_ms=START, ledger_id="x") as ledger:
        yield ledger


@given(together(), st.sampled_from(Combine))
def test_the_ledger_states_lists_and_logs_as_the_pure_rules_do(shared, history, combine):
    truth, polls = history
    key = MeterKey("default", f"meter-{next(_numbers)}", "product")
    meter = shared.ensure_meter(key, START).id
    shared.keep_terms(meter, TERMS, START)
    listed, log = Facts(), LogFacts()
    for each in polls:
        shared.record_poll(replace(each, meter_id=meter), each.ended_ms)
        if each.store == LOG:
            facts, found = each.facts[CYCLE], each.readings[CYCLE]
            log = merge(log, LogFacts(facts.sure, facts.maybe, found.ranges))
        else:
            listed = merge_lists(listed, each.facts[CYCLE])
    pure = [
        Store(LIST.store.domain, listed, KEPT),
        Store(LOG.domain, as_facts(CYCLE, EXACT, log), EXACT),
    ]
    said = shared.statement(meter, CYCLE, sources=[LIST, SOURCE], combine=combine, as_of_ms=END)
    assert said.bounds == evaluate(pure, combine)
    active = sum(any(START <= t < END for t in stamps) for stamps in truth.values())
    assert not said.bounds.conflict
    assert said.bounds.lower <= active
    assert said.bounds.upper is None or active <= said.bounds.upper
    closed = shared.store_states(meter, CYCLE)
    if LOG in closed:
        assert closed[LOG].closed == as_facts(CYCLE, EXACT, log).closed


def test_a_log_closes_the_gap_of_a_list_at_the_end(ledger):
    """Same: ben was active before and after the end, and the list shows the later only."""
    ledger.record_poll(poll(START + DAY_MS, {"ada": START}), START + DAY_MS)
    ledger.record_poll(poll(LATE, {"ada": START, "ben": END + 5}), LATE)
    ledger.record_poll(
        read(LATE, {"ada": [START], "ben": [END - 5]}, reading(None, 5, [(START, END)])), LATE
    )
    alone = stated(ledger, LIST)
    same = stated(ledger, LIST, SOURCE, combine=Combine.SAME)
    assert alone.bounds.upper is None  # the log's store is there, and undeclared
    assert (same.bounds.lower, same.bounds.upper) == (2, 2)


def test_a_list_closes_the_hole_of_a_log(ledger):
    lost = Hole(START + DAY_MS, START + 2 * DAY_MS, "StreamPurged")
    known = [(START, lost.start_ms), (lost.end_ms, END)]
    ledger.record_poll(read(LATE, {"ada": [START]}, reading(None, 5, known, (lost,))), LATE)
    ledger.record_poll(poll(LATE, {"ada": START, "ben": START + DAY_MS + 5}), LATE)
    same = stated(ledger, LIST, SOURCE, combine=Combine.SAME)
    union = stated(ledger, LIST, SOURCE)
    assert (same.bounds.lower, same.bounds.upper) == (2, 2)
    assert (union.bounds.lower, union.bounds.upper) == (2, None)


def test_closed_is_the_cycle_and_its_days(ledger):
    ledger.record_poll(read(LATE, {}, reading(None, 5, [(START, END)])), LATE)
    assert ledger.store_states(1, CYCLE)[LOG].closed == 1 << CYCLE_BIT | (1 << CYCLE.days) - 1
