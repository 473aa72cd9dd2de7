"""What both ways of installing have in common: where the files are, and what the run needs."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import yaml

from hack.e2e.claim import PRODUCT
from hack.e2e.commands import Commands
from hack.e2e.image import Image
from hack.e2e.plan import Plan
from hack.e2e.vendor import LICENSE_SECRET

ROOT: Final = Path(__file__).resolve().parents[2]
OPERATOR_DEPLOYMENT: Final = "licenseusage-operator"
USAGE: Final = "sample"
_FIRST_CYCLE: Final = "--first-cycle="


@dataclass(frozen=True, slots=True)
class Release:
    """One version: a checkout with its manifests, and the image built of it.

    Attributes:
        tree: The checkout's folder.
        image: The image's name.
        revision: Written on the operator's pods, so that another release makes new ones.
    """

    tree: Path
    image: Image
    revision: str


class Way(Protocol):
    """One way to install operator and receiver; the sample product is the same for all."""

    name: str

    def receiver(self, release: Release) -> None:
        """Install the vendor's receiver; its Secrets are there."""

    def operator(self, release: Release) -> None:
        """Install the operator, or upgrade it to another release."""

    def usage(self, release: Release) -> None:
        """Let the operator into the product's namespace, and create the LicenseUsage."""

    def uninstall(self) -> None:
        """Remove the operator as docs/operations.md and docs/install.md say."""


def kustomized(
    commands: Commands,
    folder: Path,
    release: Release,
    resources: Sequence[str],
    more: Mapping[str, Any] | None = None,
) -> list[dict[str, Any]]:
    """Render manifests of a release with its image; return the objects.

    Args:
        commands: kubectl, whose kustomize it is.
        folder: A new folder for a kustomization like that of a user.
        release: The version.
        resources: Folders of the release, such as ``manifests/base``.
        more: Further members of the kustomization; its ``components`` are folders of the release.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # kustomize takes relative names only.
    here = folder.resolve()
    tree = Path(os.path.relpath(release.tree, here))
    members = dict(more or {})
    components = [
        # Of this checkout, if the release is older than the component.
        os.path.relpath((release.tree if (release.tree / name).is_dir() else ROOT) / name, here)
        for name in members.pop("components", ())
    ]
    document = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [str(tree / name) for name in resources],
        "images": [release.image.kustomized(placeholder(release.tree))],
        **({"components": components} if components else {}),
        **members,
    }
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(document, sort_keys=False))
    rendered = commands.kube("kustomize", str(folder))
    return [item for item in yaml.safe_load_all(rendered) if item]


def placeholder(tree: Path) -> str:
    """Return the image's name that manifests/image of a checkout puts in."""
    document = yaml.safe_load((tree / "manifests" / "image" / "kustomization.yaml").read_text())
    entry = document["images"][0]
    name: str = entry.get("newName", entry["name"])
    return name


def without_namespaces(objects: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return objects but for namespaces: the run has made those, and marked them as its own."""
    return [item for item in objects if item["kind"] != "Namespace"]


def product(commands: Commands, folder: Path, release: Release, plan: Plan) -> list[dict[str, Any]]:
    """Return the objects of examples/product, whose people are active in the plan's cycle."""
    objects = without_namespaces(kustomized(commands, folder, release, ["examples/product"]))
    return [since(item, plan) if item["kind"] == "Deployment" else item for item in objects]


def since(deployment: dict[str, Any], plan: Plan) -> dict[str, Any]:
    """Let the sample's people have a cycle that begins with the plan's.

    Raises:
        ValueError: No container of the Deployment makes people.
    """
    makers = deployment["spec"]["template"]["spec"]["initContainers"]
    places = [
        i for maker in makers for i, a in enumerate(maker["args"]) if a.startswith(_FIRST_CYCLE)
    ]
    if len(makers) != 1 or len(places) != 1:
        raise ValueError(f"examples/product: no container has one argument {_FIRST_CYCLE}")
    makers[0]["args"][places[0]] = f"{_FIRST_CYCLE}{plan.anchor.isoformat()}"
    return deployment


def licensed(usage: dict[str, Any]) -> dict[str, Any]:
    """Return manifests/samples/standard's object under a licence, and asked every minute."""
    spec = {k: v for k, v in usage["spec"].items() if k not in ("cycle", "maximumActiveUsers")}
    (source,) = spec["sources"]
    license_ = {"secretRef": {"name": LICENSE_SECRET, "key": "license.jwt"}}
    spec |= {"license": license_, "sources": [{**source, "intervalMinutes": 1}]}
    return {**usage, "metadata": {"name": USAGE, "namespace": PRODUCT}, "spec": spec}
