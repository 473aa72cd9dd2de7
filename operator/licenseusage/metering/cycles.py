"""Billing cycles: half-open intervals of whole UTC days on a grid that starts at an anchor.

A cycle is ``[start, end)``; its days are numbered 0..61. A *window* is the cycle or one of its
days, and a word is a 64-bit number with one bit per window: bits 0..61 the days, bit 62 the cycle.
Bit 63 stays clear, because databases have signed words (MEASUREMENT §1, §8).
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime

from licenseusage.errors import Stalled
from licenseusage.reasons import Reason

DAY_MS = 86_400_000
CYCLE_BIT = 62
CYCLE_MASK = 1 << CYCLE_BIT
MAX_DAYS = 62
MAX_MONTHS = 2
_MAX_INDEX = 100_000  # REPORT_FORMAT §5, cycle.index


@dataclass(frozen=True, slots=True, order=True)
class Cycle:
    """One billing cycle, half-open ``[start_ms, end_ms)``, whole UTC days.

    Attributes:
        index: Number of the cycle on its grid, from 0. Grids of different terms reuse numbers:
            ``start_ms`` is what identifies a cycle of a meter.
        start_ms: First instant, 00:00:00Z of a day, in milliseconds since the epoch.
        end_ms: First instant after the cycle, 00:00:00Z of a day.
    """

    index: int
    start_ms: int
    end_ms: int

    @property
    def days(self) -> int:
        """Number of days, 1..62."""
        return (self.end_ms - self.start_ms) // DAY_MS

    def windows(self) -> dict[int, tuple[int, int]]:
        """Bit number -> half-open window in ms: ``CYCLE_BIT`` is the cycle, 0.. are its days."""
        days = {
            day: (self.start_ms + day * DAY_MS, self.start_ms + (day + 1) * DAY_MS)
            for day in range(self.days)
        }
        return {CYCLE_BIT: (self.start_ms, self.end_ms), **days}

    @property
    def grid_ms(self) -> int:
        """Start of day 0."""
        return self.start_ms

    def day_of(self, at_ms: int) -> int:
        """Number of the day that contains ``at_ms``; negative before the start, >= days after."""
        return (at_ms - self.start_ms) // DAY_MS

    def ended_by(self, at_ms: int) -> int:
        """Word of the windows whose end is at or before ``at_ms``."""
        days = max(0, min(self.days, self.day_of(at_ms)))
        return (1 << days) - 1 | (CYCLE_MASK if at_ms >= self.end_ms else 0)

    def begun_by(self, at_ms: int) -> int:
        """Word of the windows whose start is at or before ``at_ms``."""
        if at_ms < self.start_ms:
            return 0
        return (1 << min(self.days, self.day_of(at_ms) + 1)) - 1 | CYCLE_MASK


@dataclass(frozen=True, slots=True, order=True)
class Segment:
    """The part ``[start_ms, end_ms)`` of a cycle that is counted by one definition of activity.

    Facts of a segment are made as those of a cycle: its windows are those of the cycle, cut to the
    segment (MEASUREMENT §7).

    Attributes:
        cycle: The cycle.
        start_ms: First instant, at or after the cycle's start.
        end_ms: First instant after the segment, at or before the cycle's end.

    Raises:
        ValueError: The segment is empty, or reaches beyond its cycle.
    """

    cycle: Cycle
    start_ms: int
    end_ms: int

    def __post_init__(self) -> None:
        """Refuse a segment that is not a part of the cycle."""
        if not self.cycle.start_ms <= self.start_ms < self.end_ms <= self.cycle.end_ms:
            raise ValueError(f"{self} is not a part of its cycle")

    @property
    def days(self) -> int:
        """Number of days of the cycle."""
        return self.cycle.days

    @property
    def grid_ms(self) -> int:
        """Start of the cycle's day 0."""
        return self.cycle.start_ms

    def windows(self) -> dict[int, tuple[int, int]]:
        """Bit number -> half-open window in ms, for those windows that meet the segment."""
        cut = {
            window: (max(start, self.start_ms), min(end, self.end_ms))
            for window, (start, end) in self.cycle.windows().items()
        }
        return {window: (start, end) for window, (start, end) in cut.items() if start < end}

    def day_of(self, at_ms: int) -> int:
        """Number of the cycle's day that contains ``at_ms``."""
        return self.cycle.day_of(at_ms)

    def ended_by(self, at_ms: int) -> int:
        """Word of the windows whose end, cut to the segment, is at or before ``at_ms``."""
        return _word(w for w, (_, end) in self.windows().items() if end <= at_ms)

    def begun_by(self, at_ms: int) -> int:
        """Word of the windows whose start, cut to the segment, is at or before ``at_ms``."""
        return _word(w for w, (start, _) in self.windows().items() if start <= at_ms)


def _word(windows: Iterable[int]) -> int:
    word = 0
    for window in windows:
        word |= 1 << window
    return word


@dataclass(frozen=True, slots=True)
class Terms:
    """The grid that a licence (or ``spec.cycle``) sets: an anchor and a length.

    Attributes:
        anchor: The first cycle starts at 00:00:00Z of this day.
        length_days: Days of 86,400 s, 1..62; exactly one of the lengths is given.
        length_months: Calendar months, 1..2, from an anchor day 1..28.

    Raises:
        Stalled: ``CycleUnsupported`` for cycles longer than 62 days, ``InvalidSpec`` for neither or
            both lengths, a length below 1, or months from a day after the 28th (REPORT_FORMAT §3).
    """

    anchor: date
    length_days: int | None = None
    length_months: int | None = None

    def __post_init__(self) -> None:
        """Refuse terms whose cycles the ledger cannot hold."""
        if (self.length_days is None) == (self.length_months is None):
            raise Stalled(
                Reason.INVALID_SPEC, "A cycle needs exactly one of lengthDays and lengthMonths."
            )
        length = self.length_days if self.length_days is not None else self.length_months
        if length is None or length < 1:
            raise Stalled(
                Reason.INVALID_SPEC, f"A cycle of length {length} is not possible: at least 1."
            )
        if (self.length_days or 0) > MAX_DAYS or (self.length_months or 0) > MAX_MONTHS:
            unit = "days" if self.length_days is not None else "months"
            raise Stalled(
                Reason.CYCLE_UNSUPPORTED,
                f"The cycle's length of {length} {unit} is not supported: at most {MAX_DAYS} days "
                f"or {MAX_MONTHS} months, since activity is kept by day for one cycle.",
            )
        if self.length_months is not None and self.anchor.day > 28:
            raise Stalled(
                Reason.INVALID_SPEC,
                f"A cycle of months cannot start on day {self.anchor.day}: not every month has it. "
                f"Use an anchor on day 1 to 28.",
            )

    def cycle(self, index: int) -> Cycle:
        """Return cycle ``index`` >= 0.

        Raises:
            ValueError: ``index`` is negative or beyond 100,000 (REPORT_FORMAT §5).
        """
        if not 0 <= index <= _MAX_INDEX:
            raise ValueError(f"cycle index {index} is not in 0..{_MAX_INDEX}")
        return Cycle(index, self._start(index), self._start(index + 1))

    def at(self, now_ms: int) -> Cycle | None:
        """Return the cycle that contains ``now_ms``; None before the anchor."""
        index = self._index_at(now_ms)
        return None if index < 0 else self.cycle(index)

    def first_from(self, at_ms: int) -> Cycle:
        """Return the first cycle that starts at or after ``at_ms``."""
        if at_ms <= self._start(0):
            return self.cycle(0)
        index = self._index_at(at_ms)
        return self.cycle(index if self._start(index) == at_ms else index + 1)

    def _start(self, index: int) -> int:
        if self.length_days is not None:
            return _midnight_ms(self.anchor) + index * self.length_days * DAY_MS
        return _midnight_ms(_plus_months(self.anchor, index * (self.length_months or 0)))

    def _index_at(self, at_ms: int) -> int:
        if self.length_days is not None:
            return (at_ms - _midnight_ms(self.anchor)) // (self.length_days * DAY_MS)
        day = datetime.fromtimestamp(at_ms // 1000, UTC).date()
        months = 12 * (day.year - self.anchor.year) + day.month - self.anchor.month
        if day.day < self.anchor.day:
            months -= 1
        return months // (self.length_months or 1)


@dataclass(frozen=True, slots=True)
class Grid:
    """Terms and since when they apply: others act from a cycle boundary on, never in the middle.

    Attributes:
        from_ms: No cycle of these terms starts earlier (the end of the last cycle of the terms
            before; the anchor for the first).
        terms: Anchor and length.
        subscription: Name of the contract that its cycles are reported under; None: none.
    """

    from_ms: int
    terms: Terms
    subscription: str | None = None

    def first(self) -> Cycle:
        """Return the first cycle of this grid."""
        return self.terms.first_from(self.from_ms)


def first_grid(terms: Terms, subscription: str | None = None) -> Grid:
    """Return the grid of a meter that had no terms before."""
    return Grid(_midnight_ms(terms.anchor), terms, subscription)


def grid_at(grids: Sequence[Grid], at_ms: int) -> Grid | None:
    """Return the grid in force at ``at_ms``, None if there is none; ``grids`` ascend."""
    index = _in_force(grids, at_ms)
    return grids[index] if index >= 0 else None


def cycle_at(grids: Sequence[Grid], at_ms: int) -> Cycle | None:
    """Return the cycle at ``at_ms``: None before the first and in the span between two grids."""
    grid = grid_at(grids, at_ms)
    cycle = grid.terms.at(at_ms) if grid else None
    return cycle if grid and cycle and cycle.start_ms >= grid.from_ms else None


def next_cycle(grids: Sequence[Grid], at_ms: int) -> Cycle | None:
    """Return the first cycle that starts after ``at_ms`` (the coming one); None without a grid."""
    if not grids:
        return None
    current = cycle_at(grids, at_ms)
    if current is not None:
        following = grids[_in_force(grids, current.end_ms)]
        return following.terms.first_from(max(current.end_ms, following.from_ms))
    # One begins later: else a cycle of the last grid would run.
    return next(first for grid in grids if (first := grid.first()).start_ms > at_ms)


def _in_force(grids: Sequence[Grid], at_ms: int) -> int:
    """Return which grid is in force at an instant; -1: none yet."""
    return bisect_left(grids, at_ms + 1, key=lambda grid: grid.from_ms) - 1


def with_terms(
    grids: Sequence[Grid], terms: Terms, now_ms: int, subscription: str | None = None
) -> tuple[Grid, ...]:
    """Return the grids after ``terms`` of a subscription were verified at ``now_ms``.

    The running cycle runs to its end under the subscription that it began under; another one, also
    one with the same terms, starts with its first cycle at or after that. The span between belongs
    to no cycle (DESIGN §5). What never came into force gives way, and cycles that were counted
    without a subscription belong to the first one that has their terms.
    """
    if not grids or now_ms < grids[0].first().start_ms:
        return (first_grid(terms, subscription),)
    begun = [grid for grid in grids if grid.from_ms <= now_ms]
    current = cycle_at(grids, now_ms)
    if current is not None:
        from_ms = current.end_ms
    else:
        from_ms = begun.pop().from_ms  # its first cycle has not started
    if begun[-1].terms == terms:
        if subscription is None or begun[-1].subscription == subscription:
            return tuple(begun)
        if begun[-1].subscription is None:
            return (*begun[:-1], replace(begun[-1], subscription=subscription))
    return (*begun, Grid(from_ms, terms, subscription))


def seen_before(grids: Sequence[Grid], reported_ms: int | None, now_ms: int) -> int:
    """Return when other terms were verified at the latest, ms.

    A restored ledger knows neither the terms nor when they came; reports that were signed under
    them show both. It must not let a cycle of the former terms run beside one of theirs: where such
    a cycle would, it never was, and the terms came in the one before it.

    Args:
        grids: What the ledger knows, without the terms; ascending.
        reported_ms: Start of the first cycle that was reported under the terms; None: of none.
        now_ms: The time, which it is if nothing shows an earlier one.
    """
    before = None if reported_ms is None else cycle_at(grids, reported_ms - 1)
    if reported_ms is None or before is None:
        return now_ms
    last_ms = reported_ms if before.end_ms <= reported_ms else before.start_ms
    return min(now_ms, last_ms - 1)


def _midnight_ms(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1000


def _plus_months(day: date, months: int) -> date:
    years, month = divmod(day.month - 1 + months, 12)
    return day.replace(year=day.year + years, month=month + 1)
