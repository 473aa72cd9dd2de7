"""How far the product's clock may be from ours: k of MEASUREMENT §0, from an answer's ``Date``."""

from email.utils import parsedate_to_datetime

from licenseusage.reasons import Reason
from licenseusage.sources.definition.model import SECOND_MS
from licenseusage.sources.failures import PollError

LARGEST_MS = 300 * SECOND_MS


def skew_ms(
    date: str | None, age: str | None, *, sent_ms: int, received_ms: int, declared_s: int | None
) -> int:
    """Return the bound for one answer, at least 1 s.

    A ``Date`` has whole seconds and was written somewhere between sending and receiving: so
    ``|Date - middle| + half the round trip + 1 s``. An ``Age`` header means that a cache answered,
    whose ``Date`` says nothing about now.

    Args:
        date: The header, or None.
        age: The header, or None.
        sent_ms: Just before the request was sent, ms since the epoch, our clock.
        received_ms: When the answer's head was there.
        declared_s: ``guarantees.clockSkewSeconds``, which replaces the measurement.

    Raises:
        PollError: ``ClockUnknown`` or ``ClockSkewTooLarge``; no row can be trusted then.
    """
    if declared_s is not None:
        return max(SECOND_MS, declared_s * SECOND_MS)
    if date is None or age is not None:
        seen = "has no Date header" if date is None else "comes from a cache (Age header)"
        raise PollError(
            Reason.CLOCK_UNKNOWN,
            f"the answer {seen}, so the product's clock cannot be compared with ours. Ask the pods "
            "directly, or declare guarantees.clockSkewSeconds.",
            stalls=True,
            facts_stand=False,
        )
    try:
        shown_ms = int(parsedate_to_datetime(date).timestamp()) * SECOND_MS
    except (ValueError, OverflowError):
        raise PollError(
            Reason.CLOCK_UNKNOWN,
            "the answer's Date header is no HTTP date. Correct the product, or declare "
            "guarantees.clockSkewSeconds.",
            stalls=True,
            facts_stand=False,
        ) from None
    ahead_ms, skew = compared(shown_ms, sent_ms, received_ms)
    if skew > LARGEST_MS:
        raise PollError(
            Reason.CLOCK_SKEW_TOO_LARGE,
            f"the product's clock is {abs(ahead_ms) // SECOND_MS} s "
            f"{'ahead of' if ahead_ms > 0 else 'behind'} ours (answer took "
            f"{(received_ms - sent_ms) / SECOND_MS:.1f} s), at most {LARGEST_MS // SECOND_MS} s "
            "can be allowed for. Set both clocks by NTP; if the Date header is not written by the "
            "clock that makes the time stamps, declare guarantees.clockSkewSeconds.",
            facts_stand=False,
        )
    return skew


def compared(told_ms: int, sent_ms: int, received_ms: int) -> tuple[int, int]:
    """Return how far another clock is ahead of ours, and k (MEASUREMENT §0), both in ms.

    Args:
        told_ms: What it told, some time between sending and receiving.
        sent_ms: Just before the request was sent, our clock.
        received_ms: When the answer was there.
    """
    ahead_ms = told_ms - (sent_ms + received_ms) // 2
    half_ms = (received_ms - sent_ms + 1) // 2
    return ahead_ms, max(SECOND_MS, abs(ahead_ms) + half_ms + SECOND_MS)
