"""The requests of one reading of a log over HTTP: stretch by stretch, page by page."""

import hashlib
from collections.abc import Sequence
from urllib.parse import quote

import msgspec

from licenseusage.clock import Clock
from licenseusage.metering.events import Range
from licenseusage.reasons import Reason
from licenseusage.sources.definition import model, paging, templates
from licenseusage.sources.definition.expressions import Json
from licenseusage.sources.definition.logs import HttpLog
from licenseusage.sources.definition.model import DAY_MS
from licenseusage.sources.definition.paging import Pair
from licenseusage.sources.failures import PollError
from licenseusage.sources.http.asking import KEPT_IN_PATHS, Link
from licenseusage.sources.http.fetch import Session
from licenseusage.sources.logs.ranged.gaps import Gaps, Mark, Seen
from licenseusage.sources.logs.ranged.pages import Event, Page, PageReader
from licenseusage.sources.logs.ranged.settings import Told, told_by
from licenseusage.sources.logs.ranged.walk import Broken, BrokenWalkError, Stamped, Walk
from licenseusage.sources.logs.tally import EventTally
from licenseusage.sources.poll import PollRequest

_STOP_AFTER = 0.8
"""Part of the poll's seconds after which no further page is asked for."""

_SPARE_PAGES = 50
"""Pages beyond the bound of a poll in which the remembered event is looked for."""

_LOOK_BACK_MS = 400 * DAY_MS
"""An event within so long before a cycle shows that the log was kept then."""

_NO_EVENT = Mark(-(2**62), 0)


class Reader:
    """Reads one log over one connection.

    Attributes:
        pages: Pages read so far; a poll is bounded by them.
        seen: What the last reading has seen, also where it failed.
        empty: No event was there, in no reading.
    """

    def __init__(
        self, request: PollRequest, log: HttpLog, session: Session, clock: Clock, tally: EventTally
    ) -> None:
        """Prepare.

        Args:
            request: The poll.
            log: The log of its source.
            session: A connection to a pod.
            clock: Ours.
            tally: Takes the events.
        """
        self._request, self._log, self._session = request, log, session
        self._http, self._clock, self._tally = request.source.http, clock, tally
        self._page_reader = PageReader(request.source, log)
        self._units = {edge: templates.unit_ms(self._http.texts, edge) for edge in ("start", "end")}
        self._cycles = [cycle.cycle for cycle in request.cycles]
        self._before: set[int] = set()  # digests of the page before
        self._events = 0
        self.pages = 0
        self.seen = Seen()
        self._gaps: Gaps | None = None
        self._newest = _NO_EVENT
        self._oldest_ms: int | None = None
        self._marked, self._unreadable = False, list[int]()

    @property
    def can_aim(self) -> bool:
        """Whether answers can begin anywhere in the log."""
        return not self._log.newest_first or self._units["end"] is not None

    @property
    def empty(self) -> bool:
        """Whether no event was read at all."""
        return self._events == 0

    def settings(self) -> Told:
        """Ask what the product says about its log.

        Raises:
            PollError: It cannot be read.
        """
        settings = self._log.settings
        if settings is None:
            return Told()
        path = quote(settings.path, safe=KEPT_IN_PATHS)
        asked = Link(path, field="events.settings.path")
        with self._session.get(asked, self._cycles[-1]) as content:
            return told_by(settings, content)

    def follow(self, gaps: Gaps) -> None:
        """Read what is unread for a cycle, the newest first, up to the bounds of the poll.

        Raises:
            PollError: The log cannot be read on; ``seen`` holds what was read of it.
        """
        self._gaps, self._newest, self._oldest_ms = gaps, _NO_EVENT, None
        self._marked, self._unreadable = False, []
        walks: list[Walk] = []
        try:
            self._read(gaps, walks)
        except BrokenWalkError as error:
            if error.what is Broken.UNSORTED:
                walks = []  # nothing that was concluded from the order stands
            raise _cannot_go_on(error.what, self._http) from None
        finally:
            self._note(walks)

    def _read(self, gaps: Gaps, walks: list[Walk]) -> None:
        newest, *others = gaps.stretches
        walks.append(self._walk(newest))
        self._go(walks[0])
        mark = gaps.mark
        if mark is not None and not (self._marked or _holds(walks[0].known, mark)):
            self._look_for(mark, walks)
        if mark is not None and not self._marked:
            return
        for stretch in others:
            if not walks[-1].done:
                break
            walks.append(self._walk(stretch))
            self._go(walks[-1])
        if others and mark is not None:
            self._confirm(mark, walks)
        if gaps.opening is not None and self._is_unwitnessed(gaps.opening):
            self._look_before(gaps.opening)

    def _walk(self, stretch: Range) -> Walk:
        by_offset = isinstance(self._http.pagination, paging.Offset)
        return Walk(stretch, newest_first=self._log.newest_first, by_offset=by_offset)

    def _go(self, walk: Walk, *, spare: int = 0, most: int | None = None) -> None:
        self._before = set()
        begun = self.pages
        while not walk.done and not self._full(spare) and self.pages - begun != most:
            page = self._ask(walk)
            walk.take(self._take(page), more=page.more, total=page.total)

    def _look_for(self, mark: Mark, walks: list[Walk]) -> None:
        """Look for the event alone, also where the way to it is longer than a poll may go."""
        if self.can_aim:
            walks.append(self._walk(Range(mark.value_ms, mark.value_ms + 1)))
            self._go(walks[-1], spare=_SPARE_PAGES)

    def _confirm(self, mark: Mark, walks: list[Walk]) -> None:
        """Look for the event once more: a log that was cleared meanwhile would show nothing.

        Where the bounds of the poll end before that is known, only the first walk stands, which has
        found the event already; the next poll reads the other stretches again.
        """
        self._marked = False
        self._look_for(mark, walks)
        if not self._marked and not walks[-1].done:
            self._marked = True
            del walks[1:]

    def _is_unwitnessed(self, opening: Range) -> bool:
        assert self._gaps is not None  # noqa: S101
        return not self._gaps.is_witnessed(self._oldest_ms, opening)

    def _look_before(self, opening: Range) -> None:
        """Look for any event from before a stretch: the log was kept then."""
        if not self.can_aim:
            return
        end_ms = opening.start_ms - 3 * max(unit or 0 for unit in self._units.values())
        self._go(self._walk(Range(end_ms - _LOOK_BACK_MS, end_ms)), most=1)

    def _full(self, spare: int) -> bool:
        """Whether a bound of the poll is reached."""
        limits = self._request.limits
        left = self._session.time_left
        return (
            self.pages >= limits.poll_pages + spare
            or self._session.bytes >= limits.poll_bytes // 2
            or left <= (1 - _STOP_AFTER) * limits.poll_seconds
        )

    # -- one page --

    def _ask(self, walk: Walk) -> Page:
        with self._session.get(self._parameters(walk.offset), self._widened(walk.asked)) as content:
            self._tally.allow(self._session.skew_ms)
            page = self._page_reader.page(content, self._session.head)
        self.pages += 1
        return page

    def _parameters(self, offset: int) -> tuple[Pair, ...]:
        match self._http.pagination:
            case paging.Offset() as pages:
                at = str(offset + pages.first)
                return ((pages.offset_param, at), (pages.limit_param, str(pages.size)))
            case paging.Numbered() as pages:
                size, number = str(pages.size), str(pages.first)
                value = pages.template.replace("{size}", size).replace("{page}", number)
                page = (pages.page_param, value)
                return (page,) if pages.size_param is None else (page, (pages.size_param, size))
        return ()

    def _widened(self, asked: Range) -> Range:
        """Return a range in whole units, one more at each end: an end may not belong to it."""
        start, end = self._units["start"] or 1, self._units["end"] or 1
        return Range(
            max(0, (asked.start_ms // start - 1) * start), (-(-asked.end_ms // end) + 1) * end
        )

    def _take(self, page: Page) -> list[Stamped]:
        """Count the events that were not on the page before; return the times of all."""
        known, now_ms = self._before, self._clock.now_ms()
        stamps = [event.stamped._replace(digest=self._digest(event)) for event in page.events]
        for event, stamped in zip(page.events, stamps, strict=True):
            self._see(stamped)
            if stamped.digest in known:
                continue
            self._events += 1
            if self._gaps is not None and self._gaps.came_late(stamped.value_ms):
                late_ms = self._gaps.late_by_ms(stamped.value_ms)
                self._tally.late.note(self._events, late_ms)
            if not self._tally.add(self._events, stamped.value_ms, event, self._cycles, now_ms):
                self._unreadable.append(stamped.value_ms)
        self._before = {stamped.digest for stamped in stamps}
        return stamps

    def _see(self, stamped: Stamped) -> None:
        assert self._gaps is not None  # noqa: S101
        gaps, value_ms = self._gaps, stamped.value_ms
        mark = Mark(value_ms, stamped.digest)
        self._marked = self._marked or mark == gaps.mark
        if value_ms < gaps.until_ms:
            self._newest = max(self._newest, mark)
        if self._oldest_ms is None or value_ms < self._oldest_ms:
            self._oldest_ms = value_ms

    def _digest(self, event: Event) -> int:
        """Return what an event is known by: 63 bits that say nothing without the key."""
        text = msgspec.json.encode([_plain(event.own), event.stamped.value_ms])
        key = self._request.pseudonym_key[:64]
        made = hashlib.blake2b(text, digest_size=8, key=key, person=b"event").digest()
        return int.from_bytes(made) >> 1 or 1

    def _note(self, walks: Sequence[Walk]) -> None:
        self.seen = Seen(
            known=tuple(walk.known for walk in walks),
            newest=self._newest if self._newest is not _NO_EVENT else None,
            marked=self._marked,
            oldest_ms=self._oldest_ms,
            unreadable=tuple(self._unreadable),
            ended_ms=self._clock.now_ms(),
        )


def _holds(known: Range, mark: Mark) -> bool:
    return known.start_ms <= mark.value_ms < known.end_ms


def _plain(own: Json) -> Json:
    """Return what an event is told by as JSON can hold it."""
    return own if own is None or isinstance(own, str | float | bool) else str(own)[:256]


def _cannot_go_on(what: Broken, http: model.Http) -> PollError:
    match what:
        case Broken.UNSORTED:
            return PollError(
                Reason.ORDER_VIOLATED,
                "the events of an answer are not sorted by users.time, as events.order declares. "
                "Correct events.order or the query, or name the time by which they are sorted.",
                stalls=True,
            )
        case Broken.IGNORED:
            return PollError(
                Reason.PAGING_IGNORED,
                "pages are the same: the product ignores the paging parameters, or writes as many "
                "events meanwhile as a page holds. Correct http.pagination, or ask for larger "
                "pages.",
            )
        case Broken.TIED:
            return PollError(
                Reason.EVENTS_TIED,
                "more events have one time than a page holds, so that the next page cannot be "
                f"asked for. Raise {http.pagination.larger or 'the size of a page in http.query'}.",
            )
        case Broken.MOVED:
            return PollError(
                Reason.LOG_MOVED,
                "a page does not go on from the one before: events were removed while they were "
                "read. It is read again.",
            )
