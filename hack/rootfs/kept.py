"""Roots that are kept by a digest of what they were made of; one build at a time."""

import fcntl
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hack.rootfs.base import Base

_MOST = 12
_PERHAPS_IN_USE_SECONDS = 3600.0


class Kept:
    """The folder of them: ``licenseusage/rootfs`` in the user's cache."""

    def __init__(self, folder: Path, base: Base) -> None:
        """Use ``folder``, which exists; every stage begins with ``base``."""
        self._folder, self._base = folder, base

    @classmethod
    @contextmanager
    def opened(cls, base: Base) -> "Iterator[Kept]":
        """Wait until no other build uses it; tidy up afterwards."""
        cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        folder = Path(cache) / "licenseusage" / "rootfs"
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            kept = cls(folder, base)
            try:
                yield kept
            finally:
                kept._tidy()

    def has(self, key: str) -> bool:
        """Whether a root is kept."""
        return self._path(key).exists()

    def root(self, key: str) -> Path:
        """Return a root that is kept; it counts as used now."""
        os.utime(self._path(key))
        return self._path(key)

    def work(self, key: str | None) -> Path:
        """Return a root to work on: a copy of one that is kept, or what every stage begins with."""
        root = Path(tempfile.mkdtemp(prefix="work-", dir=self._folder))
        root.chmod(0o755)
        if key is None:
            self._base.lay(root)
        else:
            copy_tree(self.root(key), root)
        return root

    def keep(self, root: Path, key: str) -> None:
        """Keep what was worked on."""
        root.rename(self._path(key))

    def _path(self, key: str) -> Path:
        return self._folder / f"root-{key[:32]}"

    def _tidy(self) -> None:
        """Remove what a failed build left, and old roots: not the newest, nor any in use."""
        for work in self._folder.glob("work-*"):
            shutil.rmtree(work)
        roots = sorted(self._folder.glob("root-*"), key=lambda path: path.stat().st_mtime)
        for root in roots[:-_MOST]:
            if time.time() - root.stat().st_mtime > _PERHAPS_IN_USE_SECONDS:
                shutil.rmtree(root)


def copy_tree(source: Path, target: Path) -> None:
    """Copy what a folder holds into another, with modes, times and links as they are."""
    target.mkdir(parents=True, exist_ok=True)
    subprocess.run(["cp", "-a", "--reflink=auto", f"{source}/.", str(target)], check=True)
