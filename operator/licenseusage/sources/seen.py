"""What ``source check`` is shown of the users of a list, or of events, beside the facts."""

from array import array
from dataclasses import dataclass, field

from licenseusage.metering.packing import unpacked

NEVER = -1
"""In place of a time: none is shown."""

COUNTED = "Counted"
"""In place of a reason why somebody does not count."""

MOST_STEPS = 12
"""Of the requests of one poll; later ones are like these."""

MOST_EXAMPLES = 3
"""Of each reason."""

SHOWN_BYTES = 6
"""Of a pseudonym that are shown: enough to tell users of one list apart."""


@dataclass(frozen=True, slots=True)
class Step:
    """One request of a poll that was answered.

    Attributes:
        target: Path and query; of parameters that may name somebody the names only.
        status: Of the answer.
        bytes: Of its content, as far as it was read.
        ms: From the request to the end of the answer.
    """

    target: str
    status: int
    bytes: int
    ms: int


@dataclass(frozen=True, slots=True)
class Example:
    """One user of a list, to show why it was counted or skipped.

    Attributes:
        user: Digits of the pseudonym; the id, where ids are shown.
        last_ms: Last activity, ms since the epoch; None: never, or it was not looked at.
    """

    user: str = field(repr=False)
    last_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Activities:
    """When the listed users were active last, those left out by the source not among them.

    Of an event log: when its events took place.

    Attributes:
        days: Users by the day of the newest cycle, its first day first.
        before: Users whose last activity is before the cycle.
        after: Users whose last activity is after it.
        never: Users without a last activity.
        examples: The first users counted (``Counted``), and skipped, by reason.
    """

    days: tuple[int, ...]
    before: int = 0
    after: int = 0
    never: int = 0
    examples: dict[str, tuple[Example, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Listed:
    """Everybody on a list who is not left out by the source.

    Attributes:
        users: Pseudonyms of the newest cycle, one behind the other.
        last: Their last activities, 8 bytes each (``array`` of type ``q``), ms since the epoch, or
            ``NEVER``.
    """

    users: bytes = field(repr=False)
    last: bytes = field(repr=False)

    def times(self) -> dict[bytes, int]:
        """Return the last activities by user."""
        times = array("q")
        times.frombytes(self.last)
        return dict(zip(unpacked(self.users), times, strict=True))
