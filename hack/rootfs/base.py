"""What the Dockerfile begins FROM: the root file system of a base image, or this machine's own.

Of this machine nothing is copied: its programs are mounted, read-only, into a root that holds
little else. So neither its accounts nor anybody's home are in it, only what a slim base image has,
too. That is for tests; an image that is shipped is built on a root file system that is given.
"""

import hashlib
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
_SETTINGS = (
    "/etc/alternatives", "/etc/hosts", "/etc/ld.so.cache", "/etc/nsswitch.conf",
    "/etc/resolv.conf", "/etc/ssl",
)  # fmt: skip
_ACCOUNTS = {
    "passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n",
    "group": "root:x:0:\nnogroup:x:65534:\n",
}
_PYTHON = Path(sys.executable).resolve()  # not the venv's
_COMMANDS = "/opt/base/bin"

CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "PIP_CERT")
"""Variables that name files of certificates; a build's network may need them."""


class Base(Protocol):
    """What a stage begins with."""

    @property
    def path(self) -> str:
        """Where a shell in it finds its commands, ``python`` first."""

    def identity(self) -> str:
        """Return a text that tells one base from another."""

    def mounts(self) -> list[Path]:
        """Return what is mounted into a root, each at its own path, read-only."""

    def lay(self, root: Path) -> None:
        """Make a root of it, with the places of `mounts`."""


class Host:
    """This machine's system and Python."""

    path = f"{_COMMANDS}:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

    def identity(self) -> str:
        """Tell one base from another: the Python, and how roots are made."""
        code = [(Path(__file__).parent / name).read_text() for name in ("base.py", "build.py")]
        return "\0".join([str(_PYTHON), sys.version, *code])

    def mounts(self) -> list[Path]:
        """Return the system's folders, and the few settings that programs need."""
        system = [path for path in map(Path, _SYSTEM) if not path.is_symlink()]
        home = Path(sys.base_prefix).resolve()
        if not home.is_relative_to("/usr"):
            system.append(home)
        return [path for path in (*system, *map(Path, _SETTINGS)) if path.exists()]

    def lay(self, root: Path) -> None:
        """Make an empty root: folders, accounts, links, and the places of `mounts`."""
        for name in ("dev", "etc", "opt", "proc", "tmp", "var/lib", "var/run", "var/tmp"):
            (root / name).mkdir(parents=True)
        for name in ("tmp", "var/tmp"):
            (root / name).chmod(0o1777)
        (root / "run").symlink_to("var/run")
        for name, text in _ACCOUNTS.items():
            (root / "etc" / name).write_text(text)
        _make_places(root, self.mounts())
        for name in _SYSTEM:
            if (path := Path(name)).is_symlink():
                (root / path.relative_to("/")).symlink_to(path.readlink())
        commands = root / _COMMANDS.lstrip("/")
        commands.mkdir(parents=True)
        for name in ("python", "python3", _PYTHON.name):
            (commands / name).symlink_to(_PYTHON)


@dataclass(frozen=True, slots=True)
class Tarball:
    """The root file system of a base image, as ``docker export`` writes it.

    Attributes:
        file: The archive; it may be compressed.
    """

    file: Path
    path: str = "/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"

    def identity(self) -> str:
        """Return the archive's digest."""
        return digest_of(self.file)

    def mounts(self) -> list[Path]:
        """Return what makes the network of this machine work in it."""
        wanted = ["/etc/resolv.conf", "/etc/hosts", *map(os.environ.get, CERTIFICATES)]
        return [Path(name) for name in wanted if name and Path(name).exists()]

    def lay(self, root: Path) -> None:
        """Unpack it, but for its devices."""
        command = ["tar", "--numeric-owner", "--exclude=./dev/*", "--exclude=dev/*"]
        subprocess.run([*command, "-xpf", str(self.file), "-C", str(root)], check=True)
        for name in ("dev", "proc", "tmp"):
            (root / name).mkdir(exist_ok=True)
        _make_places(root, self.mounts())


HOST: Base = Host()


def digest_of(file: Path) -> str:
    """Return ``sha256:`` and the digest of a file, in hexadecimal digits."""
    with file.open("rb") as opened:
        return f"sha256:{hashlib.file_digest(opened, 'sha256').hexdigest()}"


def _make_places(root: Path, mounts: list[Path]) -> None:
    for path in mounts:
        place = root / path.relative_to("/")
        if place.is_symlink():
            place.unlink()
        place.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            place.mkdir(exist_ok=True)
        else:
            place.touch()
