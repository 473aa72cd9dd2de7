"""Facts of source kind D (event logs) and their join (MEASUREMENT §6, §8).

An event says who was active when. So a log proves more than a list: what was read of it is true for
good, and whoever is not in a stretch that was read completely was not active in it. What has to be
kept, beside who was active, is therefore *which stretches were read completely*: the proof ranges,
disjoint intervals whose join is their union. A stretch that nobody read while the log still held it
is a hole, and stays one.

Ranges are kept in the log's own terms: in ``[start, end)`` of a range every event *with that stamp*
is known. With a stamp skew e or a granularity g a window needs a range a little wider than itself,
so that the straddlers of a covered window are all known. That makes the sets of straddlers facts of
the log, the same for every reader, and the union of two readers' facts needs no more than their
union. For exact stamps (e = 0, g = 1 ms) it is §6 to the letter.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from licenseusage.metering.cycles import CYCLE_MASK, Cycle, Segment
from licenseusage.metering.facts import Facts, ImpossibleStampError, without_sure
from licenseusage.metering.polled import Polled
from licenseusage.metering.properties import Properties
from licenseusage.reasons import Reason

READING_BEHIND = Reason.READING_BEHIND


class Event(NamedTuple):
    """One activity in a log.

    Attributes:
        user: Pseudonym of the cycle that the facts are for, 16 bytes.
        value_ms: The stamp as shown, start of its granule, ms since the epoch.
    """

    user: bytes
    value_ms: int


class Range(NamedTuple):
    """A proof range ``[start_ms, end_ms)``: every event with a stamp in it is known."""

    start_ms: int
    end_ms: int


class Hole(NamedTuple):
    """A stretch ``[start_ms, end_ms)`` of the log that can never be read again, and why (Token)."""

    start_ms: int
    end_ms: int
    reason: str


@dataclass(frozen=True, slots=True)
class LogPosition:
    """The position in a log; stored in the same transaction as the events' facts.

    Attributes:
        stream: What the log is called.
        created: When the log was made, as its server writes it: another one under the same name
            is another log. Over HTTP nobody tells; ``off`` where it was found switched off.
        sequence: Last position read; 0 before the first, or where the log has no such number.
        stored_ms: When the log stored what is at ``sequence``, by the log's own clock: the row in
            which two readings overlap, so that a log that was set back and went on is noticed.
            0: it had been removed when it was to be read.
        until_ms: Stamps before it were read completely, back to the last hole.
        mark: The position in the log's own words, where a number does not tell it.
    """

    stream: str
    created: str
    sequence: int
    stored_ms: int
    until_ms: int
    mark: str = ""


@dataclass(frozen=True, slots=True)
class LogReading:
    """The result of one poll of a log for one cycle, besides the facts about users.

    Attributes:
        before: The position that it went on from; None: it began with the cycle. What it claims is
            true only together with the facts recorded with that position.
        after: Where it stopped.
        ranges: What is known completely now.
        holes: What was found to be lost for good.
        behind: The log holds more than was read so far.
        filled: It has read a stretch that was unknown, wherever it ended.
    """

    before: LogPosition | None
    after: LogPosition
    ranges: tuple[Range, ...] = ()
    holes: tuple[Hole, ...] = ()
    behind: bool = False
    filled: bool = False

    @property
    def further(self) -> bool:
        """Whether it read anything that was not read before."""
        before, after = self.before, self.after
        return (
            self.filled
            or before is None
            or (before.stream, before.created, before.sequence, before.mark)
            != (after.stream, after.created, after.sequence, after.mark)
        )


@dataclass(frozen=True, slots=True)
class LogState:
    """How far a log was read for one cycle, over all readings so far.

    Attributes:
        position: Where reading goes on.
        ranges: What is known completely; ascending, disjoint.
        holes: What was found to be lost; only what no range covers is lost in fact.
        behind: The log holds more than was read so far.
    """

    position: LogPosition
    ranges: tuple[Range, ...] = ()
    holes: tuple[Hole, ...] = ()
    behind: bool = False


def read_on(state: LogState | None, reading: LogReading) -> LogState:
    """Return how far a log was read after one more reading, which went on from ``state``."""
    before = state or LogState(reading.after)
    return LogState(
        position=reading.after,
        ranges=united([*before.ranges, *reading.ranges]),
        holes=tuple(sorted({*before.holes, *reading.holes})),
        behind=reading.behind,
    )


@dataclass(slots=True)
class LogFacts:
    """The facts of one log about one cycle; words as in ``cycles``.

    Attributes:
        sure: User -> windows in which activity is proved.
        maybe: User -> windows that an event may have been in (it straddles an end).
        ranges: Proof ranges, ascending, disjoint, none touching another.
    """

    sure: dict[bytes, int] = field(default_factory=dict)
    maybe: dict[bytes, int] = field(default_factory=dict)
    ranges: tuple[Range, ...] = ()


class EventWords:
    """Collects the words of users, event by event (MEASUREMENT §6).

    Attributes:
        sure: User -> windows in which activity is proved.
        maybe: User -> windows that an event straddles, also where another event proves them.
    """

    def __init__(self, cycle: Cycle | Segment, properties: Properties) -> None:
        """Prepare for one cycle or segment; granularity and skew widen every stamp."""
        self._cycle = cycle
        self._before = properties.skew_ms
        self._after = properties.granularity_ms - 1 + properties.skew_ms
        self.sure: dict[bytes, int] = {}
        self.maybe: dict[bytes, int] = {}

    def wants(self, value_ms: int, unsure_ms: int = 0) -> bool:
        """Whether an event with this stamp may be in the cycle: others need no pseudonym."""
        latest, cycle = value_ms + unsure_ms + self._after, self._cycle
        return latest >= cycle.start_ms and value_ms - self._before < cycle.end_ms

    def add(self, user: bytes, value_ms: int, read_ms: int, unsure_ms: int = 0) -> None:
        """Take one event.

        Args:
            user: Its pseudonym.
            value_ms: Its stamp.
            read_ms: When it was read, plus the clock skew: what was seen by then happened by then.
            unsure_ms: How much later the stamp may be read (a local hour that happened twice).

        Raises:
            ImpossibleStampError: The stamp lies after ``read_ms``.
        """
        cycle = self._cycle
        first, widest = value_ms - self._before, value_ms + unsure_ms + self._after
        if first > read_ms:
            raise ImpossibleStampError(first - read_ms)
        last = min(widest, read_ms)
        if last < cycle.start_ms or first >= cycle.end_ms:
            return
        day, other = cycle.day_of(first), cycle.day_of(last)
        if first >= cycle.start_ms and last < cycle.end_ms:
            self.sure[user] = (
                self.sure.get(user, 0) | CYCLE_MASK | (1 << day if day == other else 0)
            )
            if day == other:
                return
        inside = max(first, cycle.start_ms), min(last, cycle.end_ms - 1)
        days = range(cycle.day_of(inside[0]), cycle.day_of(inside[1]) + 1)
        straddled = CYCLE_MASK | sum(1 << each for each in days)
        self.maybe[user] = self.maybe.get(user, 0) | straddled

    def unsure(self) -> dict[bytes, int]:
        """Return the ``maybe`` words without what is proved."""
        return without_sure(self.maybe, self.sure)


def log_facts(
    cycle: Cycle | Segment,
    properties: Properties,
    polled: Polled,
    events: Iterable[Event],
    *,
    asked: Range,
    retention_ms: int | None = None,
) -> LogFacts:
    """Return the facts of one answer to "all events with a stamp in ``asked``".

    Args:
        cycle: The cycle or segment.
        properties: What the source declares.
        polled: When; complete if the answer was read to its end. Events of other answers count
            too, and prove nothing else.
        events: The answer, in any order; repeats are harmless.
        asked: The stamps that were asked for.
        retention_ms: R: an event can be read for so long after it happened; None: for ever.

    Raises:
        ImpossibleStampError: An event lies in the future; no facts are made.
    """
    words = EventWords(cycle, properties)
    for user, value_ms in events:
        words.add(user, value_ms, polled.read_ms)
    known: tuple[Range, ...] = ()
    if polled.complete:
        start, end = asked
        if retention_ms is not None:
            # From the end of the answer: an event may expire while the pages are read.
            start = max(start, polled.read_ms - retention_ms + properties.skew_ms)
        end = min(end, shown_until_ms(properties, polled.began_ms))
        known = united([Range(start, end)])
    return LogFacts(words.sure, words.unsure(), known)


def shown_until_ms(properties: Properties, at_ms: int) -> int:
    """Return up to which stamp (exclusive) every event was in the log at an instant: less L."""
    return at_ms - properties.lag_ms - properties.skew_ms - properties.granularity_ms + 1


def merge(a: LogFacts, b: LogFacts) -> LogFacts:
    """Return the join: commutative, associative, idempotent; covered windows only narrow."""
    sure = dict(a.sure)
    for user, bits in b.sure.items():
        sure[user] = sure.get(user, 0) | bits
    maybe = dict(a.maybe)
    for user, bits in b.maybe.items():
        maybe[user] = maybe.get(user, 0) | bits
    return LogFacts(sure, without_sure(maybe, sure), united([*a.ranges, *b.ranges]))


def united(ranges: Iterable[Range]) -> tuple[Range, ...]:
    """Return the union of ranges: ascending, disjoint; those that touch are one."""
    joined: list[Range] = []
    for start, end in sorted(ranges):
        if end <= start:
            continue
        if joined and start <= joined[-1].end_ms:
            joined[-1] = Range(joined[-1].start_ms, max(joined[-1].end_ms, end))
        else:
            joined.append(Range(start, end))
    return tuple(joined)


def closed_windows(cycle: Cycle | Segment, properties: Properties, ranges: Sequence[Range]) -> int:
    """Return the word of the windows that one of the (united) ranges covers."""
    before = properties.skew_ms + properties.granularity_ms - 1
    word = 0
    for window, (start, end) in cycle.windows().items():
        first, last = start - before, end + properties.skew_ms
        if any(known.start_ms <= first and last <= known.end_ms for known in ranges):
            word |= 1 << window
    return word


def missing(ranges: Sequence[Range], start_ms: int, end_ms: int) -> tuple[Range, ...]:
    """Return the parts of ``[start_ms, end_ms)`` that no (united) range covers, ascending."""
    gaps = []
    for known in ranges:
        if known.end_ms <= start_ms:
            continue
        if known.start_ms >= end_ms:
            break
        if known.start_ms > start_ms:
            gaps.append(Range(start_ms, known.start_ms))
        start_ms = known.end_ms
    if start_ms < end_ms:
        gaps.append(Range(start_ms, end_ms))
    return tuple(gaps)


def unread(logs: Iterable[LogState], cycle: Cycle, end_ms: int) -> tuple[Hole, ...]:
    """Return what is unknown of a source's logs within ``[cycle start, end_ms)``, and why.

    What was lost, and what is there but has not been read yet.
    """
    holes: list[Hole] = []
    for log in logs:
        for hole in log.holes:
            first, last = max(hole.start_ms, cycle.start_ms), min(hole.end_ms, end_ms)
            gaps = missing(log.ranges, first, last) if first < last else ()
            holes += (Hole(*gap, hole.reason) for gap in gaps)
        if log.behind and log.position.until_ms < end_ms:
            start_ms = max(log.position.until_ms, cycle.start_ms)
            holes.append(Hole(start_ms, end_ms, READING_BEHIND))
    return tuple(sorted(holes))


def as_facts(cycle: Cycle | Segment, properties: Properties, log: LogFacts) -> Facts:
    """Return a log as a store that combines with stores of other kinds (MEASUREMENT §7).

    Its possible users are those sure and maybe where a range covers the window, and unknown
    elsewhere. The properties of a log say ``removal: Never``: nobody leaves what was read of it.
    """
    closed = closed_windows(cycle, properties, log.ranges)
    return Facts(sure=log.sure, maybe=log.maybe, closed=closed)
