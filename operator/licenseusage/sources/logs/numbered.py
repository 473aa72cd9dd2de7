"""Where a stream that numbers its messages without gaps is read on, and what it has lost.

As NATS JetStream does. A reader that remembers the last number knows whether it missed anything.
"""

from dataclasses import dataclass, field

from licenseusage.metering.events import LogPosition
from licenseusage.reasons import Reason
from licenseusage.sources.definition.model import EffectiveSource
from licenseusage.sources.logs.messages import Message
from licenseusage.sources.logs.session import Asked
from licenseusage.sources.logs.trail import Loss, RestartError, Stop, Trail
from licenseusage.sources.poll import CycleRequest

_REMOVED = 0  # instead of the time at which a message was stored that is not there any more


@dataclass(frozen=True, slots=True)
class StreamState:
    """A stream as its server describes it. Times in ms since the epoch, by the stream's clock.

    Attributes:
        created: When it was made, as the server writes it (RFC 3339 with nanoseconds).
        created_ms: The same.
        first_seq: Number of the oldest message; ``last_seq + 1`` where it is empty.
        first_ms: When that was stored; None where it is empty.
        last_seq: Number of the newest message that was ever stored.
        last_ms: When that was stored; None where there was none.
        origin_seq: Number of the first message that was ever stored.
        punctured: Messages between the first and the last were removed.
        limited: It forgets messages by its limits.
    """

    created: str
    created_ms: int
    first_seq: int
    first_ms: int | None
    last_seq: int
    last_ms: int | None
    origin_seq: int = 1
    punctured: bool = False
    limited: bool = False


@dataclass(frozen=True, slots=True)
class Start:
    """Where the server is asked to begin: at a number, or at a time of its clock."""

    sequence: int | None = None
    time_ms: int | None = None


@dataclass(slots=True)
class NumberedTrail(Trail):
    """One reading of a stream whose messages are numbered without gaps.

    Attributes:
        state: The stream just before.
        start: Where the server is asked to begin.
        preceding: Where it is asked to begin instead (``predecessor``).
    """

    state: StreamState
    start: Start = field(init=False)
    _last: tuple[int, int] | None = field(init=False, default=None)  # (sequence, stored)
    _overlap: LogPosition | None = field(init=False, default=None)
    preceding: int | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        """Decide where to begin, and which events are lost already."""
        state, position = self.state, self.position
        if position is None:
            self._begin()
            return
        self._known_ms = position.until_ms
        if position.stream != self.name or position.created != state.created:
            self._resume_at_first(Reason.STREAM_RECREATED, state.created_ms)
        elif self.replaced or state.last_seq < position.sequence:
            # Numbers were given anew. What is there now is read again; what was written and lost
            # in between lies somewhere before now.
            self._losses.append(Loss(None, self.asked_ms, Reason.STREAM_WENT_BACK))
            self.start = Start(time_ms=self.since_ms)
        elif state.first_seq > position.sequence + 1:
            self._resume_at_first(self._forgot(), None)
        else:
            # The last message read is read again, to see that it is still the same one.
            self.start = Start(sequence=max(state.first_seq, position.sequence))
            self._last = (position.sequence, position.stored_ms)
            self._overlap = position

    def _begin(self) -> None:
        state, since_ms = self.state, self.since_ms
        self.start = Start(time_ms=since_ms)
        lost_ms, reason = state.created_ms, Reason.STREAM_BEGAN
        if state.first_seq > state.origin_seq:
            lost_ms, reason = self._first_ms(), self._forgot()
        if lost_ms > since_ms:
            self._losses.append(Loss(None, lost_ms, reason))

    def _resume_at_first(self, reason: Reason, lost_ms: int | None) -> None:
        """Go on with the oldest message, all before it being lost since the last reading."""
        state = self.state
        if lost_ms is None or state.first_seq > state.origin_seq:
            lost_ms = self._first_ms()
        self._losses.append(Loss(None, lost_ms, reason))
        self.start = Start(sequence=state.first_seq)

    def _first_ms(self) -> int:
        """When the oldest message was stored; in an empty stream all until now may be lost."""
        first_ms = self.state.first_ms
        return self.asked_ms + self.skew_ms if first_ms is None else first_ms

    def _forgot(self) -> Reason:
        return Reason.STREAM_LIMITED if self.state.limited else Reason.STREAM_PURGED

    # -- on the way --

    def predecessor(self, first_seq: int | None) -> int | None:
        """Return the number to begin at instead, to see whether the one before is there.

        A reading that begins at a time cannot see that messages right before its first one were
        removed. ``first_seq`` is what the server would send first; None: nothing.
        """
        before = self.state.last_seq if first_seq is None else first_seq - 1
        if not self.state.punctured or before < self.state.first_seq:
            return None
        self.preceding = before
        return before

    def took(self, message: Message) -> bool:
        """As of ``Trail``."""
        sequence, stored_ms = message.place, message.stored_ms
        overlap, self._overlap = self._overlap, None
        if overlap is not None and sequence == overlap.sequence:
            if stored_ms != overlap.stored_ms:
                raise RestartError
            return False
        before, self._last = self._last, (sequence, stored_ms)
        if overlap is not None and overlap.stored_ms and self.state.first_seq <= overlap.sequence:
            # Removed by hand: nobody can tell any more whether the numbers went on from it.
            self._losses.append(Loss(overlap.stored_ms, stored_ms, Reason.MESSAGES_DELETED))
            return True
        if before is None:
            if self.preceding is not None and sequence > self.preceding:
                self._losses.append(Loss(None, stored_ms, Reason.MESSAGES_DELETED))
            return True
        if sequence > before[0] + 1:
            self._losses.append(Loss(before[1] or None, stored_ms, Reason.MESSAGES_DELETED))
        return True

    @property
    def idle(self) -> bool:
        """Whether nothing has to be read: it is empty, or its newest message was read last."""
        state, overlap = self.state, self._overlap
        return state.first_seq > state.last_seq or (
            overlap is not None
            and overlap.sequence == state.last_seq
            and (state.last_ms == overlap.stored_ms or state.last_seq == 0)
        )

    @property
    def reached(self) -> bool:
        """Whether everything that was stored when the server was asked has been read."""
        return self._last is not None and self._last[0] >= self.state.last_seq

    # -- in the end --

    def stopped(self, *, ended: bool) -> Stop | None:
        """As of ``Trail``."""
        if ended and not self.reached:
            self._end()
        return None if self._last is None else Stop(self.state.created, *self._last)

    def _end(self) -> None:
        """The server has sent all messages: those with higher numbers were removed."""
        state, last = self.state, self._last
        nothing_new = last is None and self.preceding is None
        if nothing_new or state.last_seq == 0:
            # All that there is was stored before the time at which reading began.
            self._last = (state.last_seq, state.last_ms or state.created_ms)
            return
        self._losses.append(
            Loss((last[1] or None) if last else None, self.asked_ms, Reason.MESSAGES_DELETED)
        )
        self._last = (state.last_seq, _REMOVED)


def trail_of(
    source: EffectiveSource, asked: Asked[StreamState], request: CycleRequest, *, replaced: bool
) -> NumberedTrail:
    """Return the rules by which a stream is read on for a cycle; the arguments of ``Session``."""
    return NumberedTrail(
        asked.name,
        request.cycle,
        source.properties,
        request.position,
        asked.at_ms,
        asked.skew_ms,
        replaced,
        asked.state,
    )
