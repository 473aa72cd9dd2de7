"""A product that lists who was active lately, without times: it knows the truth, or lies."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from licenseusage.metering.countwindows import CountWindow
from licenseusage.metering.cycles import DAY_MS
from licenseusage.metering.lifecycle import HOUR_MS

Shown = Callable[[list[str], int], list[str]]
"""What is shown of those who should be listed, at a time, ms since the epoch."""


@dataclass
class Lately:
    """A product that knows who was active when, and lists who was in its window.

    Attributes:
        acts: Person -> when he was active, ms since the epoch.
        window: Which activity it looks at in truth.
        shown: What it shows of those in the window: everybody, or it lies.
        now_ms: The time.
    """

    acts: dict[str, list[int]]
    window: CountWindow
    shown: Shown = lambda names, _: names
    now_ms: int = 0
    around: dict[str, Any] = field(default_factory=dict)

    def listed(self, at_ms: int) -> list[str]:
        """Who was active in the window that ends now."""
        first = self.window.span(at_ms, at_ms).first_earliest_ms
        return sorted(n for n, acts in self.acts.items() if any(first <= t <= at_ms for t in acts))

    def active(self, start_ms: int, end_ms: int) -> set[str]:
        """Who was active in a span of time: the truth."""
        return {n for n, acts in self.acts.items() if any(start_ms <= t < end_ms for t in acts)}


def people(random_: random.Random, start_ms: int, end_ms: int, count: int) -> dict[str, list[int]]:
    """Draw people: some come daily, some now and then, some once, some around a boundary."""
    acts: dict[str, list[int]] = {}
    for number in range(count):
        kind = random_.choice(("daily", "rarely", "once", "boundary"))
        reach = start_ms - 5 * DAY_MS, end_ms + DAY_MS
        match kind:
            case "daily":
                first = random_.randrange(*reach)
                times = list(range(first, reach[1], DAY_MS))
            case "boundary":
                near = random_.choice((start_ms, end_ms))
                times = [near + random_.randint(-5 * HOUR_MS, 5 * HOUR_MS)]
            case _:
                times = [random_.randrange(*reach) for _ in range(1 if kind == "once" else 3)]
        acts[f"user-{number}"] = sorted(times)
    return acts
