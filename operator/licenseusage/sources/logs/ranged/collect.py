"""One poll of an event log over HTTP, from the first request to the facts. Runs in a worker.

As ``collect`` for lists and for logs of brokers: nothing raises out of here for what a product
does. What was read is true either way; what it proves ends where it stopped, and the next poll goes
on from there.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from licenseusage.clock import Clock
from licenseusage.errors import Failure
from licenseusage.metering.cycles import Cycle
from licenseusage.metering.events import Hole, LogReading, Range, shown_until_ms
from licenseusage.metering.facts import Facts, counted
from licenseusage.metering.pseudonym import Pseudonymiser
from licenseusage.reasons import Reason
from licenseusage.sources.deadline import Deadline
from licenseusage.sources.definition.logs import HttpLog
from licenseusage.sources.definition.model import SECOND_MS, EffectiveSource
from licenseusage.sources.failures import PollError
from licenseusage.sources.http.fetch import Session
from licenseusage.sources.http.signin.memory import TokenMemory
from licenseusage.sources.http.signin.ways import sign_in_of
from licenseusage.sources.http.wire import Wire, Wiring
from licenseusage.sources.logs.hints import hint
from licenseusage.sources.logs.ranged.gaps import Gaps, Seen
from licenseusage.sources.logs.ranged.pages import EventReader
from licenseusage.sources.logs.ranged.reader import Reader
from licenseusage.sources.logs.ranged.settings import Told, switched_off
from licenseusage.sources.logs.tally import EventTally
from licenseusage.sources.logs.trail import open_holes
from licenseusage.sources.logs.trust import unusable
from licenseusage.sources.poll import CycleRequest, Looked, PollRequest, PollResult, Target
from licenseusage.sources.replicas import Replicas
from licenseusage.sources.seen import Step
from licenseusage.sources.whereabouts import Whereabouts
from licenseusage.sources.wording import placed

_UNSURE_MS = 300_000
"""How far our clock and the product's may be apart (the largest k), for what may have expired."""


@dataclass(slots=True)
class _Pass:
    """One reading of the log, for the cycles of which the same is unread."""

    requests: tuple[CycleRequest, ...]
    gaps: list[Gaps]
    seen: Seen = field(default_factory=Seen)
    ended: bool = False


@dataclass(frozen=True, slots=True)
class _Log:
    """The log, as messages call it."""

    name: str
    limits: tuple[str, ...] = ()


class RangedCollection:
    """One poll of an event log under way."""

    def __init__(
        self,
        request: PollRequest,
        log: HttpLog,
        clock: Clock,
        *,
        tokens: TokenMemory | None = None,
        alarm: bool = False,
        look: Callable[[], Looked] | None = None,
        wire: Wiring = Wire,
    ) -> None:
        """Prepare; nothing is sent yet. The arguments are those of ``Collection``."""
        self._request, self._log, self._clock, self._wire = request, log, clock, wire
        self._source: EffectiveSource = request.source
        self._whereabouts = Whereabouts(request, look)
        self._replicas = Replicas(self._whereabouts)
        self._sign_in = sign_in_of(request, self._whereabouts, tokens or TokenMemory())
        self._deadline = Deadline(request.limits.poll_seconds, alarm=alarm)
        self._begun_ms = clock.now_ms()
        self._asked_ms = self._begun_ms
        self._session: Session | None = None
        self._tally: EventTally | None = None
        self._reader: Reader | None = None
        self._says: Told | None = None
        self._passes: list[_Pass] = []
        self._off = False
        self._bytes, self._steps = 0, list[Step]()

    def perform(self) -> PollResult:
        """Read on, and make facts."""
        error: PollError | None = None
        try:
            self._reach()
        except PollError as failed:
            error = failed
        session = self._session
        started_ms = session.started_ms if session and session.started_ms else self._begun_ms
        result = PollResult(
            started_ms=started_ms,
            ended_ms=max(self._clock.now_ms(), started_ms),
            clock_skew_ms=self._skew_ms,
            ids_stable=True,
            pages=self._reader.pages if self._reader else 0,
            bytes=self._bytes,
            target=self._replicas.label,
        )
        if self._tally is not None:
            first = all(request.position is None for request in self._request.cycles)
            error = unusable(self._source, self._tally, first_reading=first) or error
            result = self._with_facts(result, self._tally, error)
        if error is not None:
            result = replace(result, failure=self._named(error.failure))
        elif note := self._replicas.note():
            result = replace(result, notes=(f"Source {self._source.name}: {note}", *result.notes))
        return replace(result, seconds=self._deadline.seconds, steps=tuple(self._steps))

    # -- reading --

    def _reach(self) -> None:
        """Read from the first pod that lets the log be read; its events are those of every pod."""
        for target in self._replicas:
            self._passes, self._off = [], False
            try:
                with self._open(target) as session:
                    self._session = session
                    try:
                        self._read(session)
                    finally:
                        self._bytes = session.bytes
            except PollError as error:
                begun = self._reader is not None and self._reader.pages > 0
                self._replicas.failed(error, stop=begun or self._off)
            else:
                return

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
            wire=self._wire,
            steps=self._steps if self._request.advise else None,
        )

    def _read(self, session: Session) -> None:
        self._asked_ms = self._clock.now_ms()
        tally = self._tally = EventTally(
            self._source,
            {request.cycle: request.part for request in self._request.cycles},
            self._pseudonymiser,
            skew_ms=SECOND_MS,
            show_ids=self._request.show_ids,
            explain=self._request.advise,
            reader=EventReader(),
            number="event",
        )
        reader = self._reader = Reader(self._request, self._log, session, self._clock, tally)
        self._says = reader.settings()
        for requests, gaps in self._together():
            pass_ = _Pass(requests, gaps)
            self._passes.append(pass_)
            if self._says.recording is False:
                pass_.ended = self._off = True
            elif gaps[0].idle or not gaps[0].begun:
                pass_.ended = True
            else:
                self._follow(reader, pass_)
        if self._off and self._log.settings is not None:
            raise switched_off(self._log.settings, self._source.when_off)

    def _follow(self, reader: Reader, pass_: _Pass) -> None:
        try:
            reader.follow(pass_.gaps[0])
            pass_.ended = True
        finally:
            pass_.seen = reader.seen

    def _together(self) -> list[tuple[tuple[CycleRequest, ...], list[Gaps]]]:
        """Return the cycles of which the same is unread, to be read together."""
        groups: dict[object, list[tuple[CycleRequest, Gaps]]] = {}
        for request in self._request.cycles:
            gaps = self._gaps(request)
            key = (gaps.stretches, gaps.todo, gaps.mark, gaps.opening)
            groups.setdefault(key, []).append((request, gaps))
        return [
            (tuple(request for request, _ in group), [gaps for _, gaps in group])
            for group in groups.values()
        ]

    def _gaps(self, request: CycleRequest) -> Gaps:
        says, log, properties = self._says or Told(), self._log, self._source.properties
        retention_ms = log.retention_ms if says.retention_ms is None else says.retention_ms
        expired_ms = None
        if retention_ms is not None:
            # An event may expire while the pages are read.
            longest_ms = int(self._request.limits.poll_seconds * SECOND_MS) + _UNSURE_MS
            expired_ms = self._asked_ms + longest_ms - retention_ms
        return Gaps(
            name=self._name,
            cycle=request.cycle,
            properties=properties,
            log=request.log,
            asked_ms=self._asked_ms,
            until_ms=shown_until_ms(properties, self._asked_ms - SECOND_MS),
            expired_ms=expired_ms,
            says_so=says.recording is True,
            aimed=self._reader is not None and self._reader.can_aim,
        )

    @property
    def _name(self) -> str:
        """What the log is called: another request is another log, with other events."""
        return f"{self._source.http.path} {self._source.listed_by}"

    @property
    def _skew_ms(self) -> int:
        return self._session.skew_ms if self._session else 0

    def _pseudonymiser(self, cycle: Cycle) -> Pseudonymiser:
        request = self._request
        return Pseudonymiser(request.pseudonym_key, request.product, cycle.start_ms // SECOND_MS)

    # -- results --

    def _with_facts(
        self, result: PollResult, tally: EventTally, error: PollError | None
    ) -> PollResult:
        facts_stand = error is None or error.facts_stand
        facts: dict[int, Facts] = {}
        readings: dict[int, LogReading] = {}
        known: dict[int, tuple[Hole, ...]] = {}
        done = True
        for pass_ in self._passes if facts_stand else ():
            for request, gaps in zip(pass_.requests, pass_.gaps, strict=True):
                index, reading = request.cycle.index, self._reading(pass_, gaps)
                facts[index] = tally.facts(request.cycle)
                if reading is None:
                    done = done and not gaps.begun
                    continue
                readings[index] = reading
                if error is None and not reading.behind:
                    until_ms = shown_until_ms(gaps.properties, gaps.asked_ms - self._skew_ms)
                    facts[index].ended = request.part.ended_by(until_ms)
                known[index] = _lost(request, reading)
        newest = self._request.cycles[-1].cycle.index
        behind = any(reading.behind for reading in readings.values())
        complete = error is None and done and not behind
        unread = self._unread(behind=behind) if error is None and not complete else None
        return replace(
            result,
            complete=complete,
            incomplete=unread,
            facts=facts,
            readings=readings,
            users_listed=tally.listed,
            counted=counted(facts[newest]) if newest in facts else 0,
            skipped={str(reason): count for reason, count in tally.skipped.items() if count},
            hint=hint(tally, known.get(newest, ()), self._described, behind=unread),
            ids=tally.ids if facts_stand else (),
            activities=tally.explained.activities() if tally.explained else None,
        )

    def _reading(self, pass_: _Pass, gaps: Gaps) -> LogReading | None:
        position = gaps.log.position if gaps.log is not None else None
        if self._off:
            return gaps.off(pass_.seen, self._skew_ms)
        if gaps.idle or not gaps.begun:
            return LogReading(position, position) if position is not None else None
        return gaps.reading(pass_.seen, self._skew_ms)

    def _unread(self, *, behind: bool) -> Failure:
        path = self._source.http.path
        if not behind and self._reader is not None and self._reader.empty:
            return Failure(
                Reason.LOG_EMPTY,
                f"the log at {path} holds no event, so it may be switched off: it proves nothing "
                "until its first event is there.",
            )
        return Failure(
            Reason.READING_BEHIND,
            f"the log at {path} holds more than one poll may read; the next poll begins at once "
            "and goes on from there. To read more at a time raise http.pagination.size, or "
            "POLL_BYTES, POLL_PAGES or POLL_SECONDS of the operator.",
        )

    @property
    def _described(self) -> _Log:
        says_ms = self._says.retention_ms if self._says else None
        kept_ms = self._log.retention_ms if says_ms is None else says_ms
        limits = () if kept_ms is None else (f"it keeps them for {kept_ms / 3_600_000:g} h",)
        return _Log(self._source.http.path, limits)

    def _named(self, failure: Failure) -> Failure:
        """Put the source and the pod before a message."""
        pod = f", {label}" if (label := self._replicas.label) else ""
        message = placed(failure.message, self._source)
        return replace(failure, message=f"Source {self._source.name}{pod}: {message}")


def _lost(request: CycleRequest, reading: LogReading) -> tuple[Hole, ...]:
    """The losses of a log for a cycle, with those found before."""
    holes: Sequence[Hole] = reading.holes
    ranges: Sequence[Range] = reading.ranges
    if request.log is not None:
        holes, ranges = (*request.log.holes, *holes), (*request.log.ranges, *ranges)
    return open_holes(tuple(holes), tuple(ranges))
