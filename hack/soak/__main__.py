"""``python -m hack.soak``: many histories, until one of them breaks a rule.

    python -m hack.soak --cycles 2000              # at least so many cycles
    python -m hack.soak --seed 7 --minutes 30      # or for so long
    python -m hack.soak --seed 7 --history 41      # the one that failed, again

Exit code 0: every history held; 1: one did not, and the last line says how to see it again.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass

from hack.soak.tally import Tally

LENGTH = 14
"""Cycles of an object in one history: a year of months and more."""
_HASH_SEED = "0"


@dataclass(frozen=True, slots=True)
class Ended:
    """What came of one history.

    Attributes:
        number: Its number under the seed.
        tally: Its counts; None if it broke a rule.
        violation: Which rule, and how; empty if none.
    """

    number: int
    tally: Tally | None
    violation: str


def one(seed: int, number: int, length: int, mutation: str = "") -> Ended:
    """Run one history; never raises."""
    from hack.soak.history import run
    from hack.soak.mutations import apply

    if mutation:
        apply(mutation)
    try:
        return Ended(number, run(f"{seed}/{number}", length), "")
    except Exception as error:  # noqa: BLE001 - whatever it is, it is told with its seed
        return Ended(number, None, f"{type(error).__name__}: {error}")


def main() -> int:
    """Run the command."""
    arguments = _arguments()
    if os.environ.get("PYTHONHASHSEED") != _HASH_SEED:
        # The order of a set of texts decides who is served first; a seed must decide that too.
        environment = {**os.environ, "PYTHONHASHSEED": _HASH_SEED}
        command = [sys.executable, "-m", "hack.soak", *sys.argv[1:]]
        os.execve(sys.executable, command, environment)  # noqa: S606
    total, failed = Tally(), None
    began = time.monotonic()
    try:
        for ended in _histories(arguments, began, total):
            if ended.tally is None:
                failed = ended
                break
            total.add(ended.tally)
            _progress(arguments, total, began)
    except KeyboardInterrupt:
        pass
    _report(arguments, total, failed, time.monotonic() - began)
    return 0 if failed is None else 1


def _histories(arguments: argparse.Namespace, began: float, total: Tally) -> Iterator[Ended]:
    """Yield histories as they end, the lowest numbers first to begin."""
    seed, length, mutation = arguments.seed, arguments.length, arguments.mutation
    if arguments.history is not None:
        yield one(seed, arguments.history, length, mutation)
        return
    with ProcessPoolExecutor(arguments.workers, max_tasks_per_child=50) as pool:
        numbers = iter(range(1_000_000_000))
        running: set[Future[Ended]] = set()
        try:
            while True:
                while len(running) < arguments.workers and not _enough(arguments, began, total):
                    running.add(pool.submit(one, seed, next(numbers), length, mutation))
                if not running:
                    return
                done, running = wait(running, return_when=FIRST_COMPLETED)
                yield from sorted((d.result() for d in done), key=lambda ended: ended.number)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _enough(arguments: argparse.Namespace, began: float, total: Tally) -> bool:
    if arguments.minutes is not None and time.monotonic() - began >= 60 * arguments.minutes:
        return True
    return arguments.cycles is not None and sum(total.cycles.values()) >= arguments.cycles


def _progress(arguments: argparse.Namespace, total: Tally, began: float) -> None:
    passed = max(0.001, time.monotonic() - began)
    cycles = sum(total.cycles.values())
    parts = []
    if arguments.cycles is not None:
        parts.append(cycles / max(1, arguments.cycles))
    if arguments.minutes is not None:
        parts.append(passed / (60 * arguments.minutes))
    share = min(1.0, max(parts, default=1.0))
    left = passed / share - passed if share else 0.0
    line = (
        f"{total.histories} histories, {cycles} cycles ({cycles / passed:.1f}/s), "
        f"{sum(total.statements.values())} statements, {sum(total.kills.values())} kills, "
        f"{passed:.0f} s, {left:.0f} s left"
    )
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[2K{line}")
    elif total.histories % 20 == 1:
        sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def _report(
    arguments: argparse.Namespace, total: Tally, failed: Ended | None, seconds: float
) -> None:
    if sys.stderr.isatty():
        sys.stderr.write("\r\x1b[2K")
    again = None
    if failed is not None:
        again = f"python -m hack.soak --seed {arguments.seed} --history {failed.number}"
        again += f" --length {arguments.length}" if arguments.length != LENGTH else ""
        again += f" --mutation {arguments.mutation}" if arguments.mutation else ""
    if arguments.output == "json":
        told = {
            **total.as_json(),
            "seconds": round(seconds, 1),
            "violation": failed.violation if failed else None,
            "reproduce": again,
        }
        sys.stdout.write(json.dumps(told, indent=1) + "\n")
        return
    cycles = sum(total.cycles.values())
    sys.stdout.write(
        f"{total.histories} histories, {cycles} cycles in {seconds:.0f} s "
        f"({cycles / max(seconds, 0.001):.1f} cycles/s), seed {arguments.seed}\n"
    )
    for name, counts in total.counters().items():
        told = ", ".join(f"{what} {count}" for what, count in sorted(counts.items()))
        sys.stdout.write(f"{name} ({sum(counts.values())}): {told or 'none'}\n")
    if failed is not None:
        sys.stdout.write(f"VIOLATION in history {failed.number}: {failed.violation}\n{again}\n")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m hack.soak", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--cycles", type=int, help="stop after at least so many cycles")
    parser.add_argument("--minutes", type=float, help="stop after so many minutes")
    parser.add_argument("--seed", type=int, default=1, help="makes the histories (1)")
    parser.add_argument("--history", type=int, help="run this one history of the seed only")
    parser.add_argument(
        "--length", type=int, default=LENGTH, help=f"cycles of an object in a history ({LENGTH})"
    )
    parser.add_argument("--workers", type=int, default=2, help="processes at work (2)")
    parser.add_argument("--mutation", default="", help="break a rule on purpose (see mutations)")
    parser.add_argument("--output", choices=("table", "json"), default="table")
    arguments = parser.parse_args()
    if arguments.cycles is None and arguments.minutes is None and arguments.history is None:
        arguments.cycles = 200
    return arguments


if __name__ == "__main__":
    sys.exit(main())
