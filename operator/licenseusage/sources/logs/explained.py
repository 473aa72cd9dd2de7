"""When the events of a log took place, and why they count or not, for ``source check``."""

from licenseusage.metering.cycles import Cycle
from licenseusage.metering.pseudonym import Pseudonymiser
from licenseusage.sources.definition.model import DAY_MS
from licenseusage.sources.seen import MOST_EXAMPLES, SHOWN_BYTES, Activities, Example


class EventsExplained:
    """Is shown each event that was read, with the decision about it."""

    def __init__(self, cycle: Cycle, pseudonymiser: Pseudonymiser, *, show_ids: bool) -> None:
        """Prepare.

        Args:
            cycle: Whose days are told apart.
            pseudonymiser: Of the cycle.
            show_ids: Examples are ids instead of pseudonyms.
        """
        self._cycle, self._pseudonymiser, self._show_ids = cycle, pseudonymiser, show_ids
        self._days = [0] * -(-(cycle.end_ms - cycle.start_ms) // DAY_MS)
        self._before = self._after = 0
        self._examples: dict[str, list[Example]] = {}

    def take(self, why: str, at_ms: int, name: str = "") -> None:
        """Take an event.

        Args:
            why: ``Counted``, or the reason why it does not count.
            at_ms: Its time.
            name: The id of its user, as it is compared; empty: nobody looked at it.
        """
        start_ms, end_ms = self._cycle.start_ms, self._cycle.end_ms
        if at_ms < start_ms:
            self._before += 1
        elif at_ms >= end_ms:
            self._after += 1
        else:
            self._days[(at_ms - start_ms) // DAY_MS] += 1
        examples = self._examples.setdefault(why, [])
        if len(examples) < MOST_EXAMPLES:
            examples.append(Example(self._shown(name) if name else "-", at_ms))

    def activities(self) -> Activities:
        """Return what was seen."""
        examples = {why: tuple(events) for why, events in sorted(self._examples.items())}
        return Activities(tuple(self._days), self._before, self._after, 0, examples)

    def _shown(self, name: str) -> str:
        return name if self._show_ids else self._pseudonymiser(name)[:SHOWN_BYTES].hex()
