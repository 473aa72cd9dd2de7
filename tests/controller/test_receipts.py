"""UsageReceipts on the real control plane: what the vendor signed comes back as an object."""

import base64
import json
import signal
import time
from datetime import UTC, datetime
from itertools import count

import pytest

from licenseusage.controller.rules.resources import RECEIPTS, REPORTS, USAGES
from licenseusage.reports.keys import SigningKey, VendorKey, VendorKeys
from licenseusage.reports.names import digest, jti_of, report_chain_id
from licenseusage.reports.receipt import (
    ReceiptInput,
    ReceiptVerdict,
    Sent,
    Subject,
    build_receipt,
)
from licenseusage.reports.typs import LICENSE, RECEIPT
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
from trials import forked

pytestmark = pytest.mark.controlplane

NAMESPACE, ELSEWHERE = "receipts", "receipts-elsewhere"
DAY = 86_400
SECONDS_TO_MIDNIGHT = 75
ACCEPTED, REJECTED, CONFLICT = ReceiptVerdict


class Scene:
    """A customer without a network, whose cycle of a day ends soon, and a vendor who signs."""

    def __init__(self, crds, folder):
        for namespace in (NAMESPACE, ELSEWHERE):
            crds.create_namespace(namespace)
        self.cp, self.numbers = crds, count(1)
        self.offset = offset_before_midnight(SECONDS_TO_MIDNIGHT)
        now = int(time.time() + self.offset)
        self.product = Product(self.offset)
        self.product.users = {f"user-{i}": now - 600 - i for i in range(20)}
        self.vendor = Vendor(folder / "vendor", offset=self.offset)
        self.license = self.vendor.license(
            anchor=datetime.fromtimestamp(now, UTC).date(), endpoint=None, days=1
        )
        ports = {"http": self.product.port}
        crds.create_pod(NAMESPACE, "shop-0", labels={"app": "shop"}, ports=ports)
        licensed = {"license": {"secretRef": {"name": "license"}}, "closeGraceHours": 24}
        crds.apply(
            [
                meter_secret(NAMESPACE),
                secret(NAMESPACE, "license", **{"license.jwt": self.license}),
                vendor_keys(NAMESPACE, self.vendor.jwks),
                usage(NAMESPACE, spec=licensed),
                usage(ELSEWHERE),
            ]
        )
        self.operator = Operator(
            crds,
            NAMESPACE,
            folder / "operator",
            offset=self.offset,
            namespaces=f"{NAMESPACE},{ELSEWHERE}",
        )

    def report(self, sequence):
        """The report at a position, as the object has it; waits for it."""

        def made():
            at = [r for r in self.operator.reports() if r["spec"]["sequence"] == sequence]
            return at[0] if at else None

        return until(made, SECONDS_TO_MIDNIGHT + 30)

    def delivery(self, sequence):
        return self.report(sequence).get("status", {}).get("delivery")

    def receipt(self, token, verdict=ACCEPTED, error=None, *, by=None, **changes):
        sent = Sent.from_token(token)
        now = int(time.time() + self.offset)
        values = {
            "vendor": sent.vendor,
            "installation": sent.installation,
            "subscription": sent.subscription,
            "receipt_id": f"receipt-{next(self.numbers)}",
            "issued_at_s": now,
            "received_at_s": now,
            "verdict": verdict,
            "subject": sent.subject,
            "chain_id": sent.chain_id,
            "head": sent.subject.link if verdict is ACCEPTED else None,
            "error": error,
            **changes,
        }
        return build_receipt(ReceiptInput(**values), by or self.vendor.receipt_key)

    def enrolment(self):
        """The key statement beside the identity's key."""
        raw = self.cp.kubectl("get", "secret", "licenseusage-identity", "-n", NAMESPACE, "-o=json")
        return statements(json.loads(raw.stdout))[0]

    def apply(self, name, *receipts, namespace=NAMESPACE):
        self.cp.apply(
            {
                "apiVersion": "licenseusage.dev/v1alpha1",
                "kind": "UsageReceipt",
                "metadata": {"name": name, "namespace": namespace},
                "spec": {"receipts": list(receipts)},
            }
        )

    def delete(self, name):
        self.cp.kubectl("delete", "urc", name, "-n", NAMESPACE, "--timeout=5s")

    def status(self, name, namespace=NAMESPACE):
        return self.cp.get(RECEIPTS.path(namespace, name)).get("status", {})

    def condition(self, name, kind, namespace=NAMESPACE):
        conditions = self.status(name, namespace).get("conditions", ())
        return next((c for c in conditions if c["type"] == kind), None)

    def waits(self, name, kind, status, reason, *, namespace=NAMESPACE, seconds=20.0):
        def holds():
            seen = self.condition(name, kind, namespace)
            good = seen is not None and (seen["status"], seen["reason"]) == (status, reason)
            return seen if good else None

        try:
            return until(holds, seconds, 0.25)
        except AssertionError:
            raise AssertionError(
                f"{name}: {json.dumps(self.status(name, namespace), indent=1)}\n"
                f"{self.operator.log.read_text()[-3000:]}"
            ) from None

    def close(self):
        self.operator.stop()
        self.product.close()


def statements(identity):
    """The key statements in the identity's Secret."""
    text = base64.b64decode(identity["data"]["statements"]).decode()
    return text.split()


@pytest.fixture(scope="module")
def scene(crds, tmp_path_factory):
    scene = Scene(crds, tmp_path_factory.mktemp("receipts"))
    scene.operator.start()
    yield scene
    scene.close()


def test_what_comes_before_its_object_waits(scene):
    first = Sent.from_token(scene.report(1)["spec"]["token"])
    chain = report_chain_id(
        vendor=first.vendor,
        installation=first.installation,
        subscription=first.subscription,
        namespace=ELSEWHERE,
        name="late",
    )
    subject = Subject(first.subject.typ, jti_of(chain, 2), 2, digest("its report"))
    token = scene.report(1)["spec"]["token"]
    early = scene.receipt(token, subject=subject, chain_id=chain, head=None)
    scene.apply("early", early, namespace=ELSEWHERE)
    seen = scene.waits("early", "Reconciling", "True", "DocumentUnknown", namespace=ELSEWHERE)
    assert "document 2 of chain" in seen["message"]
    assert scene.condition("early", "Stalled", ELSEWHERE) is None
    assert scene.condition("early", "Ready", ELSEWHERE)["status"] == "False"
    assert scene.condition("early", "Verified", ELSEWHERE)["status"] == "Unknown"
    assert [r["result"] for r in scene.status("early", ELSEWHERE)["receipts"]] == ["Waiting"]


def test_its_object_signs_nothing_before_what_the_vendor_has_is_known(scene):
    """The vendor has two reports of it: a chain that began anew would be a second history."""
    licensed = {"license": {"secretRef": {"name": "license"}}}
    scene.cp.apply(
        [
            secret(ELSEWHERE, "license", **{"license.jwt": scene.license}),
            usage(ELSEWHERE, "late", spec=licensed),
        ]
    )
    seen = scene.waits("early", "Ready", "False", "LocalHistoryLost", namespace=ELSEWHERE)
    assert "report 2 of LicenseUsage late" in seen["message"]

    def stalled():
        status = scene.cp.get(USAGES.path(ELSEWHERE, "late")).get("status", {})
        return [c for c in status.get("conditions", ()) if c["type"] == "Stalled"]

    (stopped,) = until(stalled)
    assert stopped["reason"] == "LocalHistoryLost"
    assert "names report 2" in stopped["message"]
    assert scene.cp.get(REPORTS.path(ELSEWHERE))["items"] == []


def test_an_applied_receipt_makes_its_report_accepted(scene):
    token = scene.report(1)["spec"]["token"]
    receipt = scene.receipt(token)
    scene.apply("first", scene.receipt(scene.enrolment()), receipt)
    scene.waits("first", "Ready", "True", "ReceiptsImported")
    status = scene.status("first")
    assert (status["total"], status["accepted"]) == (2, 2)
    assert [r["result"] for r in status["receipts"]] == ["Accepted", "Accepted"]
    assert "everything up to report 1" in status["receipts"][1]["message"]
    assert [c["type"] for c in status["conditions"]] == ["Ready", "Verified"]
    until(lambda: scene.delivery(1) == "Accepted")
    assert scene.report(1)["status"]["receipt"] == receipt


def test_the_usage_says_since_when_its_report_is_accepted(scene):
    until(lambda: scene.operator.status("shop")["lastReport"].get("acceptedTime"))


def test_the_table_says_how_many_and_whether_they_were_used(scene):
    header, *rows = scene.cp.kubectl("get", "urc", "-n", NAMESPACE).stdout.splitlines()
    assert header.split() == ["NAME", "RECEIPTS", "ACCEPTED", "READY", "REASON", "AGE"]
    (first,) = [row.split() for row in rows if row.startswith("first ")]
    assert first[:5] == ["first", "2", "2", "True", "ReceiptsImported"]


def test_events_of_the_usage_tell_what_the_vendor_decided(scene):
    def reasons():
        raw = scene.cp.kubectl("get", "events", "-n", NAMESPACE, "-o", "json").stdout
        return {event["reason"] for event in json.loads(raw)["items"]}

    until(lambda: {"ReportAccepted", "KeysAccepted"} <= reasons())


def test_a_receipt_for_another_report_than_the_one_at_its_position_is_refused(scene):
    first = Sent.from_token(scene.report(1)["spec"]["token"])
    subject = Subject(
        first.subject.typ, jti_of(first.chain_id, 2), 2, digest("what it will not be")
    )
    token = scene.report(2)["spec"]["token"]
    scene.apply("other", scene.receipt(token, subject=subject, head=None))
    seen = scene.waits("other", "Ready", "False", "ReceiptMismatch")
    assert scene.condition("other", "Stalled")["status"] == "True"
    assert "ask the vendor" in seen["message"]


def test_deleted_and_applied_again_it_changes_nothing(scene):
    receipts = [scene.receipt(scene.report(1)["spec"]["token"])]
    before = scene.report(1)
    scene.apply("again", *receipts)
    scene.waits("again", "Ready", "True", "ReceiptsImported")
    scene.delete("again")
    scene.apply("again", *receipts)
    scene.waits("again", "Ready", "True", "ReceiptsImported")
    now = scene.report(1)
    assert (now["spec"], now["status"]["delivery"]) == (before["spec"], "Accepted")


def test_in_another_namespace_it_is_refused(scene):
    scene.apply("away", scene.receipt(scene.report(2)["spec"]["token"]), namespace=ELSEWHERE)
    seen = scene.waits("away", "Ready", "False", "OtherNamespace", namespace=ELSEWHERE)
    assert "report import" in seen["message"]
    assert scene.condition("away", "Verified", ELSEWHERE)["status"] == "False"
    assert scene.delivery(2) == "Pending"


def test_a_receipt_for_another_cluster_is_refused(scene):
    other = SigningKey.from_seed(b"7" * 32).installation
    sent = Sent.from_token(scene.report(1)["spec"]["token"])
    receipt = scene.receipt(
        scene.report(1)["spec"]["token"],
        installation=other,
        chain_id="0" * 32,
        subject=Subject(sent.subject.typ, jti_of("0" * 32, 1), 1, sent.subject.digest),
    )
    scene.apply("foreign", receipt)
    seen = scene.waits("foreign", "Stalled", "True", "AudienceMismatch")
    assert other in seen["message"]


def test_a_receipt_of_an_unknown_key_is_used_as_soon_as_the_key_is_there(scene):
    new_key = SigningKey.from_seed(b"8" * 32)
    scene.apply("new-key", scene.receipt(scene.report(2)["spec"]["token"], by=new_key))
    seen = scene.waits("new-key", "Stalled", "True", "KeyUnknown")
    assert f"ConfigMap {NAMESPACE}/licenseusage-vendor-keys" in seen["message"]
    assert scene.delivery(2) == "Pending"
    keys = [
        VendorKey(scene.vendor.license_key.public, frozenset({LICENSE})),
        *(
            VendorKey(key.public, frozenset({RECEIPT}))
            for key in (scene.vendor.receipt_key, new_key)
        ),
    ]
    scene.cp.apply(vendor_keys(NAMESPACE, VendorKeys(keys).to_jwks()))
    scene.waits("new-key", "Ready", "True", "ReceiptsImported", seconds=90)
    until(lambda: scene.delivery(2) == "Accepted")


def test_the_command_brings_a_receipts_file_to_the_namespace_of_its_reports(scene, tmp_path):
    newest = max(r["spec"]["sequence"] for r in scene.operator.reports())
    lines = [scene.receipt(scene.enrolment()), scene.receipt(scene.report(newest)["spec"]["token"])]
    (tmp_path / "receipts.txt").write_text("".join(f"{line}\n" for line in lines))
    command = ("report", "import", tmp_path / "receipts.txt")
    done = forked.run(*command, env=scene.cp.environment(), code=0)
    name = f"receipts-{digest((tmp_path / 'receipts.txt').read_text())[7:19]}"
    assert name in done.stdout
    scene.waits(name, "Ready", "True", "ReceiptsImported")
    until(lambda: scene.delivery(newest) == "Accepted")


def test_the_first_of_two_decisions_stands(scene):
    token = scene.report(1)["spec"]["token"]
    later = int(time.time() + scene.offset) + 60
    rejected = scene.receipt(
        token, REJECTED, "CountsInconsistent", issued_at_s=later, received_at_s=later
    )
    scene.apply("contradiction", rejected)
    seen = scene.waits("contradiction", "Stalled", "True", "ReceiptContradicted")
    assert "Accepted stands" in seen["message"]
    assert scene.delivery(1) == "Accepted"


@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_while_it_imports_it_imports_once(scene, when):
    newest = max(r["spec"]["sequence"] for r in scene.operator.reports())
    later = int(time.time() + scene.offset) + 120
    scene.operator.stop()
    scene.apply(
        f"killed-{when}",
        scene.receipt(
            scene.report(newest)["spec"]["token"], issued_at_s=later, received_at_s=later
        ),
    )
    assert scene.operator.start_to_die_at(f"{when}:Ledger.record_receipt") == -signal.SIGKILL
    scene.operator.start()
    scene.waits(f"killed-{when}", "Ready", "True", "ReceiptsImported")
    assert scene.delivery(newest) == "Accepted"


def test_without_rights_for_receipts_the_operator_counts_and_reports_all_the_same(
    crds, namespace, tmp_path
):
    """As after an upgrade of the operator alone, with the roles of the version before."""
    crds.kubectl("create", "serviceaccount", "old", "-n", namespace)
    rules = [
        (["licenseusage.dev"], ["licenseusages", "usagereports"], ["get", "list", "watch"]),
        (["licenseusage.dev"], ["usagereports"], ["create"]),
        (["licenseusage.dev"], ["licenseusages/status", "usagereports/status"], ["patch"]),
        ([""], ["secrets", "configmaps", "pods"], ["get", "list", "create"]),
    ]
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": {"name": "old", "namespace": namespace},
        "rules": [{"apiGroups": g, "resources": r, "verbs": v} for g, r, v in rules],
    }
    vendor = Vendor(tmp_path / "vendor")
    token = vendor.license(anchor=datetime.now(UTC).date(), endpoint=None)
    licensed = {"license": {"secretRef": {"name": "license"}}}
    crds.apply(
        [
            role,
            meter_secret(namespace),
            secret(namespace, "license", **{"license.jwt": token}),
            vendor_keys(namespace, vendor.jwks),
            usage(namespace, spec=licensed),
        ]
    )
    bound = ("--role=old", f"--serviceaccount={namespace}:old")
    crds.kubectl("create", "rolebinding", "old", "-n", namespace, *bound)
    product = Product()
    product.users = {"ann": product.now() - 60}
    ports = {"http": product.port}
    crds.create_pod(namespace, "shop-0", labels={"app": "shop"}, ports=ports)
    kubeconfig = crds.kubeconfig_for(namespace, "old")
    operator = Operator(crds, namespace, tmp_path / "operator", kubeconfig=kubeconfig).start()
    try:
        operator.wait_condition("shop", "Ready", "True")
        assert operator.status("shop")["activeUsers"] == 1
        until(lambda: "list usagereceipts" in operator.log.read_text())
        until(operator.reports)
        assert operator.ready
    finally:
        operator.stop()
        product.close()


def test_after_a_restart_everything_is_as_before(scene):
    before = {name: scene.status(name) for name in ("first", "contradiction", "foreign")}
    scene.operator.stop()
    scene.operator.start()
    until(lambda: scene.operator.reconciles() >= 1)
    scene.apply("restarted", scene.receipt(scene.report(1)["spec"]["token"]))
    scene.waits("restarted", "Ready", "True", "ReceiptsImported")
    assert {name: scene.status(name) for name in before} == before
    assert (scene.delivery(1), scene.delivery(2)) == ("Accepted", "Accepted")
    # Nor did the receipt for another report at a position of the chain stop it.
    assert scene.operator.condition("shop", "Stalled") is None


def test_after_the_usage_was_deleted_a_receipt_still_counts(scene):
    newest = max(r["spec"]["sequence"] for r in scene.operator.reports())
    waiting = [n for n in range(3, newest + 1) if scene.delivery(n) == "Pending"]
    scene.cp.kubectl("delete", "lu", "shop", "-n", NAMESPACE, "--timeout=5s")
    for number in waiting or [newest]:
        scene.apply(f"late-{number}", scene.receipt(scene.report(number)["spec"]["token"]))
        scene.waits(f"late-{number}", "Ready", "True", "ReceiptsImported")
        until(lambda number=number: scene.delivery(number) == "Accepted")


def test_a_receipt_leaves_nothing_behind_when_it_is_deleted(scene):
    raw = json.loads(scene.cp.kubectl("get", "urc", "first", "-n", NAMESPACE, "-o=json").stdout)
    assert "finalizers" not in raw["metadata"]
    assert "licenseusage.dev" not in json.dumps(raw["metadata"].get("annotations", {}))
    scene.delete("first")
    assert scene.delivery(1) == "Accepted"
