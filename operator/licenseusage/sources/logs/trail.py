"""The start of reading a stream, the events missing on the way, and the proved range.

Decisions only; ``jetstream`` speaks to the server. A stream numbers its messages without gaps, so a
reader that remembers the last number knows whether it missed anything. Whatever was removed before
it was read is a loss: the stretch of time in which the lost messages may have been written becomes
a hole, and the proof range ends there and begins anew behind it (MEASUREMENT §6).

What no reader can notice: a stream set back to a backup that is newer than its last reading (or by
a crash that lost what was not synced yet); what was written since then was recorded by nobody. And
a stream that was set back, went on, and then forgot even the last message that was read.

Three clocks meet here: ours, the stream's (which says when a message was stored) and the one that
wrote an event's stamp. ``k`` bounds how far the first two are apart. L is declared from stamp to
stored: an event with stamp t is stored by t + L of the stream's clock. How far stamps run ahead of
the stream's clock is measured on every event read (``ahead``), and matters behind a loss only.
"""

from dataclasses import dataclass, field

from licenseusage.metering.cycles import Cycle
from licenseusage.metering.events import (
    Hole,
    LogPosition,
    LogReading,
    Range,
    missing,
    shown_until_ms,
    united,
)
from licenseusage.metering.properties import Properties
from licenseusage.reasons import Reason

MARGIN_MS = 900_000
"""A cycle is read from this long before its start: more than any clock difference allowed for.

To it comes what a stamp's granularity and skew leave open."""


_REMOVED = 0  # instead of the time at which a message was stored that is not there any more


@dataclass(frozen=True, slots=True)
class StreamState:
    """A stream as its server describes it. Times in ms since the epoch, by the stream's clock.

    Attributes:
        name: Its name.
        created: When it was made, as the server writes it (RFC 3339 with nanoseconds).
        created_ms: The same.
        first_seq: Number of the oldest message; ``last_seq + 1`` where it is empty.
        first_ms: When that was stored; None where it is empty.
        last_seq: Number of the newest message that was ever stored.
        last_ms: When that was stored; None where there was none.
        origin_seq: Number of the first message that was ever stored.
        punctured: Messages between the first and the last were removed.
        limits: In words, what makes the stream forget, such as ``max_age 24 h``; empty: nothing.
    """

    name: str
    created: str
    created_ms: int
    first_seq: int
    first_ms: int | None
    last_seq: int
    last_ms: int | None
    origin_seq: int = 1
    punctured: bool = False
    limits: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Start:
    """Where the server is asked to begin: at a number, or at a time of its clock."""

    sequence: int | None = None
    time_ms: int | None = None


@dataclass(frozen=True, slots=True)
class _Loss:
    """Messages that are gone, stored in ``[after_ms, until_ms]``; None: since what is known."""

    after_ms: int | None
    until_ms: int
    reason: Reason


class RestartError(Exception):
    """The stream has another message at the remembered number: read again from the start."""


@dataclass(slots=True)
class Trail:
    """One reading of a stream for one cycle.

    Attributes:
        state: The stream just before.
        cycle: The cycle.
        properties: Of the source.
        position: Where the last reading of this cycle stopped; None: begin with the cycle.
        asked_ms: Just before the server was asked for ``state``, our clock.
        skew_ms: k.
        replaced: Set after a ``RestartError``.
    """

    state: StreamState
    cycle: Cycle
    properties: Properties
    position: LogPosition | None
    asked_ms: int
    skew_ms: int
    replaced: bool = False
    start: Start = field(init=False)
    _known_ms: int | None = field(init=False, default=None)  # complete so far, back to a hole
    _losses: list[_Loss] = field(init=False, default_factory=list)
    _last: tuple[int, int] | None = field(init=False, default=None)  # (sequence, stored)
    _overlap: LogPosition | None = field(init=False, default=None)
    _predecessor: int | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        """Decide where to begin, and which events are lost already."""
        state, position = self.state, self.position
        if position is None:
            self._begin()
            return
        self._known_ms = position.until_ms
        if position.stream != state.name or position.created != state.created:
            self._resume_at_first(Reason.STREAM_RECREATED, state.created_ms)
        elif self.replaced or state.last_seq < position.sequence:
            # Numbers were given anew. What is there now is read again; what was written and lost
            # in between lies somewhere before now.
            self._losses.append(_Loss(None, self.asked_ms, Reason.STREAM_WENT_BACK))
            self.start = Start(time_ms=self._since_ms)
        elif state.first_seq > position.sequence + 1:
            self._resume_at_first(self._forgot(), None)
        else:
            # The last message read is read again, to see that it is still the same one.
            self.start = Start(sequence=max(state.first_seq, position.sequence))
            self._last = (position.sequence, position.stored_ms)
            self._overlap = position

    @property
    def _since_ms(self) -> int:
        """From when on a cycle is read, by the stream's clock."""
        open_ms = self.properties.granularity_ms + self.properties.skew_ms
        return self.cycle.start_ms - open_ms - MARGIN_MS

    def _begin(self) -> None:
        state, since_ms = self.state, self._since_ms
        self.start = Start(time_ms=since_ms)
        lost_ms, reason = state.created_ms, Reason.STREAM_BEGAN
        if state.first_seq > state.origin_seq:
            lost_ms, reason = self._first_ms(), self._forgot()
        if lost_ms > since_ms:
            self._losses.append(_Loss(None, lost_ms, reason))

    def _resume_at_first(self, reason: Reason, lost_ms: int | None) -> None:
        """Go on with the oldest message, all before it being lost since the last reading."""
        state = self.state
        if lost_ms is None or state.first_seq > state.origin_seq:
            lost_ms = self._first_ms()
        self._losses.append(_Loss(None, lost_ms, reason))
        self.start = Start(sequence=state.first_seq)

    def _first_ms(self) -> int:
        """When the oldest message was stored; in an empty stream all until now may be lost."""
        first_ms = self.state.first_ms
        return self.asked_ms + self.skew_ms if first_ms is None else first_ms

    def _forgot(self) -> Reason:
        return Reason.STREAM_LIMITED if self.state.limits else Reason.STREAM_PURGED

    # -- on the way --

    def predecessor(self, first_seq: int | None) -> int | None:
        """Return the number to begin at instead, to see whether the one before is there.

        A reading that begins at a time cannot see that messages right before its first one were
        removed. ``first_seq`` is what the server would send first; None: nothing.
        """
        before = self.state.last_seq if first_seq is None else first_seq - 1
        if not self.state.punctured or before < self.state.first_seq:
            return None
        self._predecessor = before
        return before

    def took(self, sequence: int, stored_ms: int) -> bool:
        """Note the next message; return whether it is new for this cycle.

        Raises:
            RestartError: The stream was set back below what is remembered and went on from there.
        """
        overlap, self._overlap = self._overlap, None
        if overlap is not None and sequence == overlap.sequence:
            if stored_ms != overlap.stored_ms:
                raise RestartError
            return False
        before, self._last = self._last, (sequence, stored_ms)
        if overlap is not None and overlap.stored_ms and self.state.first_seq <= overlap.sequence:
            # Removed by hand: nobody can tell any more whether the numbers went on from it.
            self._losses.append(_Loss(overlap.stored_ms, stored_ms, Reason.MESSAGES_DELETED))
            return True
        if before is None:
            if self._predecessor is not None and sequence > self._predecessor:
                self._losses.append(_Loss(None, stored_ms, Reason.MESSAGES_DELETED))
            return True
        if sequence > before[0] + 1:
            self._losses.append(_Loss(before[1] or None, stored_ms, Reason.MESSAGES_DELETED))
        return True

    def unreadable(self, stored_ms: int) -> None:
        """Note that the message stored then cannot be read as an event."""
        self._losses.append(_Loss(stored_ms, stored_ms, Reason.EVENTS_UNREADABLE))

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

    def reading(self, *, ahead_ms: int, ended: bool) -> LogReading | None:
        """Return the range that this reading proves; None if it proves nothing.

        Args:
            ahead_ms: How far stamps run ahead of the stream's clock, as measured.
            ended: The server has nothing more to send.
        """
        if ended and not self.reached:
            self._end()
        if self._last is None:
            return None
        sequence, stored_ms = self._last
        slack_ms = self.skew_ms + ahead_ms
        at_ms = self.asked_ms if self.reached else stored_ms
        until_ms = shown_until_ms(self.properties, at_ms - self.skew_ms)
        ranges: list[Range] = []
        holes: list[Hole] = []
        known_ms = self._known_ms
        if known_ms is None:
            known_ms = self._since_ms + slack_ms
        # Where this reading is known to be complete; moves behind each loss.
        from_ms = known_ms
        for loss in self._losses:
            if loss.after_ms is not None:
                shown_ms = shown_until_ms(self.properties, loss.after_ms - self.skew_ms)
                ranges.append(Range(from_ms, shown_ms))
                known_ms = max(known_ms, shown_ms)
            from_ms = max(from_ms, loss.until_ms + slack_ms)
            holes.append(Hole(known_ms, from_ms, str(loss.reason)))
            known_ms = max(known_ms, from_ms)
        ranges.append(Range(from_ms, until_ms))
        return LogReading(
            before=self.position,
            after=LogPosition(
                self.state.name,
                self.state.created,
                sequence,
                stored_ms,
                max(from_ms, until_ms),
            ),
            ranges=united(ranges),
            holes=_within(self.cycle, holes),
            behind=not self.reached,
        )

    def _end(self) -> None:
        """The server has sent all messages: those with higher numbers were removed."""
        state, last = self.state, self._last
        nothing_new = last is None and self._predecessor is None
        if nothing_new or state.last_seq == 0:
            # All that there is was stored before the time at which reading began.
            self._last = (state.last_seq, state.last_ms or state.created_ms)
            return
        self._losses.append(
            _Loss((last[1] or None) if last else None, self.asked_ms, Reason.MESSAGES_DELETED)
        )
        self._last = (state.last_seq, _REMOVED)


def _within(cycle: Cycle, holes: list[Hole]) -> tuple[Hole, ...]:
    cut = [
        Hole(max(hole.start_ms, cycle.start_ms), min(hole.end_ms, cycle.end_ms), hole.reason)
        for hole in holes
    ]
    return tuple(hole for hole in cut if hole.start_ms < hole.end_ms)


def open_holes(holes: tuple[Hole, ...], ranges: tuple[Range, ...]) -> tuple[Hole, ...]:
    """Return those parts of holes that no range covers, ascending; each reason once a stretch."""
    left = [
        Hole(gap.start_ms, gap.end_ms, hole.reason)
        for hole in holes
        for gap in missing(united(ranges), hole.start_ms, hole.end_ms)
    ]
    return tuple(sorted(set(left)))
