"""A plain forecast of a running cycle's final count, from how earlier cycles grew.

It proves nothing and decides nothing: it helps a person to see in time where a cycle leads. Two
guesses are joined. One is what the earlier cycle came to; the other is the number so far, divided
by the part of its final number that the earlier cycle had at the same place. The further a cycle
has grown, the more the second one weighs. Places are compared by work, not by date: a day weighs as
many people as are usually active on its weekday. The interval is as wide as the same rule went
wrong for the earlier cycles, and never narrower than what one cycle may differ from the next.

``python -m bench --only forecast`` tests it on simulated patterns.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import accumulate
from math import exp, log, sqrt

from licenseusage.metering.bounds import Accuracy
from licenseusage.metering.cycles import DAY_MS, Cycle
from licenseusage.metering.statement import CycleStatement

MOST_CYCLES = 3
"""As many earlier cycles are looked at: facts are kept no longer."""

_WIDTH = 1.64  # nine of ten, of a normal distribution
_ONE_CYCLE = 0.16  # how much the final numbers of two cycles usually differ, as a logarithm
_TRUST = 2.0  # as many cycles' errors weighs _ONE_CYCLE
_FORGETS = 0.5  # weight of a cycle beside that of the next one
_LEAST_WEIGHT = 0.02  # of a weekday on which nobody works
_MISSED = 0.1  # so many of the days, or of the people, may lack


class Lack(StrEnum):
    """Why there is no forecast."""

    FIRST_CYCLE = "FirstCycle"
    NOTHING_SEEN = "NothingSeen"
    DAYS_UNKNOWN = "DaysUnknown"
    EARLIER_UNKNOWN = "EarlierUnknown"


@dataclass(frozen=True, slots=True)
class Past:
    """An ended cycle, as far as a forecast needs it.

    Attributes:
        cycle: The cycle.
        users: Its proved number of active users, at least 1.
        growth: Of these, how many had been active by the end of each day; ascending, one entry for
            each day.
        daily: Users active on each day, one entry for each day; None: not known.
    """

    cycle: Cycle
    users: int
    growth: tuple[int, ...]
    daily: tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class Forecast:
    """The number that a running cycle may end with.

    Attributes:
        users: The likely one.
        low, high: Nine of ten cycles end within; ``low <= users <= high``.
        cycles: How many earlier cycles it rests on.
    """

    users: int
    low: int
    high: int
    cycles: int


def past_of(statement: CycleStatement, first_days: Sequence[int]) -> Past | None:
    """Return an ended cycle as a forecast needs it; None: too little is known of it.

    Only a cycle whose number has an upper bound, and nearly all of whose days are known, has a
    shape: of another one nobody knows how many were missing, and from when.

    Args:
        statement: What is stated of the cycle.
        first_days: Day -> users proved active on it and on no earlier day of the cycle; shorter or
            empty if that is no longer known.
    """
    cycle, bounds = statement.cycle, statement.bounds
    bounded = bounds.accuracy in {Accuracy.EXACT, Accuracy.BOUNDED} and bounds.lower > 0
    dated = sum(first_days) >= (1 - _MISSED) * bounds.lower
    if not (bounded and dated and len(first_days) == cycle.days) or _blind(statement.daily):
        return None
    return Past(cycle, bounds.lower, tuple(accumulate(first_days)), statement.daily)


def lack_of(statement: CycleStatement, ended: int, past: Sequence[Past]) -> Lack | None:
    """Return why there can be no forecast; None: there can.

    Args:
        statement: About the running cycle.
        ended: How many cycles have ended.
        past: Those of them that have a shape.
    """
    if not ended:
        return Lack.FIRST_CYCLE
    if not past:
        return Lack.EARLIER_UNKNOWN
    if not statement.bounds.lower or statement.bounds.accuracy is Accuracy.CONFLICT:
        return Lack.NOTHING_SEEN
    return Lack.DAYS_UNKNOWN if _blind(statement.daily[:-1]) else None


def forecast(statement: CycleStatement, past: Sequence[Past]) -> Forecast:
    """Return the forecast of a running cycle.

    It is never below what is proved, and never above the users that the product lists.

    Args:
        statement: About the running cycle; `lack_of` finds nothing lacking.
        past: Ended cycles with a shape, newest first, at least one.
    """
    lower, weekdays = statement.bounds.lower, _weekdays(past[:MOST_CYCLES])
    curves = [_Curve(cycle, _parts(cycle.cycle, weekdays)) for cycle in past[:MOST_CYCLES]]
    part = _part_at(statement.cycle, statement.as_of_ms, weekdays)
    likely = _likely(lower, part, curves)
    errors = [
        (log(curve.past.users) - _likely(curve.had(part), part, others)) ** 2
        for curve in curves
        if (others := [other for other in curves if other is not curve])
    ]
    usual = (_ONE_CYCLE * (1 - curves[0].had(part) / curves[0].past.users)) ** 2
    chance = max(0.0, exp(likely) - lower) / exp(2 * likely)  # of who of the few others comes
    spread = _WIDTH * sqrt((_TRUST * usual + sum(errors)) / (_TRUST + len(errors)) + chance)
    most = None if statement.provisioned is None else max(lower, statement.provisioned)

    def within(logarithm: float) -> int:
        users = max(lower, round(exp(logarithm)))
        return users if most is None else min(users, most)

    return Forecast(
        within(likely), within(likely - spread), within(likely + spread), cycles=len(curves)
    )


@dataclass(frozen=True, slots=True)
class _Curve:
    """How an ended cycle grew.

    Attributes:
        past: The cycle.
        parts: Of each day: which part of the cycle's usual work was done by its end, 0..1.
    """

    past: Past
    parts: Sequence[float]

    def had(self, part: float) -> float:
        """Return how many it had at a place, at least one; between days, in proportion."""
        growth, day = self.past.growth, bisect_right(self.parts, part)
        if day >= len(growth):
            return float(self.past.users)
        before, done = (growth[day - 1], self.parts[day - 1]) if day else (0, 0.0)
        share = (part - done) / (self.parts[day] - done)
        users = before + share * (growth[day] - before)
        return max(1.0, self.past.users * users / growth[-1])


def _blind(daily: Sequence[int | None]) -> bool:
    """Whether too many days are unknown."""
    return sum(count is None for count in daily) > _MISSED * len(daily)


def _likely(lower: float, part: float, curves: Sequence[_Curve]) -> float:
    """Return the logarithm of the likely final number."""
    so_far, total, weights = log(max(lower, 1)), 0.0, 0.0
    for number, curve in enumerate(curves):
        had, weight = curve.had(part), _FORGETS**number
        further = so_far - log(had)
        total += weight * (log(curve.past.users) + sqrt(had / curve.past.users) * further)
        weights += weight
    return max(total / weights, so_far)


def _weekdays(past: Sequence[Past]) -> list[float]:
    """Return how many people are usually active on each weekday, Thursday first."""
    totals, days = [0.0] * 7, [0] * 7
    for cycle in past:
        for day, users in enumerate(cycle.daily, cycle.cycle.start_ms // DAY_MS):
            if users is not None:
                totals[day % 7] += users
                days[day % 7] += 1
    mean = max(1.0, sum(totals) / max(1, sum(days)))
    return [
        max(_LEAST_WEIGHT * mean, total / number) if number else mean
        for total, number in zip(totals, days, strict=True)
    ]


def _parts(cycle: Cycle, weekdays: Sequence[float]) -> list[float]:
    """Return, for each day, which part of a cycle's usual work is done by its end."""
    first = cycle.start_ms // DAY_MS
    done = list(accumulate(weekdays[(first + day) % 7] for day in range(cycle.days)))
    return [each / done[-1] for each in done]


def _part_at(cycle: Cycle, at_ms: int, weekdays: Sequence[float]) -> float:
    """Return which part of a cycle's usual work is done at a time."""
    parts, day = _parts(cycle, weekdays), cycle.day_of(at_ms)
    if day >= cycle.days:
        return 1.0
    before = parts[day - 1] if day else 0.0
    share = (at_ms - cycle.start_ms) / DAY_MS - day
    return before + share * (parts[day] - before)
