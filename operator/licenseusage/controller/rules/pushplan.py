"""The needs and the health of a source whose product pushes: nothing is polled."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from licenseusage.api.model import rfc3339
from licenseusage.controller.rules.conditions import SourceHealth
from licenseusage.controller.rules.pushes import PushTarget
from licenseusage.controller.rules.sourceplan import ObjectFacts, SourcePlan
from licenseusage.controller.rules.status import SourceView
from licenseusage.errors import Consequence, Failure
from licenseusage.ledger.records import CycleRecord, LastPolls
from licenseusage.metering.definitions import evidence_counts
from licenseusage.metering.pushes import heard_until_ms
from licenseusage.metering.stores import DeclaredSource
from licenseusage.reasons import Reason
from licenseusage.sources.definition.model import EffectiveSource

_NO_PRODUCERS = (
    "push.producers is not declared, so that silence proves nothing: the number is a lower bound."
)


@dataclass(frozen=True, slots=True)
class IntakeFacts:
    """What the intake knows of one source.

    Attributes:
        on: The operator's settings turn the intake on.
        problem: Why nothing can be taken, or why the last request was refused; None: nothing is
            wrong.
    """

    on: bool
    problem: Failure | None = None


def plan_push(
    of: ObjectFacts, effective: EffectiveSource, intake: IntakeFacts, now_ms: int
) -> SourcePlan:
    """Return how a pushed source is counted, how it does, and what the intake has to know."""
    name = effective.name
    polls = of.ledger.statuses.get(name)
    counted = DeclaredSource(
        of.stores[name],
        replace(effective.properties, roster_gap_ms=of.roster_gap_ms),
        effective.interval_ms,
        effective.selection,
        effective.declaration,
        of.former.get(name),
    )
    heartbeats = of.ledger.heartbeats.get(name, {})
    success_ms = polls.last_success_ms if polls else None
    if success_ms is not None and effective.push.producers:
        # What others send says nothing of a producer that is silent.
        heard_ms = heard_until_ms(effective.push.producers, heartbeats)
        success_ms = None if heard_ms is None else min(success_ms, heard_ms)
    problem = _problem(effective, intake, polls, success_ms, heartbeats, now_ms)
    health = SourceHealth(
        name,
        success_ms,
        effective.interval_ms,
        problem,
        hint=None if effective.push.producers else f"Source {name}: {_NO_PRODUCERS}",
    )
    stale_ms = None if success_ms is None else success_ms + 2 * effective.interval_ms + 1
    return SourcePlan(
        counted,
        health,
        SourceView(name, polls, problem),
        next_ms=stale_ms if stale_ms is not None and stale_ms > now_ms else None,
        pushed=None if of.key_id is None else _target(of, effective, counted, of.key_id),
    )


def _target(
    of: ObjectFacts, effective: EffectiveSource, counted: DeclaredSource, key_id: str
) -> PushTarget:
    kept = (*of.ledger.unfinished, *of.ledger.cycles[: of.kept])
    return PushTarget(
        key=of.subject.key,
        meter_id=of.ledger.meter.id,
        product=of.product,
        source=effective,
        store=counted.store,
        cycles=tuple({record.cycle for record in kept if _takes(record, of, key_id)}),
        grids=of.ledger.meter.grids,
        interval_ms=counted.interval_ms,
        rules_digest=of.rules_digest,
        key_id=key_id,
        ends_ms=min((cycle.end_ms for cycle in of.wanting), default=math.inf),
    )


def _takes(record: CycleRecord, of: ObjectFacts, key_id: str) -> bool:
    """Whether activity of a cycle still counts: a decided one takes it by its own rules only."""
    if record.intent is None:
        return True
    return (
        not record.wiped
        and not record.sealed
        and evidence_counts(record.rules_digest, of.rules_digest)
        and record.pseudonym_key_id in {None, key_id}
    )


def _problem(
    effective: EffectiveSource,
    intake: IntakeFacts,
    polls: LastPolls | None,
    success_ms: int | None,
    heartbeats: Mapping[str, int | None],
    now_ms: int,
) -> Failure | None:
    name = effective.name
    if not intake.on:
        return Failure(
            Reason.INTAKE_OFF,
            f"Source {name}: the product pushes its activity, and the operator's intake is off. An "
            "administrator adds manifests/components/intake, or sets LICENSEUSAGE_INTAKE_ADDRESS.",
            Consequence.NEEDS_A_PERSON,
        )
    if intake.problem is not None:
        return intake.problem
    if success_ms is not None and now_ms - success_ms <= 2 * effective.interval_ms:
        return None
    last_ms = polls.last_success_ms if polls else None
    silent = [
        producer
        for producer in effective.push.producers
        if now_ms - (heartbeats.get(producer) or 0) > 2 * effective.interval_ms
    ]
    if last_ms is not None and silent:
        return _silent(effective, silent, heartbeats)
    since = "yet" if last_ms is None else f"since {rfc3339(last_ms)}"
    accounts = ", ".join(effective.push.service_accounts)
    return Failure(
        Reason.NOTHING_PUSHED,
        f"Source {name}: nothing was pushed {since} by the service accounts it names ({accounts}). "
        "See the product's log; a heartbeat is due also where nobody is active (docs/push.md).",
        Consequence.RETRIES,
    )


def _silent(
    effective: EffectiveSource, silent: list[str], heartbeats: Mapping[str, int | None]
) -> Failure:
    first = silent[0]
    last_ms = heartbeats.get(first)
    since = (
        "has sent no heartbeat yet" if last_ms is None else f"is silent since {rfc3339(last_ms)}"
    )
    others = f", and {len(silent) - 1} more" if len(silent) > 1 else ""
    minutes = effective.interval_ms // 60_000
    return Failure(
        Reason.PRODUCER_SILENT,
        f"Source {effective.name}: producer {first} {since}{others}; a heartbeat of each is due "
        f"every {minutes} min. See its log; if it is gone for good, remove it from push.producers.",
        Consequence.RETRIES,
    )
