"""A definition that changes within a cycle: two segments, each counted by its own."""

import json

import pytest

from licenseusage.reports.report import read_report
from tests.controller.ages import DAY, MIDNIGHT, day, licensed
from tests.controller.stage import until

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
