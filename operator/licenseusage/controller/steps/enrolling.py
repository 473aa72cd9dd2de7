"""The enrolment: signed once per subscription, kept beside the key, sent before any report."""

from collections.abc import Sequence

from licenseusage.controller.effects.gatherer import Works
from licenseusage.controller.effects.identity import Keys
from licenseusage.controller.rules.issuer import chain_of, installation_of
from licenseusage.errors import Retryable, Stalled
from licenseusage.ledger.documents.records import (
    HISTORY_LOST,
    OutboxItem,
    ReportKind,
    SignedDocument,
)
from licenseusage.ledger.ledger import Ledger
from licenseusage.reasons import Reason
from licenseusage.reports.enrolment import build_enrolment, is_another
from licenseusage.reports.keyring import KeyRing, key_chains
from licenseusage.reports.keys import SigningKey
from licenseusage.reports.licence import License
from licenseusage.reports.names import digest, jti_of
from licenseusage.reports.receipt import Sent
from licenseusage.reports.typs import ENROLMENT, SUCCESSION

_KINDS = {ENROLMENT: ReportKind.ENROLMENT, SUCCESSION: ReportKind.SUCCESSION}


class KeyGoneError(Retryable):
    """A rotation has ended since the keys were read."""

    def __init__(self) -> None:
        """Say so."""
        super().__init__(
            Reason.STATEMENTS_NOT_KEPT,
            "A rotation has ended at this moment, and another key signs now; it is tried again.",
        )


async def enrol(
    books: Works,
    keys: Keys,
    license_: License,
    ring: KeyRing,
    now_ms: int | None,
    loop_s: float,
) -> tuple[OutboxItem, ...]:
    """Return the key statements of a subscription; the enrolment is made if there is none.

    Statements are kept beside the key as soon as they are made. If they are there and not in the
    ledger, then the ledger was lost, or is from before them: they are taken over as they were
    signed. If the ledger holds none of them, no chain of reports of this subscription may begin,
    since the vendor may hold a history of it (REPORT_FORMAT §11).

    Args:
        books: The ledger.
        keys: Where the statements are kept, too.
        license_: The licence that authorises it.
        ring: The installation's keys.
        now_ms: The time; None: the clock cannot be trusted, so nothing is signed now.
        loop_s: Monotonic seconds.

    Raises:
        Stalled: ``IdentityInvalid``: the ledger says that the key has succeeded another one, and
            the statements that say so are not beside it; or ``replaces`` is no id.
        UsageError: The ledger cannot be written, or the Secret cannot be read.
    """
    chain = chain_of(license_, installation_of(ring, license_), "", "").key_chain_id
    statements = await books.do(lambda ledger: ledger.key_statements(chain))
    kept = [statement.token for statement in ring.chains.get(chain, ())]
    if now_ms is None or len(statements) >= max(1, len(kept)):
        return statements
    at_ms, key = now_ms, ring.current
    if kept:
        return await books.do(lambda ledger: take_over(ledger, chain, kept, at_ms))
    await _refuse_a_successor(books, license_, key)
    token = build_enrolment(
        license_, key, issued_at_s=at_ms // 1000, replaces=await _given_up(keys, key, loop_s)
    )
    document = SignedDocument(jti_of(chain, 1), digest(token), token)
    made = await books.do(
        lambda ledger: ledger.add_key_statement(chain, ReportKind.ENROLMENT, 1, document, at_ms)
    )
    return (made,)


async def enrol_now(
    books: Works, keys: Keys, license_: License, ring: KeyRing, now_ms: int, loop_s: float
) -> tuple[OutboxItem, ...]:
    """Enrol as `enrol` does, while no rotation can end and take the key away that signs.

    A rotation sees every enrolment that was made before it signs its successions. One that is made
    between these and the end of the rotation would be by a key that is gone, and never succeeded.

    Raises:
        KeyGoneError: Another key is the current one by now; nothing was made.
        UsageError: As of `enrol`.
    """
    async with keys.rotation:
        now = await keys.ring(loop_s)
        if now.current.kid != ring.current.kid:
            raise KeyGoneError
        return await enrol(books, keys, license_, now, now_ms, loop_s)


async def _given_up(keys: Keys, key: SigningKey, loop_s: float) -> str | None:
    """Return the id of the installation that was lost, if an administrator named it.

    Never found out by ourselves: who copied an identity must not give up the one it is from.

    Raises:
        UsageError: ``IdentityInvalid``: it is no id of another installation.
    """
    named = await keys.replaces(loop_s)
    if named is not None and not is_another(named, key):
        raise Stalled(
            Reason.IDENTITY_INVALID,
            "The key 'replaces' of the identity's Secret is not the id of another installation "
            "(urn:ietf:params:oauth:jwk-thumbprint:sha-256:…). Correct or remove it.",
        )
    return named


async def _refuse_a_successor(books: Works, license_: License, key: SigningKey) -> None:
    """Let no key enrol anew that has succeeded another one under the same subscription.

    Its Secret was put together by hand, without the statements: enrolled, it would be another
    installation for the vendor.

    Raises:
        Stalled: ``IdentityInvalid``.
    """
    items = await books.do(Ledger.all_key_statements)
    for statements in key_chains(item.token for item in items).values():
        sent, newest = statements[0].sent, statements[-1].brings
        ours = (sent.vendor, sent.subscription) == (license_.vendor, license_.subscription)
        if ours and newest == key.public:
            raise Stalled(
                Reason.IDENTITY_INVALID,
                f"The identity's Secret holds key {key.kid} without the statements by which it "
                f"succeeded another key of {sent.installation}. Restore the Secret as a whole, or "
                f"put the output of licenseusage ledger enrolment into its member 'statements'.",
            )


def take_over(
    ledger: Ledger, chain: str, tokens: Sequence[str], now_ms: int
) -> tuple[OutboxItem, ...]:
    """Take the statements that are kept beside the keys into a ledger that was lost or restored.

    Args:
        ledger: The ledger.
        chain: Id of the key chain.
        tokens: Its statements, in order, exactly as signed.
        now_ms: The time.

    Raises:
        Stalled: ``ReportConflict``: another statement holds a position.
    """
    if not ledger.key_statements(chain):
        ledger.stop_chain(chain, HISTORY_LOST, now_ms)
    for sequence, token in enumerate(tokens, 1):
        document = SignedDocument(jti_of(chain, sequence), digest(token), token)
        kind = _KINDS[Sent.from_token(token).subject.typ]
        ledger.add_key_statement(chain, kind, sequence, document, now_ms)
    return ledger.key_statements(chain)


async def keep_beside_key(keys: Keys, statements: tuple[OutboxItem, ...], loop_s: float) -> None:
    """Copy the statements into the identity's Secret, so that its backup is complete.

    Raises:
        UsageError: The API server refuses or does not answer.
    """
    await keys.keep_statements(tuple(statement.token for statement in statements), loop_s)
