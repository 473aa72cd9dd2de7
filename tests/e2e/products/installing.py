"""Real products in the user's cache: installed by ``make products``, never by a test.

Each has a folder whose name holds the digest of what was asked for, so that another version is
another folder, and none of them is in the project's own environment.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hack.controlplane.binaries import cache_folder

_READY = ".installed"


class NotInstalled(Exception):
    """A product is not there, or cannot be installed here; the message says what helps."""


@dataclass(frozen=True, slots=True)
class Installation:
    """A product and how it comes into the cache.

    Attributes:
        name: Of the product.
        asked_for: The files that say which versions are installed, and how.
        install: Fills the folder that it is given; raises `NotInstalled`.
    """

    name: str
    asked_for: tuple[Path, ...]
    install: Callable[[Path], None]

    @property
    def folder(self) -> Path:
        """Where it is, or will be."""
        digest = hashlib.sha256(b"\0".join(path.read_bytes() for path in self.asked_for))
        products = cache_folder(os.environ).parent / "products"
        return products / f"{self.name}-{digest.hexdigest()[:16]}"

    def find(self) -> Path:
        """Return its folder.

        Raises:
            NotInstalled: It is not in the cache.
        """
        if not (self.folder / _READY).exists():
            raise NotInstalled(f"{self.name} is not installed: make products")
        return self.folder

    def prepare(self) -> Path:
        """Return its folder, and fill it the first time.

        Raises:
            NotInstalled: It cannot be installed here.
        """
        folder = self.folder
        folder.parent.mkdir(parents=True, exist_ok=True)
        with (folder.parent / f"{self.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if (folder / _READY).exists():
                return folder
            # Not beside and renamed: environments hold their own path. What an interrupted
            # installation left has no mark, and is removed by the next one.
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            self.install(folder)
            (folder / _READY).touch()
        return folder


def run(
    argv: Sequence[str], *, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> str:
    """Run one step of an installation and return what it printed.

    Raises:
        NotInstalled: There is no such program, or it failed; the message has its last words.
    """
    program = shutil.which(argv[0])
    if program is None:
        raise NotInstalled(f"there is no {argv[0]} in PATH")
    done = subprocess.run(
        [program, *argv[1:]],
        cwd=cwd,
        env={**os.environ, **(env or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode != 0:
        raise NotInstalled(f"{' '.join(argv)} failed:\n{(done.stdout + done.stderr)[-2000:]}")
    return done.stdout
