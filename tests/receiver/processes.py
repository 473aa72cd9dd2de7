"""``licenseusage receiver`` in a process of its own."""

import json
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

LICENSEUSAGE = Path(sys.executable).parent / "licenseusage"


def _limit_files(size: int) -> None:
    """Let the disk be full for every file that would grow beyond a size."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


class Process:
    """A running receiver."""

    def __init__(
        self, tmp_path: Path, keys: Path, *arguments: str | Path, max_file_bytes: int | None = None
    ) -> None:
        database = f"sqlite:///{tmp_path / 'receiver.sqlite'}"
        command = [LICENSEUSAGE, "receiver", "--keys", keys, "--database-url", database]
        self.log = tmp_path / "log"
        self._process = subprocess.Popen(
            [*command, *arguments],
            env={"PATH": "/usr/bin", "LICENSEUSAGE_RECEIVER_ADDRESS": "127.0.0.1:0"},
            stdout=subprocess.PIPE,
            stderr=self.log.open("w"),
            text=True,
            preexec_fn=None if max_file_bytes is None else partial(_limit_files, max_file_bytes),
        )
        line = self._process.stdout.readline()
        found = re.match(r"receiver: (https?://127\.0\.0\.1:\d+)/ ", line)
        assert found, line + self.log.read_text()
        self.url = found[1]
        self.port = int(self.url.rpartition(":")[2])

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def lines(self) -> list[dict]:
        """What it has logged so far."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def await_line(self, said: Callable[[dict], bool]) -> dict:
        """Return the first line of the log of which that is true, once there is one."""
        deadline = time.monotonic() + 20
        while not (found := [line for line in self.lines if said(line)]):
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.02)
        return found[0]

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        self._process.send_signal(how)
        code = self._process.wait(timeout=20)
        self._process.stdout.close()
        return code
