"""When cycles end and interims are due: pure decisions from what the ledger knows.

Open -> Closing at the cycle's end -> Final, once every source's closing poll was read or the grace
is over (DESIGN §4).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from licenseusage.ledger.documents.records import MeterFacts, ReportKind
from licenseusage.ledger.records import (
    CycleRecord,
    CycleState,
    LastPolls,
    Meter,
)
from licenseusage.metering.combine import Combine
from licenseusage.metering.cycles import CYCLE_BIT, Cycle, cycle_at, next_cycle
from licenseusage.metering.lifecycle import (
    CloseReason,
    InterimPlan,
    SourceProgress,
    close_due,
    closing_poll_ms,
    next_interim,
    reported_slot,
)
from licenseusage.metering.stores import DeclaredSource, StoreKey, StoreState, deciding

AGAIN_MS = 30_000
"""When what is due already is looked at again."""


@dataclass(frozen=True, slots=True)
class Counted:
    """How a meter's sources are counted, as far as closing and statements need it.

    Attributes:
        declared: Every source of the object; empty once the object is gone.
        unasked: Sources that are not polled, so that nobody waits for it: those with an invalid
            definition, and those that push.
        combine: How the sources belong together.
        grace_ms: How long after a cycle's end its closing polls are waited for.
        skews: Source -> k of its last poll, in ms.
        statuses: Source -> its last polls.
    """

    declared: tuple[DeclaredSource, ...] = ()
    unasked: frozenset[str] = frozenset()
    combine: Combine = Combine.UNION
    grace_ms: int = 24 * 3_600_000
    skews: Mapping[str, int] | None = None
    statuses: Mapping[str, LastPolls] | None = None

    @property
    def deciding(self) -> tuple[DeclaredSource, ...]:
        """Those that a cycle waits for: not a number beside a list or log."""
        return deciding(self.declared)

    @property
    def poll_interval_ms(self) -> int:
        """The greatest effective interval."""
        return max((source.interval_ms for source in self.deciding), default=0)


def missing_cycles(meter: Meter, known: Sequence[Cycle], now_ms: int) -> tuple[Cycle, ...]:
    """Return the cycles up to the running one that have no record yet, in order.

    A meter begins with the cycle that runs when it is first seen; from then on every cycle gets a
    record, also those that went by while the operator was away (they end as Unknown, not silently),
    and those between reports that came back after a loss.

    Args:
        meter: With its grids.
        known: The cycles that have a record; of many, the newest.
        now_ms: The time.
    """
    current = cycle_at(meter.grids, now_ms)
    if not known:
        return () if current is None else (current,)
    starts = {cycle.start_ms for cycle in known}
    missing: list[Cycle] = []
    following = next_cycle(meter.grids, min(starts))
    while following is not None and following.start_ms <= now_ms:
        missing += [] if following.start_ms in starts else [following]
        following = next_cycle(meter.grids, following.start_ms)
    return tuple(missing)


def progress(
    counted: Counted, states: Mapping[str, StoreState], now_ms: int
) -> tuple[SourceProgress, ...]:
    """Return how far each source is with an ended cycle; ``states`` by source name."""
    statuses, skews = counted.statuses or {}, counted.skews or {}
    reached = []
    for source in counted.deciding:
        name = source.store.source
        state, status = states.get(name), statuses.get(name)
        attempt = status.last_attempt_ms if status else None
        reached.append(
            SourceProgress(
                ended=bool(state and state.ended >> CYCLE_BIT & 1),
                last_attempt_ms=now_ms if name in counted.unasked else attempt,
                lag_ms=source.properties.shown_after_ms,
                clock_skew_ms=skews.get(name, 0),
            )
        )
    return tuple(reached)


def close_reason(
    cycle: Cycle, counted: Counted, states: Mapping[StoreKey, StoreState], now_ms: int
) -> CloseReason | None:
    """Return why an ended cycle is decided on now; None: it waits for closing polls or its grace.

    Args:
        cycle: The cycle.
        counted: How it is counted.
        states: What is known of each of its stores.
        now_ms: The time.
    """
    declared = {source.store for source in counted.declared}
    by_source = {store.source: state for store, state in states.items() if store in declared}
    return close_due(cycle, now_ms, counted.grace_ms, progress(counted, by_source, now_ms))


def close_wanted(
    record: CycleRecord,
    counted: Counted,
    states: Mapping[StoreKey, StoreState],
    now_ms: int,
    *,
    signable: bool,
) -> bool:
    """Whether anything is to be done now to close an ended cycle: decide, mark it, or finish.

    Args:
        record: The cycle; it has ended.
        counted: How it is counted.
        states: What is known of each of its stores.
        now_ms: The time.
        signable: Its report can be made now, or none is due.
    """
    if record.intent is not None:
        return signable
    decided = close_reason(record.cycle, counted, states, now_ms) is not None
    return decided or record.state is CycleState.OPEN


def next_close_ms(cycle: Cycle, counted: Counted, now_ms: int) -> int:
    """Return when closing this cycle is worth another look, but for polls (they nudge)."""
    if now_ms < cycle.end_ms:
        return cycle.end_ms
    earliest = max(
        (
            closing_poll_ms(cycle.end_ms, source.properties.shown_after_ms, 0)
            for source in counted.deciding
        ),
        default=cycle.end_ms,
    )
    grace = cycle.end_ms + counted.grace_ms
    return max(now_ms + AGAIN_MS, earliest if now_ms < earliest else grace)


def interim_plan(
    record: CycleRecord,
    unfinished: Sequence[CycleRecord],
    states: Sequence[StoreState],
    counted: Counted,
    *,
    interval_hours: int,
    chain_begun: bool,
    signed_ms: Iterable[int] = (),
    since_ms: int,
    now_ms: int,
) -> InterimPlan | None:
    """Return the next interim of the running cycle; None if there is none to plan.

    An interim needs the finals of all cycles but the one before it (REPORT_FORMAT §6), so none is
    made while an older cycle is still open. And a chain's first report names its first cycle: as
    long as there is none (``chain_begun``), it must not be about a later cycle than the final that
    is still to come.
    """
    cycle = record.cycle
    waits_for = cycle.start_ms if chain_begun else cycle.start_ms + 1
    if any(other.cycle.end_ms < waits_for for other in unfinished):
        return None
    seen = [s.read_until_ms for s in states if s.read_until_ms is not None]
    interval_ms = interval_hours * 3_600_000
    last_slot = reported_slot(
        cycle, now_ms, interval_ms=interval_ms, last_slot=record.interim_slot, signed_ms=signed_ms
    )
    return next_interim(
        record.cycle,
        now_ms,
        interval_ms=interval_ms,
        last_slot=last_slot,
        seen_until_ms=max(seen, default=None),
        poll_interval_ms=counted.poll_interval_ms,
        since_ms=since_ms,
    )


def interim_of(
    facts: MeterFacts,
    cycle: Cycle,
    counted: Counted,
    *,
    chain_id: str,
    interval_hours: int,
    since_ms: int,
    now_ms: int,
) -> InterimPlan | None:
    """Return the next interim of a cycle that runs; None if there is none to plan."""
    record = next((candidate for candidate in facts.unfinished if candidate.cycle == cycle), None)
    if record is None:
        return None
    return interim_plan(
        record,
        facts.unfinished,
        tuple(facts.states.get(cycle, {}).values()),
        counted,
        interval_hours=interval_hours,
        chain_begun=facts.chains[chain_id].head is not None,
        signed_ms=[
            item.created_ms
            for item in facts.reports
            if item.kind is ReportKind.INTERIM and item.cycle == cycle
        ],
        since_ms=since_ms,
        now_ms=now_ms,
    )
