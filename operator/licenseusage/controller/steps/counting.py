"""The counting step: which sources are due, what is known of each, what closing needs of them."""

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec

from licenseusage.api.conditions import ConditionType
from licenseusage.api.licenseusage import LicenseUsage
from licenseusage.controller.effects import defects
from licenseusage.controller.effects.identity import PseudonymKey
from licenseusage.controller.rules.conditions import Consequence, Problem, SourceHealth, Underway
from licenseusage.controller.rules.declared import Declared, declared, rules_digest, stores
from licenseusage.controller.rules.ends import Counted
from licenseusage.controller.rules.polls import Job, Memory
from licenseusage.controller.rules.status import SourceView
from licenseusage.controller.rules.subject import Subject
from licenseusage.controller.steps.lookback import LookBack, earlier_cycle
from licenseusage.controller.steps.world import World
from licenseusage.errors import UsageError
from licenseusage.ledger.records import (
    CycleRecord,
    Meter,
    SourceStatus,
)
from licenseusage.metering.combine import Combine
from licenseusage.metering.cycles import CYCLE_BIT, Cycle, next_cycle
from licenseusage.metering.lifecycle import (
    HOUR_MS,
    MINUTE_MS,
    Boundary,
    PollSchedule,
    attempted_ms,
    check_grace,
    effective_interval_ms,
    next_poll_ms,
    precedes,
    wants_passes,
)
from licenseusage.metering.properties import Properties
from licenseusage.metering.stores import DeclaredSource, StoreKey, StoreState
from licenseusage.sources.definition.guarantees import Ids
from licenseusage.sources.definition.model import EffectiveSource

_DEFAULT_INTERVAL_MS = 15 * MINUTE_MS
_INVALID_DOMAIN = "invalid"


@dataclass(frozen=True, slots=True)
class Counting:
    """What the step found.

    Attributes:
        sources: As declared.
        counted: What closing and statements need.
        health, views: For conditions and status.
        spec: A problem of the spec that shows only beside the sources (the grace).
        rules_digest: Digest of the rules as declared.
        next_ms: When to look again; None: only when something happens.
    """

    sources: tuple[Declared, ...]
    counted: Counted
    health: tuple[SourceHealth, ...]
    views: tuple[SourceView, ...]
    spec: Problem | None
    rules_digest: str
    next_ms: int | None


async def step(
    world: World,
    subject: Subject,
    usage: LicenseUsage,
    meter: Meter,
    unfinished: Sequence[CycleRecord],
    pseudonym: PseudonymKey | UsageError,
    now_ms: int,
    *,
    requested: bool,
) -> Counting:
    """Start the polls that are due and say how every source does.

    Args:
        world: The surroundings.
        subject: The object.
        usage: Its model.
        meter: Its meter.
        unfinished: Cycles that are not Final, oldest first; the last one may be running.
        pseudonym: The key of the pseudonyms; an error: nothing can be polled.
        now_ms: The reconcile's one time.
        requested: An administrator asks for a poll now.

    Raises:
        UsageError: The ledger cannot be read.
    """

    def defect(error: Exception, doing: str) -> Problem:
        return defects.problem_of(error, world.metrics, subject.key, doing)

    sources = declared(usage, defect)
    digest = rules_digest(sources, usage.spec.combine)
    key_id = "" if isinstance(pseudonym, UsageError) else pseudonym.id
    named = stores(sources, key_id)
    lost = None if isinstance(pseudonym, UsageError) else pseudonym.replaces
    former = stores(sources, lost) if lost else {}
    statuses = await world.books.do(lambda ledger: ledger.source_statuses(meter.id))
    wanting = [one.cycle for one in unfinished if one.intent is None]
    states = await _states(world, meter, wanting)
    world.collector.forget(subject.key, {one.name for one in sources})

    async def served(one: Declared) -> tuple[_Look, int | None]:
        """Look at one source and poll it if that is due; return when to look again."""
        look = _look(world, subject, one, named, statuses, wanting, states, now_ms)
        if look.schedule is None or one.source is None or isinstance(pseudonym, UsageError):
            return look, None
        if not await _due(world, subject, look, one.source, now_ms, requested=requested):
            return look, look.wake_ms(now_ms)
        coming = _coming(meter, wanting, look, now_ms)
        look_back = LookBack(
            wanting,
            look.declared.store,
            look.schedule.last_started_ms,
            digest,
            key_id,
            asked=requested or not (look.memory.behind or frozenset()) <= set(wanting),
        )
        earlier = await earlier_cycle(world, meter, look_back, now_ms)
        if coming is not None and earlier is not None and coming.index == earlier.cycle.index:
            earlier = None  # facts come back by index, which other terms use again
        late = () if earlier is None else (earlier,)
        world.collector.start(
            Job(
                key=subject.key,
                meter_id=meter.id,
                product=usage.spec.product,
                source=one.source,
                selector=one.selector,
                store=look.declared.store,
                cycles=_distinct((*wanting, *(one.cycle for one in late))),
                interval_ms=look.declared.interval_ms,
                rules_digest=digest,
                closing=wants_passes(
                    (*look.schedule.boundaries, *(one.boundary for one in late)),
                    now_ms,
                    look.declared.properties.lag_ms,
                ),
                due=look.next_ms is not None and look.next_ms <= now_ms,
                fingerprint=look.fingerprint,
                proven=look.health.proven and look.health.last_success_ms is not None,
                quick=look.schedule.quick,
                earlier=None if earlier is None else earlier.cycle,
                coming=coming,
            )
        )
        return look, look.stale_ms(now_ms)  # the poll's end nudges by itself

    looks: list[_Look] = []
    wakes: list[int | None] = []
    for at, one in enumerate(sources):
        try:
            look, wake = await served(one)
        except UsageError:
            raise
        except Exception as error:
            problem = defect(error, f"it looked at source {one.name}")
            sources = (
                *sources[:at],
                replace(one, source=None, problem=problem),
                *sources[at + 1 :],
            )
            look, wake = await served(sources[at])
        looks.append(look)
        wakes.append(wake)
    grace_ms = usage.spec.close_grace_hours * HOUR_MS
    return Counting(
        sources=sources,
        counted=Counted(
            declared=tuple(replace(look.declared, former=former.get(look.name)) for look in looks),
            unusable=frozenset(one.name for one in sources if one.source is None),
            combine=Combine(usage.spec.combine),
            grace_ms=grace_ms,
            skews={look.name: look.memory.clock_skew_ms for look in looks},
            statuses=statuses,
        ),
        health=tuple(look.health for look in looks),
        views=tuple(look.view for look in looks),
        spec=_grace_problem(sources, wanting, grace_ms),
        rules_digest=digest,
        next_ms=min((at for at in wakes if at is not None), default=None),
    )


@dataclass(frozen=True, slots=True)
class _Look:
    """One source at this moment."""

    name: str
    declared: DeclaredSource
    schedule: PollSchedule | None
    next_ms: int | None
    fingerprint: str
    memory: Memory
    running: bool
    health: SourceHealth
    view: SourceView

    def wake_ms(self, now_ms: int) -> int | None:
        """When this source is worth another look, if no poll was started now."""
        times = [self.stale_ms(now_ms)]
        if not self.running:
            if self.memory.probe_at_s is None:
                times.append(self.next_ms)
            else:  # nobody can be asked: looked for ever more rarely, whatever the schedule says
                wait_s = self.memory.probe_at_s - asyncio.get_running_loop().time()
                times.append(now_ms + max(0, round(1000 * wait_s)))
        return min((at for at in times if at is not None), default=None)

    def stale_ms(self, now_ms: int) -> int | None:
        """When its last success will be too old; None: there is none, or it is already."""
        last = self.health.last_success_ms
        if last is None:
            return None
        stale = last + 2 * self.health.interval_ms + 1
        return stale if stale > now_ms else None


def _look(
    world: World,
    subject: Subject,
    one: Declared,
    named: Mapping[str, StoreKey],
    statuses: Mapping[str, SourceStatus],
    cycles: Sequence[Cycle],
    states: Sequence[Mapping[StoreKey, StoreState]],
    now_ms: int,
) -> _Look:
    memory = world.collector.memory(subject.key, one.name)
    polls = statuses.get(one.name)
    success = polls.last_success_ms if polls else None
    if one.source is None:
        store = DeclaredSource(
            StoreKey(one.name, _INVALID_DOMAIN), Properties(), _DEFAULT_INTERVAL_MS
        )
        health = SourceHealth(one.name, success, _DEFAULT_INTERVAL_MS, one.problem)
        view = SourceView(one.name, polls, one.problem)
        return _Look(one.name, store, None, None, "", memory, False, health, view)

    duration = polls.last_complete_duration_ms if polls and not one.source.reads_log else None
    interval = effective_interval_ms(one.source.interval_ms, duration)
    gap_ms = 1000 * world.settings.roster_gap_seconds
    properties = replace(_properties(one.source, memory), roster_gap_ms=gap_ms)
    store = DeclaredSource(
        named[one.name], properties, interval, one.source.selection, one.source.declaration
    )
    boundaries = tuple(
        _boundary(cycle, words.get(store.store, StoreState()))
        for cycle, words in zip(cycles, states, strict=True)
    )
    schedule = PollSchedule(
        key=f"{subject.key}/{one.name}",
        interval_ms=interval,
        lag_ms=store.properties.lag_ms,
        clock_skew_ms=memory.clock_skew_ms,
        last_started_ms=attempted_ms(polls.last_attempt_ms if polls else None, now_ms),
        last_ended_ms=polls.last_attempt_ended_ms if polls else None,
        duration_ms=duration,
        failures=polls.failures if polls else 0,
        boundaries=boundaries,
        log=one.source.reads_log,
        catching_up=_catching_up(memory, [words.get(store.store) for words in states]),
    )
    fingerprint = _fingerprint(one)
    problem = memory.problem or _stored_problem(polls, subject)
    outdated = _outdated(subject, memory, fingerprint, now_ms)
    running = world.collector.running(subject.key, one.name)
    return _Look(
        name=one.name,
        declared=store,
        schedule=schedule,
        next_ms=next_poll_ms(schedule, now_ms) if cycles else None,
        fingerprint=fingerprint,
        memory=memory,
        running=running,
        health=SourceHealth(
            one.name,
            success,
            interval,
            problem,
            outdated=outdated,
            proven=_proven(subject, memory, fingerprint),
            hint=memory.hint,
            underway=_underway(world, subject, one.name) if running else None,
        ),
        view=SourceView(one.name, polls, problem),
    )


def _underway(world: World, subject: Subject, name: str) -> Underway:
    waits = world.collector.waits(subject.key, name)
    return Underway.WAITS if waits else Underway.RUNS


def _catching_up(memory: Memory, states: Sequence[StoreState | None]) -> bool:
    """Whether a log holds more that the next poll can read; asked of the ledger after a restart."""
    if memory.behind is not None:
        return bool(memory.behind)
    return any(state and state.log and state.log.behind for state in states)


async def _due(
    world: World,
    subject: Subject,
    look: _Look,
    source: EffectiveSource,
    now_ms: int,
    *,
    requested: bool,
) -> bool:
    """Whether to poll (or to probe) now: the schedule, a change, a request, a new credential."""
    if look.running:
        return world.collector.waits_outdated(subject.key, look.name, look.fingerprint)
    if look.next_ms is None:
        return False
    if look.next_ms <= now_ms or requested or look.health.outdated:
        return True
    if look.memory.fingerprint is None and look.health.problem is not None:
        return True  # a new process looks at once whether what failed has been mended
    probe = look.memory.probe_at_s
    if probe is not None and probe <= asyncio.get_running_loop().time():
        return True
    return await world.collector.credentials_changed(subject.key, source)


def _coming(meter: Meter, wanting: Sequence[Cycle], look: _Look, now_ms: int) -> Cycle | None:
    """Return the next cycle if a poll now belongs to its first roster."""
    cycle = next_cycle(meter.grids, now_ms)
    if cycle is None or cycle.index in {one.index for one in wanting}:
        return None  # facts come back by index
    gap_ms = look.declared.properties.roster_gap_ms
    started_ms = look.schedule.last_started_ms if look.schedule is not None else None
    wanted = precedes(cycle, now_ms, look.declared.interval_ms, gap_ms, started_ms)
    return cycle if wanted else None


def _boundary(cycle: Cycle, state: StoreState) -> Boundary:
    return Boundary(cycle.end_ms, bool(state.ended >> CYCLE_BIT & 1), state.doubted)


def _distinct(cycles: Sequence[Cycle]) -> tuple[Cycle, ...]:
    """Return the cycles of one poll: facts come back by index, which new terms begin anew.

    Of two with one index the older is asked for first; the other follows once that is closed.
    """
    found: dict[int, Cycle] = {}
    for cycle in sorted(cycles, key=lambda one: one.start_ms):
        found.setdefault(cycle.index, cycle)
    return tuple(found.values())


def _outdated(subject: Subject, memory: Memory, fingerprint: str, now_ms: int) -> bool:
    """Whether the definition changed since the last attempt.

    A process that has just started remembers none; then a generation that the status has not seen
    yet is taken for a change.
    """
    if memory.fingerprint is not None:
        return memory.fingerprint != fingerprint
    observed = subject.status.get("observedGeneration")
    return observed not in (None, -1, subject.generation)


def _proven(subject: Subject, memory: Memory, fingerprint: str) -> bool:
    """Whether the last success was of this definition.

    A process that has had none goes by what the object says: that it is Ready is told of a
    generation, and only after a success.
    """
    if memory.succeeded is not None:
        return memory.succeeded == fingerprint
    return any(
        c["type"] == ConditionType.READY
        and c["status"] == "True"
        and c.get("observedGeneration") == subject.generation
        for c in subject.conditions
    )


def _fingerprint(one: Declared) -> str:
    told = msgspec.json.encode(one.source, order="sorted") + b"\0" + one.selector.encode()
    return hashlib.sha256(told).hexdigest()


def _properties(source: EffectiveSource, memory: Memory) -> Properties:
    """The declared properties; whether ids are stable, if not declared, as the last poll found.

    Before the first poll of this process they are taken for stable: facts of unstable ids are kept
    apart in the ledger, so this can hide a number for one poll and never inflate it.
    """
    if source.guarantees.ids is not Ids.UNKNOWN:
        return source.properties
    return source.properties_given(ids_stable=memory.ids_stable is not False)


def _stored_problem(polls: SourceStatus | None, subject: Subject) -> Problem | None:
    """Return the last failure as the ledger has it, for a process that has not polled yet.

    Whether a person must act is not kept there, but the live status says it.
    """
    if polls is None or polls.failure is None:
        return None
    stalled = any(
        c["type"] == ConditionType.STALLED and c["reason"] == polls.failure.reason
        for c in subject.conditions
    )
    consequence = Consequence.NEEDS_A_PERSON if stalled else Consequence.RETRIES
    return Problem(polls.failure.reason, polls.failure.message, consequence)


def _grace_problem(
    sources: Sequence[Declared], cycles: Sequence[Cycle], grace_ms: int
) -> Problem | None:
    """Return the problem of a grace that cannot work; counting goes on with it all the same."""
    try:
        for one in sources:
            if one.source is not None and cycles:
                lag = one.source.properties.lag_ms
                check_grace(grace_ms, cycles[-1], lag, one.source.interval_ms)
    except UsageError as error:
        return Problem.of(error)
    return None


async def _states(
    world: World, meter: Meter, cycles: Sequence[Cycle]
) -> list[dict[StoreKey, StoreState]]:
    return await world.books.do(
        lambda ledger: [ledger.store_states(meter.id, cycle) for cycle in cycles]
    )
