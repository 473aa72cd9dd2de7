"""The manifests rendered by the real kubectl, and a control plane of their own with an audit.

It is not the one of the other tests: these manifests own a namespace and cluster-wide roles, and
the audit must show one operator only.
"""

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes_validate import utils as schemas

from hack.controlplane import Binaries, ControlPlane, find
from tests.manifests.helm import Helm

ROOT = Path(__file__).resolve().parents[2]
MANIFESTS = ROOT / "manifests"
SAMPLES = sorted(path.parent.name for path in MANIFESTS.glob("samples/*/kustomization.yaml"))
MINORS = tuple(f"1.{minor}" for minor in range(32, 38))
"""The last six minor versions of Kubernetes; the oldest is the one that the chart demands."""

OPERATOR = "system:serviceaccount:licenseusage-system:licenseusage-operator"
JOBS = [OPERATOR.replace("-operator", f"-{job}") for job in ("receipts", "statement")]

AUDIT_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [{"level": "Metadata", "users": [OPERATOR, *JOBS]}, {"level": "None"}],
}


# libyaml where it is there: the custom resources are long, and read often.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@cache
def _as_json(text: str) -> str:
    return json.dumps([document for document in yaml.load_all(text, _LOADER) if document])


def objects(text: str) -> list[dict[str, Any]]:
    """Return the objects of a text, new ones at each call: YAML is read once, JSON is fast."""
    made: list[dict[str, Any]] = json.loads(_as_json(text))
    return made


@cache
def built(kubectl: Path, folder: Path) -> str:
    """What the kustomize of the real kubectl makes of a folder, which does not change meanwhile."""
    command = [str(kubectl), "kustomize", str(folder)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@dataclass
class Installed:
    """A control plane on which `kubectl apply -k manifests/base` was run.

    Attributes:
        control_plane: Its context manager.
        audit: What the service accounts of operator and jobs asked for, one JSON object per line.
    """

    control_plane: ControlPlane
    audit: Path

    @cached_property
    def operator_kubeconfig(self) -> Path:
        return self.control_plane.kubeconfig_for("licenseusage-system", "licenseusage-operator")

    def requests(self, user: str = OPERATOR) -> list[dict[str, Any]]:
        """Return what the operator, or a job, asked for so far, as audit events."""
        asked = [json.loads(line) for line in self.audit.read_text().splitlines()]
        return [event for event in asked if event["user"]["username"] == user]

    def allowed(self, verb: str, resource: str, *args: str, user: str = OPERATOR) -> bool:
        """Say whether ``user`` may do it (``kubectl auth can-i``)."""
        command = ("auth", "can-i", verb, resource, f"--as={user}", *args)
        answer = self.control_plane.kubectl(*command, check=False).stdout.strip()
        assert answer in ("yes", "no")
        return answer == "yes"


@pytest.fixture(scope="session", autouse=True)
def _schemas_are_read_once() -> Iterator[None]:
    """Nine tenths of each validation is the reading of the same file and the list of versions."""
    with pytest.MonkeyPatch.context() as patch:
        for reader in ("schema_contents", "all_versions", "latest_version"):
            patch.setattr(schemas, reader, cache(getattr(schemas, reader)))
        yield


@pytest.fixture(scope="session")
def binaries() -> Binaries:
    return find()


@pytest.fixture(scope="session")
def kustomize(binaries: Binaries):
    """Render a folder of ``manifests`` with the kustomize of the real kubectl."""

    def render(folder: str) -> list[dict[str, Any]]:
        return objects(built(binaries.kubectl, MANIFESTS / folder))

    return render


@pytest.fixture(scope="session")
def kustomization(tmp_path_factory: pytest.TempPathFactory):
    """Write a kustomization of somebody's own: folders of ``manifests`` and a namespace."""

    @cache
    def write(*components: str, namespace: str | None = None, base: str | None = "base") -> Path:
        folder = tmp_path_factory.mktemp("mine")
        there = os.path.relpath(MANIFESTS.resolve(), folder.resolve())
        made = {
            "apiVersion": "kustomize.config.k8s.io/v1beta1",
            "kind": "Kustomization",
            "components": [f"{there}/components/{name}" for name in components],
            **({"resources": [f"{there}/{base}"]} if base else {}),
            **({"namespace": namespace} if namespace else {}),
        }
        (folder / "kustomization.yaml").write_text(yaml.safe_dump(made))
        return folder

    return write


@pytest.fixture(scope="session")
def composed(binaries: Binaries, kustomization):
    """Render a kustomization of somebody's own."""

    def render(*components: str, **of: Any) -> list[dict[str, Any]]:
        return objects(built(binaries.kubectl, kustomization(*components, **of)))

    return render


@pytest.fixture(scope="session")
def installed(binaries: Binaries, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    folder = tmp_path_factory.mktemp("audit")
    policy, log = folder / "policy.json", folder / "audit.log"
    policy.write_text(json.dumps(AUDIT_POLICY))
    log.touch()
    audited = [f"--audit-policy-file={policy}", f"--audit-log-path={log}"]
    with ControlPlane(binaries, api_server_flags=audited) as control_plane:
        # As people do it: client-side, all at once.
        control_plane.kubectl("apply", "-k", str(MANIFESTS.parent / "crds"))
        control_plane.kubectl("apply", "-k", str(MANIFESTS / "base"))
        control_plane.await_crds()
        yield Installed(control_plane, log)


@pytest.fixture(scope="session")
def helm(helm_program: Path, tmp_path_factory: pytest.TempPathFactory) -> Helm:
    """A real Helm that knows nothing of the reader's own."""
    return Helm(helm_program, tmp_path_factory.mktemp("helm"))
