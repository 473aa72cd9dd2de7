"""When to send, and when to send again (REPORT_FORMAT §10). Pure: the random draw is an argument.

``permille`` is always a uniform draw from 0 to 999.
"""

from enum import StrEnum

DAY_SECONDS = 86400
_FIRST_BACKOFF_SECONDS = 30
_LONGEST_BACKOFF_SECONDS = 21600
_DAILY_SPREAD_SECONDS = 3600
_RESTART_SPREAD_MS = 60_000
_INTERIM_SHARE = 12
"""Interims wait a twelfth of the spread of finals: only those fall due at one midnight for all."""


class Schedule(StrEnum):
    """How a document that was not accepted is sent again; ``NONE``: the verdict is signed."""

    NONE = "None"
    BACKOFF = "Backoff"
    SLOW = "Slow"
    DAILY = "Daily"


def delay_seconds(
    schedule: Schedule, attempt: int, permille: int, retry_after: int | None = None
) -> int:
    """Return the seconds to the next attempt.

    Args:
        schedule: Not ``NONE``.
        attempt: Number of the attempt that has failed, from 1.
        permille: See above.
        retry_after: Seconds that the vendor asked for: a floor, at most a day.
    """
    if schedule is Schedule.DAILY:
        return DAY_SECONDS + _DAILY_SPREAD_SECONDS * permille // 1000
    doubled = _FIRST_BACKOFF_SECONDS << min(attempt - 1, 20)
    slow = schedule is Schedule.SLOW
    half = (_LONGEST_BACKOFF_SECONDS if slow else min(_LONGEST_BACKOFF_SECONDS, doubled)) // 2
    wait = min(retry_after or 0, DAY_SECONDS)
    return max(half + half * permille // 1000, wait + wait * permille // 10000)


def first_delay_seconds(*, interim: bool, spread_seconds: int, permille: int) -> int:
    """Return how long a new report waits before it is sent for the first time.

    The finals of all customers fall due at the same midnight.

    Args:
        interim: Interims wait a twelfth.
        spread_seconds: The setting for finals; 0 sends at once.
        permille: See above.
    """
    spread = spread_seconds // _INTERIM_SHARE if interim else spread_seconds
    return spread * permille // 1000


def after_restart_ms(next_attempt_ms: int, now_ms: int, permille: int) -> int:
    """Return when a waiting document is due after a restart.

    Spread over a minute, so that a fleet that restarts does not send at once; and never further
    than 24 hours ahead, so that a clock that was wrong when it was written does no lasting harm.
    """
    spread = now_ms + _RESTART_SPREAD_MS * permille // 1000
    return min(max(next_attempt_ms, spread), now_ms + DAY_SECONDS * 1000)
