"""The enrolment: signed once per subscription, kept beside the key, sent before any report."""

from licenseusage.controller.books import Books
from licenseusage.controller.identity import Keys
from licenseusage.controller.statements import chain_of
from licenseusage.errors import UsageError
from licenseusage.ledger.records import OutboxItem, ReportKind, SignedDocument
from licenseusage.metering.cycles import Cycle
from licenseusage.reports.enrolment import build_enrolment
from licenseusage.reports.keys import SigningKey
from licenseusage.reports.licence import License, stored_license
from licenseusage.reports.names import digest, jti_of, key_chain_id
from licenseusage.reports.receipt import Sent
from licenseusage.reports.tokens import decode


async def enrol(
    books: Books, license_: License, key: SigningKey, now_ms: int | None
) -> tuple[OutboxItem, ...]:
    """Return the key statements of a subscription; the enrolment is made if there is none.

    Args:
        books: The ledger.
        license_: The licence that authorises it.
        key: The installation's key.
        now_ms: The time; None: the clock cannot be trusted, so nothing is signed now.

    Raises:
        UsageError: The ledger cannot be written.
    """
    chain = chain_of(license_, key.installation, "", "").key_chain_id
    statements = await books.do(lambda ledger: ledger.key_statements(chain))
    if statements or now_ms is None:
        return statements
    at_ms = now_ms
    token = build_enrolment(license_, key, issued_at_s=at_ms // 1000)
    document = SignedDocument(jti_of(chain, 1), digest(token), token)
    made = await books.do(
        lambda ledger: ledger.add_key_statement(chain, ReportKind.ENROLMENT, 1, document, at_ms)
    )
    return (made,)


async def keep_beside_key(keys: Keys, statements: tuple[OutboxItem, ...], now_s: float) -> None:
    """Copy the statements into the identity's Secret, so that its backup is complete.

    Raises:
        UsageError: The API server refuses or does not answer.
    """
    await keys.keep_statements(tuple(one.token for one in statements), now_s)


async def license_of_cycle(
    books: Books,
    cycle: Cycle,
    current: License,
    meter_id: int,
    installation: str,
) -> License | None:
    """Return the licence that a cycle belongs to; None if no report of its terms was ever made.

    New terms come with a new subscription, hence a new chain, while the old cycle runs to its end
    under the old one (DESIGN §5). The old licence is found in the enrolment that it authorised.

    Raises:
        UsageError: The ledger cannot be read.
    """
    if _has(current, cycle):
        return current
    seen: set[str] = set()
    for item in await books.do(lambda ledger: ledger.reports(meter_id)):
        sent = Sent.from_token(item.token)
        if sent.subscription in seen or sent.installation != installation:
            continue
        seen.add(sent.subscription)
        chain = key_chain_id(
            vendor=sent.vendor, installation=installation, subscription=sent.subscription
        )
        found = await authorised(books, chain)
        if found is not None and _has(found, cycle):
            return found
    return None


def _has(license_: License, cycle: Cycle) -> bool:
    try:
        start, end = license_.cycle.bounds(cycle.index)
    except UsageError:
        return False
    return (start * 1000, end * 1000) == (cycle.start_ms, cycle.end_ms)


async def authorised(books: Books, key_chain: str) -> License | None:
    """Return the licence that is inside a subscription's enrolment."""
    for statement in await books.do(lambda ledger: ledger.key_statements(key_chain)):
        if statement.kind is ReportKind.ENROLMENT:
            _, claims = decode(statement.token)
            return stored_license(str(claims["license"]))
    return None
