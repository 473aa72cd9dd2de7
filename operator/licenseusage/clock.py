"""The one clock of operator, receiver, command line and sample product.

Below this module nothing reads the time: it is passed in as a value (DESIGN §9). For demos and
tests the clock can be shifted into the past, so that a cycle of whole days ends a minute after
start.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from licenseusage.errors import Stalled
from licenseusage.reasons import Reason

DEV = "LICENSEUSAGE_DEV"
DEV_CLOCK_OFFSET_SECONDS = "LICENSEUSAGE_DEV_CLOCK_OFFSET_SECONDS"


class Clock(Protocol):
    """Tells the time."""

    def now_ms(self) -> int:
        """Milliseconds since 1970-01-01T00:00:00Z."""
        ...


@dataclass(frozen=True, slots=True)
class SystemClock:
    """The machine's clock, shifted by ``offset_seconds`` (0, or negative in development mode).

    Attributes:
        offset_seconds: Added to the machine's time; taken out again (``now_ms() - 1000 * offset``)
            before a comparison with another machine's clock.
    """

    offset_seconds: int = 0

    def now_ms(self) -> int:
        """Milliseconds since 1970-01-01T00:00:00Z, shifted."""
        return time.time_ns() // 1_000_000 + 1000 * self.offset_seconds

    @property
    def simulated(self) -> bool:
        """Whether this clock is shifted; reports made with it say so in their version."""
        return self.offset_seconds != 0


def development(env: Mapping[str, str]) -> bool:
    """Whether ``LICENSEUSAGE_DEV=1`` is set: permits a shifted clock and pods on loopback."""
    return env.get(DEV, "") == "1"


def clock_from(env: Mapping[str, str]) -> SystemClock:
    """Return the clock that the environment asks for.

    Raises:
        Stalled: ``SettingsInvalid``: the offset is not a whole number, is positive (kubectl shows
            future dates as ``<invalid>``), or is given without ``LICENSEUSAGE_DEV=1``.
    """
    text = env.get(DEV_CLOCK_OFFSET_SECONDS, "")
    if not text:
        return SystemClock()
    if not development(env):
        raise Stalled(
            Reason.SETTINGS_INVALID,
            f"{DEV_CLOCK_OFFSET_SECONDS} is set, but {DEV}=1 is not: a shifted clock is for demos "
            f"and tests only. Remove it.",
        )
    try:
        offset = int(text)
    except ValueError:
        offset = 1
    if offset > 0:
        raise Stalled(
            Reason.SETTINGS_INVALID,
            f"{DEV_CLOCK_OFFSET_SECONDS}={text!r} must be a whole number of seconds, 0 or less.",
        )
    return SystemClock(offset)
