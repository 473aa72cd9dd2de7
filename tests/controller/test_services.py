"""Services that a source names: asked at their cluster IP, if they lead to pods."""

import pytest

from licenseusage.controller.effects.services import service_address
from licenseusage.errors import Retryable, Stalled

pytestmark = pytest.mark.controlplane


def service(name, **spec):
    ports = [{"name": "client", "port": 4222}, {"name": "http", "port": 8222}]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"selector": {"app": "nats"}, "ports": ports} | spec,
    }


async def ask(kube, namespace, port=4222, name="nats"):
    return await service_address(kube, namespace, name, port, loopback_allowed=False)


async def refusal(kube, namespace, **asked):
    with pytest.raises(Retryable) as caught:
        await ask(kube, namespace, **asked)
    return caught.value


@pytest.fixture
def made(crds, namespace):
    def make(**spec):
        crds.apply(service("nats", **spec) | {"metadata": {"name": "nats", "namespace": namespace}})

    return make


@pytest.mark.parametrize("port", [4222, "client"])
async def test_a_service_is_asked_at_its_cluster_ip(crds, kube, namespace, made, port):
    made()
    found = await ask(kube, namespace, port)
    given = crds.kubectl(
        "get", "service", "nats", "-n", namespace, "-o", "jsonpath={.spec.clusterIP}"
    ).stdout
    assert (found.pod, found.host, found.port) == ("nats", given.strip(), 4222)


@pytest.mark.parametrize(
    "spec", [{"selector": None}, {"type": "ExternalName", "externalName": "example.org"}]
)
async def test_a_service_that_may_lead_anywhere_is_not_asked(kube, namespace, made, spec):
    made(**spec)
    seen = await refusal(kube, namespace)
    assert (seen.reason, "may lead anywhere" in seen.message) == ("AddressRefused", True)


async def test_a_headless_service_points_to_its_pods(kube, namespace, made):
    made(clusterIP="None")
    seen = await refusal(kube, namespace)
    assert "is headless). Name its pods in pods" in seen.message


async def test_a_service_that_leads_to_pods_that_are_not_ready_is_not_asked(kube, namespace, made):
    made(publishNotReadyAddresses=True)
    seen = await refusal(kube, namespace)
    assert (seen.reason, "publishNotReadyAddresses" in seen.message) == ("AddressRefused", True)


async def test_a_port_of_another_protocol_is_not_asked(kube, namespace, made):
    made(ports=[{"name": "client", "port": 4222, "protocol": "UDP"}])
    assert (await refusal(kube, namespace)).reason == "PortNotFound"


async def test_a_port_that_the_service_has_not_is_told_with_those_it_has(kube, namespace, made):
    made()
    seen = await refusal(kube, namespace, port="nats")
    assert (seen.reason, "(its ports: client, http)" in seen.message) == ("PortNotFound", True)


async def test_a_missing_service_is_named(kube, namespace):
    seen = await refusal(kube, namespace, name="gone")
    assert (seen.reason, seen.message.split(";")[0]) == (
        "ServiceNotFound",
        f"Service {namespace}/gone does not exist",
    )


async def test_a_missing_right_names_the_role_binding(kube_as, namespace, made):
    made()
    with pytest.raises(Stalled) as caught:
        await ask(await kube_as(namespace), namespace)
    assert caught.value.reason == "ForbiddenByCluster"
    assert "--clusterrole=licenseusage-collector" in caught.value.message
