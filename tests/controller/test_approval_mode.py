"""What the customer holds or leaves out, on the real control plane.

The approval is made by the command itself, with the rights of an account that has no others.
"""

import sqlite3
import time
from contextlib import closing

import pytest

from licenseusage.metering.cycles import CYCLE_MASK
from licenseusage.reports.names import digest
from licenseusage.reports.report import read_report
from tests.controller.ages import DAY, MIDNIGHT, day, licensed
from tests.controller.stage import until
from tests.controller.test_export_mode import events, export
from trials import forked

pytestmark = pytest.mark.controlplane

FIRST = MIDNIGHT - 4 * DAY + 12 * 3600


@pytest.fixture
def held(ages):
    """Two people are counted in a cycle of one day; reports wait for approval."""
    ages.product.users = {"ann": FIRST - 60, "ben": FIRST - 120}
    ages.objects = licensed(ages, days=1, anchor=day(FIRST), at=FIRST)
    ages.objects[-1]["spec"]["reporting"] = {"approval": "Manual"}
    ages.crds.apply(ages.objects)
    ages.travel(FIRST)
    until(lambda: states(ages).get("Interim") == ("AwaitingApproval", "AwaitingApproval"), 60)
    return ages


def states(ages):
    """Kind -> state and reason of its newest UsageReport."""
    reports = sorted(ages.operator.reports(), key=lambda each: each["spec"]["sequence"])
    return {
        each["spec"]["kind"]: (
            each.get("status", {}).get("delivery"),
            each.get("status", {}).get("reason"),
        )
        for each in reports
    }


def newest(ages, kind):
    reports = [each for each in ages.operator.reports() if each["spec"]["kind"] == kind]
    return max(reports, key=lambda each: each["spec"]["sequence"])


def ask(ages):
    """Have it done now what the operator does within a minute."""
    stamp = f"licenseusage.dev/requested-at={time.time_ns()}"
    ages.crds.kubectl("annotate", "--overwrite", "lu/shop", "-n", ages.namespace, stamp)


def annotate(ages, name, value):
    ages.crds.kubectl(
        *("annotate", "--overwrite", "ur", name, "-n", ages.namespace),
        "licenseusage.dev/approved" + ("-" if value is None else f"={value}"),
    )


def approve(ages, *arguments):
    command = ("approve", "-n", ages.namespace, "--yes", *arguments)
    return forked.run(*command, env=ages.crds.environment(), code=0).stdout


def mode(ages, value):
    patch = f'{{"spec":{{"reporting":{{"approval":"{value}"}}}}}}'
    ages.crds.kubectl("patch", "lu/shop", "-n", ages.namespace, "--type=merge", "-p", patch)


def test_nothing_leaves_before_it_is_approved_and_then_it_leaves_once(held):
    seen = held.operator.wait_condition("shop", "Reported", "False", "AwaitingApproval")
    assert f"kubectl licenseusage approve -n {held.namespace} --all" in seen["message"]
    assert [one["type"] for one in until(lambda: events(held, "AwaitingApproval"))] == ["Normal"]
    assert held.operator.condition("shop", "Ready")["status"] == "True"
    interim = newest(held, "Interim")
    annotate(held, interim["metadata"]["name"], "sha256:" + "0" * 64)
    ask(held)
    until(lambda: states(held)["Interim"] == ("AwaitingApproval", "ApprovalMismatch"))

    operator = held.travel(FIRST + DAY)  # the cycle ends
    until(lambda: states(held).get("Final") == ("AwaitingApproval", "AwaitingApproval"), 60)
    final = newest(held, "Final")
    assert "2" in approve(held, final["metadata"]["name"])
    ask(held)
    until(lambda: states(held)["Final"] == ("Pending", "EarlierAwaitsApproval"))
    assert held.vendor.documents() == 0
    operator.kill()  # between approval and sending
    assert f"{interim['metadata']['name']} approved" in approve(held, "--all")
    operator = held.travel(FIRST + DAY + 60)
    until(lambda: held.accepted(1), 60)
    assert [verdict for _, verdict in held.vendor.finals()] == ["Accepted"]
    (sent, _), *_ = held.vendor.finals()
    assert sent == final["spec"]["token"]
    assert (
        digest(sent)
        == newest(held, "Final")["metadata"]["annotations"]["licenseusage.dev/approved"]
    )
    assert "nothing is left to approve" in approve(held, final["metadata"]["name"])
    metrics = operator.http("/metrics")[1]
    assert "licenseusage_outbox_reports{" in metrics


def deliveries(held):
    """How far the finals have come; None: one that was created just now."""
    return {each.get("status", {}).get("delivery") for each in held.finals()}


def test_a_change_of_mode_holds_and_frees_and_a_deleted_object_stays_held(held):
    mode(held, "Automatic")
    until(lambda: states(held)["Interim"][0] == "Accepted", 60)
    mode(held, "Manual")
    held.travel(FIRST + DAY)
    until(lambda: states(held).get("Final") == ("AwaitingApproval", "AwaitingApproval"), 60)
    sent = held.vendor.documents()
    exported = export(held, "-o", "all.usage-bundle", "--all")
    assert f"{held.namespace}/shop: left out until approved: " in exported.stderr

    held.crds.kubectl("delete", "lu/shop", "-n", held.namespace)
    held.travel(FIRST + 3 * DAY)  # the next cycle ends with a final of the gap
    until(lambda: len(held.finals()) == 2, 60)
    until(lambda: deliveries(held) == {"AwaitingApproval"})
    assert held.vendor.documents() == sent
    approve(held, "--all")
    held.travel(FIRST + 3 * DAY + 60)
    until(lambda: held.accepted(2), 60)
    assert [verdict for _, verdict in held.vendor.finals()] == ["Accepted"] * 2


def test_the_least_is_kept_and_sent_and_the_number_is_the_same(ages):
    """No interims, no days: the vendor gets the final alone, and misses nothing."""
    ages.product.users = {"ann": FIRST - 60, "ben": FIRST - 120}
    ages.objects = licensed(ages, days=1, anchor=day(FIRST), at=FIRST, interim="Optional")
    ages.objects[-1]["spec"]["reporting"] = {"interims": "Withheld"}
    ages.crds.apply(ages.objects)
    operator = ages.travel(FIRST)
    until(lambda: operator.status("shop").get("activeUsers") == 2, 60)
    operator.wait_condition("shop", "Reported", "True", "NothingDue")
    assert {word & ~CYCLE_MASK for word in words(ages)} == {1}
    patch = '{"spec":{"privacy":{"dailyFacts":"Dropped"}}}'
    ages.crds.kubectl("patch", "lu/shop", "-n", ages.namespace, "--type=merge", "-p", patch)
    until(lambda: words(ages) == {CYCLE_MASK})
    assert operator.status("shop")["activeUsers"] == 2

    ages.travel(FIRST + DAY)
    (final,) = until(lambda: ages.accepted(1), 60)
    assert final["spec"]["sequence"] == 1
    assert "ReportOverdue" not in final["status"].get("findings", [])
    assert ages.vendor.documents() == 1
    content = read_report(final["spec"]["token"]).content
    assert (content.active_users, content.daily_active_users) == (2, None)
    assert words(ages) == {CYCLE_MASK}


def words(ages):
    """What the ledger holds of people: a word of windows each."""
    path = f"file:{ages.operator.folder}/ledger.sqlite?mode=ro"
    with closing(sqlite3.connect(path, uri=True)) as ledger:
        return {word for (word,) in ledger.execute("select sure | maybe from facts")}
