"""The operator under its own service account, with RBAC enforced, on the manifests as they are."""

import json
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from hack.demo.children import Children
from hack.demo.stage import LICENSEUSAGE, await_http, free_ports
from tests.manifests.conftest import OPERATOR, Installed
from tests.manifests.sample import NAMESPACE as PRODUCT
from tests.manifests.sample import SAMPLE, USAGE, Product, deploy, start_product

pytestmark = pytest.mark.controlplane

UNGRANTED = "ungranted"


@pytest.fixture(scope="module")
def children(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Children]:
    with Children(tmp_path_factory.mktemp("logs")) as started:
        yield started


@pytest.fixture(scope="module")
def product(children: Children, tmp_path_factory: pytest.TempPathFactory) -> Product:
    return start_product(children, tmp_path_factory.mktemp("product"))


@dataclass
class Since(Installed):
    """The installation, without what other modules' operators had asked for."""

    before: int = 0

    def requests(self, user: str = OPERATOR) -> list[dict[str, Any]]:
        return super().requests(user)[self.before :]


@pytest.fixture(scope="module")
def operator(
    installed: Installed, children: Children, tmp_path_factory: pytest.TempPathFactory
) -> Installed:
    """The installation with its operator running, as the Deployment would have it.

    Other than there: the ledger's folder, the port, and that pods on loopback are permitted.
    """
    before = len(installed.requests())
    # Another module's reports would say that this is not a first start.
    installed.control_plane.kubectl(
        *("delete", "licenseusages,usagereports,usagereceipts", "--all", "--all-namespaces")
    )
    listed = installed.control_plane.kubectl(
        *("get", "deployment", "licenseusage-operator", "-n", "licenseusage-system", "-o", "json")
    )
    (container,) = json.loads(listed.stdout)["spec"]["template"]["spec"]["containers"]
    (port,) = free_ports(1)
    ledger = tmp_path_factory.mktemp("ledger") / "ledger.sqlite"
    environment = installed.control_plane.environment(installed.operator_kubeconfig)
    environment |= {v["name"]: v["value"] for v in container["env"] if "value" in v}
    environment |= {
        "LICENSEUSAGE_DATABASE_URL": f"sqlite:///{ledger}",
        "LICENSEUSAGE_HTTP_ADDRESS": f"127.0.0.1:{port}",
        "LICENSEUSAGE_OPERATOR_NAMESPACE": "licenseusage-system",
        "LICENSEUSAGE_DEV": "1",
    }
    children.start("operator", [LICENSEUSAGE, *container["args"]], environment)
    await_http(f"http://127.0.0.1:{port}/readyz", children)
    return Since(installed.control_plane, installed.audit, before)


def await_count(installed: Installed, namespace: str, count: int, children: Children) -> None:
    done = installed.control_plane.kubectl(
        *("wait", "licenseusage/sample", "-n", namespace, "--timeout=60s"),
        f"--for=jsonpath={{.status.activeUsers}}={count}",
        check=False,
        timeout_seconds=90,
    )
    if done.returncode != 0:
        shown = installed.control_plane.kubectl(
            "get", "licenseusage", "sample", "-n", namespace, "-o", "yaml"
        )
        pytest.fail(f"{done.stderr}\n{shown.stdout}\n{children.tail('operator', 40)}")


def asked(installed: Installed, *, codes: range) -> set[str]:
    """What the operator asked for, as ``verb resource in namespace``, and got such an answer."""
    return {
        f"{event['verb']} {ref.get('resource')} in {ref.get('namespace', '*')}"
        for event in installed.requests()
        if event["responseStatus"]["code"] in codes
        for ref in [event.get("objectRef", {})]
    }


def refused(installed: Installed) -> set[str]:
    """What the operator asked for and was not allowed."""
    return asked(installed, codes=range(401, 404))


def test_the_sample_reaches_its_number_and_nothing_forbidden_is_tried(
    operator: Installed, product: Product, children: Children
) -> None:
    deploy(operator.control_plane, PRODUCT, product)
    operator.control_plane.kubectl("apply", "-k", str(SAMPLE))
    await_count(operator, PRODUCT, product.active_users, children)
    operator.control_plane.kubectl(
        *("wait", "licenseusage/sample", "-n", PRODUCT),
        *("--for=condition=Ready", "--timeout=30s"),
    )
    # A GitOps tool sees no drift in an object that is at work.
    assert operator.control_plane.kubectl("diff", "-k", str(SAMPLE)).stdout == ""
    assert {line for line in refused(operator) if not line.endswith(f" in {UNGRANTED}")} == set()
    assert {
        "watch licenseusages in *",
        f"list pods in {PRODUCT}",
        f"get secrets in {PRODUCT}",
        f"patch licenseusages in {PRODUCT}",
    } <= asked(operator, codes=range(200, 300))


def test_its_keys_are_made_in_its_own_namespace(operator: Installed) -> None:
    listed = operator.control_plane.kubectl(
        "get", "secrets", "-n", "licenseusage-system", "-o", "name"
    )
    assert {"secret/licenseusage-identity", "secret/licenseusage-pseudonym"} <= set(
        listed.stdout.split()
    )


def test_a_namespace_that_grants_nothing_is_told_how_and_then_counted(
    operator: Installed, product: Product, children: Children
) -> None:
    control_plane, namespace = operator.control_plane, UNGRANTED
    deploy(control_plane, namespace, product)
    mine = {**USAGE, "metadata": {"name": "sample", "namespace": namespace}}
    control_plane.apply(mine)
    control_plane.kubectl(
        *("wait", "licenseusage/sample", "-n", namespace, "--timeout=30s"),
        "--for=condition=Stalled",
    )
    shown = control_plane.kubectl("get", "licenseusage", "sample", "-n", namespace, "-o", "json")
    conditions = {c["type"]: c for c in json.loads(shown.stdout)["status"]["conditions"]}
    assert conditions["Collected"]["reason"] == "ForbiddenByCluster"
    message = conditions["Collected"]["message"]
    fix = shlex.split(message[message.index("kubectl create rolebinding") :])
    control_plane.kubectl(*(word.rstrip(".") for word in fix[1:]))
    control_plane.kubectl(
        *("annotate", "licenseusage/sample", "-n", namespace),
        "licenseusage.dev/requested-at=now",
    )
    await_count(operator, namespace, product.active_users, children)
    assert refused(operator) <= {f"list pods in {namespace}", f"get secrets in {namespace}"}
    assert refused(operator)
