"""A cycle that ends while one watches: its final is accepted, once, whatever kills the operator."""

import json
import signal
import time
from datetime import UTC, datetime, timedelta

import pytest

from licenseusage.controller.rules.resources import REPORTS
from licenseusage.reports.report import read_report
from tests.controller.sample import Product
from tests.controller.stage import (
    Operator,
    Vendor,
    meter_secret,
    offset_before_midnight,
    secret,
    until,
    usage,
    vendor_keys,
)

pytestmark = pytest.mark.controlplane

LICENSED = {"license": {"secretRef": {"name": "license"}}, "closeGraceHours": 24}


class Scene:
    """One namespace with a product, a vendor and a licence whose cycle of a day ends soon."""

    def __init__(self, crds, namespace, folder, *, seconds):
        crds.create_namespace(namespace)
        self.cp, self.namespace = crds, namespace
        self.offset = offset_before_midnight(seconds)
        self.midnight = int(time.time() + self.offset) // 86_400 * 86_400 + 86_400
        self.end = datetime.fromtimestamp(self.midnight, UTC)
        self.product = Product(self.offset)
        self.vendor = Vendor(folder / "vendor", offset=self.offset).start()
        self.operator = Operator(
            crds,
            namespace,
            folder / "operator",
            offset=self.offset,
            vendor_ca_file=self.vendor.tls.ca_file,
        )
        self.anchor = (self.end - timedelta(days=1)).date()
        now = self.midnight - seconds
        self.product.users = {f"user-{i:03}": now - 600 - i for i in range(20)}
        self.product.users |= {"idle": None, "last-cycle": self.midnight - 2 * 86_400}

    def apply(self, name="shop", **license_changes):
        token = self.vendor.license(anchor=self.anchor, **license_changes)
        self.cp.create_pod(
            self.namespace,
            f"{name}-0",
            labels={"app": name},
            ports={"http": self.product.port},
        )
        self.cp.apply(
            [
                meter_secret(self.namespace),
                secret(self.namespace, "license", **{"license.jwt": token}),
                vendor_keys(self.namespace, self.vendor.jwks),
                usage(self.namespace, name, spec=LICENSED),
            ]
        )

    def simulated(self):
        return time.time() + self.offset

    def finals(self):
        return [r for r in self.operator.reports() if r["spec"]["kind"] == "Final"]

    def accepted_final(self):
        finals = [
            r
            for r in self.finals()
            if r.get("status", {}).get("delivery") == "Accepted"
            and r["spec"]["cycle"]["endTime"] == self.end.strftime("%Y-%m-%dT%H:%M:%SZ")
        ]
        return finals[0] if finals else None

    def close(self):
        self.operator.stop()
        self.vendor.stop()
        self.product.close()


@pytest.fixture(scope="module")
def scene(crds, tmp_path_factory):
    scene = Scene(crds, "cycle-end", tmp_path_factory.mktemp("scene"), seconds=20)
    yield scene
    scene.close()


@pytest.fixture(scope="module")
def final(scene):
    """The accepted final report's object, with its cycle watched to its end."""
    scene.operator.start()
    scene.apply()
    until(lambda: scene.operator.status("shop").get("activeUsers") == 20, 30)
    until(lambda: scene.simulated() > scene.midnight - 3, 40)
    scene.product.users["last-minute"] = scene.midnight - 2
    return until(scene.accepted_final, 60)


def test_the_final_is_exact_accepted_and_its_receipt_verified(scene, final):
    assert final["spec"]["activeText"] == "21"
    assert final["status"]["receipt"]
    assert final["status"]["acceptedTime"]
    report = read_report(final["spec"]["token"])
    assert (report.content.active_users, report.content.active_users_upper_bound) == (21, 21)
    assert report.content.accuracy == "Exact"
    assert report.content.operator.version.endswith("-simulated-clock")
    assert report.content.operator.cluster


def test_the_status_shows_history_and_last_acceptance(scene, final):
    until(lambda: scene.operator.status("shop").get("history"), 20)
    scene.operator.wait_condition("shop", "Reported", "True", "ReportAccepted")
    status = scene.operator.status("shop")
    ended = status["history"][0]
    assert (ended["state"], ended["activeText"], ended["accuracy"]) == ("Final", "21", "Exact")
    assert ended["report"] == final["metadata"]["name"]
    assert status["lastReport"]["delivery"] == "Accepted"
    assert status["lastReport"]["acceptedTime"]
    assert status["cycle"]["index"] == 1
    assert {c["type"]: c["status"] for c in status["conditions"]} == {
        "Ready": "True",
        "Collected": "True",
        "Reported": "True",
        "Licensed": "True",
        "WithinEntitlement": "True",
        "KeysExported": "False",
    }
    assert len(json.dumps(status)) < 8192


def test_one_id_leads_through_the_log_from_the_polls_to_the_receipt(scene, final):
    trace = f"{scene.namespace}/shop@{(scene.end - timedelta(days=1)).date().isoformat()}"
    lines = [
        json.loads(line)
        for line in scene.operator.log.read_text().splitlines()
        if line.startswith("{")
    ]
    mine = [line for line in lines if trace in (line.get("trace") or "").split(" ")]
    assert all(line["object"] == f"{scene.namespace}/shop" for line in mine)
    way = [line["message"] for line in mine]
    polled, kept, sent = (way.index(m) for m in ("poll ended", "report kept", "document sent"))
    assert polled < kept < sent
    document = read_report(final["spec"]["token"]).envelope.jti
    (settled,) = [
        line
        for line in mine
        if (line["message"], line.get("document")) == ("document sent", document)
    ]
    assert settled["state"] == "Accepted"
    theirs = (scene.vendor.folder / "receiver.log").read_text()
    answers = [json.loads(line) for line in theirs.splitlines() if line.startswith("{")]
    (answered,) = [line for line in answers if line.get("document") == document]
    assert answered["verdict"] == "Accepted"


def test_the_table_of_reports_is_as_designed(scene, final, crds):
    table = crds.kubectl("get", "usagereports", "-n", scene.namespace).stdout.splitlines()
    assert table[0].split() == ["NAME", "KIND", "ACTIVE", "CYCLE-STARTS", "DELIVERY", "AGE"]
    assert any("Final" in line and "Accepted" in line for line in table)


def test_events_tell_transitions(scene, final, crds):
    found = crds.kubectl("get", "events", "-n", scene.namespace, "-o", "json").stdout
    reasons = {one["reason"] for one in json.loads(found)["items"]}
    assert {"CycleClosed", "ReportAccepted"} <= reasons


def test_a_deleted_report_object_is_made_again_from_the_ledger(scene, final, crds):
    name = final["metadata"]["name"]
    crds.kubectl("delete", "usagereport", name, "-n", scene.namespace, "--timeout=5s")
    stamp = f"licenseusage.dev/requested-at={time.time_ns()}"
    crds.kubectl("annotate", "--overwrite", "lu/shop", "-n", scene.namespace, stamp)
    again = until(lambda: scene.operator.get(name, REPORTS, check=False), 20)
    assert again["spec"] == final["spec"]


def test_nothing_private_is_in_objects_events_logs_and_metrics(scene, final, crds):
    told = crds.kubectl("get", "lu,ur,events", "-n", scene.namespace, "-o", "yaml").stdout
    told += scene.operator.log.read_text() + scene.operator.http("/metrics")[1]
    raw = crds.kubectl("get", "secret", "-n", scene.namespace, "-o", "json").stdout
    secrets_ = [v for one in json.loads(raw)["items"] for v in one.get("data", {}).values()]
    for private in ["user-0", "last-minute", *secrets_]:
        assert private not in told


POINTS = (
    "before:Ledger.record_poll",  # the closing poll was made, nothing of it is durable
    "after:Ledger.record_poll",
    "after:Ledger.begin_close",  # decided, not done
    "after:Ledger.close_cycle",  # statement, report and outbox row are durable, nobody knows
    "before:VendorClient.put",  # claimed, not sent
    "after:VendorClient.put",  # the vendor has it, the operator does not know
    "after:Ledger.record_result",  # all is done, the status does not say so
)


def test_killed_at_every_step_of_the_end_there_is_exactly_one_accepted_final(
    crds, tmp_path_factory
):
    scene = Scene(crds, "killed", tmp_path_factory.mktemp("killed"), seconds=15)
    try:
        scene.operator.start()
        scene.apply()
        until(lambda: scene.operator.status("shop").get("activeUsers") == 20, 30)
        until(lambda: scene.vendor.documents() >= 1, 20)
        scene.operator.kill()
        for point in POINTS:
            died = scene.operator.start_to_die_at(point)
            assert died == -signal.SIGKILL, f"{point}: {scene.operator.log.read_text()[-2000:]}"
            assert len(scene.vendor.finals()) == (point in POINTS[POINTS.index(_SENT) :])
        scene.operator.start()
        until(scene.accepted_final, 60)
        scene.operator.wait_condition("shop", "Reported", "True", "ReportAccepted")
        (final,) = scene.finals()
        assert final["spec"]["activeText"] == "20"
        assert scene.vendor.finals() == [(final["spec"]["token"], "Accepted")]
    finally:
        scene.close()


_SENT = "after:VendorClient.put"
