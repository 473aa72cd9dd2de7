"""The statement by SQL equals that of the pure rules, over random histories of several stores."""

import itertools
import json
from contextlib import closing
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from licenseusage.ledger.ledger import Ledger
from licenseusage.ledger.records import (
    MeterKey,
)
from licenseusage.ledger.storage.schema import cycles, facts, stores
from licenseusage.metering.combine import Combine, Store, evaluate
from licenseusage.metering.cycles import CYCLE_BIT, DAY_MS
from licenseusage.metering.facts import Facts, merge
from licenseusage.metering.known import Known, intersected, tallied, united
from licenseusage.metering.properties import Removal
from licenseusage.metering.refuting import believed, refuted_by, refuted_of, seen_in
from licenseusage.metering.stores import DeclaredSource, StoreKey
from tests.ledger.conftest import (
    CYCLE,
    END,
    HOUR_MS,
    KEPT,
    LISTED_ONCE,
    START,
    TERMS,
    declared,
    poll,
)

NUMBERS = itertools.count()
NAMES = ("ada", "ben", "cleo", "dan", "eve")
ROSTER = replace(LISTED_ONCE, roster_gap_ms=5 * DAY_MS)  # the polls below lie far apart
STORES = (
    DeclaredSource(StoreKey("a", "one"), KEPT, HOUR_MS),
    DeclaredSource(StoreKey("a2", "one"), KEPT, HOUR_MS),
    DeclaredSource(StoreKey("b", "one"), replace(KEPT, granularity_ms=DAY_MS), HOUR_MS),
    DeclaredSource(StoreKey("c", "two"), KEPT, HOUR_MS),
    DeclaredSource(StoreKey("d", "one"), replace(KEPT, removal=Removal.UNKNOWN), HOUR_MS),
    DeclaredSource(StoreKey("e", "one"), replace(KEPT, ids_stable=False), HOUR_MS),
    DeclaredSource(StoreKey("f", "one"), ROSTER, HOUR_MS),
    DeclaredSource(StoreKey("g", "one"), replace(ROSTER, id_reuse=True), HOUR_MS),
)


@st.composite
def histories(draw: st.DrawFn) -> list:
    """Polls of some stores, in any order; values need not be consistent: conflicts happen too."""
    stores = draw(st.lists(st.sampled_from(STORES), min_size=1, unique_by=lambda s: s.store))
    # Where a roster is kept it begins before the cycle, so that some give an upper bound.
    polls = [
        poll(START - HOUR_MS, {}, store=s.store, properties=s.properties, idle=NAMES[:2])
        for s in stores
        if s.properties.keeps_roster
    ]
    for _ in range(draw(st.integers(0, 8))):
        source = draw(st.sampled_from(stores))
        at = draw(st.sampled_from([1, 25, 26, 60, 97, 97, 98, 110, 119])) * HOUR_MS + START
        values = st.integers(-24, 5 * 24).map(lambda hour: START + hour * HOUR_MS)
        active = draw(st.dictionaries(st.sampled_from(NAMES), values))
        active = {name: min(ms, at) for name, ms in active.items()}
        complete = draw(st.sampled_from([True, True, False]))
        polls.append(
            poll(
                at,
                active,
                store=source.store,
                properties=source.properties,
                complete=complete,
                idle=draw(st.sets(st.sampled_from(NAMES))) - active.keys(),
            )
        )
    return [stores, polls]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory):
    path = tmp_path_factory.mktemp("ledger") / "ledger.db"
    with Ledger.open(f"sqlite:///{path}", now_ms=START, ledger_id="x") as ledger:
        with closing(ledger._database.engine.raw_connection()) as connection:
            connection.driver_connection.execute("PRAGMA synchronous = OFF")  # many commits
        yield ledger


def users_of(ledger: Ledger, meter_id: int, store: StoreKey) -> dict[bytes, tuple[int, int]]:
    """The words held for each user of a store."""
    query = (
        select(facts.c.pseudonym, facts.c.sure, facts.c.maybe)
        .select_from(facts.join(stores).join(cycles))
        .where(cycles.c.meter_id == meter_id)
        .where(stores.c.source == store.source, stores.c.domain == store.domain)
    )
    with ledger._database.engine.connect() as connection:
        return {user: (sure, maybe) for user, sure, maybe in connection.execute(query)}


@given(histories(), st.sampled_from(Combine))
def test_the_ledger_counts_as_the_pure_rules_do(shared, history, combine):
    declared_stores, polls = history
    key = MeterKey("default", f"meter-{next(NUMBERS)}", "product")
    meter = shared.ensure_meter(key, START).id
    shared.keep_terms(meter, TERMS, START)
    known: dict[StoreKey, Facts] = {}
    for each in polls:
        decides = shared.record_poll(replace(each, meter_id=meter), each.ended_ms)
        held, found = known.get(each.store, Facts()), each.facts[CYCLE]
        # A closing poll that contradicts what is declared only names people, and is repeated.
        known[each.store] = merge(held, found if decides else Facts(found.sure, low=found.low))

    found = shared.refuted(meter)
    pure = [
        Store(
            source.store.domain,
            known.get(source.store, Facts()),
            believed(source.properties, refuted_of(found, source.store.source, "")),
            CYCLE,
        )
        for source in declared_stores
    ]
    in_order = polls == sorted(polls, key=lambda each: each.started_ms)
    for source in declared_stores:
        if source.store in known and in_order:
            seen = seen_in(CYCLE, source.properties, known[source.store])
            refuted = refuted_by(source.properties, seen).keys()
            told = {one.guarantee for one in found if one.source == source.store.source}
            assert refuted <= told
    stated = shared.statement(meter, CYCLE, sources=declared_stores, combine=combine, as_of_ms=END)
    assert stated.bounds == evaluate(pure, combine)
    removed = sum(why.users for why in stated.uncertainty if why.reason == "RemovedUsers")
    assert removed <= _vanished(pure, combine)

    for window in range(CYCLE.days):
        lower = evaluate(pure, combine, window).lower
        assert stated.daily[window] in {lower, None}

    states = shared.store_states(meter, CYCLE)
    for store, held in known.items():
        if store not in states:
            continue  # polled before the start only, for the roster
        words = states[store].closed, states[store].ended, states[store].refuted
        assert words == (held.closed, held.ended, held.refuted)
        users = held.sure.keys() | held.maybe.keys()
        pure_words = {u: (held.sure.get(u, 0), held.maybe.get(u, 0)) for u in users}
        assert users_of(shared, meter, store) == pure_words


A, A2 = STORES[0].store, STORES[1].store


@pytest.mark.parametrize(
    ("combine", "one", "two", "expected"),
    [
        # two stores: whoever is in both counts once
        (Combine.UNION, {"ada": START, "ben": START}, {"ben": START, "cleo": START}, (3, 3, False)),
        # ada is overwritten in one store; the other one saw her inactive or does not know
        (Combine.UNION, {"ada": END + 1}, {"ben": START}, (1, 2, False)),
        (Combine.UNION, {"ada": END + 1}, {"ada": END + 2}, (0, 1, False)),
        (Combine.UNION, {"ada": START}, {"ada": END + 2}, (1, 1, False)),
        (Combine.SAME, {"ada": END + 1, "ben": START}, {"ben": START}, (1, 1, False)),
        (Combine.SAME, {"ada": END + 1}, {"ada": END + 2}, (0, 1, False)),
        (Combine.SAME, {"ada": START}, {"ben": START}, (0, None, False)),
    ],
)
def test_two_stores_of_one_domain(ledger, combine, one, two, expected):
    at = END + 2 * HOUR_MS
    for store, active in ((A, one), (A2, two)):
        ledger.record_poll(poll(at, active, store=store), at)
    stated = ledger.statement(1, CYCLE, sources=STORES[:2], combine=combine, as_of_ms=END)
    assert (stated.bounds.lower, stated.bounds.upper, stated.bounds.conflict) == expected


def test_a_person_in_two_stores_counts_once_a_day(ledger):
    at = END + 2 * HOUR_MS
    both = {"ada": START, "ben": END - DAY_MS}
    for store, active in ((A, both), (A2, both)):
        ledger.record_poll(poll(at, active, store=store), at)
        ledger.record_poll(poll(END + HOUR_MS // 3, active, store=store), at)
    stated = ledger.statement(1, CYCLE, sources=STORES[:2], as_of_ms=END)
    assert stated.daily[-1] == 1


def _vanished(stores, combine) -> int:
    """Users who vanished, over the identity domains."""
    together = united if combine is Combine.UNION else intersected
    domains: dict[str, list[Known]] = {}
    for store in stores:
        known = store.known(CYCLE_BIT)
        if isinstance(known, Known):
            domains.setdefault(store.domain, []).append(known)
    return sum(tallied(together(group)).vanished for group in domains.values())


def test_a_declared_store_that_was_never_read_takes_the_upper_bound_away(ledger):
    ledger.record_poll(poll(END + 2 * HOUR_MS, {"ada": START}), END + 2 * HOUR_MS)
    other = declared(StoreKey("other", "domain"))
    alone = ledger.statement(1, CYCLE, sources=[declared()], as_of_ms=END)
    both = ledger.statement(1, CYCLE, sources=[declared(), other], as_of_ms=END)
    assert (alone.bounds.lower, alone.bounds.upper) == (1, 1)
    assert (both.bounds.lower, both.bounds.upper) == (1, None)
    assert both.unbounded == ("NoClosingPoll",)


def test_a_store_whose_source_is_gone_still_counts_and_proves_nothing(ledger):
    for store in (StoreKey("graph", "domain"), StoreKey("gone", "domain")):
        record = poll(END + 2 * HOUR_MS, {store.source: START}, store=store)
        ledger.record_poll(record, END + 2 * HOUR_MS)
    stated = ledger.statement(1, CYCLE, sources=[declared()], as_of_ms=END)
    assert (stated.bounds.lower, stated.bounds.upper) == (2, None)


def test_a_source_whose_ids_are_read_anew_is_never_united_with_before(ledger):
    for domain, name in (("before", "ada"), ("after", "1f3a")):
        record = poll(END + 2 * HOUR_MS, {name: START}, store=StoreKey("graph", domain))
        ledger.record_poll(record, END + 2 * HOUR_MS)
    now = declared(StoreKey("graph", "after"))
    stated = ledger.statement(1, CYCLE, sources=[now], as_of_ms=END)
    assert stated.bounds.lower == 1


def test_statements_survive_storage(ledger):
    from licenseusage.ledger.storage.encoding import dump_statement, load_statement

    ledger.record_poll(poll(START + HOUR_MS, {"ada": START}), START + HOUR_MS)
    stated = ledger.statement(1, CYCLE, sources=[declared()])
    text = dump_statement(stated)
    assert load_statement(text) == stated
    assert json.loads(text)["bounds"] == [1, None, None, False]
