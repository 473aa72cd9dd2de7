"""The reporting steps: enrolment, the close of ended cycles, interims, and what goes to the vendor.

Nothing here decides a number or an answer: when is `metering.lifecycle`'s, what is `statements`',
how it is sent `delivery`'s. This joins them for one object.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

from licenseusage.controller.effects import defects
from licenseusage.controller.effects.deliveries import Errand
from licenseusage.controller.effects.gatherer import Gatherer
from licenseusage.controller.rules.ends import close_wanted, interim_of, next_close_ms
from licenseusage.controller.rules.exporting import Exports
from licenseusage.controller.rules.issuer import (
    Context,
    Issuer,
    chain_of,
    halted,
    installation_of,
    issuer_of,
    signer_of,
)
from licenseusage.controller.rules.reported import Reporting
from licenseusage.controller.steps import amending, closing, history
from licenseusage.controller.steps.contracts import chains_with_licences, reported_under, waits
from licenseusage.controller.steps.enrolling import enrol, keep_beside_key
from licenseusage.controller.steps.issuing import first_delay_ms, replace_refused
from licenseusage.controller.steps.rerouting import follow_route, is_exporting
from licenseusage.controller.steps.rotating import rotate
from licenseusage.controller.steps.world import World
from licenseusage.delivery.sender import Route
from licenseusage.errors import Failure, Stalled, UsageError, Waiting
from licenseusage.ledger.documents.records import Delivery, OutboxItem
from licenseusage.metering.cycles import Cycle, cycle_at
from licenseusage.reasons import Reason
from licenseusage.reports.keyring import KeyRing
from licenseusage.reports.licence import License

_OBJECTS_SECONDS = 600.0
_AGAIN_MS = 600_000  # a net: the deliveries retry by themselves, and each verdict wakes the object
_OFFER_SPREAD_SECONDS = 60.0
_UNCOMPARED = Waiting(
    Reason.INTERNAL_ERROR, "The ledger was not compared with the reports in the cluster."
)


@dataclass(frozen=True, slots=True)
class ReportingResult:
    """What the steps found.

    Attributes:
        reporting: For the condition ``Reported``; None without a licence.
        reports: Newest first.
        problem: Why a part of the step failed; None if all went well.
        next_ms: When to look again; None: only when something happens.
        ring: The keys that sign; None: without a licence, or they cannot be read.
    """

    reporting: Reporting | None
    reports: tuple[OutboxItem, ...]
    problem: Failure | None
    next_ms: int | None
    ring: KeyRing | None = None

    @property
    def export_due_ms(self) -> int | None:
        """By when the vendor has to have what is exported; None: nothing is due."""
        exports = None if self.reporting is None else self.reporting.exports
        return None if exports is None else exports.due_ms


async def step(
    world: World, context: Context, known: Gatherer, now_ms: int, loop_s: float
) -> ReportingResult:
    """Do what is due, each part whatever became of the ones before.

    Raises:
        UsageError: The ledger cannot be read.
    """
    run = _Run(world, context, known, now_ms, loop_s)
    for part in _PARTS:
        async with run.noted():
            run.times.append(await part(run))
    world.receipts.appeared(item.jti for item in (*run.statements, *run.known.facts.reports))
    reports, license_ = run.reports, context.license
    next_ms = min((at for at in run.times if at is not None), default=None)
    if license_ is None:
        return ReportingResult(None, reports, run.problem, next_ms)
    undelivered = world.deliveries.defect_of(context.key)
    if undelivered is not None:
        run.note(undelivered)
    endpoint = world.settings.vendor_endpoint or license_.endpoint
    exports = None
    if is_exporting(world, context, known.facts):
        exports = Exports.of(context.key, reports, license_.export_days)
    reporting = Reporting(
        suspended=context.suspended,
        exports=exports,
        now_ms=now_ms,
        problem=run.problem,
        waiting_final=run.waiting_final,
        statements=run.statements,
        reports=reports,
        usage=context.key,
        host=urlsplit(endpoint or "").hostname or "",
    )
    ring = None if isinstance(run.context.signing, UsageError) else run.context.signing
    return ReportingResult(reporting, reports, run.problem, next_ms, ring)


@dataclass(slots=True)
class _Run:
    """One pass through the parts, and what they came to.

    Attributes:
        context: As far as it is known: the key is taken out while the ledger may be an old one.
        known: The ledger's facts; what changes the ledger goes through it.
        times: When each part is to be looked at again.
        statements: Key statements of the licences that something is reported under.
        waiting_final: A final is held back.
        reports: As after everything that is signed in this pass.
        problem: The first failure, a defect before all others.
    """

    world: World
    context: Context
    known: Gatherer
    now_ms: int
    loop_s: float
    times: list[int | None] = field(default_factory=list)
    statements: tuple[OutboxItem, ...] = ()
    waiting_final: bool = False
    reports: tuple[OutboxItem, ...] = ()
    problem: Failure | None = None

    def note(self, problem: Failure) -> None:
        """Take note of a failure."""
        if self.problem is None or (problem.ours and not self.problem.ours):
            self.problem = problem

    @asynccontextmanager
    async def noted(self) -> AsyncIterator[None]:
        """Let a part fail without stopping the next ones."""
        try:
            yield
        except UsageError as error:
            self.note(Failure.of(error))
        except Exception as error:
            doing = "it closed, reported or delivered"
            key, metrics = self.context.key, self.world.metrics
            self.note(defects.problem_of(error, metrics, key, doing))

    def issuer(self, cycle: Cycle) -> Issuer | UsageError | None:
        """Return who signs a report about a cycle, as `issuer_of` says."""
        return issuer_of(self.context, self.known.facts, cycle)

    def final_delay_ms(self) -> int:
        """Return a random time before the first send of what is no interim."""
        return first_delay_ms(self.world, interim=False)


async def _enrol(run: _Run) -> None:
    """Have key statements for every licence that something is reported under."""
    context, known, keys = run.context, run.known, run.world.keys
    license_, signing = context.license, context.signing
    if license_ is None:
        return
    if isinstance(signing, UsageError):
        raise signing
    for reported in reported_under(known.facts, license_):
        chain = chain_of(reported, installation_of(signing, reported), "", "").key_chain_id
        statements, beside = known.facts.statements[chain], signing.chains.get(chain, ())
        if len(statements) < max(1, len(beside)) and context.clock.ahead is None:
            statements = await enrol(known, keys, reported, signing, run.now_ms, run.loop_s)
        run.world.published.notice(chain, statements)
        run.statements += statements
    await keep_beside_key(keys, run.statements, run.loop_s)
    signer = signer_of(context, signing, known.facts, license_)
    if isinstance(signer, Stalled):
        raise signer


async def _compare_with_history(run: _Run) -> None:
    """Let nothing be signed unless it is known that the ledger is the newest there was."""
    context, signing = run.context, run.context.signing
    if context.license is None or isinstance(signing, UsageError):
        return
    run.context = replace(context, signing=_UNCOMPARED)
    try:
        await history.look(run.world, context, signing, run.known, run.now_ms, run.loop_s)
    except UsageError as error:
        run.context = replace(context, signing=error)
        raise
    memory = run.world.memory(context.key)
    run.context = replace(context, history=memory.history, holes=memory.holes)


async def _rotate(run: _Run) -> None:
    """Let another key take over, if an administrator wants one."""
    context, signing = run.context, run.context.signing
    if isinstance(signing, UsageError) or not signing.rotating or context.clock.ahead is not None:
        return
    ring = await rotate(run.known, run.world.keys, run.now_ms, run.loop_s)
    run.context = replace(context, signing=ring)
    chains = dict.fromkeys(item.chain_id for item in run.statements)
    run.statements = tuple(
        item for chain in chains for item in run.known.facts.statements.get(chain, ())
    )
    for chain in chains:
        run.world.published.notice(chain, run.known.facts.statements.get(chain, ()))


async def _replace_refused(run: _Run) -> None:
    await replace_refused(run.world, run.context, run.known, run.now_ms)


async def _close_ended(run: _Run) -> int | None:
    """Close ended cycles in order; return when to look again."""
    context, now_ms = run.context, run.context.clock.counting_ms
    for record in run.known.facts.unfinished:
        if now_ms < record.cycle.end_ms:
            return record.cycle.end_ms
        issuer, states = run.issuer(record.cycle), run.known.facts.states.get(record.cycle, {})
        signable = not isinstance(issuer, UsageError)
        final = close_wanted(
            record, context.counted, states, now_ms, signable=signable
        ) and await closing.close(
            run.known,
            record,
            context.counted,
            now_ms,
            rules_digest=context.rules_digest,
            issuer=issuer,
            first_delay_ms=run.final_delay_ms,
        )
        if not final:
            run.waiting_final = not signable
            if isinstance(issuer, Stalled) and issuer is not context.clock.ahead:
                run.note(Failure.of(issuer))
            return next_close_ms(record.cycle, context.counted, now_ms)
    return None


async def _interim(run: _Run) -> int | None:
    """Make the interim that is due; return when the next one is."""
    context, facts, now_ms = run.context, run.known.facts, run.now_ms
    current = cycle_at(facts.meter.grids, now_ms)
    if context.license is None or current is None or context.gone:
        return None
    issuer = run.issuer(current)
    if not isinstance(issuer, Issuer):
        return None
    delay_ms, since_ms = first_delay_ms(run.world, interim=True), run.world.started_ms
    plan = interim_of(
        facts,
        current,
        context.counted,
        chain_id=issuer.chain.id,
        interval_hours=issuer.license.interval_hours,
        since_ms=since_ms,
        now_ms=now_ms,
    )
    if plan is None or plan.due_ms > now_ms:
        return None if plan is None else plan.due_ms
    return await closing.interim(
        run.known,
        facts.meter.id,
        current,
        context.counted,
        issuer,
        since_ms=since_ms,
        now_ms=now_ms,
        first_delay_ms=delay_ms,
    )


async def _amend(run: _Run) -> int | None:
    """Amend what later evidence narrows; return when to look again."""
    context, now_ms = run.context, run.now_ms
    if context.gone or context.clock.ahead is not None:
        return None  # nothing is declared that the evidence could be held against; or no date
    memory = run.world.memory(context.key)
    memory.asked_ms = now_ms if context.requested else memory.asked_ms
    wanted = amending.Amending(
        counted=context.counted,
        rules_digest=context.rules_digest,
        issuer=run.issuer,
        first_delay_ms=run.final_delay_ms,
    )
    return await amending.step(run.world, wanted, run.known, memory.judged, memory.asked_ms, now_ms)


async def _follow_route(run: _Run) -> None:
    await follow_route(run.world, run.context, run.known, run.now_ms)


async def _keep_objects(run: _Run) -> None:
    """Make the UsageReport objects agree with the ledger.

    Only after a change, and every ten minutes: what somebody deleted is then made again.

    Raises:
        UsageError: Why they do not agree.
    """
    context, reports, loop_s = run.context, run.known.facts.reports, run.loop_s
    run.reports = reports
    memory = run.world.memory(context.key)
    if memory.history:
        return  # they know more than the ledger: what they hold is evidence, and stays as it is
    fresh = loop_s - memory.objects_at_s < _OBJECTS_SECONDS
    if memory.objects == reports and fresh and not context.requested:
        return
    if reports:
        await run.world.objects.keep(context.key, reports)
    memory.objects, memory.objects_at_s = reports, loop_s


async def _deliver(run: _Run) -> int | None:
    """Hand every chain with something due to the deliveries; return when the next thing is due.

    Raises:
        UsageError: A key is missing, or the vendor contradicts the chain; nothing is sent then.
    """
    world, context, now_ms = run.world, run.context, run.now_ms
    license_ = context.license
    if license_ is None:
        return None
    if isinstance(context.signing, UsageError):
        raise context.signing
    if isinstance(context.vendor_keys, UsageError):
        raise context.vendor_keys
    documents = (*run.statements, *run.reports)
    own = chain_of(license_, installation_of(context.signing, license_), *context.key)
    due = [at for item in documents if waits(item) and (at := _when(item)) is not None]
    exporting = is_exporting(world, context, run.known.facts)
    chains, sendable = chains_with_licences(run.known.facts, own, license_, documents), False
    for chain, of in chains:
        endpoint = world.settings.vendor_endpoint or of.endpoint
        if context.suspended or exporting or endpoint is None:
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
    stopped = halted(context, run.known.facts, own)
    if stopped is not None:
        raise stopped
    # What is due now is being sent, and its verdict wakes the object; or it waits behind another.
    later = [at if at > now_ms else now_ms + _AGAIN_MS for at in due]
    return min(later, default=None) if sendable else None


Part = Callable[[_Run], Awaitable[int | None]]
_PARTS: tuple[Part, ...] = (
    _enrol,
    _compare_with_history,
    _rotate,
    _replace_refused,
    _close_ended,
    _interim,
    _amend,
    _follow_route,
    _keep_objects,
    _deliver,
)
"""What the step does, in this order; each returns when to look at it again, None: never."""


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
