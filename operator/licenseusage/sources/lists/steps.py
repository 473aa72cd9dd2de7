"""How coarse a product's times really are, whatever their notation shows (MEASUREMENT §3.10).

A day written as an instant of local midnight looks like a second, and an activity of that day's
evening would be placed at its beginning. So where all times of a list lie on one grid of minutes,
hours or days, they are taken as that coarse. That only widens, and it is given up with the first
two times that do not fit, which in the usual list are among the first.
"""

from collections.abc import Iterable, Sequence
from contextlib import suppress

from licenseusage.sources.definition.expressions import Json
from licenseusage.sources.definition.model import DAY_MS, SECOND_MS, Stamp
from licenseusage.sources.definition.timestamps import BadStampError, Reader

LEAST_TIMES = 20
"""So many times must agree; of fewer it may be chance."""

MINUTE_MS, HOUR_MS = 60 * SECOND_MS, 3600 * SECOND_MS
LONGEST_DAY_MS = DAY_MS + HOUR_MS
"""A local day may have an hour more: what is taken for a day is taken as that long."""

_HALF_HOUR_MS = HOUR_MS // 2  # zones, and the summer time of one, differ by it
_TEXT = {str}
_ANY_DAY = "2026-01-31"


class Steps:
    """Collects the times of a listing, without those that mean never.

    Attributes:
        times: Times told.
    """

    def __init__(self, stamp: Stamp, reader: Reader) -> None:
        """Prepare for one way of writing."""
        self._reader, self._stamp = reader, stamp
        self.times = 0
        self._first: Json = None
        self._equal = True
        self._on_grid = stamp.granularity_ms < DAY_MS
        self._of_day: set[int] = set()  # times of day, ms since midnight UTC
        self._written: set[str] = set()  # times of day as written, of texts

    def add(self, stamps: Sequence[Json]) -> None:
        """Take some times as shown; those that cannot be read are no matter here."""
        if not stamps:
            return
        if not self.times:
            self._first = stamps[0]
        self.times += len(stamps)
        self._equal = self._equal and stamps.count(self._first) == len(stamps)
        if self._on_grid:
            self._of_day.update(self._times_of_day(stamps))
            self._on_grid = self._fit()

    def together(self, others: "Steps") -> "Steps":
        """Return what both collected, which are written the same way."""
        joined = Steps(self._stamp, self._reader)
        joined.times, joined._equal = self.times + others.times, False
        joined._of_day = self._of_day | others._of_day
        joined._written = self._written | others._written
        joined._on_grid = self._on_grid and others._on_grid and joined._fit()
        return joined

    def all_equal(self) -> bool:
        """Whether all of at least ``LEAST_TIMES`` times are the same."""
        return self._equal and self.times >= LEAST_TIMES

    def found_ms(self) -> int:
        """Return how coarse the times are, at least as declared: ``v`` is in ``[v, v + found)``."""
        declared = self._stamp.granularity_ms
        if not self._on_grid or not self._of_day or self.times < LEAST_TIMES:
            return declared
        if self._of_day == {0} and self._at_utc():
            return DAY_MS
        if len(self._written) == 1 or _one_midnight(self._of_day):
            return LONGEST_DAY_MS
        hours = self._share(_HALF_HOUR_MS)
        return max(declared, HOUR_MS if hours else MINUTE_MS)

    def _share(self, step_ms: int) -> bool:
        return len({time % step_ms for time in self._of_day}) <= 1

    def _fit(self) -> bool:
        """Whether the times so far lie on the next coarser grid than the declared one."""
        declared = self._stamp.granularity_ms
        if declared < HOUR_MS:
            return self._share(MINUTE_MS if declared < MINUTE_MS else _HALF_HOUR_MS)
        return len(self._written) == 1 or _one_midnight(self._of_day)

    def _at_utc(self) -> bool:
        """Whether midnight UTC is what is written, and not the reading of a local midnight."""
        return self._stamp.naive_timezone == "UTC"

    def _times_of_day(self, stamps: Sequence[Json]) -> Iterable[int]:
        if (
            self._stamp.format == "Auto"
            and set(map(type, stamps)) <= _TEXT
            and all(text[4:5] == "-" == text[7:8] for text in stamps)
        ):
            # Few different ones in a coarse list: each is read once, on any day.
            tails = {text[10:] for text in stamps}
            self._written.update(tail[1:9] for tail in tails)
            if not any(tail[-3:].isalpha() for tail in tails):  # CEST is on no day of winter
                stamps = [_ANY_DAY + tail for tail in tails]
        for stamp in stamps:
            with suppress(BadStampError):
                instant = self._reader.read(stamp)
                if instant is not None:
                    yield instant.at_ms % DAY_MS


def _one_midnight(times: set[int]) -> bool:
    """Whether these are one time of day, or two that summer time sets an hour apart at most."""
    if len(times) < 2:
        return True
    if len(times) > 2:
        return False
    apart = max(times) - min(times)
    return min(apart, DAY_MS - apart) <= HOUR_MS
