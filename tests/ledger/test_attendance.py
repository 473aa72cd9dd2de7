"""spec.privacy.dailyFacts: the days of a person go, and what is stated of the cycle stays."""

import random
import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest
from sqlalchemy import text

from licenseusage.ledger.facts import attendance, growth, polls, registry
from licenseusage.ledger.facts.statements import make_statement
from licenseusage.ledger.upkeep.checking import Level, check_ledger
from licenseusage.ledger.upkeep.merging import join_ledgers
from licenseusage.metering.cycles import CYCLE_MASK, DAY_MS
from licenseusage.metering.facts import Facts, without_days
from licenseusage.metering.words import PackedWords
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
    poll,
    user,
)
from tests.ledger.test_merging import HERE, THERE, ledger_of

NAMES = [f"person-{number}" for number in range(12)]
DAYS_WORD = (1 << 62) - 1


def history(seed, properties):
    """Polls of a cycle and of the day after it: times only grow; some answers are cut."""
    draw, last, made = random.Random(seed), {}, []
    for at in range(START + HOUR_MS, END + DAY_MS, 7 * HOUR_MS):
        for name in draw.sample(NAMES, 3):
            last[name] = at - draw.randrange(6 * HOUR_MS)
        complete = draw.random() < 0.8 or at >= END
        seen = dict(draw.sample(sorted(last.items()), len(last) if complete else 2))
        made.append(poll(at, seen, properties=properties, complete=complete))
    return made


def drop(ledger, at_ms=START):
    attendance.follow_daily_facts(ledger, 1, at_ms, dropped=True)


def stated(ledger, properties, as_of_ms=None):
    sources = [declared(GRAPH, properties)]
    return make_statement(ledger, 1, CYCLE, sources=sources, as_of_ms=as_of_ms)


def words(ledger):
    return {tuple(row) for row in ledger.execute(text("SELECT sure, maybe FROM facts"))}


def no_days(ledger):
    return all((sure | maybe) & DAYS_WORD == 0 for sure, maybe in words(ledger))


@pytest.mark.parametrize("properties", [KEPT, LISTED_ONCE], ids=["Never", "ListedOnce"])
@pytest.mark.parametrize("from_poll", [0, 5])
@pytest.mark.parametrize("seed", range(2))
def test_the_number_is_the_same_with_and_without_days(seed, from_poll, properties):
    """At every poll, whenever they are dropped: bounds, accuracy, words and coverage."""
    with ledger_of() as kept, ledger_of() as dropped:
        for number, one in enumerate(history(seed, properties)):
            if number == from_poll:
                drop(dropped)
            for ledger in (kept, dropped):
                polls.record_poll(ledger, one, one.ended_ms)
            of = None if one.ended_ms < END else END
            with_days, without = stated(kept, properties, of), stated(dropped, properties, of)
            assert replace(with_days, daily=()) == replace(without, daily=())
        drop(dropped)
        with_days, without = stated(kept, properties, END), stated(dropped, properties, END)
        assert replace(with_days, daily=()) == replace(without, daily=())
        assert with_days.bounds.lower > 0
        assert no_days(dropped)
        assert not no_days(kept)


def test_the_days_are_unknown_then_and_never_zero():
    midnights = [CYCLE.start_ms + day * DAY_MS for day in range(1, CYCLE.days + 1)]
    followed = [poll(at + 2 * MINUTE_MS, {"ada": at - HOUR_MS}) for at in midnights]
    with ledger_of(*followed) as ledger:
        assert stated(ledger, KEPT, END).daily == (1,) * CYCLE.days
        assert growth.first_days(ledger, 1, CYCLE) == (1, 0, 0, 0)
        drop(ledger)
        assert stated(ledger, KEPT, END).daily == (None,) * CYCLE.days
        assert growth.first_days(ledger, 1, CYCLE) == ()


def test_of_the_running_day_nothing_is_said_either():
    with ledger_of() as ledger:
        drop(ledger)
        one = poll(START + 2 * HOUR_MS, {"ada": START + HOUR_MS})
        polls.record_poll(ledger, one, one.ended_ms)
        assert stated(ledger, KEPT).daily == (None,)
        assert stated(ledger, KEPT).bounds.lower == 1


def test_kept_again_acts_from_the_next_cycle():
    following = TERMS.cycle(1)
    with ledger_of() as ledger:
        drop(ledger)
        one = poll(START + 2 * HOUR_MS, {"ada": START + HOUR_MS})
        polls.record_poll(ledger, one, one.ended_ms)
        attendance.follow_daily_facts(ledger, 1, START, dropped=False)
        polls.record_poll(ledger, one, one.ended_ms)
        assert words(ledger) == {(CYCLE_MASK, 0)}
        later = poll(
            following.start_ms + 2 * HOUR_MS,
            {"ada": following.start_ms + HOUR_MS},
            cycles=(following,),
        )
        polls.record_poll(ledger, later, later.ended_ms)
        assert words(ledger) == {(CYCLE_MASK, 0), (CYCLE_MASK | 1, 0)}


def test_a_cycle_that_begins_keeps_none_from_the_start():
    with ledger_of() as ledger:
        drop(ledger)
        registry.ensure_cycle(ledger, 1, CYCLE, START)
        assert attendance.are_dropped(ledger, 1, CYCLE)


@pytest.mark.parametrize("dropped", ["here", "there", "wanted here"])
@pytest.mark.parametrize("seed", range(2))
def test_a_merge_brings_no_days_back_and_refutes_nothing(seed, dropped):
    """An old backup, or a replica that still has them; the number is as with days."""
    made = history(seed, KEPT)
    first, second = made[: len(made) // 2], made[len(made) // 3 :]
    with ledger_of(*made) as whole:
        expected = stated(whole, KEPT, END)
    begun = () if dropped == "wanted here" else first
    with ledger_of(*begun) as here, ledger_of(*second) as there:
        drop(there if dropped == "there" else here)
        if dropped == "wanted here":
            for one in first:
                polls.record_poll(here, one, one.ended_ms)
        join_ledgers(here, there, THERE, HERE)
        assert no_days(here)
        merged = stated(here, KEPT, END)
        assert (merged.bounds, merged.refuted) == (expected.bounds, expected.refuted)
        assert merged.daily == (None,) * CYCLE.days


def test_a_merge_into_a_ledger_that_does_not_know_the_cycle_keeps_none():
    with ledger_of() as here, ledger_of(*history(1, KEPT)) as there:
        drop(here)
        join_ledgers(here, there, THERE, HERE)
        assert words(here)
        assert no_days(here)


def test_possible_on_a_day_only_is_nobody_in_particular():
    facts = Facts(
        sure=PackedWords.of({user("ada"): CYCLE_MASK | 1, user("ben"): 4}),
        maybe=PackedWords.of({user("cleo"): 2, user("dan"): CYCLE_MASK | 2}),
        closed=CYCLE_MASK | 7,
    )
    undated = without_days(facts)
    assert dict(undated.sure.items()) == {user("ada"): CYCLE_MASK, user("ben"): CYCLE_MASK}
    assert dict(undated.maybe.items()) == {user("dan"): CYCLE_MASK}
    assert undated.closed == facts.closed
    assert without_days(Facts()) == Facts(sure=PackedWords({}), maybe=PackedWords({}))


def test_the_check_of_a_ledger_finds_a_day_that_should_be_gone(tmp_path):
    path = tmp_path / "ledger.db"
    with book.opened(path) as ledger:
        book.begin(ledger)
        book.count(ledger, START + HOUR_MS, "ada")
        ledger.follow_daily_facts(1, START + HOUR_MS, dropped=True)
        assert ledger.meters()[0].days_dropped
        assert ledger.statement(1, CYCLE, sources=[declared()]).bounds.lower == 1
    assert all(result.level is not Level.BAD for result in check_ledger(path))
    with closing(sqlite3.connect(path)) as ledger, ledger:
        ledger.execute("update facts set sure = sure | 1")
    (fault,) = [result for result in check_ledger(path) if result.level is Level.BAD]
    assert "1 users have a bit of a day in cycles that keep none" in str(fault)
