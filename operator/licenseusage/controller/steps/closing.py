"""The closing and reporting steps: cycles end in order, each with its report in one transaction.

Open -> Closing at the cycle's end -> Final, once every source's closing poll was read or the grace
is over. The decision (intent, with the statement) is durable before its effects, so that a crash at
any instruction resumes to the same bytes (DESIGN §4).
"""

from collections.abc import Callable

from licenseusage.controller.effects.gatherer import Works
from licenseusage.controller.rules.ends import Counted, close_reason, interim_plan
from licenseusage.controller.rules.issuer import Issuer
from licenseusage.controller.steps.issuing import signing_of
from licenseusage.errors import UsageError
from licenseusage.ledger.ledger import Ledger
from licenseusage.ledger.records import (
    CycleRecord,
    CycleState,
)
from licenseusage.metering.cycles import Cycle
from licenseusage.metering.statement import CycleStatement


async def close(
    books: Works,
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
    if record.intent is None and not await _decide(books, record, counted, rules_digest, now_ms):
        return False
    if isinstance(issuer, UsageError):
        return False
    due_ms = now_ms + first_delay_ms()
    signing = None if issuer is None else signing_of(issuer, due_ms)
    await books.do(lambda ledger: ledger.close_cycle(meter_id, cycle, now_ms, signing))
    return True


async def _decide(
    books: Works, record: CycleRecord, counted: Counted, rules_digest: str, now_ms: int
) -> bool:
    """Decide to close a cycle, with what is stated of it, if that is due; return whether it is."""
    meter_id, cycle = record.meter_id, record.cycle

    def stated(ledger: Ledger) -> CycleStatement:
        return _statement(ledger, record, counted, cycle.end_ms)

    def decide(ledger: Ledger) -> bool:
        # One work: a poll that was committed in between would be missing from the final.
        states = ledger.store_states(meter_id, cycle)
        reason = close_reason(cycle, counted, states, now_ms)
        if reason is None:
            if record.state is CycleState.OPEN:
                ledger.mark_closing(meter_id, cycle, now_ms)
            return False
        ledger.begin_close(
            meter_id,
            cycle,
            reason=str(reason),
            statement=stated(ledger),
            now_ms=now_ms,
            rules_digest=rules_digest,
        )
        return True

    return await books.do(decide)


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


async def interim(
    books: Works,
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
        unfinished = ledger.unfinished_cycles(meter_id)
        record = next((candidate for candidate in unfinished if candidate.cycle == cycle), None)
        if record is None:
            return None
        plan = interim_plan(
            record,
            unfinished,
            tuple(ledger.store_states(meter_id, cycle).values()),
            counted,
            interval_hours=issuer.license.interval_hours,
            chain_begun=ledger.chain(issuer.chain.id).head is not None,
            signed_ms=ledger.interims_signed_ms(meter_id, cycle),
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
            signing_of(issuer, now_ms + first_delay_ms),
        )
        return now_ms + 1000

    return await books.do(made)
