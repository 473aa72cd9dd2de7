"""What products write down: one event for each activity, each at a time and with a number."""

from collections.abc import Iterable
from typing import NamedTuple

from trials.soak.people import Account


class Written(NamedTuple):
    """An event of a log.

    Attributes:
        written_ms: When it was written.
        at_ms: When the activity was.
        number: Its own.
        person: Who was active.
    """

    written_ms: int
    at_ms: int
    number: int
    person: int

    @property
    def user(self) -> str:
        """What the person is called."""
        return f"user-{self.person:04d}"


def events_of(accounts: Iterable[Account]) -> list[Written]:
    """Return all that people will ever do, in the order in which it is written."""
    writes = sorted((w, at, a.person) for a in accounts for w, at in a.writes)
    return [Written(w, at, number, person) for number, (w, at, person) in enumerate(writes, 1)]
