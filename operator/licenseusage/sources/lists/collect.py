"""One poll, from the first request to the facts. Runs in a worker process.

Nothing raises out of here for what a product does: each way to fail becomes a ``Failure`` in the
result, beside the facts that hold in spite of it.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import reduce

from licenseusage.clock import Clock
from licenseusage.errors import Failure
from licenseusage.metering.facts import Facts, counted, merge, packed_facts
from licenseusage.reasons import Reason
from licenseusage.sources.deadline import Deadline
from licenseusage.sources.definition.guarantees import Order
from licenseusage.sources.definition.model import SECOND_MS, OnePage
from licenseusage.sources.failures import PollError
from licenseusage.sources.lists import doubts
from licenseusage.sources.lists.columns import ItemColumns
from licenseusage.sources.lists.completeness import incomplete
from licenseusage.sources.lists.creation import CreationSought
from licenseusage.sources.lists.decoder import PageDecoder
from licenseusage.sources.lists.fetch import Session
from licenseusage.sources.lists.memory import ListMemory
from licenseusage.sources.lists.notes import Watch, account_to_read, moved_with
from licenseusage.sources.lists.passes import Asked, Listing, ListReader
from licenseusage.sources.lists.tally import Tally
from licenseusage.sources.poll import Looked, PollRequest, PollResult, Target
from licenseusage.sources.replicas import Replicas
from licenseusage.sources.whereabouts import Whereabouts
from licenseusage.sources.wording import placed


class Collection:
    """One poll under way."""

    def __init__(
        self,
        request: PollRequest,
        clock: Clock,
        memory: ListMemory | None = None,
        *,
        alarm: bool = False,
        look: Callable[[], Looked] | None = None,
    ) -> None:
        """Prepare.

        Args:
            request: What to read.
            clock: Ours.
            memory: Of the lists that were read before.
            alarm: Interrupt by SIGALRM; only in the main thread of a worker process.
            look: Asks where the source is now; None: the request's targets stay.
        """
        self._memory = memory or ListMemory()
        self._request = request
        self._whereabouts = Whereabouts(request, look)
        self._replicas = Replicas(self._whereabouts)
        self._source = request.source
        self._clock = clock
        self._deadline = Deadline(request.limits.poll_seconds, alarm=alarm)
        columns = ItemColumns(self._source.users, account_to_read(self._source))
        self._decoder = PageDecoder.of(self._source.http, columns, thorough=request.closing)
        self._creation = CreationSought(self._source)
        if request.advise and self._source.users.created_at is None:
            self._decoder.look = self._creation.take
        self._reader = ListReader(request, self._decoder, self._memory)
        self._bytes = 0
        self._asked: Asked | None = None

    def perform(self) -> PollResult:
        """Read the listing (one a cycle where the request names the cycle) and make facts."""
        begun_ms = self._clock.now_ms()
        error: PollError | None = None
        try:
            self._reach()
        except PollError as failed:
            error = failed
        session = self._asked.session if self._asked else None
        started_ms = session.started_ms if session and session.started_ms is not None else begun_ms
        ended_ms = max(self._clock.now_ms(), started_ms)
        skew_ms = session.skew_ms if session else 0
        error = self._future(ended_ms, skew_ms) or error or self._unnamed()
        unproved = incomplete(self._source, self._listings) if error is None else None
        result = PollResult(
            started_ms=started_ms,
            ended_ms=ended_ms,
            clock_skew_ms=skew_ms,
            complete=error is None and unproved is None,
            incomplete=self._named(unproved) if unproved else None,
            pages=self._reader.pages,
            bytes=self._bytes,
            target=self._replicas.label,
            failure=self._named(error.failure) if error else None,
        )
        if self._asked is not None and self._listings:
            stand = error is None or error.facts_stand
            result = self._counts(self._asked, result, facts_stand=stand)
            if (newest := self._listings[-1]).ended:
                self._memory.keep(self._request, newest.tally.named())
        return replace(result, seconds=self._deadline.seconds)

    # -- reading --

    def _reach(self) -> None:
        """Read from the first pod that gives the whole list, never one list from two of them.

        Where none gives it, the rows of the longest reading are those that count.
        """
        readings: list[Asked] = []
        for target in self._replicas:
            try:
                with self._open(target) as session:
                    readings.append(self._begin(session))
                    self._read_all(readings[-1])
            except PollError as error:
                self._asked = max(readings, key=lambda reading: reading.rows, default=None)
                self._replicas.failed(error)
            else:
                return

    def _begin(self, session: Session) -> Asked:
        newest = next(
            request.cycle for request in reversed(self._request.cycles) if not request.coming
        )
        watch = Watch(self._source, self._whereabouts.credentials, newest)
        self._asked = Asked(session, watch)
        return self._asked

    def _read_all(self, asked: Asked) -> None:
        try:
            self._reader.read(asked)
        finally:
            self._bytes = asked.session.bytes

    def _open(self, target: Target) -> Session:
        return Session(
            target,
            self._source,
            self._whereabouts,
            self._request.limits,
            self._clock,
            self._deadline,
            bytes_before=self._bytes,
        )

    # -- judging --

    @property
    def _listings(self) -> list[Listing]:
        return self._asked.listings if self._asked else []

    def _future(self, ended_ms: int, skew_ms: int) -> PollError | None:
        """Refuse everything if one stamp lies in the future (MEASUREMENT §0)."""
        tallies = [tally for listing in self._listings for tally in listing.tallies]
        futures = [tally.future(ended_ms, skew_ms) for tally in tallies]
        rows, ahead_ms = max(
            (future for future in futures if future[0]),
            default=(0, 0),
            key=lambda future: future[1],
        )
        if not rows:
            return None
        users = self._source.users
        ahead = (
            f"{ahead_ms / SECOND_MS:.0f} s"
            if ahead_ms < 7_200_000
            else f"{ahead_ms / 3_600_000:.1f} h"
        )
        return PollError(
            Reason.STAMP_IN_FUTURE,
            f"{rows} of {tallies[-1].listed} users have a last activity in the future, up to "
            f"{ahead} ahead. If one stamp is wrong by its clock or time zone, all may be, so "
            f"nothing of this poll is used. Likely a wrong users.lastActive.naiveTimezone (now "
            f"{users.last_active.naive_timezone}), a wrong format, or a product clock that runs "
            f"ahead. To find them, sort the product's list by {users.last_active.path}; a value "
            "that means never, such as 9999-12-31T23:59:59Z, is named in users.lastActive.never, "
            "and accounts that are wrong for good are left out by users.exclude or "
            "users.excludeIds.",
            stalls=True,
            facts_stand=False,
        )

    def _unnamed(self) -> PollError | None:
        unnamed = sum(listing.tally.unnamed for listing in self._listings[-1:])
        if not unnamed:
            return None
        return PollError(
            Reason.ID_MISSING,
            f"{unnamed} of {self._listings[-1].tally.listed} users were active lately, but have no "
            f"id at users.id ({self._source.users.id}): they cannot be counted. Correct users.id, "
            "or leave them out by users.exclude.",
            stalls=True,
        )

    def _notes(self, *, complete: bool) -> tuple[str, ...]:
        """Return the hints about the last list read, complete or not."""
        newest = self._listings[-1]
        notes = [
            self._replicas.note(),
            doubts.coarse(self._source, newest.tally.plausible.steps),
        ]
        if complete:
            rows = newest.tally.listed
            notes.append(doubts.round_number(self._source, rows, newest.extent))
        notes.append(doubts.spelled_twice(newest.tally.spellings.twice()))
        notes.append(self._creation.note())
        return tuple(f"Source {self._source.name}: {note}" for note in notes if note)

    # -- results --

    def _counts(self, asked: Asked, result: PollResult, *, facts_stand: bool) -> PollResult:
        newest = self._listings[-1]
        tally = newest.tally
        facts: dict[int, Facts] = {}
        for listing in self._listings if facts_stand else ():
            facts |= self._facts(listing, result)
        index = next(
            request.cycle.index for request in reversed(newest.cycles) if not request.coming
        )
        hidden = result.incomplete is not None and result.incomplete.reason in doubts.HIDING
        whole = newest.ended and not hidden and not self._source.http.names("cycle")
        return replace(
            result,
            facts=facts,
            ids_stable=all(listing.tally.ids_stable for listing in self._listings),
            users_listed=tally.listed,
            counted=counted(facts[index]) if index in facts else 0,
            skipped={str(reason): count for reason, count in tally.skipped.items() if count},
            provisioned=tally.provisioned() if whole and result.failure is None else None,
            hint=result.incomplete.message if result.incomplete else None,
            notes=(
                *self._notes(complete=result.complete),
                *asked.watch.notes(complete=result.complete and whole),
            ),
            moved=self._moved(tally, result) if result.failure is None else (),
            ids=tuple(tally.ids) if facts_stand else (),
        )

    def _moved(self, tally: Tally, result: PollResult) -> tuple[bytes, ...]:
        """Return who was active while this poll ran, or the one before."""
        polls = [(result.started_ms, result.ended_ms)]
        if self._request.before is not None:
            polls.append(self._request.before)
        apart_ms = result.clock_skew_ms + self._source.properties.granularity_ms
        return moved_with(polls, *tally.lately(), apart_ms)

    def _facts(self, listing: Listing, result: PollResult) -> dict[int, Facts]:
        """Join the passes: rows of each are true, only the last may prove more.

        One cycle after the other, packed at once: of a large list as dictionaries they would not
        fit into a worker together.
        """
        made = [
            tally.facts(
                started_ms=result.started_ms,
                ended_ms=result.ended_ms,
                clock_skew_ms=result.clock_skew_ms,
                complete=result.complete and tally is listing.tally,
                one_page=self._one_page_only(tally),
            )
            for tally in listing.tallies
        ]
        indices = [request.cycle.index for request in listing.cycles]
        return {
            index: packed_facts(reduce(merge, passes))
            for index, passes in zip(indices, zip(*made, strict=True), strict=True)
        }

    def _one_page_only(self, tally: Tally) -> bool:
        paged = not isinstance(self._source.http.pagination, OnePage)
        return (
            paged
            and not tally.ids_stable
            and self._source.guarantees.order is not Order.IMMUTABLE_KEY
        )

    def _named(self, failure: Failure) -> Failure:
        """Put the source and the pod before a message."""
        pod = f", {label}" if (label := self._replicas.label) else ""
        message = placed(failure.message, self._source)
        return replace(failure, message=f"Source {self._source.name}{pod}: {message}")
