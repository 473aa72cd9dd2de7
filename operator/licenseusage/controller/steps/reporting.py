"""The reporting steps: enrolment, the close of ended cycles, interims, and what goes to the vendor.

They join what others decide: when (`metering.lifecycle`), what (`statements`), how (`delivery`).
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

from licenseusage.controller.effects import defects
from licenseusage.controller.effects.gatherer import Gatherer
from licenseusage.controller.rules.approval import (
    approvals_of,
    interim_waits,
    needs_approval,
)
from licenseusage.controller.rules.ends import close_wanted, interim_of, next_close_ms
from licenseusage.controller.rules.exporting import Exports
from licenseusage.controller.rules.interims import interims_made, refused
from licenseusage.controller.rules.issuer import (
    Context,
    Issuer,
    chain_of,
    installation_of,
    issuer_of,
    signer_of,
)
from licenseusage.controller.rules.reported import Reporting, of_living_chains
from licenseusage.controller.steps import amending, closing, history
from licenseusage.controller.steps.approving import approvals_due, follow_approvals
from licenseusage.controller.steps.contracts import reported_under
from licenseusage.controller.steps.delivering import deliver
from licenseusage.controller.steps.enrolling import (
    KeyGoneError,
    enrol_now,
    keep_beside_key,
)
from licenseusage.controller.steps.issuing import first_delay_ms, replace_refused
from licenseusage.controller.steps.rerouting import follow_route, is_exporting
from licenseusage.controller.steps.rotating import rotate
from licenseusage.controller.steps.world import World
from licenseusage.errors import Failure, Stalled, UsageError, Waiting
from licenseusage.ledger.documents.records import OutboxItem
from licenseusage.ledger.ledger import Ledger
from licenseusage.metering.cycles import Cycle, cycle_at
from licenseusage.reasons import Reason
from licenseusage.reports.keyring import KeyRing
from licenseusage.reports.licence import License, stored_license

_OBJECTS_SECONDS = 600.0
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
        approving: Annotations of the object's UsageReports make a difference.
    """

    reporting: Reporting | None
    reports: tuple[OutboxItem, ...]
    problem: Failure | None
    next_ms: int | None
    ring: KeyRing | None = None
    approving: bool = False

    @property
    def export_due_ms(self) -> int | None:
        """By when the vendor has to have what is exported; None: nothing is due."""
        exports = None if self.reporting is None else self.reporting.exports
        return None if exports is None else exports.due_ms

    @property
    def approval_due_ms(self) -> int | None:
        """By when the vendor has to have what waits for approval; None: nothing is due."""
        return None if self.reporting is None else self.reporting.approvals.due_ms


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
        return ReportingResult(None, reports, run.problem, next_ms, approving=run.approving)
    undelivered = world.deliveries.defect_of(context.key)
    if undelivered is not None:
        run.note(undelivered)
    endpoint = world.settings.vendor_endpoint or license_.endpoint
    exports = None
    if is_exporting(world, context, known.facts):
        exports = Exports.of(context.key, reports, license_.export_days)
    approvals = approvals_of(context.key, reports, approvals_due(world, context, known.facts))
    turns = [at for at in (next_ms, approvals.soon_ms, approvals.due_ms) if at is not None]
    next_ms = min((at for at in turns if at > now_ms or at == next_ms), default=None)
    reporting = Reporting(
        suspended=context.suspended,
        exports=exports,
        approvals=approvals,
        interims_refused=refused(_terms_now(run, license_), wanted=context.interims),
        now_ms=now_ms,
        problem=run.problem,
        waiting_final=run.waiting_final,
        statements=run.statements,
        reports=of_living_chains(reports, run.known.facts.chains),
        usage=context.key,
        host=urlsplit(endpoint or "").hostname or "",
    )
    ring = None if isinstance(run.context.signing, UsageError) else run.context.signing
    return ReportingResult(reporting, reports, run.problem, next_ms, ring, run.approving)


def _terms_now(run: "_Run", license_: License) -> License:
    """Return the licence that the running cycle is reported under."""
    meter = run.known.facts.meter
    cycle = cycle_at(meter.grids, run.now_ms)
    token = None if cycle is None else meter.license_of(cycle)
    return license_ if token is None else stored_license(token)


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
        approved: It is known what is approved, if anything has to be.
        approving: Annotations of the UsageReports make a difference.
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
    approved: bool = False
    approving: bool = False

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
            try:
                statements = await enrol_now(known, keys, reported, signing, run.now_ms, run.loop_s)
            except KeyGoneError as gone:
                run.context = replace(context, signing=gone)
                raise
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
    run.context = replace(context, history=memory.history)


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
    if not isinstance(issuer, Issuer) or interim_waits(facts.reports, issuer.chain.id):
        return None
    if not interims_made(issuer.license, wanted=context.interims):
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


async def _follow_approvals(run: _Run) -> None:
    run.approving = needs_approval(run.context.approval, run.known.facts)
    run.approved = not run.approving
    run.approving = await follow_approvals(run.world, run.context, run.known, run.now_ms)
    run.approved = True


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
    if any(each.seen for each in memory.history.values()):
        return  # they know more than the ledger: what they hold is evidence, and stays as it is
    fresh = loop_s - memory.objects_at_s < _OBJECTS_SECONDS
    due = approvals_due(run.world, context, run.known.facts)
    manual = needs_approval(context.approval, run.known.facts)
    if memory.objects == (reports, due, manual) and fresh and not context.requested:
        return
    if reports:
        aside = await _set_aside(run)
        await run.world.objects.keep(context.key, reports, due, aside, approval=manual)
    memory.objects, memory.objects_at_s = (reports, due, manual), loop_s


async def _set_aside(run: _Run) -> frozenset[str]:
    """Return the digests of reports that the object's chains went on without."""
    adopted = [chain.id for chain in run.known.facts.chains.values() if chain.adopted]
    if not adopted:
        return frozenset()

    def work(ledger: Ledger) -> frozenset[str]:
        return frozenset(each.link.digest for at in adopted for each in ledger.set_aside(at))

    return await run.world.books.do(work)


async def _deliver(run: _Run) -> int | None:
    documents, facts = (*run.statements, *run.reports), run.known.facts
    world, context, now_ms = run.world, run.context, run.now_ms
    return deliver(world, context, facts, documents, now_ms, permitted=run.approved)


Part = Callable[[_Run], Awaitable[int | None]]
_PARTS: tuple[Part, ...] = (
    _enrol,
    _compare_with_history,
    _rotate,
    _replace_refused,
    _close_ended,
    _interim,
    _amend,
    _follow_approvals,
    _follow_route,
    _keep_objects,
    _deliver,
)
"""What the step does, in this order; each returns when to look at it again, None: never."""
