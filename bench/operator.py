"""The real operator as a process that is measured: its start, its processor time and its memory."""

import contextlib
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from hack.controlplane import ControlPlane

MIB = 1024**2
ROOT = Path(__file__).resolve().parent.parent


class MeasuredOperator:
    """``licenseusage operator`` on a control plane, for as long as a ``with`` block."""

    def __init__(
        self,
        plane: ControlPlane,
        folder: Path,
        namespace: str,
        watch: Path | None = None,
        **settings: object,
    ) -> None:
        """Prepare.

        Args:
            plane: The cluster.
            folder: For log and ledger.
            namespace: The operator's own.
            watch: Where a recording of its event loop is written when it ends; None: none is made.
            settings: By the names of the environment, without ``LICENSEUSAGE_``.
        """
        self._log = folder / "operator.log"
        program = [str(Path(sys.executable).parent / "licenseusage")]
        if watch is not None:
            program = [sys.executable, "-m", "bench.loopwatch", str(watch)]
        self._command = [*program, "operator"]
        self._env: Mapping[str, str] = {
            **plane.environment(),
            "LICENSEUSAGE_DATABASE_URL": f"sqlite:///{folder}/ledger.sqlite",
            "LICENSEUSAGE_OPERATOR_NAMESPACE": namespace,
            "LICENSEUSAGE_HTTP_ADDRESS": "127.0.0.1:0",
            **{f"LICENSEUSAGE_{name}": str(value) for name, value in settings.items()},
        }

    def __enter__(self) -> Self:
        """Start it."""
        with self._log.open("wb") as out:
            self._process = subprocess.Popen(  # noqa: S603
                self._command, cwd=ROOT, env=self._env, stdout=out, stderr=out
            )
        self._port = self._listening()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait()

    def await_ready(self) -> None:
        """Return when it says that it is ready."""
        while True:
            with contextlib.suppress(urllib.error.HTTPError):
                urllib.request.urlopen(f"http://127.0.0.1:{self._port}/readyz").close()
                return
            time.sleep(0.02)

    def cpu_seconds(self) -> float:
        """Processor time, its threads included; its workers do nothing while objects are idle."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory_mib(self) -> float:
        """Resident memory of the process without its workers."""
        pages = int(Path(f"/proc/{self._process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / MIB

    def reconciles(self) -> float:
        """How often it has looked at an object."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/metrics") as answer:
            lines = answer.read().decode().splitlines()
        (line,) = [sample for sample in lines if sample.startswith("licenseusage_reconciles_total")]
        return float(line.split()[1])

    def _listening(self) -> int:
        while True:
            for line in self._log.read_text().splitlines():
                if '"http_port"' in line:
                    return int(json.loads(line)["http_port"])
            if self._process.poll() is not None:
                raise RuntimeError(self._log.read_text()[-2000:])
            time.sleep(0.05)
