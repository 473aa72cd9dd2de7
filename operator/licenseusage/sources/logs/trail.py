"""One reading of an event log for one cycle: what is missing on the way, and the proved range.

Decisions only; the session of each kind of log speaks to its server. Whatever was removed before it
was read is a loss: the stretch of time in which the lost messages may have been written becomes a
hole, and the proof range ends there and begins anew behind it (MEASUREMENT §6). How a loss is
noticed depends on how a log names its messages: ``numbered`` for JetStream, ``redis.trail``.

What no reader can notice: a log set back to a backup that is newer than its last reading (or by a
crash that lost what was not synced yet); what was written since then was recorded by nobody. And a
log that was set back, went on, and then forgot even the last message that was read.

Three clocks meet here: ours, the log's (which says when a message was stored) and the one that
wrote an event's stamp. ``k`` bounds how far the first two are apart. L is declared from stamp to
stored: an event with stamp t is stored by t + L of the log's clock. How far stamps run ahead of the
log's clock is measured on every event read (``ahead``), and matters behind a loss only.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import NamedTuple

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
from licenseusage.sources.logs.messages import Batch, Message

MARGIN_MS = 900_000
"""A cycle is read from this long before its start: more than any clock difference allowed for.

To it comes what a stamp's granularity and skew leave open."""


@dataclass(frozen=True, slots=True)
class Loss:
    """Messages that are gone, stored in ``[after_ms, until_ms]``; None: since what is known."""

    after_ms: int | None
    until_ms: int
    reason: Reason


class Stop(NamedTuple):
    """Where a reading stopped; as of ``LogPosition``."""

    created: str
    sequence: int
    stored_ms: int
    mark: str = ""


class RestartError(Exception):
    """The log has another message at the remembered place: read again from the start."""


class LateError(Exception):
    """A message was stored before the last reading, as it says, and was not there then."""


@dataclass(slots=True)
class Trail(ABC):
    """One reading of a log for one cycle; each kind of log has its own.

    Attributes:
        name: What the log is called.
        cycle: The cycle.
        properties: Of the source.
        position: Where the last reading of this cycle stopped; None: begin with the cycle.
        asked_ms: Just before the server was asked for the log's state, our clock.
        skew_ms: k.
        replaced: Set after a ``RestartError``.
    """

    name: str
    cycle: Cycle
    properties: Properties
    position: LogPosition | None
    asked_ms: int
    skew_ms: int
    replaced: bool
    _known_ms: int | None = field(init=False, default=None)  # complete so far, back to a hole
    _losses: list[Loss] = field(init=False, default_factory=list)

    @property
    def since_ms(self) -> int:
        """From when on a cycle is read, by the log's clock."""
        open_ms = self.properties.granularity_ms + self.properties.skew_ms
        return self.cycle.start_ms - open_ms - MARGIN_MS

    # -- on the way --

    @property
    @abstractmethod
    def idle(self) -> bool:
        """Whether nothing has to be read."""

    @property
    @abstractmethod
    def reached(self) -> bool:
        """Whether everything that was stored when the server was asked has been read."""

    def look(self, batch: Batch) -> None:  # noqa: B027 - not every log tells
        """Note what the server told with a batch, before its messages are taken."""

    @abstractmethod
    def took(self, message: Message) -> bool:
        """Note the next message; return whether it is new for this cycle.

        Raises:
            RestartError: The log was set back below what is remembered and went on from there.
            LateError: The time at which it was stored cannot be true.
        """

    def unreadable(self, message: Message) -> None:
        """Note that a message cannot be read as an event."""
        at_ms = message.stored_ms
        self._losses.append(Loss(at_ms, at_ms, Reason.EVENTS_UNREADABLE))

    # -- in the end --

    @abstractmethod
    def stopped(self, *, ended: bool) -> Stop | None:
        """Return where reading stopped; None if nothing was read."""

    def reading(self, *, ahead_ms: int, ended: bool) -> LogReading | None:
        """Return the range that this reading proves; None if it proves nothing.

        Args:
            ahead_ms: How far stamps run ahead of the log's clock, as measured.
            ended: The server has nothing more to send.
        """
        stop = self.stopped(ended=ended)
        if stop is None:
            return None
        slack_ms = self.skew_ms + ahead_ms
        at_ms = self.asked_ms if self.reached else stop.stored_ms
        until_ms = shown_until_ms(self.properties, at_ms - self.skew_ms)
        ranges: list[Range] = []
        holes: list[Hole] = []
        known_ms = self._known_ms
        if known_ms is None:
            known_ms = self.since_ms + slack_ms
        # Where this reading is known to be complete; moves behind each loss.
        from_ms = known_ms
        for loss in sorted(self._losses, key=_from):
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
                self.name,
                stop.created,
                stop.sequence,
                stop.stored_ms,
                max(from_ms, until_ms),
                stop.mark,
            ),
            ranges=united(ranges),
            holes=_within(self.cycle, holes),
            behind=not self.reached,
        )


def _from(loss: Loss) -> int:
    """Order losses by their beginning; those since what is known are the first."""
    return -1 if loss.after_ms is None else loss.after_ms


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
