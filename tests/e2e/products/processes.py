"""A product as a process: on a leash, in a folder that is removed, ready when it is returned."""

import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from hack.demo.children import Children
from tests.e2e.loopback import client

_PATIENCE_SECONDS = 120
"""A loaded machine takes ten times as long as an idle one."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a product runs.

    Attributes:
        folder: For its data; removed at the end.
        children: Its processes; they end at the end, or when this process dies.
    """

    folder: Path
    children: Children

    @property
    def environment(self) -> dict[str, str]:
        """The folder is home, and nothing of the reader's shell is seen."""
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "TMPDIR": str(self.folder),
            "LANG": "C.UTF-8",
            "TZ": "UTC",
        }

    def start(self, name: str, argv: Sequence[str], env: Mapping[str, str] | None = None) -> None:
        """Start a program; its output is kept until the end."""
        self.children.start(name, argv, self.environment | dict(env or {}))

    def run(self, argv: Sequence[str]) -> str:
        """Run a program to its end and return what it printed."""
        done = subprocess.run(argv, env=self.environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def until(self, name: str, ready: Callable[[], bool]) -> None:
        """Wait for a program that was started.

        Raises:
            ChildDied: It ended.
            AssertionError: It is not ready in time; with its last words.
        """
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not ready():
            self.children.check()
            assert time.monotonic() < deadline, self.children.tail(name)
            time.sleep(0.1)


@contextmanager
def place() -> Iterator[Place]:
    """A new folder and no process yet; neither is left at the end."""
    with tempfile.TemporaryDirectory(prefix="licenseusage-product-") as folder:
        with Children(Path(folder)) as children:
            yield Place(Path(folder), children)


def answers(port: int, path: str) -> Callable[[], bool]:
    """Tells whether a GET answers 200."""
    asking = client(port)

    def ready() -> bool:
        try:
            return asking.get(path).status_code == 200
        except httpx.HTTPError:
            return False

    return ready
