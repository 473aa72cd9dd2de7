"""Reading a list, once or more: the passes over its pages, and their results."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial

from licenseusage.metering.cycles import Cycle
from licenseusage.metering.pseudonym import Pseudonymiser
from licenseusage.reasons import Reason
from licenseusage.sources.definition.model import SECOND_MS
from licenseusage.sources.definition.timestamps import BadStampError, reader
from licenseusage.sources.failures import PollError
from licenseusage.sources.http.fetch import Session
from licenseusage.sources.http.said import NOTHING, Said
from licenseusage.sources.lists.columns import Columns
from licenseusage.sources.lists.decoder import PageDecoder
from licenseusage.sources.lists.explained import Explained
from licenseusage.sources.lists.lines import LineReader
from licenseusage.sources.lists.memory import ListMemory
from licenseusage.sources.lists.naming import Named
from licenseusage.sources.lists.notes import Watch
from licenseusage.sources.lists.pages import PageReader
from licenseusage.sources.lists.paging.pager import Pager, pager_of
from licenseusage.sources.lists.refusals import bad_stamp
from licenseusage.sources.lists.repeated import Twice
from licenseusage.sources.lists.tally import Tally
from licenseusage.sources.lists.untimed import UntimedTally
from licenseusage.sources.poll import CycleRequest, PollRequest

MOST_PASSES = 3  # MEASUREMENT §0, of listings that cannot overlap


@dataclass(slots=True)
class Listing:
    """The result of the passes over one listing.

    Attributes:
        cycles: What it is read for.
        tally: Of the last pass.
        earlier: Of the passes before it: their rows are true as well.
        pages: Pages of the last pass.
        ended: The last pass came to its end.
        proves: The list is complete.
        extent: What its last page says of the list's size.
        twice: A member that stands twice on some page.
        note: A hint about its pages.
        open_end: A page of lines did not show where it ends.
    """

    cycles: tuple[CycleRequest, ...]
    tally: Tally
    earlier: tuple[Tally, ...] = ()
    pages: int = 0
    ended: bool = False
    proves: bool = False
    extent: Said = NOTHING
    twice: Twice | None = None
    note: str | None = None
    open_end: bool = False

    @property
    def tallies(self) -> tuple[Tally, ...]:
        """Of all passes, in order."""
        return (*self.earlier, self.tally)


@dataclass(slots=True)
class Asked:
    """The result of asking one pod; ``label`` is what messages call it."""

    session: Session
    watch: Watch
    label: str = ""
    listings: list[Listing] = field(default_factory=list)

    @property
    def rows(self) -> int:
        """Rows listed, of all passes."""
        return sum(tally.listed for listing in self.listings for tally in listing.tallies)


class ListReader:
    """Reads the lists of one poll, from whichever pod.

    Attributes:
        pages: Pages read so far; a poll is bounded by them.
    """

    def __init__(self, request: PollRequest, decoder: PageDecoder, memory: ListMemory) -> None:
        """Prepare.

        Args:
            request: What to read.
            decoder: Of the source's pages.
            memory: Of the lists that were read before.
        """
        self._request, self._source = request, request.source
        self._decoder, self._memory = decoder, memory
        self.pages = 0

    def read(self, asked: Asked) -> None:
        """Read all lists from one pod.

        Raises:
            PollError: A list cannot be read to its end; what was read of it is in ``asked``.
        """
        for cycles in self._cycle_groups():
            self._read(asked, cycles)

    def _cycle_groups(self) -> Iterator[tuple[CycleRequest, ...]]:
        """Cycles that one listing serves: all, or one where the product filters by cycle."""
        if self._source.http.names("cycle"):
            yield from ((request,) for request in self._request.cycles if not request.coming)
        else:
            yield self._request.cycles

    def _read(self, asked: Asked, cycles: tuple[CycleRequest, ...]) -> None:
        """Read one listing, again where that can prove it complete and a closing poll is wanted."""
        earlier: list[Tally] = []
        before: bytes | None = None
        for attempt in range(1, MOST_PASSES + 1):
            listing = Listing(cycles, self._tally(cycles), tuple(earlier))
            others = [other for other in asked.listings if other.cycles != cycles]
            asked.listings = [*others, listing]
            pager = self._pager()
            try:
                self._pass(asked, cycles[-1].cycle, listing, pager)
            except PollError as error:
                again = error.failure.reason == Reason.LIST_MOVED and self._request.closing
                if not again or attempt == MOST_PASSES:
                    raise
                before = None
            else:
                listing.ended, listing.proves = True, pager.proves or pager.sequence == before
                if listing.proves or not self._request.closing:
                    return
                before = pager.sequence
            earlier.append(listing.tally)

    def _pass(self, asked: Asked, cycle: Cycle, listing: Listing, pager: Pager) -> None:
        session = asked.session
        while pager.ask is not None:
            if self.pages >= self._request.limits.poll_pages:
                raise PollError(
                    Reason.TOO_MANY_PAGES,
                    f"the list did not end after {self.pages} pages. Ask for larger pages, check "
                    "that the pages end, or raise POLL_PAGES of the operator.",
                )
            listing.tally.start_page()
            self._decoder.number = pager.pages + 1
            sink = partial(self._take, asked.watch, listing, pager)
            lines = self._source.http.format == "NDJSON"
            page = (LineReader if lines else PageReader)(self._decoder, sink)
            with session.get(pager.ask, cycle) as content:
                for data in content:
                    page.feed(data)
                self.pages += 1
                end = page.finish()
                listing.extent = session.extent | end.extent
                listing.twice = listing.twice or end.twice
                listing.open_end |= lines and not session.head.ends
                pager.end_page(end.values, session.head)
            listing.pages, listing.note = pager.pages, pager.note

    def _take(self, watch: Watch, listing: Listing, pager: Pager, columns: Columns) -> None:
        try:
            new = pager.take(columns)
        except BadStampError as error:
            raise bad_stamp(self._source, error) from None
        watch.see(new)
        listing.tally.add(new)
        most = self._request.limits.poll_users
        if listing.tally.listed > most:
            raise PollError(
                Reason.TOO_MANY_USERS,
                f"the list has more than {most:,} users, the most of one poll. If the product "
                "really has so many, raise POLL_USERS of the operator, and its memory with it "
                "(docs/operations.md).",
            )

    def _pager(self) -> Pager:
        source = self._source
        return pager_of(source.http, source.guarantees.order, reader(source.users.last_active))

    def _tally(self, cycles: tuple[CycleRequest, ...]) -> Tally:
        kind = UntimedTally if self._source.window is not None else Tally
        return kind(
            self._source,
            cycles,
            self._pseudonymiser,
            self._known,
            show_ids=self._request.show_ids,
            explain=self._explained if self._request.advise else None,
        )

    def _explained(self, cycle: Cycle, pseudonymiser: Pseudonymiser) -> Explained:
        request, stamps = self._request, reader(self._source.users.last_active)
        shown, everybody = request.show_ids, request.watch
        return Explained(cycle, stamps, pseudonymiser, show_ids=shown, watch=everybody)

    def _known(self, cycle: Cycle) -> Named | None:
        return self._memory.known(self._request, cycle)

    def _pseudonymiser(self, cycle: Cycle) -> Pseudonymiser:
        request = self._request
        return Pseudonymiser(request.pseudonym_key, request.product, cycle.start_ms // SECOND_MS)
