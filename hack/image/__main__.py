"""``python -m hack.image``: the image as an archive, its SBOM, and its size; no container runtime.

``archive`` needs the base's root file system as a tar archive, such as of ``docker export`` or of
``mmdebstrap``; ``sbom`` and ``size`` need none.
"""

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from hack.controlplane.progress import Progress
from hack.image import archive, layers
from hack.image.arguments import ROOT, arguments, default_base, epoch
from hack.rootfs import Image, NoContainers, build
from hack.rootfs.base import HOST, Base, Tarball, digest_of
from hack.rootfs.build import StepFailed
from hack.rootfs.dockerfile import NotUnderstood

DOCKERFILE = ROOT / "operator" / "Dockerfile"
SBOM = "opt/licenseusage/sbom.cdx.json"
_MEGABYTE = 1_000_000


class Refused(Exception):
    """What was given cannot be used; the message says what to give."""


def main() -> int:
    """Do one of them; 0 if that went well, 2 if it was refused, 3 if nothing can be built here."""
    given = _parser().parse_args()
    progress = Progress(about="image")
    try:
        return int(given.work(given, progress) or 0)
    except (Refused, layers.NotALayer) as refused:
        print(f"error: {refused}", file=sys.stderr)
        return 2
    except (NoContainers, StepFailed, NotUnderstood) as failed:
        print(f"error: operator/Dockerfile: {failed}", file=sys.stderr)
        return 3


def checked_base(file: Path, digest: str, *, release: bool) -> tuple[Tarball, str]:
    """Return the base, and what the image says of it.

    Args:
        file: A tar archive.
        digest: What it must have, ``sha256:…``; "": any.
        release: Whether there must be one.

    Raises:
        Refused: There is no such file, it is another one, or a release has no digest.
    """
    if not file.is_file():
        raise Refused(f"BASE_ROOT={file} is no file: give the base's root file system as a tar")
    seen = digest_of(file)
    if digest and digest != seen:
        raise Refused(f"BASE_ROOT={file} has the digest {seen}, wanted is {digest}")
    if release and not digest:
        raise Refused(f"the base is not pinned; a release must be: give BASE_DIGEST={seen}")
    return Tarball(file), f"{file.name}@{seen}"


def _archive(given: argparse.Namespace, progress: Progress) -> None:
    base, named = checked_base(given.base, given.base_digest, release=given.release)
    if not given.base_digest:
        progress.say(f"the base is not pinned by a digest; it is {named}")
    seconds = epoch(os.environ)
    image = _built(progress, base, arguments(given.base_name or named, given.source, os.environ))
    version = image.labels["org.opencontainers.image.version"]
    given.output.mkdir(parents=True, exist_ok=True)
    stem = given.output / f"licenseusage-{version}-linux-{archive.architecture()}"
    file = stem.with_name(f"{stem.name}.oci.tar")
    with tempfile.TemporaryDirectory(dir=given.output) as folder:
        with progress.step("layers are packed"):
            below = layers.of_tarball(given.base, Path(folder) / "base")
            ours = layers.of_tree(image.root, image.copied, seconds, Path(folder) / "ours")
        digest = archive.write(image, [below, ours], given.name, seconds, file)
    shutil.copy(image.root / SBOM, stem.with_name(f"{stem.name}.cdx.json"))
    progress.say(f"{_megabytes(below.size)} of the base, {_megabytes(ours.size)} ours, compressed")
    progress.say(f"{given.name} is {digest}")
    print(file)


def _sbom(given: argparse.Namespace, progress: Progress) -> None:
    given.output.mkdir(parents=True, exist_ok=True)
    file = given.output / "sbom.cdx.json"
    shutil.copy(_built(progress, HOST, {}).root / SBOM, file)
    print(file)


def _size(given: argparse.Namespace, progress: Progress) -> None:
    image = _built(progress, HOST, {})
    with tempfile.TemporaryDirectory() as folder:
        layer = layers.of_tree(image.root, image.copied, 0, Path(folder) / "layer")
    print(f"{'our layer, compressed':40} {_megabytes(layer.size):>9}")
    (packages,) = (image.root / "opt/licenseusage/lib").glob("python3*/site-packages")
    sizes = {path.name: _weight(path) for path in packages.iterdir()}
    print(f"{'unpacked':40} {_megabytes(sum(sizes.values())):>9}")
    for name, size in sorted(sizes.items(), key=lambda item: -item[1])[:12]:
        print(f"  {name:38} {_megabytes(size):>9}")


def _built(progress: Progress, base: Base, given: Mapping[str, str]) -> Image:
    return build(ROOT, DOCKERFILE, progress, base=base, arguments=given)


def _weight(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.lstat().st_size for file in files if file.is_file())


def _megabytes(size: int) -> str:
    return f"{size / _MEGABYTE:.1f} MB"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m hack.image", description=__doc__)
    commands = parser.add_subparsers(required=True)
    packed = commands.add_parser("archive", help="write an OCI archive, and the SBOM beside it")
    packed.add_argument(
        "--base", type=Path, required=True, help="tar of the base's root file system"
    )
    packed.add_argument("--base-digest", default="", help="sha256:… that it must have")
    packed.add_argument("--base-name", default="", help=f"its name, such as {default_base()}")
    packed.add_argument("--source", default="", help="URL of the repository, for the label")
    packed.add_argument("--release", action="store_true", help="refuse a base without a digest")
    packed.add_argument("--name", default="licenseusage:dev", help="of the image")
    packed.set_defaults(work=_archive)
    commands.add_parser("sbom", help="write what is in the image").set_defaults(work=_sbom)
    commands.add_parser("size", help="say what the image's layer weighs").set_defaults(work=_size)
    for command in commands.choices.values():
        command.add_argument("--output", type=Path, default=ROOT / "build", help="folder")
    return parser


if __name__ == "__main__":
    sys.exit(main())
