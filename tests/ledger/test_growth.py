"""On which day people were seen active first, from the facts of a cycle."""

from licenseusage.metering.stores import StoreKey
from tests.ledger.conftest import CYCLE, DAY_MS, END, HOUR_MS, START, declared, poll

LOG = StoreKey("log", "domain")


def record(ledger, made):
    ledger.record_poll(made, made.ended_ms)


def day(number: int) -> int:
    return START + number * DAY_MS + HOUR_MS


def test_each_person_counts_on_the_first_day_only(ledger):
    ledger.ensure_cycle(1, CYCLE, START)
    record(ledger, poll(day(0) + HOUR_MS, {"ada": day(0), "ben": day(0)}))
    record(ledger, poll(day(2) + HOUR_MS, {"ada": day(2), "ben": day(0), "cleo": day(2)}))
    assert ledger.first_days(1, CYCLE) == (2, 0, 1, 0)


def test_a_person_in_two_sources_of_one_domain_counts_once_on_the_earlier_day(ledger):
    ledger.ensure_cycle(1, CYCLE, START)
    record(ledger, poll(day(3), {"ada": day(2), "ben": day(2)}))
    record(ledger, poll(day(3), {"ada": day(1), "dan": day(2)}, store=LOG))
    assert ledger.first_days(1, CYCLE) == (0, 1, 2, 0)


def test_nothing_is_known_of_a_cycle_without_facts(ledger):
    assert ledger.first_days(1, CYCLE) == ()
    ledger.ensure_cycle(1, CYCLE, START)
    record(ledger, poll(day(1), {}))
    assert ledger.first_days(1, CYCLE) == ()


def test_it_adds_up_to_the_number_that_is_stated(ledger):
    ledger.ensure_cycle(1, CYCLE, START)
    for number in range(4):
        names = {name: day(number) for name in ("ada", "ben", "cleo", "dan")[: number + 1]}
        record(ledger, poll(day(number) + HOUR_MS, names))
    record(ledger, poll(END + HOUR_MS, {}))
    stated = ledger.statement(1, CYCLE, sources=[declared()], as_of_ms=END)
    assert sum(ledger.first_days(1, CYCLE)) == stated.bounds.lower == 4
