"""``python -m bench [--users N …] [--events N] [--repeat N] [--only forecast]``: print tables."""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from bench import forecast
from bench.contenders import (
    AGAIN,
    CONTENDERS,
    COUNT_NOBODY,
    LOADS,
    OPERATOR,
    Measured,
    missing,
)
from bench.events import active_people, fill
from bench.listing import ACTIVE_EVERY, CYCLE_DAYS, Form, active_users, cycle_start
from bench.logs import NAIVE, POLLS, Read
from hack.nats import NatsServer

MIB = 1024**2
DAY_MS = 86_400_000
DEFAULT_USERS = (100_000, 1_000_000)


def main() -> int:
    """Run everything; 1 if a number of users is wrong, or a naive forecast was the better one."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--users", type=int, nargs="*", default=list(DEFAULT_USERS))
    parser.add_argument(
        "--repeat", type=int, default=0, help="runs each; default 3, 1 from 500,000"
    )
    parser.add_argument(
        "--events", type=int, default=1_000_000, help="messages of an event log; 0 leaves it out"
    )
    parser.add_argument("--only", choices=("forecast",), help="only the back-test of the forecast")
    options = parser.parse_args()
    if options.only == "forecast":
        return 0 if forecast.show() else 1
    print("A list of users, 10 % of them active. A collection is all that the operator does, with")
    print("a preset as shipped: a worker process reads the list, everybody is on the roster, the")
    print("facts are handed over and made durable in a ledger. Again: 1 % have signed in since,")
    print("and one account in 1,000 was deleted while another was made. The others only read.")
    print("Each in its own process, same server, same run; median seconds, largest peak of")
    print(f"resident memory; ratios to {LOADS} (by httpx), which counts nobody.")
    right = True
    for users in options.users:
        repeat = options.repeat or (3 if users < 500_000 else 1)
        for form in Form:
            with serving(form, users) as ports:
                right &= compare(users, form, ports, repeat=repeat)
    if options.events:
        right &= read_log(options.events, repeat=options.repeat or 1)
    right &= forecast.show()
    return 0 if right else 1


def read_log(events: int, *, repeat: int) -> bool:
    """Fill a stream of a real NATS server, let each read it, and print their table."""
    now = datetime.now(UTC)
    start_ms = int(cycle_start(now).timestamp()) * 1000
    end_ms = start_ms + CYCLE_DAYS * DAY_MS
    people = active_people(events, now)
    right = True
    print(f"\nwriting {events:,} events to a NATS server …", flush=True)
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as folder,
        NatsServer(Path(folder)) as server,
    ):
        fill(server.port, events, now)
        print(f"\n{events:,} events of {people:,} people (preset OpenCloudEvents):")
        print(f"  {'':<36}{'seconds':>9}{'events/s':>10}{'ratio':>8}{'polls':>7}", flush=True)
        seconds: dict[str, float] = {}
        for name in (NAIVE, POLLS):
            runs = []
            for _ in range(repeat):
                command = [sys.executable, "-m", "bench.logs", name]
                command += map(str, (server.port, start_ms, end_ms))
                done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)  # noqa: S603
                runs.append(Read(**json.loads(done.stdout)))
                if runs[-1].people != people:
                    print(f"  {name} found {runs[-1].people:,} people instead of {people:,}")
                    right = False
            seconds[name] = statistics.median(run.seconds for run in runs)
            rate, ratio = events / seconds[name], seconds[NAIVE] / seconds[name]
            polls = f"{runs[-1].polls:>7}" if runs[-1].polls else ""
            print(
                f"  {name:<36}{seconds[name]:>9.2f}{rate:>10,.0f}{ratio:>8.2f}{polls}", flush=True
            )
    print("  The aim is 300 events/s; ratio: how many times as fast as the plain consumer.")
    return right


def compare(users: int, form: Form, ports: Sequence[int], *, repeat: int) -> bool:
    """Run all contenders on one form of the listing and print their table."""
    how = "pages of 1,000" if form.paged else "one response"
    print(f"\n{users:,} users, {how} (preset {form}):", flush=True)
    print(f"  {'':<36}{'seconds':>9}{'ratio':>8}{'memory':>11}{'ratio':>8}")
    runs: dict[str, list[Measured]] = {}
    right = True
    present = [name for name in CONTENDERS if missing(name) is None]
    for _ in range(repeat):  # in turn, so that a busy moment of the machine meets all of them
        for name in present:
            for run in measure(name, form, ports, users):
                expected = active_users(users, later=run.name in (AGAIN, OPERATOR))
                expected = users if name in COUNT_NOBODY else expected
                if run.users != expected:
                    print(f"  {run.name} found {run.users:,} users instead of {expected:,}")
                    right = False
                runs.setdefault(run.name, []).append(run)
    base_seconds, base_bytes = summary(runs[LOADS])
    for name, taken in runs.items():
        seconds, peak = summary(taken)
        timed = f"{seconds:>9.2f}{seconds / base_seconds:>8.2f}" if seconds else " " * 17
        print(f"  {name:<36}{timed}{peak / MIB:>7.0f} MiB{peak / base_bytes:>8.2f}")
    for name in CONTENDERS:
        if (absent := missing(name)) is not None:
            print(f"  {name:<36}left out: {absent} is not installed")
    return right


def summary(runs: Sequence[Measured]) -> tuple[float, int]:
    """Return median seconds and largest peak of some runs."""
    return statistics.median(run.seconds for run in runs), max(run.peak_bytes for run in runs)


def measure(name: str, form: Form, ports: Sequence[int], users: int) -> list[Measured]:
    """Run one contender once, in a process of its own."""
    command = [sys.executable, "-m", "bench.contenders", name, form, *map(str, ports)]
    done = subprocess.run(  # noqa: S603 - our own module
        command,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"BENCH_USERS": str(users)},
    )
    return [Measured(**fields) for fields in json.loads(done.stdout)]


@contextmanager
def serving(form: Form, users: int, active_every: int = ACTIVE_EVERY) -> Iterator[list[int]]:
    """Render and serve both states of a listing for the length of a block; yields two ports."""
    print(f"\nrendering {users:,} users …", flush=True)
    command = [sys.executable, "-m", "bench.server", form, str(users), str(active_every)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:  # noqa: S603
        ports = server.stdout.readline().split() if server.stdout else []
        try:
            if not ports:
                raise SystemExit("the server did not start")
            yield list(map(int, ports))
        finally:
            server.kill()


if __name__ == "__main__":
    sys.exit(main())
