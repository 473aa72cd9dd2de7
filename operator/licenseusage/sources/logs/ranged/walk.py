"""The proof that every event of a stretch of a log was read, whatever was written meanwhile.

Decisions only. A log over HTTP has no sequence numbers; what it has is an order by time. From that
alone follows what is complete: if a page begins with an event that is *strictly* before the last
one of the page before, in the order of the answers, then every event behind that last one is on
this page or on a later one. New events only move others further down in a log that begins with the
newest, and come behind all others in one that begins with the oldest; events that were removed move
others up, and then the page does not begin early enough. Events of one time may come in any order,
in each answer in another one, so a group of them proves something only if it is on one page.

Pages follow in one of two ways. Where an offset is told, the next page begins at the last event
that is strictly before the last one. Else only first pages are read, each of a narrower range: the
server promises all events of the range that it was asked for, and the event at the end where it was
narrowed must be there again. A reading ends only where an answer brings nothing new, so that a
list that was cut in silence does not pass for the whole.

The last event must be on each page that leads past it, and on the page before the end of a log that
begins with the oldest event. If it is gone, so are others that nobody has read, as where a backup
is restored between two pages.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from itertools import pairwise
from typing import NamedTuple

from licenseusage.metering.events import Range

_SAME_PAGES = 3
"""So often may a page come again: as many new events as the offset was raised by are no chance."""

SMALLEST_CUT = 10
"""No product cuts its answers to fewer events in silence."""

_SMALL_PAGE = 2
"""Pages with more events than these can overlap, unless their times are the same."""


class Stamped(NamedTuple):
    """The time of one event.

    Attributes:
        value_ms: As shown, start of its granule.
        unsure_ms: How much later it may be read (a local hour that happened twice).
        digest: Of what tells the event from all others.
    """

    value_ms: int
    unsure_ms: int = 0
    digest: int = 0


class Broken(Enum):
    """What keeps the pages of a log from proving anything.

    Attributes:
        UNSORTED: An answer is not in the declared order.
        MOVED: A page does not go on from the one before: events were removed meanwhile.
        IGNORED: The same page came again for another offset.
        TIED: More events have one time than a page holds.
    """

    UNSORTED = 1
    MOVED = 2
    IGNORED = 3
    TIED = 4


class BrokenWalkError(Exception):
    """A walk cannot go on; what it has proved so far stands."""

    def __init__(self, what: Broken) -> None:
        """Keep what is wrong."""
        super().__init__(what.name)
        self.what = what


@dataclass(slots=True)
class Walk:
    """The reading of one stretch, page by page.

    Attributes:
        stretch: The events that are wanted, by their stamps.
        newest_first: Answers begin with the newest event; else with the oldest.
        by_offset: Pages are asked for by an offset; else by a narrower range.
        offset: Of the page to ask for.
        done: Nothing more has to be asked.
        passed: An event behind the stretch was seen: the answers lead beyond it.
    """

    stretch: Range
    newest_first: bool
    by_offset: bool
    offset: int = 0
    done: bool = False
    passed: bool = False
    _last: Stamped | None = None
    _unsure_ms: int = 0
    _before: list[Stamped] = field(default_factory=list)
    _most: int = 0  # events of the longest page
    _repeats: int = 0  # how often the same page came again
    _behind: bool = False  # what is asked for next lies behind all events so far
    _grouped: bool = False  # because all events of the page but the first have one time
    _ended: bool = False

    @property
    def asked(self) -> Range:
        """The range to ask for, by stamps; the same for all pages that follow by an offset."""
        start, end = self.stretch
        if self.by_offset or self._last is None:
            return self.stretch
        if self.newest_first:
            return Range(start, min(end, self._last.value_ms + self._last.unsure_ms + 1))
        return Range(max(start, self._last.value_ms), end)

    @property
    def known(self) -> Range:
        """The part of the stretch of which every event has been read; perhaps empty."""
        start, end = self.stretch
        if self._ended or self.passed:
            return self.stretch
        if self._last is None:
            return Range(start, start)
        value_ms, unsure_ms, _ = self._last
        if self.newest_first:
            return Range(min(end, max(start, value_ms + unsure_ms + 1)), end)
        return Range(start, max(start, min(end, value_ms - self._unsure_ms)))

    def take(
        self, events: Sequence[Stamped], *, more: bool | None = None, total: int | None = None
    ) -> None:
        """Take the next page and decide how it goes on.

        Args:
            events: The times of its events, in the order of the answer.
            more: Whether the answer says that there is more; None: it says nothing.
            total: How many events the answer says there are from offset 0 on; None: nothing.

        Raises:
            BrokenWalkError: The pages prove nothing beyond what is known.
        """
        self._check_order(events)
        page, last = list(events), self._last
        before, self._before = self._before, page
        self._repeats = self._repeats + 1 if page and page == before else 0
        if not page and (last is None or self._behind):
            if (total is not None and total > self.offset) or not self._ends_with(before):
                raise BrokenWalkError(Broken.MOVED)
            self._end()
            return
        if last is not None:
            self._must_continue(page, last, more=more)
        self._behind = False
        self._unsure_ms = max(self._unsure_ms, *(event.unsure_ms for event in page))
        if last is None or self._follows(page[-1], last):
            self._go_on(page, total)
        elif not self.by_offset:
            if more or (more is None and len(page) >= max(self._most, SMALLEST_CUT)):
                raise BrokenWalkError(Broken.TIED)
            self._end()
        elif self._repeats >= _SAME_PAGES:
            raise BrokenWalkError(Broken.IGNORED)
        else:
            self._next_offset(page)

    def _go_on(self, page: list[Stamped], total: int | None) -> None:
        self._last, self._most = page[-1], max(self._most, len(page))
        if self._beyond(page[-1]):
            self.done = self.passed = True
        elif self.by_offset and total is not None and self.offset + len(page) >= total:
            self._end()
        elif self.by_offset:
            self._next_offset(page)

    def _next_offset(self, page: list[Stamped]) -> None:
        """Begin at the last event strictly before the last one, or else behind all."""
        last = page[-1]
        before = max((at for at, event in enumerate(page) if self._follows(last, event)), default=0)
        self._behind, self._grouped = before == 0, len(page) > _SMALL_PAGE
        self.offset += before or len(page)

    def _end(self) -> None:
        self.done = self._ended = True

    def _ends_with(self, page: list[Stamped]) -> bool:
        """Whether the last event is still there, on the page before the end.

        A log that begins with the newest event ends where the product keeps no more: its oldest
        events may expire one by one while it is read.
        """
        return self.newest_first or self._last is None or self._last in page

    def _must_continue(self, page: list[Stamped], last: Stamped, *, more: bool | None) -> None:
        """Refuse a page that does not go on from the last event so far."""
        if self.by_offset:
            if page and self._follows(last, page[0]):
                if self._follows(page[-1], last) and last not in page:
                    raise BrokenWalkError(Broken.MOVED)
                return
            if page and self._repeats >= _SAME_PAGES:
                raise BrokenWalkError(Broken.IGNORED)
            tied = self._behind and page and not self._follows(last, page[0])
            raise BrokenWalkError(Broken.TIED if tied and self._grouped else Broken.MOVED)
        if last in page:
            return
        short = more is not False and page and self._follows(last, page[-1])
        raise BrokenWalkError(Broken.TIED if short else Broken.MOVED)

    def _check_order(self, events: Sequence[Stamped]) -> None:
        for before, event in pairwise(events):
            if self._follows(before, event):
                raise BrokenWalkError(Broken.UNSORTED)

    def _follows(self, event: Stamped, other: Stamped) -> bool:
        """Whether an event is strictly behind another one in the order of the answers."""
        if self.newest_first:
            return event.value_ms + event.unsure_ms < other.value_ms
        return event.value_ms > other.value_ms + other.unsure_ms

    def _beyond(self, event: Stamped) -> bool:
        if self.newest_first:
            return event.value_ms + event.unsure_ms < self.stretch.start_ms
        return event.value_ms >= self.stretch.end_ms
