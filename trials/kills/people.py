"""Who was active when, decided by a seed before anything runs: the truth that reports are held to.

Most people come during the day; around many midnights some come in the last seconds of a cycle, in
the first seconds of the next, or in both, since that is where counts go wrong.
"""

import random
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import Final

DAY: Final = 86_400


class People:
    """The users of one product; times are whole seconds since the epoch."""

    def __init__(self, rng: random.Random, first_day: int, days: int, count: int) -> None:
        """Decide who comes when.

        Args:
            rng: Decides.
            first_day: Midnight, UTC, of the first day.
            days: How many days are played.
            count: Users; one more has an account and never comes.
        """
        names = [f"user-{number:03}" for number in range(count)]
        self._times: dict[str, list[int]] = {name: [] for name in (*names, "idle")}
        for midnight in range(first_day, first_day + days * DAY, DAY):
            for name in names:
                if rng.random() < 0.55:
                    self._times[name].append(midnight + rng.randrange(6 * 3600, 23 * 3600))
            if rng.random() < 0.4:
                for name, second in _around(rng, names):
                    self._times[name].append(midnight + second)
        for times in self._times.values():
            times.sort()

    def listed(self, now: int) -> list[tuple[str, int | None]]:
        """Return every user with the last activity up to ``now``, as the product shows them."""
        return [
            (name, times[at - 1] if (at := bisect_right(times, now)) else None)
            for name, times in sorted(self._times.items())
        ]

    def active(self, start: int, end: int) -> int:
        """Return how many distinct users were active in ``[start, end)``."""
        return sum(
            bisect_left(times, start) < bisect_left(times, end) for times in self._times.values()
        )


def _around(rng: random.Random, names: Sequence[str]) -> list[tuple[str, int]]:
    """Choose a few users and their seconds around a midnight, the two closest among them."""
    chosen = rng.sample(names, 5)
    seconds = [-1, 0, rng.randint(-15, -1), rng.randint(0, 40), rng.randint(-15, 40)]
    return list(zip(chosen, seconds, strict=True))
