"""Which stamps a product counts: rolling windows, calendar months, or what the question says.

When a count was computed is known only within a range (cache age, duration of the poll), so each
end of its window is a range as well (MEASUREMENT §5). Counts of an instant (accounts, sessions,
people signed in now) say nothing about a span of time: there is no window for them.
"""

from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import NamedTuple, Protocol

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


class WindowSpan(NamedTuple):
    """Where the ends of a counted window may be, in ms since the epoch.

    Attributes:
        first_earliest_ms: The first stamp counted is not before this,
        first_latest_ms: and not after this.
        last_latest_ms: No stamp after this is counted.
        until_earliest_ms: Every stamp before this (and after the first) is counted.
    """

    first_earliest_ms: int
    first_latest_ms: int
    last_latest_ms: int
    until_earliest_ms: int


class CountWindow(Protocol):
    """A rule by which a product chooses the stamps it counts. Its starts never go back."""

    def span(self, earliest_ms: int, latest_ms: int) -> WindowSpan:
        """Return the window of a count computed between two instants."""
        ...


@dataclass(frozen=True, slots=True)
class Rolling:
    """Stamps in ``(c - length, c]``, c being when the count is computed."""

    length_ms: int

    def span(self, earliest_ms: int, latest_ms: int) -> WindowSpan:
        """Return the window of a count computed between two instants."""
        back = self.length_ms - 1
        return WindowSpan(earliest_ms - back, latest_ms - back, latest_ms, earliest_ms)


@dataclass(frozen=True, slots=True)
class RollingCalendarMonth:
    """Stamps since the same time of the same day of the month before, in a time zone.

    Where that month has no such day, since its last one.
    """

    zone: tzinfo = UTC

    def span(self, earliest_ms: int, latest_ms: int) -> WindowSpan:
        """Return the window of a count computed between two instants."""
        return WindowSpan(
            min(self._month_before(earliest_ms)),
            max(self._month_before(latest_ms)) + 1,  # the instant itself may be left out
            latest_ms,
            earliest_ms,
        )

    def _month_before(self, at_ms: int) -> tuple[int, int]:
        now = _local(at_ms, self.zone)
        year, month = (now.year, now.month - 1) if now.month > 1 else (now.year - 1, 12)
        day = min(now.day, monthrange(year, month)[1])
        return _instants(now.replace(year=year, month=month, day=day))


@dataclass(frozen=True, slots=True)
class CalendarMonthToDate:
    """Stamps since the first of the month, in a time zone."""

    zone: tzinfo = UTC

    def span(self, earliest_ms: int, latest_ms: int) -> WindowSpan:
        """Return the window of a count computed between two instants."""
        return WindowSpan(
            min(self._month_start(earliest_ms)),
            max(self._month_start(latest_ms)),
            latest_ms,
            earliest_ms,
        )

    def _month_start(self, at_ms: int) -> tuple[int, int]:
        now = _local(at_ms, self.zone)
        return _instants(now.replace(day=1, hour=0, minute=0, second=0, microsecond=0))


@dataclass(frozen=True, slots=True)
class FromTo:
    """Stamps in ``[start, end)`` as the question names them, such as a past month."""

    start_ms: int
    end_ms: int

    def span(self, earliest_ms: int, latest_ms: int) -> WindowSpan:
        """Return the window asked for; what is not visible yet is a matter of the lag."""
        return WindowSpan(self.start_ms, self.start_ms, self.end_ms - 1, self.end_ms)


def _local(at_ms: int, zone: tzinfo) -> datetime:
    return (_EPOCH + at_ms * _MILLISECOND).astimezone(zone)


def _instants(local: datetime) -> tuple[int, int]:
    """Return both readings of a local time: it may have happened twice, or never."""
    first, second = (
        (local.replace(fold=fold).astimezone(UTC) - _EPOCH) // _MILLISECOND for fold in (0, 1)
    )
    return first, second
