"""Reconciling one key: independent steps, level-based, each failing into its own condition.

Take the object as the watch told it, gather facts, do what is due, write the status if it says
something new, and return when to look again. No step waits for a product or for the vendor: polls
and deliveries run beside it and put the key back into the queue. Everything here can be repeated at
any time.
"""

import asyncio
from dataclasses import dataclass
from typing import Any

import structlog

from licenseusage.api.licenseusage import LicenseUsage
from licenseusage.controller.effects import defects
from licenseusage.controller.effects.dependencies import (
    CALM_SECONDS,
    LONGEST_SECONDS,
    patience_seconds,
)
from licenseusage.controller.effects.identity import PseudonymKey
from licenseusage.controller.effects.kube import KubeError, NotFoundError
from licenseusage.controller.effects.shippedpresets import preset_configmaps
from licenseusage.controller.rules import status, transitions
from licenseusage.controller.rules.approval import MANUAL
from licenseusage.controller.rules.clockwatch import Judgement
from licenseusage.controller.rules.conditions import Findings, Verdict
from licenseusage.controller.rules.ends import Counted
from licenseusage.controller.rules.gauges import gauges
from licenseusage.controller.rules.issuer import Context
from licenseusage.controller.rules.key import Key
from licenseusage.controller.rules.resources import (
    CONFIGMAPS,
    SECRETS,
    USAGES,
    Dependency,
    reports_of,
)
from licenseusage.controller.rules.subject import Subject
from licenseusage.controller.rules.withheld import WITHHELD, withheld_by
from licenseusage.controller.steps import counting, licensing, reporting
from licenseusage.controller.steps.contracts import reported_from_ms
from licenseusage.controller.steps.finishing import finish, meters_of
from licenseusage.controller.steps.gone import reconcile_gone
from licenseusage.controller.steps.meters import (
    begin_cycles,
    clock_of,
    follow_daily_facts,
    gathered,
    keys_of,
    keys_pending,
    naming_the_lost_key,
    site_of,
    vendor_keys_of,
)
from licenseusage.controller.steps.viewing import view_of
from licenseusage.controller.steps.world import World
from licenseusage.errors import Consequence, Failure, Stalled, UsageError
from licenseusage.ledger.documents.records import MeterFacts
from licenseusage.metering.lifecycle import HOUR_MS
from licenseusage.reasons import Reason

_SUSPENDED = "Reporting"
_EXPORT = "Export"
_log = structlog.get_logger(__name__)


async def reconcile(world: World, key: Key) -> float | None:
    """Do what is due for one key; return in how many seconds to look again, None: never.

    Raises:
        KubeError: The API server refuses or does not answer.
    """
    if not world.settings.watches(key.namespace):
        return None  # nothing of it is read, closed or reported, whatever the ledger remembers
    now_ms = world.clock.now_ms()
    world.dependencies.begin(key)
    raw = world.watched.object(key)
    if raw is None:
        try:
            raw = await world.kube.get(USAGES, key.namespace, key.name)
        except NotFoundError:
            world.watched.gone(key)
            return await reconcile_gone(world, key, now_ms)
        world.watched.seen(key, raw)
    if "deletionTimestamp" in raw["metadata"]:
        return LONGEST_SECONDS  # its end is an event
    try:
        subject = Subject.read(key, raw)
        since_s = subject.waits_since_s(world.clock.offset_seconds)
        world.metrics.look(key, since_s, subject.worked)
    except Exception as error:
        problem = _defect(world, key, error, "it read the object")
        subject = Subject(key, raw, Stalled(Reason.INTERNAL_ERROR, problem.message))
    if isinstance(subject.usage, UsageError):
        return await _without(world, subject, Failure.of(subject.usage), now_ms)
    try:
        taken = await _steps(world, subject, subject.usage, now_ms)
    except UsageError as error:
        # The ledger's disk, or a spec that no later step can do without: what the status says
        # about counts stands, since the ledger keeps what it had.
        return await _without(world, subject, Failure.of(error), now_ms)
    except KubeError:
        raise
    except Exception as error:
        problem = _defect(world, key, error, "it counted")
        return await _without(world, subject, problem, now_ms)
    try:
        return await _show(world, subject, taken, now_ms)
    except UsageError as error:
        halted = Failure.of(error)
    except KubeError:
        raise
    except Exception as error:
        halted = _defect(world, key, error, "it made the status")
    return await _say(world, subject, halted, now_ms)


@dataclass(frozen=True, slots=True)
class _Taken:
    """What the steps of one reconcile came to."""

    usage: LicenseUsage
    facts: MeterFacts
    licensed: licensing.Licensing
    counted: counting.Counting
    outcome: reporting.ReportingResult
    pseudonym: PseudonymKey | UsageError
    clock: Judgement


async def _steps(world: World, subject: Subject, usage: LicenseUsage, now_ms: int) -> _Taken:
    """Count, close and report.

    Raises:
        UsageError: The ledger cannot be read or written, or the spec cannot be acted on.
    """
    key, loop_s = subject.key, asyncio.get_running_loop().time()
    requested = _requested(world, subject)
    if requested:
        world.reader.forget(key.namespace)
        world.reader.forget(world.settings.operator_namespace)
    await keys_pending(world, loop_s)
    pseudonym, signing = await keys_of(world, loop_s)
    known = await gathered(world, subject, usage, signing, now_ms)
    clock, meter = clock_of(world, known.facts, now_ms), known.facts.meter
    try:
        licensed = await licensing.step(
            usage,
            meter,
            known,
            world.reader,
            world.vendor,
            ring=None if isinstance(signing, UsageError) else signing,
            reported_from_ms=lambda license_: reported_from_ms(
                world, key, known.facts, signing, license_
            ),
            now_ms=now_ms,
            loop_s=loop_s,
        )
    except (UsageError, KubeError):
        raise
    except Exception as error:  # as a bad licence, a defect does not stop the count
        problem = _defect(world, key, error, "it read the licence")
        licensed = licensing.unread(meter, Verdict.failed(problem), now_ms)
    await follow_daily_facts(world, key, known, subject.raw.get("spec") or {}, now_ms)
    await begin_cycles(known, clock.counting_ms)
    pseudonym = naming_the_lost_key(pseudonym, known.facts.unfinished)
    counted = await counting.step(
        world, subject, usage, known.facts, pseudonym, now_ms, requested=requested
    )
    context = Context(
        key=key,
        license=licensed.license,
        signing=signing,
        vendor_keys=await vendor_keys_of(world, licensed.license, loop_s),
        suspended=usage.spec.suspend == _SUSPENDED,
        export=usage.spec.reporting is not None and usage.spec.reporting.mode == _EXPORT,
        approval=usage.spec.reporting is not None and usage.spec.reporting.approval == MANUAL,
        interims=usage.spec.reporting is None or usage.spec.reporting.interims != WITHHELD,
        adopt_head=None if usage.spec.reporting is None else usage.spec.reporting.adopt_head,
        counted=counted.counted,
        sources=counted.sources,
        rules_digest=counted.rules_digest,
        key_id=None if isinstance(pseudonym, UsageError) else pseudonym.id,
        clock=clock,
        site=site_of(world),
        withheld=withheld_by(subject.raw.get("spec") or {}),
        requested=requested,
    )
    outcome = await reporting.step(world, context, known, now_ms, loop_s)
    return _Taken(usage, known.facts, licensed, counted, outcome, pseudonym, clock)


async def _show(world: World, subject: Subject, taken: _Taken, now_ms: int) -> float:
    """Write the status; return in how many seconds to look again.

    Raises:
        UsageError: The ledger cannot be read.
        KubeError: The API server refuses or does not answer.
    """
    counted, outcome = taken.counted, taken.outcome
    view = await view_of(
        world,
        subject,
        taken.facts,
        taken.licensed,
        counted,
        outcome,
        taken.pseudonym,
        taken.clock,
        now_ms,
    )
    license_ = taken.licensed.license
    expiry_s = None if license_ is None else license_.expires_s
    world.metrics.show(subject.key, gauges(view, outcome.reports, expiry_s))
    await _write(world, subject, status.compose(view))
    limit = _patience(world, subject, view.findings, taken)
    expires_ms = taken.licensed.expires_ms(now_ms)
    return _seconds_until(now_ms, limit, counted.next_ms, outcome.next_ms, expires_ms)


def _patience(
    world: World, subject: Subject, findings: Findings, taken: _Taken | None = None
) -> float:
    """Return in how many seconds to look again, whatever is due; note what to look at until then.

    An object that is calm changes by what happens only, and by what is due. Others are looked at
    ever more rarely as long as the same is found.
    """
    key, settings, on = subject.key, world.settings, set(world.collector.depends(subject.key))
    own = settings.operator_namespace
    on.add(Dependency(SECRETS, own, settings.identity_secret))
    on.add(Dependency(SECRETS, own, settings.pseudonym_secret))
    if taken is not None:
        on |= preset_configmaps(key.namespace, taken.usage)
    if taken is not None and taken.usage.spec.license is not None:
        on.add(Dependency(SECRETS, key.namespace, taken.usage.spec.license.secret_ref.name))
        on.add(Dependency(CONFIGMAPS, own, settings.vendor_keys_configmap))
    if taken is not None and taken.outcome.approving:
        on.add(reports_of(key))
    world.dependencies.set(key, on)
    problems = [(source.name, source.problem) for source in findings.sources]
    overall = (findings.spec, findings.halted, findings.licensed, findings.reported)
    looks = world.memory(key).same((subject.generation, problems, overall))
    calm = taken is not None and taken.outcome.problem is None and findings.calm
    return CALM_SECONDS if calm else patience_seconds(looks)


async def _without(world: World, subject: Subject, problem: Failure, now_ms: int) -> float:
    """Say why an object cannot be acted on; what was begun of it ends all the same.

    What is tried again by itself is not taken for the end: with the sources more can be stated.
    """
    times: list[int | None] = []
    if problem.consequence is Consequence.NEEDS_A_PERSON or problem.ours:
        spec = subject.raw.get("spec") or {}
        hours, counted = spec.get("closeGraceHours"), Counted()
        if isinstance(hours, int):
            counted = Counted(grace_ms=hours * HOUR_MS)
        suspended = spec.get("suspend") == _SUSPENDED
        way = spec.get("reporting")
        export = isinstance(way, dict) and way.get("mode") == _EXPORT
        approval = isinstance(way, dict) and way.get("approval") == MANUAL
        try:
            for meter in await meters_of(world, subject.key):
                if meter.deleted_ms is None:
                    outcome = await finish(
                        world,
                        subject.key,
                        meter,
                        now_ms,
                        counted=counted,
                        suspended=suspended,
                        export=export,
                        withheld=withheld_by(spec),
                        approval=approval,
                    )
                    times.append(outcome.next_ms)
        except UsageError as error:
            _log.warning("not finished", object=str(subject.key), reason=error.reason)
        except Exception as error:
            _defect(world, subject.key, error, "it finished what was begun")
    limit = await _say(world, subject, problem, now_ms)
    return _seconds_until(now_ms, limit, *times)


def _defect(world: World, key: Key, error: Exception, doing: str) -> Failure:
    return defects.problem_of(error, world.metrics, key, doing)


async def _say(world: World, subject: Subject, halted: Failure, now_ms: int) -> float:
    """Write conditions and nothing else; what the status says about counts stands."""
    product = str((subject.raw.get("spec") or {}).get("product", ""))
    findings = Findings(product, halted=halted)
    desired = status.with_conditions(
        subject.status, findings, subject.conditions, subject.generation, now_ms
    )
    await _write(world, subject, desired)
    return _patience(world, subject, findings)


async def _write(world: World, subject: Subject, desired: dict[str, Any]) -> None:
    """Write the status if it says something new, then tell what turned.

    Raises:
        KubeError: The API server refuses or does not answer.
    """
    key = subject.key
    world.metrics.judge(key, desired["conditions"])
    if not status.changed(subject.status, desired):
        return
    try:
        world.watched.writes(key, desired)
        raw = await world.kube.apply_status(
            USAGES, key.namespace, key.name, "LicenseUsage", desired
        )
    except NotFoundError:
        return  # deleted meanwhile; its event is on the way
    world.watched.wrote(key, raw)
    for event in transitions.of_status(subject.status, desired):
        await world.events.post(subject.raw, event, world.machine_s())


def _requested(world: World, subject: Subject) -> bool:
    """Whether an administrator asks for a poll and a delivery now: a value not seen before."""
    memory = world.memory(subject.key)
    before, memory.requested = memory.requested, subject.requested
    return before != "" and subject.requested is not None and subject.requested != before


def _seconds_until(now_ms: int, limit: float, *times: int | None) -> float:
    """Return the seconds to the earliest time, at most ``limit``.

    Overdue work that failed is retried after one second, so that a failing step cannot spin.
    """
    waits = [(at - now_ms) / 1000 if at > now_ms else 1.0 for at in times if at is not None]
    return max(0.05, min([limit, *waits]))
