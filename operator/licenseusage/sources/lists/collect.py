"""One poll, from the first request to the facts. Runs in a worker process.

Nothing raises out of here for what a product does: each way to fail becomes a ``Failure`` in the
result, beside the facts that hold in spite of it.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import reduce

from licenseusage.clock import Clock
from licenseusage.errors import Failure
from licenseusage.metering.facts import Facts, counted, merge, packed_facts
from licenseusage.reasons import Reason
from licenseusage.sources.deadline import Deadline
from licenseusage.sources.definition.guarantees import Order
from licenseusage.sources.definition.model import SECOND_MS
from licenseusage.sources.definition.paging import OnePage
from licenseusage.sources.failures import PollError
from licenseusage.sources.http.etags import NotModifiedError
from licenseusage.sources.http.fetch import Session
from licenseusage.sources.http.signin.memory import TokenMemory
from licenseusage.sources.http.signin.ways import sign_in_of
from licenseusage.sources.http.wire import Wire, Wiring
from licenseusage.sources.lists import doubts
from licenseusage.sources.lists.agreement import disagreement
from licenseusage.sources.lists.columns import ItemColumns
from licenseusage.sources.lists.completeness import incomplete
from licenseusage.sources.lists.creation import CreationSought
from licenseusage.sources.lists.decoder import PageDecoder
from licenseusage.sources.lists.memory import ListMemory
from licenseusage.sources.lists.notes import Watch, account_to_read, moved_with
from licenseusage.sources.lists.passes import Asked, Listing, ListReader
from licenseusage.sources.lists.tally import Tally
from licenseusage.sources.lists.unchanged import Revisit
from licenseusage.sources.poll import Looked, PollRequest, PollResult, Target
from licenseusage.sources.replicas import Replicas
from licenseusage.sources.seen import Step
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
        tokens: TokenMemory | None = None,
        alarm: bool = False,
        look: Callable[[], Looked] | None = None,
        wire: Wiring = Wire,
    ) -> None:
        """Prepare.

        Args:
            request: What to read.
            clock: Ours.
            memory: Of the lists that were read before.
            tokens: Of the access tokens that still may be used.
            alarm: Interrupt by SIGALRM; only in the main thread of a worker process.
            look: Asks where the source is now; None: the request's targets stay.
            wire: Makes the connections to pods.
        """
        self._wire = wire
        self._memory = memory or ListMemory()
        self._request = request
        self._whereabouts = Whereabouts(request, look)
        self._replicas = Replicas(self._whereabouts)
        self._sign_in = sign_in_of(request, self._whereabouts, tokens or TokenMemory())
        self._source = request.source
        self._clock = clock
        self._deadline = Deadline(request.limits.poll_seconds, alarm=alarm)
        columns = ItemColumns(self._source.users, account_to_read(self._source))
        self._decoder = PageDecoder.of(self._source.http, columns, thorough=request.closing)
        self._creation = CreationSought(self._source) if self._source.users.timed else None
        if request.advise and self._creation and self._source.users.created_at is None:
            self._decoder.look = self._creation.take
        self._reader = ListReader(request, self._decoder, self._memory)
        self._revisit = Revisit(request, self._memory.answers, clock)
        self._bytes, self._steps = 0, list[Step]()
        self._asked: Asked | None = None
        self._whole: list[Asked] = []

    def perform(self) -> PollResult:
        """Read the listing (one a cycle where the request names the cycle) and make facts."""
        begun_ms = self._clock.now_ms()
        error: PollError | None = None
        try:
            (self._reach_every if self._source.every_pod else self._reach)()
        except PollError as failed:
            error = failed
        sessions = [asked.session for asked in self._counting]
        begun = [at_ms for session in sessions if (at_ms := session.started_ms) is not None]
        started_ms = min(begun, default=begun_ms)
        ended_ms = max(self._clock.now_ms(), started_ms)
        skew_ms = max((session.skew_ms for session in sessions), default=0)
        bare = PollResult(
            started_ms=started_ms,
            ended_ms=ended_ms,
            clock_skew_ms=skew_ms,
            bytes=self._bytes,
            target=self._replicas.label,
            steps=tuple(self._steps),
        )
        if error is None and self._revisit.kept is not None:
            return self._unchanged(bare)
        return replace(self._read(bare, error), seconds=self._deadline.seconds)

    def _unchanged(self, bare: PollResult) -> PollResult:
        """Return what the list gave when it was read, without what that proved of others."""
        again = self._revisit.again(bare)
        doubt = again.incomplete and self._named(again.incomplete)
        return replace(again, incomplete=doubt, seconds=self._deadline.seconds)

    def _read(self, bare: PollResult, error: PollError | None) -> PollResult:
        """Judge what was read; ``bare`` has the times and the place of the poll."""
        error = self._future(bare.ended_ms, bare.clock_skew_ms) or error or self._unnamed()
        unproved = self._doubt(bare.clock_skew_ms) if error is None else None
        result = replace(
            bare,
            complete=error is None and unproved is None,
            incomplete=self._named(unproved) if unproved else None,
            pages=self._reader.pages,
            failure=self._named(error.failure) if error else None,
        )
        if self._asked is not None and self._listings:
            stand = error is None or error.facts_stand
            result = self._counts(self._asked, result, facts_stand=stand)
            if (newest := self._listings[-1]).ended:
                self._memory.keep(self._request, newest.tally.named())
            notes = self._revisit.read(self._asked.session, result)
            result = replace(result, notes=(*result.notes, *map(self._of_source, notes)))
        return result

    # -- reading --

    def _reach(self) -> None:
        """Read from the first pod that gives the whole list, never one list from two of them.

        Where none gives it, the rows of the longest reading are those that count.
        """
        readings: list[Asked] = []
        for target in self._replicas:
            try:
                with self._open(target) as session:
                    readings.append(self._begin(session, target))
                    self._read_all(readings[-1])
            except PollError as error:
                self._asked = max(readings, key=lambda reading: reading.rows, default=None)
                self._replicas.failed(error)
            else:
                return

    def _reach_every(self) -> None:
        """Read the whole list of every pod; a pod that does not give it fails the poll."""
        for target in self._replicas.every():
            with self._open(target) as session:
                self._whole.append(self._begin(session, target))
                self._read_all(self._whole[-1])
        self._asked = self._whole[0]

    @property
    def _counting(self) -> list[Asked]:
        """The readings whose rows count."""
        return self._whole or ([self._asked] if self._asked else [])

    def _doubt(self, skew_ms: int) -> Failure | None:
        """Return why a poll without failure proves nothing about those it does not name."""
        each = (incomplete(self._source, asked.listings) for asked in self._counting)
        doubts_of_one = next((doubt for doubt in each if doubt is not None), None)
        return doubts_of_one or disagreement(self._source, self._counting, skew_ms)

    def _begin(self, session: Session, target: Target) -> Asked:
        newest = next(
            request.cycle for request in reversed(self._request.cycles) if not request.coming
        )
        watch = Watch(self._source, self._whereabouts.credentials, newest)
        self._asked = Asked(session, watch, target.label)
        return self._asked

    def _read_all(self, asked: Asked) -> None:
        session = asked.session
        try:
            try:
                self._reader.read(asked)
            except NotModifiedError as answer:
                if self._revisit.confirmed(answer.etag):
                    return
                session.unless = None
                self._reader.read(asked)
        finally:
            self._bytes = session.bytes

    def _open(self, target: Target) -> Session:
        return Session(
            target,
            self._source,
            self._whereabouts,
            self._request.limits,
            self._clock,
            self._deadline,
            sign_in=self._sign_in,
            bytes_before=self._bytes,
            unless=self._revisit.etag(target, self._whereabouts.credentials),
            wire=self._wire,
            steps=self._steps if self._request.advise else None,
        )

    # -- judging --

    @property
    def _listings(self) -> list[Listing]:
        return self._asked.listings if self._asked else []

    def _future(self, ended_ms: int, skew_ms: int) -> PollError | None:
        """Refuse everything if one stamp lies in the future (MEASUREMENT §0)."""
        listings = [listing for asked in self._counting for listing in asked.listings]
        tallies = [tally for listing in listings for tally in listing.tallies]
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
        newest = [listing for asked in self._counting for listing in asked.listings[-1:]]
        unnamed = max((listing.tally.unnamed for listing in newest), default=0)
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
            newest.note,
        ]
        if self._source.users.timed:
            notes.append(doubts.coarse(self._source, newest.tally.plausible.coarsest()))
        if complete:
            rows = newest.tally.listed
            notes.append(doubts.round_number(self._source, rows, newest.extent, newest.pages))
        notes.append(doubts.spelled_twice(newest.tally.spellings.twice()))
        notes.append(self._creation.note() if self._creation else None)
        if (explained := newest.tally.explained) is not None and self._source.users.timed:
            notes.append(explained.standing_still(self._clock.now_ms()))
        return tuple(self._of_source(note) for note in notes if note)

    def _of_source(self, note: str) -> str:
        return f"Source {self._source.name}: {note}"

    # -- results --

    def _counts(self, asked: Asked, result: PollResult, *, facts_stand: bool) -> PollResult:
        newest = self._listings[-1]
        tally = newest.tally
        explained = tally.explained
        facts: dict[int, Facts] = {}
        for position, listing in enumerate(self._listings if facts_stand else ()):
            facts |= self._facts(listing, self._of_others(position, listing), result)
        index = next(
            request.cycle.index for request in reversed(newest.cycles) if not request.coming
        )
        hidden = result.incomplete is not None and result.incomplete.reason in doubts.HIDING
        whole = newest.ended and not hidden and not self._source.http.names("cycle")
        return replace(
            result,
            facts=facts,
            ids_stable=all(
                listing.tally.ids_stable for asked in self._counting for listing in asked.listings
            ),
            users_listed=tally.listed,
            counted=counted(facts[index]) if index in facts else 0,
            skipped={str(reason): count for reason, count in tally.skipped.items() if count},
            provisioned=self._provisioned(tally) if whole and result.failure is None else None,
            hint=result.incomplete.message if result.incomplete else None,
            notes=(
                *self._notes(complete=result.complete),
                *asked.watch.notes(complete=result.complete and whole),
            ),
            moved=self._moved(tally, result) if result.failure is None else (),
            ids=tuple(tally.ids) if facts_stand else (),
            activities=explained.activities() if explained and self._source.users.timed else None,
            listed=explained.listed() if explained else None,
        )

    def _provisioned(self, tally: Tally) -> int | None:
        """Return how many users there are; a list without times names only the active ones."""
        return tally.provisioned() if self._source.users.timed else None

    def _moved(self, tally: Tally, result: PollResult) -> tuple[bytes, ...]:
        """Return who was active while this poll ran, or the one before."""
        polls = [(result.started_ms, result.ended_ms)]
        if self._request.before is not None:
            polls.append(self._request.before)
        apart_ms = result.clock_skew_ms + self._source.properties.granularity_ms
        return moved_with(polls, *tally.lately(), apart_ms)

    def _of_others(self, position: int, listing: Listing) -> list[Listing]:
        """Return the same list as other pods have shown it."""
        shown = [asked.listings[position : position + 1] for asked in self._counting]
        return [other for listings in shown for other in listings if other is not listing]

    def _facts(
        self, listing: Listing, others: Sequence[Listing], result: PollResult
    ) -> dict[int, Facts]:
        """Join the passes, of all pods: rows of each are true, only the last may prove more.

        One cycle after the other, packed at once: of a large list as dictionaries they would not
        fit into a worker together.
        """
        last = [each.tally for each in (listing, *others)]
        agreed = result.incomplete is None or result.incomplete.reason != Reason.LISTS_DISAGREE
        # Pods that agree name the same users; where they do not, one rules out whom another names.
        own = len(listing.tallies) if agreed else 0
        made = [
            tally.facts(
                started_ms=result.started_ms,
                ended_ms=result.ended_ms,
                clock_skew_ms=result.clock_skew_ms,
                complete=result.complete and any(tally is newest for newest in last),
                one_page=self._one_page_only(tally),
            )
            for each in (listing, *others)
            for tally in each.tallies
        ]
        indices = [request.cycle.index for request in listing.cycles]
        return {
            index: packed_facts(reduce(merge, (*passes[:own], *map(_without_roster, passes[own:]))))
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


def _without_roster(facts: Facts) -> Facts:
    return replace(facts, roster=None)
