"""From the steps' results to the view from which the status is made."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from licenseusage.api.model import rfc3339
from licenseusage.controller.effects.identity import PseudonymKey
from licenseusage.controller.rules.clockwatch import Judgement
from licenseusage.controller.rules.companions import counted_once
from licenseusage.controller.rules.conditions import Findings, Status, Verdict
from licenseusage.controller.rules.contradictions import contradicted, disagreeing
from licenseusage.controller.rules.ends import Counted
from licenseusage.controller.rules.entitlement import (
    WARN_AT_PERCENT,
    Entitled,
    thresholds_reached,
    within_entitlement,
)
from licenseusage.controller.rules.keystatus import keys_exported
from licenseusage.controller.rules.reported import reported
from licenseusage.controller.rules.status import HISTORY, Ended, View
from licenseusage.controller.rules.subject import Subject
from licenseusage.controller.settings import EXPORT
from licenseusage.controller.steps.counting import Counting
from licenseusage.controller.steps.licensing import Licensing
from licenseusage.controller.steps.reporting import ReportingResult
from licenseusage.controller.steps.world import World
from licenseusage.errors import Failure, UsageError
from licenseusage.ledger.documents.records import MeterFacts
from licenseusage.ledger.ledger import Ledger
from licenseusage.ledger.records import CycleRecord, CycleState, Meter
from licenseusage.metering.cycles import Cycle, cycle_at, next_cycle
from licenseusage.metering.forecast import (
    MOST_CYCLES,
    Forecast,
    Lack,
    forecast,
    lack_of,
    past_of,
)
from licenseusage.metering.statement import CycleStatement
from licenseusage.metering.stores import standing
from licenseusage.reasons import Reason


async def view_of(
    world: World,
    subject: Subject,
    facts: MeterFacts,
    licensed: Licensing,
    counted: Counting,
    outcome: ReportingResult,
    pseudonym: PseudonymKey | UsageError,
    clock: Judgement,
    now_ms: int,
) -> View:
    """Return the view of one reconcile.

    Raises:
        UsageError: The ledger cannot be read.
    """
    meter, records = facts.meter, facts.cycles[: HISTORY + 1]
    counting_ms = counting_time(clock, records)
    cycle = cycle_at(meter.grids, counting_ms)
    over = [record for record in records if record.cycle.end_ms <= counting_ms]
    running = None if cycle is None else _Wanted(cycle, None)
    unstated = [_at_its_end(record) for record in over if record.stated is None]
    wanted = unstated if running is None else [*unstated, running]
    made = await _statements(world, subject, meter, wanted, over[:MOST_CYCLES], counted.counted)
    statement = None if running is None else made[running]
    ended = tuple(
        Ended(record, record.stated or made[_at_its_end(record)], licensed.maximum_in(record.cycle))
        for record in over[:HISTORY]
    )
    informed = cycle is not None and _informed(counted, cycle)
    foreseen = _foreseen(statement if informed else None, ended, world.memory(subject.key).growth)
    percents = _percents(subject)
    shown = statement if informed else None
    entitled = _entitled(licensed.maximum, shown, percents, ended, foreseen)
    refuted = standing(facts.refuted, counted.counted.declared)
    return View(
        name=subject.key.name,
        generation=subject.generation,
        now_ms=now_ms,
        findings=Findings(
            product=meter.key.product,
            spec=counted.spec,
            halted=_halted(outcome, pseudonym),
            idle=_idle(licensed, cycle, counting_ms),
            clock=None if clock.problem is None else Failure.of(clock.problem),
            hint=clock.hint,
            refuted=contradicted(refuted, statement, ended, counted.rules_digest),
            remark=disagreeing(statement, ended, proved=False),
            beside=disagreeing(statement, ended, proved=True),
            sources=counted.health,
            licensed=licensed.verdict,
            reported=None if outcome.reporting is None else reported(outcome.reporting),
            within_entitlement=within_entitlement(entitled),
            counted_once=counted_once(facts.companions),
            keys_exported=_keys_exported(world, outcome, pseudonym),
        ),
        cycle=cycle,
        statement=statement,
        informed=informed,
        maximum=licensed.maximum,
        percents=percents if entitled else (),
        thresholds=thresholds_reached(
            entitled, subject.status, None if cycle is None else cycle.start_ms
        ),
        foreseen=foreseen,
        refuted=len(refuted),
        ended=ended,
        sources=counted.views,
        reports=outcome.reports,
        previous=subject.conditions,
        export_due_ms=outcome.export_due_ms,
        approval_due_ms=outcome.approval_due_ms,
    )


def _entitled(
    maximum: int | None,
    statement: CycleStatement | None,
    percents: Sequence[int],
    ended: Sequence[Ended],
    foreseen: Forecast | Lack | None,
) -> Entitled | None:
    if maximum is None:
        return None
    expected = foreseen if isinstance(foreseen, Forecast) else None
    return Entitled(maximum, statement, percents, ended[0] if ended else None, expected)


def _percents(subject: Subject) -> Sequence[int]:
    """Return at which parts of the maximum a person is warned."""
    if isinstance(subject.usage, UsageError):
        return ()
    wanted = subject.usage.spec.warn_at_percent
    return WARN_AT_PERCENT if wanted is None else wanted


def _informed(counted: Counting, cycle: Cycle) -> bool:
    """Whether any source was read since a cycle began."""
    return any(
        source.polls is not None
        and source.polls.last_success_ms is not None
        and source.polls.last_success_ms >= cycle.start_ms
        for source in counted.views
    )


def _keys_exported(
    world: World, outcome: ReportingResult, pseudonym: PseudonymKey | UsageError
) -> Verdict | None:
    ring = outcome.ring
    if ring is None or isinstance(pseudonym, UsageError):
        return None
    return keys_exported(ring, pseudonym.id, wanted=world.settings.keys_backup == EXPORT)


def _halted(outcome: ReportingResult, pseudonym: PseudonymKey | UsageError) -> Failure | None:
    """Return what stops the whole object; None: nothing does."""
    if isinstance(pseudonym, UsageError):
        return Failure.of(pseudonym)
    if outcome.reporting is None or (outcome.problem is not None and outcome.problem.ours):
        # Without a licence no other condition could say it; and a defect must not look like Ready.
        return outcome.problem
    return None


def counting_time(clock: Judgement, records: Sequence[CycleRecord]) -> int:
    """Return the time that decides which cycle runs: one that is Final never runs again."""
    ends = [record.cycle.end_ms for record in records if record.state is CycleState.FINAL]
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
            "No valid licence yet, so there is no billing cycle to count in.",
        )
    return Verdict(
        Status.UNKNOWN,
        Reason.NOT_COLLECTED_YET,
        f"The next cycle begins on {rfc3339(coming.start_ms)[:10]} (UTC): nothing is counted "
        "before that day, and nothing is to be done.",
    )


class _Wanted(NamedTuple):
    """A statement about a cycle, as of a time; None: as of the newest poll that succeeded."""

    cycle: Cycle
    as_of_ms: int | None


def _at_its_end(record: CycleRecord) -> _Wanted:
    return _Wanted(record.cycle, record.cycle.end_ms)


async def _statements(
    world: World,
    subject: Subject,
    meter: Meter,
    wanted: Sequence[_Wanted],
    ended: Sequence[CycleRecord],
    counted: Counted,
) -> dict[_Wanted, CycleStatement]:
    """Return what can be stated now; computed again only after a poll or another declaration.

    On the same trip it is read how the last cycles grew (`_past`), once for each.
    """
    memory = world.memory(subject.key)
    kept, growth = memory.statements, memory.growth
    made_from = {
        want: (counted.declared, counted.combine, counted.statuses, want.as_of_ms)
        for want in wanted
    }
    known = {
        want: kept[want.cycle.start_ms][1]
        for want in wanted
        if want.cycle.start_ms in kept and kept[want.cycle.start_ms][0] == made_from[want]
    }
    missing = [want for want in wanted if want not in known]
    grown = [
        record
        for record in ended
        if record.stated is not None
        and growth.get(record.cycle.start_ms, (None,))[0] != record.evidence
    ]
    if not missing and not grown:
        return known

    def work(
        ledger: Ledger,
    ) -> tuple[dict[_Wanted, CycleStatement], dict[int, tuple[int, tuple[int, ...]]]]:
        return {
            want: ledger.statement(
                meter.id,
                want.cycle,
                sources=counted.declared,
                combine=counted.combine,
                as_of_ms=want.as_of_ms,
            )
            for want in missing
        }, {
            record.cycle.start_ms: (record.evidence, ledger.first_days(meter.id, record.cycle))
            for record in grown
        }

    made, first_days = await world.books.do(work)
    oldest_ms = min([want.cycle.start_ms for want in missing], default=0) - _FORGET_MS
    for start in [start for start in kept if start < oldest_ms]:
        del kept[start]
    kept.update(
        {want.cycle.start_ms: (made_from[want], statement) for want, statement in made.items()}
    )
    memory.growth = {
        record.cycle.start_ms: (growth | first_days)[record.cycle.start_ms]
        for record in ended
        if record.cycle.start_ms in growth or record.cycle.start_ms in first_days
    }
    return known | made


_FORGET_MS = 200 * 86_400_000


def _foreseen(
    statement: CycleStatement | None,
    ended: Sequence[Ended],
    growth: Mapping[int, tuple[int, tuple[int, ...]]],
) -> Forecast | Lack | None:
    """Return what the running cycle may end with, or why nobody can say; None: there is none."""
    if statement is None:
        return None
    past = [
        shape
        for each in ended[:MOST_CYCLES]
        if each.record.stated is not None
        and each.record.cycle.start_ms in growth
        and (shape := past_of(each.statement, growth[each.record.cycle.start_ms][1])) is not None
    ]
    return lack_of(statement, len(ended), past) or forecast(statement, past)
