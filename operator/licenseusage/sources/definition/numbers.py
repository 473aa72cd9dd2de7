"""A number of users as a source: where it stands, and which activity the product looks at."""

from typing import Literal
from zoneinfo import ZoneInfo

import msgspec

from licenseusage.metering.countwindows import (
    CalendarMonthToDate,
    CountWindow,
    FromTo,
    Rolling,
    RollingCalendarMonth,
)
from licenseusage.metering.cycles import DAY_MS, Cycle

HOUR_MS = 3_600_000

WindowType = Literal["Rolling", "RollingCalendarMonth", "CalendarMonthToDate", "Cycle"]


class Window(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The span of activity that a product looks at.

    Attributes:
        type: How it is chosen.
        length_ms: Of type ``Rolling``; 0 for the others.
        time_zone: IANA name of the zone in which months begin.
    """

    type: WindowType
    length_ms: int = 0
    time_zone: str = "UTC"

    def rule(self, cycle: Cycle | None = None) -> CountWindow:
        """Return the rule by which stamps are chosen.

        Args:
            cycle: The cycle that the request names; only type ``Cycle`` needs it.
        """
        match self.type:
            case "Rolling":
                return Rolling(self.length_ms)
            case "RollingCalendarMonth":
                return RollingCalendarMonth(ZoneInfo(self.time_zone))
            case "CalendarMonthToDate":
                return CalendarMonthToDate(ZoneInfo(self.time_zone))
            case "Cycle":
                assert cycle is not None  # noqa: S101
                return FromTo(cycle.start_ms, cycle.end_ms)

    @property
    def words(self) -> str:
        """The window in words, behind "active": ``in the last 30 days``."""
        match self.type:
            case "Rolling" if self.length_ms % DAY_MS == 0 and self.length_ms > DAY_MS:
                return f"in the last {self.length_ms // DAY_MS} days"
            case "Rolling":
                return f"in the last {self.length_ms // HOUR_MS} hours"
            case "RollingCalendarMonth":
                return "since the same day of the month before"
            case "CalendarMonthToDate":
                return "since the first of the month"
            case "Cycle":
                return "in the cycle"


class Gauge(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A gauge among a product's metrics.

    Attributes:
        metric: Its name.
        labels: Labels that its series must have, sorted.
        reduce: What is done with several series.
    """

    metric: str
    labels: tuple[tuple[str, str], ...]
    reduce: Literal["One", "Max", "Sum"]


class Number(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A number of users, none of whom is named (source kind C of MEASUREMENT).

    Attributes:
        value: JMESPath over the answer; None where it is
        gauge: a metric.
        window: Which activity the product counts.
        precision: ``Counted``, or ``Estimated``: then it is never a bound.
        own_accounts: So many of those counted may be no people.
        saturates_at: The product does not count beyond this; None: it does.
        warmup_ms: How long after its start a pod may state too few.
        across_pods: ``Any``: one answers for all. ``Same``: all are asked, and state one number.
            ``Shards``: each counts others.
        shards: How many pods hold a part each.
    """

    value: str | None
    gauge: Gauge | None
    window: Window
    precision: Literal["Counted", "Estimated"]
    own_accounts: int
    saturates_at: int | None
    warmup_ms: int
    across_pods: Literal["Any", "Same", "Shards"] = "Any"
    shards: int | None = None

    @property
    def chooses(self) -> tuple[object, ...]:
        """What decides who is counted."""
        return (self.value, self.gauge, self.window, self.precision, self.across_pods)
