"""Coverage: when was the product observed. Operation, not proof (MEASUREMENT §0).

A span between two successful polls of a source counts as observed if they are at most two intervals
apart; else it is a gap, with its reason. With several sources, observed means observed by all.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from licenseusage.metering.cycles import Cycle
from licenseusage.metering.events import Hole
from licenseusage.reasons import Reason

MAX_GAPS = 32  # REPORT_FORMAT §5
BEFORE_FIRST_POLL = Reason.BEFORE_FIRST_POLL
NO_POLL = Reason.NO_POLL
FACTS_LOST = Reason.FACTS_LOST


@dataclass(frozen=True, slots=True, order=True)
class Interval:
    """An observed span ``[start_ms, end_ms)`` of one source.

    Attributes:
        start_ms: Start of the first of a run of successful polls.
        end_ms: End of the last one.
        gap_reason: Why nothing was seen right before it: a Token, such as a poll's failure reason.
    """

    start_ms: int
    end_ms: int
    gap_reason: str = BEFORE_FIRST_POLL


@dataclass(frozen=True, slots=True, order=True)
class Gap:
    """An unobserved span ``[start_s, end_s)`` in seconds since the epoch, and why (a Token)."""

    start_s: int
    end_s: int
    reason: str


@dataclass(frozen=True, slots=True)
class Coverage:
    """Coverage of ``[start, asOf)``, as status and report state it.

    Attributes:
        observed_seconds: Seconds observed by every source.
        gaps: Ascending, disjoint, non-empty, at most 32. Unless ``merged``, observed and gaps add
            up to the elapsed time.
        merged: The nearest gaps were joined to fit 32, so that they cover observed time too.
    """

    observed_seconds: int
    gaps: tuple[Gap, ...]
    merged: bool = False


def extended(
    last: Interval | None, started_ms: int, ended_ms: int, interval_ms: int, failure: str | None
) -> Interval:
    """Return the interval that holds a successful poll: ``last`` grown by it, or a new one.

    Args:
        last: Newest interval of the source, None before its first success.
        started_ms: Start of the poll.
        ended_ms: End of the poll.
        interval_ms: The source's effective interval.
        failure: Reason of the failures since ``last``, None where nothing was tried.
    """
    if last is None:
        return Interval(started_ms, ended_ms, failure or BEFORE_FIRST_POLL)
    if started_ms - last.end_ms <= 2 * interval_ms:
        return replace(last, end_ms=max(last.end_ms, ended_ms))
    return Interval(started_ms, max(started_ms, ended_ms), failure or NO_POLL)


@dataclass(frozen=True, slots=True)
class Observed:
    """The observed spans of one source, and the reason for the time after its last success.

    Attributes:
        intervals: Ascending and disjoint.
        failure: Reason of its failures since the last success; None: nothing failed.
        interval_ms: Effective interval; the time since the last success is no gap before two of
            them.
        holes: Event logs: what was lost or not read yet, although the polls succeeded. And what
            was observed by a ledger that was lost.
    """

    intervals: Sequence[Interval]
    failure: str | None = None
    interval_ms: int = 0
    holes: Sequence[Hole] = ()


def coverage(start_ms: int, as_of_ms: int, sources: Sequence[Observed]) -> Coverage:
    """Return the coverage of ``[start_ms, as_of_ms)``.

    The end is rounded up to a whole second, as ``asOf`` is. Times inside are rounded so that
    no unobserved time is called observed.

    Args:
        start_ms: Start of the cycle.
        as_of_ms: End of the statement.
        sources: Every declared source; without any, nothing is observed.
    """
    start, end = start_ms // 1000, -(-as_of_ms // 1000)
    gaps = [gap for source in sources for gap in _gaps_of(source, start, end)]
    if not sources and start < end:
        gaps = [Gap(start, end, NO_POLL)]
    united = _united(gaps)
    observed = max(0, end - start) - sum(gap.end_s - gap.start_s for gap in united)
    fitted = _fitted(united)
    return Coverage(observed, tuple(fitted), merged=len(fitted) < len(united))


def unobserved(span: tuple[int, int], intervals: Sequence[Interval]) -> tuple[tuple[int, int], ...]:
    """Return the parts of ``span`` (start, end; ms) that no interval covers, in order."""
    start, end = span
    parts = []
    for interval in sorted(intervals):
        if interval.end_ms <= start or interval.start_ms >= end:
            continue
        if interval.start_ms > start:
            parts.append((start, interval.start_ms))
        start = interval.end_ms
    if start < end:
        parts.append((start, end))
    return tuple(parts)


def gap_around(at_ms: int, sources: Sequence[Observed]) -> tuple[int, int] | None:
    """Return the unobserved span ``(start_ms, end_ms)`` around an instant; None if observed.

    Used for the sentence about a cycle's end: from the last success before it to the first after
    it.
    """
    spans = []
    for source in sources:
        before = [i.end_ms for i in source.intervals if i.end_ms <= at_ms]
        after = [i.start_ms for i in source.intervals if i.start_ms > at_ms]
        if before and after and not any(i.start_ms <= at_ms < i.end_ms for i in source.intervals):
            spans.append((max(before), min(after)))
    return (min(s for s, _ in spans), max(e for _, e in spans)) if spans else None


def days_followed(cycle: Cycle, ended_ms: int, interval_ms: int) -> int:
    """Return the word of the days that a successful poll ending at ``ended_ms`` makes known.

    A day is known if a successful poll ended within two intervals after the day's end; an unknown
    one is drawn as a gap, never as 0 (MEASUREMENT §0).
    """
    word = 0
    last = cycle.day_of(ended_ms) - 1  # newest day that had ended
    for day in range(min(last, cycle.days - 1), -1, -1):
        _, day_end = cycle.windows()[day]
        if ended_ms - day_end > 2 * interval_ms:
            break
        word |= 1 << day
    return word


def _gaps_of(source: Observed, start: int, end: int) -> Iterable[Gap]:
    """Unobserved spans of one source within ``[start, end)``, in whole seconds."""
    for hole in source.holes:
        first, last = max(start, hole.start_ms // 1000), min(end, -(-hole.end_ms // 1000))
        if first < last:
            yield Gap(first, last, hole.reason)
    seen_until = start
    for interval in source.intervals:
        first, last = -(-interval.start_ms // 1000), interval.end_ms // 1000
        if last <= seen_until:
            continue
        if first >= end:
            if seen_until < end:
                yield Gap(seen_until, end, interval.gap_reason)
            return
        if first > seen_until:
            yield Gap(seen_until, first, interval.gap_reason)
        seen_until = last
    if seen_until < end:
        # Nobody knows yet whether the time since the last success will turn out observed.
        recent = bool(source.intervals) and end - seen_until <= 2 * source.interval_ms // 1000
        if not recent:
            reason = NO_POLL if source.intervals else BEFORE_FIRST_POLL
            yield Gap(seen_until, end, source.failure or reason)


def _united(gaps: Iterable[Gap]) -> list[Gap]:
    """Union of gaps of several sources; where they overlap the earlier one's reason stands."""
    united: list[Gap] = []
    for gap in sorted(gaps):
        if not united or gap.start_s > united[-1].end_s:
            united.append(gap)
        elif gap.end_s > united[-1].end_s:
            if gap.reason == united[-1].reason:
                united[-1] = replace(united[-1], end_s=gap.end_s)
            else:
                united.append(replace(gap, start_s=united[-1].end_s))
    return united


def _fitted(gaps: Sequence[Gap]) -> list[Gap]:
    """Join the nearest gaps until at most 32 are left; the longer one's reason stands."""
    fitted = list(gaps)
    while len(fitted) > MAX_GAPS:
        at = min(range(len(fitted) - 1), key=lambda i: fitted[i + 1].start_s - fitted[i].end_s)
        a, b = fitted[at], fitted[at + 1]
        reason = a.reason if a.end_s - a.start_s >= b.end_s - b.start_s else b.reason
        fitted[at : at + 2] = [Gap(a.start_s, b.end_s, reason)]
    return fitted
