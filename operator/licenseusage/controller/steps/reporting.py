"""The reporting steps: enrolment, the close of ended cycles, interims, and what goes to the vendor.

Nothing here decides a number or an answer: when is `metering.lifecycle`'s, what is `statements`',
how it is sent `delivery`'s. This joins them for one object.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from licenseusage.controller.effects import defects
from licenseusage.controller.effects.deliveries import Errand
from licenseusage.controller.effects.reportobjects import INTERIMS
from licenseusage.controller.rules.conditions import Problem
from licenseusage.controller.rules.ends import next_close_ms
from licenseusage.controller.rules.issuer import Context, Issuer, chain_of
from licenseusage.controller.rules.key import Key
from licenseusage.controller.rules.reported import Reporting
from licenseusage.controller.steps import amending, closing, history
from licenseusage.controller.steps.enrolling import authorised, enrol, keep_beside_key
from licenseusage.controller.steps.issuing import (
    first_delay_ms,
    issuer_of,
    replace_refused,
    route_of,
)
from licenseusage.controller.steps.world import World
from licenseusage.delivery.sender import Route
from licenseusage.errors import Stalled, UsageError
from licenseusage.ledger.documents.records import Delivery, OutboxItem
from licenseusage.ledger.records import Meter
from licenseusage.metering.cycles import cycle_at
from licenseusage.reports.keys import SigningKey
from licenseusage.reports.licence import License, stored_license

_OBJECTS_SECONDS = 600.0
_AGAIN_MS = 30_000
_OFFER_SPREAD_SECONDS = 60.0


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
    trouble = _Trouble(world, context.key)
    statements: tuple[OutboxItem, ...] = ()
    if license_ is not None and not isinstance(signing, UsageError):
        async with trouble.noted():
            enrolled_ms = now_ms if context.clock.ahead is None else None
            for one in await _reported_under(world, context.meter, license_):
                statements += await enrol(
                    world.books, world.keys, one, signing, enrolled_ms, loop_s
                )
            await keep_beside_key(world.keys, statements, loop_s)
        context = await _with_history(world, context, signing, trouble, now_ms)
    elif isinstance(signing, UsageError) and license_ is not None:
        trouble.note(Problem.of(signing))
    times: list[int | None] = [None, None, None]
    held = False
    async with trouble.noted():
        await replace_refused(world, context, now_ms)
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
    undelivered = world.deliveries.defect_of(context.key)
    if undelivered is not None:
        trouble.note(undelivered)
    endpoint = world.settings.vendor_endpoint or license_.endpoint
    reporting = Reporting(
        suspended=context.suspended,
        offline=endpoint is None,
        problem=trouble.problem,
        waiting_final=held,
        statements=statements,
        reports=reports,
        usage=context.key,
        host=urlsplit(endpoint or "").hostname or "",
    )
    return Outcome(reporting, reports, trouble.problem, _earliest(*times))


async def _reported_under(world: World, meter: Meter, current: License) -> list[License]:
    """Return the current licence and those that cycles which are not Final began under."""
    unfinished = await world.books.do(lambda ledger: ledger.unfinished_cycles(meter.id))
    tokens = [current.token, *(meter.license_of(record.cycle) for record in unfinished)]
    return [stored_license(token) for token in dict.fromkeys(tokens) if token is not None]


class _Trouble:
    """Collects why parts of the step failed; the first one is told, a defect before all others."""

    def __init__(self, world: World, key: Key) -> None:
        self.problem: Problem | None = None
        self._world, self._key = world, key

    def note(self, problem: Problem) -> None:
        """Take note of a failure."""
        if self.problem is None or (problem.ours and not self.problem.ours):
            self.problem = problem

    @asynccontextmanager
    async def noted(self) -> AsyncIterator[None]:
        """Let a part of the step fail without stopping the next ones."""
        try:
            yield
        except UsageError as error:
            self.note(Problem.of(error))
        except Exception as error:
            doing = "it closed, reported or delivered"
            self.note(defects.problem_of(error, self._world.metrics, self._key, doing))


async def _with_history(
    world: World, context: Context, signing: SigningKey, trouble: _Trouble, now_ms: int
) -> Context:
    """Return the context; without a key if it is not known whether the ledger is the newest."""
    try:
        await history.look(world, context.key, signing, context.vendor_keys, now_ms)
    except UsageError as error:
        trouble.note(Problem.of(error))
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
        issuer = await issuer_of(world, context, record.cycle)
        final = await closing.close(
            world.books,
            record,
            context.counted,
            now_ms,
            rules_digest=context.rules_digest,
            issuer=issuer,
            first_delay_ms=lambda: first_delay_ms(world, interim=False),
        )
        if not final:
            held = isinstance(issuer, UsageError)
            if isinstance(issuer, Stalled) and issuer is not context.clock.ahead:
                trouble.note(Problem.of(issuer))
            return next_close_ms(record.cycle, context.counted, now_ms), held
    return None, False


async def _interim(world: World, context: Context, now_ms: int) -> int | None:
    """Make the interim that is due; return when the next one is."""
    current = cycle_at(context.meter.grids, now_ms)
    if context.license is None or current is None or context.gone:
        return None
    issuer = await issuer_of(world, context, current)
    if not isinstance(issuer, Issuer):
        return None
    return await closing.interim(
        world.books,
        context.meter.id,
        current,
        context.counted,
        issuer,
        since_ms=world.started_ms,
        now_ms=now_ms,
        first_delay_ms=first_delay_ms(world, interim=True),
    )


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
        issuer=lambda cycle: issuer_of(world, context, cycle),
        first_delay_ms=lambda: first_delay_ms(world, interim=False),
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
            renewed = context.meter.licenses.get(older.contract)
            of = older if renewed is None else stored_license(renewed)
            chains[item.chain_id] = (item.key_chain_id, of)
    due = [at for item in documents if _waits(item) and (at := _when(item)) is not None]
    for chain_id, (key_chain_id, of) in chains.items():
        endpoint = world.settings.vendor_endpoint or of.endpoint
        if context.suspended or endpoint is None:
            world.deliveries.stop(chain_id)
            continue
        after_seconds = _offer_seconds(world, context, license_) if of is license_ else None
        if context.requested or min(due, default=now_ms + 1) <= now_ms:
            after_seconds = 0.0
        if after_seconds is not None:
            route = Route(endpoint, context.vendor_keys, chain_id, key_chain_id, (of.token,))
            world.deliveries.due(Errand(context.key, route), after_seconds)
    halted = await history.halted(world, context.key, chain)
    if halted is not None:
        raise halted
    # What is due now is being sent, and its verdict wakes the object; or it waits behind another.
    later = [at if at > now_ms else now_ms + _AGAIN_MS for at in due]
    return None if context.suspended else min(later, default=None)


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


def _waits(item: OutboxItem) -> bool:
    return item.state in (Delivery.PENDING, Delivery.SENDING, Delivery.REJECTED)


def _when(item: OutboxItem) -> int | None:
    sending = item.state is Delivery.SENDING
    return item.lease_until_ms if sending else item.next_attempt_ms


async def _resend_if_changed(world: World, context: Context, now_ms: int) -> None:
    """Make slow and refused documents due at once when what they depend on changed (§10)."""
    memory, meter_id = world.memory(context.key), context.meter.id
    route = route_of(world, context)
    if context.suspended or route is None:
        return
    if memory.route != route:
        await world.books.do(lambda ledger: ledger.resend_if_rerouted(meter_id, route, now_ms))
        memory.route = route
    if context.requested:
        await world.books.do(lambda ledger: ledger.resend(now_ms, meter_id=meter_id))


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
