"""Lost keys, a lost ledger and missing rights are said with the fix, and never papered over."""

import json
import shutil
from datetime import UTC, datetime

import pytest

from tests.controller.sample import Product
from tests.controller.stage import (
    Operator,
    Vendor,
    create_pods,
    meter_secret,
    secret,
    until,
    usage,
    vendor_keys,
)

pytestmark = pytest.mark.controlplane


@pytest.fixture
def product():
    product = Product()
    product.users = {"ann": product.now() - 60}
    yield product
    product.close()


@pytest.fixture
def counted(crds, namespace, product, tmp_path, monkeypatch):
    """An operator that has counted once and is stopped."""
    monkeypatch.setenv("KUBECONFIG", str(crds.kubeconfig))
    create_pods(namespace, {"shop": (product.port, True)})
    crds.apply([meter_secret(namespace), usage(namespace)])
    operator = Operator(crds, namespace, tmp_path / "operator").start()
    until(lambda: operator.status("shop").get("activeUsers") == 1, 40)
    assert operator.stop() == 0
    yield operator
    operator.stop()


def test_a_lost_ledger_and_lost_keys_fail_closed_and_a_restore_heals_them(crds, counted, namespace):
    operator, ledger = counted, counted.folder / "ledger.sqlite"
    backup = operator.folder / "backup"
    backup.mkdir()
    for file in operator.folder.glob("ledger.sqlite*"):
        shutil.move(file, backup / file.name)
    operator.start()
    seen = operator.wait_condition("shop", "Stalled", "True", "LedgerLost")
    assert "backup" in seen["message"]
    assert operator.status("shop")["activeUsers"] == 1, "what was said before stands"
    operator.stop()

    for file in operator.folder.glob("ledger.sqlite*"):
        file.unlink()
    for file in backup.iterdir():
        shutil.move(file, operator.folder / file.name)
    assert ledger.exists()
    get = ("get", "secret", "licenseusage-pseudonym", "-n", namespace, "-o", "json")
    kept = json.loads(crds.kubectl(*get).stdout)
    crds.kubectl("delete", "secret", "licenseusage-pseudonym", "-n", namespace)
    operator.start()
    seen = operator.wait_condition("shop", "Stalled", "True", "PseudonymKeyLost")
    assert "licenseusage-pseudonym" in seen["message"]
    assert crds.kubectl(*get, check=False).returncode != 0, "it must not be made again"
    assert operator.status("shop")["activeUsers"] == 1

    crds.apply(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "licenseusage-pseudonym", "namespace": namespace},
            "data": kept["data"],
        }
    )
    crds.kubectl("annotate", "lu/shop", "-n", namespace, "licenseusage.dev/requested-at=now")
    operator.wait_condition("shop", "Ready", "True")


def test_a_changed_pseudonym_key_is_refused_within_a_cycle(crds, counted, namespace):
    crds.kubectl("delete", "secret", "licenseusage-pseudonym", "-n", namespace)
    crds.apply(secret(namespace, "licenseusage-pseudonym", key="x" * 32))
    counted.start()
    crds.kubectl("annotate", "lu/shop", "-n", namespace, "licenseusage.dev/requested-at=now")
    counted.wait_condition("shop", "Collected", "False", "PseudonymKeyChanged")
    assert counted.status("shop")["activeUsers"] == 1
    assert "Traceback" not in counted.log.read_text()


def test_a_lost_identity_stops_reports_and_not_the_count(
    crds, namespace, product, tmp_path, monkeypatch
):
    monkeypatch.setenv("KUBECONFIG", str(crds.kubeconfig))
    create_pods(namespace, {"shop": (product.port, True)})
    vendor = Vendor(tmp_path / "vendor")
    vendor.start()
    token = vendor.license(anchor=datetime.now(UTC).date())
    crds.apply(
        [
            meter_secret(namespace),
            secret(namespace, "license", **{"license.jwt": token}),
            vendor_keys(namespace, vendor.jwks),
            usage(namespace, spec={"license": {"secretRef": {"name": "license"}}}),
        ]
    )
    ca_file = vendor.tls.ca_file
    operator = Operator(crds, namespace, tmp_path / "operator", vendor_ca_file=ca_file).start()
    try:
        until(lambda: operator.reports(), 40)
        signed = [report["spec"]["token"] for report in operator.reports()]
        operator.stop()
        crds.kubectl("delete", "secret", "licenseusage-identity", "-n", namespace)
        product.users["ben"] = product.now() - 30
        operator.start()
        seen = operator.wait_condition("shop", "Reported", "False", "IdentityLost")
        assert "licenseusage-identity" in seen["message"]
        assert "backup" in seen["message"]
        crds.kubectl("annotate", "lu/shop", "-n", namespace, "licenseusage.dev/requested-at=now")
        until(lambda: operator.status("shop").get("activeUsers") == 2, 40)
        get = ("get", "secret", "licenseusage-identity", "-n", namespace)
        assert crds.kubectl(*get, check=False).returncode != 0, "it must not be made again"
        assert [report["spec"]["token"] for report in operator.reports()] == signed
    finally:
        operator.stop()
        vendor.stop()


def test_a_missing_role_binding_is_shown_and_its_command_mends_it(
    crds, namespace, product, tmp_path, monkeypatch
):
    rules = [
        {
            "apiGroups": ["licenseusage.dev"],
            "resources": ["licenseusages", "usagereports"],
            "verbs": ["get", "list", "watch", "create", "delete"],
        },
        {
            "apiGroups": ["licenseusage.dev"],
            "resources": ["licenseusages/status", "usagereports/status"],
            "verbs": ["patch"],
        },
        {"apiGroups": ["events.k8s.io"], "resources": ["events"], "verbs": ["create", "patch"]},
    ]
    own = [
        {"apiGroups": [""], "resources": ["secrets"], "verbs": ["create"]},
        {
            "apiGroups": [""],
            "resources": ["secrets"],
            "resourceNames": ["licenseusage-identity", "licenseusage-pseudonym"],
            "verbs": ["get", "update"],
        },
        {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]},
    ]
    collector = [
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]},
        {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]},
    ]
    crds.apply([_role(namespace, "own", [*rules, *own]), _cluster_role(collector)])
    crds.kubectl("create", "serviceaccount", "operator", "-n", namespace)
    grant = ("create", "rolebinding", "own", "--role=own", "-n", namespace)
    crds.kubectl(*grant, f"--serviceaccount={namespace}:operator")
    monkeypatch.setenv("KUBECONFIG", str(crds.kubeconfig))
    create_pods(namespace, {"shop": (product.port, True)})
    crds.apply([meter_secret(namespace), usage(namespace)])
    operator = Operator(
        crds,
        namespace,
        tmp_path / "operator",
        kubeconfig=crds.kubeconfig_for(namespace, "operator"),
    ).start()
    try:
        seen = operator.wait_condition("shop", "Stalled", "True", "ForbiddenByCluster")
        command = seen["message"].partition("kubectl ")[2].split()
        assert f"--serviceaccount={namespace}:operator" in command
        crds.kubectl(*command)
        operator.wait_condition("shop", "Ready", "True", seconds=60)
        assert operator.status("shop")["activeUsers"] == 1
    finally:
        operator.stop()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"LICENSEUSAGE_POLL_SECONDS": "soon"}, "LICENSEUSAGE_POLL_SECONDS='soon'"),
        ({"LICENSEUSAGE_DEV": "0"}, "LICENSEUSAGE_DEV_CLOCK_OFFSET_SECONDS"),
        ({"KUBECONFIG": "/nowhere"}, "KUBECONFIG"),
        ({"LICENSEUSAGE_DATABASE_URL": "sqlite:////nowhere/l.sqlite"}, "/nowhere"),
    ],
)
def test_what_prevents_a_start_is_one_line_without_a_traceback(
    crds, namespace, tmp_path, change, words
):
    operator = Operator(crds, namespace, tmp_path / "operator", offset=-1)
    operator.env |= change
    operator.start(wait=False)
    assert operator.process.process.wait(30) == 3
    log = operator.log.read_text()
    assert "Traceback" not in log
    last = log.strip().splitlines()[-1]
    assert last.startswith("error: ")
    assert words in last


def _role(namespace, name, rules):
    meta = {"name": name, "namespace": namespace}
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": meta,
        "rules": rules,
    }


def _cluster_role(rules):
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "licenseusage-collector"},
        "rules": rules,
    }
