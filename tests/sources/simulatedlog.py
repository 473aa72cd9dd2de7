"""A cycle, a log that is read poll by poll, and what must be true of what its readings claim.

Each kind of log is simulated with everything that can be done to it; its trail is told what a
server would tell. The rule held over all histories: an event with a stamp inside a claimed range
was read, now or by the readings before.
"""

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from licenseusage.metering.cycles import DAY_MS, Cycle
from licenseusage.metering.events import LogPosition, Range, closed_windows, united
from licenseusage.metering.properties import Properties, Removal
from licenseusage.sources.logs.trail import RestartError, Trail

START = 1_000 * DAY_MS
CYCLE = Cycle(0, START, START + 2 * DAY_MS)
MINUTE_MS = 60_000
LAG_MS = 2 * MINUTE_MS
SKEW_MS = 3_000
DECLARED = Properties(granularity_ms=1, lag_ms=LAG_MS, removal=Removal.NEVER, ids_stable=True)


def hour(number: float) -> int:
    """Return a time within the cycle."""
    return START + round(number * 60 * MINUTE_MS)


@dataclass
class Remembered:
    """What a reader keeps between polls, as the ledger does.

    Attributes:
        seen: Stamps of the events that were read.
    """

    position: LogPosition | None = None
    seen: set[int] = field(default_factory=set)
    ranges: tuple[Range, ...] = ()
    holes: tuple = ()

    def read(self, trail_of: Callable[[bool], Trail], follow: Callable[[Any], bool]) -> Trail:
        """Read a log once, and again where the trail says so.

        Args:
            trail_of: Makes the trail; the argument tells that it is read again.
            follow: Reads along a trail; whether to the end.
        """
        trail = trail_of(False)
        try:
            ended = follow(trail)
        except RestartError:
            trail = trail_of(True)
            ended = follow(trail)
        reading = trail.reading(ahead_ms=0, ended=ended)
        if reading is not None:
            assert reading.before == self.position
            self.position = reading.after
            self.ranges = united([*self.ranges, *reading.ranges])
            self.holes = tuple(sorted({*self.holes, *reading.holes}))
        return trail

    def check(self, written: list[int], note: object) -> None:
        """Refuse claims that are not true of what was written."""
        for stamp in written:
            if stamp not in self.seen:
                claimed = any(a <= stamp < b for a, b in self.ranges)
                assert not claimed, f"{note}: an event at {stamp - START} was lost unseen"
        for hole in self.holes:
            assert CYCLE.start_ms <= hole.start_ms < hole.end_ms <= CYCLE.end_ms, note


class Life(NamedTuple):
    """A random life of a log and of its reader.

    Attributes:
        written: The stamps of all events.
        hurt: Something was done to the log.
    """

    reader: Remembered
    written: list[int]
    hurt: bool


def check_lives(history: Callable[[random.Random], Life], seeds: Iterable[str]) -> None:
    """Refuse a life in which a claim is false, and lives that prove or lose too little."""
    closed = lost = 0
    for seed in seeds:
        life = history(random.Random(seed))
        life.reader.check(life.written, seed)
        closed += bool(closed_windows(CYCLE, DECLARED, life.reader.ranges))
        lost += bool(life.reader.holes)
        if not life.hurt and life.reader.holes:
            assert {hole.reason for hole in life.reader.holes} == {"StreamBegan"}, seed
    assert closed > 10, "too few histories prove anything"
    assert lost > 10, "too few histories lose anything"
