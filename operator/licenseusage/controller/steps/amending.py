"""The step after the final: evidence that came later narrows a statement, or contradicts it.

The decision is `metering.amendment`'s. A cycle is compared only after something came to be known of
it, under the rules that it was decided by: later ones say nothing about it, and a person restates.
"""

from collections.abc import Callable
from dataclasses import dataclass

from licenseusage.controller.effects.gatherer import Gatherer
from licenseusage.controller.rules.ends import Counted
from licenseusage.controller.rules.issuer import Issuer
from licenseusage.controller.steps.issuing import signing_of
from licenseusage.controller.steps.world import Judged, World
from licenseusage.errors import UsageError
from licenseusage.ledger.records import CycleRecord, CycleState
from licenseusage.metering.amendment import Narrowed, Refuted, due_ms, judge
from licenseusage.metering.cycles import Cycle
from licenseusage.metering.definitions import evidence_counts
from licenseusage.metering.lifecycle import MINUTE_MS

_ASKED_MS = 15 * MINUTE_MS
_AGAIN_MS = 10 * MINUTE_MS


@dataclass(frozen=True, slots=True)
class Amending:
    """What the step needs to know of an object.

    Attributes:
        counted: How its sources are counted.
        rules_digest: Of the rules as declared now.
        issuer: Who signs a report about a cycle; None: none is due; an error: it cannot be now.
        first_delay_ms: Random time before the first send.
    """

    counted: Counted
    rules_digest: str
    issuer: Callable[[Cycle], Issuer | UsageError | None]
    first_delay_ms: Callable[[], int]


def wants_judging(record: CycleRecord, rules_digest: str) -> bool:
    """Whether evidence about a cycle is compared with what was stated."""
    final = record.state is CycleState.FINAL and record.evidence > 0
    open_ = not record.wiped and record.contradiction is None
    return final and open_ and evidence_counts(record.rules_digest, rules_digest)


async def step(
    world: World,
    amending: Amending,
    known: Gatherer,
    judged: dict[int, Judged],
    asked_ms: int | None,
    now_ms: int,
) -> int | None:
    """Amend what is to be amended, oldest cycle first; return when to look again, None: never.

    Args:
        world: The surroundings.
        amending: The object.
        known: What the ledger knows of it.
        judged: Memory of this process, by the start of the cycle.
        asked_ms: When an administrator asked last; None: not lately.
        now_ms: The time.

    Raises:
        UsageError: The ledger cannot be read or written.
    """
    records = known.facts.cycles[: world.settings.keep_facts_cycles + 2]
    times: list[int] = []
    for record in reversed(records):
        if not wants_judging(record, amending.rules_digest):
            continue
        comparison = judged.get(record.cycle.start_ms)
        if comparison is None or comparison.evidence != record.evidence:
            comparison = Judged(record.evidence, await _judge(world, amending, record))
            judged[record.cycle.start_ms] = comparison
        if comparison.verdict is None:
            continue
        # By a clock that was ahead, perhaps.
        comparison.again_ms = min(comparison.again_ms, now_ms + _AGAIN_MS)
        asked = asked_ms is not None and now_ms - asked_ms < _ASKED_MS
        amended_ms = record.amendments[-1].at_ms if record.amendments else None
        asked = asked and (amended_ms is None or amended_ms < (asked_ms or 0))
        at_ms = max(due_ms(amended_ms, now_ms, asked=asked), 0 if asked else comparison.again_ms)
        if isinstance(comparison.verdict, Refuted):
            await _contradict(known, record.cycle, comparison.verdict, now_ms)
        elif at_ms > now_ms:
            times.append(at_ms)
        elif await _amend(known, amending, record.cycle, comparison.verdict, now_ms):
            comparison.verdict = None
        else:
            comparison.again_ms = now_ms + _AGAIN_MS
            times.append(comparison.again_ms)
    return min(times, default=None)


async def _judge(
    world: World, amending: Amending, record: CycleRecord
) -> Narrowed | Refuted | None:
    counted, stated = amending.counted, record.stated
    if stated is None:
        return None
    statement = await world.books.do(
        lambda ledger: ledger.statement(
            record.meter_id,
            record.cycle,
            sources=counted.declared,
            combine=counted.combine,
            as_of_ms=record.cycle.end_ms,
        )
    )
    return judge(
        stated, statement, {source.store.source: source.properties for source in counted.declared}
    )


async def _contradict(known: Gatherer, cycle: Cycle, verdict: Refuted, now_ms: int) -> None:
    meter_id = known.facts.meter.id
    await known.do(lambda ledger: ledger.contradict(meter_id, cycle, verdict.words, now_ms))


async def _amend(
    known: Gatherer, amending: Amending, cycle: Cycle, verdict: Narrowed, now_ms: int
) -> bool:
    """Make the amendment; False: it cannot be made now."""
    issuer, meter_id = amending.issuer(cycle), known.facts.meter.id
    if isinstance(issuer, UsageError):
        return False
    due_ms = now_ms + amending.first_delay_ms()
    signing = None if issuer is None else signing_of(issuer, due_ms)
    made = await known.do(
        lambda ledger: ledger.amend_cycle(
            meter_id, cycle, verdict.statement, verdict.words, now_ms, signing
        )
    )
    return made is not None
