"""The running processes of one control plane, in one folder, behind one guard."""

import json
import os
import select
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import IO, Final

from hack.controlplane import guard
from hack.controlplane.errors import ControlPlaneError

GO_GARBAGE_PERCENT: Final = "400"
"""How much garbage Go's servers let pile up, in percent of what lives; 100 without us.

A fifth of their processor time went into looking for it, at some 300 MB of memory.
"""


class PortTaken(ControlPlaneError):
    """Somebody else took the port between our asking for a free one and its use."""


class Processes:
    """Programs that write into ``folder`` and end, with it, when this process does.

    Attributes:
        folder: A new temporary folder, removed by `stop` or when this process is gone.
    """

    folder: Path

    def __init__(self) -> None:
        """Make the folder and start the guard; no program runs yet."""
        self.folder = Path(tempfile.mkdtemp(prefix="licenseusage-controlplane-"))
        self._guard = subprocess.Popen(
            # Isolated (-I), without site (-S): starts in milliseconds and imports nothing of ours.
            [sys.executable, "-I", "-S", guard.__file__, str(self.folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={"GOGC": GO_GARBAGE_PERCENT, **os.environ},
            # Ctrl-C in a terminal goes to all in the foreground; the parent decides when to end.
            start_new_session=True,
            cwd="/",
        )

    def start(self, name: str, program: Path, *flags: str) -> None:
        """Start ``program``; its output goes to the log ``name``."""
        command = {"argv": [str(program), *flags], "log": str(self._log(name))}
        pipe = _pipe(self._guard.stdin)
        try:
            pipe.write(json.dumps(command).encode() + b"\n")
            pipe.flush()
        except BrokenPipeError as error:
            raise ControlPlaneError(f"{name} cannot be started: its guard has ended") from error

    def check(self, name: str) -> None:
        """Raise if a program has ended by itself.

        Raises:
            PortTaken: Because its port was not free.
            ControlPlaneError: With the end of the log ``name``.
        """
        readable, _, _ = select.select([_pipe(self._guard.stdout)], [], [], 0)
        if not readable and self._guard.poll() is None:
            return
        tail = self.log_tail(name)
        kind = PortTaken if "address already in use" in tail else ControlPlaneError
        raise kind(f"{name} ended by itself. The end of its log:\n{tail}")

    def stop(self) -> None:
        """Kill the programs and remove the folder; again is harmless."""
        _pipe(self._guard.stdin).close()
        self._guard.wait()
        _pipe(self._guard.stdout).close()
        shutil.rmtree(self.folder, ignore_errors=True)  # in case somebody killed the guard

    def log_tail(self, name: str, lines: int = 20) -> str:
        """Return the last lines of the log ``name``."""
        try:
            text = self._log(name).read_text(errors="replace")
        except FileNotFoundError:
            return "(none)"
        return "\n".join(text.splitlines()[-lines:]) or "(empty)"

    def _log(self, name: str) -> Path:
        return self.folder / f"{name}.log"


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that nobody listens on at the moment."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    if pipe is None:
        raise AssertionError("the guard was started with pipes")
    return pipe
