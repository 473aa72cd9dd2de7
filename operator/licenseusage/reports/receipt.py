"""Receipts: the vendor's signed answer, without which nothing counts as delivered (§7)."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from licenseusage.reasons import Reason
from licenseusage.reports.grammar import (
    DIGEST,
    HEX32,
    INSTALLATION,
    JTI,
    LINK,
    NAME,
    SEQUENCE,
    TIME,
    TOKEN,
    Table,
    array,
    check_table,
    members,
    nullable,
    one_of,
)
from licenseusage.reports.keys import SigningKey, VendorKey
from licenseusage.reports.names import Link, digest, jti_of
from licenseusage.reports.refused import need
from licenseusage.reports.tokens import decode, open_token, sign
from licenseusage.reports.typs import ENROLMENT, RECEIPT, REPORT, SUCCESSION, VERSION

MAX_FINDINGS = 16

_TABLE: Table = {
    "iss": NAME,
    "aud": INSTALLATION,
    "sub": NAME,
    "jti": NAME,
    "iat": TIME,
    "receivedAt": TIME,
    "result": one_of("Accepted", "Rejected", "Conflict"),
    "error?": TOKEN,
    "subject": members(
        {
            "typ": one_of(REPORT, ENROLMENT, SUCCESSION),
            "jti": JTI,
            "sequence": SEQUENCE,
            "digest": DIGEST,
        }
    ),
    "chain": members({"id": HEX32, "head": nullable(LINK)}),
    "findings": array(TOKEN, MAX_FINDINGS),
}


class ReceiptVerdict(StrEnum):
    """The vendor's decision; ``Conflict``: stored as evidence, not part of the chain."""

    ACCEPTED = "Accepted"
    REJECTED = "Rejected"
    CONFLICT = "Conflict"


@dataclass(frozen=True, slots=True)
class Subject:
    """The document that a receipt acknowledges."""

    typ: str
    jti: str
    sequence: int
    digest: str

    @property
    def link(self) -> Link:
        """Position and digest."""
        return Link(self.sequence, self.digest)


@dataclass(frozen=True, slots=True)
class Sent:
    """A sender's knowledge of a document it has sent; the receipt must agree.

    Attributes:
        vendor: ``aud`` of the document.
        subscription: ``sub`` of the document.
        installation: ``iss`` of the document.
        chain_id: Its chain.
    """

    vendor: str
    subscription: str
    installation: str
    chain_id: str
    subject: Subject

    @classmethod
    def from_token(cls, token: str) -> "Sent":
        """Read one of our own documents (its signature is not verified).

        Raises:
            Refused: it is not a document of an installation.
        """
        header, claims = decode(token)
        check_table(_OWN, claims)
        own: Mapping[str, Any] = claims
        subject = Subject(
            str(header.get("typ")), own["jti"], own["chain"]["sequence"], digest(token)
        )
        return cls(own["aud"], own["sub"], own["iss"], own["chain"]["id"], subject)


_OWN: Table = {
    "iss": INSTALLATION,
    "sub": NAME,
    "aud": NAME,
    "jti": JTI,
    "chain": members({"id": HEX32, "sequence": SEQUENCE}),
}


@dataclass(frozen=True, slots=True)
class ReceiptInput:
    """Everything that a receiver puts into a receipt; times in seconds since 1970 UTC.

    Attributes:
        vendor: ``iss``, the receiver's vendor.
        installation: ``aud``; with ``subscription`` from the document acknowledged.
        receipt_id: ``jti`` of the receipt, a Name that the receiver never uses twice.
        received_at_s: When the document was stored durably; not later than ``issued_at_s``.
        error: The error class; None if and only if accepted.
        head: Last report (or key statement) of the unbroken run from 1 that the vendor holds.
        findings: At most 16.
    """

    vendor: str
    installation: str
    subscription: str
    receipt_id: str
    issued_at_s: int
    received_at_s: int
    verdict: ReceiptVerdict
    subject: Subject
    chain_id: str
    head: Link | None
    error: str | None = None
    findings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Receipt(ReceiptInput):
    """A verified receipt.

    Attributes:
        token: The receipt, exactly as signed.
    """

    token: str = ""


def build_receipt(receipt: ReceiptInput, key: SigningKey) -> str:
    """Sign a receipt.

    Raises:
        Refused: the input is not a valid receipt (a defect of the caller); nothing was signed.
    """
    subject = receipt.subject
    claims: dict[str, object] = {
        "ver": VERSION,
        "iss": receipt.vendor,
        "aud": receipt.installation,
        "sub": receipt.subscription,
        "jti": receipt.receipt_id,
        "iat": receipt.issued_at_s,
        "receivedAt": receipt.received_at_s,
        "result": receipt.verdict.value,
        **({"error": receipt.error} if receipt.error is not None else {}),
        "subject": {"typ": subject.typ, "jti": subject.jti, **subject.link.claim()},
        "chain": {"id": receipt.chain_id, "head": receipt.head.claim() if receipt.head else None},
        "findings": list(receipt.findings),
    }
    _check(claims)
    return sign(RECEIPT, claims, key)


def read_receipt(token: object, vendor_keys: Mapping[str, VendorKey]) -> Receipt:
    """Verify a receipt by itself, whatever it acknowledges.

    Raises:
        Refused: a class of layers 1-2, of the keys, or ``IdentifierMismatch``.
    """
    opened = open_token(token, RECEIPT, vendor_keys)
    _check(opened.claims)
    return _receipt(str(token), opened.claims)


def stored_receipt(token: str) -> Receipt:
    """Read a receipt without verifying it: one that was verified before, or only to find its name.

    Raises:
        Refused: it is no receipt.
    """
    header, claims = decode(token)
    need(header.get("typ") == RECEIPT, Reason.UNSUPPORTED_TYPE)
    _check(claims)
    return _receipt(token, claims)


def verify_receipt(token: object, vendor_keys: Mapping[str, VendorKey], sent: Sent) -> Receipt:
    """Verify the receipt of a document that we sent (REPORT_FORMAT §12, layer 3).

    The verdict stands by itself; what the vendor's head says about the chain is ``head_notes``'s.

    Args:
        token: The candidate.
        vendor_keys: The pinned keys.
        sent: The document it must acknowledge.

    Raises:
        Refused: a class of layers 1-3; ``ReceiptMismatch``: the receipt of another document.
    """
    opened = open_token(token, RECEIPT, vendor_keys)
    _check_claims(opened.claims)
    receipt = _receipt(str(token), opened.claims)
    need(receipt.vendor == sent.vendor, Reason.ISSUER_MISMATCH)
    need(receipt.installation == sent.installation, Reason.AUDIENCE_MISMATCH)
    need(receipt.subscription == sent.subscription, Reason.LICENSE_MISMATCH, "sub")
    _check_subject(opened.claims)
    need(receipt.subject == sent.subject, Reason.RECEIPT_MISMATCH)
    head = receipt.head
    need(
        head is None
        or receipt.verdict is ReceiptVerdict.CONFLICT
        or head.sequence != receipt.subject.sequence
        or head.digest == receipt.subject.digest,
        Reason.RECEIPT_MISMATCH,
        "the vendor's head names another document at this position",
    )
    return receipt


def head_notes(receipt: Receipt, *, own_digest: str | None, acknowledged: int) -> tuple[str, ...]:
    """Return the note about the chain that follows from the vendor's head (REPORT_FORMAT §7).

    ``LocalHistoryLost`` and ``ChainForked`` stop the chain; after ``VendorHeadRegressed``
    everything behind the head is sent again.

    Args:
        receipt: A verified receipt.
        own_digest: Digest of our own document at the head's position; None: we hold none there.
        acknowledged: The highest head verified before; 0: none.
    """
    notes = []
    if receipt.head and own_digest is None:
        notes.append(Reason.LOCAL_HISTORY_LOST)
    elif receipt.head and own_digest != receipt.head.digest:
        notes.append(Reason.CHAIN_FORKED)
    if (receipt.head.sequence if receipt.head else 0) < acknowledged:
        notes.append(Reason.VENDOR_HEAD_REGRESSED)
    return tuple(notes)


def _check(claims: Mapping[str, Any]) -> None:
    _check_claims(claims)
    _check_subject(claims)


def _check_claims(claims: Mapping[str, Any]) -> None:
    check_table(_TABLE, claims)
    accepted = claims["result"] == ReceiptVerdict.ACCEPTED
    need(accepted == ("error" not in claims), Reason.CLAIM_INVALID, "error: unless Accepted")
    need(claims["receivedAt"] <= claims["iat"], Reason.CLAIM_INVALID, "receivedAt is not after iat")


def _check_subject(claims: Mapping[str, Any]) -> None:
    subject = claims["subject"]
    derived = jti_of(claims["chain"]["id"], subject["sequence"])
    need(subject["jti"] == derived, Reason.IDENTIFIER_MISMATCH, "subject.jti")


def _receipt(token: str, claims: Mapping[str, Any]) -> Receipt:
    subject, head = claims["subject"], claims["chain"]["head"]
    return Receipt(
        vendor=claims["iss"],
        installation=claims["aud"],
        subscription=claims["sub"],
        receipt_id=claims["jti"],
        issued_at_s=claims["iat"],
        received_at_s=claims["receivedAt"],
        verdict=ReceiptVerdict(claims["result"]),
        subject=Subject(subject["typ"], subject["jti"], subject["sequence"], subject["digest"]),
        chain_id=claims["chain"]["id"],
        head=head and Link(head["sequence"], head["digest"]),
        error=claims.get("error"),
        findings=tuple(claims["findings"]),
        token=token,
    )
