"""When a poll was made, as far as the clocks of operator and product agree."""

from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Polled:
    """The times of one poll, widened by the clock skew k (MEASUREMENT §1), ms since the epoch.

    Attributes:
        began_ms: Just before the first request was sent, or earlier: start - k.
        read_ms: Just after the last answer was read, or later: end + k.
        complete: Every page was read and the listing was complete as in MEASUREMENT §3.6. What
            other polls show is true as well, but says nothing about what they do not show.
    """

    began_ms: int
    read_ms: int
    complete: bool

    @classmethod
    def at(cls, started_ms: int, ended_ms: int, clock_skew_ms: int, *, complete: bool) -> Self:
        """Return the times of a poll by the operator's clock, widened by the clock skew."""
        return cls(started_ms - clock_skew_ms, ended_ms + clock_skew_ms, complete)
