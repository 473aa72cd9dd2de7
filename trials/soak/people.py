"""A simulated product: people, what they do, and the list of them that it shows at any time.

Everything a product will ever do is drawn at its beginning, so that its list is a function of time:
a poll that takes minutes reads each page as it is when it is read. Activity gathers around the ends
of cycles, where numbers are won and lost.
"""

import random
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from licenseusage.metering.properties import Removal

SECOND_MS = 1000
MINUTE_MS = 60_000
HOUR_MS = 3_600_000
DAY_MS = 86_400_000
_FOREVER = 1 << 62


@dataclass(frozen=True, slots=True)
class Traits:
    """What a product is like; the object declares the same of it.

    Attributes:
        lag_ms: An activity is shown at the latest so long after it happened.
        granularity_ms: Times are shown in whole steps of this.
        throttle_ms: An activity so soon after a recorded one is not recorded.
        unordered: Pods write their times as they come: an older one may overwrite a newer one.
        removal: Who is ever removed from the list: nobody, only who has been listed for more than
            a day, or anybody.
        renames: Names are changed and swapped now and then.
        starts_created: The last activity of a new account is its creation.
    """

    lag_ms: int = 0
    granularity_ms: int = SECOND_MS
    throttle_ms: int = 0
    unordered: bool = False
    removal: Removal = Removal.NEVER
    renames: bool = False
    starts_created: bool = False

    @property
    def listed_ms(self) -> int:
        """How long an account is listed at least."""
        return 27 * HOUR_MS if self.removal is Removal.LISTED_ONCE else 1

    @property
    def hidden_ms(self) -> int:
        """How long after a shown time an activity may be missing (MEASUREMENT §1, H)."""
        return self.throttle_ms + (self.lag_ms if self.unordered else 0)


@dataclass(slots=True)
class Account:
    """A person's account in one store.

    Attributes:
        person: Whose it is; the same person may have accounts in several stores.
        acts: When the person was active, ascending, ms since the epoch.
        writes: When a time was written, ascending, and which.
    """

    person: int
    created_ms: int
    removed_ms: int = _FOREVER
    acts: list[int] = field(default_factory=list)
    writes: list[tuple[int, int]] = field(default_factory=list)

    def listed(self, at_ms: int) -> bool:
        """Whether the account is in the list."""
        return self.created_ms <= at_ms < self.removed_ms

    def stamp(self, at_ms: int, forgotten: tuple[int, int] | None = None) -> int | None:
        """The last activity that the product shows, before it is rounded.

        Args:
            at_ms: When it is looked at.
            forgotten: Since its end the product is what it was at its beginning: a backup.
        """
        count = bisect_right(self.writes, at_ms, key=lambda write: write[0])
        if forgotten is not None and at_ms >= forgotten[1]:
            first, last = (bisect_left(self.writes, at, key=_written) for at in forgotten)
            count = first if count <= last else count
        return self.writes[count - 1][1] if count else None


@dataclass(frozen=True, slots=True)
class Shown:
    """One row of the list.

    Attributes:
        key: Number of the account, whatever it is called.
        excluded: Its user is in a group that does not count.
    """

    id: str
    key: int
    stamp_ms: int | None
    created_ms: int
    excluded: bool = False


class Store:
    """The accounts of one product, or of one of its stores."""

    def __init__(
        self,
        traits: Traits,
        accounts: Sequence[Account],
        names: "Names",
        moved: dict[int, int] | None = None,
    ) -> None:
        """Take what was drawn.

        Args:
            traits: What the product is like.
            accounts: In the order of creation.
            names: What people are called.
            moved: Person -> when he came into an excluded group.
        """
        self.traits, self.accounts, self._names = traits, tuple(accounts), names
        self.moved = {} if moved is None else moved
        self.forgotten: tuple[int, int] | None = None

    def rows(self, at_ms: int) -> list[Shown]:
        """The list as it is shown at an instant, in the order of creation."""
        step = self.traits.granularity_ms
        rows = []
        for number, account in enumerate(self.accounts):
            if not account.listed(at_ms):
                continue
            stamp = account.stamp(at_ms, self.forgotten)
            shown = None if stamp is None else stamp // step * step
            name = self._names.of(account.person, at_ms)
            created = account.created_ms // step * step
            excluded = self.moved.get(account.person, _FOREVER) <= at_ms
            rows.append(Shown(name, number, shown, created, excluded))
        return rows

    def active(self, from_ms: int, to_ms: int) -> set[int]:
        """The truth: who was active in ``[from_ms, to_ms)``."""
        return {
            account.person
            for account in self.accounts
            if bisect_right(account.acts, to_ms - 1) > bisect_right(account.acts, from_ms - 1)
        }


def _written(write: tuple[int, int]) -> int:
    return write[0]


class Names:
    """What people are called; a name may pass from one to another."""

    def __init__(self, people: int) -> None:
        """Call everybody by a number for good."""
        self._at: list[int] = [0]
        self._order: list[list[int]] = [list(range(people))]

    def shuffle(self, random_: random.Random, at_ms: int) -> None:
        """Swap some names at an instant later than any before."""
        order = list(self._order[-1])
        for _ in range(random_.randint(1, 3)):
            a, b = random_.randrange(len(order)), random_.randrange(len(order))
            order[a], order[b] = order[b], order[a]
        self._at.append(at_ms)
        self._order.append(order)

    def of(self, person: int, at_ms: int) -> str:
        """A person's name at an instant."""
        return f"user-{self._order[bisect_right(self._at, at_ms) - 1][person]:04d}"


def near(random_: random.Random, boundaries: Sequence[int], reach_ms: int) -> int:
    """Draw an instant close to one of some boundaries, often within seconds of it."""
    spread = random_.choice((1, 999, 1000, 5000, 60_000, reach_ms, reach_ms))
    return random_.choice(boundaries) + random_.randint(-spread, spread)


def draw_acts(
    random_: random.Random, boundaries: Sequence[int], created_ms: int, removed_ms: int, lag_ms: int
) -> list[int]:
    """Draw when a person is active, cycle by cycle.

    Args:
        random_: The history's randomness.
        boundaries: Ends of cycles, ascending.
        created_ms: Not before.
        removed_ms: Not from then on.
        lag_ms: Of the store: what happens so close to an end is seen late.
    """
    acts: list[int] = []
    faithful = random_.choice((0.15, 0.5, 0.9))
    for start, end in pairwise(boundaries):
        if random_.random() < faithful:
            acts += [random_.randrange(start, end) for _ in range(random_.randint(1, 3))]
        chance = random_.random()
        if chance < 0.10:  # only right before the end, and again right after it
            acts += [end - random_.randint(1, lag_ms + 20_000), end + random_.randint(0, 90_000)]
        elif chance < 0.25:
            acts.append(near(random_, (end,), lag_ms + 15 * MINUTE_MS))
        elif chance < 0.29:
            acts += [end - 1, end][: random_.randint(1, 2)]
        elif chance < 0.32:
            acts.append(end)
    return sorted({at for at in acts if created_ms <= at < removed_ms})


def draw_writes(
    random_: random.Random, traits: Traits, acts: Sequence[int], created_ms: int
) -> list[tuple[int, int]]:
    """Draw when each activity becomes visible, at the latest after the lag."""
    writes: list[tuple[int, int]] = []
    recorded = created_ms if traits.starts_created else None
    last_write = 0
    for at in acts:
        if traits.throttle_ms and recorded is not None and at - recorded < traits.throttle_ms:
            continue
        recorded = at
        delay = random_.choice((0, traits.lag_ms, random_.randint(0, traits.lag_ms)))
        written = at + delay
        if not traits.unordered:
            written = last_write = max(written, last_write)
        writes.append((written, at))
    writes.sort(key=lambda write: write[0])
    if traits.starts_created:
        writes.insert(0, (created_ms, created_ms))
    return writes
