"""Rows of the database as types, and back."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from licenseusage.reports.licence import LicenseTerms
from licenseusage.reports.names import Link
from licenseusage.reports.receipt import ReceiptVerdict
from licenseusage.reports.terms import CycleTerms


@dataclass(frozen=True, slots=True)
class Chain:
    """The meaning of a chain id, and the vendor's head of that chain.

    Attributes:
        namespace: Null, like ``name``, for a chain of key statements.
        head: The last document of the unbroken run from sequence 1.
    """

    id: str
    aud: str
    installation: str
    subscription: str
    namespace: str | None = None
    name: str | None = None
    head: Link | None = None


@dataclass(frozen=True, slots=True)
class Document:
    """A token as it arrived, and its verdict.

    Attributes:
        rank: Rank of the key that signed it (REPORT_FORMAT §4: newer keys retire older ones).
        verdict: ``Accepted``, ``Rejected`` (holds its position as a link) or ``Conflict``
            (evidence; holds no position).
        error: The class, unless accepted.
        findings: Tokens, ascending.
        receipt: The receipt, a token; empty only inside the transaction that signs it.
    """

    digest: str
    chain_id: str
    sequence: int
    typ: str
    jti: str
    previous: str | None
    rank: int
    token: str
    verdict: ReceiptVerdict
    received_ms: int
    error: str | None = None
    findings: tuple[str, ...] = ()
    receipt: str = ""
    receipt_kid: str = ""


@dataclass(frozen=True, slots=True)
class ReportRow:
    """The contents of an accepted report that rules and pages need.

    Attributes:
        stands: False if a later arrival showed that it breaks a rule of REPORT_FORMAT §6; it stays
            accepted, but is not its cycle's value.
    """

    digest: str
    chain_id: str
    sequence: int
    kind: str
    cycle_index: int
    cycle_start_s: int
    cycle_end_s: int
    as_of_s: int
    accuracy: str
    active_users: int | None
    active_users_upper_bound: int | None
    provisioned_users: int | None
    observed_seconds: int
    stands: bool = True


@dataclass(frozen=True, slots=True)
class Installation:
    """One enrolment: an installation under one subscription, and the licence it brought.

    Attributes:
        terms: What the licence says. It was verified when the enrolment arrived.
    """

    key_chain_id: str
    installation: str
    replaces: str | None
    enrolled_ms: int
    terms: LicenseTerms

    @property
    def subscription(self) -> str:
        """The subscription, ``sub`` of everything the installation signs for this licence."""
        return self.terms.subscription


@dataclass(frozen=True, slots=True)
class KeyRow:
    """A key of an installation: its public point ``x`` (base64url) and its rank, from 1."""

    key_chain_id: str
    kid: str
    rank: int
    x: str


def document_of(values: Mapping[str, Any]) -> Document:
    """Return the document of the columns of ``documents``, by name."""
    return Document(
        **dict(values)
        | {
            "verdict": ReceiptVerdict(values["verdict"]),
            "findings": tuple(json.loads(values["findings"])),
        }
    )


def report_of(values: Mapping[str, Any]) -> ReportRow:
    """Return the report of the columns of ``reports``, by name."""
    return ReportRow(**dict(values) | {"stands": bool(values["stands"])})


def installation_of(values: Mapping[str, Any]) -> Installation:
    """Return the installation of the columns of ``installations``, by name."""
    return Installation(
        key_chain_id=values["key_chain_id"],
        installation=values["installation"],
        replaces=values["replaces"],
        enrolled_ms=values["enrolled_ms"],
        terms=LicenseTerms(
            vendor=values["vendor"],
            subscription=values["subscription"],
            license_id=values["license_id"],
            issued_at_s=values["license_issued_at_s"],
            not_before_s=values["not_before_s"],
            expires_s=values["expires_s"],
            product=values["product"],
            cycle=CycleTerms(
                anchor=date.fromisoformat(values["anchor_date"]),
                length_days=values["length_days"],
                length_months=values["length_months"],
            ),
            interval_hours=values["interval_hours"],
            reporting_required=bool(values["reporting_required"]),
            maximum_active_users=values["maximum_active_users"],
            interim=values["interim"],
            purpose=values["purpose"],
        ),
    )


def license_columns(terms: LicenseTerms) -> dict[str, object]:
    """Return the columns of ``installations`` that hold the licence's terms."""
    return {
        "vendor": terms.vendor,
        "subscription": terms.subscription,
        "license_id": terms.license_id,
        "license_issued_at_s": terms.issued_at_s,
        "not_before_s": terms.not_before_s,
        "expires_s": terms.expires_s,
        "product": terms.product,
        "anchor_date": terms.cycle.anchor.isoformat(),
        "length_days": terms.cycle.length_days,
        "length_months": terms.cycle.length_months,
        "interval_hours": terms.interval_hours,
        "reporting_required": int(terms.reporting_required),
        "maximum_active_users": terms.maximum_active_users,
        "interim": terms.interim,
        "purpose": terms.purpose,
    }


def chain_of(values: Mapping[str, Any]) -> Chain:
    """Return the chain of the columns of ``chains``, by name."""
    sequence, digest = values["head_sequence"], values["head_digest"]
    return Chain(
        id=values["id"],
        aud=values["aud"],
        installation=values["installation"],
        subscription=values["subscription"],
        namespace=values["namespace"],
        name=values["name"],
        head=None if sequence is None else Link(sequence, digest),
    )
