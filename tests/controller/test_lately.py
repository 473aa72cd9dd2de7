"""The real operator on a list without times: who is new counts, also over a kill."""

import json
import time

import pytest

from licenseusage.reports.report import read_report
from tests.controller.ages import DAY, MIDNIGHT, day, licensed
from tests.controller.sample import reply
from tests.controller.stage import until

pytestmark = pytest.mark.controlplane

END = MIDNIGHT - DAY
START = END - DAY
APART_SECONDS = 5
"""Between two lists: answers are dated in whole seconds, so that closer ones cannot be ordered."""
LATELY = {
    "name": "lately",
    "pods": {"selector": {"matchLabels": {"app": "shop"}}, "port": "http", "scheme": "HTTP"},
    "http": {"path": "/active", "items": "active"},
    "users": {"id": "id"},
    "window": {"type": "Rolling", "days": 30},
    "guarantees": {"removal": "Never", "ids": "Stable", "lagSeconds": 0, "clockSkewSeconds": 0},
    "intervalMinutes": 1,
}


def listing(*names):
    """Serve a list of who was active in the last 30 days."""
    body = json.dumps({"active": [{"id": name} for name in names]}).encode()

    def serve(handler):
        reply(handler, 200, body)
        return True

    return serve


def read_again(ages):
    """Ask for a poll, and wait until it has ended."""
    before = ages.operator.status("shop")["sources"][0].get("lastSuccessTime")
    time.sleep(APART_SECONDS)
    stamp = f"licenseusage.dev/requested-at={time.time_ns()}"
    ages.crds.kubectl("annotate", "--overwrite", "licenseusage/shop", "-n", ages.namespace, stamp)

    def read():
        status = ages.operator.status("shop")["sources"][0]
        return status.get("lastSuccessTime") != before

    until(read, 30)


def test_who_is_new_on_a_list_counts_and_who_is_always_there_is_possible(ages):
    *objects, usage = licensed(ages, anchor=day(START), at=START + DAY // 2)
    usage["spec"]["sources"] = [LATELY]
    ages.product.fault = listing("always", "before")
    ages.travel(START + DAY // 2)
    ages.crds.apply([*objects, usage])
    ages.operator.wait_condition("shop", "Ready", "True")
    until(lambda: ages.operator.status("shop").get("activeText") == "none seen so far")

    time.sleep(APART_SECONDS)
    ages.operator.kill()  # the list before is in the ledger
    ages.product.fault = listing("always", "before", "new")
    ages.operator.start()
    read_again(ages)
    until(lambda: ages.operator.status("shop").get("activeText") == "1 so far", 60)

    ages.product.fault = listing("always", "new", "next")
    ages.travel(END + 600)
    (final,) = until(lambda: ages.accepted(1), 90)
    said = read_report(final["spec"]["token"]).content
    assert (said.active_users, said.active_users_upper_bound) == (1, 3)
    assert said.accuracy == "Bounded"
    assert "WindowAsDeclared" in said.rules.assumptions
    whole = json.dumps([ages.operator.get("shop"), final])
    for name in ("always", "before", "next"):
        assert f'"{name}"' not in whole


def test_a_list_that_loses_somebody_too_early_is_told_in_a_condition(ages):
    *objects, usage = licensed(ages, anchor=day(START), at=START + DAY // 2)
    usage["spec"]["sources"] = [LATELY]
    ages.product.fault = listing("always")
    ages.travel(START + DAY // 2)
    ages.crds.apply([*objects, usage])
    ages.operator.wait_condition("shop", "Ready", "True")
    ages.product.fault = listing("always", "new")
    read_again(ages)
    until(lambda: ages.operator.status("shop").get("activeText") == "1 so far", 60)
    ages.product.fault = listing("always")
    read_again(ages)
    seen = ages.operator.wait_condition("shop", "GuaranteesHold", "False", "GuaranteeRefuted")
    assert "left the list while the window that is declared still looked at it" in seen["message"]
    assert "activeUsers" not in ages.operator.status("shop")
