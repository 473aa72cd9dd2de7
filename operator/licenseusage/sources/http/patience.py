"""Whether a page that was refused for now is waited for, and how long. Pure."""

from contextlib import suppress
from email.utils import parsedate_to_datetime

from licenseusage.retryafter import retry_after_seconds

_FOR_NOW = (429, 503)


def told_seconds(retry_after: str | None, date: str | None, now_s: int) -> int | None:
    """Return how long an answer asks to wait; None: it does not say.

    Args:
        retry_after: Its header ``Retry-After``: seconds, or a date by the product's clock.
        date: Its header ``Date``.
        now_s: Our clock, in seconds since the epoch, where it has no date.
    """
    with suppress(ValueError, OverflowError):
        now_s = int(parsedate_to_datetime(date or "").timestamp())
    return retry_after_seconds(retry_after, now_s)


def pause_seconds(
    status: int, asked_seconds: int | None, waits: int, left: float, *, others: bool
) -> float | None:
    """Return how long to wait before the same page is asked for again; None: it is not.

    Args:
        status: Of the answer.
        asked_seconds: What it asks for, in seconds.
        waits: How often this page was waited for already; each time it is longer.
        left: Of the poll's time, in seconds.
        others: The list has not begun, and there are other pods. One that is not available is then
            no reason to wait; a limit of requests is, as it may be the limit of all.
    """
    if status not in _FOR_NOW or asked_seconds is None or (status == 503 and others):
        return None
    seconds = max(asked_seconds, 2**waits)
    return seconds if seconds < left else None
