"""Storing a key statement where it belongs in its chain (REPORT_FORMAT §4; §12, layer 4)."""

from licenseusage.reasons import Reason
from licenseusage.receiver.evidence import keep_evidence
from licenseusage.receiver.receipts import IssuedReceipt, ReceiptSigner
from licenseusage.receiver.registering import register
from licenseusage.receiver.store import Chain, Document, Installation, KeyRow, Writing
from licenseusage.reports.enrolment import Enrolment
from licenseusage.reports.keys import PublicKey
from licenseusage.reports.names import Link
from licenseusage.reports.receipt import ReceiptVerdict
from licenseusage.reports.succession import Succession
from licenseusage.reports.typs import ENROLMENT, SUCCESSION


def place_statement(
    writing: Writing, signer: ReceiptSigner, statement: Enrolment | Succession, *, now_s: int
) -> IssuedReceipt:
    """Store an authentic statement with its receipt: accepted, or a conflict's evidence.

    A chain of statements has no gaps to wait for: the key of a later statement is unknown until the
    one before has arrived.

    Raises:
        RequestRefused: too many conflicts are kept; the transaction must not commit.
        Retryable: the receipt could not be signed; the transaction must not commit.
    """
    chain = writing.stored(_chain_of(writing, statement))
    ranks = {key.kid: key.rank for key in writing.keys(chain.id)}
    document = Document(
        digest=statement.digest,
        chain_id=chain.id,
        sequence=statement.sequence,
        typ=ENROLMENT if isinstance(statement, Enrolment) else SUCCESSION,
        jti=statement.jti,
        previous=statement.previous,
        rank=ranks.get(statement.kid, 1),
        token=statement.token,
        verdict=ReceiptVerdict.ACCEPTED,
        received_ms=now_s * 1000,
    )
    conflict = _contradiction(document, chain.head, newest_rank=max(ranks.values(), default=1))
    if conflict is not None:
        return keep_evidence(writing, signer, chain, document, conflict, now_s=now_s)
    writing.add(document)
    new = _new_key(writing, statement, now_s)
    writing.add_key(KeyRow(chain.id, new.thumbprint, statement.sequence, new.x))
    head = Link(document.sequence, document.digest)
    writing.set_head(chain.id, head)
    return signer.issue(writing, document, chain, head, now_s=now_s)


def _chain_of(writing: Writing, statement: Enrolment | Succession) -> Chain:
    if isinstance(statement, Succession):
        return writing.chain(statement.chain_id)
    return Chain(
        id=statement.chain_id,
        aud=statement.license.vendor,
        installation=statement.installation,
        subscription=statement.license.subscription,
    )


def _new_key(writing: Writing, statement: Enrolment | Succession, now_s: int) -> PublicKey:
    """Return the key that a statement brings; an enrolment brings its installation as well."""
    if isinstance(statement, Succession):
        return statement.new
    register(writing, statement.license, now_s=now_s)
    writing.add_installation(
        Installation(
            key_chain_id=statement.chain_id,
            installation=statement.installation,
            replaces=statement.replaces,
            enrolled_ms=now_s * 1000,
            terms=statement.license,
        )
    )
    return statement.key.public


def _contradiction(document: Document, head: Link | None, *, newest_rank: int) -> str | None:
    """Return the class by which a statement contradicts its chain, in the order of §12."""
    if head is not None and document.sequence <= head.sequence:
        return Reason.REPORT_CONFLICT
    if document.rank < newest_rank:
        return Reason.KEY_RETIRED
    if document.sequence != (head.sequence + 1 if head else 1):
        return Reason.CHAIN_GAP
    return None if document.previous == (head.digest if head else None) else Reason.CHAIN_FORKED
