"""Following approvals: what nobody has approved is held, what somebody has approved is let go."""

from licenseusage.controller.effects.gatherer import Gatherer
from licenseusage.controller.rules.approval import (
    approvals_in,
    changes,
    due_exported,
    due_online,
    needs_approval,
    open_to_approval,
)
from licenseusage.controller.rules.issuer import Context
from licenseusage.controller.steps.contracts import license_of
from licenseusage.controller.steps.rerouting import is_exporting
from licenseusage.controller.steps.world import World
from licenseusage.ledger.documents.records import Delivery, MeterFacts, ReportKind


async def follow_approvals(world: World, context: Context, known: Gatherer, now_ms: int) -> bool:
    """Make the outbox agree with the spec and with the annotations of the UsageReports.

    They are read only while something waits or could still be held.

    Returns:
        Whether what they say makes a difference now.

    Raises:
        UsageError: They cannot be listed, so that nothing may be sent that needs an approval; or
            the ledger cannot be written.
    """
    facts = known.facts
    manual, meter = needs_approval(context.approval, facts), facts.meter
    acknowledged = acknowledged_in(facts)
    open_ = [
        report
        for report in facts.reports
        if open_to_approval(report, acknowledged.get(report.chain_id, 0))
    ]
    approvals: dict[str, str] = {}
    looked = manual and bool(open_)
    if looked:
        live = await world.objects.live(context.key)
        approvals = approvals_in(context.key.name, live, open_)
    wanted = changes(context.key, facts.reports, acknowledged, approvals, manual=manual)
    if wanted or manual != meter.approval:
        await known.do(
            lambda ledger: ledger.follow_approvals(
                meter.id, now_ms, manual=manual, hold=wanted.hold, release=wanted.release
            )
        )
    return looked


def acknowledged_in(facts: MeterFacts) -> dict[str, int]:
    """Return up to which position the vendor has signed for each chain."""
    return {
        chain_id: chain.acknowledged.sequence
        for chain_id, chain in facts.chains.items()
        if chain.acknowledged is not None
    }


def approvals_due(world: World, context: Context, facts: MeterFacts) -> dict[str, int]:
    """Return by when the vendor has to have each report that waits, ms since the epoch."""
    waiting = [each for each in facts.reports if each.state is Delivery.AWAITING_APPROVAL]
    if not waiting or context.license is None:
        return {}
    if is_exporting(world, context, facts):
        return due_exported(context.key, waiting, context.license.export_days)
    due: dict[str, int] = {}
    for chain_id in dict.fromkeys(report.chain_id for report in waiting):
        of_chain = [report for report in facts.reports if report.chain_id == chain_id]
        statements = facts.statements.get(of_chain[0].key_chain_id or "", ())
        enrolments = [each for each in statements if each.kind is ReportKind.ENROLMENT]
        received = [each.accepted_ms or each.created_ms for each in enrolments]
        terms = license_of(facts, of_chain[0]) or context.license
        due |= due_online(of_chain, terms, min(received, default=of_chain[-1].created_ms))
    return due
