"""Export mode on the real control plane: nothing is sent, and a file brings the vendor everything.

The bundle is written by the command itself, with the key from the Secret that the operator made.
"""

import os
import ssl
import urllib.error
import urllib.request

import pytest
import yaml

from licenseusage.reports.bundle import read_lines
from licenseusage.reports.report import read_report
from tests.controller.ages import DAY, MIDNIGHT, day, licensed
from tests.controller.stage import until
from trials import forked

pytestmark = pytest.mark.controlplane

FIRST = MIDNIGHT - 4 * DAY + 12 * 3600


@pytest.fixture
def exporting(ages):
    """Two people are counted in a cycle of one day; the object is in export mode."""
    ages.product.users = {"ann": FIRST - 60, "ben": FIRST - 120}
    ages.objects = licensed(ages, days=1, anchor=day(FIRST), at=FIRST)
    ages.objects[-1]["spec"]["reporting"] = {"mode": "Export"}
    ages.crds.apply(ages.objects)
    operator = ages.travel(FIRST)
    until(lambda: operator.status("shop").get("activeUsers") == 2, 30)
    return ages


def mode(ages, value):
    patch = f'{{"spec":{{"reporting":{{"mode":"{value}"}}}}}}'
    ages.crds.kubectl("patch", "lu/shop", "-n", ages.namespace, "--type=merge", "-p", patch)


def export(ages, *args):
    """``licenseusage report export`` where the ledger is."""
    where = {"env": ages.operator.env, "cwd": ages.folder}
    return forked.run("report", "export", *args, **where, code=0)


def upload(ages, data, form=""):
    """Carry a bundle to the vendor's receiver; return its receipts, as a file or as objects."""
    request = urllib.request.Request(
        f"{ages.vendor.endpoint}/v1/bundles{form}",
        data.encode(),
        {"Content-Type": "text/plain; charset=us-ascii"},
    )
    tls = ssl.create_default_context(cafile=ages.vendor.tls.ca_file)
    with urllib.request.urlopen(request, context=tls, timeout=30) as answer:
        return answer.read().decode("ascii")


def documents(ages):
    return len(ages.vendor.finals())


def waiting(ages, kind):
    return [
        report
        for report in ages.operator.reports()
        if report["spec"]["kind"] == kind and report.get("status", {}).get("reason") == "Offline"
    ]


def events(ages, reason):
    done = ages.crds.kubectl("get", "events", "-n", ages.namespace, "-o", "yaml")
    return [one for one in yaml.safe_load(done.stdout)["items"] if one["reason"] == reason]


def test_nothing_is_sent_and_the_condition_says_what_waits_and_how_to_carry_it(exporting):
    seen = exporting.operator.wait_condition("shop", "Reported", "True", "Exported")
    assert f"kubectl licenseusage report export -n {exporting.namespace} shop" in seen["message"]
    until(lambda: waiting(exporting, "Interim"))
    assert exporting.operator.condition("shop", "Ready")["status"] == "True"
    assert not enrolled(exporting)


def enrolled(ages):
    """Whether the receiver has heard anything at all."""
    log = (ages.vendor.folder / "receiver.log").read_text()
    return "/v1/keys/" in log or "/v1/reports/" in log or bool(ages.vendor.documents())


def test_the_cycle_ends_and_a_bundle_brings_its_final_to_the_vendor(exporting, tmp_path):
    operator = exporting.travel(FIRST + DAY)
    until(lambda: waiting(exporting, "Final"), 60)
    (tmp_path / "exports").mkdir()
    done = export(exporting, "--directory", str(tmp_path / "exports"))
    assert done.stdout.startswith(f"wrote {tmp_path}/exports/")
    (name,) = os.listdir(tmp_path / "exports")
    data = (tmp_path / "exports" / name).read_text("ascii")
    (final,) = [
        token
        for token in read_lines(data).reports
        if read_report(token).content.kind.value == "final"
    ]
    assert final == exporting.finals()[0]["spec"]["token"]
    receipts = upload(exporting, data)
    assert receipts.count("\n") == data.count("\n") - 1
    assert [verdict for _, verdict in exporting.vendor.finals()] == ["Accepted"]
    assert upload(exporting, data) == receipts  # carried twice
    assert documents(exporting) == 1
    assert operator.condition("shop", "Reported")["reason"] == "Exported"


def test_the_whole_loop_out_by_a_file_and_back_by_an_object(exporting, tmp_path):
    """Carried in damage first and then twice: accepted once, and the folder is empty again."""
    operator = exporting.travel(FIRST + DAY)
    until(lambda: next_interim(exporting), 60)  # signed after the export it would wait for the next
    folder = tmp_path / "exports"
    folder.mkdir()
    export(exporting, "--directory", str(folder))
    (name,) = os.listdir(folder)
    data = (folder / name).read_text("ascii")
    with pytest.raises(urllib.error.HTTPError) as refused:
        upload(exporting, data.replace("\n", "\r\n"))
    assert refused.value.code == 400
    assert documents(exporting) == 0
    objects = upload(exporting, data, "?format=yaml")
    assert upload(exporting, data, "?format=yaml") == objects

    applied = exporting.crds.kubectl("apply", "-f", "-", stdin=objects)
    assert "usagereceipt" in applied.stdout
    until(lambda: exporting.accepted(1), 60)
    seen = until(lambda: nothing_waits(operator), 60)
    assert (seen["status"], seen["reason"]) == ("True", "Exported")
    exporting.crds.kubectl("apply", "-f", "-", stdin=objects)  # once more changes nothing
    assert documents(exporting) == 1
    done = export(exporting, "--directory", str(folder))
    assert done.stdout.startswith(f"removed {folder / name}")
    assert os.listdir(folder) == []


def next_interim(ages):
    """Return what waits of the cycle after the one that has ended."""
    last = max((final["spec"]["sequence"] for final in waiting(ages, "Final")), default=None)
    interims = [] if last is None else waiting(ages, "Interim")
    return [interim for interim in interims if interim["spec"]["sequence"] > last]


def nothing_waits(operator):
    seen = operator.condition("shop", "Reported")
    return seen if "nothing waits for an export" in seen["message"] else None


def test_it_becomes_due_and_overdue_with_an_event_each_and_a_metric(exporting):
    """A cycle of one day: a final is due a day after it was signed, and due soon 19 hours after."""
    operator = exporting.travel(FIRST + DAY)
    until(lambda: waiting(exporting, "Final"), 60)
    operator = exporting.travel(FIRST + DAY + 21 * 3600)
    operator.wait_condition("shop", "Reported", "False", "ExportDue", 60)
    assert until(lambda: events(exporting, "ExportDue"))[0]["type"] == "Warning"
    operator = exporting.travel(FIRST + 2 * DAY + 3600)
    seen = operator.wait_condition("shop", "Reported", "False", "ExportOverdue", 60)
    assert "Nothing is lost." in seen["message"]
    assert until(lambda: events(exporting, "ExportOverdue"))[0]["type"] == "Warning"
    operator.wait_condition("shop", "Ready", "True", seconds=60)
    assert operator.condition("shop", "Stalled") is None
    metrics = operator.http("/metrics")[1].splitlines()
    (due,) = [
        line for line in metrics if line.startswith("licenseusage_export_due_timestamp_seconds{")
    ]
    assert FIRST + DAY < float(due.split()[1]) < FIRST + 2 * DAY + 3600
    assert not [line for line in metrics if line.startswith("licenseusage_outbox_oldest_age")][1:]


def test_a_change_of_mode_in_mid_cycle_sends_what_waits_and_stops_sending_again(exporting):
    until(lambda: waiting(exporting, "Interim"))
    mode(exporting, "Online")
    operator = exporting.operator
    operator.wait_condition("shop", "Reported", "True", "ReportAccepted", 60)
    mode(exporting, "Export")
    seen = operator.wait_condition("shop", "Reported", "True", "Exported", 60)
    assert "nothing waits for an export" in seen["message"]
    held = exporting.vendor.documents()

    operator = exporting.travel(FIRST + DAY)  # the cycle ends in export mode
    until(lambda: waiting(exporting, "Final"), 60)
    assert exporting.vendor.documents() == held
    mode(exporting, "Online")
    until(lambda: exporting.accepted(1), 60)
    assert documents(exporting) == 1


def test_a_deleted_object_is_not_sent_either(exporting):
    until(lambda: waiting(exporting, "Interim"))
    exporting.crds.kubectl("delete", "lu/shop", "-n", exporting.namespace)
    exporting.travel(FIRST + 3 * DAY)
    until(lambda: waiting(exporting, "Final"), 60)
    assert not enrolled(exporting)
    exported = export(exporting, "-o", "all.usage-bundle")
    assert "of ended cycles" in exported.stderr
    upload(exporting, (exporting.folder / "all.usage-bundle").read_text("ascii"))
    assert documents(exporting) == 1
