"""A broker's event log that is recorded while it is read, and that is read again from that."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from licenseusage.clock import Clock
from licenseusage.sources.definition.model import EffectiveSource
from licenseusage.sources.logs import numbered
from licenseusage.sources.logs.messages import Batch
from licenseusage.sources.logs.redis import trail as redis_trail
from licenseusage.sources.logs.session import Asked, Opening, Session
from licenseusage.sources.logs.trail import Trail
from licenseusage.sources.poll import CycleRequest, PollRequest, Target
from licenseusage.sources.whereabouts import Whereabouts


@dataclass(frozen=True, slots=True)
class RecordedBatch:
    """Messages as they came.

    Attributes:
        batch: They.
        at_ms: When they were there, our clock.
        number: How many batches had been received by then.
        ended: The server had no more to send.
    """

    batch: Batch
    at_ms: int
    number: int
    ended: bool


@dataclass(frozen=True, slots=True)
class RecordedLog:
    """What a server told of its log, and its messages as far as they were read.

    Attributes:
        asked: The log as it was described.
        batches: In their order.
        preceding: Where a numbered log was read from, to see whether the message before the first
            was there; None: from the start that was chosen.
        number: How many batches were received in the end.
        ended: The server had no more to send, in the end.
    """

    asked: Asked[Any]
    batches: tuple[RecordedBatch, ...] = ()
    preceding: int | None = None
    number: int = 0
    ended: bool = False


class LogRecorder:
    """Opens logs, and keeps what the first one that tells its state has told."""

    def __init__(self, opening: Opening) -> None:
        """Begin with nothing; ``opening`` connects."""
        self._opening = opening
        self._sessions: list[_RecordingSession] = []

    @asynccontextmanager
    async def opened(
        self, request: PollRequest, target: Target, whereabouts: Whereabouts, clock: Clock
    ) -> AsyncIterator[Session]:
        """As of ``logs.kinds.opened``."""
        async with self._opening(request, target, whereabouts, clock) as session:
            self._sessions.append(_RecordingSession(session, clock))
            yield self._sessions[-1]

    @property
    def recorded(self) -> RecordedLog | None:
        """What was read; None: no server has told the state of its log."""
        return next((log for each in self._sessions if (log := each.recorded) is not None), None)


class _RecordingSession:
    """Reads a log by another session; a ``Session``."""

    def __init__(self, session: Session, clock: Clock) -> None:
        self._session, self._clock = session, clock
        self._asked: Asked[Any] | None = None
        self._batches: list[RecordedBatch] = []
        self._trail: Trail | None = None

    @property
    def bytes(self) -> int:
        return self._session.bytes

    @property
    def batches(self) -> int:
        return self._session.batches

    @property
    def ended(self) -> bool:
        return self._session.ended

    async def state(self) -> Asked[Any]:
        self._asked = await self._session.state()
        return self._asked

    def trail(self, asked: Asked[Any], request: CycleRequest, *, replaced: bool = False) -> Trail:
        return self._session.trail(asked, request, replaced=replaced)

    async def read(self, trail: Any) -> AsyncGenerator[Batch, None]:  # noqa: ANN401
        self._trail = trail
        async with aclosing(self._session.read(trail)) as batches:
            async for batch in batches:
                self._batches.append(
                    RecordedBatch(batch, self._clock.now_ms(), self.batches, self.ended)
                )
                yield batch

    @property
    def recorded(self) -> RecordedLog | None:
        """What was read so far."""
        if self._asked is None:
            return None
        trail = self._trail
        preceding = trail.preceding if isinstance(trail, numbered.NumberedTrail) else None
        return RecordedLog(self._asked, tuple(self._batches), preceding, self.batches, self.ended)


class LogReplayer:
    """Opens a recorded log, whatever is asked; a `Clock`, too: the time is that of its reading."""

    def __init__(self, log: RecordedLog) -> None:
        """Begin at its beginning."""
        self._log, self._now_ms = log, log.asked.at_ms

    def now_ms(self) -> int:
        """Milliseconds since 1970-01-01T00:00:00Z."""
        return self._now_ms

    @asynccontextmanager
    async def opened(
        self, request: PollRequest, _target: Target, _whereabouts: Whereabouts, _clock: Clock
    ) -> AsyncIterator[Session]:
        """As of ``logs.kinds.opened``; connects to nobody."""
        yield _ReplayingSession(self._log, request.source, self)

    def pass_to(self, at_ms: int) -> None:
        """Let it be later."""
        self._now_ms = at_ms


class _ReplayingSession:
    """Reads a recorded log; a ``Session``."""

    def __init__(self, log: RecordedLog, source: EffectiveSource, replayer: LogReplayer) -> None:
        self._log, self._source, self._replayer = log, source, replayer
        self.bytes = self.batches = 0
        self.ended = False

    async def state(self) -> Asked[Any]:
        return self._log.asked

    def trail(self, asked: Asked[Any], request: CycleRequest, *, replaced: bool = False) -> Trail:
        if self._source.redis is not None:
            return redis_trail.trail_of(self._source, asked, request, replaced=replaced)
        return numbered.trail_of(self._source, asked, request, replaced=replaced)

    async def read(self, trail: Any) -> AsyncGenerator[Batch, None]:  # noqa: ANN401
        log = self._log
        if log.preceding is not None:
            trail.predecessor(log.preceding + 1)
        for recorded in log.batches:
            self._replayer.pass_to(recorded.at_ms)
            self.batches, self.ended = recorded.number, recorded.ended
            self.bytes += sum(len(message.data) for message in recorded.batch.messages)
            yield recorded.batch
        self.batches, self.ended = log.number, log.ended
