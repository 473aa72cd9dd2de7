"""The enrolment: signed once per subscription, kept beside the key, sent before any report."""

from collections.abc import Sequence

from licenseusage.controller.books import Books
from licenseusage.controller.identity import Keys
from licenseusage.controller.statements import chain_of
from licenseusage.errors import UsageError
from licenseusage.ledger.ledger import Ledger
from licenseusage.ledger.records import HISTORY_LOST, OutboxItem, ReportKind, SignedDocument
from licenseusage.metering.cycles import Cycle
from licenseusage.reports.enrolment import build_enrolment
from licenseusage.reports.keys import SigningKey
from licenseusage.reports.licence import License, stored_license
from licenseusage.reports.names import digest, jti_of, key_chain_id
from licenseusage.reports.receipt import Sent
from licenseusage.reports.refused import Refused
from licenseusage.reports.tokens import decode
from licenseusage.reports.typs import ENROLMENT, SUCCESSION

_KINDS = {ENROLMENT: ReportKind.ENROLMENT, SUCCESSION: ReportKind.SUCCESSION}


async def enrol(
    books: Books,
    keys: Keys,
    license_: License,
    key: SigningKey,
    now_ms: int | None,
    now_s: float,
) -> tuple[OutboxItem, ...]:
    """Return the key statements of a subscription; the enrolment is made if there is none.

    Statements are kept beside the key as soon as they are made. If they are there and not in the
    ledger, then the ledger was lost, or is from before them: they are taken over as they were
    signed, and no chain of reports of this subscription may begin, since the vendor may hold a
    history of it (REPORT_FORMAT §11).

    Args:
        books: The ledger.
        keys: Where the statements are kept, too.
        license_: The licence that authorises it.
        key: The installation's key.
        now_ms: The time; None: the clock cannot be trusted, so nothing is signed now.
        now_s: Monotonic seconds.

    Raises:
        UsageError: The ledger cannot be written, or the Secret cannot be read.
    """
    chain = chain_of(license_, key.installation, "", "").key_chain_id
    statements = await books.do(lambda ledger: ledger.key_statements(chain))
    if statements or now_ms is None:
        return statements
    at_ms = now_ms
    kept = _own(await keys.statements(now_s), chain)
    if kept:
        return await books.do(lambda ledger: _take_over(ledger, chain, kept, at_ms))
    token = build_enrolment(license_, key, issued_at_s=at_ms // 1000)
    document = SignedDocument(jti_of(chain, 1), digest(token), token)
    made = await books.do(
        lambda ledger: ledger.add_key_statement(chain, ReportKind.ENROLMENT, 1, document, at_ms)
    )
    return (made,)


def _own(tokens: Sequence[str], chain: str) -> list[str]:
    """Return the statements of one chain in order, as far as they follow each other."""
    found: dict[int, str] = {}
    for token in tokens:
        try:
            sent = Sent.from_token(token)
        except Refused:
            continue
        if sent.chain_id == chain and sent.subject.typ in _KINDS:
            found[sent.subject.sequence] = token
    return [found[at] for at in range(1, len(found) + 1) if at in found]


def _take_over(
    ledger: Ledger, chain: str, tokens: Sequence[str], now_ms: int
) -> tuple[OutboxItem, ...]:
    ledger.stop_chain(chain, HISTORY_LOST, now_ms)
    for sequence, token in enumerate(tokens, 1):
        document = SignedDocument(jti_of(chain, sequence), digest(token), token)
        kind = _KINDS[Sent.from_token(token).subject.typ]
        ledger.add_key_statement(chain, kind, sequence, document, now_ms)
    return ledger.key_statements(chain)


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
    """Return the licence that a cycle belongs to; None if none can be told.

    New terms come with a new subscription, hence a new chain, while the old cycle runs to its end
    under the old one (DESIGN §5). The old licence is found in the enrolment that it authorised: by
    the reports made under it or, if there are none yet, as the only one of the same product that
    has such a cycle and belongs to no other object.

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
    return await books.do(
        lambda ledger: _left_over(ledger, cycle, current, meter_id, installation, seen)
    )


def _left_over(
    ledger: Ledger,
    cycle: Cycle,
    current: License,
    meter_id: int,
    installation: str,
    seen: set[str],
) -> License | None:
    """Return the one enrolled licence that has the cycle and that no object has reported under."""
    found = {}
    for statement in ledger.enrolments():
        _, claims = decode(statement.token)
        license_ = stored_license(str(claims["license"]))
        of_product = (license_.vendor, license_.product) == (current.vendor, current.product)
        if claims["iss"] == installation and of_product and _has(license_, cycle):
            found[license_.subscription] = license_
    if found.keys() - seen:
        for meter in ledger.meters():
            if meter.id == meter_id:
                continue
            if meter.license_token is not None:
                found.pop(stored_license(meter.license_token).subscription, None)
            for item in ledger.reports(meter.id):
                found.pop(Sent.from_token(item.token).subscription, None)
    left = [found[subscription] for subscription in found.keys() - seen]
    return left[0] if len(left) == 1 else None


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
