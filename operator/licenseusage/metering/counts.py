"""Kind C: bare counts (MEASUREMENT §5).

A number names nobody, so that numbers are never added to what is known of users. What a sample can
prove follows from the window that the product counted, and that is known only as far as its cache
and its clock allow: surely inside the cycle it is a lower bound, surely covering it an upper bound.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from licenseusage.metering.countwindows import CountWindow
from licenseusage.metering.cycles import CYCLE_BIT, DAY_MS, Cycle, Segment
from licenseusage.metering.known import WindowCounts
from licenseusage.metering.polled import Polled

ESTIMATE_WITHIN_MS = DAY_MS
"""How far either end of a sample's window may lie from the cycle's for it to be an estimate."""


@dataclass(frozen=True, slots=True)
class CountProperties:
    """Declared properties of a source of bare counts. All spans in ms, >= 0 (MEASUREMENT §1).

    Attributes:
        window: Which stamps the product counts.
        age_ms: The number was computed at most so long before it was read (cache, scrape).
        skew_ms: e: ``|stamp - true time| <= e``.
        lag_ms: L: an activity at t is counted at the latest at t + L.
        hidden_ms: H: a stamp does not rule out activity up to H after it.
        kept_ms: K: a user is counted for so long after each activity; None: for ever. 0: users may
            leave at any time, so that nothing is an upper bound.
        relisted: Users may leave the count and come back without activity.
        self_counted: Own or excluded accounts that may be inside the number.
        saturates_at: The number never grows beyond this (a licence's cap); None: it does.
        whole: The source is declared to count everybody (no missing label, no other instance).
    """

    window: CountWindow
    age_ms: int = 0
    skew_ms: int = 0
    lag_ms: int = 60_000
    hidden_ms: int = 0
    kept_ms: int | None = 0
    relisted: bool = True
    self_counted: int = 0
    saturates_at: int | None = None
    whole: bool = False

    def __post_init__(self) -> None:
        """Refuse values that no rule covers.

        Raises:
            ValueError: A span or number is negative.
        """
        spans = (self.age_ms, self.skew_ms, self.lag_ms, self.hidden_ms, self.kept_ms)
        numbers = (*spans, self.self_counted, self.saturates_at)
        if any(number is not None and number < 0 for number in numbers):
            raise ValueError(f"spans and numbers must not be negative: {self}")


class Sample(NamedTuple):
    """One number and the time to which it applies, in ms since the epoch.

    Attributes:
        users: How many are counted, those of ``self_counted`` perhaps among them.
        first_ms: Whoever is counted was active at or after this.
        last_ms: And at or before this.
        covers_from_ms: Everybody active at or after this,
        covers_until_ms: and before this, is counted; not before ``covers_from_ms``: nobody need be.
        computed_ms: Earliest time at which the product computed the number.
        read_ms: When it had been read.
        full: The product had warmed up, counts everybody, and is not at its cap: the number is not
            too low.
        advances: Its window starts no earlier than those of all samples computed before.
    """

    users: int
    first_ms: int
    last_ms: int
    covers_from_ms: int
    covers_until_ms: int
    computed_ms: int
    read_ms: int
    full: bool
    advances: bool = True


@dataclass(frozen=True, slots=True)
class Counts:
    """Samples of one series (one store, one kind of window); joined by union."""

    samples: frozenset[Sample] = field(default_factory=frozenset)


def merge_counts(a: Counts, b: Counts) -> Counts:
    """Return the join: the same sample read twice is one."""
    return Counts(a.samples | b.samples)


def sample(properties: CountProperties, polled: Polled, count: int, *, warm: bool) -> Sample:
    """Return the sample of one number.

    Args:
        properties: What the source declares.
        polled: When it was read; ``complete`` is not asked of a single number.
        count: The number, >= 0.
        warm: The product has run long enough since its start to have counted everybody again.
    """
    computed = polled.began_ms - properties.age_ms
    span = properties.window.span(computed, polled.read_ms)
    saturated = properties.saturates_at is not None and count >= properties.saturates_at
    covers_from = span.first_latest_ms + properties.skew_ms + properties.hidden_ms
    if properties.kept_ms is not None:
        covers_from = max(covers_from, polled.read_ms - properties.kept_ms)
    return Sample(
        users=count,
        first_ms=span.first_earliest_ms - properties.skew_ms,
        last_ms=min(span.last_latest_ms + properties.skew_ms, polled.read_ms),
        covers_from_ms=covers_from,
        covers_until_ms=min(
            span.until_earliest_ms - properties.skew_ms, computed - properties.lag_ms
        ),
        computed_ms=computed,
        read_ms=polled.read_ms,
        full=warm and properties.whole and not saturated,
        advances=properties.window.advances(computed, polled.read_ms),
    )


def tally_counts(
    facts: Counts, properties: CountProperties, cycle: Cycle | Segment, window: int = CYCLE_BIT
) -> WindowCounts:
    """Return the bounds that the samples of one series prove.

    Samples that contradict each other (more people counted inside a span than by a sample that
    covers it) take the upper bound away: one of them is too low, and nobody knows which others are.
    """
    start, end = cycle.windows()[window]
    samples = sorted(facts.samples)
    own = properties.self_counted
    lower = 0
    for sample_ in samples:
        if start <= sample_.first_ms and sample_.last_ms < end:
            lower = max(lower, sample_.users - own)
    lower = max(lower, _risen(samples, properties, start, end) - own)
    upper = None if contradictory(samples, own) else _chained(samples, start, end)
    estimate = _estimate(samples, start, end) if window == CYCLE_BIT else None
    return WindowCounts(lower, upper, upper is not None and upper < lower, estimate=estimate)


def contradictory(samples: Iterable[Sample], self_counted: int) -> bool:
    """Whether a sample says fewer than another proves to have been active in what it covers.

    Also for the answers of several pods that state the same number: they differ by more than their
    ages explain (MEASUREMENT §5).
    """
    samples = list(samples)
    waiting = sorted(samples, key=lambda s: s.first_ms)
    lasts: list[int] = []  # of the samples that begin late enough: ascending,
    counts: list[int] = []  # and with each the greatest count up to it, ascending too
    for low in sorted(samples, key=lambda s: s.covers_from_ms, reverse=True):
        while waiting and waiting[-1].first_ms >= low.covers_from_ms:
            _raise_stair(lasts, counts, waiting.pop())
        inside = bisect_left(lasts, low.covers_until_ms)
        if low.full and inside and low.users < counts[inside - 1] - self_counted:
            return True
    return False


def _raise_stair(lasts: list[int], counts: list[int], sample_: Sample) -> None:
    at = bisect_right(lasts, sample_.last_ms)
    if at and counts[at - 1] >= sample_.users:
        return
    behind = at
    while behind < len(counts) and counts[behind] <= sample_.users:
        behind += 1
    lasts[at:behind], counts[at:behind] = [sample_.last_ms], [sample_.users]


def _risen(samples: Iterable[Sample], properties: CountProperties, start: int, end: int) -> int:
    """Return the greatest rise between two samples of which both lie in the window.

    Whoever is counted later and was not counted before was active in between: unless users come
    back without activity, or the number before was too low.
    """
    if properties.relisted:
        return 0
    first_ms = start + max(properties.lag_ms, properties.skew_ms)
    before = [s for s in samples if s.full and s.computed_ms >= first_ms]
    before.sort(key=lambda s: s.read_ms, reverse=True)
    least: int | None = None
    risen = 0
    for later in sorted(samples, key=lambda s: s.computed_ms):
        while before and before[-1].read_ms < later.computed_ms:
            count = before.pop().users
            least = count if least is None else min(least, count)
        if least is not None and later.advances and later.read_ms < end:
            risen = max(risen, later.users - least)
    return risen


def _chained(samples: Iterable[Sample], start: int, end: int) -> int | None:
    """Return the least sum of samples that cover ``[start, end)`` one after the other."""
    ends, sums = [start], [0]  # both ascending: reaching further never costs less
    for sample_ in sorted(samples, key=lambda s: s.covers_until_ms):
        behind = bisect_left(ends, sample_.covers_from_ms)
        if not sample_.full or sample_.covers_until_ms <= start or behind == len(ends):
            continue
        total = sums[behind] + sample_.users
        while sums and sums[-1] >= total:
            del ends[-1], sums[-1]
        ends.append(sample_.covers_until_ms)
        sums.append(total)
    behind = bisect_left(ends, end)
    return sums[behind] if behind < len(ends) else None


def _estimate(samples: Iterable[Sample], start: int, end: int) -> int | None:
    """Return the number whose window is nearest to the cycle, if one is near at all."""

    def distance(sample_: Sample) -> tuple[int, Sample]:
        return max(abs(sample_.first_ms - start), abs(sample_.last_ms - end)), sample_

    near = min(map(distance, samples), default=None)
    return near[1].users if near is not None and near[0] <= ESTIMATE_WITHIN_MS else None
