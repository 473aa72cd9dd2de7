"""The days of a cycle as bars and as weeks: shapes and texts, but no markup.

A day that is not known is no zero. It has a shape and a word of its own in each form.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from licenseusage.statement.cycles import ReportedCycle
from licenseusage.statement.words import grouped, length_days

WIDTH, HEIGHT = 760, 240
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 8, 12, 28
_DATES_SHOWN = 8
_DAYS_NAMED = 10
_NICE = (1, 2, 4, 6, 8)
_WIDE = 11.0
"""From this width on a bar has room for a sign."""


class DayKind(StrEnum):
    """What is known of a day."""

    COUNT = "count"
    ZERO = "zero"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Bar:
    """One day; lengths in the units of the picture.

    Attributes:
        label: Day and number, for who points at it.
        sign: ``?`` or ``0`` where there is room for it.
    """

    x: float
    y: float
    width: float
    height: float
    kind: DayKind
    label: str
    sign: str

    @property
    def middle(self) -> float:
        """The middle of its width."""
        return round(self.x + self.width / 2, 2)


@dataclass(frozen=True, slots=True)
class Mark:
    """A line or a date of an axis, with its text."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Chart:
    """Bars over days.

    Attributes:
        left: Where the days begin; ``right`` where they end, ``base`` where zero is.
        lines: Heights with their numbers.
        dates: Places of dates.
        text: All of it in words, for who does not see it.
    """

    bars: tuple[Bar, ...]
    lines: tuple[Mark, ...]
    dates: tuple[Mark, ...]
    text: str
    unknown: int
    width: int = WIDTH
    height: int = HEIGHT
    left: int = _LEFT
    right: int = WIDTH - _RIGHT
    base: int = HEIGHT - _BOTTOM
    top: int = _TOP


@dataclass(frozen=True, slots=True)
class Cell:
    """One day of a week's row."""

    date: str
    text: str
    kind: DayKind


@dataclass(frozen=True, slots=True)
class Week:
    """Seven days from a Monday; None: the day is not in the cycle, or not begun yet."""

    monday: str
    cells: tuple[Cell | None, ...]


def chart_of(cycle: ReportedCycle) -> Chart | None:
    """Return the chart; None: the report has no days."""
    days = cycle.content.daily_active_users
    if days is None:
        return None
    top = _nice(max((count for count in days if count is not None), default=0))
    slot = (WIDTH - _LEFT - _RIGHT) / length_days(cycle)
    dates = [_date(cycle, at) for at in range(length_days(cycle))]
    step = -(-len(dates) // _DATES_SHOWN)
    return Chart(
        bars=tuple(_bar(at, count, slot, top, dates[at]) for at, count in enumerate(days)),
        lines=tuple(
            Mark(_height(level, top), grouped(level))
            for level in ([0, top // 2, top] if top > 1 else [0, 1])
        ),
        dates=tuple(
            Mark(round(_LEFT + (at + 0.5) * slot, 2), f"{dates[at].day} {dates[at]:%b}")
            for at in range(0, len(dates), step)
        ),
        text=_in_words(days, dates),
        unknown=sum(count is None for count in days),
    )


def weeks_of(cycle: ReportedCycle) -> tuple[Week, ...]:
    """Return the days as rows of weeks; empty if the report has no days."""
    days = cycle.content.daily_active_users
    if not days:
        return ()
    first = _date(cycle, 0)
    offset = first.weekday()
    cells: list[Cell | None] = [None] * offset
    cells += [_cell(count, _date(cycle, at)) for at, count in enumerate(days)]
    cells += [None] * (-len(cells) % 7)
    return tuple(
        Week(
            f"{first - timedelta(days=offset) + timedelta(days=at):%Y-%m-%d}",
            tuple(cells[at : at + 7]),
        )
        for at in range(0, len(cells), 7)
    )


def kind_of(count: int | None) -> DayKind:
    """Return what is known of a day."""
    return DayKind.UNKNOWN if count is None else DayKind.COUNT if count else DayKind.ZERO


def _bar(at: int, count: int | None, slot: float, top: int, date: datetime) -> Bar:
    kind = kind_of(count)
    gap = min(2.0, slot / 5)
    y = float(_TOP) if count is None else _height(count, top)
    signs = {DayKind.UNKNOWN: "?", DayKind.ZERO: "0", DayKind.COUNT: ""}
    text = "not known" if count is None else f"{grouped(count)} at least"
    return Bar(
        x=round(_LEFT + at * slot + gap / 2, 2),
        y=y,
        width=round(slot - gap, 2),
        height=round(HEIGHT - _BOTTOM - y, 2),
        kind=kind,
        label=f"{date:%Y-%m-%d}: {text}",
        sign=signs[kind] if slot >= _WIDE else "",
    )


def _cell(count: int | None, date: datetime) -> Cell:
    text = "not known" if count is None else grouped(count)
    return Cell(f"{date.day} {date:%b}", text, kind_of(count))


def _in_words(days: Sequence[int | None], dates: Sequence[datetime]) -> str:
    known = [(count, at) for at, count in enumerate(days) if count is not None]
    parts = [f"Users active on each day, at least, for {len(days)} days."]
    if known:
        (high, busiest), (low, quietest) = max(known), min(known)
        parts.append(f"Most: {grouped(high)} on {dates[busiest]:%Y-%m-%d}.")
        parts.append(f"Fewest known: {grouped(low)} on {dates[quietest]:%Y-%m-%d}.")
    unknown = [f"{dates[at]:%Y-%m-%d}" for at, count in enumerate(days) if count is None]
    if unknown:
        more = len(unknown) - _DAYS_NAMED
        named = ", ".join(unknown[:_DAYS_NAMED]) + (f" and {more} more" if more > 0 else "")
        parts.append(f"Not known, which is not zero: {named}.")
    return " ".join(parts)


def _nice(highest: int) -> int:
    """Return a round number, at least ``highest`` and 1; even if it is more than 1."""
    size = 1
    while True:
        for digit in _NICE:
            if digit * size >= highest:
                return digit * size
        size *= 10


def _height(count: int, top: int) -> float:
    return round(HEIGHT - _BOTTOM - (HEIGHT - _TOP - _BOTTOM) * count / top, 2)


def _date(cycle: ReportedCycle, at: int) -> datetime:
    return datetime.fromtimestamp(cycle.start_s, UTC) + timedelta(days=at)
