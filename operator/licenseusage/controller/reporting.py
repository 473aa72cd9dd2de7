"""The reporting steps: enrolment, the close of ended cycles, interims, and what goes to the vendor.

Nothing here decides a number or an answer: when is `metering.lifecycle`'s, what is `statements`',
how it is sent `delivery`'s. This joins them for one object.
"""

import hashlib
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import structlog

from licenseusage import __version__
from licenseusage.controller import amending, closing, history
from licenseusage.controller.clockwatch import Judgement
from licenseusage.controller.closing import Counted
from licenseusage.controller.conditions import Problem
from licenseusage.controller.declared import Declared, definition, exclusions
from licenseusage.controller.deliveries import Errand
from licenseusage.controller.enrolling import authorised, enrol, keep_beside_key, license_of_cycle
from licenseusage.controller.key import Key
from licenseusage.controller.objects import INTERIMS
from licenseusage.controller.replacing import (
    refused_amendments,
    refused_finals,
    renewed_since,
    replacement_due,
)
from licenseusage.controller.reported import Reporting
from licenseusage.controller.statements import Issuer, chain_of
from licenseusage.controller.world import World
from licenseusage.delivery.schedule import first_delay_seconds
from licenseusage.delivery.sender import Route
from licenseusage.errors import Retryable, Stalled, UsageError, Waiting
from licenseusage.ledger.ledger import Ledger
from licenseusage.ledger.records import Delivery, Meter, OutboxItem, ReportKind
from licenseusage.metering.cycles import Cycle, cycle_at
from licenseusage.reports.keys import SigningKey, VendorKeys
from licenseusage.reports.licence import License

_OBJECTS_SECONDS = 600.0
_AGAIN_MS = 30_000
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Context:
    """What the steps need to know of an object.

    Attributes:
        license: The last verified licence; None: the object counts without reports.
        signing: The key that signs; an error: no report can be made now.
        vendor_keys: The pinned keys; an error: no receipt can be verified, so nothing is sent.
        suspended: ``spec.suspend: Reporting``.
        clock: What to think of the clock: nothing is signed while it is ahead.
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
    clock: Judgement
    requested: bool = False
    gone: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the steps found.

    Attributes:
        reporting: For the condition ``Reported``; None without a licence.
        reports: Newest first.
        problem: Why a part of the step failed; None if all went well.
        next_ms: When to look again; None: only when something happens.
    """

    reporting: Reporting | None
    reports: tuple[OutboxItem, ...]
    problem: Problem | None
    next_ms: int | None


async def step(world: World, context: Context, now_ms: int, loop_s: float) -> Outcome:
    """Do what is due, each part whatever became of the one before.

    Raises:
        UsageError: The ledger cannot be read.
    """
    license_, signing = context.license, context.signing
    trouble = _Trouble(context.key)
    statements: tuple[OutboxItem, ...] = ()
    if license_ is not None and not isinstance(signing, UsageError):
        async with trouble.noted():
            enrolled_ms = now_ms if context.clock.ahead is None else None
            statements = await enrol(
                world.books, world.keys, license_, signing, enrolled_ms, loop_s
            )
            await keep_beside_key(world.keys, statements, loop_s)
        context = await _with_history(world, context, signing, trouble, now_ms)
    elif isinstance(signing, UsageError) and license_ is not None:
        trouble.note(signing)
    times: list[int | None] = [None, None, None]
    held = False
    async with trouble.noted():
        await _replace_refused(world, context, now_ms)
    async with trouble.noted():
        times[0], held = await _close_ended(world, context, trouble, context.clock.counting_ms)
    async with trouble.noted():
        times[1] = await _interim(world, context, now_ms)
    async with trouble.noted():
        times[2] = await _amend(world, context, now_ms)
    reports = await world.books.do(
        lambda ledger: ledger.reports(context.meter.id, interims=INTERIMS)
    )
    async with trouble.noted():
        await _keep_objects(world, context, reports, loop_s)
    if license_ is None:
        return Outcome(None, reports, trouble.problem, _earliest(*times))
    async with trouble.noted():
        times.append(await _deliver(world, context, license_, (*statements, *reports), now_ms))
    endpoint = world.settings.vendor_endpoint or license_.endpoint
    reporting = Reporting(
        suspended=context.suspended,
        offline=endpoint is None,
        problem=trouble.problem,
        waiting_final=held,
        statements=statements,
        reports=reports,
    )
    return Outcome(reporting, reports, trouble.problem, _earliest(*times))


class _Trouble:
    """Collects why parts of the step failed; the first one is told."""

    def __init__(self, key: Key) -> None:
        self.problem: Problem | None = None
        self._key = key

    def note(self, error: UsageError) -> None:
        """Take note of a failure."""
        self.problem = self.problem or Problem.of(error)

    @asynccontextmanager
    async def noted(self) -> AsyncIterator[None]:
        """Let a part of the step fail without stopping the next ones."""
        try:
            yield
        except UsageError as error:
            self.note(error)
        except Exception:
            _log.exception("reporting failed", object=str(self._key))
            self.note(Retryable("InternalError", "Reporting failed; see the operator's log."))


async def _with_history(
    world: World, context: Context, signing: SigningKey, trouble: _Trouble, now_ms: int
) -> Context:
    """Return the context; without a key if it is not known whether the ledger is the newest."""
    try:
        await history.look(world, context.key, signing, context.vendor_keys, now_ms)
    except UsageError as error:
        trouble.note(error)
        return replace(context, signing=error)
    return context


async def _close_ended(
    world: World, context: Context, trouble: _Trouble, now_ms: int
) -> tuple[int | None, bool]:
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
            rules_digest=context.rules_digest,
            issuer=issuer,
            first_delay_ms=lambda: _first_delay_ms(world, interim=False),
        )
        if not final:
            held = isinstance(issuer, UsageError)
            if isinstance(issuer, Stalled) and issuer is not context.clock.ahead:
                trouble.note(issuer)
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
    chain = await world.books.do(lambda ledger: ledger.chain(issuer.chain.id))
    plan = closing.interim_plan(
        record,
        unfinished,
        tuple(states.values()),
        context.counted,
        interval_hours=issuer.license.interval_hours,
        chain_begun=chain.head is not None,
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
    if context.clock.ahead is not None:
        return context.clock.ahead
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
    chain = issuer.chain
    state = await world.books.do(lambda ledger: ledger.chain(chain.id))
    enrolled = await world.books.do(lambda ledger: ledger.chain(chain.key_chain_id))
    if state.stopped or enrolled.stopped:
        return history.stopped(world, context.key, state, enrolled)
    for refused in await _refused(world, context.meter.id):
        # What comes after it would be refused as well, and a chain must not begin behind it.
        if refused.chain_id == state.id and refused.cycle and refused.cycle.end_ms < cycle.end_ms:
            return Waiting(
                refused.reason or "Rejected",
                f"The vendor refused final report {refused.sequence}: later cycles are reported "
                f"once another final has taken its place.",
                60,
            )
    return issuer


async def _refused(world: World, meter_id: int) -> tuple[OutboxItem, ...]:
    reports = await world.books.do(lambda ledger: ledger.reports(meter_id, interims=0))
    return refused_finals(reports)


async def _replace_refused(world: World, context: Context, now_ms: int) -> None:
    """Sign others in place of finals and amendments refused for good (§6 rule 4).

    Raises:
        UsageError: The ledger cannot be read or written.
    """
    meter_id = context.meter.id
    reports = await world.books.do(lambda ledger: ledger.reports(meter_id, interims=0))
    finals, amendments = refused_finals(reports), refused_amendments(reports)
    if not finals and not amendments:
        return
    route = _route(world, context)
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
    issuer = None if cycle is None else await _issuer(world, context, cycle)
    if cycle is None or not isinstance(issuer, Issuer):
        return False
    chain, sign = issuer.chain, issuer.sign
    delay_ms = 0 if context.requested else _first_delay_ms(world, interim=False)

    def work(ledger: Ledger) -> OutboxItem | None:
        final = refused.kind is ReportKind.FINAL
        anew = ledger.replace_final if final else ledger.replace_amendment
        due_ms = now_ms + delay_ms
        return anew(meter_id, cycle, now_ms, chain=chain, sign=sign, first_attempt_ms=due_ms)

    return await world.books.do(work) is not None


async def _amend(world: World, context: Context, now_ms: int) -> int | None:
    """Amend what later evidence narrows; return when to look again."""
    if context.gone or context.clock.ahead is not None:
        return None  # nothing is declared that the evidence could be held against; or no date
    memory = world.memory(context.key)
    memory.asked_ms = now_ms if context.requested else memory.asked_ms
    wanted = amending.Amending(
        meter_id=context.meter.id,
        counted=context.counted,
        rules_digest=context.rules_digest,
        issuer=lambda cycle: _issuer(world, context, cycle),
        first_delay_ms=lambda: _first_delay_ms(world, interim=False),
    )
    return await amending.step(world, wanted, memory.judged, memory.asked_ms, now_ms)


async def _deliver(
    world: World,
    context: Context,
    license_: License,
    documents: Sequence[OutboxItem],
    now_ms: int,
) -> int | None:
    """Hand every chain with something due to the deliveries; return when the next thing is due.

    Raises:
        UsageError: A key is missing, or the vendor contradicts the chain; nothing is sent then.
    """
    if isinstance(context.signing, UsageError):
        return None  # told already
    if isinstance(context.vendor_keys, UsageError):
        raise context.vendor_keys
    await _resend_if_changed(world, context, now_ms)
    chain = chain_of(license_, context.signing.installation, *context.key)
    chains: dict[str, tuple[str, License]] = {chain.id: (chain.key_chain_id, license_)}
    for item in documents:
        if item.key_chain_id is None or item.chain_id in chains or not _waits(item):
            continue
        older = await authorised(world.books, item.key_chain_id)
        if older is not None:
            chains[item.chain_id] = (item.key_chain_id, older)
    due = [at for item in documents if _waits(item) and (at := _when(item)) is not None]
    for chain_id, (key_chain_id, of) in chains.items():
        endpoint = world.settings.vendor_endpoint or of.endpoint
        if context.suspended or endpoint is None:
            world.deliveries.stop(chain_id)
        elif context.requested or min(due, default=now_ms + 1) <= now_ms:
            route = Route(endpoint, context.vendor_keys, chain_id, key_chain_id)
            world.deliveries.due(Errand(context.key, route), 0.0)
    state = await world.books.do(lambda ledger: ledger.chain(chain.id))
    enrolled = await world.books.do(lambda ledger: ledger.chain(chain.key_chain_id))
    if state.stopped or enrolled.stopped:
        raise history.stopped(world, context.key, state, enrolled)
    # What is due now is being sent, and its verdict wakes the object; or it waits behind another.
    later = [at if at > now_ms else now_ms + _AGAIN_MS for at in due]
    return None if context.suspended else min(later, default=None)


def _waits(item: OutboxItem) -> bool:
    return item.state in (Delivery.PENDING, Delivery.SENDING, Delivery.REJECTED)


def _when(item: OutboxItem) -> int | None:
    sending = item.state is Delivery.SENDING
    return item.lease_until_ms if sending else item.next_attempt_ms


async def _resend_if_changed(world: World, context: Context, now_ms: int) -> None:
    """Make slow and refused documents due at once when what they depend on changed (§10)."""
    memory, meter_id = world.memory(context.key), context.meter.id
    route = _route(world, context)
    if context.suspended or route is None:
        return
    if memory.route != route:
        await world.books.do(lambda ledger: ledger.resend_if_rerouted(meter_id, route, now_ms))
        memory.route = route
    if context.requested:
        await world.books.do(lambda ledger: ledger.resend(now_ms, meter_id=meter_id))


def _route(world: World, context: Context) -> str | None:
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


def route_digest(*parts: Sequence[str]) -> str:
    """Return the digest of what delivery depends on: 64 hex digits."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _first_delay_ms(world: World, *, interim: bool) -> int:
    spread = world.settings.first_send_spread_seconds
    return 1000 * first_delay_seconds(
        interim=interim, spread_seconds=spread, permille=world.permille()
    )


def _exclusions(counted: Counted) -> Mapping[str, int]:
    return exclusions([status.skipped for status in (counted.statuses or {}).values()])


def _earliest(*times: int | None) -> int | None:
    return min((t for t in times if t is not None), default=None)


async def _keep_objects(
    world: World, context: Context, reports: tuple[OutboxItem, ...], loop_s: float
) -> None:
    """Make the UsageReport objects agree with the ledger.

    Only after a change, and every ten minutes: what somebody deleted is then made again.

    Raises:
        UsageError: Why they do not agree.
    """
    memory = world.memory(context.key)
    if memory.history:
        return  # they know more than the ledger: what they hold is evidence, and stays as it is
    fresh = loop_s - memory.objects_at_s < _OBJECTS_SECONDS
    if memory.objects == reports and fresh and not context.requested:
        return
    if reports:
        await world.objects.keep(context.key, reports)
    memory.objects, memory.objects_at_s = reports, loop_s
