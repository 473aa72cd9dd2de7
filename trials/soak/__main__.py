"""``python -m trials.soak``: many histories, until one of them breaks a rule.

    python -m trials.soak --cycles 2000              # at least so many cycles
    python -m trials.soak --seed 7 --minutes 30      # or for so long
    python -m trials.soak --seed 7 --history 41      # the one that failed, again

Exit code 0: every history held; 1: one did not, and the last line says how to see it again; 130:
stopped before enough was done.
"""

import argparse
import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from types import FrameType

# As `licenseusage.cli.operator` does, before what takes the time is imported.
sys.modules.setdefault("kubernetes", None)  # type: ignore[arg-type]

from trials.soak.histories import LENGTH, Ended, in_turn, many, simulate  # noqa: E402
from trials.soak.kinds.drawing import KINDS  # noqa: E402
from trials.soak.tally import Tally  # noqa: E402

_HASH_SEED = "0"
_OFTEN_SECONDS = 10.0
"""Between two lines of progress where there is no terminal."""


def main() -> int:
    """Run the command."""
    arguments = _arguments()
    if os.environ.get("PYTHONHASHSEED") != _HASH_SEED:
        # The order of a set of texts decides who is served first; a seed must decide that too.
        environment = {**os.environ, "PYTHONHASHSEED": _HASH_SEED}
        command = [
            sys.executable,
            "-m",
            "trials.soak",
            *sys.argv[1:],
            "--seed",
            str(arguments.seed),
        ]
        os.execve(sys.executable, command, environment)  # noqa: S606
    sys.stderr.write(f"seed {arguments.seed}\n")
    signal.signal(signal.SIGTERM, _stop)
    total, failed, stopped = Tally(), None, False
    began = time.monotonic()
    progress = _Progress(arguments, total, began)
    try:
        for ended in _histories(arguments, began, total):
            if ended.tally is None:
                failed = ended
                break
            total.add(ended.tally)
            progress.show()
    except KeyboardInterrupt:
        stopped = True
        sys.stderr.write("\nStopped.\n")
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    progress.clear()
    _report(arguments, total, failed, time.monotonic() - began)
    if failed is not None:
        return 1
    return 130 if stopped else 0


def _stop(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _histories(arguments: argparse.Namespace, began: float, total: Tally) -> Iterator[Ended]:
    if arguments.history is not None:
        return iter(
            [simulate(arguments.seed, arguments.history, arguments.length, arguments.kinds)]
        )

    def enough() -> bool:
        if arguments.minutes is not None and time.monotonic() - began >= 60 * arguments.minutes:
            return True
        return arguments.cycles is not None and total.cycles.total() >= arguments.cycles

    seed, length, workers = arguments.seed, arguments.length, arguments.workers
    if workers == 0:
        return in_turn(seed, length, enough=enough, kinds=arguments.kinds)
    return many(seed, length, workers=workers, enough=enough, kinds=arguments.kinds)


class _Progress:
    """Says on standard error how far it has come."""

    def __init__(self, arguments: argparse.Namespace, total: Tally, began: float) -> None:
        self._arguments, self._total, self._began = arguments, total, began
        self._terminal = sys.stderr.isatty()
        self._next = began + _OFTEN_SECONDS

    def show(self) -> None:
        now = time.monotonic()
        if self._terminal:
            sys.stderr.write(f"\r\x1b[2K{self._line(now)}")
            sys.stderr.flush()
        elif now >= self._next:
            self._next = now + _OFTEN_SECONDS
            sys.stderr.write(f"{self._line(now)}\n")

    def clear(self) -> None:
        if self._terminal:
            sys.stderr.write("\r\x1b[2K")

    def _line(self, now: float) -> str:
        arguments, total = self._arguments, self._total
        passed = max(0.001, now - self._began)
        cycles = total.cycles.total()
        shares = []
        if arguments.cycles is not None:
            shares.append(cycles / max(1, arguments.cycles))
        if arguments.minutes is not None:
            shares.append(passed / (60 * arguments.minutes))
        share = min(1.0, max(shares, default=1.0))
        left = passed / share - passed if share else 0.0
        return (
            f"{total.histories} histories, {cycles} cycles ({cycles / passed:.1f}/s), "
            f"{total.statements.total()} statements, {total.kills.total()} kills, "
            f"{passed:.0f} s, {left:.0f} s left"
        )


def _report(
    arguments: argparse.Namespace, total: Tally, failed: Ended | None, seconds: float
) -> None:
    again = None
    if failed is not None:
        again = f"python -m trials.soak --seed {arguments.seed} --history {failed.number}"
        again += f" --length {arguments.length}" if arguments.length != LENGTH else ""
        again += f" --kinds {','.join(arguments.kinds)}" if arguments.kinds != KINDS else ""
    if arguments.output == "json":
        summary = {
            **total.as_json(),
            "seconds": round(seconds, 1),
            "violation": failed.violation if failed else None,
            "reproduce": again,
        }
        sys.stdout.write(json.dumps(summary, indent=1) + "\n")
        return
    cycles = total.cycles.total()
    sys.stdout.write(
        f"{total.histories} histories, {cycles} cycles in {seconds:.0f} s "
        f"({cycles / max(seconds, 0.001):.1f} cycles/s), seed {arguments.seed}\n"
    )
    for name, counts in total.counters().items():
        words = ", ".join(f"{what} {count}" for what, count in sorted(counts.items()))
        sys.stdout.write(f"{name} ({counts.total()}): {words or 'none'}\n")
    sys.stdout.write(f"never killed at: {', '.join(total.spared) or 'none'}\n")
    if failed is not None:
        sys.stdout.write(f"VIOLATION in history {failed.number}: {failed.violation}\n{again}\n")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m trials.soak", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--cycles", type=int, help="stop after at least so many cycles")
    parser.add_argument("--minutes", type=float, help="stop after so many minutes")
    parser.add_argument(
        "--seed", type=int, default=int(time.time()), help="makes the histories (the time)"
    )
    parser.add_argument("--history", type=int, help="run this one history of the seed only")
    parser.add_argument(
        "--length", type=int, default=LENGTH, help=f"cycles of an object in a history ({LENGTH})"
    )
    parser.add_argument(
        "--workers", type=int, default=2, help="processes at work beside this one (2)"
    )
    parser.add_argument(
        "--kinds",
        type=lambda text: tuple(text.split(",")),
        default=KINDS,
        help=f"kinds of sources that objects may have ({','.join(KINDS)})",
    )
    parser.add_argument("--output", choices=("table", "json"), default="table")
    arguments = parser.parse_args()
    if unknown := set(arguments.kinds) - set(KINDS):
        parser.error(f"there are no kinds {', '.join(sorted(unknown))}")
    if arguments.cycles is None and arguments.minutes is None and arguments.history is None:
        arguments.cycles = 200
    return arguments


if __name__ == "__main__":
    sys.exit(main())
