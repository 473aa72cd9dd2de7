"""The component that writes statements: narrow rights, the command that it runs, what it writes."""

import shutil
import subprocess
import sys
from pathlib import Path

import kubernetes_validate
import pytest

from tests.delivery.people import VENDOR_KEYS
from tests.manifests.conftest import MANIFESTS, MINORS, objects
from tests.manifests.rights import granted, unused
from tests.manifests.test_rendered import one, rules
from tests.statement.bookkeeping import Bookkeeper
from trials import forked

OPERATORS, NAME = "licenseusage-system", "licenseusage-statement"
LICENSEUSAGE = Path(sys.executable).parent / "licenseusage"
MINE = """\
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources: [../base]
components: [../components/statement]
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A kustomization of one's own: the base and the component."""
    copy = tmp_path_factory.mktemp("statement") / "manifests"
    shutil.copytree(MANIFESTS, copy)
    (copy / "mine").mkdir()
    (copy / "mine" / "kustomization.yaml").write_text(MINE)
    return copy / "mine"


@pytest.fixture(scope="module")
def rendered(folder, binaries):
    command = [str(binaries.kubectl), "kustomize", str(folder)]
    return objects(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def job(rendered):
    return one(rendered, "CronJob", NAME)["spec"]["jobTemplate"]["spec"]["template"]["spec"]


def container(rendered):
    (only,) = job(rendered)["containers"]
    return only


@pytest.mark.parametrize("version", MINORS)
def test_every_object_fits_the_schemas_of(version, rendered):
    for item in rendered:
        kubernetes_validate.validate(item, version, strict=True)


def test_it_may_read_reports_and_nothing_else(rendered):
    assert rules(rendered, "ClusterRole", NAME) == {
        ("licenseusage.dev/usagereports", "list", None),
    }
    (subject,) = one(rendered, "ClusterRoleBinding", NAME)["subjects"]
    assert (subject["namespace"], subject["name"]) == (OPERATORS, NAME)
    assert job(rendered)["serviceAccountName"] == NAME
    assert one(rendered, "ServiceAccount", NAME)["automountServiceAccountToken"] is False


def test_its_pod_is_as_narrow_as_the_operators(rendered):
    operator = one(rendered, "Deployment")["spec"]["template"]["spec"]
    assert job(rendered)["securityContext"] == operator["securityContext"]
    own = container(rendered)["securityContext"]
    assert own == operator["containers"][0]["securityContext"]
    assert container(rendered)["image"] == operator["containers"][0]["image"]


def test_it_never_runs_beside_itself_and_mounts_no_ledger_and_no_secret(rendered):
    assert one(rendered, "CronJob", NAME)["spec"]["concurrencyPolicy"] == "Forbid"
    kinds = [key for volume in job(rendered)["volumes"] for key in volume if key != "name"]
    assert kinds == ["persistentVolumeClaim", "projected"]
    claim = job(rendered)["volumes"][0]["persistentVolumeClaim"]["claimName"]
    assert one(rendered, "PersistentVolumeClaim", claim)["metadata"]["namespace"] == OPERATORS
    for source in job(rendered)["volumes"][1]["projected"]["sources"]:
        assert source["configMap"]["optional"] is True


@pytest.mark.controlplane
def test_its_command_writes_the_statements_with_its_own_rights(
    installed, folder, rendered, tmp_path, binaries
):
    cluster = installed.control_plane
    cluster.kubectl("apply", "-k", str(folder))
    # Another module's reports would be stated, too.
    cluster.kubectl("delete", "usagereports", "--all", "--all-namespaces")
    cluster.create_namespace("books")
    book = Bookkeeper(namespace="books")
    book.final(0, 398, 398)
    for at, token in enumerate(book.tokens, 1):
        cluster.apply(_report(token, f"production-8ee9a1f2-{at:06d}"))
    documents = tmp_path / "documents"
    documents.mkdir()
    (documents / "jwks.json").write_text(VENDOR_KEYS.to_jwks())
    (documents / "enrolment.jwt").write_text(book.enrolment() + "\n")
    arguments = [
        word.replace("/statements", str(tmp_path / "out")).replace("/documents", str(documents))
        for word in container(rendered)["args"]
    ]
    # As in its pod: no kubectl, the variables of a pod, and the rights of its account.
    environment = {
        "PATH": str(tmp_path),
        "KUBERNETES_SERVICE_HOST": "127.0.0.1",
        "KUBECONFIG": str(cluster.kubeconfig_for(OPERATORS, NAME)),
    }
    for written in (2, 0):
        done = forked.run(*arguments, env=environment, code=0)
        assert done.stderr.startswith(f"{written} written, {2 - written} were there before")
    (page,) = (tmp_path / "out").glob("books_production_*_cycle0000_report000001.html")
    assert "The signatures of these reports were verified." in page.read_text()
    user = f"system:serviceaccount:{OPERATORS}:{NAME}"
    assert installed.allowed("list", "usagereports.licenseusage.dev", "-A", user=user)
    for resource in ("secrets", "pods", "configmaps", "licenseusages.licenseusage.dev"):
        assert not installed.allowed("list", resource, "-A", user=user)
    assert unused(granted(rendered, NAME), installed.requests(user)) == set()
    cluster.kubectl("delete", "namespace", "books", "--wait=false")


def _report(token, name):
    return {
        "apiVersion": "licenseusage.dev/v1alpha1",
        "kind": "UsageReport",
        "metadata": {"name": name, "namespace": "books"},
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
