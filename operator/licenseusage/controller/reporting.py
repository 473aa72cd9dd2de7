"""The reporting steps: enrolment, the close of ended cycles, interims, and what goes to the vendor.

Nothing here decides a number or an answer: when is `metering.lifecycle`'s, what is `statements`',
how it is sent `delivery`'s. This joins them for one object.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from licenseusage.controller import closing
from licenseusage.controller.closing import Counted
from licenseusage.controller.conditions import Problem
from licenseusage.controller.declared import Declared, definition, exclusions
from licenseusage.controller.deliveries import Errand
from licenseusage.controller.enrolling import authorised, enrol, keep_beside_key, license_of_cycle
from licenseusage.controller.key import Key
from licenseusage.controller.objects import INTERIMS
from licenseusage.controller.reported import Reporting
from licenseusage.controller.statements import Issuer, chain_of
from licenseusage.controller.world import World
from licenseusage.delivery.schedule import first_delay_seconds
from licenseusage.delivery.sender import Route
from licenseusage.errors import Stalled, UsageError, Waiting
from licenseusage.ledger.records import ChainState, Delivery, Meter, OutboxItem
from licenseusage.metering.cycles import Cycle, cycle_at
from licenseusage.reports.keys import SigningKey, VendorKeys
from licenseusage.reports.licence import License

_OBJECTS_SECONDS = 600.0
_UNDELIVERED = (Delivery.PENDING, Delivery.SENDING, Delivery.REJECTED)


@dataclass(frozen=True, slots=True)
class Context:
    """What the steps need to know of an object.

    Attributes:
        license: The last verified licence; None: the object counts without reports.
        signing: The key that signs; an error: no report can be made now.
        vendor_keys: The pinned keys; an error: no receipt can be verified, so nothing is sent.
        suspended: ``spec.suspend: Reporting``.
        requested: An administrator asks to send now.
        gone: The object was deleted; only what was begun is finished.
        key_id: Public name of the pseudonym key, if it is readable.
    """

    key: Key
    meter: Meter
    license: License | None
    signing: SigningKey | UsageError
    vendor_keys: VendorKeys | UsageError
    suspended: bool
    counted: Counted
    sources: Sequence[Declared]
    rules_digest: str
    key_id: str | None
    requested: bool = False
    gone: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the steps found.

    Attributes:
        reporting: For the condition ``Reported``; None without a licence.
        reports: Newest first.
        next_ms: When to look again; None: only when something happens.
    """

    reporting: Reporting | None
    reports: tuple[OutboxItem, ...]
    next_ms: int | None


async def step(world: World, context: Context, now_ms: int, loop_s: float) -> Outcome:
    """Do what is due, each part whatever became of the one before.

    Raises:
        UsageError: The ledger cannot be read or written.
    """
    statements: tuple[OutboxItem, ...] = ()
    problem: Problem | None = None
    license_, signing = context.license, context.signing
    if license_ is not None and isinstance(signing, UsageError):
        problem = Problem.of(signing)
    elif license_ is not None and not isinstance(signing, UsageError):
        statements = await enrol(world.books, license_, signing, now_ms)
        try:
            await keep_beside_key(world.keys, statements, loop_s)
        except UsageError as error:
            problem = Problem.of(error)
    next_ms, held = await _close_ended(world, context, now_ms)
    interim_ms = await _interim(world, context, now_ms)
    reports = await world.books.do(
        lambda ledger: ledger.reports(context.meter.id, interims=INTERIMS)
    )
    if license_ is None:
        return Outcome(None, reports, _earliest(next_ms, interim_ms))
    if isinstance(context.vendor_keys, UsageError):
        problem = problem or Problem.of(context.vendor_keys)
    else:
        await _deliver(world, context, license_, context.vendor_keys, reports, now_ms)
    if problem is None and not isinstance(signing, UsageError):
        chain_id = chain_of(license_, signing.installation, *context.key).id
        state = await world.books.do(lambda ledger: ledger.chain(chain_id))
        problem = Problem.of(_stopped(state)) if state.stopped else None
    due = [
        item.next_attempt_ms
        for item in (*statements, *reports)
        if item.state in _UNDELIVERED and item.next_attempt_ms is not None
    ]
    sending_ms = max(now_ms + 1000, min(due)) if due and not context.suspended else None
    endpoint = world.settings.vendor_endpoint or license_.endpoint
    reporting = Reporting(
        suspended=context.suspended,
        offline=endpoint is None,
        problem=problem,
        waiting_final=held,
        statements=statements,
        reports=reports,
    )
    return Outcome(reporting, reports, _earliest(next_ms, interim_ms, sending_ms))


async def _close_ended(world: World, context: Context, now_ms: int) -> tuple[int | None, bool]:
    """Close ended cycles in order; return when to look again, and whether a report is held back."""
    meter_id = context.meter.id
    for record in await world.books.do(lambda ledger: ledger.unfinished_cycles(meter_id)):
        if now_ms < record.cycle.end_ms:
            return record.cycle.end_ms, False
        issuer = await _issuer(world, context, record.cycle)
        final = await closing.close(
            world.books,
            record,
            context.counted,
            now_ms,
            issuer=issuer,
            first_delay_ms=lambda: _first_delay_ms(world, interim=False),
        )
        if not final:
            held = isinstance(issuer, UsageError)
            return closing.next_close_ms(record.cycle, context.counted, now_ms), held
    return None, False


async def _interim(world: World, context: Context, now_ms: int) -> int | None:
    """Make the interim that is due; return when the next one is."""
    current = cycle_at(context.meter.grids, now_ms)
    license_, meter_id = context.license, context.meter.id
    if license_ is None or current is None or context.gone:
        return None
    unfinished = await world.books.do(lambda ledger: ledger.unfinished_cycles(meter_id))
    record = next((one for one in unfinished if one.cycle == current), None)
    if record is None:
        return None
    issuer = await _issuer(world, context, current)
    if not isinstance(issuer, Issuer):
        return None
    states = await world.books.do(lambda ledger: ledger.store_states(meter_id, current))
    plan = closing.interim_plan(
        record,
        unfinished,
        tuple(states.values()),
        context.counted,
        interval_hours=issuer.license.interval_hours,
        since_ms=world.started_ms,
        now_ms=now_ms,
    )
    if plan is None or plan.due_ms > now_ms:
        return None if plan is None else plan.due_ms
    delay_ms = _first_delay_ms(world, interim=True)
    await closing.make_interim(world.books, record, context.counted, plan, issuer, now_ms, delay_ms)
    return now_ms + 1000


async def _issuer(world: World, context: Context, cycle: Cycle) -> Issuer | UsageError | None:
    """Return who signs a report about a cycle; None: none is due; an error: it cannot be now."""
    license_, signing = context.license, context.signing
    if license_ is None:
        return None
    if context.suspended:
        return Waiting("Suspended", "spec.suspend is Reporting.", 60)
    if isinstance(signing, UsageError):
        return signing
    belongs = await license_of_cycle(
        world.books, cycle, license_, context.meter.id, signing.installation
    )
    if belongs is None:
        return None
    issuer = Issuer(
        license=belongs,
        key=signing,
        namespace=context.key.namespace,
        name=context.key.name,
        definition=definition(context.sources),
        rules_digest=context.rules_digest,
        operator=world.operator,
        exclusions=_exclusions(context.counted),
        key_id=context.key_id,
        reference_offset_seconds=world.reference_offset_seconds(),
    )
    state = await world.books.do(lambda ledger: ledger.chain(issuer.chain.id))
    return _stopped(state) if state.stopped else issuer


def _stopped(state: ChainState) -> Stalled:
    """Return why nothing more is signed for a chain (REPORT_FORMAT §11)."""
    return Stalled(
        state.stopped or "ReportConflict",
        f"The vendor's history of chain {state.id} contradicts the ledger's: counting goes on, and "
        f"no report is signed or sent until a person has decided which one stands. Was the ledger "
        f"restored from a backup, or the identity copied to another cluster?",
    )


async def _deliver(
    world: World,
    context: Context,
    license_: License,
    vendor_keys: VendorKeys,
    reports: Sequence[OutboxItem],
    now_ms: int,
) -> None:
    """Hand every chain that may have something to send to the deliveries."""
    if isinstance(context.signing, UsageError):
        return
    chain = chain_of(license_, context.signing.installation, *context.key)
    chains: dict[str, tuple[str, License]] = {chain.id: (chain.key_chain_id, license_)}
    for item in reports:
        if item.chain_id in chains or item.key_chain_id is None or item.state not in _UNDELIVERED:
            continue
        older = await authorised(world.books, item.key_chain_id)
        if older is not None:
            chains[item.chain_id] = (item.key_chain_id, older)
    for chain_id, (key_chain_id, of) in chains.items():
        endpoint = world.settings.vendor_endpoint or of.endpoint
        if context.suspended or endpoint is None:
            world.deliveries.stop(chain_id)
            continue
        route = Route(endpoint, vendor_keys, chain_id, key_chain_id)
        world.deliveries.due(Errand(context.key, route), 0.0)
    await _resend_if_changed(world, context, license_, vendor_keys, now_ms)


async def _resend_if_changed(
    world: World, context: Context, license_: License, vendor_keys: VendorKeys, now_ms: int
) -> None:
    """Make slow and refused documents due at once when what they depend on changed (§10)."""
    assert not isinstance(context.signing, UsageError)  # noqa: S101 - the caller has asked
    memory = world.memory(context.key)
    routes = (license_.digest, context.signing.kid, *sorted(vendor_keys))
    changed = memory.routes is not None and memory.routes != routes
    memory.routes = routes
    if (changed or context.requested) and not context.suspended:
        await world.books.do(lambda ledger: ledger.resend(now_ms, meter_id=context.meter.id))


def _first_delay_ms(world: World, *, interim: bool) -> int:
    spread = world.settings.first_send_spread_seconds
    return 1000 * first_delay_seconds(
        interim=interim, spread_seconds=spread, permille=world.permille()
    )


def _exclusions(counted: Counted) -> Mapping[str, int]:
    return exclusions([status.skipped for status in (counted.statuses or {}).values()])


def _earliest(*times: int | None) -> int | None:
    return min((t for t in times if t is not None), default=None)


async def keep_objects(
    world: World, key: Key, reports: tuple[OutboxItem, ...], loop_s: float, *, again: bool
) -> Problem | None:
    """Make the UsageReport objects agree with the ledger; return why they do not, if they do not.

    Only after a change, and every ten minutes: what somebody deleted is then made again.
    """
    memory = world.memory(key)
    fresh = loop_s - memory.objects_at_s < _OBJECTS_SECONDS
    if memory.objects == reports and fresh and not again:
        return None
    try:
        if reports:
            await world.objects.keep(key, reports)
    except UsageError as error:
        return Problem.of(error)
    memory.objects, memory.objects_at_s = reports, loop_s
    return None
