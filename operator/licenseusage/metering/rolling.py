"""Kind B: rolling lists without times (MEASUREMENT §4).

The product lists who was active in the last W, computed up to an *age* before it is read. A row
alone says little; that a user *appeared* since an earlier complete poll says much more, so that the
poll before is remembered. That memory is no fact: losing it costs most of the lower bound, and
never a truth.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from licenseusage.metering.cycles import Cycle, Segment
from licenseusage.metering.polled import Polled
from licenseusage.metering.proofs import Proofs, proved


@dataclass(frozen=True, slots=True)
class RollingProperties:
    """Declared properties of a rolling list. All spans in ms, >= 0 (MEASUREMENT §1).

    Attributes:
        window_ms: W: users with a stamp in ``(c - W, c]`` are listed.
        age_ms: c is at most this long before the row is read (cache, refresh).
        skew_ms: e: ``|stamp - true time| <= e``.
        lag_ms: L: an activity at t is shown at the latest at t + L.
        hidden_ms: H: a stamp does not rule out activity up to H after it.
        kept_ms: K: a user can be listed for so long after each activity; None: for ever.
        relisted: A user may vanish and come back without activity (hidden, then shown again).
    """

    window_ms: int
    age_ms: int = 0
    skew_ms: int = 0
    lag_ms: int = 60_000
    hidden_ms: int = 0
    kept_ms: int | None = None
    relisted: bool = True

    def __post_init__(self) -> None:
        """Refuse values that no rule covers.

        Raises:
            ValueError: The window is empty, or a span negative.
        """
        spans = (self.age_ms, self.skew_ms, self.lag_ms, self.hidden_ms, self.kept_ms)
        if self.window_ms < 1 or any(span is not None and span < 0 for span in spans):
            raise ValueError(f"the window must be at least 1 ms, spans not negative: {self}")

    @property
    def shown_after_ms(self) -> int:
        """How long before a computation an activity must lie to be in it: max(L, e)."""
        return max(self.lag_ms, self.skew_ms)


@dataclass(frozen=True, slots=True)
class RollingPoll:
    """One poll of a rolling list; also the memory that the next one is compared with."""

    polled: Polled
    users: frozenset[bytes]


def rolling_proofs(
    cycle: Cycle | Segment,
    properties: RollingProperties,
    poll: RollingPoll,
    previous: RollingPoll | None = None,
) -> Proofs:
    """Return the facts of one poll of a rolling list.

    Args:
        cycle: The cycle or segment.
        properties: What the source declares.
        poll: Who is listed now.
        previous: An earlier poll of the same list; ignored unless it was complete and over before
            anything of this one was computed, and listings lose nobody.
    """
    polled = poll.polled
    computed_ms = polled.began_ms - properties.age_ms
    earliest_ms = computed_ms - properties.window_ms + 1 - properties.skew_ms
    appeared, since_ms = _appeared(properties, poll, previous)
    windows = cycle.windows()
    sure: dict[bytes, int] = {}
    for user in poll.users:
        first_ms = max(earliest_ms, since_ms) if user in appeared else earliest_ms
        word = 0
        for window, (start, end) in windows.items():
            if start <= first_ms and polled.read_ms < end:
                word |= 1 << window
        if word:
            sure[user] = word
    if not polled.complete:
        return Proofs(sure)
    span = properties.window_ms - properties.skew_ms - properties.hidden_ms - 1
    if properties.kept_ms is not None:
        span = min(span, properties.kept_ms)
    return Proofs(
        sure,
        proved(
            windows,
            polled.read_ms - span,
            computed_ms - properties.shown_after_ms,
            dict.fromkeys(windows, poll.users),
        ),
    )


def _appeared(
    properties: RollingProperties, poll: RollingPoll, previous: RollingPoll | None
) -> tuple[Iterable[bytes], int]:
    """Return who is listed now and was not before, and since when they were active."""
    if (
        previous is None
        or not previous.polled.complete
        or previous.polled.read_ms > poll.polled.began_ms - properties.age_ms
        or properties.kept_ms is not None
        or properties.relisted
    ):
        return frozenset(), 0
    since = previous.polled.began_ms - properties.age_ms - properties.shown_after_ms
    return poll.users - previous.users, since
