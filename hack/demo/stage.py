"""Sets the stage: the product in the cluster, and the operator that is to count its users."""

import os
import secrets
import socket
import ssl
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import httpx

from examples.product.generate import BOT_PREFIX, MONITOR, Truth, counts, generate
from examples.product.store import Store
from hack.controlplane import ControlPlane
from hack.demo.children import Children
from hack.demo.plan import CYCLE_DAYS, Plan

ROOT: Final = Path(__file__).resolve().parent.parent.parent
LICENSEUSAGE: Final = str(Path(sys.executable).parent / "licenseusage")
NAMESPACE: Final = "demo"
OPERATOR_NAMESPACE: Final = "licenseusage-system"
SERVICE_ACCOUNT: Final = "licenseusage-operator"
USAGE: Final = "sample"
PRODUCT: Final = "sample-product"
ENTITLED: Final = 3_500
PODS: Final = 3
_START_SECONDS: Final = 30.0


class StageError(Exception):
    """Something did not start; the message says what."""


def set_up_cluster(cp: ControlPlane) -> None:
    """Install what ``kubectl apply -k manifests/base`` would, but for the pod and its volume."""
    cp.apply(ROOT / "crds")
    cp.await_crds()
    cp.create_namespace(NAMESPACE)
    cp.create_namespace(OPERATOR_NAMESPACE)
    for name in ("service-account", "rbac-operator", "rbac-collector", "rbac-people"):
        cp.apply(ROOT / "manifests" / "base" / f"{name}.yaml")
    cp.kubectl(
        *("create", "rolebinding", "licenseusage-collector", "-n", NAMESPACE),
        "--clusterrole=licenseusage-collector",
        f"--serviceaccount={OPERATOR_NAMESPACE}:{SERVICE_ACCOUNT}",
    )


def provision(database: Path, plan: Plan, people: int) -> tuple[Truth, list[str]]:
    """Fill the product's database; return the truth and the ids of all people."""
    store = Store(database)
    # Activity up to ten minutes before the demo's begin; what comes after is signed in over HTTP.
    truth = generate(store, start=plan.start, end=plan.end, now=plan.end - 600, people=people)
    everybody = [user for user, _ in store.page("", 2 * people) if counts(user)]
    store.close()
    return truth, everybody


def start_product(cp: ControlPlane, children: Children, plan: Plan, database: Path) -> list[str]:
    """Run one server per pod over the one database; return their addresses.

    The pods are objects only: their address is 127.0.0.1, each with a port of its own.
    """
    token = secrets.token_urlsafe(24)
    token_file = cp.folder / "product-token"
    token_file.touch(mode=0o600)
    token_file.write_text(token)
    ports = free_ports(PODS)
    for number, port in enumerate(ports):
        command = [sys.executable, "-m", "examples.product", "serve", "--port", str(port)]
        command += ["--database", str(database), "--token-file", str(token_file)]
        children.start(f"product-{number}", command, {**os.environ, **plan.environment})
    for number, port in enumerate(ports):
        await_http(f"http://127.0.0.1:{port}/healthz", children)
        labels = {"app.kubernetes.io/name": PRODUCT}
        cp.create_pod(NAMESPACE, f"{PRODUCT}-{number}", labels=labels, ports={"http": port})
    cp.apply(credentials(NAMESPACE, "sample-meter", {"token": token}))
    return [f"http://127.0.0.1:{port}" for port in ports]


def start_operator(cp: ControlPlane, children: Children, plan: Plan, vendor_ca: Path | None) -> str:
    """Run the operator under its own service account; return its address for health and metrics."""
    (port,) = free_ports(1)
    account = cp.kubeconfig_for(OPERATOR_NAMESPACE, SERVICE_ACCOUNT, seconds=7 * 86_400)
    environment = cp.environment(account) | plan.environment | ledger_environment(cp)
    environment |= {
        "LICENSEUSAGE_HTTP_ADDRESS": f"127.0.0.1:{port}",
        "LICENSEUSAGE_FIRST_SEND_SPREAD_SECONDS": "0",
    }
    if vendor_ca is not None:
        environment["LICENSEUSAGE_VENDOR_CA_FILE"] = str(vendor_ca)
    children.start("operator", [LICENSEUSAGE, "operator"], environment)
    await_http(f"http://127.0.0.1:{port}/readyz", children)
    return f"http://127.0.0.1:{port}"


def ledger_environment(cp: ControlPlane) -> dict[str, str]:
    """Return the settings of whatever works where the ledger is, as in the manifests."""
    return {
        "LICENSEUSAGE_OPERATOR_NAMESPACE": OPERATOR_NAMESPACE,
        "LICENSEUSAGE_DATABASE_URL": f"sqlite:///{cp.folder / 'ledger.sqlite'}",
    }


def usage(plan: Plan, *, licensed: bool) -> dict[str, Any]:
    """Return the LicenseUsage that the reader sees."""
    terms: dict[str, Any] = {"license": {"secretRef": {"name": "sample-license"}}}
    if not licensed:
        cycle = {"anchorDate": plan.anchor.isoformat(), "lengthDays": CYCLE_DAYS}
        terms = {"cycle": cycle, "maximumActiveUsers": ENTITLED}
    source = {
        "name": "users",
        "preset": "Standard",
        "activityDefinition": "signed in",
        "intervalMinutes": 1,
        "pods": {
            "selector": {"matchLabels": {"app.kubernetes.io/name": PRODUCT}},
            "port": "http",
            "scheme": "HTTP",
        },
        "auth": {"header": {"secretRef": {"name": "sample-meter", "key": "token"}}},
        "users": {"exclude": f"starts_with(id, '{BOT_PREFIX}')", "excludeIds": [MONITOR]},
        # The sample product shows a sign-in at once; the preset's 60 s would lengthen the demo.
        "guarantees": {"lagSeconds": 1},
    }
    return {
        "apiVersion": "licenseusage.dev/v1alpha1",
        "kind": "LicenseUsage",
        "metadata": {"name": USAGE, "namespace": NAMESPACE},
        "spec": {"product": PRODUCT, **terms, "sources": [source]},
    }


def secret(namespace: str, name: str, data: dict[str, str]) -> dict[str, Any]:
    """Return a Secret as an object."""
    metadata = {"namespace": namespace, "name": name}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": data}


def credentials(namespace: str, name: str, data: dict[str, str]) -> dict[str, Any]:
    """Return a Secret that the operator may send to a product."""
    return {**secret(namespace, name, data), "type": "licenseusage.dev/credentials"}


def await_http(url: str, children: Children, ca: Path | None = None) -> None:
    """Wait until ``url`` answers 200; ``ca`` verifies an https address.

    Raises:
        StageError: It does not within 30 s.
        ChildDied: One of the processes ended.
    """
    verify = True if ca is None else ssl.create_default_context(cafile=str(ca))
    deadline, seen = time.monotonic() + _START_SECONDS, "no answer"
    while time.monotonic() < deadline:
        children.check()
        try:
            answer = httpx.get(url, timeout=2, trust_env=False, verify=verify)
            if answer.status_code == 200:
                return
            seen = f"HTTP {answer.status_code}: {answer.text[:300]}"
        except httpx.HTTPError as error:
            seen = str(error)
        time.sleep(0.05)
    raise StageError(f"{url} was not ready after {_START_SECONDS:.0f} s: {seen}")


def free_ports(count: int) -> list[int]:
    """Return ports of 127.0.0.1 that are free now, all different."""
    with ExitStack() as stack:
        listeners = [stack.enter_context(socket.socket()) for _ in range(count)]
        for listener in listeners:
            listener.bind(("127.0.0.1", 0))
        return [listener.getsockname()[1] for listener in listeners]
