"""``python -m bench.loop``: how long the operator's event loop is held up by many lists.

The real operator on a real API server. Many licensed objects read a list of three pods each, every
minute; people are active meanwhile. On demand one object more reads a long list. A watch inside the
process records how late a heartbeat of the event loop is (`bench.loopwatch`). Printed are how many
were late, and the longest stalls: for how much of each the loop computed, was ready while the
machine ran something else (a busy machine, no defect), or waited for a thread; which callbacks ran,
and in which lines.
"""

import argparse
import json
import random
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from bench.loopwatch import STALL_SECONDS, Recording, Stall, read
from bench.operator import MeasuredOperator
from bench.scale import SYSTEM, install, usage
from hack.controlplane import ControlPlane

_EVERY_SECONDS = 20


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.loop", description=__doc__)
    parser.add_argument("--objects", type=int, default=100)
    parser.add_argument("--pods", type=int, default=3, help="of each namespace of 50 objects")
    parser.add_argument("--users", type=int, default=1000, help="of each list")
    parser.add_argument("--large", type=int, default=0, help="users of one long list more")
    parser.add_argument("--seconds", type=int, default=300, help="how long to measure")
    parser.add_argument("--shown", type=int, default=8, help="how many of the longest stalls")
    options = parser.parse_args()
    recording, polls = measured(options)
    show(recording, polls, options.shown)
    return 0


def measured(options: argparse.Namespace) -> tuple[Recording, int]:
    """Return the recording, from the operator's start on, and how often a list was read."""
    with (
        ControlPlane() as plane,
        tempfile.TemporaryDirectory() as folder,
        product(options.users) as (port, asked),
        product(options.large) as (large_port, _),
    ):
        out = Path(folder) / "loop.json"
        install(plane, options.objects, port, of_list, pods=options.pods)
        if options.large:
            plane.create_namespace("large")
            plane.create_pod("large", "shop-0", labels={"app": "shop"}, ports={"http": large_port})
            install_large(plane)
        settings = {"DEV": 1, "POLL_WORKERS": 2, "POLL_REQUEST_SECONDS": 60}
        with MeasuredOperator(plane, Path(folder), SYSTEM, watch=out, **settings):
            time.sleep(options.seconds)
        return read(out), len(asked)


def of_list(namespace: str, number: int) -> dict[str, Any]:
    """A licensed LicenseUsage that reads the list of each of its pods every minute."""
    made = usage(namespace, number)
    (source,) = made["spec"]["sources"]
    source["intervalMinutes"] = 1
    source["users"] = {"acrossPods": "Same"}
    return made


def install_large(plane: ControlPlane) -> None:
    """One object more, with a cycle of its own and a long list."""
    made = usage("large", 0)
    del made["spec"]["license"]
    first = datetime.now(UTC) - timedelta(days=9)
    made["spec"]["cycle"] = {"anchorDate": f"{first:%Y-%m-%d}", "lengthDays": 30}
    (source,) = made["spec"]["sources"]
    source["intervalMinutes"] = 1
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "meter", "namespace": "large"},
        "type": "licenseusage.dev/credentials",
        "stringData": {"token": "bench"},
    }
    plane.apply([secret, made])


@contextmanager
def product(users: int) -> Iterator[tuple[int, list[float]]]:
    """Serve a list in which people are active all the time; give its port, and when it was read."""
    drawn = random.Random(7)  # noqa: S311
    began = datetime.now(UTC)
    seen = [began - timedelta(hours=drawn.uniform(1, 24 * 40)) for _ in range(users)]
    asked: list[float] = []
    made = [0.0, b""]
    lock = threading.Lock()

    def body() -> bytes:
        with lock:
            now = datetime.now(UTC)
            if time.monotonic() - made[0] > _EVERY_SECONDS:
                for number in drawn.sample(range(users), users // 50):
                    seen[number] = now - timedelta(seconds=2)
                rows = [
                    {"id": f"person-{number:07}", "lastActive": f"{at:%Y-%m-%dT%H:%M:%SZ}"}
                    for number, at in enumerate(seen)
                ]
                made[:] = [time.monotonic(), json.dumps({"users": rows, "next": None}).encode()]
            return made[1]

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            asked.append(time.monotonic())
            answer = body()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_address[1], asked
    finally:
        server.shutdown()


def show(recording: Recording, polls: int, shown: int) -> None:
    """Print how late heartbeats were, and the longest stalls."""
    stalls = recording.stalls
    print(
        f"{polls:,} lists were read in {recording.seconds:.0f} s; {recording.beats:,} heartbeats."
    )
    print("| heartbeats late by at most | ms |")
    print("|---|---|")
    for share in (0.5, 0.9, 0.99, 0.999, 1.0):
        print(f"| {share:.1%} | {_percentile(recording, share)} |")
    own = [stall for stall in stalls if _own(stall) > STALL_SECONDS]
    print(
        f"{len(stalls)} were later than {STALL_SECONDS * 1000:.0f} ms; {len(own)} of them also "
        "without what the machine did beside it."
    )
    for stall in sorted(stalls, key=_own, reverse=True)[:shown]:
        print(
            f"\nat {stall.at:.1f} s: {stall.late * 1000:.0f} ms late = computed "
            f"{stall.cpu * 1000:.0f} + waited {stall.waited * 1000:.0f} (other threads computed "
            f"{stall.others * 1000:.0f}) + ready, but not run {stall.queued * 1000:.0f}"
        )
        for seconds, name in stall.callbacks[:3]:
            print(f"  {seconds * 1000:4.0f} ms  {name}")
        for times, stack in stall.stacks[:2]:
            print(f"  {times:4} x   {stack}")
        for times, stack in stall.elsewhere[:2] if stall.waited > stall.cpu else ():
            print(f"  {times:4} x   another thread: {stack}")


def _own(stall: Stall) -> float:
    """Return for how long the process itself held its loop up."""
    return min(stall.late, stall.cpu + min(stall.waited, stall.others))


def _percentile(recording: Recording, share: float) -> int:
    left = share * recording.beats
    for ms, beats in sorted(recording.histogram.items()):
        left -= beats
        if left <= 0:
            return ms
    return max(recording.histogram, default=0)


if __name__ == "__main__":
    sys.exit(main())
