"""Who signs an object's reports, whether that can be now, and what takes a refused one's place."""

from licenseusage import __version__
from licenseusage.controller.rules.declared import definition
from licenseusage.controller.rules.issuer import Context, Issuer, exclusions_of, route_digest
from licenseusage.controller.rules.replacing import (
    refused_amendments,
    refused_finals,
    renewed_since,
    replacement_due,
)
from licenseusage.controller.steps import history
from licenseusage.controller.steps.world import World
from licenseusage.delivery.schedule import first_delay_seconds
from licenseusage.errors import UsageError, Waiting
from licenseusage.ledger.documents.closing import Signing
from licenseusage.ledger.documents.records import OutboxItem, ReportKind
from licenseusage.ledger.ledger import Ledger
from licenseusage.metering.cycles import Cycle
from licenseusage.reasons import Reason
from licenseusage.reports.licence import stored_license


async def issuer_of(world: World, context: Context, cycle: Cycle) -> Issuer | UsageError | None:
    """Return who signs a report about a cycle; None: none is due; an error: it cannot be now."""
    license_, signing = context.license, context.signing
    if license_ is None:
        return None
    if context.suspended:
        return Waiting(Reason.SUSPENDED, "spec.suspend is Reporting.", 60)
    if isinstance(signing, UsageError):
        return signing
    if context.clock.ahead is not None:
        return context.clock.ahead
    token = context.meter.license_of(cycle)
    if token is None:
        return None
    issuer = Issuer(
        license=stored_license(token),
        key=signing,
        namespace=context.key.namespace,
        name=context.key.name,
        definition=definition(context.sources),
        rules_digest=context.rules_digest,
        operator=world.operator,
        exclusions=exclusions_of(context.counted),
        key_id=context.key_id,
        reference_offset_seconds=world.reference_offset_seconds(),
    )
    halted = await history.halted(world, context.key, issuer.chain)
    if halted is not None:
        return halted
    for refused in await _refused(world, context.meter.id):
        # What comes after it would be refused as well, and a chain must not begin behind it.
        if (
            refused.chain_id == issuer.chain.id
            and refused.cycle
            and refused.cycle.end_ms < cycle.end_ms
        ):
            return Waiting(
                Reason.known(refused.reason, Reason.REJECTED),
                f"The vendor refused final report {refused.sequence}: later cycles are reported "
                f"once another final has taken its place.",
                60,
            )
    return issuer


async def replace_refused(world: World, context: Context, now_ms: int) -> None:
    """Sign others in place of finals and amendments refused for good (§6 rule 4).

    Raises:
        UsageError: The ledger cannot be read or written.
    """
    meter_id = context.meter.id
    reports = await world.books.do(lambda ledger: ledger.reports(meter_id, interims=0))
    finals, amendments = refused_finals(reports), refused_amendments(reports)
    if not finals and not amendments:
        return
    route = route_of(world, context)
    before = await world.books.do(lambda ledger: ledger.route(meter_id))
    changed = context.requested or (None not in (route, before) and route != before)
    offset = world.reference_offset_seconds()
    for item in finals:
        due = replacement_due(item, now_ms, changed=changed, reference_offset_seconds=offset)
        if not due or not await _replace(world, context, item, now_ms):
            break
    for item in amendments:
        anew = changed or renewed_since(item, reports)
        if replacement_due(item, now_ms, changed=anew, reference_offset_seconds=offset):
            await _replace(world, context, item, now_ms)


async def _replace(world: World, context: Context, refused: OutboxItem, now_ms: int) -> bool:
    cycle, meter_id = refused.cycle, context.meter.id
    issuer = None if cycle is None else await issuer_of(world, context, cycle)
    if cycle is None or not isinstance(issuer, Issuer):
        return False
    delay_ms = 0 if context.requested else first_delay_ms(world, interim=False)
    signing = Signing(issuer.chain, issuer.sign, now_ms + delay_ms)

    def work(ledger: Ledger) -> OutboxItem | None:
        final = refused.kind is ReportKind.FINAL
        anew = ledger.replace_final if final else ledger.replace_amendment
        return anew(meter_id, cycle, now_ms, signing)

    return await world.books.do(work) is not None


def route_of(world: World, context: Context) -> str | None:
    """Return the digest of what delivery depends on now; None: something of it cannot be read."""
    license_, signing, vendor_keys = context.license, context.signing, context.vendor_keys
    if license_ is None or isinstance(signing, UsageError) or isinstance(vendor_keys, UsageError):
        return None
    settings = world.settings
    return route_digest(
        (license_.digest, signing.kid, *sorted(vendor_keys)),
        (settings.vendor_endpoint, settings.vendor_ca_file),
        (settings.vendor_proxy, settings.vendor_no_proxy),
        (__version__,),
    )


def first_delay_ms(world: World, *, interim: bool) -> int:
    """Return a random time before the first send (REPORT_FORMAT §10)."""
    spread = world.settings.first_send_spread_seconds
    return 1000 * first_delay_seconds(
        interim=interim, spread_seconds=spread, permille=world.permille()
    )


async def _refused(world: World, meter_id: int) -> tuple[OutboxItem, ...]:
    reports = await world.books.do(lambda ledger: ledger.reports(meter_id, interims=0))
    return refused_finals(reports)
