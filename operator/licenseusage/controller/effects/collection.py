"""The collection step: find pods and credentials, poll in a worker, make the facts durable.

A reconcile only decides that a poll is due and starts it here; the poll runs beside it, and its end
puts the key back into the queue. So a slow product delays nothing but itself.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace

import structlog

from licenseusage.clock import SystemClock
from licenseusage.controller.effects.books import Books
from licenseusage.controller.effects.defects import problem_of
from licenseusage.controller.effects.identity import Keys, PseudonymKey
from licenseusage.controller.effects.metrics import Metrics
from licenseusage.controller.effects.reaching import Finder
from licenseusage.controller.effects.recording import Recorder
from licenseusage.controller.effects.turns import Turns
from licenseusage.controller.rules.key import Key
from licenseusage.controller.rules.polls import Job, PollMemory, believed
from licenseusage.controller.rules.resources import Dependency
from licenseusage.controller.rules.trace import trace_of
from licenseusage.controller.settings import Settings
from licenseusage.errors import Failure, UsageError
from licenseusage.ledger.ledger import Ledger
from licenseusage.metering.cycles import CYCLE_BIT, Cycle
from licenseusage.metering.definitions import segment_ms
from licenseusage.metering.stores import StoreState, definitions_of
from licenseusage.sources.definition.model import EffectiveSource
from licenseusage.sources.poll import (
    CycleRequest,
    Looked,
    PollLimits,
    PollRequest,
    PollResult,
)
from licenseusage.sources.workers.workers import Workers

# Products are rolled out within minutes; after that what would mend it is looked at instead.
# The last is below the longest wait of an object, whose look makes the probe.
_PROBE_SECONDS = (10.0, 20.0, 30.0, 60.0, 120.0, 240.0, 590.0)
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Ready:
    """What a poll is made with, as of the moment when a worker was free for it."""

    request: PollRequest
    pseudonym: PseudonymKey
    digest: str


class Collector:
    """Runs polls, at most one per source at a time."""

    def __init__(
        self,
        finder: Finder,
        keys: Keys,
        books: Books,
        workers: Workers,
        metrics: Metrics,
        settings: Settings,
        clock: SystemClock,
        *,
        nudge: Callable[[Key], None],
    ) -> None:
        """Take the world; ``nudge`` puts an object's key into the queue."""
        self._finder, self._keys, self._books = finder, keys, books
        self._workers, self._metrics, self._clock = workers, metrics, clock
        self._nudge = nudge
        self._recorder = Recorder(books, metrics, clock)
        self._limits = PollLimits(
            request_seconds=settings.poll_request_seconds,
            poll_seconds=settings.poll_seconds,
            poll_bytes=settings.poll_bytes,
            poll_pages=settings.poll_pages,
            poll_users=settings.poll_users,
            worker_bytes=settings.worker_bytes,
        )
        self._turns = Turns(settings.poll_workers)
        self._running: dict[tuple[Key, str], asyncio.Task[None]] = {}
        self._waiting: dict[tuple[Key, str], Job] = {}
        self._memory: dict[tuple[Key, str], PollMemory] = {}

    def memory(self, key: Key, source: str) -> PollMemory:
        """Return what is remembered of a source."""
        return self._memory.setdefault((key, source), PollMemory())

    def running(self, key: Key, source: str) -> bool:
        """Whether a poll of this source is under way, or waits for its turn."""
        return (key, source) in self._running

    def waits(self, key: Key, source: str) -> bool:
        """Whether a poll of this source waits for a worker."""
        return (key, source) in self._waiting

    def waiting_for(self, key: Key, source: str) -> str | None:
        """Return what the definition was of a poll that waits for its turn; None: none waits."""
        job = self._waiting.get((key, source))
        return None if job is None else job.fingerprint

    def forget(self, key: Key, sources: set[str]) -> None:
        """Forget sources of an object that are no longer declared."""
        gone = [name for name in self._memory if name[0] == key and name[1] not in sources]
        for name in gone:
            del self._memory[name]

    def depends(self, key: Key) -> frozenset[Dependency]:
        """Return what the sources of an object wait for."""
        waits = [memory.depends for (of, _), memory in self._memory.items() if of == key]
        return frozenset().union(*waits)

    def mended(self, key: Key) -> None:
        """Try at once what was not possible: something that it depends on has changed."""
        loop_s = asyncio.get_running_loop().time()
        for (of, _), memory in self._memory.items():
            if of == key and memory.probe_at_s is not None:
                memory.probes, memory.probe_at_s = 0, loop_s

    async def credentials_changed(self, key: Key, source: EffectiveSource) -> bool:
        """Whether the Secret that the product refused has another content now."""
        memory = self.memory(key, source.name)
        if not memory.credentials:
            return False
        try:
            return await self._finder.digest(key.namespace, source) != memory.credentials
        except UsageError:
            return False

    def start(self, job: Job) -> None:
        """Begin a poll, or take the place of one that waits for its turn; not beside another."""
        name = (job.key, job.source.name)
        if name in self._waiting or name not in self._running:
            self._waiting[name] = job
        if name not in self._running:
            task = asyncio.create_task(self._run(job), name=f"poll {job.key} {job.source.name}")
            self._running[name] = task

    async def _run(self, job: Job) -> None:
        name, news = (job.key, job.source.name), True
        try:
            async with self._turns.place(job.key, quick=job.quick):
                job = self._waiting.pop(name)
                news = await self._poll(job, await self._ready(job))
        except UsageError as error:  # what was read could not be made durable
            _log.warning(
                "poll not recorded",
                object=str(job.key),
                trace=trace_of(job.key, *job.cycles),
                source=job.source.name,
                reason=error.reason,
                error=error.message,
            )
            self._fail(job, replace(_failure(job, error), ours=True))
        except Exception as error:
            doing = f"it polled source {job.source.name}"
            await self._defect(job, problem_of(error, self._metrics, job.key, doing))
        finally:
            self._waiting.pop(name, None)
            del self._running[name]
            if news:
                self._nudge(job.key)

    async def _poll(self, job: Job, ready: _Ready | Failure) -> bool:
        """Poll, now that there is a worker; return whether its object has anything new to say."""
        memory = self.memory(job.key, job.source.name)
        if isinstance(ready, Failure):
            news = ready != memory.problem or memory.probes < len(_PROBE_SECONDS)
            if job.due or ready != memory.problem:
                await self._recorder.failure(job, ready)
            self._fail(job, ready)
            finder, namespace = self._finder, job.key.namespace
            memory.depends = finder.depends(namespace, job.source, job.selector, ready)
            return news

        async def look() -> Looked:
            return await self._finder.look(job.key.namespace, job.source, job.selector)

        result = await self._workers.poll(ready.request, look)
        cycles = ready.request.cycles
        since = {wanted.cycle: wanted.since_ms for wanted in cycles if wanted.since_ms is not None}
        failure = believed(result.failure, memory.problem, proven=job.proven)
        await self._recorder.poll(job, result, failure, ready.pseudonym, since)
        self._remember(job, memory, result, failure, ready.digest)
        memory.behind = await self._recorder.unread(job, result)
        return True

    async def _ready(self, job: Job) -> _Ready | Failure:
        """Read keys, pods and Secrets; what is not there is a problem, and no worker is asked.

        Only when a poll has its turn: while others were served, these may have changed.
        """
        memory = self.memory(job.key, job.source.name)
        try:
            pseudonym = await self._keys.pseudonym_key(asyncio.get_running_loop().time())
            reach = await self._finder.reach(job.key.namespace, job.source, job.selector)
        except UsageError as error:
            return _failure(job, error)
        request = PollRequest(
            source=job.source,
            targets=reach.targets,
            credentials=reach.credentials,
            product=job.product,
            pseudonym_key=pseudonym.value,
            cycles=await self._requests(job, self._clock.now_ms()),
            closing=job.closing,
            limits=self._limits,
            subject=str(job.key),
            clock_offset_ms=1000 * self._clock.offset_seconds,
            before=memory.companions.last,
            issuers=reach.issuers,
            every_pod=reach.every_pod,
        )
        return _Ready(request, pseudonym, reach.digest)

    async def _requests(self, job: Job, now_ms: int) -> tuple[CycleRequest, ...]:
        """What is wanted of each cycle.

        No maybe set that is there, no roster that is over (but for a cycle that is looked back at:
        who comes back or goes changes what is known of it), and of a log only what is new.
        """
        lists = not job.source.reads_log
        untimed = job.source.properties.window is not None

        def looked_at(cycle: Cycle, state: StoreState) -> bool:
            return cycle == job.earlier or not state.ended >> CYCLE_BIT & 1

        def wanted(ledger: Ledger, cycle: Cycle) -> CycleRequest:
            states = ledger.store_states(job.meter_id, cycle)
            state = states.get(job.store, StoreState())
            known = definitions_of(job.store, states)
            since_ms = segment_ms(cycle, known, job.source.selection, now_ms)
            return CycleRequest(
                cycle,
                state.closed,
                roster=lists and (untimed or looked_at(cycle, state)),
                since_ms=since_ms,
                log=state.log,
            )

        requests = await self._books.do(
            lambda ledger: [wanted(ledger, cycle) for cycle in job.cycles]
        )
        if job.coming is not None and lists:
            requests.append(CycleRequest(job.coming, roster=True, coming=True))
        return tuple(requests)

    async def _defect(self, job: Job, problem: Failure) -> None:
        """Count a poll that met a defect as an attempt: an ended cycle must not wait for it."""
        if job.due:
            with suppress(UsageError):  # the ledger's own trouble is told elsewhere
                await self._recorder.failure(job, problem)
        self._fail(job, problem)

    def _remember(
        self, job: Job, memory: PollMemory, result: PollResult, failure: Failure | None, digest: str
    ) -> None:
        refused = result.failure is not None and result.failure.needs_a_person
        memory.fingerprint = job.fingerprint
        memory.probes, memory.probe_at_s = 0, None
        if failure is None:
            poll = result.started_ms, result.ended_ms
            memory.companions = memory.companions.after(result.moved, poll, job.interval_ms)
        memory.ids_stable = result.ids_stable
        memory.hint = _hint(result, memory.companions.note(job.source.name))
        memory.clock_skew_ms = result.clock_skew_ms
        memory.credentials = digest if refused else ""
        if failure is None:
            memory.problem, memory.succeeded = None, job.fingerprint
            memory.depends = frozenset()
            return
        memory.problem = failure
        memory.depends = self._finder.depends(job.key.namespace, job.source, job.selector, failure)

    def _fail(self, job: Job, problem: Failure) -> None:
        """Remember a failure before the poll; look again soon, which is cheap and polls nobody."""
        memory = self.memory(job.key, job.source.name)
        delay = _PROBE_SECONDS[min(memory.probes, len(_PROBE_SECONDS) - 1)]
        memory.probes += 1
        memory.problem, memory.fingerprint = problem, job.fingerprint
        memory.behind = frozenset()
        memory.probe_at_s = asyncio.get_running_loop().time() + delay


def _failure(job: Job, error: UsageError) -> Failure:
    """Return what failed around a poll, with the source's name, as a poll's own failures have."""
    return Failure.of(error).about(f"Source {job.source.name}")


def _hint(result: PollResult, companion: str | None) -> str | None:
    """What is worth saying although the poll succeeded: that it proves little, or found nobody."""
    first = result.hint
    if first is None and result.incomplete is not None:
        first = result.incomplete.message
    return " ".join(filter(None, [first, *result.notes, companion])) or None
