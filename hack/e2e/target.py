"""Which cluster is used, and whether it may be: decided from names and an address, without it.

The run installs, kills and removes. So a cluster is used by itself only if a local tool made it;
any other has to be named, and one whose name says production is never used.
"""

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from hack.e2e.errors import Refused

LOCAL_TOOLS: Final = ("kind", "k3d", "minikube", "docker-desktop", "rancher-desktop", "colima")
"""Their contexts are called so, or begin so with a hyphen after it."""

_NEAR: Final = tuple(
    map(
        ipaddress.ip_network,
        ("127.0.0.0/8", "::1/128", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"),
    )
)
"""This machine, and private networks (RFC 1918, RFC 4193)."""

_PRODUCTION: Final = re.compile(r"(?<![a-z])(prod|production|prd|live)(?![a-z])", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Target:
    """A context of the kubeconfig.

    Attributes:
        context: Its name.
        cluster: Name of its cluster in the kubeconfig.
        server: Address of its API server.
    """

    context: str
    cluster: str
    server: str

    @property
    def tool(self) -> str | None:
        """The local tool that made the cluster, by the context's name; None: no known one."""
        for tool in LOCAL_TOOLS:
            if self.context == tool or self.context.startswith(f"{tool}-"):
                return tool
        return None


def chosen(kubeconfig: Mapping[str, Any], named: str) -> Target:
    """Return the context to use: the named one, else the current one.

    Args:
        kubeconfig: As ``kubectl config view --output json`` prints it.
        named: E2E_CONTEXT; empty: not set.

    Raises:
        Refused: There is no such context, it is incomplete, or it may not be used.
    """
    contexts = {
        entry["name"]: entry.get("context") or {} for entry in kubeconfig.get("contexts") or ()
    }
    current = kubeconfig.get("current-context") or ""
    wanted = named or current
    if not contexts:
        raise Refused(
            "no cluster: the kubeconfig has no context. Let KUBECONFIG name one, or make one: "
            "kind create cluster --config kind-config.yaml"
        )
    if wanted not in contexts:
        what = f"E2E_CONTEXT={named}" if named else f"current-context {current or '(none)'}"
        raise Refused(
            f"{what}: the kubeconfig has no such context. It has {', '.join(sorted(contexts))}: "
            "set E2E_CONTEXT to one of them."
        )
    cluster = contexts[wanted].get("cluster", "")
    servers = {
        entry["name"]: (entry.get("cluster") or {}).get("server", "")
        for entry in kubeconfig.get("clusters") or ()
    }
    target = Target(wanted, cluster, servers.get(cluster, ""))
    reason = refusal(target, named)
    if reason is not None:
        raise Refused(reason)
    return target


def refusal(target: Target, named: str) -> str | None:
    """Return why a cluster may not be used; None: it may.

    Args:
        target: What the kubeconfig says of it.
        named: E2E_CONTEXT; empty: not set.
    """
    seen = f"context {target.context} (cluster {target.cluster}, {target.server or 'no server'})"
    if not target.server:
        return f"{seen}: the kubeconfig names no API server for it. Repair the kubeconfig."
    host = urlsplit(target.server).hostname or ""
    for what, text in (("context", target.context), ("cluster", target.cluster), ("host", host)):
        word = _PRODUCTION.search(text)
        if word is not None:
            return (
                f"{seen}: the {what}'s name says {word[0]!r}, so it is taken for production and "
                "never used. Use another cluster; if it is none, give the context another name in "
                "a copy of the kubeconfig."
            )
    if named == target.context:
        return None
    fix = (
        "The run installs, kills and removes things there. If that is what you want, say so: "
        f"E2E_CONTEXT={target.context}"
    )
    if target.tool is None:
        tools = ", ".join(LOCAL_TOOLS)
        return f"{seen}: its name is not that of a local tool ({tools}). {fix}"
    if not near(host):
        return (
            f"{seen}: it is called as {target.tool} calls clusters on this machine, but {host} is "
            f"not an address of this machine or of a private network. {fix}"
        )
    return None


def near(host: str) -> bool:
    """Whether a host is this machine or of a private network, by its address or name alone."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host in ("localhost", "host.docker.internal", "kubernetes.docker.internal")
    return any(address in network for network in _NEAR)
