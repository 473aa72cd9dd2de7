"""Handing what there is to send to the deliveries, chain by chain."""

from collections.abc import Sequence

from licenseusage.controller.effects.deliveries import Errand
from licenseusage.controller.rules.issuer import Context, chain_of, halted, installation_of
from licenseusage.controller.steps.contracts import chains_with_licences, waits
from licenseusage.controller.steps.rerouting import is_exporting
from licenseusage.controller.steps.world import World
from licenseusage.delivery.sender import Route
from licenseusage.errors import UsageError
from licenseusage.ledger.documents.records import Delivery, MeterFacts, OutboxItem
from licenseusage.reports.licence import License

_AGAIN_MS = 600_000  # a net: the deliveries retry by themselves, and each verdict wakes the object
_OFFER_SPREAD_SECONDS = 60.0


def deliver(
    world: World,
    context: Context,
    facts: MeterFacts,
    documents: Sequence[OutboxItem],
    now_ms: int,
    *,
    permitted: bool,
) -> int | None:
    """Hand every chain with something due to the deliveries; return when the next thing is due.

    Args:
        world: The surroundings.
        context: The object.
        facts: What the ledger knows of it.
        documents: Its key statements and reports.
        now_ms: The time.
        permitted: It is known what is approved, where that is needed; else nothing is sent.

    Raises:
        UsageError: A key is missing, or the vendor contradicts the chain; nothing is sent then.
    """
    license_ = context.license
    if license_ is None:
        return None
    if isinstance(context.signing, UsageError):
        raise context.signing
    if isinstance(context.vendor_keys, UsageError):
        raise context.vendor_keys
    own = chain_of(license_, installation_of(context.signing, license_), *context.key)
    due = [at for item in documents if waits(item) and (at := _when(item)) is not None]
    exporting = is_exporting(world, context, facts)
    chains, sendable = chains_with_licences(facts, own, license_, documents), False
    for chain, of in chains:
        endpoint = world.settings.vendor_endpoint or of.endpoint
        if context.suspended or exporting or endpoint is None or not permitted:
            world.deliveries.stop(chain.id)
            continue
        sendable = True
        after_seconds = _offer_seconds(world, context, license_) if of is license_ else None
        if context.requested or min(due, default=now_ms + 1) <= now_ms:
            after_seconds = 0.0
        if after_seconds is not None:
            keys = context.vendor_keys
            route = Route(endpoint, keys, chain.id, chain.key_chain_id, (of.token,))
            world.deliveries.due(Errand(context.key, route), after_seconds)
    stopped = halted(context, facts, own)
    if stopped is not None:
        raise stopped
    # What is due now is being sent, and its verdict wakes the object; or it waits behind another.
    later = [at if at > now_ms else now_ms + _AGAIN_MS for at in due]
    return min(later, default=None) if sendable else None


def _offer_seconds(world: World, context: Context, license_: License) -> float | None:
    """Return after what time the vendor is offered a licence; None: it has been.

    A renewed one at once: its terms say when the next report is due. After a restart somewhat
    later, so that a fleet that restarts does not offer all at the same moment.
    """
    memory = world.memory(context.key)
    before, memory.offered = memory.offered, license_.digest
    if before == license_.digest:
        return None
    return _OFFER_SPREAD_SECONDS * world.permille() / 1000 if before is None else 0.0


def _when(item: OutboxItem) -> int | None:
    sending = item.state is Delivery.SENDING
    return item.lease_until_ms if sending else item.next_attempt_ms
