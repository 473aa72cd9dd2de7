"""Which stretches of a log are unread for a cycle, and what a reading of them proves.

Decisions only; ``collect`` asks the product. A log over HTTP tells no numbers, so two readings are
joined by the newest event that the first one saw: its mark (its time, and a keyed digest of what
tells it from others) is kept with the position, and is looked for again. If it is gone though it
cannot have expired, events were removed, as by a restored backup or by an administrator who clears
the log: then nobody knows what was written since, and that stretch is lost.

A log proves nothing about the time before it was kept. It was kept at the time of its oldest event;
a log without any event may be one that is switched off. From the second reading on also the
product's own word counts, where its settings say that events are recorded.

What no reader can notice: events that were removed while newer ones stayed; a log that was switched
off and on between two readings; and one that was cleared before the first event that was read.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

from licenseusage.metering.cycles import Cycle
from licenseusage.metering.events import (
    Hole,
    LogPosition,
    LogReading,
    LogState,
    Range,
    missing,
    shown_until_ms,
    united,
)
from licenseusage.metering.properties import Properties
from licenseusage.reasons import Reason

OFF: Final = "off"
"""In place of the time at which a log was made: the last reading found it switched off."""

_RECORDED_SINCE = (Reason.LOG_BEGAN, Reason.EVENTS_NOT_RECORDED)
"""Losses that end where a reading found that the product records events."""

_NOT_KEPT = (*_RECORDED_SINCE, Reason.LOG_WENT_BACK)
"""Losses in which the log was not kept: what was known before them shows nothing about after."""


class Mark(NamedTuple):
    """What an event is known by.

    Attributes:
        value_ms: Its stamp.
        digest: 1 to 2^63 - 1; of the newest events with one stamp the greatest.
    """

    value_ms: int
    digest: int


@dataclass(frozen=True, slots=True)
class Seen:
    """What a reading has seen of a log.

    Attributes:
        known: Stretches of which every event was read.
        newest: The newest event; None: there was none.
        marked: The remembered event was there.
        oldest_ms: The earliest stamp that was read; None: no event was read.
        unreadable: Stamps of events whose user cannot be read.
        ended_ms: Just after the last answer was read, our clock.
    """

    known: tuple[Range, ...] = ()
    newest: Mark | None = None
    marked: bool = False
    oldest_ms: int | None = None
    unreadable: tuple[int, ...] = ()
    ended_ms: int = 0


@dataclass(slots=True)
class Gaps:
    """The unread part of a log for one cycle, at the time of one reading.

    Attributes:
        name: What the log is called; another name is another log.
        cycle: The cycle.
        properties: Of the source.
        log: How far it was read; None: not at all.
        asked_ms: Just before the first question, our clock.
        until_ms: Stamps before it can be known: all such events are in the log.
        expired_ms: Events with stamps before it may be gone by the product's retention; None: it
            keeps them all.
        says_so: The product says itself that it records events.
        aimed: Any stretch can be asked for; else every answer begins with the newest event.
    """

    name: str
    cycle: Cycle
    properties: Properties
    log: LogState | None
    asked_ms: int
    until_ms: int
    expired_ms: int | None = None
    says_so: bool = False
    aimed: bool = True
    todo: tuple[Range, ...] = field(init=False)
    _expired: tuple[Hole, ...] = field(init=False)

    def __post_init__(self) -> None:
        """Find what is neither known nor lost, and what of it is gone by now."""
        # A cycle is known when its straddlers are (`closed_windows`): not one event later.
        self.until_ms = min(self.until_ms, self.cycle.end_ms + self.properties.skew_ms)
        gaps = missing(united(self._covered), self._since_ms, self.until_ms) if self.begun else ()
        expired_ms = self._since_ms if self.expired_ms is None else self.expired_ms
        self._expired = tuple(
            Hole(start, min(end, expired_ms), str(Reason.LOG_EXPIRED))
            for start, end in gaps
            if start < expired_ms
        )
        self.todo = tuple(
            Range(max(start, expired_ms), end) for start, end in gaps if end > expired_ms
        )

    @property
    def begun(self) -> bool:
        """Whether any event of the cycle can be known by now."""
        return self.until_ms > self._since_ms

    @property
    def idle(self) -> bool:
        """Whether nothing is left to read."""
        return not self.todo and not self._expired

    @property
    def mark(self) -> Mark | None:
        """The event that must be there again; None: nothing is remembered, or it may be gone."""
        position = self._position
        if position is None or not position.mark:
            return None
        if self.expired_ms is not None and position.stored_ms < self.expired_ms:
            return None
        return Mark(position.stored_ms, int(position.mark, 16))

    @property
    def opening(self) -> Range | None:
        """The first unread stretch, if nothing shows that the log was kept since before it.

        The remembered event shows it from the last known stretch on: all readings since then were
        joined. A loss in between parts them, as where the log was cleared.
        """
        first = self.todo[0] if self.todo else None
        if first is None or self.mark is None or self.log is None:
            return first
        before = [known.end_ms for known in self.log.ranges if known.start_ms < first.start_ms]
        parted = [
            hole
            for hole in self.log.holes
            if hole.reason in _NOT_KEPT and hole.start_ms < first.start_ms
        ]
        joined = before and not any(hole.end_ms > max(before) for hole in parted)
        return None if joined else first

    @property
    def stretches(self) -> tuple[Range, ...]:
        """What to read, the newest first, which holds the mark and what may have come late."""
        rest = list(reversed(self.todo))
        start_ms = self.until_ms - 1
        if rest and rest[0].end_ms >= self.until_ms:
            start_ms = rest.pop(0).start_ms
        if self.log is not None:
            start_ms -= self.properties.lag_ms
        if self._position is not None and self._is_lost(self._position.until_ms):
            start_ms = min(start_ms, self._position.until_ms)  # what is there of it counts
        if self.mark is not None:
            start_ms = min(start_ms, self.mark.value_ms)
        if not self.aimed:
            start_ms, rest = min([start_ms, *(gap.start_ms for gap in rest)]), []
        return (Range(start_ms, self.until_ms), *rest)

    def is_witnessed(self, oldest_ms: int | None, opening: Range) -> bool:
        """Whether the log was kept at a stretch's start, its oldest event having this stamp."""
        if self.says_so and self.log is not None:
            since = [known.end_ms for known in self.log.ranges]
            since += [hole.end_ms for hole in self.log.holes if hole.reason in _RECORDED_SINCE]
            if opening.start_ms in since:
                return True
        return oldest_ms is not None and self._kept_ms(oldest_ms) <= opening.start_ms

    def came_late(self, value_ms: int) -> bool:
        """Whether an event with this stamp should have been there at an earlier reading."""
        position = self._position
        if self.log is None or position is None or value_ms <= position.stored_ms:
            return False
        return any(known.start_ms <= value_ms < known.end_ms for known in self.log.ranges)

    def late_by_ms(self, value_ms: int) -> int:
        """Return how long after its stamp such an event came, at least."""
        position = self._position
        return position.until_ms + self.properties.lag_ms - value_ms if position else 0

    def reading(self, seen: Seen, skew_ms: int) -> LogReading | None:
        """Return what a reading proves; None: not even where the next one may go on.

        Args:
            seen: What was read.
            skew_ms: k, as it was measured in the end.
        """
        until_ms = shown_until_ms(self.properties, self.asked_ms - skew_ms)
        if self.mark is not None and not seen.marked:
            return self._went_back(seen, skew_ms, until_ms)
        if self._was_off:
            return self._lost(Reason.EVENTS_NOT_RECORDED, seen, skew_ms, until_ms)
        claimed = [
            Range(max(gap.start_ms, known.start_ms), min(gap.end_ms, known.end_ms, until_ms))
            for gap in self.todo
            for known in seen.known
        ]
        holes = list(self._expired)
        opening = self.opening
        if opening is not None and not self.is_witnessed(seen.oldest_ms, opening):
            if seen.oldest_ms is None and not self.says_so:
                return None  # it may be switched off
            began_ms = until_ms if seen.oldest_ms is None else self._kept_ms(seen.oldest_ms)
            claimed = [Range(max(start, began_ms), end) for start, end in claimed]
            read = any(k.start_ms <= opening.start_ms < k.end_ms for k in seen.known)
            if read and began_ms > opening.start_ms:
                holes.append(Hole(opening.start_ms, began_ms, str(Reason.LOG_BEGAN)))
        ranges = self._without_unreadable(united(claimed), seen.unreadable, holes)
        return self._reading(ranges, holes, seen.newest or self.mark, until_ms)

    def off(self, seen: Seen, skew_ms: int) -> LogReading | None:
        """Return what is lost because the product does not record events now; None: nothing new.

        It is noted once; the next reading that finds it recording ends the loss.
        """
        if not self.begun or self._was_off:
            return None
        unread_ms = self._since_ms if self._position is None else self._position.until_ms
        lost = self._lost(Reason.EVENTS_NOT_RECORDED, seen, skew_ms, unread_ms)
        return replace(lost, after=replace(lost.after, created=OFF))

    # -- inside --

    def _kept_ms(self, oldest_ms: int) -> int:
        """From which stamp on all events were kept: those stored after the oldest one was."""
        return oldest_ms + self.properties.lag_ms + self.properties.granularity_ms

    @property
    def _since_ms(self) -> int:
        open_ms = self.properties.granularity_ms + self.properties.skew_ms
        return self.cycle.start_ms - open_ms

    def _is_lost(self, at_ms: int) -> bool:
        holes = self.log.holes if self.log is not None else ()
        return any(hole.start_ms <= at_ms < hole.end_ms for hole in holes)

    @property
    def _covered(self) -> list[Range]:
        """What is known, or lost for good."""
        if self.log is None:
            return []
        return [*self.log.ranges, *(Range(hole.start_ms, hole.end_ms) for hole in self.log.holes)]

    @property
    def _was_off(self) -> bool:
        return self._position is not None and self._position.created == OFF

    @property
    def _position(self) -> LogPosition | None:
        position = self.log.position if self.log is not None else None
        return position if position is not None and position.stream == self.name else None

    def _went_back(self, seen: Seen, skew_ms: int, until_ms: int) -> LogReading | None:
        """The remembered event was not found: it is gone, or was not reached."""
        mark = self.mark
        assert mark is not None  # noqa: S101
        reached = any(k.start_ms <= mark.value_ms < k.end_ms for k in seen.known)
        return self._lost(Reason.LOG_WENT_BACK, seen, skew_ms, until_ms) if reached else None

    def _lost(self, reason: Reason, seen: Seen, skew_ms: int, read_ms: int) -> LogReading:
        """Everything unread is lost, up to now: it can have happened until the last answer.

        What the log holds of that stretch still counts: ``read_ms`` is up to where it was read.
        """
        now_ms = max(self.asked_ms, seen.ended_ms) + skew_ms
        gaps = missing(united(self._covered), self._since_ms, now_ms)
        holes = [Hole(*gap, str(reason)) for gap in gaps]
        newest = seen.newest
        if newest is None and reason is Reason.EVENTS_NOT_RECORDED:
            newest = self.mark
        return self._reading((), holes, newest, read_ms)

    def _without_unreadable(
        self, ranges: tuple[Range, ...], unreadable: Sequence[int], holes: list[Hole]
    ) -> tuple[Range, ...]:
        left = ranges
        for value_ms in sorted(set(unreadable)):
            lost = Range(value_ms, value_ms + self.properties.granularity_ms)
            cut = [part for known in left for part in missing((lost,), *known)]
            if len(cut) != len(left) or cut != list(left):
                holes.append(Hole(*lost, str(Reason.EVENTS_UNREADABLE)))
            left = tuple(cut)
        return left

    def _reading(
        self,
        ranges: tuple[Range, ...],
        holes: Sequence[Hole],
        newest: Mark | None,
        until_ms: int,
    ) -> LogReading:
        covered = [*ranges, *(Range(hole.start_ms, hole.end_ms) for hole in holes)]
        left = [part for gap in self.todo for part in missing(united(covered), *gap)]
        left = [Range(start, min(end, until_ms)) for start, end in left if start < until_ms]
        after = LogPosition(
            stream=self.name,
            created="",
            sequence=0,
            stored_ms=newest.value_ms if newest is not None else 0,
            until_ms=left[0].start_ms if left else until_ms,
            mark=f"{newest.digest:016x}" if newest is not None else "",
        )
        return LogReading(
            before=self.log.position if self.log is not None else None,
            after=after,
            ranges=ranges,
            holes=tuple(holes),
            behind=bool(left),
            filled=bool(ranges),
        )
