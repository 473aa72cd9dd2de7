"""The terms of the run: a cycle in whose middle it falls, and when a next report is due at once."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Final

CYCLE_DAYS: Final = 30
ENTITLED: Final = 3_500
_DAYS_BEFORE: Final = 10
_HOURS: Final = (240, 120, 60, 40, 30, 24, 20, 15, 12, 10, 8, 6, 5, 4, 3, 2, 1)
"""Divisors of the 240 hours before the run: each has begun more slots than the one before it.

A licence that is renewed with the next interval makes a report due now. So a run needs no other
clock, and does not wait an hour.
"""


@dataclass(frozen=True, slots=True)
class Plan:
    """The licence's terms.

    Attributes:
        today: The day of the run, UTC. The cycle began ten days before it, so that it ends in none.
    """

    today: date
    _hours: Iterator[int] = field(default_factory=lambda: iter(_HOURS))

    @property
    def anchor(self) -> date:
        """The cycle's first day."""
        return self.today - timedelta(days=_DAYS_BEFORE)

    @property
    def start(self) -> int:
        """The cycle's first second, since the epoch."""
        return int(datetime.combine(self.anchor, datetime.min.time(), UTC).timestamp())

    def next_interval_hours(self) -> int:
        """Return an interval between reports under which a further one is due at once."""
        return next(self._hours)
