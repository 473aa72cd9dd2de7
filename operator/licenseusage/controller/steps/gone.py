"""Finishing a deleted object: its cycle still ends, with a report of the gap."""

from licenseusage.controller.rules.ends import Counted
from licenseusage.controller.rules.key import Key
from licenseusage.controller.rules.resources import reports_of
from licenseusage.controller.steps.finishing import finish, meters_of
from licenseusage.controller.steps.reporting import ReportingResult
from licenseusage.controller.steps.world import World
from licenseusage.errors import UsageError
from licenseusage.ledger.documents.records import Delivery
from licenseusage.ledger.records import Meter

_LONGEST_SECONDS = 600.0
_RETRY_SECONDS = 55.0
_UNDELIVERED = (Delivery.PENDING, Delivery.SENDING, Delivery.AWAITING_APPROVAL)


async def reconcile_gone(world: World, key: Key, now_ms: int) -> float | None:
    """Do what is due for a deleted object; return when to look again, None: nothing is left.

    The grace passes first, so that an object which GitOps deletes and applies again continues its
    cycle as if nothing had happened.
    """
    world.metrics.forget(key)
    world.collector.forget(key, set())
    world.intake.declare(key, {})
    world.remembered.pop(key, None)
    try:
        left = [await _finish(world, key, meter, now_ms) for meter in await meters_of(world, key)]
    except UsageError:
        world.dependencies.set(key)
        return _RETRY_SECONDS  # the ledger's trouble is told by every object that exists
    approving = any(outcome.approving for outcome, _ in left)
    world.dependencies.set(key, (reports_of(key),) if approving else ())
    return min((wait for _, wait in left if wait is not None), default=None)


async def _finish(
    world: World, key: Key, meter: Meter, now_ms: int
) -> tuple[ReportingResult, float | None]:
    """Finish one meter; return what came of it, and when to look again, None: nothing is left."""
    if meter.deleted_ms is None:
        await world.books.do(lambda ledger: ledger.meter_deleted(meter.id, now_ms))
    outcome = await finish(
        world, key, meter, now_ms, counted=Counted(), suspended=False, export=None
    )
    unfinished = await world.books.do(lambda ledger: ledger.unfinished_cycles(meter.id))
    waiting = any(report.state in _UNDELIVERED for report in outcome.reports)
    if not unfinished and not waiting:
        return outcome, None
    if outcome.next_ms is None:
        return outcome, _LONGEST_SECONDS
    return outcome, min(_LONGEST_SECONDS, max(1.0, (outcome.next_ms - now_ms) / 1000))
