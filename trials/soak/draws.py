"""Small choices that several parts of a plan make."""

import random

from trials.soak.people import HOUR_MS, MINUTE_MS

NEVER = 1 << 62


def span(random_: random.Random, length_ms: int) -> int:
    """Draw how long something lasts: minutes to several cycles."""
    longest = random_.choice((5 * MINUTE_MS, HOUR_MS, 12 * HOUR_MS, length_ms, 3 * length_ms))
    return random_.randrange(1, longest)


def clock_error(random_: random.Random) -> int:
    """Draw how far a clock is ahead: within what poll skew and receiver allow."""
    return random_.choice((0, 0, random_.randint(-900, 900), random_.randint(-110_000, 110_000)))
