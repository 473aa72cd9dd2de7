"""A short run of `make soak` holds, and one that breaks a rule is noticed, with its number."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from unittest import mock

import pytest

from licenseusage.delivery.outbox import DeliveryState
from licenseusage.delivery.outcome import Outcome, classify
from licenseusage.delivery.schedule import Schedule
from licenseusage.ledger.facts.counting import count_domain
from licenseusage.ledger.ledger import Ledger
from licenseusage.metering.facts import list_facts
from licenseusage.reports.report import build_report
from trials.soak.answering import Fault
from trials.soak.drawing import draw
from trials.soak.histories import simulate
from trials.soak.history import play
from trials.soak.kinds.drawing import LISTS

ROOT = Path(__file__).resolve().parents[2]


def soak(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "trials.soak", "--output", "json", *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_histories_hold_whatever_happens_in_them():
    done = soak("--seed", 2006, "--length", 2, "--cycles", 4, "--workers", 0)
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout)
    assert told["violation"] is None
    assert sum(told["cycles"].values()) >= 4
    assert told["cycles"]["Exact"] > 0
    assert sum(told["kills"].values()) > 0
    assert sum(told["faults"].values()) > 0


def test_products_that_hang_cost_no_truth():
    plan = draw("products that hang", 2, (LISTS,))
    for shop in (shop for usage in plan.usages for shop in usage.shops.values()):
        faults = (Fault(0, plan.end_ms, kind, 0.3) for kind in ("hangs", "hangsLater"))
        shop.faults = (*faults, *shop.faults)
    tally = play(plan)
    assert tally.faults["poll hangs"] > 0
    assert tally.faults["poll hangsLater"] > 0
    assert tally.polls["complete"] > 0


def test_a_history_is_repeated_by_seed_and_number():
    first = simulate(9, 0, 1)
    assert first.tally is not None
    assert first == simulate(9, 0, 1)
    assert first != simulate(9, 1, 1)


def incomplete_is_complete():
    """A partial listing proves as much as a complete one."""

    def wrong(cycle, properties, **more):
        return list_facts(cycle, properties, **{**more, "complete": True})

    return mock.patch("licenseusage.sources.lists.facts.list_facts", wrong)


def one_store_is_enough():
    """Of several stores, those that have proved their part are enough for an upper bound."""

    def wrong(connection, stores, combine, days):
        proving = [store for store in stores if store.proves] or list(stores)
        return count_domain(connection, proving, combine, days)

    return mock.patch("licenseusage.ledger.facts.statements.count_domain", wrong)


def facts_in_two_transactions():
    """What a poll has closed is durable before the users it has found."""
    record_poll = Ledger.record_poll

    def wrong(ledger, poll, now_ms):
        empty = {
            cycle: dataclasses.replace(found, sure={}, maybe={})
            for cycle, found in poll.facts.items()
        }
        record_poll(ledger, dataclasses.replace(poll, facts=empty), now_ms)
        record_poll(ledger, poll, now_ms)

    return mock.patch.object(Ledger, "record_poll", wrong)


def forgets_its_chain():
    """Every third report does not name the one before it."""

    def wrong(given, key):
        if given.previous is not None and given.previous.sequence % 3 == 0:
            other = dataclasses.replace(given.previous, digest="sha256:" + "0" * 64)
            given = dataclasses.replace(given, previous=other)
        return build_report(given, key)

    return mock.patch("licenseusage.controller.rules.issuer.build_report", wrong)


def any_answer_is_a_receipt():
    """An answer with status 200 or 201 counts as accepted."""

    def wrong(answer, keys, sent):
        found = classify(answer, keys, sent)
        if getattr(answer, "status", 0) in (200, 201):
            return Outcome(DeliveryState.ACCEPTED, "Accepted", Schedule.NONE)
        return found

    return mock.patch("licenseusage.delivery.sender.classify", wrong)


# The seeds are those whose first histories with such a product are short.
@pytest.mark.parametrize(
    ("breakage", "seed"),
    [
        (incomplete_is_complete, 6),
        (one_store_is_enough, 1),
        (facts_in_two_transactions, 1),
        (forgets_its_chain, 6),
        (any_answer_is_a_receipt, 6),
    ],
)
def test_a_broken_rule_is_noticed(breakage, seed):
    with breakage():
        ended = (simulate(seed, number, 3, (LISTS,)) for number in range(12))
        found = next((told for each in ended if (told := each.violation)), "")
    assert found.startswith("Violation: ")
