"""What answers about a window of the product's own prove of a cycle: numbers, lists without times.

How far a window proves anything depends on the cycle's length. So an ordinary cycle is played with
the rules themselves: a product that always states the same number is asked again and again, from
the cycle's start until after its end.
"""

from datetime import date

from licenseusage.metering.bounds import Accuracy, Bounds
from licenseusage.metering.counts import Counts, sample, tally_counts
from licenseusage.metering.cycles import DAY_MS, Cycle, Terms
from licenseusage.metering.polled import Polled
from licenseusage.metering.properties import Removal
from licenseusage.metering.rolling import rows_fit
from licenseusage.sources.definition.model import EffectiveSource
from licenseusage.sources.definition.numbers import HOUR_MS

USUAL_DAYS = 30
"""Length of a cycle where nobody says another one."""

OTHER_DAYS = (7, 61)
"""Lengths in whose cycles a window may prove something else: shorter and longer than all months."""

EVERY_MS = 900_000
"""Between two polls (``intervalMinutes``, where it is not given) of a window of a day or less; of a
longer one, one poll in an hour proves the same."""

_PEOPLE = 1000
_FIRST_DAY = date(2026, 11, 1)


def cycle_of(days: int) -> Cycle:
    """Return an ordinary cycle of this length; it begins with a month."""
    return Terms(_FIRST_DAY, length_days=days).cycle(0)


def number_reaches(source: EffectiveSource, days: int) -> Accuracy:
    """Return what a number that stays the same proves of a cycle (MEASUREMENT §5).

    Where it rises within the cycle, and people are declared to stay, it proves more: whoever it
    rose by was active.
    """
    cycle = cycle_of(days)
    properties = source.count_properties(cycle)
    people = _PEOPLE + properties.self_counted
    settled_ms = properties.age_ms + properties.settles_ms + HOUR_MS
    window = source.count.window
    short = window.type == "Rolling" and window.length_ms <= DAY_MS
    every_ms = EVERY_MS if short else HOUR_MS
    times = range(cycle.start_ms, cycle.end_ms + settled_ms + 1, every_ms)
    samples = [
        sample(properties, Polled(at_ms, at_ms, complete=True), people, warm=True)
        for at_ms in times
    ]
    counts = tally_counts(Counts(frozenset(samples)), source.count_terms, cycle)
    return Bounds(counts.lower, counts.upper, counts.estimate, counts.conflict).accuracy


def list_reaches(source: EffectiveSource, days: int) -> Accuracy:
    """Return the best that a list without times proves of a cycle (MEASUREMENT §4)."""
    window, properties = source.window, source.properties
    assert window is not None  # noqa: S101
    fits = rows_fit(cycle_of(days), properties)
    covers_days = window.type != "Rolling" or window.length_ms > DAY_MS
    if properties.removal is Removal.NEVER and window.type != "CalendarMonthToDate" and covers_days:
        return Accuracy.EXACT if fits else Accuracy.BOUNDED
    return Accuracy.LOWER_BOUND if fits else Accuracy.UNKNOWN
