"""The users of an ordinary product, for some months: who works when, who is erased, who moves."""

import random
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from trials.months.scenario import Scenario
from trials.soak.people import DAY_MS, HOUR_MS, MINUTE_MS, Account, Names, Store, Traits

_CALM_MS = 2 * HOUR_MS
"""Somebody is moved into another group while away: what was done last has been read by then."""


@dataclass(frozen=True, slots=True)
class Population:
    """Everybody who will ever use the product."""

    store: Store

    def truth(self, start_ms: int, end_ms: int) -> int:
        """How many people were active in a month, before they moved into the excluded group."""
        acts = {account.person: account.acts for account in self.store.accounts}
        moved = self.store.moved
        return sum(
            bisect_left(at, min(end_ms, moved.get(person, end_ms))) > bisect_left(at, start_ms)
            for person, at in acts.items()
        )


def draw(
    scenario: Scenario, random_: random.Random, *, people: int, ends: Sequence[int]
) -> Population:
    """Draw them; ``ends`` are the start of the first month and the end of each, ascending."""
    lag_ms = MINUTE_MS
    accounts = [_account(random_, number, ends) for number in range(people)]
    moved: dict[int, int] = {}
    for start, end in pairwise(ends):
        for _ in range(scenario.erased):
            accounts.append(_replaced(random_, accounts, moved, start, end, ends))
        for _ in range(scenario.excluded):
            account = _active(random_, accounts, moved, start, end)
            moved[account.person] = _calm(random_, account, start, end)
    for account in accounts:
        account.writes = [(at + random_.randrange(lag_ms), at) for at in account.acts]
        account.writes.sort()
    accounts.sort(key=lambda account: account.created_ms)
    return Population(Store(Traits(lag_ms=lag_ms), accounts, Names(len(accounts)), moved))


def _account(
    random_: random.Random, person: int, ends: Sequence[int], created_ms: int | None = None
) -> Account:
    created = ends[0] - random_.randrange(400 * DAY_MS) if created_ms is None else created_ms
    acts: set[int] = set()
    habit = random_.random()
    for day in range(ends[0] // DAY_MS - 40, ends[-1] // DAY_MS + 2):
        if habit < 0.5:  # at work, and now and then in the evening
            if day % 7 < 5 and random_.random() < 0.9:
                acts |= {_at(random_, day, 8, 18) for _ in range(4)}
            if random_.random() < 0.1:
                acts.add(_at(random_, day, 18, 24))
        elif habit < 0.6:  # around the clock
            acts |= {_at(random_, day, 0, 24) for _ in range(random_.randrange(4))}
        elif habit < 0.9 and random_.random() < 0.07:  # now and then
            acts.add(_at(random_, day, 6, 24))
    return Account(person, created, acts=sorted(at for at in acts if at >= created))


def _replaced(
    random_: random.Random,
    accounts: list[Account],
    moved: dict[int, int],
    start: int,
    end: int,
    ends: Sequence[int],
) -> Account:
    """Erase somebody who was active this month, at any time after that; return who follows."""
    account = _active(random_, accounts, moved, start, end)
    first = account.acts[bisect_left(account.acts, start)]
    account.removed_ms = random_.randrange(first + 1, end + 12 * HOUR_MS)
    account.acts = [at for at in account.acts if at < account.removed_ms]
    return _account(random_, len(accounts), ends, random_.randrange(start, end))


def _active(
    random_: random.Random, accounts: list[Account], moved: dict[int, int], start: int, end: int
) -> Account:
    candidates = [
        account
        for account in accounts
        if account.removed_ms > 1 << 61
        and account.person not in moved
        and bisect_left(account.acts, start) < bisect_left(account.acts, end)
    ]
    return random_.choice(candidates)


def _calm(random_: random.Random, account: Account, start: int, end: int) -> int:
    """Draw an instant of the month before which somebody did nothing for two hours."""
    while True:
        at = random_.randrange(start + _CALM_MS, end - _CALM_MS)
        if bisect_left(account.acts, at) == bisect_left(account.acts, at - _CALM_MS):
            return at


def _at(random_: random.Random, day: int, from_hour: int, to_hour: int) -> int:
    return day * DAY_MS + random_.randrange(from_hour * HOUR_MS, to_hour * HOUR_MS)
