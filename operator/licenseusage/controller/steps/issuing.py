"""What takes the place of reports that the vendor refused, and what delivery depends on."""

from licenseusage import __version__
from licenseusage.controller.effects.gatherer import Gatherer
from licenseusage.controller.rules.exporting import export_route, is_export_route
from licenseusage.controller.rules.issuer import Context, Issuer, issuer_of
from licenseusage.controller.rules.replacing import (
    refused_amendments,
    refused_finals,
    renewed_since,
    replacement_due,
)
from licenseusage.controller.rules.route import route_digest
from licenseusage.controller.steps.world import World
from licenseusage.delivery.schedule import first_delay_seconds
from licenseusage.errors import UsageError
from licenseusage.ledger.documents.closing import Signing
from licenseusage.ledger.documents.records import OutboxItem, ReportKind
from licenseusage.ledger.ledger import Ledger


async def replace_refused(world: World, context: Context, known: Gatherer, now_ms: int) -> None:
    """Sign others in place of finals and amendments refused for good (§6 rule 4).

    Raises:
        UsageError: The ledger cannot be read or written.
    """
    reports, before = known.facts.reports, known.facts.route
    finals, amendments = refused_finals(reports), refused_amendments(reports)
    if not finals and not amendments:
        return
    # Another way to the same vendor is no reason to sign anew.
    route = route_of(world, context, exporting=is_export_route(before))
    changed = context.requested or (None not in (route, before) and route != before)
    offset = context.site.reference_offset_seconds
    for item in finals:
        due = replacement_due(item, now_ms, changed=changed, reference_offset_seconds=offset)
        if not due or not await _replace(world, context, known, item, now_ms):
            break
    for item in amendments:
        anew = changed or renewed_since(item, reports)
        if replacement_due(item, now_ms, changed=anew, reference_offset_seconds=offset):
            await _replace(world, context, known, item, now_ms)


async def _replace(
    world: World, context: Context, known: Gatherer, refused: OutboxItem, now_ms: int
) -> bool:
    cycle, meter_id = refused.cycle, known.facts.meter.id
    issuer = None if cycle is None else issuer_of(context, known.facts, cycle)
    if cycle is None or not isinstance(issuer, Issuer):
        return False
    delay_ms = 0 if context.requested else first_delay_ms(world, interim=False)
    signing = signing_of(issuer, now_ms + delay_ms)

    def work(ledger: Ledger) -> OutboxItem | None:
        final = refused.kind is ReportKind.FINAL
        anew = ledger.replace_final if final else ledger.replace_amendment
        return anew(meter_id, cycle, now_ms, signing)

    return await known.do(work) is not None


def route_of(world: World, context: Context, *, exporting: bool) -> str | None:
    """Return the digest of what delivery depends on now; None: something of it cannot be read."""
    license_, signing, vendor_keys = context.license, context.signing, context.vendor_keys
    if license_ is None or isinstance(signing, UsageError) or isinstance(vendor_keys, UsageError):
        return None
    settings = world.settings
    digest = route_digest(
        (license_.digest, *(key.kid for key in signing.keys), *sorted(vendor_keys)),
        (settings.vendor_endpoint, settings.vendor_ca_file),
        (settings.vendor_proxy, settings.vendor_no_proxy),
        (__version__,),
    )
    return export_route(digest) if exporting else digest


def signing_of(issuer: Issuer, first_attempt_ms: int) -> Signing:
    """Return how the ledger signs for an issuer, and when the report is first due for sending."""
    return Signing(issuer.chain, issuer.sign, first_attempt_ms, issuer.approval, issuer.committing)


def first_delay_ms(world: World, *, interim: bool) -> int:
    """Return a random time before the first send (REPORT_FORMAT §10)."""
    spread = world.settings.first_send_spread_seconds
    return 1000 * first_delay_seconds(
        interim=interim, spread_seconds=spread, permille=world.permille()
    )
