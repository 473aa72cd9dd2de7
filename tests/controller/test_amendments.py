"""Evidence that comes after the final: it narrows the statement, or it contradicts it."""

import json
import shutil
import time

import pytest

from licenseusage.reports.content import Kind
from licenseusage.reports.report import read_report
from tests.controller.ages import DAY, MIDNIGHT, day, licensed
from tests.controller.sample import answers
from tests.controller.stage import until
from trials import forked

pytestmark = pytest.mark.controlplane

FIRST = MIDNIGHT - 6 * DAY + 12 * 3600
END = MIDNIGHT - 5 * DAY


def history(operator, state):
    ended = operator.status("shop").get("history") or ()
    return next((one for one in ended if one["state"] == state), None)


def amendments(operator):
    return [r for r in operator.reports() if r["spec"]["kind"] == "Amendment"]


def delivered(operator, state):
    return [r for r in amendments(operator) if r.get("status", {}).get("delivery") == state]


def ask(ages):
    stamp = f"licenseusage.dev/requested-at={time.time_ns()}"
    ages.crds.kubectl("annotate", "--overwrite", "lu/shop", "-n", ages.namespace, stamp)


@pytest.fixture
def left_open(ages):
    """A cycle ended by the grace while the product was down; the product is back."""
    ages.product.users = {"ann": FIRST - 60, "ben": FIRST - 60}
    ages.crds.apply(licensed(ages, anchor=day(FIRST), at=FIRST))
    operator = ages.travel(FIRST)
    until(lambda: operator.status("shop").get("activeUsers") == 2, 30)
    ages.product.fault = answers(503, b"down")
    operator = ages.travel(END + DAY + 3600)
    (final,) = until(lambda: ages.accepted(1), 60)
    assert final["spec"]["activeText"] == "≥2"
    ages.product.fault = None
    ages.product.users |= {"cat": END + 300}  # may have been there before the end as well
    ask(ages)
    until(lambda: ages.accepted(2), 60)  # the cycle after it is closed first
    return ages


def test_a_closing_poll_after_the_grace_amends_the_final(left_open):
    operator = left_open.operator
    ask(left_open)
    amended = until(lambda: history(operator, "Amended"), 60)
    assert (amended["activeText"], amended["accuracy"]) == ("2\u20133", "Bounded")
    assert amended["reason"] == "NewEvidence"
    assert amended["message"].startswith("≥2 before, 2\u20133 now: at least 2, at most 3: nothing ")
    (report,) = until(lambda: delivered(operator, "Accepted"), 60)
    final = left_open.finals()[0]
    assert amended["report"] == report["metadata"]["name"]
    assert report["spec"]["supersedes"] == {
        "sequence": final["spec"]["sequence"],
        "reason": "NewEvidence",
        "note": "≥2 before, 2\u20133 now",
    }
    content = read_report(report["spec"]["token"]).content
    assert content.kind is Kind.AMENDMENT
    assert (content.active_users, content.active_users_upper_bound) == (2, 3)
    assert content.supersedes.link == read_report(final["spec"]["token"]).envelope.link
    operator.wait_condition("shop", "Reported", "True", "ReportAccepted")

    # The running cycle is counted as if nothing had been, and the same is not said again.
    assert operator.status("shop")["activeText"] == "none seen so far"
    operator.stop()
    left_open.travel(left_open.at + 120)
    ask(left_open)
    until(lambda: left_open.operator.status("shop").get("asOfTime"), 30)
    assert len(amendments(left_open.operator)) == 1
    told = left_open.crds.kubectl("get", "events", "-n", left_open.namespace, "-o", "json").stdout
    assert [e["reason"] for e in json.loads(told)["items"]].count("CycleAmended") == 1


def test_an_amendment_refused_for_its_date_is_issued_anew(left_open):
    operator = left_open.travel(END + DAY + 2 * 3600, vendor_late=3600)
    (refused,) = until(lambda: delivered(operator, "Rejected"), 60)
    assert refused["status"]["reason"] == "IssuedInFuture"

    operator = left_open.travel(END + 3 * DAY)
    (anew,) = until(lambda: delivered(operator, "Accepted"), 60)
    assert anew["spec"]["sequence"] > refused["spec"]["sequence"]
    assert anew["spec"]["activeText"] == refused["spec"]["activeText"]
    assert anew["spec"]["supersedes"] == refused["spec"]["supersedes"]
    until(lambda: history(operator, "Amended")["report"] == anew["metadata"]["name"], 30)
    assert len(amendments(operator)) == 2


def test_a_definition_changed_since_is_not_about_the_ended_cycle(left_open):
    operator = left_open.operator
    patch = {"spec": {"sources": [{**source(operator), "users": {"excludeIds": ["ann"]}}]}}
    left_open.crds.kubectl(
        "patch", "lu/shop", "-n", left_open.namespace, "--type=merge", "-p", json.dumps(patch)
    )
    operator.wait_condition("shop", "Collected", "True")
    before = operator.status("shop")["asOfTime"]
    until(lambda: left_open.product.now() > left_open.at + 10, 20)
    ask(left_open)
    until(lambda: operator.status("shop")["asOfTime"] != before, 40)
    assert {h["activeText"] for h in operator.status("shop")["history"]} == {"≥2", "1"}
    assert not amendments(operator)


def test_evidence_against_a_final_is_told_and_changes_no_report(ages):
    ages.product.users = {"ann": FIRST - 60}
    ages.crds.apply(licensed(ages, anchor=day(FIRST), at=FIRST))
    operator = ages.travel(FIRST)
    until(lambda: operator.status("shop").get("activeUsers") == 1, 30)
    operator = ages.travel(END + 3600)
    (final,) = until(lambda: ages.accepted(1), 60)
    assert final["spec"]["activeText"] == "1"
    operator.wait_condition("shop", "Collected", "True")
    ages.product.users |= {"late": END - 600}  # shown an hour after it happened, or later
    operator = ages.travel(END + 13 * 3600)  # the first poll after noon looks back

    def refuted():  # first by the running cycle, and then by the ended one, too
        seen = operator.condition("shop", "GuaranteesHold")
        return seen if seen and f"Cycle {day(FIRST)}" in seen["message"] else None

    seen = until(refuted, 40)
    assert (seen["status"], seen["reason"]) == ("False", "GuaranteeRefuted")
    assert "1 was stated, and by what is known now at least 2 were active" in seen["message"]
    assert "lagSeconds: 1 " in seen["message"]
    assert operator.condition("shop", "Ready")["status"] == "True"
    contradicted = [h for h in operator.status("shop")["history"] if h.get("reason")]
    assert [(h["state"], h["activeText"]) for h in contradicted] == [("Final", "1")]
    assert "lagSeconds" in contradicted[0]["message"]
    assert not amendments(operator)
    assert final in [{**one, "metadata": final["metadata"]} for one in ages.finals()]

    # The guarantee is corrected: the statement stands in the history, with what contradicts it.
    patch = {"spec": {"sources": [{**source(operator), "guarantees": {"lagSeconds": 7200}}]}}
    ages.crds.kubectl(
        "patch", "lu/shop", "-n", ages.namespace, "--type=merge", "-p", json.dumps(patch)
    )
    until(lambda: operator.condition("shop", "GuaranteesHold") is None, 40)
    assert [h for h in operator.status("shop")["history"] if h.get("reason")] == contradicted


def test_a_list_that_lost_somebody_is_judged_by_what_does_not_rest_on_its_promise(ages):
    ages.product.users = {"ann": FIRST - 60, "ben": FIRST - 60}
    ages.crds.apply(licensed(ages, anchor=day(FIRST), at=FIRST))
    operator = ages.travel(FIRST)
    until(lambda: operator.status("shop").get("activeUsers") == 2, 30)
    del ages.product.users["ann"]  # although nobody is ever removed, it says
    operator = ages.travel(END + 3600)
    (final,) = until(lambda: ages.accepted(1), 60)
    # Nobody read the list before the cycle began; and one of the two who were seen is gone.
    assert final["spec"]["activeText"] == "≥1"
    content = read_report(final["spec"]["token"]).content
    assert (content.accuracy, content.active_users) == ("LowerBound", 1)
    assert "RemovalNever" not in content.rules.assumptions
    seen = operator.wait_condition("shop", "GuaranteesHold", "False", "GuaranteeRefuted")
    assert seen["message"].startswith(
        "Source list: the list lost 1 of 2 users; removal: Never says it loses nobody."
    )
    assert operator.condition("shop", "Ready")["status"] == "True"
    metrics = operator.http("/metrics")[1]
    assert (
        f'licenseusage_guarantees_refuted{{name="shop",usage_namespace="{ages.namespace}"}} 1.0'
        in (metrics)
    )

    # In the next cycle it stays refuted, until the source is declared otherwise.
    ages.product.users = {"ben": END + DAY}
    operator = ages.travel(END + DAY + 60)
    until(lambda: operator.status("shop").get("activeUsers") == 1, 30)
    assert operator.condition("shop", "GuaranteesHold")["status"] == "False"
    patch = {"spec": {"sources": [{**source(operator), "guarantees": {"lagSeconds": 2}}]}}
    ages.crds.kubectl(
        "patch", "lu/shop", "-n", ages.namespace, "--type=merge", "-p", json.dumps(patch)
    )
    until(lambda: operator.condition("shop", "GuaranteesHold") is None, 40)


def source(operator):
    return operator.get("shop")["spec"]["sources"][0]


def test_what_another_ledger_knew_of_a_final_cycle_amends_it_once_merged(ages):
    ages.product.users = {"ann": FIRST - 60}
    ages.crds.apply(licensed(ages, anchor=day(FIRST), at=FIRST))
    operator = ages.travel(FIRST)
    until(lambda: operator.status("shop").get("activeUsers") == 1, 30)
    operator.wait_condition("shop", "Reported", "True", "ReportAccepted")
    ages.stop()
    ledger = ages.folder / "operator" / "ledger.sqlite"
    backup, lost = ages.folder / "backup.sqlite", ages.folder / "lost.sqlite"
    shutil.copy(ledger, backup)
    ages.product.users["ben"] = FIRST + 600
    operator = ages.travel(FIRST + 900)
    ask(ages)
    until(lambda: operator.status("shop").get("activeUsers") == 2, 30)
    ages.stop()
    ledger.rename(lost)
    backup.rename(ledger)  # the volume is lost and a backup takes its place

    ages.product.fault = answers(503, b"down")
    ages.travel(END + DAY + 3600)
    (final,) = until(lambda: ages.accepted(1), 60)
    assert final["spec"]["activeText"] == "≥1"

    ages.stop()  # the volume is found again
    forked.run("ledger", "merge", lost, ledger, env=ages.operator.env, code=0)
    operator = ages.travel(END + DAY + 4200)
    (report,) = until(lambda: delivered(operator, "Accepted"), 60)
    assert report["spec"]["activeText"] == "≥2"
    assert report["spec"]["supersedes"]["sequence"] == final["spec"]["sequence"]
