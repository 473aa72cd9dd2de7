"""Fill the database with people whose activity is known, and write the truth down.

The truth is kept apart from the database: activity overwrites there, and a number that is checked
against the data it was made from proves nothing.
"""

import json
import random
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from examples.product.store import Store, User

BOT_PREFIX = "bot-"
"""Ids of automated accounts begin with it; nobody is billed for them (``exclude``)."""

MONITOR = "monitoring"
"""The account of the monitoring system, active every minute (``excludeIds``)."""

_DAY = 86_400


@dataclass(slots=True)
class Truth:
    """Who really used the product in the cycle ``[start, end)``, in seconds since the epoch.

    Attributes:
        start: The cycle's first second.
        end: The first second after the cycle.
        provisioned: Accounts of people: all but bots and the monitoring account.
        active: Ids of the people active in the cycle. The number to be reported is its size.
        last_cycle_only: People active in the cycle before this one and not since.
        bots: Accounts that count for nothing, though they were active.
    """

    start: int
    end: int
    provisioned: int = 0
    active: set[str] = field(default_factory=set)
    last_cycle_only: int = 0
    bots: int = 0

    def note(self, user: str, at: int) -> None:
        """Remember an activity of ``user`` at ``at``, as the product itself recorded it."""
        if self.start <= at < self.end and counts(user):
            self.active.add(user)

    def write(self, path: Path) -> None:
        """Write the numbers as JSON (no ids: a count is all that anybody needs)."""
        numbers = {
            "cycleStart": self.start,
            "cycleEnd": self.end,
            "activeUsers": len(self.active),
            "provisionedUsers": self.provisioned,
            "lastCycleOnly": self.last_cycle_only,
            "bots": self.bots,
        }
        path.write_text(json.dumps(numbers, indent=2) + "\n")


def counts(user: str) -> bool:
    """Whether ``user`` is a person, as the source's ``exclude`` and ``excludeIds`` say it."""
    return not user.startswith(BOT_PREFIX) and user != MONITOR


def generate(
    store: Store, *, start: int, end: int, now: int, people: int = 100_000, seed: int = 1
) -> Truth:
    """Add ``people`` accounts and some bots, about 3 % of the people active in ``[start, now)``.

    Of the rest about 2 % were active in the cycle before, 15 % earlier, and most never. One person
    in a hundred is deactivated, whatever she did before. Bots and the monitoring account are active
    up to ``now``. The same arguments give the same people.

    Args:
        store: An empty database.
        start: The cycle's first second since the epoch.
        end: The first second after the cycle.
        now: The generated past ends here; ``start < now <= end``.
        people: How many; 100 at least.
        seed: Another one makes other people.
    """
    rng = random.Random(seed)  # noqa: S311 - reproducible people, not secrets
    truth = Truth(start=start, end=end)
    length = end - start

    def person(at: int | None) -> User:
        user = str(uuid.UUID(int=rng.getrandbits(128), version=4))
        truth.provisioned += 1
        if at is not None:
            truth.note(user, at)
            truth.last_cycle_only += start - length <= at < start
        return User(user, at, deactivated=rng.random() < 0.01)

    def some_time() -> int | None:
        share = rng.random()
        if share < 0.03:
            return rng.randrange(start, now)
        if share < 0.05:
            return rng.randrange(start - length, start)
        return rng.randrange(start - 12 * length, start - length) if share < 0.20 else None

    def everybody() -> Iterator[User]:
        yield person(start)  # the cycle's first second counts,
        yield person(start - 1)  # the one before does not
        for _ in range(people - 2):
            yield person(some_time())
        for number in range(max(2, people // 2_500)):
            truth.bots += 1
            yield User(f"{BOT_PREFIX}{number:03d}", rng.randrange(max(start, now - _DAY), now))
        truth.bots += 1
        yield User(MONITOR, now - 1)

    store.add(everybody())
    return truth
