"""From what the steps found to the view that the status is made of."""

from collections.abc import Sequence

from licenseusage.api.model import rfc3339
from licenseusage.controller.effects.identity import PseudonymKey
from licenseusage.controller.rules.clockwatch import Judgement
from licenseusage.controller.rules.conditions import Findings, Problem, Status, Verdict
from licenseusage.controller.rules.contradictions import contradicted
from licenseusage.controller.rules.ends import Counted
from licenseusage.controller.rules.reported import reported, within_entitlement
from licenseusage.controller.rules.status import HISTORY, Ended, View
from licenseusage.controller.rules.subject import Subject
from licenseusage.controller.steps.counting import Counting
from licenseusage.controller.steps.licensing import Licensing
from licenseusage.controller.steps.reporting import Outcome
from licenseusage.controller.steps.world import World
from licenseusage.errors import UsageError
from licenseusage.ledger.records import CycleRecord, CycleState, Meter
from licenseusage.metering.cycles import Cycle, cycle_at, next_cycle
from licenseusage.metering.statement import CycleStatement
from licenseusage.metering.stores import standing
from licenseusage.reasons import Reason


async def view_of(
    world: World,
    subject: Subject,
    licensed: Licensing,
    counted: Counting,
    outcome: Outcome,
    pseudonym: PseudonymKey | UsageError,
    clock: Judgement,
    now_ms: int,
) -> View:
    """Return the view of one reconcile.

    Raises:
        UsageError: The ledger cannot be read.
    """
    meter = licensed.meter
    records = await world.books.do(lambda ledger: ledger.cycles(meter.id, HISTORY + 1))
    counting_ms = counting_time(clock, records)
    cycle = cycle_at(meter.grids, counting_ms)
    said = await _statement(world, subject, meter, cycle, counted.counted, None) if cycle else None
    informed = cycle is not None and any(
        one.polls is not None
        and one.polls.last_success_ms is not None
        and one.polls.last_success_ms >= cycle.start_ms
        for one in counted.views
    )
    ended = await _ended(world, subject, licensed, counted.counted, records, counting_ms)
    found = await world.books.do(lambda ledger: ledger.refuted(meter.id))
    refuted = standing(found, counted.counted.declared)
    verdict = None
    if outcome.reporting is not None:
        verdict = reported(outcome.reporting)
    halted = Problem.of(pseudonym) if isinstance(pseudonym, UsageError) else None
    if outcome.reporting is None or (outcome.problem is not None and outcome.problem.ours):
        # Without a licence no other condition could say it; and a defect must not look like Ready.
        halted = halted or outcome.problem
    return View(
        name=subject.key.name,
        generation=subject.generation,
        now_ms=now_ms,
        findings=Findings(
            product=meter.key.product,
            spec=counted.spec,
            halted=halted,
            idle=_idle(licensed, cycle, counting_ms),
            clock=None if clock.problem is None else Problem.of(clock.problem),
            hint=clock.hint,
            refuted=contradicted(refuted, said, ended, counted.rules_digest),
            sources=counted.health,
            licensed=licensed.verdict,
            reported=verdict,
            within_entitlement=within_entitlement(
                licensed.maximum, said if informed else None, ended[0] if ended else None
            ),
        ),
        cycle=cycle,
        statement=said,
        informed=informed,
        maximum=licensed.maximum,
        refuted=len(refuted),
        ended=ended,
        sources=counted.views,
        reports=outcome.reports,
        previous=subject.conditions,
    )


def counting_time(clock: Judgement, records: Sequence[CycleRecord]) -> int:
    """Return the time that decides which cycle runs: one that is Final never runs again."""
    ends = [one.cycle.end_ms for one in records if one.state is CycleState.FINAL]
    return max((clock.counting_ms, *ends))


def _idle(licensed: Licensing, cycle: Cycle | None, now_ms: int) -> Verdict | None:
    """Why nothing is collected although nothing is wrong with the sources."""
    if cycle is not None:
        return None
    coming = next_cycle(licensed.meter.grids, now_ms)
    if coming is None:
        return Verdict(
            Status.UNKNOWN,
            Reason.NOT_COLLECTED_YET,
            "There is no cycle to count in before a first licence is valid.",
        )
    return Verdict(
        Status.UNKNOWN,
        Reason.NOT_COLLECTED_YET,
        f"The next cycle begins on {rfc3339(coming.start_ms)[:10]} (UTC): nothing is counted "
        "before that day, and nothing is to be done.",
    )


async def _ended(
    world: World,
    subject: Subject,
    licensed: Licensing,
    counted: Counted,
    records: Sequence[CycleRecord],
    counting_ms: int,
) -> tuple[Ended, ...]:
    """Return the ended cycles, newest first, with what is stated about each."""
    found = []
    for record in records:
        if record.cycle.end_ms > counting_ms:
            continue
        said = record.stated
        if said is None:
            end = record.cycle.end_ms
            said = await _statement(world, subject, licensed.meter, record.cycle, counted, end)
        found.append(Ended(record, said, licensed.maximum_in(record.cycle)))
    return tuple(found[:HISTORY])


async def _statement(
    world: World,
    subject: Subject,
    meter: Meter,
    cycle: Cycle,
    counted: Counted,
    as_of_ms: int | None,
) -> CycleStatement:
    """Return what can be stated now; computed again only after a poll or another declaration."""
    made_from = (counted.declared, counted.combine, counted.statuses, as_of_ms)
    kept = world.memory(subject.key).statements
    if cycle.start_ms in kept and kept[cycle.start_ms][0] == made_from:
        return kept[cycle.start_ms][1]
    said = await world.books.do(
        lambda ledger: ledger.statement(
            meter.id,
            cycle,
            sources=counted.declared,
            combine=counted.combine,
            as_of_ms=as_of_ms,
        )
    )
    for start in [start for start in kept if start < cycle.start_ms - _FORGET_MS]:
        del kept[start]
    kept[cycle.start_ms] = (made_from, said)
    return said


_FORGET_MS = 200 * 86_400_000
