"""What is left to do for a deleted object: its cycle still ends, with a report of the gap."""

import asyncio

from licenseusage.controller import reporting
from licenseusage.controller.closing import Counted
from licenseusage.controller.issuing import Context
from licenseusage.controller.key import Key
from licenseusage.controller.meters import clock_of, keys_of, vendor_keys_of
from licenseusage.controller.world import World
from licenseusage.errors import UsageError
from licenseusage.ledger.documents import Delivery
from licenseusage.ledger.ledger import Ledger
from licenseusage.ledger.records import Meter
from licenseusage.reports.licence import stored_license

_LONGEST_SECONDS = 600.0
_RETRY_SECONDS = 55.0


async def reconcile_gone(world: World, key: Key, now_ms: int) -> float | None:
    """Do what is due for a deleted object; return when to look again, None: nothing is left.

    The grace passes first, so that an object which GitOps deletes and applies again continues its
    cycle as if nothing had happened.
    """
    world.metrics.forget(key)
    world.collector.forget(key, set())
    world.remembered.pop(key, None)
    try:
        meters = [
            meter
            for meter in await world.books.do(Ledger.meters)
            if (meter.key.namespace, meter.key.name) == key
        ]
        waits = [await _finish(world, key, meter, now_ms) for meter in meters]
    except UsageError:
        return _RETRY_SECONDS  # the ledger's trouble is told by every object that exists
    return min((wait for wait in waits if wait is not None), default=None)


async def _finish(world: World, key: Key, meter: Meter, now_ms: int) -> float | None:
    loop_s = asyncio.get_running_loop().time()
    if meter.deleted_ms is None:
        await world.books.do(lambda ledger: ledger.meter_deleted(meter.id, now_ms))
    pseudonym, signing = await keys_of(world, loop_s)
    context = Context(
        key=key,
        meter=meter,
        license=stored_license(meter.license_token) if meter.license_token else None,
        signing=signing,
        vendor_keys=await vendor_keys_of(world, loop_s),
        suspended=False,
        counted=Counted(),
        sources=(),
        rules_digest=_NO_RULES,
        key_id=None if isinstance(pseudonym, UsageError) else pseudonym.id,
        clock=await clock_of(world, now_ms),
        gone=True,
    )
    outcome = await reporting.step(world, context, now_ms, loop_s)
    unfinished = await world.books.do(lambda ledger: ledger.unfinished_cycles(meter.id))
    waiting = any(one.state in (Delivery.PENDING, Delivery.SENDING) for one in outcome.reports)
    if not unfinished and not waiting:
        return None
    if outcome.next_ms is None:
        return _LONGEST_SECONDS
    return min(_LONGEST_SECONDS, max(1.0, (outcome.next_ms - now_ms) / 1000))


_NO_RULES = "sha256:" + "0" * 64
