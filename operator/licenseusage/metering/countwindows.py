"""The stamps that a product counts: rolling windows, calendar months, or a requested range.

When a count was computed is known only within a range (cache age, duration of the poll), so each
end of its window is a range as well (MEASUREMENT §5). Counts of an instant (accounts, sessions,
people signed in now) say nothing about a span of time: there is no window for them.
"""

from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo
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
    """A rule by which a product chooses the stamps it counts."""

    def span(self, earliest_ms: int, latest_ms: int) -> WindowSpan:
        """Return the window of a count computed between two instants."""
        ...

    def advances(self, earliest_ms: int, latest_ms: int) -> bool:
        """Whether that window starts no earlier than those of all counts computed before."""
        ...


@dataclass(frozen=True, slots=True)
class Rolling:
    """Stamps in ``(c - length, c]``, c being when the count is computed."""

    length_ms: int

    def span(self, earliest_ms: int, latest_ms: int) -> WindowSpan:
        """Return the window of a count computed between two instants."""
        back = self.length_ms - 1
        return WindowSpan(earliest_ms - back, latest_ms - back, latest_ms, earliest_ms)

    def advances(self, earliest_ms: int, latest_ms: int) -> bool:
        """It always does."""
        return True


@dataclass(frozen=True, slots=True)
class RollingCalendarMonth:
    """Stamps since the same time of the same day of the month before, in a time zone.

    Where that month has no such day, since its last one: so that on 29 March at 07:00 the window
    starts earlier than on 28 March at 20:00. Around these days either end may be anywhere in that
    last day.
    """

    zone: tzinfo = UTC

    def span(self, earliest_ms: int, latest_ms: int) -> WindowSpan:
        """Return the window of a count computed between two instants."""
        starts = *self._month_before(earliest_ms), *self._month_before(latest_ms)
        # The instant itself may be left out.
        return WindowSpan(min(starts), max(starts) + 1, latest_ms, earliest_ms)

    def advances(self, earliest_ms: int, latest_ms: int) -> bool:
        """Not on the days that the month before did not have, nor where a month ends meanwhile."""
        earliest, latest = (_local(at_ms, self.zone) for at_ms in (earliest_ms, latest_ms))
        one_month = (earliest.year, earliest.month) == (latest.year, latest.month)
        return one_month and latest.day <= _length(_first_of_last(latest))

    def _month_before(self, at_ms: int) -> tuple[int, int]:
        now = _local(at_ms, self.zone)
        before = _first_of_last(now)
        last = _length(before)
        then = before.replace(day=min(now.day, last))
        if now.day < last or _length(now) <= last:
            return _instants(then)
        midnight = _midnight(then)
        return min(_instants(midnight)), max(_instants(midnight + timedelta(days=1)))


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
        return _instants(_midnight(_local(at_ms, self.zone).replace(day=1)))

    def advances(self, earliest_ms: int, latest_ms: int) -> bool:
        """It always does."""
        return True


@dataclass(frozen=True, slots=True)
class FromTo:
    """Stamps in ``[start, end)`` as the question names them, such as a past month."""

    start_ms: int
    end_ms: int

    def span(self, earliest_ms: int, latest_ms: int) -> WindowSpan:
        """Return the window asked for; what is not visible yet is a matter of the lag."""
        return WindowSpan(self.start_ms, self.start_ms, self.end_ms - 1, self.end_ms)

    def advances(self, earliest_ms: int, latest_ms: int) -> bool:
        """It is always the same."""
        return True


def _local(at_ms: int, zone: tzinfo) -> datetime:
    return (_EPOCH + at_ms * _MILLISECOND).astimezone(zone)


def _midnight(local: datetime) -> datetime:
    return datetime.combine(local, time.min, local.tzinfo)


def _length(month: datetime) -> int:
    return monthrange(month.year, month.month)[1]


def _first_of_last(local: datetime) -> datetime:
    """The first of the month before, at the same time of day."""
    if local.month == 1:
        return local.replace(year=local.year - 1, month=12, day=1)
    return local.replace(month=local.month - 1, day=1)


def _instants(local: datetime) -> tuple[int, int]:
    """Return both readings of a local time: it may have happened twice, or never."""
    first, second = (
        (local.replace(fold=fold).astimezone(UTC) - _EPOCH) // _MILLISECOND for fold in (0, 1)
    )
    return first, second
