"""One running NATS server on loopback, which can be killed and started again with its streams."""

import ctypes
import json
import signal
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from hack.nats.program import find

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


class NatsServer:
    """A server whose streams live in ``folder``; a context manager.

    Attributes:
        port: On 127.0.0.1; the same after a restart.
    """

    def __init__(self, folder: Path, *, program: Path | None = None, **config: Any) -> None:  # noqa: ANN401
        """Prepare.

        Args:
            folder: For streams, configuration and log.
            program: nats-server; None: the one that is found or built.
            config: Members of the server's configuration, beside its address and ``jetstream``
                (``jetstream=None`` switches that off).
        """
        self._folder, self._program = folder, program
        self.port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None
        settings = {
            "host": "127.0.0.1",
            "port": self.port,
            "jetstream": {"store_dir": str(folder / "streams")},
            **config,
        }
        folder.mkdir(parents=True, exist_ok=True)
        self._config = folder / "server.conf"
        # The configuration's own format takes JSON.
        kept = {name: value for name, value in settings.items() if value is not None}
        self._config.write_text(json.dumps(kept, indent=1), encoding="utf-8")

    @property
    def log(self) -> str:
        """What the server has said."""
        return (self._folder / "server.log").read_text("utf-8", errors="replace")

    def start(self) -> Self:
        """Start it and wait until it listens."""
        program = self._program if self._program is not None else find()
        path = self._folder / "server.log"
        earlier_bytes = path.stat().st_size if path.exists() else 0
        with path.open("ab") as log:
            self._process = subprocess.Popen(
                [str(program), "--config", str(self._config)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=_die_with_parent,
            )
        deadline = time.monotonic() + 30
        while b"Server is ready" not in path.read_bytes()[earlier_bytes:]:
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"nats-server did not start:\n{self.log[-3000:]}")
            time.sleep(0.02)
        return self

    def stop(self, *, kill: bool = False) -> None:
        """End it, by SIGKILL if so wanted; again is harmless."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL if kill else signal.SIGTERM)
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
        self.stop(kill=True)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _die_with_parent() -> None:
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
