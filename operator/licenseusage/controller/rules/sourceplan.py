"""The needs and the health of one source: `plan` decides, the counting step performs.

A source is polled when its schedule, a change of its definition, a new credential or a person asks
for it. An ordinary poll also collects late evidence about a cycle that is closed already.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from licenseusage.controller.rules.conditions import SourceHealth, Underway
from licenseusage.controller.rules.declared import Declared
from licenseusage.controller.rules.lookback import Earlier, LookBack, earlier_cycle
from licenseusage.controller.rules.polls import Job, PollMemory
from licenseusage.controller.rules.pushes import PushTarget
from licenseusage.controller.rules.sourcehealth import (
    fingerprint_of,
    outdated,
    proven,
)
from licenseusage.controller.rules.status import SourceView
from licenseusage.controller.rules.subject import Subject
from licenseusage.ledger.documents.records import MeterFacts
from licenseusage.ledger.records import LastPolls
from licenseusage.metering.cycles import CYCLE_BIT, Cycle, next_cycle
from licenseusage.metering.lifecycle import MINUTE_MS, precedes
from licenseusage.metering.polling import (
    Boundary,
    PollSchedule,
    attempted_ms,
    effective_interval_ms,
    next_poll,
    wants_passes,
)
from licenseusage.metering.properties import Properties
from licenseusage.metering.stores import DeclaredSource, StoreKey, StoreState
from licenseusage.reasons import Reason
from licenseusage.sources.definition.guarantees import Ids
from licenseusage.sources.definition.model import EffectiveSource

_DEFAULT_INTERVAL_MS = 15 * MINUTE_MS
_INVALID_DOMAIN = "invalid"


@dataclass(frozen=True, slots=True)
class ObjectFacts:
    """What all sources of an object share.

    Attributes:
        ledger: What the ledger knows of its meter.
        stores: Source -> its store.
        former: Source -> its store under the pseudonym key that was lost.
        rules_digest: Of the rules as declared.
        key_id: Public name of the pseudonym key; None: it cannot be had, so nothing is polled.
        roster_gap_ms: How long a cycle's first roster may be away from its start.
        kept: How many of the newest cycles have facts.
        requested: A person asks for a poll now.
        loop_s: The loop's time.
    """

    subject: Subject
    product: str
    ledger: MeterFacts
    stores: Mapping[str, StoreKey]
    former: Mapping[str, StoreKey]
    rules_digest: str
    key_id: str | None
    roster_gap_ms: int
    kept: int
    requested: bool
    loop_s: float

    @property
    def wanting(self) -> tuple[Cycle, ...]:
        """The cycles that are not decided on, oldest first; the last one may be running."""
        return tuple(record.cycle for record in self.ledger.unfinished if record.intent is None)

    @property
    def states(self) -> list[Mapping[StoreKey, StoreState]]:
        """What is known of the stores of each of these cycles."""
        return [self.ledger.states.get(cycle, {}) for cycle in self.wanting]


@dataclass(frozen=True, slots=True)
class SourceFacts:
    """One source at this moment.

    Attributes:
        declared: As declared.
        memory: What this process remembers of its polls.
        underway: A poll of it runs, or waits for its turn; None: none does.
        waiting_for: Fingerprint of the definition that a poll waits with; None: none waits.
        credentials_changed: The Secret that the product refused has another content now.
    """

    declared: Declared
    memory: PollMemory
    underway: Underway | None
    waiting_for: str | None
    credentials_changed: bool


@dataclass(frozen=True, slots=True)
class SourcePlan:
    """What is decided of one source.

    Attributes:
        counted: How it is counted.
        health, view: For conditions and status.
        poll: The poll to begin now; None: none is due.
        next_ms: When to look again; None: only when something happens.
        pushed: What the intake has to know of a source whose product pushes; None: it is polled.
    """

    counted: DeclaredSource
    health: SourceHealth
    view: SourceView
    poll: Job | None = None
    next_ms: int | None = None
    pushed: PushTarget | None = None


def plan(of: ObjectFacts, source: SourceFacts, now_ms: int) -> SourcePlan:
    """Return what is to be done of a source now."""
    effective = source.declared.source
    if effective is None:
        return _unusable(of, source.declared)
    polls = of.ledger.statuses.get(source.declared.name)
    counted = _counted(of, source, effective, polls)
    schedule = _schedule(of, source, effective, counted, polls, now_ms)
    due = next_poll(schedule, now_ms) if of.wanting else None
    due_ms = None if due is None else due.at_ms
    health = _health(of, source, counted, polls)
    view = SourceView(
        source.declared.name,
        polls,
        health.problem,
        number=effective.states_number,
        next_poll=due if of.key_id is not None and source.memory.probe_at_s is None else None,
    )
    stale_ms = _stale_ms(health, now_ms)
    if of.key_id is None:
        return SourcePlan(counted, health, view)
    if not _polls_now(of, source, health, due_ms, now_ms):
        wake_ms = _wake_ms(of, source, due_ms, now_ms)
        times = [at for at in (stale_ms, wake_ms) if at is not None]
        return SourcePlan(counted, health, view, next_ms=min(times, default=None))
    poll = _poll(of, source, effective, counted, schedule, health, due_ms, now_ms)
    return SourcePlan(counted, health, view, poll, stale_ms)  # the poll's end nudges by itself


def _unusable(of: ObjectFacts, declared: Declared) -> SourcePlan:
    """Return the plan of a source whose definition is invalid: it cannot be polled."""
    name, problem = declared.name, declared.problem
    polls = of.ledger.statuses.get(name)
    success = polls.last_success_ms if polls else None
    return SourcePlan(
        DeclaredSource(
            StoreKey(name, _INVALID_DOMAIN),
            Properties(),
            _DEFAULT_INTERVAL_MS,
            former=of.former.get(name),
        ),
        SourceHealth(name, success, _DEFAULT_INTERVAL_MS, problem),
        SourceView(name, polls, problem),
    )


def _counted(
    of: ObjectFacts, source: SourceFacts, effective: EffectiveSource, polls: LastPolls | None
) -> DeclaredSource:
    name = source.declared.name
    properties = replace(_properties(effective, source.memory), roster_gap_ms=of.roster_gap_ms)
    return DeclaredSource(
        of.stores[name],
        properties,
        effective_interval_ms(effective.interval_ms, _duration_ms(effective, polls)),
        effective.selection,
        effective.declaration,
        of.former.get(name),
        effective.count_terms,
    )


def _duration_ms(effective: EffectiveSource, polls: LastPolls | None) -> int | None:
    """Return how long a complete poll takes; None: not known, or it is a log."""
    return polls.last_complete_duration_ms if polls and not effective.reads_log else None


def _schedule(
    of: ObjectFacts,
    source: SourceFacts,
    effective: EffectiveSource,
    counted: DeclaredSource,
    polls: LastPolls | None,
    now_ms: int,
) -> PollSchedule:
    states = [known.get(counted.store) for known in of.states]
    return PollSchedule(
        key=f"{of.subject.key}/{source.declared.name}",
        declared_ms=effective.interval_ms,
        interval_ms=counted.interval_ms,
        lag_ms=counted.properties.shown_after_ms,
        clock_skew_ms=source.memory.clock_skew_ms,
        last_started_ms=attempted_ms(polls.last_attempt_ms if polls else None, now_ms),
        last_ended_ms=polls.last_attempt_ended_ms if polls else None,
        duration_ms=_duration_ms(effective, polls),
        failures=polls.failures if polls else 0,
        refused=_refused(polls),
        boundaries=tuple(
            _boundary(cycle, state or StoreState())
            for cycle, state in zip(of.wanting, states, strict=True)
        ),
        log=effective.reads_log,
        catching_up=_catching_up(source.memory, states),
    )


def _refused(polls: LastPolls | None) -> bool:
    failure = polls.failure if polls else None
    return failure is not None and failure.reason == Reason.SIGN_IN_REFUSED


def _boundary(cycle: Cycle, state: StoreState) -> Boundary:
    return Boundary(cycle.end_ms, bool(state.ended >> CYCLE_BIT & 1), state.doubted)


def _catching_up(memory: PollMemory, states: Sequence[StoreState | None]) -> bool:
    """Whether a log holds more that the next poll can read; asked of the ledger after a restart."""
    if memory.behind is not None:
        return bool(memory.behind)
    return any(state and state.log and state.log.behind for state in states)


def _health(
    of: ObjectFacts,
    source: SourceFacts,
    counted: DeclaredSource,
    polls: LastPolls | None,
) -> SourceHealth:
    memory, subject = source.memory, of.subject
    fingerprint = fingerprint_of(source.declared)
    return SourceHealth(
        source.declared.name,
        polls.last_success_ms if polls else None,
        counted.interval_ms,
        memory.problem or (polls.failure if polls else None),
        outdated=outdated(subject, memory, fingerprint),
        proven=proven(subject, memory, fingerprint),
        hint=_hint(of, source, counted),
        underway=source.underway,
    )


def _hint(of: ObjectFacts, source: SourceFacts, counted: DeclaredSource) -> str | None:
    """Return what is worth saying of a source that works."""
    hints = [source.memory.hint]
    states = [known.get(counted.store) for known in of.states[-1:]]
    if any(state is not None and state.unheard for state in states):
        hints.append(
            f"Source {source.declared.name}: nobody has left its list and come back in this cycle "
            "so far. Until somebody has, it may be a list of everybody, and nobody of it counts."
        )
    return " ".join(hint for hint in hints if hint) or None


def _polls_now(
    of: ObjectFacts, source: SourceFacts, health: SourceHealth, due_ms: int | None, now_ms: int
) -> bool:
    """Whether to poll (or to probe) now: the schedule, a change, a request, a new credential."""
    memory = source.memory
    if source.underway is not None:
        return source.waiting_for not in {None, fingerprint_of(source.declared)}
    if due_ms is None:
        return False
    if due_ms <= now_ms or of.requested or health.outdated:
        return True
    if memory.fingerprint is None and health.problem is not None:
        return True  # a new process looks at once whether what failed has been mended
    if memory.probe_at_s is not None and memory.probe_at_s <= of.loop_s:
        return True
    return source.credentials_changed


def _wake_ms(of: ObjectFacts, source: SourceFacts, due_ms: int | None, now_ms: int) -> int | None:
    """Return when a source that is not polled now is worth another look, but for its age."""
    if source.underway is not None:
        return None
    if source.memory.probe_at_s is None:
        return due_ms
    # Nobody can be asked: looked for ever more rarely, whatever the schedule says.
    return now_ms + max(0, round(1000 * (source.memory.probe_at_s - of.loop_s)))


def _stale_ms(health: SourceHealth, now_ms: int) -> int | None:
    """Return when the last success will be too old; None: there is none, or it is already."""
    if health.last_success_ms is None:
        return None
    stale = health.last_success_ms + 2 * health.interval_ms + 1
    return stale if stale > now_ms else None


def _poll(
    of: ObjectFacts,
    source: SourceFacts,
    effective: EffectiveSource,
    counted: DeclaredSource,
    schedule: PollSchedule,
    health: SourceHealth,
    due_ms: int | None,
    now_ms: int,
) -> Job:
    coming = _coming(of, counted, schedule, now_ms)
    earlier = _earlier(of, source, counted, schedule, now_ms)
    if coming is not None and earlier is not None and coming.index == earlier.cycle.index:
        earlier = None  # facts come back by index, which other terms use again
    late = () if earlier is None else (earlier,)
    ends = (*schedule.boundaries, *(past.boundary for past in late))
    return Job(
        key=of.subject.key,
        meter_id=of.ledger.meter.id,
        product=of.product,
        source=effective,
        selector=source.declared.selector,
        store=counted.store,
        cycles=_distinct((*of.wanting, *(past.cycle for past in late))),
        interval_ms=counted.interval_ms,
        rules_digest=of.rules_digest,
        closing=wants_passes(ends, now_ms, counted.properties.shown_after_ms),
        due=due_ms is not None and due_ms <= now_ms,
        fingerprint=fingerprint_of(source.declared),
        proven=health.proven and health.last_success_ms is not None,
        quick=schedule.quick,
        earlier=None if earlier is None else earlier.cycle,
        coming=coming,
    )


def _earlier(
    of: ObjectFacts,
    source: SourceFacts,
    counted: DeclaredSource,
    schedule: PollSchedule,
    now_ms: int,
) -> Earlier | None:
    """Return the closed cycle for which this poll also collects late evidence."""
    behind = source.memory.behind or frozenset()
    poll = LookBack(
        of.wanting,
        counted.store,
        schedule.last_started_ms,
        of.rules_digest,
        of.key_id or "",
        asked=of.requested or not behind <= set(of.wanting),
    )
    return earlier_cycle(of.ledger.cycles[: of.kept], of.ledger.states, poll, now_ms)


def _coming(
    of: ObjectFacts, counted: DeclaredSource, schedule: PollSchedule, now_ms: int
) -> Cycle | None:
    """Return the next cycle if a poll now belongs to its first roster."""
    cycle = next_cycle(of.ledger.meter.grids, now_ms)
    if cycle is None or cycle.index in {open_cycle.index for open_cycle in of.wanting}:
        return None  # facts come back by index
    gap_ms, started_ms = counted.properties.roster_gap_ms, schedule.last_started_ms
    wanted = precedes(cycle, now_ms, counted.interval_ms, gap_ms, started_ms)
    return cycle if wanted else None


def _distinct(cycles: Sequence[Cycle]) -> tuple[Cycle, ...]:
    """Return the cycles of one poll: facts come back by index, which new terms begin anew.

    Of two with one index the older is asked for first; the other follows once that is closed.
    """
    by_index: dict[int, Cycle] = {}
    for cycle in sorted(cycles, key=lambda cycle: cycle.start_ms):
        by_index.setdefault(cycle.index, cycle)
    return tuple(by_index.values())


def _properties(source: EffectiveSource, memory: PollMemory) -> Properties:
    """The declared properties; whether ids are stable, if not declared, as the last poll found.

    Before the first poll of this process they are taken for stable: facts of unstable ids are kept
    apart in the ledger, so this can hide a number for one poll and never inflate it.
    """
    if source.guarantees.ids is not Ids.UNKNOWN:
        return source.properties
    return source.properties_given(ids_stable=memory.ids_stable is not False)
