"""``python -m bench.memory``: what four lists of 900,000 active users take, process by process.

Four sources are polled at once, as the operator does it: workers read, facts are handed over and
made durable in one ledger; then once more, after one user in a hundred signed in, and as before a
cycle's end, when the coming one's first roster is wanted as well. Where the machine lets a group of
processes be bounded (cgroups), they are held to the memory limit of ``manifests/base``, and what
exceeds it is killed there.
"""

import argparse
import asyncio
import gc
import os
import resource
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

import yaml

from bench.__main__ import MIB, serving
from bench.listing import CYCLE_DAYS, Form, cycle_start
from bench.shipped import active, record_of, request_of, source_of
from licenseusage.clock import SystemClock
from licenseusage.controller.effects.books import Books
from licenseusage.controller.effects.turns import Turns
from licenseusage.controller.rules.key import Key
from licenseusage.ledger.ledger import Ledger
from licenseusage.ledger.records import MeterKey
from licenseusage.metering.cycles import DAY_MS, Cycle
from licenseusage.metering.stores import StoreKey, StoreState
from licenseusage.sources.workers.workers import Workers

_DEPLOYMENT = Path(__file__).resolve().parents[1] / "manifests/base/deployment.yaml"
_GROUPS = Path("/sys/fs/cgroup")
_LOOK_SECONDS = 0.02


def main() -> int:
    """Run it; 1 where a number is wrong."""
    options = _options()
    shipped = yaml.safe_load(_DEPLOYMENT.read_text())["spec"]["template"]["spec"]["containers"][0]
    limit = shipped["resources"]["limits"]["memory"]
    set_there = {variable["name"]: variable.get("value", "") for variable in shipped["env"]}
    workers = int(set_there["LICENSEUSAGE_POLL_WORKERS"])
    worker_bytes = int(set_there["LICENSEUSAGE_WORKER_BYTES"])
    assert limit == "1Gi", limit  # noqa: S101 - the group below is made for it
    with serving(Form.STANDARD, options.users, active_every=1) as ports, Group(1024 * MIB) as group:
        print(f"{options.sources} sources of {options.users:,} active users, {workers} workers of")
        print(f"{worker_bytes // MIB} MiB, {group}:", flush=True)
        gc.freeze()
        return asyncio.run(_collect(options, ports, workers, worker_bytes, group))


async def _collect(
    options: argparse.Namespace, ports: Sequence[int], size: int, most: int, group: "Group"
) -> int:
    clock = SystemClock()
    start_ms = int(cycle_start(datetime.now(UTC)).timestamp()) * 1000
    cycle = Cycle(0, start_ms, start_ms + CYCLE_DAYS * DAY_MS)
    coming = Cycle(1, cycle.end_ms, cycle.end_ms + CYCLE_DAYS * DAY_MS)
    source = source_of(Form.STANDARD)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        books = Books(
            f"sqlite:///{Path(folder) / 'ledger.db'}", now_ms=clock.now_ms, ledger_id="bench"
        )
        await books.open(lambda _: None)
        turns = Turns(size)
        async with Workers(size) as workers:

            async def poll(number: int, port: int, *, at_end: bool) -> None:
                key = MeterKey("bench", f"usage-{number}", "bench")
                meter = await books.do(lambda ledger: ledger.ensure_meter(key, clock.now_ms()))
                store = StoreKey("list", f"bench-{number}")

                def known(ledger: Ledger) -> StoreState:
                    return ledger.store_states(meter.id, cycle).get(store, StoreState())

                state = await books.do(known)
                asked = request_of(
                    source,
                    port,
                    cycle,
                    state,
                    subject=key.name,
                    worker_bytes=most,
                    coming=coming if at_end else None,
                )
                async with turns.place(Key(f"shop-{number}", "usage"), quick=True):
                    result = await workers.poll(asked)
                    if result.failure is not None:
                        print(f"  {key.name}: {result.failure.reason}: {result.failure.message}")
                        return
                    made = record_of(meter.id, source, (cycle, coming), result, store)
                    await books.do(lambda ledger: ledger.record_poll(made, clock.now_ms()))

            counted = 0
            rounds = {"first": ports[0], "again": ports[1], "at the end": ports[1]}
            for name, port in rounds.items():
                began = time.perf_counter()
                with Watch(workers) as watch:
                    await asyncio.gather(
                        *(
                            poll(n, port, at_end=name == "at the end")
                            for n in range(options.sources)
                        )
                    )
                counted = active(folder)
                print(f"  {name}: {counted:,} users in {time.perf_counter() - began:.0f} s")
                watch.show()
        await books.close()
    print(f"  {group.killed()}")
    return 0 if counted == options.sources * options.users else 1


class Watch:
    """Looks at the resident memory of this process and the workers, some fifty times a second."""

    def __init__(self, workers: Workers) -> None:
        """Know whose memory is meant."""
        self._workers = workers
        self._peaks: dict[int, int] = {}
        self._most = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Self:
        """Begin."""
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End."""
        self._ended.set()
        self._thread.join()

    def show(self) -> None:
        """Print the peaks."""
        for pid, peak in self._peaks.items():
            who = "operator" if pid == os.getpid() else f"worker {pid}"
            print(f"    {who:<20}{peak / MIB:>7.0f} MiB at most")
        print(f"    {'all at one time':<20}{self._most / MIB:>7.0f} MiB at most", flush=True)

    def _look(self) -> None:
        while not self._ended.wait(_LOOK_SECONDS):
            now = {pid: _resident(pid) for pid in (os.getpid(), *self._workers.processes)}
            for pid, size in now.items():
                self._peaks[pid] = max(self._peaks.get(pid, 0), size)
            self._most = max(self._most, sum(now.values()))


class Group:
    """A group of processes that the system bounds together, where we may make one (cgroup v1)."""

    def __init__(self, most: int) -> None:
        """Of ``most`` bytes."""
        self._most = most
        self._path: Path | None = _GROUPS / "memory" / f"bench-{os.getpid()}"

    def __enter__(self) -> Self:
        """Put this process, and whatever it starts, into it."""
        try:
            assert self._path is not None  # noqa: S101
            self._path.mkdir()
            (self._path / "memory.limit_in_bytes").write_text(str(self._most))
            (self._path / "cgroup.procs").write_text(str(os.getpid()))
        except OSError:
            self._path = None
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave it."""
        if self._path is not None:
            with suppress(OSError):
                (self._path.parent / "cgroup.procs").write_text(str(os.getpid()))
                self._path.rmdir()

    def __str__(self) -> str:
        """Say whether there is one."""
        if self._path is None:
            return "not bounded (this machine lets us make no cgroup)"
        return f"bounded to {self._most // MIB} MiB by the system"

    def killed(self) -> str:
        """Say how near the limit came."""
        if self._path is None:
            return "nothing was bounded"
        control = (self._path / "memory.oom_control").read_text().split()
        failures = (self._path / "memory.failcnt").read_text().strip()
        kills = control[control.index("oom_kill") + 1] if "oom_kill" in control else "?"
        return f"the system killed {kills} processes, and made room {failures} times"


def _resident(pid: int) -> int:
    try:
        fields = Path(f"/proc/{pid}/statm").read_text().split()
    except (OSError, IndexError):
        return 0
    return int(fields[1]) * resource.getpagesize() if len(fields) > 1 else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.memory", description=__doc__)
    parser.add_argument("--users", type=int, default=900_000)
    parser.add_argument("--sources", type=int, default=4)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
