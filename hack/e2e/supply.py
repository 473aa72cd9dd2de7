"""How the image comes to the cluster: built and loaded, loaded, or there already."""

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from hack.e2e.errors import Failed, Refused
from hack.e2e.image import Image
from hack.e2e.target import Target

_LOADERS: Final = {
    "kind": 'kind load docker-image "$IMAGE" --name "$CLUSTER"',
    "k3d": 'k3d image import "$IMAGE" --cluster "$CLUSTER"',
    "minikube": 'minikube image load "$IMAGE"',
}


@dataclass(frozen=True, slots=True)
class Supply:
    """Commands of a shell, with IMAGE, CLUSTER and E2E_CONTEXT in their environment.

    Attributes:
        build: Makes the image; None: it is made.
        load: Brings it to the cluster's nodes; None: they have it, or pull it.
    """

    build: str | None
    load: str | None


def decided(target: Target, variables: Mapping[str, str], *, image_given: bool) -> Supply:
    """Return what has to be done for a cluster.

    Args:
        target: The cluster.
        variables: E2E_BUILD and E2E_LOAD, where they are set; empty: nothing is to be done.
        image_given: Whether somebody has named the image.

    Raises:
        Refused: Nobody has said where the image comes from.
    """
    loader = _LOADERS.get(target.tool or "")
    load = variables.get("E2E_LOAD", loader)
    build = variables.get("E2E_BUILD", None if image_given or loader is None else "make image")
    if load is None and not image_given:
        raise Refused(
            f"context {target.context}: where does its image come from? Name one that the cluster "
            "has or can pull (IMAGE=registry.example.org/licenseusage:0.1.0), or a command that "
            "brings it there (E2E_LOAD='… \"$IMAGE\"')."
        )
    return Supply(build or None, load or None)


def bring(supply: Supply, target: Target, image: Image) -> None:
    """Do it; the commands' output is shown as they run.

    Raises:
        Failed: A command failed.
    """
    cluster = target.context.removeprefix(f"{target.tool}-") if target.tool else target.cluster
    given = {"IMAGE": str(image), "CLUSTER": cluster, "E2E_CONTEXT": target.context}
    for name, command in (("E2E_BUILD", supply.build), ("E2E_LOAD", supply.load)):
        if command is None:
            continue
        done = subprocess.run(
            ["/bin/sh", "-c", command],
            env={**os.environ, **given},
            stdin=subprocess.DEVNULL,
            stdout=2,  # standard output is for the result
            check=False,
        )
        if done.returncode != 0:
            raise Failed(f"{name}, {command}: exit code {done.returncode} (its words are above)")
