"""Which connections NetworkPolicies leave open, by the rules of Kubernetes.

There is no network here that enforces them. What they mean is the same everywhere: a pod that no
policy selects in a direction is open in it; any rule of any policy that selects it opens more.
"""

from dataclasses import dataclass, field
from typing import Any

Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Pod:
    """One end of a connection.

    Attributes:
        namespace: Its name; empty: an address outside the cluster.
        labels: The pod's.
        namespace_labels: Of its namespace, without the one that Kubernetes adds.
        ports: Numbers of its named ports.
    """

    namespace: str
    labels: dict[str, str] = field(default_factory=dict)
    namespace_labels: dict[str, str] = field(default_factory=dict)
    ports: dict[str, int] = field(default_factory=dict)


def allowed(policies: list[Object], source: Pod, target: Pod, port: int, kind: str = "TCP") -> bool:
    """Say whether ``source`` may open a connection to a port of ``target``."""
    return _open(policies, "Egress", source, target, target, port, kind) and _open(
        policies, "Ingress", target, source, target, port, kind
    )


def _open(
    policies: list[Object], way: str, of: Pod, other: Pod, target: Pod, port: int, kind: str
) -> bool:
    selecting = [
        policy
        for policy in policies
        if of.namespace == policy["metadata"]["namespace"]
        and way in policy["spec"]["policyTypes"]
        and _selects(policy["spec"]["podSelector"], of.labels)
    ]
    if not selecting:
        return True
    side = "to" if way == "Egress" else "from"
    return any(
        _ports(rule, target, port, kind) and _peers(rule, side, other, policy)
        for policy in selecting
        for rule in policy["spec"].get(way.lower(), ())
    )


def _ports(rule: Object, target: Pod, port: int, kind: str) -> bool:
    return "ports" not in rule or any(
        each.get("protocol", "TCP") == kind and target.ports.get(each["port"], each["port"]) == port
        for each in rule["ports"]
    )


def _peers(rule: Object, side: str, other: Pod, policy: Object) -> bool:
    return side not in rule or any(_peer(peer, other, policy) for peer in rule[side])


def _peer(peer: Object, other: Pod, policy: Object) -> bool:
    if not other.namespace or "ipBlock" in peer:
        return not other.namespace and "ipBlock" in peer
    if "namespaceSelector" in peer:
        labels = {"kubernetes.io/metadata.name": other.namespace, **other.namespace_labels}
        if not _selects(peer["namespaceSelector"], labels):
            return False
    elif other.namespace != policy["metadata"]["namespace"]:
        return False
    return _selects(peer.get("podSelector", {}), other.labels)


def _selects(selector: Object, labels: dict[str, str]) -> bool:
    for each in selector.get("matchExpressions", ()):
        assert each["operator"] == "In"
        if labels.get(each["key"]) not in each["values"]:
            return False
    return selector.get("matchLabels", {}).items() <= labels.items()
