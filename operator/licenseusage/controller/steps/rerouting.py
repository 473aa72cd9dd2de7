"""What depends on the way to the vendor: when it changes, what waits is sent, or no longer sent."""

from licenseusage.controller.effects.gatherer import Gatherer
from licenseusage.controller.rules.exporting import is_export_route
from licenseusage.controller.rules.issuer import Context
from licenseusage.controller.steps.issuing import route_of
from licenseusage.controller.steps.world import World
from licenseusage.ledger.documents.records import Delivery, MeterFacts
from licenseusage.reasons import Reason


def is_exporting(world: World, context: Context, facts: MeterFacts) -> bool:
    """Whether the object's reports are exported and not sent.

    The spec says so, or nobody has named an address. Of an object that is gone, what was kept of it
    last: it must not be sent then what its owner wanted to carry.
    """
    if context.license is None:
        return False
    wanted = context.export
    if wanted is None:
        wanted = is_export_route(facts.route)
    return wanted or not (world.settings.vendor_endpoint or context.license.endpoint)


async def follow_route(world: World, context: Context, known: Gatherer, now_ms: int) -> None:
    """Make slow and refused documents due at once when what they depend on changed (§10).

    In export mode nothing is due: what was being sent waits again, without the failures of the way.

    Raises:
        UsageError: The ledger cannot be written.
    """
    facts, memory = known.facts, world.memory(context.key)
    meter_id = facts.meter.id
    exporting = is_exporting(world, context, facts)
    route = route_of(world, context, exporting=exporting)
    if context.suspended or route is None:
        return
    if exporting:
        underway = any(
            report.state is Delivery.SENDING
            or (report.state is Delivery.PENDING and report.reason != Reason.OFFLINE)
            or (report.state is Delivery.REJECTED and report.receipt is None)
            for report in facts.reports
        )
        if underway or facts.route != route:
            await known.do(lambda ledger: ledger.wait_for_export(meter_id, route, now_ms))
        memory.route = route
        return
    if memory.route != route:
        await known.do(lambda ledger: ledger.resend_if_rerouted(meter_id, route, now_ms))
        memory.route = route
    if context.requested:
        await known.do(lambda ledger: ledger.resend(now_ms, meter_id=meter_id))
