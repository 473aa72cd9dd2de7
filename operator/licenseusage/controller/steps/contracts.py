"""The licences and chains that an object's reports belong to, former ones among them."""

from collections.abc import Sequence

from licenseusage.controller.rules.evidence import own_reports
from licenseusage.controller.rules.issuer import chain_of, installation_of
from licenseusage.controller.rules.key import Key
from licenseusage.controller.steps.world import World
from licenseusage.errors import UsageError
from licenseusage.ledger.documents.records import (
    Delivery,
    MeterFacts,
    OutboxItem,
    ReportChain,
    ReportKind,
)
from licenseusage.reports.keyring import KeyRing
from licenseusage.reports.licence import License, stored_license
from licenseusage.reports.report import read_report
from licenseusage.reports.tokens import decode


async def reported_from_ms(
    world: World, key: Key, facts: MeterFacts, signing: KeyRing | UsageError, license_: License
) -> int | None:
    """Return the start of the first cycle that was reported under a licence; None: none was.

    None, too, if the ledger has begun a cycle since then: another licence's cycles are counted.

    A ledger restored from a backup may see a licence for the first time that was in force long ago:
    its UsageReports tell.

    Raises:
        UsageError: They cannot be listed.
    """
    if isinstance(signing, UsageError):
        return None
    chain = chain_of(license_, installation_of(signing, license_), *key)
    known = own_reports(await world.objects.live(key), signing.public_keys(), {}).values()
    starts = [
        1000 * read_report(each.token).content.cycle.start_s
        for each in known
        if each.sent.chain_id == chain.id
    ]
    begun = max((record.cycle.start_ms for record in facts.cycles), default=0)
    first = min(starts, default=None)
    return None if first is None or first <= begun else first


def reported_under(facts: MeterFacts, current: License) -> list[License]:
    """Return the current licence and those that cycles which are not Final began under."""
    tokens = [current.token, *(facts.meter.license_of(record.cycle) for record in facts.unfinished)]
    return [stored_license(token) for token in dict.fromkeys(tokens) if token is not None]


def chains_with_licences(
    facts: MeterFacts, own: ReportChain, license_: License, documents: Sequence[OutboxItem]
) -> list[tuple[ReportChain, License]]:
    """Return the object's chain and older ones that something waits in, each with its licence."""
    chains: dict[str, tuple[ReportChain, License]] = {own.id: (own, license_)}
    for item in documents:
        if item.key_chain_id is None or item.chain_id in chains or not waits(item):
            continue
        of = license_of(facts, item)
        if of is not None:
            chains[item.chain_id] = (ReportChain(item.chain_id, item.key_chain_id), of)
    return list(chains.values())


def license_of(facts: MeterFacts, report: OutboxItem) -> License | None:
    """Return the last licence of the subscription that a report belongs to; None: not known."""
    older = authorised(facts.statements.get(report.key_chain_id or "", ()))
    if older is None:
        return None
    renewed = facts.meter.licenses.get(older.contract)
    return older if renewed is None else stored_license(renewed)


def authorised(statements: Sequence[OutboxItem]) -> License | None:
    """Return the licence that is inside a subscription's enrolment."""
    for statement in statements:
        if statement.kind is ReportKind.ENROLMENT:
            _, claims = decode(statement.token)
            return stored_license(str(claims["license"]))
    return None


def waits(item: OutboxItem) -> bool:
    """Whether a document may still have to be sent."""
    return item.state in (Delivery.PENDING, Delivery.SENDING, Delivery.REJECTED)
