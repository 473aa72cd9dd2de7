"""The Service that a source names: asked at its cluster IP, as everything in the cluster asks it.

A Service is what meshes and network policies know. Reading it takes one right, ``services: get``;
its pods would take the right to list EndpointSlices, and calling them would go around the mesh. A
Service without a selector, or one that is only another name, may lead anywhere: it is not asked.
Kubernetes keeps pods that have ended or are not ready away from it, unless it is told not to.
"""

import msgspec

from licenseusage.controller.effects.kube import Kube
from licenseusage.controller.effects.pods import PodAddress
from licenseusage.controller.effects.refusals import explained
from licenseusage.controller.rules.addresses import never_called
from licenseusage.controller.rules.resources import SERVICES
from licenseusage.errors import Retryable
from licenseusage.reasons import Reason


class _Port(msgspec.Struct):
    port: int
    name: str = ""
    protocol: str = "TCP"


class ServiceSpec(msgspec.Struct):
    """The few fields of a Service's spec that a collection needs."""

    type: str = "ClusterIP"
    cluster_ip: str = msgspec.field(name="clusterIP", default="")
    selector: dict[str, str] | None = None
    ports: list[_Port] | None = None
    not_ready: bool = msgspec.field(name="publishNotReadyAddresses", default=False)


async def service_address(
    kube: Kube, namespace: str, name: str, port: int | str, *, loopback_allowed: bool
) -> PodAddress:
    """Return where a Service of the object's own namespace is asked.

    Raises:
        Stalled: ``ForbiddenByCluster``, with the RoleBinding to apply.
        Retryable: ``APIUnavailable``, ``ServiceNotFound``, ``PortNotFound`` or ``AddressRefused``:
            what was seen and what to look at.
    """
    gone = Retryable(
        Reason.SERVICE_NOT_FOUND,
        f"Service {namespace}/{name} does not exist; correct spec.sources[].service.name.",
    )
    with explained(namespace, f"Service {namespace}/{name}", missing=gone):
        raw = await kube.get(SERVICES, namespace, name)
        service = msgspec.convert(raw.get("spec") or {}, ServiceSpec)
    host = _host(service, f"{namespace}/{name}", loopback_allowed=loopback_allowed)
    return PodAddress(name, host, _port(service, f"{namespace}/{name}", port))


def _host(service: ServiceSpec, name: str, *, loopback_allowed: bool) -> str:
    if service.type == "ExternalName" or not service.selector:
        raise Retryable(
            Reason.ADDRESS_REFUSED,
            f"Service {name} selects no pods, so it may lead anywhere and is not asked. Name a "
            "Service with a selector, or an endpoint of the operator's settings.",
        )
    if service.not_ready:
        raise Retryable(
            Reason.ADDRESS_REFUSED,
            f"Service {name} leads to pods that are not ready as well (publishNotReadyAddresses), "
            "and they get no credentials. Name a Service without it, or its pods in pods.",
        )
    try:
        refused = never_called(service.cluster_ip, loopback_allowed=loopback_allowed)
    except ValueError:
        raise Retryable(
            Reason.ADDRESS_REFUSED,
            f"Service {name} has no cluster IP (it is headless). Name its pods in pods, or a "
            "Service with a cluster IP.",
        ) from None
    if refused:
        raise Retryable(
            Reason.ADDRESS_REFUSED,
            f"Service {name} has the address {service.cluster_ip}, which is never called.",
        )
    return service.cluster_ip


def _port(service: ServiceSpec, name: str, port: int | str) -> int:
    ports = [service_port for service_port in service.ports or () if service_port.protocol == "TCP"]
    for service_port in ports:
        if port in (service_port.port, service_port.name):
            return service_port.port
    known = (
        ", ".join(f"{service_port.name or service_port.port}" for service_port in ports) or "none"
    )
    raise Retryable(
        Reason.PORT_NOT_FOUND,
        f"Service {name} has no port {port!r} (its ports: {known}); correct "
        "spec.sources[].service.port.",
    )
