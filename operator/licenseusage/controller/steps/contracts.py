"""The licences and chains that an object's reports belong to, former ones among them."""

from collections.abc import Sequence

from licenseusage.ledger.documents.records import (
    Delivery,
    MeterFacts,
    OutboxItem,
    ReportChain,
    ReportKind,
)
from licenseusage.reports.licence import License, stored_license
from licenseusage.reports.tokens import decode


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
        older = authorised(facts.statements[item.key_chain_id])
        if older is not None:
            renewed = facts.meter.licenses.get(older.contract)
            of = older if renewed is None else stored_license(renewed)
            chains[item.chain_id] = (ReportChain(item.chain_id, item.key_chain_id), of)
    return list(chains.values())


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
