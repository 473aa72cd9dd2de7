"""``python -m bench.start``: how long a start takes, in seconds and in processor time.

On a busy machine seconds say little, so each line has the ratio to an empty Python as well, which
suffers just as much: the best of some starts of each. ``operator`` is a real one on a real API
server, from its start until /readyz answers 200.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from bench.operator import MeasuredOperator
from bench.scale import SYSTEM, install
from hack.controlplane import ControlPlane

_PROGRAM = str(Path(sys.executable).parent / "licenseusage")
_COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "licenseusage --help": [_PROGRAM, "--help"],
    "licenseusage version": [_PROGRAM, "version"],
    "the operator's imports": [
        *(sys.executable, "-c"),
        "import gc; gc.disable(); import licenseusage.controller.process.start",
    ],
}


class Took(NamedTuple):
    """What a start took, in seconds: by the clock, and of the processor."""

    wall: float
    cpu: float


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.start", description=__doc__)
    parser.add_argument("--times", type=int, default=5, help="starts of each; the best counts")
    times = parser.parse_args().times
    print(f"{'':26} {'seconds':>8} {'cpu':>8} {'cpu, of an empty Python':>24}")
    empty = 0.0
    for name, took in _measured(times):
        empty = empty or took.cpu
        print(f"{name:26} {took.wall:8.2f} {took.cpu:8.2f} {took.cpu / empty:24.0f}", flush=True)
    return 0


def _measured(times: int) -> Iterator[tuple[str, Took]]:
    for name, command in _COMMANDS.items():
        yield name, _best(times, lambda command=command: _command(command))
    with tempfile.TemporaryDirectory() as folder, ControlPlane() as plane:
        install(plane, 0, port=0)
        count = iter(range(times))
        yield (
            "licenseusage operator",
            _best(times, lambda: _operator(plane, Path(folder) / str(next(count)))),
        )


def _best(times: int, once: Callable[[], Took]) -> Took:
    took = [once() for _ in range(times)]
    return Took(min(t.wall for t in took), min(t.cpu for t in took))


def _command(command: list[str]) -> Took:
    begun, before = time.monotonic(), _of_children()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)  # noqa: S603
    return Took(time.monotonic() - begun, _of_children() - before)


def _of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _operator(plane: ControlPlane, folder: Path) -> Took:
    folder.mkdir()
    begun = time.monotonic()
    with MeasuredOperator(plane, folder, SYSTEM) as operator:
        operator.await_ready()
        return Took(time.monotonic() - begun, operator.cpu_seconds())


if __name__ == "__main__":
    sys.exit(main())
