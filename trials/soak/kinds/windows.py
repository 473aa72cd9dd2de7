"""The windows by which a simulated product chooses whom it counts or lists.

Written from the product's side, apart from the operator's own reading of the same words.
"""

import random
from calendar import monthrange
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from trials.soak.people import DAY_MS, HOUR_MS, Account

_ZONES = ("UTC", "Europe/Berlin", "America/Los_Angeles", "Asia/Kolkata")


def draw_window(random_: random.Random, cycle_ms: int) -> dict[str, Any]:
    """Draw a window as a person writes it: shorter than a cycle, as long, or longer."""
    kind = random_.choice(("Rolling",) * 4 + ("RollingCalendarMonth", "CalendarMonthToDate"))
    if kind != "Rolling":
        return {"type": kind, "timeZone": random_.choice(_ZONES)}
    if random_.random() < 0.3:
        return {"type": kind, "hours": random_.choice((6, 24, 36, 49))}
    days = max(1, round(random_.choice((0.2, 0.4, 0.7, 1, 1.5, 2)) * cycle_ms / DAY_MS))
    return {"type": kind, "days": days}


def first_ms(window: Mapping[str, Any], at_ms: int) -> int:
    """Return the first stamp that counts where the product looks at an instant."""
    if window["type"] == "Rolling":
        length_ms: int = window.get("days", 0) * DAY_MS + window.get("hours", 0) * HOUR_MS
        return at_ms - length_ms + 1
    zone = ZoneInfo(window.get("timeZone", "UTC"))
    local = datetime.fromtimestamp(at_ms // 1000, UTC).astimezone(zone)
    if window["type"] == "CalendarMonthToDate":
        first = local.replace(day=1, hour=0, minute=0, second=0)
    else:
        year, month = (local.year, local.month - 1) if local.month > 1 else (local.year - 1, 12)
        day = min(local.day, monthrange(year, month)[1])
        first = local.replace(year=year, month=month, day=day)
    return int(first.timestamp()) * 1000


def was_active(account: Account, from_ms: int, to_ms: int, seen_ms: int) -> bool:
    """Whether an activity of ``[from_ms, to_ms)`` had been written by an instant."""
    return any(written <= seen_ms and from_ms <= at < to_ms for written, at in account.writes)


def looked_ms(at_ms: int, age_ms: int) -> int:
    """Return when a product has looked that keeps its answer for so long."""
    return at_ms - at_ms % age_ms if age_ms else at_ms
