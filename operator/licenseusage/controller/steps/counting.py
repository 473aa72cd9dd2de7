"""The counting step: begins the polls that are due and says how every source does."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace

from licenseusage.api.licenseusage import LicenseUsage
from licenseusage.controller.effects import defects
from licenseusage.controller.effects.collection import Collector
from licenseusage.controller.effects.identity import PseudonymKey
from licenseusage.controller.effects.shippedpresets import shipped_presets
from licenseusage.controller.rules.conditions import SourceHealth, Underway
from licenseusage.controller.rules.declared import Declared, declared, rules_digest, stores
from licenseusage.controller.rules.ends import Counted
from licenseusage.controller.rules.key import Key
from licenseusage.controller.rules.pushplan import IntakeFacts, plan_push
from licenseusage.controller.rules.sourcehealth import grace_problem
from licenseusage.controller.rules.sourceplan import (
    ObjectFacts,
    SourceFacts,
    SourcePlan,
    plan,
)
from licenseusage.controller.rules.status import SourceView
from licenseusage.controller.rules.subject import Subject
from licenseusage.controller.steps.world import World
from licenseusage.errors import Failure, UsageError
from licenseusage.ledger.documents.records import MeterFacts
from licenseusage.metering.combine import Combine
from licenseusage.metering.lifecycle import HOUR_MS


@dataclass(frozen=True, slots=True)
class Counting:
    """What the step came to.

    Attributes:
        sources: As declared; one that met a defect has no definition and a problem.
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
    spec: Failure | None
    rules_digest: str
    next_ms: int | None


async def step(
    world: World,
    subject: Subject,
    usage: LicenseUsage,
    facts: MeterFacts,
    pseudonym: PseudonymKey | UsageError,
    now_ms: int,
    *,
    requested: bool,
) -> Counting:
    """Begin the polls that are due and say how every source does.

    Args:
        world: The surroundings.
        subject: The object.
        usage: Its model.
        facts: What the ledger knows of its meter.
        pseudonym: The key of the pseudonyms; an error: nothing can be polled.
        now_ms: The reconcile's one time.
        requested: An administrator asks for a poll now.
    """

    def defect(error: Exception, doing: str) -> Failure:
        return defects.problem_of(error, world.metrics, subject.key, doing)

    loop_s = asyncio.get_running_loop().time()
    shipped = await shipped_presets(world.reader, subject.key.namespace, usage, loop_s)
    sources = declared(usage, defect, shipped)
    of = _facts_of(world, subject, usage, sources, facts, pseudonym, requested=requested)
    world.collector.forget(subject.key, {source.name for source in sources})
    done = [await _serve(world, of, source, now_ms, defect) for source in sources]
    sources, plans = tuple(source for source, _ in done), [planned for _, planned in done]
    pushed = {
        source.name: planned.pushed
        for source, planned in zip(sources, plans, strict=True)
        if planned.pushed is not None
    }
    world.intake.declare(subject.key, pushed)
    grace_ms = usage.spec.close_grace_hours * HOUR_MS
    return Counting(
        sources=sources,
        counted=Counted(
            declared=tuple(planned.counted for planned in plans),
            unasked=frozenset(
                source.name
                for source in sources
                if source.unusable
                or (source.source is not None and source.source.pushed is not None)
            ),
            combine=Combine(usage.spec.combine),
            grace_ms=grace_ms,
            skews={
                source.name: world.collector.memory(subject.key, source.name).clock_skew_ms
                for source in sources
            },
            statuses=facts.statuses,
        ),
        health=tuple(planned.health for planned in plans),
        views=tuple(planned.view for planned in plans),
        spec=grace_problem(sources, of.wanting, grace_ms),
        rules_digest=of.rules_digest,
        next_ms=min(
            (planned.next_ms for planned in plans if planned.next_ms is not None), default=None
        ),
    )


def _facts_of(
    world: World,
    subject: Subject,
    usage: LicenseUsage,
    sources: tuple[Declared, ...],
    facts: MeterFacts,
    pseudonym: PseudonymKey | UsageError,
    *,
    requested: bool,
) -> ObjectFacts:
    key = None if isinstance(pseudonym, UsageError) else pseudonym
    return ObjectFacts(
        subject=subject,
        product=usage.spec.product,
        ledger=facts,
        stores=stores(sources, key.id if key else ""),
        former=stores(sources, key.replaces) if key and key.replaces else {},
        rules_digest=rules_digest(sources, usage.spec.combine),
        key_id=key.id if key else None,
        roster_gap_ms=1000 * world.settings.roster_gap_seconds,
        kept=world.settings.keep_facts_cycles + 2,
        requested=requested,
        loop_s=asyncio.get_running_loop().time(),
    )


async def _serve(
    world: World,
    of: ObjectFacts,
    declared: Declared,
    now_ms: int,
    defect: Callable[[Exception, str], Failure],
) -> tuple[Declared, SourcePlan]:
    """Plan for one source and begin its poll; a defect makes it unusable and stops no other."""
    collector = world.collector
    try:
        if declared.source is not None and declared.source.pushed is not None:
            intake = world.intake
            seen = IntakeFacts(intake.on, intake.problem(of.subject.key, declared.name))
            return declared, plan_push(of, declared.source, seen, now_ms)
        source = await _source_facts(collector, of.subject.key, declared)
        planned = plan(of, source, now_ms)
        if planned.poll is not None:
            collector.start(planned.poll)
    except UsageError:
        raise
    except Exception as error:
        problem = defect(error, f"it looked at source {declared.name}")
        declared = replace(declared, source=None, problem=problem)
        planned = plan(of, await _source_facts(collector, of.subject.key, declared), now_ms)
    return declared, planned


async def _source_facts(collector: Collector, key: Key, declared: Declared) -> SourceFacts:
    name, underway, changed = declared.name, None, False
    if collector.running(key, name):
        underway = Underway.WAITS if collector.waits(key, name) else Underway.RUNS
    elif declared.source is not None:
        changed = await collector.credentials_changed(key, declared.source)
    return SourceFacts(
        declared,
        collector.memory(key, name),
        underway,
        collector.waiting_for(key, name),
        changed,
    )
