"""Which meters report the same cycle of one product under one contract."""

import pytest

from licenseusage.ledger.records import MeterKey, Subscribed
from tests.ledger.conftest import CYCLE, HOUR_MS, START, TERMS


def meter(ledger, name, *, product="acme", subscription="sub-1", cycles=(0,), namespace="x"):
    made = ledger.ensure_meter(MeterKey(namespace, name, product), START)
    licensed = None if subscription is None else Subscribed(subscription, f"token {name}")
    ledger.keep_terms(made.id, TERMS, START, licensed=licensed)
    for index in cycles:
        ledger.ensure_cycle(made.id, TERMS.cycle(index), START)
    return made.id


def seen(ledger, meter_id):
    facts = ledger.facts_of(meter_id, lambda _: (), 14, 3)
    return [(each.key.name, each.cycle.index) for each in facts.companions]


def test_a_meter_of_the_same_product_and_contract_is_seen_from_both_sides(ledger):
    first, second = meter(ledger, "a"), meter(ledger, "b", namespace="y")
    assert seen(ledger, first) == [("b", 0)]
    assert seen(ledger, second) == [("a", 0)]


@pytest.mark.parametrize(
    "other", [{"product": "other"}, {"subscription": "sub-2"}, {"subscription": None}]
)
def test_another_product_or_contract_is_none(ledger, other):
    first = meter(ledger, "a")
    second = meter(ledger, "b", **other)
    assert seen(ledger, first) == seen(ledger, second) == []


def test_without_a_licence_there_are_no_reports_and_none_is_seen(ledger):
    first = meter(ledger, "a", subscription=None)
    meter(ledger, "b", subscription=None)
    assert seen(ledger, first) == []


def test_one_that_reports_no_common_cycle_is_none(ledger):
    first = meter(ledger, "a", cycles=(0,))
    second = meter(ledger, "b", cycles=(1,))
    assert seen(ledger, first) == seen(ledger, second) == []


def test_it_is_forgotten_when_the_common_cycle_is_older_than_the_last(ledger):
    meter(ledger, "a", cycles=(0,))
    second = meter(ledger, "b", cycles=(0, 1))
    assert seen(ledger, second) == [("a", 0)]
    ledger.ensure_cycle(second, TERMS.cycle(2), START)
    assert seen(ledger, second) == []


def test_a_deleted_object_is_told_with_its_time(ledger):
    first, second = meter(ledger, "a"), meter(ledger, "b")
    ledger.meter_deleted(first, START + HOUR_MS)
    (companion,) = ledger.facts_of(second, lambda _: (), 14, 3).companions
    assert (companion.deleted_ms, companion.cycle) == (START + HOUR_MS, CYCLE)


def test_the_contract_counts_under_which_the_cycle_is_reported(ledger):
    """A licence of another contract applies from the next cycle."""
    first, second = meter(ledger, "a"), meter(ledger, "b", cycles=(0, 1))
    ledger.keep_terms(first, TERMS, START + HOUR_MS, licensed=Subscribed("sub-2", "another token"))
    ledger.ensure_cycle(first, TERMS.cycle(1), CYCLE.end_ms)
    assert seen(ledger, second) == [("a", 0)]
