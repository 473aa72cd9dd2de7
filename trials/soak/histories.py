"""Many histories, on several processors: the lowest numbers first, until one breaks a rule."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass

from trials.soak.history import run
from trials.soak.kinds.drawing import KINDS
from trials.soak.tally import Tally

LENGTH = 14
"""Cycles of an object in one history: a year of months and more."""
_PROCESS_HISTORIES = 50
"""A process is replaced after so many, so that what it may leak stays small."""


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


def simulate(seed: int, number: int, length: int, kinds: Sequence[str] = KINDS) -> Ended:
    """Run one history; never raises."""
    try:
        return Ended(number, run(f"{seed}/{number}", length, kinds=kinds), "")
    except Exception as error:
        return Ended(number, None, f"{type(error).__name__}: {error}")


def in_turn(
    seed: int, length: int, *, enough: Callable[[], bool], kinds: Sequence[str] = KINDS
) -> Iterator[Ended]:
    """Yield one history after the other, in this process; arguments as for `many`."""
    for number in itertools.count():
        if enough():
            return
        yield simulate(seed, number, length, kinds)


def many(
    seed: int,
    length: int,
    *,
    workers: int,
    enough: Callable[[], bool],
    kinds: Sequence[str] = KINDS,
) -> Iterator[Ended]:
    """Yield histories as they end.

    Args:
        seed: Makes them all.
        length: About how many cycles each object has.
        workers: Processes at work.
        enough: Asked before each history whether no more is wanted.
        kinds: Those that objects' sources may be of.
    """
    with ProcessPoolExecutor(workers, max_tasks_per_child=_PROCESS_HISTORIES) as pool:
        numbers = itertools.count()
        running: set[Future[Ended]] = set()
        try:
            while True:
                while len(running) < workers and not enough():
                    running.add(pool.submit(simulate, seed, next(numbers), length, kinds))
                if not running:
                    return
                done, running = wait(running, return_when=FIRST_COMPLETED)
                yield from sorted((d.result() for d in done), key=lambda ended: ended.number)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
