"""A ledger that lost a part of its history: each documented way out, walked to its end."""

import json

import pytest

from licenseusage.reports.report import read_report
from tests.controller.stage import DAY, until
from tests.controller.test_ledger_care import MIDNIGHT, Scene

pytestmark = pytest.mark.controlplane

HOUR = 3600


@pytest.fixture
def lost(crds, namespace, tmp_path, monkeypatch):
    """Cycles of a day; what was counted and signed after the backup of the first one is lost.

    Afterwards the product knows nobody any more but ann, who was there before the backup.
    """
    monkeypatch.setenv("KUBECONFIG", str(crds.kubeconfig))
    scene = Scene(crds, namespace, tmp_path)
    first = MIDNIGHT - 6 * DAY + HOUR
    scene.first, scene.backup = first, scene.folder / "backup.sqlite"
    scene.product.users = {"ann": first - 60}
    scene.apply(since=first)
    operator = scene.start(first, with_vendor=True)
    operator.wait_condition("shop", "Reported", "True", "ReportAccepted")
    scene.stop()
    scene.cli("backup", scene.ledger, scene.backup)
    scene.product.users |= {"ben": first + 600, "eve": first + DAY - 60}
    yield scene
    scene.stop()
    scene.product.close()


def go_on(scene, *, with_vendor=True):
    """Until the final of the first cycle and an interim of the second are signed; then lose it."""
    scene.start(scene.first + DAY, with_vendor=with_vendor)
    delivery = "Accepted" if with_vendor else "Pending"
    until(lambda: scene.finals(delivery), 60)
    until(lambda: len(scene.tokens()) == 3, 60)
    until(lambda: {s.get("delivery") for s in scene.statuses().values()} <= {"Accepted", delivery})
    if with_vendor:
        until(lambda: {s.get("delivery") for s in scene.statuses().values()} == {"Accepted"}, 60)
    scene.stop()
    del scene.product.users["ben"], scene.product.users["eve"]


def reports(scene):
    """All reports by position."""
    read = [read_report(token) for token in scene.tokens().values()]
    return {report.envelope.sequence: report for report in read}


def shown(operator):
    """The number of each ended cycle in the status, by its index."""
    history = operator.status("shop").get("history", ())
    return {cycle["index"]: cycle for cycle in history if cycle["state"] == "Final"}


def test_a_restored_old_ledger_is_completed_from_the_reports_in_the_cluster(lost):
    scene = lost
    go_on(scene)
    tokens, received = scene.tokens(), scene.vendor.documents()
    scene.replace_ledger(scene.backup)

    operator = scene.start(scene.first + DAY + 2 * HOUR, with_vendor=True)
    operator.wait_condition("shop", "Reported", "True", "ReportAccepted", seconds=60)
    until(lambda: shown(operator), 40)
    cycle = shown(operator)[0]
    final = reports(scene)[2].content
    assert (cycle["activeUsers"], final.active_users) == (2, 2), "as reported, ben with ann"
    assert cycle["accuracy"] == final.accuracy
    assert operator.condition("shop", "Stalled") is None
    scene.look_now()
    until(lambda: operator.status("shop").get("activeUsers") == 1, 40)  # eve, as reported
    assert scene.tokens() == tokens, "nothing is signed for a second time"
    assert scene.vendor.documents() == received
    scene.stop()

    operator = scene.start(scene.first + 2 * DAY, with_vendor=True)
    until(lambda: len(scene.finals()) == 2, 60)
    after = reports(scene)[4]
    assert (after.envelope.continuity, after.content.kind) == ("Restored", "final")
    assert after.content.active_users == 1, "a lower bound does not fall"
    assert after.content.accuracy == "LowerBound"
    assert after.content.uncertainty[0].reason == "GuaranteeRefuted", "eve is not listed any more"
    assert after.content.coverage.gaps[0].reason == "FactsLost"
    assert {k: v for k, v in scene.tokens().items() if k in tokens} == tokens
    found = [finding for s in scene.statuses().values() for finding in s.get("findings", ())]
    assert "Restored" in found, "the vendor is told"
    scene.stop()
    assert scene.cli("check", scene.ledger).endswith("OK\n")
    assert "Traceback" not in scene.log()


def test_a_final_that_was_signed_and_not_sent_is_sent_after_the_restore(lost):
    scene = lost
    go_on(scene, with_vendor=False)
    tokens = scene.tokens()
    scene.replace_ledger(scene.backup)
    scene.start(scene.first + DAY + 2 * HOUR, with_vendor=True)
    until(lambda: {s.get("delivery") for s in scene.statuses().values()} == {"Accepted"}, 90)
    assert scene.tokens() == tokens
    ((sent, verdict),) = scene.vendor.finals()
    assert (sent in tokens.values(), verdict) == (True, "Accepted"), "byte for byte"


def test_the_merge_of_the_former_ledger_ends_it_without_any_object(lost):
    scene = lost
    go_on(scene)
    scene.crds.kubectl("delete", "usagereports", "--all", "-n", scene.namespace)
    told = json.loads(scene.cli("restore", scene.backup, scene.ledger, "-o", "json"))
    operator = scene.start(scene.first + DAY + 2 * HOUR, with_vendor=True)
    operator.wait_condition("shop", "Stalled", "True", "LocalHistoryLost")
    scene.stop()

    merged = json.loads(scene.cli("merge", told["keptAside"], scene.ledger, "-o", "json"))
    assert (merged["documents"], merged["resumedChains"]) == (2, 1)
    operator = scene.start(scene.first + 2 * DAY, with_vendor=True)
    until(lambda: len(scene.finals()) == 2, 60)
    assert shown(operator)[0]["activeUsers"] == 2
    assert reports(scene)[4].envelope.continuity == "Restored"
    operator.wait_condition("shop", "Reported", "True", "ReportAccepted", seconds=60)
    scene.stop()
    assert scene.cli("check", scene.ledger).endswith("OK\n")


def test_reports_that_are_applied_again_complete_the_chain_without_a_restart(lost):
    """An administrator had deleted them, and has a copy."""
    scene = lost
    go_on(scene)
    kept = scene.operator.reports()
    scene.crds.kubectl("delete", "usagereports", "--all", "-n", scene.namespace)
    scene.cli("restore", scene.backup, scene.ledger)
    operator = scene.start(scene.first + DAY + 2 * HOUR, with_vendor=True)
    operator.wait_condition("shop", "Stalled", "True", "LocalHistoryLost")
    for report in kept:
        metadata = {name: report["metadata"][name] for name in ("name", "namespace", "labels")}
        scene.crds.apply([{**report, "metadata": metadata}])
    scene.look_now()
    operator.wait_condition("shop", "Reported", "True", "ReportAccepted", seconds=60)
    assert operator.condition("shop", "Stalled") is None
    assert shown(operator)[0]["activeUsers"] == 2
