"""``python -m bench [--users N …] [--repeat N]``: run all contenders and print a table."""

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from bench.contenders import BASELINE, CONTENDERS, COUNT_NOBODY, missing
from bench.listing import PAGE_ROWS, active_users

MIB = 1024**2
DEFAULT_USERS = (100_000, 1_000_000)


@dataclass(frozen=True)
class Measured:
    """Median seconds and largest memory of some runs."""

    seconds: float
    peak_bytes: int


def main() -> int:
    """Run everything; 1 if a contender found another number of users than there are."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--users", type=int, nargs="+", default=list(DEFAULT_USERS))
    parser.add_argument(
        "--repeat", type=int, default=0, help="runs each; default 3, 1 from 500,000"
    )
    options = parser.parse_args()
    print("One collection of a list of users, 10 % of them active, about 400 bytes each.")
    print("Each contender in its own process, same server, same run; median seconds, largest peak")
    print("of resident memory; ratios to receiving (by httpx) + orjson.loads, which counts nobody.")
    right = True
    for users in options.users:
        repeat = options.repeat or (3 if users < 500_000 else 1)
        with serving(users) as url:
            for paged in (False, True):
                right &= compare(users, url, paged=paged, repeat=repeat)
    return 0 if right else 1


def compare(users: int, url: str, *, paged: bool, repeat: int) -> bool:
    """Run all contenders on one form of the listing and print their table."""
    how = f"pages of {PAGE_ROWS:,}" if paged else "one response"
    print(f"\n{users:,} users, {how}:", flush=True)
    print(f"  {'':<36}{'seconds':>9}{'ratio':>8}{'memory':>11}{'ratio':>8}")
    runs: dict[str, list[Measured]] = {}
    right = True
    present = [name for name in CONTENDERS if missing(name) is None]
    for _ in range(repeat):  # in turn, so that a busy moment of the machine meets all of them
        for name in present:
            found, took = measure(name, url, users, paged=paged)
            expected = users if name in COUNT_NOBODY else active_users(users)
            if found != expected:
                print(f"  {name} found {found:,} users instead of {expected:,}")
                right = False
            runs.setdefault(name, []).append(took)
    measured = {name: median(taken) for name, taken in runs.items()}
    base = measured[BASELINE]
    for name, one in measured.items():
        print(
            f"  {name:<36}{one.seconds:>9.2f}{one.seconds / base.seconds:>8.2f}"
            f"{one.peak_bytes / MIB:>7.0f} MiB{one.peak_bytes / base.peak_bytes:>8.2f}"
        )
    for name in CONTENDERS:
        if (absent := missing(name)) is not None:
            print(f"  {name:<36}left out: {absent} is not installed")
    return right


def median(runs: list[Measured]) -> Measured:
    """Summarise the runs of one contender."""
    return Measured(
        statistics.median(run.seconds for run in runs), max(run.peak_bytes for run in runs)
    )


def measure(name: str, url: str, users: int, *, paged: bool) -> tuple[int, Measured]:
    """Run one contender once, in a process of its own."""
    command = [sys.executable, "-m", "bench.contenders", name, url, "paged" if paged else "one"]
    done = subprocess.run(  # noqa: S603 - our own module
        command,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"BENCH_USERS": str(users)},
    )
    told = json.loads(done.stdout)
    return told["users"], Measured(told["seconds"], told["peakBytes"])


@contextmanager
def serving(users: int) -> Iterator[str]:
    """Render and serve a listing for the length of a block; yields its URL."""
    print(f"\nrendering {users:,} users …", flush=True)
    command = [sys.executable, "-m", "bench.server", str(users)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:  # noqa: S603
        port = server.stdout.readline().strip() if server.stdout else ""
        try:
            if not port:
                raise SystemExit("the server did not start")
            yield f"http://127.0.0.1:{port}/graph/v1.0/users"
        finally:
            server.kill()


if __name__ == "__main__":
    sys.exit(main())
