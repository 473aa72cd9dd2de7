"""What the caller wants: variables of `make e2e`, and the arguments in ARGS."""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hack.e2e.errors import Refused
from hack.e2e.image import Image

WAYS: Final = ("overlay", "chart")
_HELP: Final = """\
Install, use, kill, upgrade and remove operator and receiver on the cluster of KUBECONFIG.

E2E_CONTEXT names the context (needed unless a local tool made the cluster). IMAGE names the image.
E2E_BUILD and E2E_LOAD are commands that make it and bring it to the nodes; for clusters of kind,
k3d and minikube they are known. Exit codes: 0 all is true; 1 something is not; 2 refused, nothing
was changed; 3 a program or the cluster is missing.
"""


@dataclass(frozen=True, slots=True)
class Settings:
    """The wishes.

    Attributes:
        context: E2E_CONTEXT; empty: the current one.
        image: The image that is tried.
        image_given: Whether somebody has named it.
        supply: E2E_BUILD and E2E_LOAD, where set.
        ways: Of `WAYS`, in the order in which they are gone.
        from_tree: Checkout of the release that is installed first; None: this one.
        from_image: Its image; None: `image`.
        keep: Leave everything in the cluster, also after a failure.
        clean: Only remove what an earlier run left.
        json: Print the result as a document.
        evidence: Folder for what was seen when a step failed.
    """

    context: str
    image: Image
    image_given: bool
    supply: Mapping[str, str]
    ways: tuple[str, ...]
    from_tree: Path | None
    from_image: Image | None
    keep: bool
    clean: bool
    json: bool
    evidence: Path


def read(arguments: Sequence[str], variables: Mapping[str, str], root: Path) -> Settings:
    """Read arguments and environment.

    Args:
        arguments: Of the command line.
        variables: The environment.
        root: The repository.

    Raises:
        Refused: A value is wrong.
        SystemExit: argparse has said why.
    """
    parser = argparse.ArgumentParser(
        prog="make e2e", description=_HELP, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", choices=WAYS, help="one way of installing; else both")
    parser.add_argument("--from-tree", type=Path, help="checkout of the release to upgrade from")
    parser.add_argument("--from-image", help="its image, which the cluster has or can pull")
    parser.add_argument("--keep", action="store_true", help="remove nothing at the end")
    parser.add_argument("--clean", action="store_true", help="only remove an earlier run's remains")
    parser.add_argument("--output", choices=("text", "json"), default="text")
    parser.add_argument("--evidence", type=Path, default=root / "build" / "e2e")
    given = parser.parse_args(arguments)
    if (given.from_tree is None) != (given.from_image is None):
        raise Refused("--from-tree and --from-image go together: manifests and image of a release")
    if given.from_tree is not None and not (given.from_tree / "manifests" / "base").is_dir():
        raise Refused(f"--from-tree {given.from_tree}: there is no manifests/base in it")
    if given.keep and given.only is None:
        raise Refused("--keep needs --only overlay or --only chart: two installations do not fit")
    return Settings(
        context=variables.get("E2E_CONTEXT", ""),
        image=Image.parse(variables.get("IMAGE") or "licenseusage:dev"),
        image_given=bool(variables.get("IMAGE")),
        supply={n: variables[n] for n in ("E2E_BUILD", "E2E_LOAD") if n in variables},
        ways=WAYS if given.only is None else (given.only,),
        from_tree=None if given.from_tree is None else given.from_tree.resolve(),
        from_image=None if given.from_image is None else Image.parse(given.from_image),
        keep=given.keep,
        clean=given.clean,
        json=given.output == "json",
        evidence=given.evidence,
    )
