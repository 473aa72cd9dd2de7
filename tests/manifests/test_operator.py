"""The operator under its own service account, with RBAC enforced, on the manifests as they are."""

import json
import os
import secrets
import shlex
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
import yaml

from examples.product.generate import generate
from examples.product.store import Store
from hack.demo.children import Children
from hack.demo.stage import LICENSEUSAGE, await_http, free_ports
from tests.manifests.conftest import MANIFESTS, Installed

pytestmark = pytest.mark.controlplane

SAMPLE = MANIFESTS / "samples" / "standard"
USAGE = yaml.safe_load((SAMPLE / "licenseusage.yaml").read_text())
PRODUCT = USAGE["metadata"]["namespace"]
LABELS = USAGE["spec"]["sources"][0]["pods"]["selector"]["matchLabels"]
UNGRANTED = "ungranted"
DAY = 86_400


@dataclass(frozen=True)
class Product:
    """A running sample product.

    Attributes:
        port: Where it listens, on 127.0.0.1.
        token: What it lets a collector in with.
        active_users: How many people used it in the sample's running cycle.
    """

    port: int
    token: str
    active_users: int


def cycle_of_the_sample(now: int) -> tuple[int, int]:
    """Start and end of the sample's cycle at ``now``, in seconds since the epoch."""
    cycle = USAGE["spec"]["cycle"]
    anchor = int(datetime.fromisoformat(cycle["anchorDate"]).replace(tzinfo=UTC).timestamp())
    length = cycle["lengthDays"] * DAY
    start = anchor + (now - anchor) // length * length
    return start, start + length


@pytest.fixture(scope="module")
def children(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Children]:
    with Children(tmp_path_factory.mktemp("logs")) as started:
        yield started


@pytest.fixture(scope="module")
def product(children: Children, tmp_path_factory: pytest.TempPathFactory) -> Product:
    folder = tmp_path_factory.mktemp("product")
    now = int(datetime.now(UTC).timestamp())
    start, end = cycle_of_the_sample(now)
    with closing(Store(folder / "people.db")) as store:
        # An hour ago: what is a minute old may still be on its way (the preset's lag).
        past = max(now - 3600, start + 1)
        truth = generate(store, start=start, end=end, now=past, people=2_000)
    token, (port,) = secrets.token_urlsafe(24), free_ports(1)
    (folder / "token").write_text(token)
    serve = [sys.executable, "-m", "examples.product", "serve", "--port", str(port)]
    serve += ["--database", str(folder / "people.db"), "--token-file", str(folder / "token")]
    children.start("product", serve, os.environ)
    await_http(f"http://127.0.0.1:{port}/healthz", children)
    return Product(port, token, len(truth.active))


@pytest.fixture(scope="module")
def operator(
    installed: Installed, children: Children, tmp_path_factory: pytest.TempPathFactory
) -> Installed:
    """The installation with its operator running, as the Deployment would have it.

    Other than there: the ledger's folder, the port, and that pods on loopback are permitted.
    """
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
    return installed


def deploy(installed: Installed, namespace: str, product: Product) -> None:
    """What the product's own installation would do."""
    control_plane = installed.control_plane
    control_plane.kubectl("create", "namespace", namespace, check=False)
    control_plane.kubectl("create", "serviceaccount", "default", "-n", namespace)
    control_plane.create_pod(namespace, "product-0", labels=LABELS, ports={"http": product.port})
    control_plane.kubectl(
        *("create", "secret", "generic", "sample-meter", "-n", namespace),
        f"--from-literal=token={product.token}",
    )


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
    deploy(operator, PRODUCT, product)
    operator.control_plane.kubectl("apply", "-k", str(SAMPLE))
    await_count(operator, PRODUCT, product.active_users, children)
    operator.control_plane.kubectl(
        *("wait", "licenseusage/sample", "-n", PRODUCT),
        *("--for=condition=Ready", "--timeout=30s"),
    )
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
    deploy(operator, namespace, product)
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
