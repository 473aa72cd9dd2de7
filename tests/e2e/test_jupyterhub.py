"""A real product: the operator's number of JupyterHub's users is the truth."""

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from hack.controlplane import ControlPlane
from hack.demo.children import Children
from tests.e2e.conftest import JupyterHub

pytestmark = [pytest.mark.controlplane, pytest.mark.jupyterhub]

EXISTING = [f"user-{number:03d}" for number in range(250)]  # more than JupyterHub's largest page
SIGNED_IN = [EXISTING[0], EXISTING[7], EXISTING[120], EXISTING[249]]  # on the first and last page
CALLED_API = [EXISTING[30], EXISTING[201]]
NAME = "hub"


def usage(namespace: str) -> dict[str, Any]:
    anchor = (datetime.now(UTC) - timedelta(days=10)).date().isoformat()
    source = {
        "name": "hub",
        "preset": "JupyterHub",
        "intervalMinutes": 1,
        "pods": {
            "selector": {"matchLabels": {"app": "jupyterhub", "component": "hub"}},
            "port": "http",
            "scheme": "HTTP",
        },
        "auth": {"header": {"secretRef": {"name": "hub-meter", "key": "token"}}},
    }
    return {
        "apiVersion": "licenseusage.dev/v1alpha1",
        "kind": "LicenseUsage",
        "metadata": {"name": NAME, "namespace": namespace},
        "spec": {
            "product": "jupyterhub",
            "cycle": {"anchorDate": anchor, "lengthDays": 30},
            "sources": [source],
        },
    }


class Cluster:
    """The object under test as kubectl sees it."""

    def __init__(self, cp: ControlPlane, namespace: str, children: Children) -> None:
        self.cp, self.namespace, self.children = cp, namespace, children

    def status(self) -> dict[str, Any]:
        done = self.cp.kubectl("get", "licenseusage", NAME, "-n", self.namespace, "-o", "json")
        status: dict[str, Any] = json.loads(done.stdout).get("status") or {}
        return status

    def await_status(self, what: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        deadline = time.monotonic() + 60
        while not what(status := self.status()):
            self.children.check()
            if time.monotonic() > deadline:
                raise AssertionError(f"{status}\n{self.children.tail('operator')}")
            time.sleep(0.2)
        return status

    def collect_now(self) -> None:
        """Ask for a collection, as an administrator does."""
        self.cp.kubectl(
            *("annotate", "licenseusage", NAME, "-n", self.namespace, "--overwrite"),
            f"licenseusage.dev/requested-at={datetime.now(UTC).isoformat()}",
        )


@pytest.fixture
def counted(
    crds: ControlPlane,
    namespace: str,
    jupyterhub: JupyterHub,
    operator: Callable[[], None],
    children: Children,
) -> Cluster:
    """A hub with 250 accounts of which six were used, counted once."""
    jupyterhub.create_users(EXISTING)
    for name in SIGNED_IN:
        jupyterhub.sign_in(name)
    for name in CALLED_API:
        jupyterhub.call_api_as(name)
    labels = {"app": "jupyterhub", "component": "hub"}
    crds.create_pod(namespace, "hub-0", labels=labels, ports={"http": jupyterhub.port})
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "licenseusage.dev/credentials",
        "metadata": {"name": "hub-meter"},
    }
    crds.kubectl(
        *("apply", "-n", namespace, "-f", "-"),
        stdin=json.dumps(secret | {"stringData": {"token": jupyterhub.meter_token}}),
    )
    crds.apply(usage(namespace))
    operator()
    cluster = Cluster(crds, namespace, children)
    cluster.await_status(lambda status: "activeUsers" in status)
    return cluster


def test_the_number_is_the_people_who_used_the_hub(
    counted: Cluster, jupyterhub: JupyterHub
) -> None:
    status = counted.status()
    assert status["activeUsers"] == len(SIGNED_IN) + len(CALLED_API)
    assert status["activeText"] == "6 so far"
    assert status["provisionedUsers"] == len(EXISTING)
    (source,) = status["sources"]
    assert source["usersListed"] == len(EXISTING)
    assert {"reason": "NeverActive", "count": 244} in source["skipped"]
    counted.cp.kubectl(
        *("wait", "--for=condition=Ready", "--timeout=30s"),
        *("licenseusage", NAME, "-n", counted.namespace),
    )

    # Whoever comes back is counted once, whoever is new is added: 6 become 7. The meter is nobody.
    jupyterhub.sign_in(SIGNED_IN[0])
    jupyterhub.sign_in(EXISTING[55])
    counted.collect_now()
    assert counted.await_status(lambda s: s["activeUsers"] != 6)["activeUsers"] == 7

    # An account that is removed was used all the same: counted until the cycle's end.
    jupyterhub.api("DELETE", f"/users/{EXISTING[55]}")
    counted.collect_now()
    removed = counted.await_status(lambda s: s["provisionedUsers"] != len(EXISTING))
    assert (removed["activeUsers"], removed["provisionedUsers"]) == (7, len(EXISTING) - 1)
