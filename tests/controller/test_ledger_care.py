"""A ledger damaged, newer, full, restored or lost is said; counting goes on wherever it can."""

import json
import os
import resource
import shutil
import sqlite3
import time
from contextlib import closing
from datetime import UTC, datetime

import pytest

from licenseusage.ledger.storage import schema
from licenseusage.reports.report import read_report
from tests.controller.sample import Product
from tests.controller.stage import (
    DAY,
    Operator,
    Vendor,
    create_pods,
    meter_secret,
    secret,
    until,
    usage,
    vendor_keys,
)
from trials import forked

pytestmark = pytest.mark.controlplane

MIDNIGHT = int(time.time()) // DAY * DAY


class Scene:
    """One product, its object, the vendor, and an operator at several simulated times."""

    def __init__(self, crds, namespace, folder):
        self.crds, self.namespace, self.folder = crds, namespace, folder
        self.product = Product()
        self.vendor = Vendor(folder / "vendor")
        self.operator = None
        self.ledger = folder / "operator" / "ledger.sqlite"
        create_pods(namespace, {"shop": (self.product.port, True)})

    def apply(self, *, since=None):
        """Create the object; with a licence that begins then, if that is told."""
        objects = [meter_secret(self.namespace)]
        spec = None
        if since is not None:
            self.vendor.offset = int(since - time.time())
            token = self.vendor.license(anchor=datetime.fromtimestamp(since, UTC).date())
            objects += [
                secret(self.namespace, "license", **{"license.jwt": token}),
                vendor_keys(self.namespace, self.vendor.jwks),
            ]
            spec = {"license": {"secretRef": {"name": "license"}}}
        self.crds.apply([*objects, usage(self.namespace, spec=spec)])

    def start(self, at=None, *, with_vendor=False):
        offset = 0 if at is None else int(at - time.time())
        self.product.offset = self.vendor.offset = offset
        if with_vendor:
            self.vendor.start()
        folder, ca_file = self.folder / "operator", self.vendor.tls.ca_file
        self.operator = Operator(
            self.crds, self.namespace, folder, offset=offset, vendor_ca_file=ca_file
        )
        return self.operator.start()

    def stop(self):
        if self.operator is not None:
            self.operator.stop()
        self.vendor.stop()

    def cli(self, *words, code=0):
        done = forked.run("ledger", *words, env=self.operator.env, code=code)
        return done.stdout + done.stderr

    def replace_ledger(self, other):
        """Put another file in the ledger's place, as ``cp`` does, and nobody is told."""
        for file in self.ledger.parent.glob("ledger.sqlite*"):
            file.unlink()
        shutil.copy(other, self.ledger)

    def look_now(self):
        now = f"licenseusage.dev/requested-at={time.time_ns()}"
        self.crds.kubectl("annotate", "--overwrite", "lu/shop", "-n", self.namespace, now)

    def tokens(self):
        return {r["metadata"]["name"]: r["spec"]["token"] for r in self.operator.reports()}

    def statuses(self):
        return {r["metadata"]["name"]: r.get("status", {}) for r in self.operator.reports()}

    def finals(self, delivery="Accepted"):
        return [
            r
            for r in self.operator.reports()
            if r["spec"]["kind"] == "Final" and r.get("status", {}).get("delivery") == delivery
        ]

    def log(self):
        return self.operator.log.read_text()


@pytest.fixture
def scene(crds, namespace, tmp_path, monkeypatch):
    monkeypatch.setenv("KUBECONFIG", str(crds.kubeconfig))
    scene = Scene(crds, namespace, tmp_path)
    yield scene
    scene.stop()
    scene.product.close()


@pytest.fixture
def counted(scene):
    """A scene in which one user has been counted, without a licence, and the operator stopped."""
    scene.product.users = {"ann": scene.product.now() - 60}
    scene.apply()
    operator = scene.start()
    until(lambda: operator.status("shop").get("activeUsers") == 1, 40)
    assert operator.stop() == 0
    return scene


def test_a_damaged_ledger_is_said_and_a_restore_beside_the_running_operator_heals_it(counted):
    scene, backup = counted, counted.folder / "backup.sqlite"
    scene.cli("backup", scene.ledger, backup)
    content = bytearray(scene.ledger.read_bytes())
    content[4096 : 3 * 4096] = os.urandom(2 * 4096)
    scene.ledger.write_bytes(content)
    scene.product.users["ben"] = scene.product.now() - 30

    operator = scene.start()
    seen = operator.wait_condition("shop", "Stalled", "True", "LedgerCorrupt")
    assert f"licenseusage ledger restore BACKUP {scene.ledger}" in seen["message"]
    assert operator.condition("shop", "Ready")["status"] == "False"
    assert operator.status("shop")["activeUsers"] == 1, "what was said before stands"
    assert operator.process.alive
    assert scene.ledger.read_bytes() == content, "nothing is begun anew in its place"
    assert "file" in scene.cli("check", scene.ledger, code=1)

    told = scene.cli("restore", backup, scene.ledger)
    assert "kept aside" in told
    operator.wait_condition("shop", "Ready", "True", seconds=60)
    scene.look_now()
    until(lambda: operator.status("shop").get("activeUsers") == 2, 40)
    assert "Another process uses the ledger" in scene.cli("restore", backup, scene.ledger, code=3)
    assert scene.cli("check", scene.ledger).endswith("OK\n")
    assert "Traceback" not in scene.log()


def test_a_newer_ledger_is_said_with_who_wrote_it(counted):
    scene = counted
    with closing(sqlite3.connect(scene.ledger)) as newer, newer:
        newer.execute("update ledger set schema_version = 99, written_by = '9.8.7'")
    operator = scene.start()
    seen = operator.wait_condition("shop", "Stalled", "True", "LedgerSchemaUnsupported")
    assert "Run licenseusage 9.8.7 or a later one" in seen["message"]
    with closing(sqlite3.connect(scene.ledger)) as newer, newer:
        newer.execute(f"update ledger set schema_version = {schema.VERSION}")
    operator.wait_condition("shop", "Ready", "True", seconds=60)
    assert "Traceback" not in scene.log()


def test_on_a_full_disk_nothing_is_counted_by_half_and_all_of_it_afterwards(counted):
    """The kernel refuses the writes of the running process: no file may grow."""
    scene = counted
    operator = scene.start()
    operator.wait_condition("shop", "Ready", "True")
    pid = operator.process.process.pid
    soft, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    assert scene.ledger.stat().st_size > 2 * operator.log.stat().st_size, "its log must go on"
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (scene.ledger.stat().st_size // 2, hard))
    log = scene.ledger.with_name("ledger.sqlite-wal")
    while log.stat().st_size < scene.ledger.stat().st_size // 2:
        before = log.stat().st_size
        scene.look_now()
        until(lambda before=before: log.stat().st_size > before or unwell(operator), 20)
        if unwell(operator):
            break
    scene.product.users |= {f"user-{n}": scene.product.now() - 30 for n in range(500)}
    scene.look_now()
    seen = until(lambda: unwell(operator), 60)
    assert seen["reason"] in ("LedgerUnavailable", "LedgerDiskFull")
    assert "not full" in seen["message"] or "Free space" in seen["message"]
    assert operator.condition("shop", "Ready")["status"] == "False"
    assert operator.status("shop")["activeUsers"] == 1
    assert operator.process.alive

    resource.prlimit(pid, resource.RLIMIT_FSIZE, (soft, hard))
    operator.wait_condition("shop", "Ready", "True", seconds=60)
    until(lambda: operator.status("shop").get("activeUsers") == 501, 60)
    assert operator.stop() == 0
    assert scene.cli("check", scene.ledger).endswith("OK\n")
    assert "Traceback" not in scene.log()


def unwell(operator):
    seen = operator.condition("shop", "Collected")
    return seen if seen is not None and seen["reason"].startswith("Ledger") else None


@pytest.fixture
def backed_up(scene):
    """Cycles of a day: an interim of the first is accepted, and a backup made."""
    first = MIDNIGHT - 6 * DAY + 3600
    scene.first, scene.backup = first, scene.folder / "backup.sqlite"
    scene.product.users = {"ann": first - 60}
    scene.apply(since=first)
    operator = scene.start(first, with_vendor=True)
    operator.wait_condition("shop", "Reported", "True", "ReportAccepted")
    scene.stop()
    scene.cli("backup", scene.ledger, scene.backup)
    return scene


def report_the_end(scene, *, with_vendor):
    """Until the final of the first cycle and an interim of the second are signed, or accepted."""
    newest = "Accepted" if with_vendor else "Pending"
    scene.start(scene.first + DAY, with_vendor=with_vendor)
    until(lambda: scene.finals(newest), 60)
    until(lambda: len(scene.tokens()) >= 3, 60)
    wanted = {"Accepted", newest}
    until(lambda: {s.get("delivery") for s in scene.statuses().values()} == wanted, 60)
    scene.stop()


@pytest.fixture
def reported(backed_up):
    """After the backup the final of the first cycle is accepted, and more."""
    report_the_end(backed_up, with_vendor=True)
    return backed_up


def test_a_restored_old_ledger_is_noticed_by_the_reports_in_the_cluster(backed_up):
    """One of them is missing, and the vendor never had it: nothing completes it.

    What completes it is in `test_recovery`.
    """
    scene = backed_up
    report_the_end(scene, with_vendor=False)
    (final,) = scene.finals("Pending")
    name = final["metadata"]["name"]
    scene.crds.kubectl("delete", "usagereport", name, "-n", scene.namespace)
    newest = scene.folder / "newest.sqlite"
    scene.cli("backup", scene.ledger, newest)
    tokens, statuses, received = scene.tokens(), scene.statuses(), scene.vendor.documents()
    scene.replace_ledger(scene.backup)
    later = scene.first + 2 * DAY
    scene.product.users["ben"] = later - 30

    operator = scene.start(later, with_vendor=True)
    operator.wait_condition("shop", "Stalled", "True", "LocalHistoryLost")
    seen = until(lambda: heard(operator), 60)
    last = max(read_report(t).envelope.sequence for t in tokens.values())
    assert f"is report {last}" in seen["message"]
    assert "the ledger ends with 1" in seen["message"]
    assert (
        "the reports that are known do not complete it: a position of the chain is missing"
        in seen["message"]
    )
    assert "licenseusage ledger merge" in seen["message"]
    assert operator.condition("shop", "Reported")["status"] == "False"
    until(lambda: operator.status("shop").get("activeUsers") == 1, 40)
    assert operator.condition("shop", "Collected")["status"] == "True", "counting goes on"
    for _ in range(2):  # not even after a restart, or when somebody asks
        scene.look_now()
        looks = operator.reconciles()
        until(lambda looks=looks, operator=operator: operator.reconciles() > looks + 1, 30)
        assert scene.tokens() == tokens, "nothing new is signed"
        assert scene.statuses() == statuses, "what the objects hold is evidence"
        assert scene.vendor.documents() == received
        scene.stop()
        operator = scene.start(later + 60, with_vendor=True)
        operator.wait_condition("shop", "Stalled", "True", "LocalHistoryLost")
    scene.stop()
    assert f"stopped until a person decides: {chain(tokens)[:8]}" in scene.cli(
        "check", scene.ledger
    )

    scene.cli("restore", newest, scene.ledger)
    scene.start(later + 120, with_vendor=True)
    until(lambda: len(scene.finals()) == 2, 60)
    sequences = [read_report(t).envelope.sequence for t in scene.tokens().values()]
    assert sorted(sequences)[-1] > last


def test_a_restore_by_command_stops_the_chains_that_went_on_even_without_any_trace(reported):
    scene = reported
    told = json.loads(scene.cli("restore", scene.backup, scene.ledger, "-o", "json"))
    last = max(read_report(t).envelope.sequence for t in scene.tokens().values())
    (stopped,) = told["stoppedChains"]
    assert (stopped["backup"], stopped["former"]) == (1, last)
    received = scene.vendor.documents()
    scene.crds.kubectl("delete", "usagereports", "--all", "-n", scene.namespace)
    scene.product.users["ben"] = scene.first + 2 * DAY - 30
    operator = scene.start(scene.first + 2 * DAY)  # the vendor, who has its history, is away
    operator.wait_condition("shop", "Stalled", "True", "LocalHistoryLost")
    until(lambda: operator.status("shop").get("activeUsers") == 1, 40)
    assert {read_report(t).envelope.sequence for t in scene.tokens().values()} <= {1}
    assert scene.vendor.documents() == received


def heard(operator):
    """The condition of a stopped chain, once the vendor was asked, or could not be."""
    seen = operator.condition("shop", "Stalled")
    return seen if seen and "is asked for its history first" not in seen["message"] else None


def test_without_a_trace_in_the_cluster_the_vendors_verdict_stops_the_chain(reported):
    scene = reported
    scene.replace_ledger(scene.backup)
    scene.crds.kubectl("delete", "usagereports", "--all", "-n", scene.namespace)
    scene.product.users["ben"] = scene.first + 3 * DAY - 30
    operator = scene.start(scene.first + 3 * DAY, with_vendor=True)
    seen = until(lambda: heard(operator), 60)
    assert seen["reason"] in ("ReportConflict", "ChainForked", "LocalHistoryLost"), seen
    assert "which history stands" in seen["message"]
    signed, looks = set(scene.tokens().values()), operator.reconciles()
    scene.look_now()
    until(lambda: operator.reconciles() > looks + 1, 30)
    until(lambda: operator.status("shop").get("activeUsers") == 1, 40)
    assert operator.condition("shop", "Collected")["status"] == "True", "counting goes on"
    assert len(scene.finals("Conflict")) == 1
    assert set(scene.tokens().values()) == signed, "nothing more is signed"


def test_a_lost_ledger_of_an_enrolled_installation_begins_no_chain(reported):
    scene = reported
    received = scene.vendor.documents()
    for file in scene.ledger.parent.glob("ledger.sqlite*"):
        file.unlink()
    scene.product.users["ben"] = scene.first + 2 * DAY - 30
    operator = scene.start(scene.first + 2 * DAY)  # the vendor, who has its history, is away
    seen = operator.wait_condition("shop", "Stalled", "True", "LedgerLost")
    assert "licenseusage ledger restore" in seen["message"]
    for kind in ("usagereports", "licenseusages"):
        scene.crds.kubectl("delete", kind, "--all", "-n", scene.namespace)
    scene.apply(since=scene.first)
    seen = operator.wait_condition("shop", "Stalled", "True", "LocalHistoryLost", seconds=60)
    assert f"Secret {scene.namespace}/licenseusage-identity says" in seen["message"]
    until(lambda: operator.status("shop").get("activeUsers") == 1, 40)
    assert operator.reports() == []
    assert scene.vendor.documents() == received


def chain(tokens):
    return read_report(next(iter(tokens.values()))).envelope.chain_id
