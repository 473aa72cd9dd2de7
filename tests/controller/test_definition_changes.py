"""A definition that changes within a cycle: two segments, each counted by its own."""

import json

import pytest

from licenseusage.controller.rules.segments import segment_ms
from licenseusage.ledger.records import StoreKey, StoreState
from licenseusage.metering.cycles import DAY_MS, Cycle
from licenseusage.reports.report import read_report
from tests.controller.ages import DAY, MIDNIGHT, day, licensed
from tests.controller.stage import until

START = 20_000 * DAY_MS
CYCLE = Cycle(3, START, START + 30 * DAY_MS)
CHANGE = START + 5 * DAY_MS
STORE, FORMER, OTHER = StoreKey("list", "d"), StoreKey("list", "c"), StoreKey("log", "c")


def since(states, selection="two", now_ms=CHANGE):
    return segment_ms(CYCLE, STORE, selection, states, now_ms)


def by(selection, since_ms=None):
    return StoreState(selection=selection, selection_since_ms=since_ms)


def test_an_unchanged_definition_counts_in_the_whole_cycle():
    assert since({}) is None
    assert since({STORE: by("two")}) is None
    assert since({STORE: by(None)}) is None


def test_a_change_counts_from_now_on():
    assert since({STORE: by("one")}) == CHANGE
    assert since({STORE: by("two", CHANGE)}, now_ms=CHANGE + DAY_MS) == CHANGE
    assert since({STORE: by("two", CHANGE)}, "one", CHANGE + DAY_MS) == CHANGE + DAY_MS


def test_another_way_to_read_ids_begins_a_store_that_knows_of_the_former_one():
    assert since({FORMER: by("one")}) == CHANGE
    assert since({FORMER: by("two", START + DAY_MS)}) == START + DAY_MS
    assert since({FORMER: by("two")}) is None  # only other sources of its identity changed
    assert since({FORMER: by("one"), STORE: by("two", CHANGE)}, now_ms=CHANGE + 1) == CHANGE


def test_other_sources_do_not_matter():
    assert since({OTHER: by("one")}) is None


def test_what_changed_when_the_cycle_was_over_is_no_segment_of_it():
    assert since({STORE: by("one")}, now_ms=CYCLE.end_ms) is None


FIRST = MIDNIGHT - 6 * DAY + 12 * 3600


@pytest.mark.controlplane
def test_a_definition_changed_in_mid_cycle_counts_from_then_on(ages):
    ages.product.users = {"ann": FIRST - 60, "bot": FIRST - 60, "eve": None}
    objects = licensed(ages, days=4, anchor=day(FIRST), at=FIRST)
    source = objects[-1]["spec"]["sources"][0]
    source["users"] = {"excludeIds": ["bot"]}
    ages.crds.apply(objects)
    operator = ages.travel(FIRST)
    until(lambda: operator.status("shop").get("activeUsers") == 1, 30)

    # Bots count from now on: this one was active only before.
    source["users"] = {"excludeIds": []}
    patch = json.dumps({"spec": {"sources": [source]}})
    ages.crds.kubectl("patch", "lu/shop", "-n", ages.namespace, "--type=merge", "-p", patch)
    until(lambda: provisioned(operator) == 3, 30)
    assert operator.status("shop")["activeText"] == "1 so far"

    ages.product.users["eve"] = FIRST + DAY - 60
    operator = ages.travel(FIRST + DAY)
    until(lambda: operator.status("shop").get("activeUsers") == 2, 30)
    ages.product.users["bot"] = FIRST + 2 * DAY - 60
    operator = ages.travel(FIRST + 2 * DAY)
    until(lambda: operator.status("shop").get("activeUsers") == 3, 30)

    operator = ages.travel(FIRST + 4 * DAY)
    (final,) = until(lambda: ages.accepted(1), 60)
    assert final["spec"]["activeText"] == "≥3"
    assert "RulesChanged" in final["status"]["findings"]
    assert read_report(final["spec"]["token"]).content.rules.changes_in_cycle == 1


def provisioned(operator):
    return operator.status("shop").get("provisionedUsers")
