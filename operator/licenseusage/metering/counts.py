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
"""How far either end of a sample's window may lie from the cycle's for it to be an estimate.

In a short cycle no more than a twelfth of it: else the day before would do for a cycle of a day.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class CountTerms:
    """What is declared now of a source of bare counts: it is held against all samples.

    Attributes:
        skew_ms: e: ``|stamp - true time| <= e``.
        lag_ms: L: an activity at t is counted at the latest at t + L.
        kept_ms: K: a user is counted for so long after each activity; None: for ever. 0: users may
            leave at any time, so that nothing is an upper bound.
        relisted: Users may leave the count and come back without activity.
        self_counted: Own or excluded accounts that may be inside the number.
        whole: The source is declared to count everybody (no missing label, no other instance).
    """

    skew_ms: int = 0
    lag_ms: int = 60_000
    kept_ms: int | None = 0
    relisted: bool = True
    self_counted: int = 0
    whole: bool = False

    @property
    def keeps_users(self) -> bool:
        """Whether a number can be an upper bound."""
        return self.whole and self.kept_ms != 0

    @property
    def settles_ms(self) -> int:
        """How long after an activity it must be counted, by any clock."""
        return max(self.lag_ms, self.skew_ms)

    def assumptions(self) -> tuple[str, ...]:
        """Tokens for ``rules.assumptions`` of the report: the properties that accuracy rests on."""
        if not self.keeps_users:
            return ()
        return ("RemovalNever", "CountComplete") if self.kept_ms is None else ("CountComplete",)


@dataclass(frozen=True, slots=True, kw_only=True)
class CountProperties(CountTerms):
    """Declared properties of a source of bare counts. All spans in ms, >= 0 (MEASUREMENT §1).

    Attributes:
        window: Which stamps the product counts.
        age_ms: The number was computed at most so long before it was read (cache, scrape).
        hidden_ms: H: a stamp does not rule out activity up to H after it.
        saturates_at: The number never grows beyond this (a licence's cap); None: it does.
        estimated: The product does not count, it estimates (HyperLogLog): nothing is a bound.
    """

    window: CountWindow
    age_ms: int = 0
    hidden_ms: int = 0
    saturates_at: int | None = None
    estimated: bool = False

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
        own: So many of those counted may be no people, as was declared when it was read.
        saturated: The number had reached its cap: there may be any number more.
        estimated: The product estimates: the number bounds nothing.
        settled_ms: Whoever was active before this, and ever counted, is counted.
        stays: Nobody leaves the count and comes back without activity, as was declared then.
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
    own: int = 0
    saturated: bool = False
    estimated: bool = False
    settled_ms: int = 0
    stays: bool = False


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
        full=warm and properties.whole and not saturated and not properties.estimated,
        advances=properties.window.advances(computed, polled.read_ms),
        own=properties.self_counted,
        saturated=saturated,
        estimated=properties.estimated,
        settled_ms=computed - properties.settles_ms,
        stays=not properties.relisted,
    )


def tally_counts(
    facts: Counts, terms: CountTerms | None, cycle: Cycle | Segment, window: int = CYCLE_BIT
) -> WindowCounts:
    """Return the bounds that the samples of one series prove.

    Samples that contradict each other (more people counted inside a span than by a sample that
    covers it) take the upper bound away: one of them is too low, and nobody knows which others are.

    Args:
        facts: The samples.
        terms: What is declared now; None: the source is gone, so that nothing is an upper bound.
        cycle: The cycle or segment.
        window: ``CYCLE_BIT``, or the number of a day.
    """
    start, end = cycle.windows()[window]
    samples = sorted(facts.samples)
    counted = [each for each in samples if not each.estimated]
    inside = (each for each in counted if start <= each.first_ms and each.last_ms < end)
    own, settles_ms = (0, 0) if terms is None else (terms.self_counted, terms.settles_ms)
    lower = max((_people(each, own) for each in inside), default=0)
    if terms is None or (terms.whole and not terms.relisted):
        lower = max(lower, _risen(counted, own, start + settles_ms, start, end))
    lower, upper = max(lower, 0), None
    if terms is not None and terms.keeps_users and not contradictory(counted, own):
        upper = _chained(counted, start, end)
    estimate = _estimate(samples, start, end) if window == CYCLE_BIT else None
    return WindowCounts(lower, upper, upper is not None and upper < lower, estimate=estimate)


def _people(sample_: Sample, own: int) -> int:
    """Return how many of those counted are people for sure; may be negative."""
    return sample_.users - max(sample_.own, own)


def contradictory(samples: Iterable[Sample], own: int = 0) -> bool:
    """Whether a sample says fewer than another proves to have been active in what it covers.

    Also for the answers of several pods that state the same number: they differ by more than their
    ages explain (MEASUREMENT §5).
    """
    samples = list(samples)
    waiting = sorted(samples, key=lambda s: s.first_ms)
    lasts: list[int] = []  # of the samples that begin late enough: ascending,
    people: list[int] = []  # and with each the most people counted up to it, ascending too
    for low in sorted(samples, key=lambda s: s.covers_from_ms, reverse=True):
        while waiting and waiting[-1].first_ms >= low.covers_from_ms:
            sample = waiting.pop()
            _raise_stair(lasts, people, sample.last_ms, _people(sample, own))
        inside = bisect_left(lasts, low.covers_until_ms)
        if low.full and inside and low.users < people[inside - 1]:
            return True
    return False


def _raise_stair(lasts: list[int], people: list[int], last_ms: int, counted: int) -> None:
    at = bisect_right(lasts, last_ms)
    if at and people[at - 1] >= counted:
        return
    behind = at
    while behind < len(people) and people[behind] <= counted:
        behind += 1
    lasts[at:behind], people[at:behind] = [last_ms], [counted]


def _risen(samples: Iterable[Sample], own: int, computed_from_ms: int, start: int, end: int) -> int:
    """Return the greatest rise between two samples of which both lie in the window.

    Whoever is counted later and was not counted before was active in between: unless users come
    back without activity, or the number before was too low.
    """
    settled = (s for s in samples if s.settled_ms >= start and s.computed_ms >= computed_from_ms)
    before = [s for s in settled if s.full and s.stays]
    before.sort(key=lambda s: s.read_ms, reverse=True)
    least: int | None = None
    risen = 0
    for later in sorted(samples, key=lambda s: s.computed_ms):
        while before and before[-1].read_ms < later.computed_ms:
            count = before.pop().users
            least = count if least is None else min(least, count)
        if least is not None and later.advances and later.stays and later.read_ms < end:
            risen = max(risen, _people(later, own) - least)
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

    near = min((distance(each) for each in samples if not each.saturated), default=None)
    within_ms = min(ESTIMATE_WITHIN_MS, (end - start) // 12)
    return near[1].users if near is not None and near[0] <= within_ms else None
