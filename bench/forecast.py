"""Back-test of the forecast on simulated patterns, beside a naive linear one.

Each person has a chance of their own to be active on a day: few come daily, many now and then. A
pattern says how that changes from day to day and from month to month. The forecast is made on five
days of each month but the first, from the months before, and compared with what the month came to.
"""

import random
import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime

from licenseusage.metering.bounds import Bounds
from licenseusage.metering.coverage import Coverage
from licenseusage.metering.cycles import DAY_MS, Cycle
from licenseusage.metering.forecast import Past, forecast, past_of
from licenseusage.metering.statement import CycleStatement

PEOPLE, MONTHS, SEEDS = 1_000, 8, 6
ASKED = (3, 8, 14, 20, 26)
"""After so many days of a month the forecast is made."""


@dataclass(frozen=True, slots=True)
class Day:
    """A day of the simulation: month, day of the month, days of the month, weekday (0: Monday)."""

    month: int
    day: int
    days: int
    weekday: int


def _weekend(day: Day) -> float:
    return 0.1 if day.weekday >= 5 else 1.0


PATTERNS: dict[str, Callable[[Day, int], float]] = {
    "flat": lambda day, person: 1.0,
    "weekdays": lambda day, person: _weekend(day),
    "a small team": lambda day, person: _weekend(day) * (person < 40),
    "growing": lambda day, person: _weekend(day) * (person < 400 * 1.12**day.month),
    "month-end peak": lambda day, person: 8.0 if day.days - day.day < 3 else 0.7,
    "holiday": lambda day, person: (
        _weekend(day) * (0.25 if day.month in (4, 6) and 8 <= day.day < 22 else 1.0)
    ),
    "new product": lambda day, person: (
        _weekend(day) * (person < min(1000, 100 + 8 * (30 * day.month + day.day) ** 0.9))
    ),
}


@dataclass(frozen=True, slots=True)
class Month:
    """A simulated month: of each day, who was active for the first time, and who at all."""

    cycle: Cycle
    first_days: tuple[int, ...]
    daily: tuple[int, ...]

    def statement(self, days: int) -> CycleStatement:
        """Return what would be stated after some days."""
        users, ended = sum(self.first_days[:days]), days == self.cycle.days
        return CycleStatement(
            self.cycle,
            self.cycle.start_ms + days * DAY_MS,
            Bounds(users, users if ended else None),
            self.daily[:days],
            Coverage(0, ()),
            provisioned=PEOPLE,
        )

    @property
    def past(self) -> Past | None:
        """Return it as an ended cycle."""
        return past_of(self.statement(self.cycle.days), self.first_days)


def months(pattern: Callable[[Day, int], float], seed: int) -> Iterator[Month]:
    """Yield simulated months, from January 2026 on."""
    chance = random.Random(seed)  # noqa: S311 - a simulation
    habits = [chance.betavariate(0.4, 2.5) for _ in range(PEOPLE)]
    for month in range(MONTHS):
        first, after = date(2026, month + 1, 1), date(2026, month + 2, 1)
        days, start_ms = (after - first).days, _ms(first)
        seen: set[int] = set()
        fresh, daily = [], []
        for day in range(days):
            today = Day(month, day, days, (first.weekday() + day) % 7)
            active = {
                person
                for person, habit in enumerate(habits)
                if chance.random() < min(0.98, habit * pattern(today, person))
            }
            fresh.append(len(active - seen))
            daily.append(len(active))
            seen |= active
        yield Month(Cycle(month, start_ms, _ms(after)), tuple(fresh), tuple(daily))


@dataclass(frozen=True, slots=True)
class Score:
    """How one pattern went.

    Attributes:
        error, naive: Mean relative error of the forecast, and of the number so far extended
            linearly to the month's end.
        last: The same of taking the month before for the answer.
        covered: Part of the months that ended within the interval.
        width: Mean width of the interval, relative to what the month came to.
    """

    error: float
    naive: float
    last: float
    covered: float
    width: float


def score(name: str, seeds: int = SEEDS) -> Score:
    """Back-test one pattern."""
    errors, naive, last, covered, widths = [], [], [], [], []
    for seed in range(seeds):
        past: list[Past] = []
        for month in months(PATTERNS[name], seed):
            final = sum(month.first_days)
            for days in ASKED if past else ():
                stated = month.statement(days)
                made = forecast(stated, past)
                linear = min(PEOPLE, stated.bounds.lower * month.cycle.days / days)
                errors.append(abs(made.users - final) / final)
                naive.append(abs(linear - final) / final)
                last.append(abs(max(past[0].users, stated.bounds.lower) - final) / final)
                covered.append(made.low <= final <= made.high)
                widths.append((made.high - made.low) / final)
            if month.past is not None:
                past.insert(0, month.past)
    return Score(*map(statistics.mean, (errors, naive, last, covered, widths)))


def show() -> bool:
    """Print the table; False: on some pattern the naive forecast was better."""
    print("\nForecast of a month's final count, on days 3 to 26, from the months before;")
    print("naive: the number so far, extended linearly, at most the users listed; ratio: to it.")
    print("last: what the month before came to, or the number so far if that is more.")
    heads = ("error", "naive", "ratio", "last", "within", "width")
    print(f"  {'':<20}{''.join(f'{head:>8}' for head in heads)}", flush=True)
    better = True
    for name in PATTERNS:
        result = score(name)
        ratio = result.error / result.naive
        better &= ratio < 1
        print(
            f"  {name:<20}{result.error:>8.1%}{result.naive:>8.1%}{ratio:>8.2f}"
            f"{result.last:>8.1%}{result.covered:>8.0%}{result.width:>8.0%}",
            flush=True,
        )
    print("  within: how often the month ended in the interval, which is made for 90 %.")
    return better


def _ms(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1000
