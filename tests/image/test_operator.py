"""The operator starts from the image's root as ``manifests/base`` starts it, and counts.

Its environment is the image's, the manifest's and what every pod gets; no ``USER``, ``HOME`` or
``LOGNAME``. Other than there: a free port in place of 8080, and pods on loopback are permitted.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from hack.controlplane import ControlPlane
from hack.demo.children import Children
from hack.demo.stage import free_ports
from hack.rootfs import Image
from tests.controller.stage import until
from tests.image.conftest import ROOT, Pod, User, container, environment_of, volume
from tests.manifests.sample import NAMESPACE, SAMPLE, USAGE, Product, deploy, start_product

pytestmark = pytest.mark.controlplane

POD = {"metadata.namespace": "licenseusage-system", "metadata.name": "licenseusage-operator-0"}
SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"


@dataclass
class Operator:
    """The operator in its pod, and where it answers."""

    pod: Pod
    port: int
    cluster: ControlPlane

    def ready(self) -> bool:
        assert self.pod.process.poll() is None, self.pod.told()
        try:
            url = f"http://127.0.0.1:{self.port}/readyz"
            return httpx.get(url, timeout=5, trust_env=False).status_code == 200
        except httpx.HTTPError:
            return False

    def usage(self) -> dict[str, Any]:
        shown = self.cluster.kubectl("get", "licenseusage", "-n", NAMESPACE, "-o", "json")
        (only,) = json.loads(shown.stdout)["items"]
        return only.get("status", {})


@pytest.fixture(scope="module")
def product(children: Children, tmp_path_factory: pytest.TempPathFactory) -> Product:
    return start_product(children, tmp_path_factory.mktemp("product"))


@pytest.fixture(scope="module")
def cluster(user: User, product: Product) -> Iterator[ControlPlane]:
    """A cluster of this user's own, with ``manifests/base``, a product and its LicenseUsage."""
    with ControlPlane() as started:
        started.kubectl("apply", "-k", str(ROOT / "crds"))
        started.kubectl("apply", "-k", str(ROOT / "manifests/base"))
        started.await_crds()
        deploy(started, NAMESPACE, product)
        started.kubectl("apply", "-k", str(SAMPLE))
        yield started


@pytest.fixture(scope="module")
def operator(
    image: Image, user: User, cluster: ControlPlane, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Operator]:
    """The Deployment's pod, made by hand as a kubelet makes it."""
    listed = cluster.kubectl(
        *("get", "deployment", "licenseusage-operator", "-n", "licenseusage-system", "-o", "json")
    )
    spec = json.loads(listed.stdout)["spec"]["template"]["spec"]
    (only,) = spec["containers"]
    (port,) = free_ports(1)
    host, _, api_server_port = cluster.url.removeprefix("https://").partition(":")
    folder = tmp_path_factory.mktemp("pod")
    claims = {v["name"] for v in spec["volumes"] if "persistentVolumeClaim" in v}
    mounts = {mount["name"]: mount["mountPath"] for mount in only["volumeMounts"]}
    given = container(
        image,
        user,
        hostname=POD["metadata.name"],
        environment={
            **environment_of(only, POD),
            "KUBERNETES_SERVICE_HOST": host,
            "KUBERNETES_SERVICE_PORT": api_server_port,
            "LICENSEUSAGE_HTTP_ADDRESS": f":{port}",
            "LICENSEUSAGE_DEV": "1",
        },
        volumes={mounts[name]: volume(folder / name, user) for name in claims},
        files={SERVICE_ACCOUNT: service_account(cluster, user, folder / "serviceaccount")},
    )
    assert set(mounts.values()) == {*given.volumes, "/tmp"}
    pod = Pod.start(given, [*image.entrypoint, *only["args"]], folder / "operator.log")
    yield Operator(pod, port, cluster)
    pod.kill()


def service_account(cluster: ControlPlane, user: User, folder: Path) -> Path:
    """What a kubelet mounts: readable for the pod's fsGroup."""
    folder.mkdir()
    token = cluster.token_for(POD["metadata.namespace"], "licenseusage-operator")
    (folder / "token").write_text(token)
    (folder / "ca.crt").write_text(cluster.ca_file.read_text())
    (folder / "namespace").write_text(POD["metadata.namespace"])
    for file in folder.iterdir():
        file.chmod(0o640)
        if os.geteuid() == 0:
            os.chown(file, 0, user.fs_group)
    folder.chmod(0o755)
    return folder


def test_it_becomes_ready(operator: Operator) -> None:
    until(operator.ready, 60)


def test_it_says_in_a_condition_and_a_number_what_it_counted(
    operator: Operator, product: Product
) -> None:
    until(operator.ready, 60)
    until(lambda: operator.usage().get("activeUsers"), 60)
    status = operator.usage()
    assert status["activeUsers"] == product.active_users
    conditions = {c["type"]: c["status"] for c in status["conditions"]}
    assert conditions["Ready"] == "True"


def test_it_sees_an_object_that_comes_later_and_its_events_name_the_pod(
    operator: Operator,
) -> None:
    # Its watch needs no DNS: nobody here knows the name kubernetes.default.svc.
    until(operator.ready, 60)
    kubectl = operator.cluster.kubectl
    ungranted = {**USAGE, "metadata": {"name": "ungranted", "namespace": "default"}}
    operator.cluster.apply(ungranted)

    def events() -> list[dict[str, Any]]:
        # The API server itself has events there, too.
        ours = ("--field-selector", "involvedObject.kind=LicenseUsage")
        shown = kubectl("get", "events", "-n", "default", *ours, "-o", "json")
        return json.loads(shown.stdout)["items"]

    until(events, 60)
    assert {event["reportingInstance"] for event in events()} == {POD["metadata.name"]}


def test_it_stops_when_it_is_told_to(operator: Operator) -> None:
    until(operator.ready, 60)
    code = operator.pod.terminate()
    assert code == 0, operator.pod.told()
