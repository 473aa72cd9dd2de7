"""Finishing an object that cannot be acted on: begun cycles still end and are reported.

The object was deleted, its spec cannot be read, or a step before met a defect. Nothing new is
begun: no poll, no interim. The ledger knows the cycles and the licence that they began under.
"""

import asyncio

from licenseusage.controller.rules.ends import Counted
from licenseusage.controller.rules.issuer import Context
from licenseusage.controller.rules.key import Key
from licenseusage.controller.rules.withheld import Withheld
from licenseusage.controller.steps import reporting
from licenseusage.controller.steps.meters import (
    clock_of,
    gatherer_of,
    keys_of,
    site_of,
    vendor_keys_of,
)
from licenseusage.controller.steps.world import World
from licenseusage.errors import UsageError
from licenseusage.ledger.ledger import Ledger
from licenseusage.ledger.records import Meter
from licenseusage.reports.licence import stored_license

_NO_RULES = "sha256:" + "0" * 64


async def meters_of(world: World, key: Key) -> list[Meter]:
    """Return what the ledger knows of an object: a meter for each product that it has had.

    Raises:
        UsageError: The ledger cannot be read.
    """
    meters = await world.books.do(Ledger.meters)
    return [meter for meter in meters if (meter.key.namespace, meter.key.name) == key]


async def finish(
    world: World,
    key: Key,
    meter: Meter,
    now_ms: int,
    *,
    counted: Counted,
    suspended: bool,
    export: bool | None,
    withheld: Withheld | None = None,
    approval: bool | None = None,
) -> reporting.ReportingResult:
    """Close what has ended once its grace is over, and send what there is to send.

    Args:
        world: The surroundings.
        key: The object.
        meter: One of its meters.
        now_ms: The reconcile's one time.
        counted: Without sources; its grace is what an ended cycle waits for.
        suspended: ``spec.suspend: Reporting``.
        export: Whether ``spec.reporting.mode`` is Export; None: nobody says any more.
        withheld: What the customer keeps back; None: the object is gone, so that it cannot say.
        approval: Whether reports wait for approval; None likewise.

    Raises:
        UsageError: The ledger cannot be read.
    """
    loop_s = asyncio.get_running_loop().time()
    pseudonym, signing = await keys_of(world, loop_s)
    known = await gatherer_of(world, key, signing).open(lambda _: meter)
    license_ = stored_license(meter.license_token) if meter.license_token else None
    context = Context(
        key=key,
        license=license_,
        signing=signing,
        vendor_keys=await vendor_keys_of(world, license_, loop_s),
        suspended=suspended,
        export=export,
        counted=counted,
        sources=(),
        rules_digest=_NO_RULES,
        key_id=None if isinstance(pseudonym, UsageError) else pseudonym.id,
        clock=clock_of(world, known.facts, now_ms),
        gone=True,
        site=site_of(world),
        withheld=withheld,
        approval=approval,
    )
    return await reporting.step(world, context, known, now_ms, loop_s)
