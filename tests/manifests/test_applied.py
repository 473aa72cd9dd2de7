"""The manifests on a real API server with RBAC and pod security."""

import json

import pytest

from hack.controlplane import KubectlError
from licenseusage.reports.names import digest
from licenseusage.reports.report import read_report
from tests.delivery.people import VendorDesk, reports, usage_report
from tests.manifests.conftest import MANIFESTS, SAMPLES
from trials import forked

pytestmark = pytest.mark.controlplane


def pod_of(installed, name="licenseusage-operator", namespace="licenseusage-system") -> dict:
    listed = installed.control_plane.kubectl(
        *("get", "deployment", name, "-n", namespace, "-o", "json")
    )
    spec = json.loads(listed.stdout)["spec"]["template"]["spec"]
    metadata = {"name": "made-by-hand", "namespace": namespace}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def test_applying_again_changes_nothing(installed):
    said = installed.control_plane.kubectl("apply", "-k", str(MANIFESTS / "base")).stdout
    lines = said.splitlines()
    assert len(lines) > 10
    assert all(line.endswith("unchanged") for line in lines), said


def test_server_side_apply_takes_the_overlay(installed):
    command = ("apply", "--server-side", "--force-conflicts", "--dry-run=server", "-k")
    said = installed.control_plane.kubectl(*command, str(MANIFESTS / "overlays/kind")).stdout
    assert "deployment.apps/licenseusage-operator serverside-applied" in said


def test_restricted_pod_security_admits_the_maintenance_pod(installed):
    kubectl = installed.control_plane.kubectl
    # Everywhere else a controller makes it.
    kubectl("create", "serviceaccount", "default", "-n", "licenseusage-system", check=False)
    said = kubectl("apply", "--dry-run=server", "-k", str(MANIFESTS / "maintenance")).stdout
    assert said == "pod/licenseusage-maintenance created (server dry run)\n"


def test_restricted_pod_security_admits_the_operator(installed):
    pod = pod_of(installed)
    create = ("create", "--dry-run=server", "-f", "-")
    installed.control_plane.kubectl(*create, stdin=json.dumps(pod))
    pod["spec"]["containers"][0]["securityContext"]["allowPrivilegeEscalation"] = True
    with pytest.raises(KubectlError, match='violates PodSecurity "restricted'):
        installed.control_plane.kubectl(*create, stdin=json.dumps(pod))


@pytest.mark.parametrize(
    ("folder", "name"),
    [("receiver", "licenseusage-receiver"), ("../examples/product", "sample-product")],
)
def test_restricted_pod_security_admits(folder, name, installed):
    kubectl = installed.control_plane.kubectl
    kubectl("apply", "-k", str(MANIFESTS / folder))
    kubectl("create", "serviceaccount", "default", "-n", name, check=False)
    create = ("create", "--dry-run=server", "-f", "-")
    kubectl(*create, stdin=json.dumps(pod_of(installed, name, name)))
    enforced = kubectl("get", "namespace", name, "-o", "yaml").stdout
    assert "pod-security.kubernetes.io/enforce: restricted" in enforced
    assert kubectl("diff", "-k", str(MANIFESTS / folder)).stdout == ""
    # Pods that other modules make by hand are not so strict.
    kubectl("label", "namespace", name, "pod-security.kubernetes.io/enforce-")


@pytest.mark.parametrize("sample", SAMPLES)
def test_the_api_server_takes_the_sample(installed, kustomize, sample):
    folder = f"samples/{sample}"
    (namespace,) = {item["metadata"]["namespace"] for item in kustomize(folder)}
    installed.control_plane.kubectl("create", "namespace", namespace, check=False)
    installed.control_plane.kubectl("apply", "--dry-run=server", "-k", str(MANIFESTS / folder))


def test_the_operator_may_not_read_a_namespace_that_did_not_grant_it(installed):
    assert not installed.allowed("list", "pods", "-n", "default")
    assert not installed.allowed("get", "secrets/any", "-n", "default")
    assert not installed.allowed("get", "secrets/any", "-n", "licenseusage-system")
    assert installed.allowed("get", "secrets/licenseusage-identity", "-n", "licenseusage-system")


def test_the_operator_may_not_list_namespaces_or_definitions(installed):
    assert installed.allowed("get", "namespaces/kube-system")
    assert not installed.allowed("get", "namespaces/default")
    assert not installed.allowed("list", "namespaces")
    assert not installed.allowed("list", "customresourcedefinitions")


def test_the_roles_for_people_join_those_of_kubernetes(installed):
    # There is no controller that aggregates here; it does what these selectors say.
    for role, expected in {
        "view": {"licenseusage-view"},
        "edit": {"licenseusage-view", "licenseusage-edit"},
        "admin": {"licenseusage-view", "licenseusage-edit"},
    }.items():
        label = f"rbac.authorization.k8s.io/aggregate-to-{role}=true"
        command = ("get", "clusterroles", "-l", label, "-o", "name")
        found = installed.control_plane.kubectl(*command).stdout.split()
        ours = {name.split("/")[1] for name in found if "licenseusage" in name}
        assert ours == expected


def test_people_who_edit_cannot_write_status_or_reports(installed):
    bind = ("create", "rolebinding", "editor", "-n", "default", "--user=ed")
    installed.control_plane.kubectl(*bind, "--clusterrole=licenseusage-edit")
    here = ("-n", "default")
    assert installed.allowed("create", "licenseusages", *here, user="ed")
    assert installed.allowed("patch", "licenseusages", *here, user="ed")
    assert not installed.allowed("patch", "licenseusages", "--subresource=status", *here, user="ed")
    assert not installed.allowed("create", "usagereports", *here, user="ed")
    assert not installed.allowed("delete", "usagereports", *here, user="ed")


def test_the_role_for_imports_is_enough_for_report_import_and_for_nothing_else(installed, tmp_path):
    control_plane, (token,) = installed.control_plane, reports(1)
    control_plane.create_namespace("importing")
    control_plane.kubectl("create", "serviceaccount", "importer", "-n", "importing")
    control_plane.kubectl(
        *("create", "rolebinding", "importer", "-n", "importing"),
        *("--clusterrole=licenseusage-import", "--serviceaccount=importing:importer"),
    )
    control_plane.apply(usage_report(token, "importing", "production-000001"))
    (tmp_path / "receipts.txt").write_text(f"{VendorDesk().receipt(token)}\n")
    command = ("report", "import", tmp_path / "receipts.txt", "-n", "importing")
    env = control_plane.environment(control_plane.kubeconfig_for("importing", "importer"))
    for _ in range(2):  # to import again is to patch
        forked.run(*command, env=env, code=0)
    importer, here = "system:serviceaccount:importing:importer", ("-n", "importing")
    assert not installed.allowed("list", "licenseusages", *here, user=importer)
    assert not installed.allowed("delete", "usagereceipts", *here, user=importer)
    assert not installed.allowed(
        "patch", "usagereceipts", "--subresource=status", *here, user=importer
    )
    assert not installed.allowed("create", "usagereports", *here, user=importer)


def test_the_role_for_approvals_is_enough_for_approve_and_for_nothing_else(installed):
    control_plane, (token,) = installed.control_plane, reports(1)
    control_plane.create_namespace("collab")
    control_plane.kubectl("create", "serviceaccount", "officer", "-n", "collab")
    control_plane.kubectl(
        *("create", "rolebinding", "officer", "-n", "collab"),
        *("--clusterrole=licenseusage-approve", "--serviceaccount=collab:officer"),
    )
    name = f"production-{read_report(token).envelope.chain_id[:8]}-000001"
    control_plane.apply(usage_report(token, "collab", name))
    waits = {"status": {"delivery": "AwaitingApproval"}}
    control_plane.kubectl(
        *("patch", "ur", name, "-n", "collab", "--subresource=status", "--type=merge"),
        *("-p", json.dumps(waits)),
    )
    command = ("approve", "-n", "collab", "--all", "--yes")
    env = control_plane.environment(control_plane.kubeconfig_for("collab", "officer"))
    done = forked.run(*command, env=env)
    assert (done.returncode, done.stderr) == (0, "")
    kept = control_plane.kubectl("get", "ur", name, "-n", "collab", "-o", "json").stdout
    assert json.loads(kept)["metadata"]["annotations"] == {
        "licenseusage.dev/approved": digest(token)
    }
    officer, here = "system:serviceaccount:collab:officer", ("-n", "collab")
    assert not installed.allowed(
        "patch", "usagereports", "--subresource=status", *here, user=officer
    )
    for verb in ("create", "update", "delete"):
        assert not installed.allowed(verb, "usagereports", *here, user=officer)
    assert not installed.allowed("get", "licenseusages", *here, user=officer)
    assert not installed.allowed("patch", "usagereports", *here, user="ed")
