"""A server on loopback, which can be killed and started again with its data."""

import ctypes
import os
import shutil
import signal
import subprocess
import time
from abc import ABC, abstractmethod
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

from hack.controlplane.processes import free_port

NOBODY = 65534
"""User and group of servers that refuse to run as root, where the tests do."""
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


class Server(ABC):
    """A server whose data live in ``folder``; a context manager.

    Attributes:
        NAME: What messages call it.
        READY: What it logs when it listens.
        STOP: The signal that asks it to end.
        END: The signal that ends it at once, when its context or its parent ends.
        AS_NOBODY: It refuses to run as root, and is another user's where the tests are root's.
        port: On 127.0.0.1; the same after a restart.
    """

    NAME: ClassVar[str]
    READY: ClassVar[bytes]
    STOP: ClassVar[signal.Signals] = signal.SIGTERM
    END: ClassVar[signal.Signals] = signal.SIGKILL
    AS_NOBODY: ClassVar[bool] = False

    def __init__(self, folder: Path, program: Path | None) -> None:
        """Prepare.

        Args:
            folder: For data, configuration and log.
            program: The server's program; None: the one that is found, or built.
        """
        self._folder, self._program = folder, program
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        self._user = NOBODY if self.AS_NOBODY and os.geteuid() == 0 else None
        if self._user is not None:
            shutil.chown(folder, self._user, self._user)

    @abstractmethod
    def _command(self, program: Path | None) -> list[str]:
        """Return the program, and what it is started with; raise `NoProgram`."""

    @property
    def log(self) -> str:
        """What the server has said."""
        return (self._folder / "server.log").read_text("utf-8", errors="replace")

    def start(self) -> Self:
        """Start it and wait until it listens."""
        command = self._command(self._program)
        path = self._folder / "server.log"
        earlier_bytes = path.stat().st_size if path.exists() else 0
        with path.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=None if self._user is None else self._folder,
                user=self._user,
                group=self._user,
                preexec_fn=partial(_die_with_parent, self.END),
            )
        deadline = time.monotonic() + 30
        while self.READY not in path.read_bytes()[earlier_bytes:]:
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{self.NAME} did not start:\n{self.log[-3000:]}")
            time.sleep(0.02)
        return self

    def stop(self, *, kill: bool = False) -> None:
        """End it, by SIGKILL if so wanted; again is harmless."""
        self._end(signal.SIGKILL if kill else self.STOP)

    def _end(self, by: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(by)
            self._process.wait()
            self._process = None

    def __enter__(self) -> Self:
        """Start it."""
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End it."""
        self._end(self.END)


def _die_with_parent(by: signal.Signals) -> None:
    _libc.prctl(_PR_SET_PDEATHSIG, by)
