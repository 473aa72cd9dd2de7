"""The demo's processes: started on a leash, watched, and all gone when the demo is."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Self

from hack.demo import leash


class ChildDied(Exception):
    """A process that should still run has ended; the message holds the last lines of its log."""


class Children(AbstractContextManager["Children"]):
    """Processes by name; leaving the ``with`` block ends them all, last started first."""

    def __init__(self, folder: Path) -> None:
        """Keep one log per process in ``folder``."""
        self._folder = folder
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, argv: Sequence[str], env: Mapping[str, str]) -> None:
        """Start ``argv`` in the repository's folder; its output goes to ``log(name)``."""
        self._running[name] = subprocess.Popen(
            [sys.executable, "-I", "-S", leash.__file__, str(self.log(name)), *argv],
            stdin=subprocess.PIPE,
            env=dict(env),
            # Out of the terminal's group: Ctrl-C reaches the demo alone, which ends them in order.
            start_new_session=True,
        )

    def check(self) -> None:
        """Raise `ChildDied` if one of them has ended."""
        for name, process in self._running.items():
            if (code := process.poll()) is not None:
                raise ChildDied(f"{name} ended by itself (exit {code}):\n{self.tail(name)}")

    def log(self, name: str) -> Path:
        """Return the file that holds the output of ``name``."""
        return self._folder / f"{name}.log"

    def tail(self, name: str, lines: int = 15) -> str:
        """Return the last lines of a log, each cut to a readable width."""
        try:
            text = self.log(name).read_text(errors="replace")
        except FileNotFoundError:
            return "(no log)"
        return os.linesep.join(line[:400] for line in text.splitlines()[-lines:]) or "(empty log)"

    def __enter__(self) -> Self:
        """Nothing runs yet."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End all of them, and wait until they are gone."""
        for process in self._running.values():
            if process.stdin is not None:
                process.stdin.close()
        for process in reversed(self._running.values()):
            process.wait()
