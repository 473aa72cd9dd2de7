"""The component that exports: its job runs as it is written, with the rights that it has."""

import os
import subprocess

import pytest
import yaml

from tests.controller.stage import CLI
from tests.ledger import book
from tests.ledger.conftest import HOUR_MS, START
from tests.manifests.conftest import MANIFESTS
from tests.manifests.test_rendered import one, rules
from trials import forked

FOLDER = "components/export"
ACCOUNT = "licenseusage-export"


@pytest.fixture
def job(kustomize):
    return one(kustomize(FOLDER), "CronJob")["spec"]


@pytest.fixture
def pod(job):
    return job["jobTemplate"]["spec"]["template"]["spec"]


def test_two_runs_never_overlap_and_none_runs_for_ever(job):
    assert job["concurrencyPolicy"] == "Forbid"
    assert job["jobTemplate"]["spec"]["activeDeadlineSeconds"] <= 3600


def test_it_reads_the_ledger_and_writes_exports_only(pod, kustomize):
    (container,) = pod["containers"]
    mounts = {
        mount["mountPath"]: mount.get("readOnly", False) for mount in container["volumeMounts"]
    }
    assert mounts == {"/var/lib/licenseusage": True, "/exports": False}
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    claims = {v["name"]: v["persistentVolumeClaim"]["claimName"] for v in pod["volumes"]}
    base = {
        o["metadata"]["name"] for o in kustomize("base") if o["kind"] == "PersistentVolumeClaim"
    }
    assert claims["ledger"] in base
    assert claims["exports"] == one(kustomize(FOLDER), "PersistentVolumeClaim")["metadata"]["name"]


def test_it_runs_where_the_operators_volume_is(pod, kustomize):
    (term,) = pod["affinity"]["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    operator = one(kustomize("base"), "Deployment")["spec"]["template"]
    assert term["labelSelector"]["matchLabels"].items() <= operator["metadata"]["labels"].items()
    assert term["topologyKey"] == "kubernetes.io/hostname"


def test_its_pod_is_as_confined_as_the_operators(pod, kustomize):
    operator = one(kustomize("base"), "Deployment")["spec"]["template"]["spec"]
    assert pod["securityContext"] == operator["securityContext"]
    (own,), (theirs,) = pod["containers"], operator["containers"]
    assert own["securityContext"] == theirs["securityContext"]
    assert own["image"] == theirs["image"]
    ledger = {v["name"]: v.get("value") for v in theirs["env"]}["LICENSEUSAGE_DATABASE_URL"]
    assert {"name": "LICENSEUSAGE_DATABASE_URL", "value": ledger} in own["env"]


def test_it_may_get_the_identity_by_name_and_nothing_else(kustomize):
    rendered = kustomize(FOLDER)
    assert rules(rendered, "Role", ACCOUNT) == {("secrets", "get", "licenseusage-identity")}
    assert not [o for o in rendered if o["kind"].startswith("ClusterRole")]
    assert one(rendered, "ServiceAccount")["automountServiceAccountToken"] is False


@pytest.mark.controlplane
def test_its_command_writes_a_bundle_with_its_own_account(crds, namespace, pod, tmp_path):
    """The ledger's folder and the exports' are other ones here, and so is the namespace."""
    text = (MANIFESTS / FOLDER / "rbac.yaml").read_text().replace("licenseusage-system", namespace)
    key = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "licenseusage-identity", "namespace": namespace},
        "stringData": {"private.jwk": book.KEY.to_jwk()},
    }
    crds.apply([*yaml.safe_load_all(text), key])
    with book.opened(tmp_path / "ledger.sqlite") as ledger:
        book.begin(ledger)
        book.count(ledger, START + HOUR_MS, "ada")
        book.interim(ledger, 0, START + 2 * HOUR_MS)
        (tmp_path / "exports").mkdir()
        (container,) = pod["containers"]
        command = [a.replace("/exports", str(tmp_path / "exports")) for a in container["args"]]
        done = forked.run(
            *command,
            env={
                **crds.environment(crds.kubeconfig_for(namespace, ACCOUNT)),
                "LICENSEUSAGE_DATABASE_URL": f"sqlite:///{tmp_path}/ledger.sqlite",
                "LICENSEUSAGE_OPERATOR_NAMESPACE": namespace,
            },
        )
    assert (done.returncode, done.stderr) == (0, "")
    (name,) = os.listdir(tmp_path / "exports")
    assert name.endswith(".usage-bundle")


@pytest.mark.controlplane
def test_without_its_role_it_says_what_it_may_not_do(crds, namespace, tmp_path):
    with book.opened(tmp_path / "ledger.sqlite") as ledger:
        book.begin(ledger)
    done = forked.run(
        *("report", "export", "--directory", tmp_path),
        env={
            **crds.environment(crds.kubeconfig_for(namespace, "default")),
            "LICENSEUSAGE_DATABASE_URL": f"sqlite:///{tmp_path}/ledger.sqlite",
            "LICENSEUSAGE_OPERATOR_NAMESPACE": namespace,
        },
    )
    assert done.returncode == 3
    assert "error: ForbiddenByCluster: " in done.stderr
    assert f"get secrets {namespace}/licenseusage-identity" in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="needs the right to mount")
def test_a_ledger_that_is_mounted_read_only_is_read_while_the_operator_writes(tmp_path):
    from licenseusage.ledger.documents.exporting import signed_documents

    source, mounted = tmp_path / "source", tmp_path / "mounted"
    source.mkdir()
    mounted.mkdir()
    bind = ["mount", "--bind", source, mounted]
    with book.opened(source / "ledger.sqlite") as ledger:
        book.begin(ledger)
        book.count(ledger, START + HOUR_MS, "ada")
        if subprocess.run(bind, capture_output=True, check=False).returncode:
            pytest.skip("needs the right to mount")
        try:
            subprocess.run(["mount", "-o", "remount,bind,ro", mounted], check=True)
            read_by_another_process = [
                *(CLI[0].replace("licenseusage", "python"), "-c"),
                "import sys; from pathlib import Path; "
                "from licenseusage.ledger.documents.exporting import signed_documents as read; "
                "print(len(read(Path(sys.argv[1]), every=True).reports))",
                mounted / "ledger.sqlite",
            ]
            book.interim(ledger, 0, START + 2 * HOUR_MS)
            seen = subprocess.run(read_by_another_process, capture_output=True, check=True)
            assert seen.stdout == b"1\n"
        finally:
            subprocess.run(["umount", mounted], check=True)
    assert len(signed_documents(source / "ledger.sqlite").reports) == 1
