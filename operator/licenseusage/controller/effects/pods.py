"""Which pods a collection may ask: a paged LIST with the object's own selector, at collection time.

Only ready pods that live, of the object's own namespace, never a node's address: hostNetwork pods,
loopback and link-local addresses are refused, so that nobody can make the operator call something
that its creator could not (DESIGN §8.10). ``LICENSEUSAGE_DEV=1`` permits loopback, for demo and
tests.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import msgspec

from licenseusage.controller.effects.kube import Kube
from licenseusage.controller.effects.refusals import explained
from licenseusage.controller.rules.addresses import never_called
from licenseusage.controller.rules.resources import PODS
from licenseusage.errors import Retryable, UsageError
from licenseusage.reasons import Reason

_ENDED = ("Failed", "Succeeded")


class _Port(msgspec.Struct):
    container_port: int = msgspec.field(name="containerPort", default=0)
    name: str = ""
    protocol: str = "TCP"


class _Container(msgspec.Struct):
    ports: list[_Port] | None = None
    restart_policy: str = msgspec.field(name="restartPolicy", default="")


class _Condition(msgspec.Struct):
    type: str = ""
    status: str = ""
    since: str | None = msgspec.field(name="lastTransitionTime", default=None)


class _Meta(msgspec.Struct):
    name: str
    deletion: str | None = msgspec.field(name="deletionTimestamp", default=None)


class _Spec(msgspec.Struct):
    host_network: bool = msgspec.field(name="hostNetwork", default=False)
    containers: list[_Container] | None = None
    init_containers: list[_Container] | None = msgspec.field(name="initContainers", default=None)


class _Status(msgspec.Struct):
    phase: str = ""
    pod_ip: str = msgspec.field(name="podIP", default="")
    host_ip: str = msgspec.field(name="hostIP", default="")
    conditions: list[_Condition] | None = None


class Pod(msgspec.Struct):
    """The few fields of a pod that a collection needs (81 bytes of 5.3 KB)."""

    metadata: _Meta
    spec: _Spec = msgspec.field(default_factory=_Spec)
    status: _Status = msgspec.field(default_factory=_Status)


class _Pods(msgspec.Struct):
    items: list[Pod] | None = None


@dataclass(frozen=True, slots=True)
class PodAddress:
    """Where one pod can be asked.

    Attributes:
        ready_ms: Since when it is ready, ms since the epoch; None: that is not told.
    """

    pod: str
    host: str
    port: int
    ready_ms: int | None = None


async def ready_pods(
    kube: Kube, namespace: str, selector: str, port: int | str, *, loopback_allowed: bool
) -> tuple[list[PodAddress], bool]:
    """Return the pods to ask, by name, and whether these are all that are selected.

    A pod that has ended for good runs no server any more, and is not missed.

    Args:
        kube: The cluster.
        namespace: The object's own namespace, never another.
        selector: Label selector in the API server's text form.
        port: Number, or the name of a container's port.
        loopback_allowed: Development mode.

    Raises:
        Stalled: ``ForbiddenByCluster``, with the RoleBinding to apply.
        Retryable: ``APIUnavailable``, ``NoPods``, ``NoReadyPods``, ``PortNotFound`` or
            ``AddressRefused``: what was seen and what to look at.
    """
    pods: dict[str, Pod] = {}
    with explained(namespace, f"The LIST of pods in namespace {namespace}"):
        async for raw in kube.pages(PODS, namespace, selector):
            for pod in msgspec.json.decode(raw, type=_Pods).items or ():
                pods[pod.metadata.name] = pod
    live = sum(pod.status.phase not in _ENDED for pod in pods.values())
    asked = choose(pods.values(), namespace, selector, port, loopback_allowed=loopback_allowed)
    return asked, len(asked) == live


def choose(
    pods: Iterable[Pod], namespace: str, selector: str, port: int | str, *, loopback_allowed: bool
) -> list[PodAddress]:
    """Return the addresses of those pods that may be asked; raises as `ready_pods`."""
    candidates = sorted(pods, key=lambda pod: pod.metadata.name)
    ready = [pod for pod in candidates if _ready(pod)]
    where = f"namespace {namespace} with labels {selector}"
    if not candidates:
        raise Retryable(Reason.NO_PODS, f"No pod in {where}; check spec.sources[].pods.selector.")
    if not ready:
        raise Retryable(
            Reason.NO_READY_PODS,
            f"0 of {len(candidates)} pods are ready in {where}; see kubectl get pods -n "
            f"{namespace} -l '{selector}'.",
        )
    addresses: list[PodAddress] = []
    failure: UsageError | None = None
    for pod in ready:
        try:
            host = _host(pod, namespace, loopback_allowed=loopback_allowed)
            named = _port(pod, namespace, port)
            addresses.append(PodAddress(pod.metadata.name, host, named, _ready_ms(pod)))
        except UsageError as error:
            failure = error
    if not addresses and failure is not None:
        raise failure
    return addresses


def _ready(pod: Pod) -> bool:
    """Whether a pod lives: the address of one that has ended may be another pod's by now.

    A pod that was evicted or whose node was shut down can keep its address and its condition Ready.
    """
    conditions = pod.status.conditions or ()
    is_ready = any(c.type == "Ready" and c.status == "True" for c in conditions)
    lives = pod.status.phase not in _ENDED and pod.metadata.deletion is None
    return is_ready and lives and bool(pod.status.pod_ip)


def _ready_ms(pod: Pod) -> int | None:
    """Return since when a pod is ready, by the API server's clock."""
    since = [c.since for c in pod.status.conditions or () if c.type == "Ready" and c.since]
    try:
        return max(
            (round(1000 * datetime.fromisoformat(t).timestamp()) for t in since), default=None
        )
    except ValueError:
        return None


def _host(pod: Pod, namespace: str, *, loopback_allowed: bool) -> str:
    name, text = f"{namespace}/{pod.metadata.name}", pod.status.pod_ip
    if pod.spec.host_network:
        raise Retryable(
            Reason.ADDRESS_REFUSED,
            f"Pod {name} uses its node's network (hostNetwork); the operator never calls a node. "
            f"Give the product's pods addresses of their own.",
        )
    try:
        refused = never_called(text, loopback_allowed=loopback_allowed)
    except ValueError:
        raise Retryable(Reason.ADDRESS_REFUSED, f"Pod {name} has no usable address.") from None
    of_node = text == pod.status.host_ip
    permitted = not refused and never_called(text, loopback_allowed=False)  # in development
    if refused or (of_node and not permitted):
        raise Retryable(
            Reason.ADDRESS_REFUSED,
            f"Pod {name} has the address {text}, a loopback, link-local or node address, which is "
            f"never called. Give the product's pods addresses of their own.",
        )
    return text


def _port(pod: Pod, namespace: str, port: int | str) -> int:
    if isinstance(port, int):
        return port
    names = _named_ports(pod)
    if port not in names:
        known = ", ".join(sorted(names)) or "none"
        raise Retryable(
            Reason.PORT_NOT_FOUND,
            f"Pod {namespace}/{pod.metadata.name} has no container port named {port!r} (its named "
            f"ports: {known}); correct spec.sources[].pods.port.",
        )
    return names[port]


def _named_ports(pod: Pod) -> dict[str, int]:
    """Ports by name, as a Service's ``targetPort`` finds them (FindPort of Kubernetes).

    A name is unique within a container only, and the first container with it wins. Init containers
    come last, and only those that go on running: sidecars, with ``restartPolicy: Always``.
    """
    sidecars = [
        container
        for container in pod.spec.init_containers or ()
        if container.restart_policy == "Always"
    ]
    names: dict[str, int] = {}
    for container in (*(pod.spec.containers or ()), *sidecars):
        for port in container.ports or ():
            if port.name and port.protocol == "TCP":
                names.setdefault(port.name, port.container_port)
    return names
