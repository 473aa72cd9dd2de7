"""The truth about one object: who was active, in the whole of a cycle and day by day."""

from bisect import bisect_left

from licenseusage.metering.cycles import CYCLE_BIT, DAY_MS, Cycle
from trials.soak.plan import Usage


class Truth:
    """Counts of distinct people, from what the products were drawn to do."""

    def __init__(self, usage: Usage) -> None:
        """Collect everything anybody ever does."""
        # With Same, each store sees the same activity, so that uniting them changes nothing.
        self._acts = sorted(
            (at, account.person)
            for store in usage.stores
            for account in store.accounts
            for at in account.acts
        )
        self._windows: dict[int, dict[int, int]] = {}

    def active(self, from_ms: int, to_ms: int) -> int:
        """How many people were active in ``[from_ms, to_ms)``."""
        first, last = bisect_left(self._acts, (from_ms, -1)), bisect_left(self._acts, (to_ms, -1))
        return len({person for _, person in self._acts[first:last]})

    def windows(self, cycle: Cycle) -> dict[int, int]:
        """How many people were active in each window of a cycle, by its bit."""
        known = self._windows.get(cycle.start_ms)
        if known is None:
            people: dict[int, set[int]] = {window: set() for window in cycle.windows()}
            first = bisect_left(self._acts, (cycle.start_ms, -1))
            last = bisect_left(self._acts, (cycle.end_ms, -1))
            for at, person in self._acts[first:last]:
                people[(at - cycle.start_ms) // DAY_MS].add(person)
                people[CYCLE_BIT].add(person)
            known = {window: len(persons) for window, persons in people.items()}
            self._windows[cycle.start_ms] = known
        return known
