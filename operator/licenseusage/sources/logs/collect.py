"""One poll of an event log, from the first question to the facts. Runs in a worker process.

As ``collect`` for listings: nothing raises out of here for what a server does. A poll goes on where
the last one stopped, for each cycle by itself, and stops at its bounds; what it read is true either
way, and what it proves ends where it stopped.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass, replace
from typing import Any

from licenseusage.clock import Clock
from licenseusage.errors import Failure
from licenseusage.metering.cycles import Cycle
from licenseusage.metering.events import Hole, LogReading, shown_until_ms
from licenseusage.metering.facts import Facts, counted
from licenseusage.metering.pseudonym import Pseudonymiser
from licenseusage.reasons import Reason
from licenseusage.sources.deadline import Deadline
from licenseusage.sources.definition.model import SECOND_MS, EffectiveSource
from licenseusage.sources.failures import PollError
from licenseusage.sources.logs.hints import hint
from licenseusage.sources.logs.kinds import opened
from licenseusage.sources.logs.messages import Message
from licenseusage.sources.logs.session import Asked, Opening, Session
from licenseusage.sources.logs.tally import EventTally
from licenseusage.sources.logs.trail import LateError, RestartError, Trail, open_holes
from licenseusage.sources.logs.trust import unusable
from licenseusage.sources.poll import CycleRequest, Looked, PollRequest, PollResult, Target
from licenseusage.sources.replicas import Replicas
from licenseusage.sources.whereabouts import Whereabouts
from licenseusage.sources.wording import placed

_WITNESS_SECONDS = 5.0
"""How long another pod may take to say which log it keeps."""

_STOP_AFTER = 0.8
"""Part of the poll's seconds after which no further batch is asked for."""


@dataclass(slots=True)
class _Pass:
    """One reading of the stream, for the cycles whose last readings stopped at the same place."""

    requests: tuple[CycleRequest, ...]
    trails: list[Trail]
    moved: bool = False  # a message was read that the last reading had not
    ended: bool = False


class LogCollection:
    """One poll of an event log under way."""

    def __init__(
        self,
        request: PollRequest,
        clock: Clock,
        look: Callable[[], Looked] | None = None,
        *,
        opening: Opening = opened,
    ) -> None:
        """Prepare; nothing is sent yet. ``look`` as of ``Collection``; ``opening`` connects."""
        self._request, self._clock, self._opening = request, clock, opening
        self._whereabouts = Whereabouts(request, look)
        self._replicas = Replicas(self._whereabouts)
        self._source: EffectiveSource = request.source
        self._deadline = Deadline(request.limits.poll_seconds)
        self._begun_ms = clock.now_ms()
        self._asked: Asked[Any] | None = None
        self._tally: EventTally | None = None
        self._passes: list[_Pass] = []
        self._session: Session | None = None
        self._full = False  # a bound was reached
        self._copies: set[Target] = set()  # pods that keep no log but another one's
        self._one_log: bool | None = None

    def perform(self) -> PollResult:
        """Read on, and make facts."""
        error: PollError | None = None
        try:
            asyncio.run(self._bounded())
        except PollError as failed:
            error = failed
        except TimeoutError:
            error = PollError(
                Reason.POLL_TIMEOUT,
                f"the stream was not read within {self._request.limits.poll_seconds:g} s. What was "
                "read counts, and the next poll goes on from there; see how busy the server is.",
            )
        asked, session = self._asked, self._session
        started_ms = asked.at_ms if asked else self._begun_ms
        result = PollResult(
            started_ms=started_ms,
            ended_ms=max(self._clock.now_ms(), started_ms),
            clock_skew_ms=asked.skew_ms if asked else 0,
            ids_stable=True,
            pages=session.batches if session else 0,
            bytes=session.bytes if session else 0,
            target=self._replicas.label,
            one_log=self._one_log,
        )
        tally = self._tally
        if tally is not None:
            error = unusable(self._source, tally, first_reading=self._first_reading) or error
            result = self._with_facts(result, tally, error)
        if error is not None:
            result = replace(result, failure=self._named(error.failure))
        elif note := self._replicas.note():
            result = replace(result, notes=(f"Source {self._source.name}: {note}", *result.notes))
        return replace(result, seconds=self._deadline.seconds)

    # -- reading --

    async def _bounded(self) -> None:
        async with asyncio.timeout(self._request.limits.poll_seconds):
            await self._reach()

    async def _reach(self) -> None:
        """Read from the first pod that lets the log be read.

        Positions are the stream's, not a pod's. What one has shown of it is kept, and the next poll
        goes on from there; only where that is nothing the next pod is asked.
        """
        for target in self._replicas:
            self._asked, self._tally, self._passes = None, None, []
            try:
                async with self._opened(target) as session:
                    self._session = session
                    await self._read(session, target)
            except PollError as error:
                self._note_copy(target, error)
                moved = any(pass_.moved for pass_ in self._passes)
                self._replicas.failed(error, stop=moved)
            else:
                return

    def _opened(self, target: Target) -> AbstractAsyncContextManager[Session]:
        return self._opening(self._request, target, self._whereabouts, self._clock)

    async def _read(self, session: Session, target: Target) -> None:
        asked = self._asked = await session.state()
        await self._refuse_another_log(asked, target)
        self._tally = EventTally(
            self._source,
            {request.cycle: request.part for request in self._request.cycles},
            self._pseudonymiser,
            skew_ms=asked.skew_ms,
            show_ids=self._request.show_ids,
            explain=self._request.advise,
            number=asked.word,
        )
        for requests in _together(self._request.cycles):
            if self._full:
                return
            try:
                await self._follow(session, self._pass(session, requests, asked))
            except RestartError:
                self._passes.pop()
                await self._follow(session, self._pass(session, requests, asked, replaced=True))

    async def _refuse_another_log(self, asked: Asked[Any], target: Target) -> None:
        """Ask the pods that were not asked yet whether theirs is the same log.

        Pods that each keep a log of their own hold other events each: what one of them proves is
        not proved of the product. A pod that does not answer is no witness: neither of a second log
        nor, once one was seen, of a single one.

        Raises:
            PollError: ``SeveralLogs``.
        """
        same = {target}
        for witness in self._whereabouts.left:
            try:
                async with (
                    asyncio.timeout(_WITNESS_SECONDS),
                    self._opened(witness) as session,
                ):
                    other = await session.state()
            except PollError as error:
                self._note_copy(witness, error)
                continue
            except TimeoutError:
                continue
            same.add(witness)
            if other.identity != asked.identity:
                self._one_log = False
                raise PollError(
                    Reason.SEVERAL_LOGS,
                    f"{self._replicas.label} and {witness.label} each keep a log {asked.name} of "
                    "their own, so that neither holds all events. Make a source for each pod, by a "
                    "label that only it has (such as apps.kubernetes.io/pod-index), with combine "
                    "Union; or let the servers form one cluster.",
                    stalls=True,
                    facts_stand=False,
                )
        self._one_log = self._whereabouts.nobody_but(same | self._copies) or None

    def _note_copy(self, target: Target, error: PollError) -> None:
        if error.failure.reason == Reason.NOT_PRIMARY:
            self._copies.add(target)

    def _pass(
        self,
        session: Session,
        requests: tuple[CycleRequest, ...],
        asked: Asked[Any],
        *,
        replaced: bool = False,
    ) -> _Pass:
        trails = [session.trail(asked, request, replaced=replaced) for request in requests]
        self._passes.append(_Pass(requests, trails))
        return self._passes[-1]

    async def _follow(self, session: Session, pass_: _Pass) -> None:
        """Read from where the trails begin to the log's end, or to a bound of the poll."""
        first = pass_.trails[0]
        if first.idle:
            pass_.ended = True
            return
        async with aclosing(session.read(first)) as batches:
            async for batch in batches:
                for trail in pass_.trails:
                    trail.look(batch)
                for message in batch.messages:
                    self._take(pass_, message)
                if self._stop(session, pass_):
                    break
        pass_.ended = session.ended

    def _late(self, message: Message) -> PollError:
        return PollError(
            Reason.STREAM_NOT_IN_TIME,
            f"the message {message.place} was stored before the last reading, as its place says, "
            "but was not there then. Let the server number messages by its clock (XADD … *), also "
            "where the stream is a copy of another one.",
            stalls=True,
            facts_stand=False,
        )

    def _take(self, pass_: _Pass, message: Message) -> None:
        assert self._tally is not None  # noqa: S101
        try:
            new = [trail for trail in pass_.trails if trail.took(message)]
        except LateError:
            raise self._late(message) from None
        pass_.moved = pass_.moved or bool(new)
        if not new:
            self._tally.glance(message.stored_ms, message.data)
            return
        place, stored_ms, cycles = message.place, message.stored_ms, [each.cycle for each in new]
        if not self._tally.add(place, stored_ms, message.data, cycles, self._clock.now_ms()):
            for trail in new:
                trail.unreadable(message)

    def _stop(self, session: Session, pass_: _Pass) -> bool:
        """Whether to stop here: everything was read, or a bound of the poll is reached.

        The message at which the last reading stopped is read again; however large it is, one more
        is read then, or no poll would ever come further.
        """
        limits = self._request.limits
        large = session.bytes >= limits.poll_bytes or session.batches >= limits.poll_pages
        late = self._deadline.seconds >= _STOP_AFTER * limits.poll_seconds
        self._full = late or (large and pass_.moved)
        return pass_.trails[0].reached or self._full

    def _pseudonymiser(self, cycle: Cycle) -> Pseudonymiser:
        request = self._request
        return Pseudonymiser(request.pseudonym_key, request.product, cycle.start_ms // SECOND_MS)

    # -- judging --

    @property
    def _first_reading(self) -> bool:
        return all(request.position is None for request in self._request.cycles)

    # -- results --

    def _with_facts(
        self, result: PollResult, tally: EventTally, error: PollError | None
    ) -> PollResult:
        facts_stand = error is None or error.facts_stand
        facts: dict[int, Facts] = {}
        readings: dict[int, LogReading] = {}
        known: dict[int, tuple[Hole, ...]] = {}
        for pass_ in self._passes if facts_stand else ():
            for request, trail in zip(pass_.requests, pass_.trails, strict=True):
                reading = trail.reading(ahead_ms=tally.ahead_ms, ended=pass_.ended)
                if reading is None:
                    continue
                index = request.cycle.index
                readings[index] = reading
                facts[index] = tally.facts(request.cycle)
                if error is None and not reading.behind:
                    shown_ms = shown_until_ms(
                        self._source.properties, trail.asked_ms - trail.skew_ms
                    )
                    facts[index].ended = request.part.ended_by(shown_ms)
                known[index] = _lost(request, reading)
        newest = self._request.cycles[-1].cycle.index
        whole = error is None and len(readings) == len(self._request.cycles)
        behind = not whole or any(reading.behind for reading in readings.values())
        return replace(
            result,
            complete=whole and not behind,
            incomplete=self._behind() if error is None and behind else None,
            facts=facts,
            readings=readings,
            users_listed=tally.listed,
            counted=counted(facts[newest]) if newest in facts else 0,
            skipped={str(reason): count for reason, count in tally.skipped.items() if count},
            hint=hint(
                tally,
                known.get(newest, ()),
                self._asked,
                behind=self._behind() if error is None and behind else None,
            ),
            ids=tally.ids if facts_stand else (),
            activities=tally.explained.activities() if tally.explained else None,
        )

    def _behind(self) -> Failure:
        name = self._asked.name if self._asked is not None else ""
        return Failure(
            Reason.READING_BEHIND,
            f"the stream {name} holds more than one poll may read; the next poll begins at "
            "once and goes on from there. To read more at a time raise POLL_BYTES, POLL_PAGES "
            "or POLL_SECONDS of the operator.",
        )

    def _named(self, failure: Failure) -> Failure:
        """Put the source and the pod before a message."""
        pod = f", {label}" if (label := self._replicas.label) else ""
        message = placed(failure.message, self._source)
        return replace(failure, message=f"Source {self._source.name}{pod}: {message}")


def _together(cycles: Sequence[CycleRequest]) -> Iterator[tuple[CycleRequest, ...]]:
    """Cycles that go on from the same place are read together; a new one begins by itself."""
    groups: dict[object, list[CycleRequest]] = {}
    for request in cycles:
        key: object = request.position if request.position is not None else request.cycle
        groups.setdefault(key, []).append(request)
    return (tuple(group) for group in groups.values())


def _lost(request: CycleRequest, reading: LogReading) -> tuple[Hole, ...]:
    """The losses of a log for a cycle, with those found before."""
    holes, ranges = reading.holes, reading.ranges
    if request.log is not None:
        holes, ranges = (*request.log.holes, *holes), (*request.log.ranges, *ranges)
    return open_holes(holes, ranges)
