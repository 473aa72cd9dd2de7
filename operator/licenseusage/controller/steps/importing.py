"""Reconciling a UsageReceipt: the vendor's receipts, brought as an object (REPORT_FORMAT §8).

Each receipt is verified like an answer of the vendor's endpoint, and does to the ledger what that
does, once. It may come before its report, twice, or after newer ones.
"""

import asyncio
from collections.abc import Sequence

import structlog

from licenseusage.controller.effects import defects
from licenseusage.controller.effects.dependencies import FIRST_SECONDS, LONGEST_SECONDS
from licenseusage.controller.effects.kube import KubeError, NotFoundError
from licenseusage.controller.rules.imported import Standing, compose, halted
from licenseusage.controller.rules.key import Key, ReceiptsKey
from licenseusage.controller.rules.resources import CONFIGMAPS, RECEIPTS, SECRETS, Dependency
from licenseusage.controller.rules.status import changed
from licenseusage.controller.rules.trace import trace_of
from licenseusage.controller.steps.receipts import Desk, Imported
from licenseusage.controller.steps.world import World
from licenseusage.errors import Failure, UsageError
from licenseusage.ledger.ledger import Ledger
from licenseusage.reports.keys import VendorKeys

_log = structlog.get_logger(__name__)


async def reconcile_receipts(world: World, key: ReceiptsKey) -> float | None:
    """Use the receipts of one object; return in how many seconds to look again, None: never.

    Raises:
        KubeError: The API server refuses or does not answer.
    """
    at = key.at
    if not world.settings.watches(at.namespace):
        return None
    now_ms = world.clock.now_ms()
    raw = world.receipts.watched.object(at)
    if raw is None:
        try:
            raw = await world.kube.get(RECEIPTS, at.namespace, at.name)
        except NotFoundError:
            world.receipts.gone(at)
            world.dependencies.set(key)
            return None
        world.receipts.watched.seen(at, raw)
    if "deletionTimestamp" in raw["metadata"]:
        return LONGEST_SECONDS  # its end is an event
    world.dependencies.begin(key)
    live, generation = dict(raw.get("status") or {}), int(raw["metadata"].get("generation", 0))
    previous = live.get("conditions") or []
    try:
        imported = await _import(world, at, _tokens(raw), now_ms)
    except UsageError as error:
        problem = Failure.of(error)
    except KubeError:
        raise
    except Exception as error:
        problem = defects.problem_of(error, world.metrics, at, "it imported receipts")
    else:
        await _write(world, at, live, compose(imported.receipts, previous, generation, now_ms))
        _depend(world, key, imported)
        _tell(world, at, imported)
        return None
    world.receipts.looked(at, ())
    await _write(world, at, live, halted(live, problem, previous, generation, now_ms))
    return FIRST_SECONDS


async def _import(world: World, at: Key, tokens: Sequence[str], now_ms: int) -> Imported:
    """Use every receipt that can be used now.

    Raises:
        UsageError: The ledger cannot be read or written.
    """
    loop_s = asyncio.get_running_loop().time()
    vendor_keys: VendorKeys | UsageError
    try:
        vendor_keys = await world.vendor.read(world.reader, loop_s)
    except UsageError as error:
        vendor_keys = error
    try:
        ring = await world.keys.ring(loop_s)
    except UsageError:
        ring = None
    desk = Desk(at.namespace, vendor_keys, world.vendor.named, ring)

    def work(ledger: Ledger) -> Imported:
        return desk.take(ledger, tokens, now_ms)

    return await world.books.do(work)


def _tokens(raw: dict[str, object]) -> list[str]:
    """Return the receipts of an object, each once; the schema has checked what they look like."""
    spec = raw.get("spec")
    receipts = spec.get("receipts") if isinstance(spec, dict) else None
    return list(dict.fromkeys(map(str, receipts if isinstance(receipts, list) else ())))


async def _write(
    world: World, at: Key, live: dict[str, object], desired: dict[str, object]
) -> None:
    """Write the status if it says something new.

    Raises:
        KubeError: The API server refuses or does not answer.
    """
    if not changed(live, desired):
        return
    watched = world.receipts.watched
    try:
        watched.writes(at, desired)
        raw = await world.kube.apply_status(
            RECEIPTS, at.namespace, at.name, "UsageReceipt", desired
        )
    except NotFoundError:
        return  # deleted meanwhile; its event is on the way
    watched.wrote(at, raw)


def _depend(world: World, key: ReceiptsKey, imported: Imported) -> None:
    """Note what has to change before more of the receipts can be used."""
    open_ = [r for r in imported.receipts if r.standing is not Standing.USED]
    waiting = [r.subject for r in open_ if r.standing is Standing.WAITING and r.subject]
    world.receipts.looked(key.at, waiting)
    settings = world.settings
    own = settings.operator_namespace
    on = [
        Dependency(CONFIGMAPS, own, settings.vendor_keys_configmap),
        Dependency(SECRETS, own, settings.identity_secret),
    ]
    world.dependencies.set(key, on if open_ else ())


def _tell(world: World, at: Key, imported: Imported) -> None:
    """Wake the LicenseUsages whose documents were acknowledged, with an event for each."""
    for usage, attempts in imported.attempts.items():
        for attempt in attempts:
            _log.info(
                "receipt imported",
                object=str(usage),
                usagereceipt=str(at),
                trace=trace_of(usage, attempt.queued.cycle),
                document=attempt.queued.jti,
                state=str(attempt.settlement.state),
                reason=attempt.settlement.reason,
            )
        world.verdicts.settled(usage, tuple(attempts))
    for usage in imported.lost - imported.attempts.keys():
        world.verdicts.settled(usage, ())
