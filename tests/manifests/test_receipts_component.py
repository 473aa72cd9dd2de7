"""The component that imports receipts: its job runs as it is written, with the rights it has."""

import json
import os
import sys
from pathlib import Path

import pytest
import yaml

from tests.delivery.people import VendorDesk
from tests.manifests.conftest import MANIFESTS
from tests.manifests.rights import granted, unused
from tests.manifests.test_rendered import one, rules
from tests.statement.bookkeeping import Bookkeeper
from trials import forked

FOLDER, NAME, OPERATORS = "components/receipts", "licenseusage-receipts", "licenseusage-system"
LICENSEUSAGE = Path(sys.executable).parent / "licenseusage"


@pytest.fixture
def rendered(kustomize):
    return kustomize(FOLDER)


@pytest.fixture
def pod(rendered):
    return one(rendered, "CronJob")["spec"]["jobTemplate"]["spec"]["template"]["spec"]


def test_it_may_do_what_an_import_needs_and_nothing_else(rendered, kustomize):
    (binding,) = [o for o in rendered if o["kind"].endswith("Binding")]
    assert binding["roleRef"]["name"] == "licenseusage-import"
    (subject,) = binding["subjects"]
    assert (subject["namespace"], subject["name"]) == (OPERATORS, NAME)
    assert not [o for o in rendered if o["kind"] in ("Role", "ClusterRole")]
    assert rules(kustomize("base"), "ClusterRole", "licenseusage-import") == {
        ("licenseusage.dev/usagereports", "list", None),
        ("licenseusage.dev/usagereceipts", "create", None),
        ("licenseusage.dev/usagereceipts", "patch", None),
    }
    assert one(rendered, "ServiceAccount")["automountServiceAccountToken"] is False


def test_it_writes_to_no_volume_and_mounts_neither_ledger_nor_secret(pod, rendered):
    (container,) = pod["containers"]
    assert all(mount["readOnly"] for mount in container["volumeMounts"])
    volume, configmap = pod["volumes"]
    claim = one(rendered, "PersistentVolumeClaim")["metadata"]["name"]
    assert volume["persistentVolumeClaim"]["claimName"] == claim
    assert configmap["configMap"] == {"name": NAME, "optional": True}
    mounts = [mount["mountPath"] for mount in container["volumeMounts"]]
    assert container["args"] == ["report", "import", *(f"--directory={path}" for path in mounts)]


def test_its_pod_is_as_confined_as_the_operators(pod, kustomize):
    operator = one(kustomize("base"), "Deployment")["spec"]["template"]["spec"]
    assert pod["securityContext"] == operator["securityContext"]
    (own,), (theirs,) = pod["containers"], operator["containers"]
    assert own["securityContext"] == theirs["securityContext"]
    assert own["image"] == theirs["image"]


def test_it_never_runs_beside_itself_and_ends_before_its_next_run(rendered):
    spec = one(rendered, "CronJob")["spec"]
    assert spec["concurrencyPolicy"] == "Forbid"
    assert spec["schedule"] == "*/5 * * * *"
    assert spec["jobTemplate"]["spec"]["activeDeadlineSeconds"] < 300


@pytest.mark.controlplane
def test_its_command_imports_with_its_own_account_and_without_kubectl(installed, pod, tmp_path):
    cluster = installed.control_plane
    account = yaml.safe_load_all((MANIFESTS / FOLDER / "rbac.yaml").read_text())
    cluster.apply(list(account))
    cluster.create_namespace("receipted")
    book = Bookkeeper(namespace="receipted")
    book.final(0, 398, 398)
    cluster.apply(_report(book.tokens[-1]))
    receipt = VendorDesk().receipt(book.tokens[-1])
    folders = {"volume": tmp_path / "volume", "configmap": tmp_path / "configmap"}
    for folder in folders.values():
        folder.mkdir()
        (folder / "receipts.txt").write_text(f"{receipt}\n")
    (folders["volume"] / "letter.txt").write_text("Dear customer,\n")
    (container,) = pod["containers"]
    command = [word.replace("/receipts/", f"{tmp_path}/") for word in container["args"]]
    environment = {
        "PATH": str(tmp_path),
        "KUBERNETES_SERVICE_HOST": "127.0.0.1",
        "KUBECONFIG": str(cluster.kubeconfig_for(OPERATORS, NAME)),
    }
    for _ in range(2):
        done = forked.run(*command, env=environment, code=1)
        assert "letter.txt is not a receipt" in done.stderr
        assert "1 applied" in done.stdout
    listing = ("get", "usagereceipts", "-n", "receipted", "-o", "json", "--show-managed-fields")
    asked = cluster.kubectl(*listing)
    (made,) = json.loads(asked.stdout)["items"]
    assert made["spec"]["receipts"] == [receipt]
    assert [field["manager"] for field in made["metadata"]["managedFields"]] == [
        "licenseusage-import"
    ]
    assert made["metadata"]["generation"] == 1
    user = f"system:serviceaccount:{OPERATORS}:{NAME}"
    for resource in ("secrets", "pods", "configmaps", "licenseusages.licenseusage.dev"):
        assert not installed.allowed("list", resource, "-A", user=user)
        assert not installed.allowed("get", resource, "-A", user=user)
    roles = yaml.safe_load_all((MANIFESTS / "base" / "rbac-people.yaml").read_text())
    used = installed.requests(user)
    assert unused(granted(list(roles), "licenseusage-import"), used) == set()
    cluster.kubectl("delete", "namespace", "receipted", "--wait=false")


@pytest.mark.controlplane
def test_without_its_role_it_says_what_it_may_not_do(installed, tmp_path):
    cluster = installed.control_plane
    cluster.create_namespace("unbound")
    (tmp_path / "receipts.txt").write_text(f"{VendorDesk().receipt(_token())}\n")
    done = forked.run(
        *("report", "import", "--directory", tmp_path),
        env={
            **{name: value for name, value in os.environ.items() if name != "PATH"},
            "PATH": str(tmp_path),
            "KUBERNETES_SERVICE_HOST": "127.0.0.1",
            "KUBECONFIG": str(cluster.kubeconfig_for("unbound", "default")),
        },
    )
    assert done.returncode == 3
    assert "error: ForbiddenByCluster: list usagereports" in done.stderr


def _token():
    book = Bookkeeper(namespace="receipted")
    book.final(0, 398, 398)
    return book.tokens[-1]


def _report(token):
    return {
        "apiVersion": "licenseusage.dev/v1alpha1",
        "kind": "UsageReport",
        "metadata": {"name": "production-8ee9a1f2-000001", "namespace": "receipted"},
        "spec": {
            "usageName": "production",
            "kind": "Final",
            "sequence": 1,
            "cycle": {
                "index": 0,
                "startTime": "2026-01-01T00:00:00Z",
                "endTime": "2026-01-31T00:00:00Z",
            },
            "activeText": "398",
            "token": token,
        },
    }
