"""Whether the products can be asked: pods, Services, ports, NetworkPolicies. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from licenseusage.cli.doctor.facts import Facts, Place, Unseen, conditions
from licenseusage.cli.doctor.findings import Finding, Level
from licenseusage.cli.doctor.installation import operator_labels
from licenseusage.cli.doctor.names import Manifest

_RIGHTS = "Ask for the right to list pods, services and networkpolicies in that namespace."


def products(facts: Facts) -> Iterator[Finding]:
    """Look at the place of each source."""
    for place in facts.places:
        about = f"source {place.source} of LicenseUsage {place.usage}"
        if place.problem:
            fix = "Correct spec.sources; the condition of the object says more."
            yield Finding("product", about, Level.BAD, place.problem, fix)
        elif place.service:
            yield _service(place, about)
        elif place.selector:
            yield from _pods(facts, place, about)
        else:
            seen = "it is read elsewhere, or pushed: there is nothing to look at here"
            yield Finding("product", about, Level.GOOD, seen)


def _service(place: Place, about: str) -> Finding:
    if isinstance(place.services, Unseen):
        return place.services.finding("product", about, _RIGHTS)
    if not place.services:
        seen = f"Service {place.service} is not there"
        return Finding("product", about, Level.BAD, seen, "Create it, or name another one.")
    ports = place.services[0]["spec"].get("ports") or ()
    known = {item.get("port") for item in ports} | {item.get("name") for item in ports}
    if place.port not in known:
        names = ", ".join(str(item.get("name") or item.get("port")) for item in ports)
        seen = f"Service {place.service} has no port {place.port}; it has {names}"
        return Finding("product", about, Level.BAD, seen, "Name one of them in the source.")
    return Finding("product", about, Level.GOOD, f"Service {place.service} has the port")


def _pods(facts: Facts, place: Place, about: str) -> Iterator[Finding]:
    if isinstance(place.pods, Unseen):
        yield place.pods.finding("product", about, _RIGHTS)
        return
    ready = [pod for pod in place.pods if _ready(pod)]
    seen = f"{len(place.pods)} pod(s) fit {place.selector}, {len(ready)} ready"
    if not ready:
        fix = (
            "Correct the selector, or start the product."
            if not place.pods
            else "See why they are not ready: kubectl describe pod"
        )
        yield Finding("product", about, Level.BAD, seen, fix)
        return
    without = [pod for pod in ready if not _has_port(pod, place.port)]
    if without:
        name = without[0]["metadata"]["name"]
        seen = f"pod {name} declares no port named {place.port}"
        yield Finding("product", about, Level.BAD, seen, "Name a port of its containers.")
    else:
        yield Finding("product", about, Level.GOOD, seen)
    yield from _policies(facts, place, ready[0], about)


def _policies(facts: Facts, place: Place, pod: Manifest, about: str) -> Iterator[Finding]:
    if isinstance(place.policies, Unseen):
        yield place.policies.finding("network", about, _RIGHTS)
        return
    peer = Peer(facts.namespace, facts.namespace_labels, operator_labels(facts))
    closed = closing(place.policies, pod, peer)
    if closed:
        seen = f"NetworkPolicies let no operator in: {', '.join(closed)}"
        fix = "Apply manifests/components/product-ingress in that namespace."
        yield Finding("network", about, Level.BAD, seen, fix)
    else:
        seen = "no NetworkPolicy of its namespace keeps the operator out"
        yield Finding("network", about, Level.GOOD, seen)


class Peer:
    """Who wants to connect."""

    def __init__(
        self, namespace: str, namespace_labels: Mapping[str, str], labels: Mapping[str, str]
    ) -> None:
        """Keep a namespace with its labels, and the labels of a pod."""
        self.namespace, self.labels = namespace, labels
        self.namespace_labels = {"kubernetes.io/metadata.name": namespace, **namespace_labels}


def closing(policies: Sequence[Manifest], pod: Manifest, peer: Peer) -> list[str]:
    """Return the policies that keep a peer out of a pod; none: it may come in.

    By Kubernetes' rule: if any policy selects the pod for ingress, one of their rules has to let
    the peer in. Ports and address blocks are taken to fit: what is reported is certain.
    """
    labels = pod["metadata"].get("labels") or {}
    selecting = [
        item
        for item in policies
        if "Ingress" in (item["spec"].get("policyTypes") or ["Ingress"])
        and selects(item["spec"].get("podSelector") or {}, labels)
    ]
    if any(_lets_in(item, peer) for item in selecting):
        return []
    return [str(item["metadata"]["name"]) for item in selecting]


def _lets_in(policy: Manifest, peer: Peer) -> bool:
    own = policy["metadata"].get("namespace")
    for rule in policy["spec"].get("ingress") or ():
        peers: Sequence[Manifest] = rule.get("from") or ()
        if not peers:  # everybody
            return True
        for item in peers:
            if "ipBlock" in item:
                return True
            in_namespace = (
                selects(item["namespaceSelector"], peer.namespace_labels)
                if "namespaceSelector" in item
                else own == peer.namespace
            )
            if in_namespace and selects(item.get("podSelector") or {}, peer.labels):
                return True
    return False


def selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Whether a label selector fits; an empty one fits everything."""
    wanted = selector.get("matchLabels") or {}
    return wanted.items() <= labels.items() and all(
        _fits(item, labels) for item in selector.get("matchExpressions") or ()
    )


def _fits(requirement: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    key, values = requirement["key"], requirement.get("values") or ()
    match requirement["operator"]:
        case "In":
            return labels.get(key) in values
        case "NotIn":
            return labels.get(key) not in values
        case "Exists":
            return key in labels
        case _:
            return key not in labels


def _ready(pod: Manifest) -> bool:
    leaving = "deletionTimestamp" in pod["metadata"]
    return not leaving and any(
        item.get("type") == "Ready" and item.get("status") == "True" for item in conditions(pod)
    )


def _has_port(pod: Manifest, port: int | str) -> bool:
    """Whether a pod has a port; a number need not be declared."""
    containers = pod["spec"].get("containers") or ()
    names = {item.get("name") for each in containers for item in each.get("ports") or ()}
    return isinstance(port, int) or port in names
