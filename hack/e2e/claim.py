"""What on the cluster is ours: nothing was there before, and a namespace says who came when.

The namespace is created before anything else and removed after everything else. As a namespace can
be created once only, two runs cannot share a cluster; and as a run begins only where no
installation is, all that is found under our names while that namespace exists is the run's.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from hack.e2e.commands import Commands
from hack.e2e.errors import Failed, Missing, Refused
from hack.e2e.waiting import until

OPERATOR: Final = "licenseusage-system"
RECEIVER: Final = "licenseusage-receiver"
PRODUCT: Final = "sample-product"
NAMESPACES: Final = (OPERATOR, RECEIVER, PRODUCT)
"""As the manifests name them."""

CLAIM: Final = "licenseusage-e2e"
LABEL: Final = "licenseusage.dev/e2e"
"""Of each namespace that a run made."""

_BEGUN: Final = "licenseusage.dev/e2e-begun"
_GROUP: Final = "licenseusage.dev"
_CLUSTER_KINDS: Final = ("clusterrolebindings", "clusterroles")
_REMOVED_SECONDS: Final = 240


@dataclass(frozen=True, slots=True)
class Found:
    """What a look at the cluster found under the names that an installation has.

    Attributes:
        claim: When another run began, as it wrote; None: there is none.
        namespaces: Names of namespaces, with whether a run has made them.
        others: CustomResourceDefinitions, ClusterRoles and ClusterRoleBindings, as ``kind/name``.
    """

    claim: str | None
    namespaces: dict[str, bool]
    others: tuple[str, ...]


def objection(seen: Found) -> str | None:
    """Return why a run may not begin here; None: it may."""
    if seen.claim is not None:
        return (
            f"namespace {CLAIM}: another run began at {seen.claim}. If it runs no more, remove "
            "what it left: make e2e ARGS=--clean"
        )
    there = [f"namespace/{name}" for name in seen.namespaces] + list(seen.others)
    if there:
        shown = ", ".join(there[:6]) + (f" and {len(there) - 6} more" if len(there) > 6 else "")
        return (
            f"something is installed already: {shown}. The run would upgrade and remove it. Use "
            "another cluster, or remove the installation first (docs/operations.md, Remove)."
        )
    return None


def foreign(seen: Found) -> list[str]:
    """Return the namespaces that stand under our names but were not made by a run."""
    return sorted(name for name, ours in seen.namespaces.items() if not ours)


def look(commands: Commands) -> Found:
    """Look what is there.

    Raises:
        Missing: The cluster does not answer.
    """
    try:
        listed = commands.items("namespaces")
    except Failed as error:
        raise Missing(f"the cluster does not answer: {error}") from None
    spaces = {item["metadata"]["name"]: item["metadata"] for item in listed}
    claim = spaces.get(CLAIM)
    return Found(
        None if claim is None else (claim.get("annotations") or {}).get(_BEGUN, "some time"),
        {n: LABEL in (spaces[n].get("labels") or {}) for n in NAMESPACES if n in spaces},
        tuple([*_definitions(commands), *_roles(commands)]),
    )


def take(commands: Commands, now: datetime) -> None:
    """Claim the cluster.

    Raises:
        Missing: The cluster does not answer.
        Refused: Something is installed, or another run is here.
    """
    reason = objection(look(commands))
    if reason is not None:
        raise Refused(reason)
    annotations = {_BEGUN: now.isoformat(timespec="seconds")}
    commands.kube("create", "--filename", "-", stdin=json.dumps(_namespace(CLAIM, annotations)))


def make_namespaces(commands: Commands, names: Sequence[str] = NAMESPACES) -> None:
    """Create the namespaces of the installation, marked as ours, as strict as the manifests' are.

    Created and not applied: one that somebody else has made meanwhile is an error.
    """
    for name in names:
        commands.kube("create", "--filename", "-", stdin=json.dumps(_namespace(name)))


def clean(commands: Commands) -> None:
    """Remove all that a run made; the claim is the last to go.

    Raises:
        Failed: Something is not gone in time, or a namespace under our names was made by others.
    """
    seen = look(commands)
    others = foreign(seen)
    if others:
        named = ", ".join(f"namespace/{name}" for name in others)
        raise Failed(
            f"{named}: not made by a run (label {LABEL} is missing), so nothing is removed. Remove "
            f"by hand what you do not need; then the namespace {CLAIM}."
        )
    gone = ("--ignore-not-found", "--wait=false")
    if seen.namespaces:
        commands.kube("delete", "namespace", *sorted(seen.namespaces), *gone)
    # Definitions after the pods: an operator whose kinds vanish has nothing left to say.
    until(
        lambda: sorted(look(commands).namespaces),
        lambda names: not names,
        "the namespaces of the run are gone",
        seconds=_REMOVED_SECONDS,
    )
    if seen.others:
        commands.kube("delete", *seen.others, *gone)
    until(
        lambda: look(commands).others,
        lambda names: not names,
        "the definitions and roles of the run are gone",
        seconds=_REMOVED_SECONDS,
    )


def release(commands: Commands) -> None:
    """Give the cluster back."""
    commands.kube("delete", "namespace", CLAIM, "--ignore-not-found")


def _definitions(commands: Commands) -> list[str]:
    kind = "customresourcedefinitions"
    names = [item["metadata"]["name"] for item in commands.items(kind)]
    return [f"{kind}/{name}" for name in names if name.endswith(f".{_GROUP}")]


def _roles(commands: Commands) -> list[str]:
    return [
        f"{kind}/{item['metadata']['name']}"
        for kind in _CLUSTER_KINDS
        for item in commands.items(kind)
        if item["metadata"]["name"].startswith("licenseusage-")
    ]


def _namespace(name: str, annotations: dict[str, str] | None = None) -> dict[str, object]:
    labels = {
        LABEL: "true",
        "pod-security.kubernetes.io/enforce": "restricted",
        "pod-security.kubernetes.io/warn": "restricted",
    }
    metadata = {"name": name, "labels": labels, "annotations": annotations or {}}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}
