"""A ledger that lost a part of its history: each documented way out, walked to its end."""

import json
import subprocess

import pytest

from licenseusage.reports.report import read_report
from tests.controller.stage import CLI, DAY, until
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


def test_a_report_that_the_cluster_lost_too_comes_from_the_vendors_history(lost):
    scene = lost
    go_on(scene)
    tokens, received = scene.tokens(), scene.vendor.documents()
    (final,) = scene.finals()
    name = final["metadata"]["name"]
    scene.crds.kubectl("delete", "usagereport", name, "-n", scene.namespace)
    scene.replace_ledger(scene.backup)

    operator = scene.start(scene.first + DAY + 2 * HOUR, with_vendor=True)
    until(lambda: scene.tokens() == tokens, 60)
    operator.wait_condition("shop", "Reported", "True", "ReportAccepted", seconds=60)
    assert operator.condition("shop", "Stalled") is None, "no consent is needed"
    assert '"the ledger is older than its reports"' in scene.log()
    until(lambda: shown(operator), 40)
    assert shown(operator)[0]["activeUsers"] == 2, "as reported, ben with ann"
    scene.look_now()
    until(lambda: operator.status("shop").get("activeUsers") == 1, 40)  # eve, as reported
    assert scene.tokens() == tokens, "nothing is signed for a second time"
    assert scene.vendor.documents() == received
    assert scene.vendor.finals() == [(final["spec"]["token"], "Accepted")]
    assert "Traceback" not in scene.log()


def test_the_vendor_is_heard_before_reports_in_the_cluster_alone_complete_the_chain(lost):
    """The newest report is in no object: its position would be signed for a second time."""
    scene = lost
    go_on(scene)
    tokens, received = scene.tokens(), scene.vendor.documents()
    newest = max(tokens)
    scene.crds.kubectl("delete", "usagereport", newest, "-n", scene.namespace)
    scene.replace_ledger(scene.backup)

    operator = scene.start(scene.first + DAY + 2 * HOUR, with_vendor=True)
    until(lambda: scene.tokens() == tokens, 60)
    operator.wait_condition("shop", "Reported", "True", "ReportAccepted", seconds=60)
    assert operator.condition("shop", "Stalled") is None, "no consent is needed"
    assert scene.vendor.documents() == received
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
    operator = scene.start(scene.first + DAY + 2 * HOUR)  # the vendor, who has it, is away
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
    operator = scene.start(scene.first + DAY + 2 * HOUR)  # the vendor, who has it, is away
    operator.wait_condition("shop", "Stalled", "True", "LocalHistoryLost")
    for report in kept:
        metadata = {name: report["metadata"][name] for name in ("name", "namespace", "labels")}
        scene.crds.apply([{**report, "metadata": metadata}])
    scene.look_now()
    until(lambda: operator.condition("shop", "Stalled") is None, 60)
    assert shown(operator)[0]["activeUsers"] == 2
    scene.vendor.start()
    scene.look_now()
    operator.wait_condition("shop", "Reported", "True", "ReportAccepted", seconds=60)
    assert operator.condition("shop", "Stalled") is None


def adopt_head(scene, digest):
    """What docs/operations.md says."""
    patch = json.dumps({"spec": {"reporting": {"adoptHead": digest}}})
    scene.crds.kubectl("patch", "lu/shop", "-n", scene.namespace, "--type=merge", "-p", patch)


def test_a_copy_that_was_contradicted_goes_on_behind_the_head_that_is_named(lost):
    """The copy did not know what the other one had reported since; now the other one is retired."""
    scene = lost
    go_on(scene)
    tokens = scene.tokens()
    newest = read_report(max(tokens.items())[1]).envelope
    scene.crds.kubectl("delete", "usagereports", "--all", "-n", scene.namespace)
    scene.replace_ledger(scene.backup)

    operator = scene.start(scene.first + DAY + 2 * HOUR, with_vendor=True)
    seen = operator.wait_condition("shop", "Stalled", "True", "ReportConflict", seconds=60)
    proposal = f"set spec.reporting.adoptHead to {newest.digest}"
    until(lambda: proposal in operator.condition("shop", "Stalled")["message"], 40)
    assert "Counting goes on" in seen["message"]
    mine = set(scene.tokens().values())

    adopt_head(scene, reports_digest := "sha256:" + "0" * 64)
    seen = operator.wait_condition("shop", "Stalled", "True", "AdoptHeadUnknown")
    assert reports_digest in seen["message"]
    assert set(scene.tokens().values()) == mine, "nothing was changed"

    adopt_head(scene, newest.digest)
    operator.wait_condition("shop", "Reported", "True", "ReportAccepted", seconds=60)
    until(lambda: scene.tokens() == tokens, 40)
    assert shown(operator)[0]["activeUsers"] == 2, "as reported, ben with ann"
    assert operator.condition("shop", "Stalled") is None
    scene.stop()

    operator = scene.start(scene.first + 2 * DAY, with_vendor=True)
    until(lambda: len(scene.finals()) == 2, 60)
    after = reports(scene)[4]
    assert (after.envelope.continuity, after.envelope.previous) == ("Restored", newest.digest)
    assert [verdict for _, verdict in scene.vendor.finals()].count("Accepted") == 2
    scene.stop()
    assert scene.cli("check", scene.ledger).endswith("OK\n")
    assert "Traceback" not in scene.log()


def test_a_ledger_that_is_lost_as_a_whole_goes_on_from_its_reports(lost):
    """Only the Secrets and the objects are left; and a whole cycle went by meanwhile."""
    scene = lost
    go_on(scene)
    tokens = scene.tokens()
    newest = read_report(max(tokens.items())[1]).envelope
    for file in scene.ledger.parent.glob("ledger.sqlite*"):
        file.unlink()
    scene.product.users = {"ann": scene.first + 2 * DAY + HOUR}

    operator = scene.start(scene.first + 3 * DAY + 2 * HOUR, with_vendor=True)
    seen = operator.wait_condition("shop", "Stalled", "True", "LedgerLost")
    assert f"set spec.reporting.adoptHead to {newest.digest}" in seen["message"]
    assert scene.tokens() == tokens

    adopt_head(scene, newest.digest)
    until(lambda: len(scene.finals()) == 2, 60)
    scene.look_now()  # the first poll did not know yet that a cycle between had ended, too
    until(lambda: len(scene.finals()) == 3, 60)
    assert {k: v for k, v in scene.tokens().items() if k in tokens} == tokens
    finals = {
        r.content.cycle.index: r for r in reports(scene).values() if r.content.kind == "final"
    }
    assert sorted(finals) == [0, 1, 2], "one for each cycle, the missed one too"
    assert finals[0].content.active_users == 2, "as it was reported"
    assert (finals[1].envelope.continuity, finals[1].envelope.sequence) == ("Restored", 4)
    assert (finals[1].content.active_users, finals[1].content.accuracy) == (1, "LowerBound")
    assert finals[1].content.coverage.gaps[0].reason == "FactsLost"
    assert [verdict for _, verdict in scene.vendor.finals()] == ["Accepted"] * 3
    operator.wait_condition("shop", "Reported", "True", "ReportAccepted", seconds=60)
    assert operator.condition("shop", "Stalled") is None
    scene.stop()
    assert scene.cli("check", scene.ledger).endswith("OK\n")
    assert "Traceback" not in scene.log()


def test_a_copy_of_an_operator_gets_an_identity_of_its_own(lost):
    """The other copy keeps the identity; nothing is taken from the vendor's history of it."""
    scene = lost
    go_on(scene)
    scene.crds.kubectl("delete", "usagereports", "--all", "-n", scene.namespace)
    scene.replace_ledger(scene.backup)
    operator = scene.start(scene.first + DAY + 2 * HOUR, with_vendor=True)
    operator.wait_condition("shop", "Stalled", "True", "ReportConflict", seconds=60)
    until(lambda: "set spec.reporting" in operator.condition("shop", "Stalled")["message"], 40)
    former = {report.envelope.installation for report in reports(scene).values()}

    kubectl, here = scene.crds.kubectl, ("-n", scene.namespace)
    kubectl("delete", "secret", "licenseusage-identity", *here)
    new = [*CLI, "keys", "new", "identity", "--namespace", scene.namespace]
    made = subprocess.run(new, capture_output=True, text=True, check=True)
    kubectl("create", "-f", "-", *here, stdin=made.stdout)
    scene.look_now()
    operator.wait_condition("shop", "Reported", "True", seconds=60)
    assert operator.condition("shop", "Stalled") is None
    scene.stop()

    operator = scene.start(scene.first + 2 * DAY, with_vendor=True)
    until(lambda: len(scene.finals()) == 1, 60)
    final = read_report(scene.finals()[0]["spec"]["token"])
    assert final.envelope.installation not in former
    assert final.content.cycle.index == 1, "the other copy has reported the cycle before"
    operator.wait_condition("shop", "Reported", "True", "ReportAccepted", seconds=60)
    scene.stop()
    assert scene.cli("check", scene.ledger).endswith("OK\n")
    assert "Traceback" not in scene.log()
