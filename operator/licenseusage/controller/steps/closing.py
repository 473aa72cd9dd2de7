"""The closing and reporting steps: cycles end in order, each with its report in one transaction.

Open -> Closing at the cycle's end -> Final, once every source's closing poll was read or the grace
is over. The decision (intent, with the statement) is durable before its effects, so that a crash at
any instruction resumes to the same bytes (DESIGN §4).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from licenseusage.controller.effects.books import Books
from licenseusage.controller.rules.issuer import Issuer
from licenseusage.errors import UsageError
from licenseusage.ledger.ledger import Ledger
from licenseusage.ledger.records import (
    CycleRecord,
    CycleState,
    DeclaredSource,
    Meter,
    SourceStatus,
    StoreState,
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
)
from licenseusage.metering.statement import CycleStatement

_AGAIN_MS = 30_000


@dataclass(frozen=True, slots=True)
class Counted:
    """How a meter's sources are counted, as far as closing and statements need it.

    Attributes:
        declared: Every source of the object; empty once the object is gone.
        unusable: Sources with an invalid definition: they cannot be polled, nobody waits for it.
        combine: How the sources belong together.
        grace_ms: How long after a cycle's end its closing polls are waited for.
        skews: Source -> k of its last poll, in ms.
        statuses: Source -> its last polls.
    """

    declared: tuple[DeclaredSource, ...] = ()
    unusable: frozenset[str] = frozenset()
    combine: Combine = Combine.UNION
    grace_ms: int = 24 * 3_600_000
    skews: Mapping[str, int] | None = None
    statuses: Mapping[str, SourceStatus] | None = None

    @property
    def poll_interval_ms(self) -> int:
        """The greatest effective interval."""
        return max((one.interval_ms for one in self.declared), default=0)


def missing_cycles(meter: Meter, newest: Cycle | None, now_ms: int) -> tuple[Cycle, ...]:
    """Return the cycles up to the running one that have no record yet, in order.

    A meter begins with the cycle that runs when it is first seen; from then on every cycle gets a
    record, also those that went by while the operator was away (they end as Unknown, not silently).
    """
    current = cycle_at(meter.grids, now_ms)
    if newest is None:
        return () if current is None else (current,)
    found: list[Cycle] = []
    following = next_cycle(meter.grids, newest.start_ms)
    while following is not None and following.start_ms <= now_ms:
        found.append(following)
        following = next_cycle(meter.grids, following.start_ms)
    return tuple(found)


def progress(
    counted: Counted, states: Mapping[str, StoreState], now_ms: int
) -> tuple[SourceProgress, ...]:
    """Return how far each source is with an ended cycle; ``states`` by source name."""
    statuses, skews = counted.statuses or {}, counted.skews or {}
    found = []
    for one in counted.declared:
        name = one.store.source
        state, status = states.get(name), statuses.get(name)
        attempt = status.last_attempt_ms if status else None
        found.append(
            SourceProgress(
                ended=bool(state and state.ended >> CYCLE_BIT & 1),
                last_attempt_ms=now_ms if name in counted.unusable else attempt,
                lag_ms=one.properties.lag_ms,
                clock_skew_ms=skews.get(name, 0),
            )
        )
    return tuple(found)


def next_close_ms(cycle: Cycle, counted: Counted, now_ms: int) -> int:
    """Return when closing this cycle is worth another look, but for polls (they nudge)."""
    if now_ms < cycle.end_ms:
        return cycle.end_ms
    earliest = max(
        (closing_poll_ms(cycle.end_ms, one.properties.lag_ms, 0) for one in counted.declared),
        default=cycle.end_ms,
    )
    grace = cycle.end_ms + counted.grace_ms
    return max(now_ms + _AGAIN_MS, earliest if now_ms < earliest else grace)


async def close(
    books: Books,
    record: CycleRecord,
    counted: Counted,
    now_ms: int,
    *,
    rules_digest: str,
    issuer: Issuer | UsageError | None,
    first_delay_ms: Callable[[], int],
) -> bool:
    """Take an ended cycle as far as it can go now; return whether it is Final.

    Args:
        books: The ledger.
        record: The oldest cycle that is not Final; it has ended.
        counted: How it is counted.
        now_ms: The reconcile's one time.
        rules_digest: Of the rules as declared now.
        issuer: Signs the final; None: the object has no licence, so no report is due; an error:
            one is due and cannot be signed now, so the decision stands and the report waits.
        first_delay_ms: Random time before the first send.

    Raises:
        UsageError: The ledger cannot be written.
    """
    meter_id, cycle = record.meter_id, record.cycle
    if record.intent is None:
        states = await books.do(lambda ledger: ledger.store_states(meter_id, cycle))
        by_source = {store.source: state for store, state in states.items() if _in(store, counted)}
        reason = close_due(cycle, now_ms, counted.grace_ms, progress(counted, by_source, now_ms))
        if reason is None:
            if record.state is CycleState.OPEN:
                await books.do(lambda ledger: ledger.mark_closing(meter_id, cycle, now_ms))
            return False
        await _decide(books, record, counted, reason, rules_digest, now_ms)
    if isinstance(issuer, UsageError):
        return False
    due_ms = now_ms + first_delay_ms()
    if issuer is None:
        await books.do(lambda ledger: ledger.close_cycle(meter_id, cycle, now_ms))
    else:
        chain, sign = issuer.chain, issuer.sign
        await books.do(
            lambda ledger: ledger.close_cycle(
                meter_id, cycle, now_ms, chain=chain, sign=sign, first_attempt_ms=due_ms
            )
        )
    return True


async def _decide(
    books: Books,
    record: CycleRecord,
    counted: Counted,
    reason: CloseReason,
    rules_digest: str,
    now_ms: int,
) -> None:
    meter_id, cycle = record.meter_id, record.cycle

    def stated(ledger: Ledger) -> CycleStatement:
        return _statement(ledger, record, counted, cycle.end_ms)

    def decide(ledger: Ledger) -> None:
        # One work: a poll that was committed in between would be missing from the final.
        ledger.begin_close(
            meter_id,
            cycle,
            reason=str(reason),
            statement=stated(ledger),
            now_ms=now_ms,
            rules_digest=rules_digest,
        )

    await books.do(decide)


def _statement(
    ledger: Ledger, record: CycleRecord, counted: Counted, as_of_ms: int
) -> CycleStatement:
    return ledger.statement(
        record.meter_id,
        record.cycle,
        sources=counted.declared,
        combine=counted.combine,
        as_of_ms=as_of_ms,
    )


def interim_plan(
    record: CycleRecord,
    unfinished: Sequence[CycleRecord],
    states: Sequence[StoreState],
    counted: Counted,
    *,
    interval_hours: int,
    chain_begun: bool,
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
    if any(one.cycle.end_ms < waits_for for one in unfinished):
        return None
    seen = [s.read_until_ms for s in states if s.read_until_ms is not None]
    return next_interim(
        record.cycle,
        now_ms,
        interval_ms=interval_hours * 3_600_000,
        last_slot=record.interim_slot,
        seen_until_ms=max(seen, default=None),
        poll_interval_ms=counted.poll_interval_ms,
        since_ms=since_ms,
    )


async def interim(
    books: Books,
    meter_id: int,
    cycle: Cycle,
    counted: Counted,
    issuer: Issuer,
    *,
    since_ms: int,
    now_ms: int,
    first_delay_ms: int,
) -> int | None:
    """Sign and keep the interim report of the running cycle if it is due.

    Returns:
        When to look again, ms since the epoch; None: nothing is planned.

    Raises:
        UsageError: The ledger cannot be written.
    """

    def made(ledger: Ledger) -> int | None:
        # One work: a poll that was committed after the plan would be counted in a report whose time
        # ends before it.
        chain = issuer.chain
        unfinished = ledger.unfinished_cycles(meter_id)
        record = next((one for one in unfinished if one.cycle == cycle), None)
        if record is None:
            return None
        plan = interim_plan(
            record,
            unfinished,
            tuple(ledger.store_states(meter_id, cycle).values()),
            counted,
            interval_hours=issuer.license.interval_hours,
            chain_begun=ledger.chain(chain.id).head is not None,
            since_ms=since_ms,
            now_ms=now_ms,
        )
        if plan is None or plan.due_ms > now_ms:
            return None if plan is None else plan.due_ms
        ledger.add_interim(
            meter_id,
            plan.slot,
            _statement(ledger, record, counted, plan.as_of_ms),
            now_ms,
            chain=chain,
            sign=issuer.sign,
            first_attempt_ms=now_ms + first_delay_ms,
        )
        return now_ms + 1000

    return await books.do(made)


def _in(store: object, counted: Counted) -> bool:
    return any(one.store == store for one in counted.declared)
