"""The licence: cycles, entitlement and the address for reports, signed by the vendor (§3).

Expiry ends rights, not metering: ``read_license`` gives the terms of a licence whatever its dates;
``verify_license`` decides whether it may come into force now.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from licenseusage.metering.cycles import Terms
from licenseusage.reasons import Reason
from licenseusage.reports.grammar import (
    COUNT,
    NAME,
    PURPOSE,
    THUMBPRINT,
    TIME,
    Table,
    array,
    boolean,
    calendar_date,
    check_table,
    integer,
    members,
    nullable,
    one_of,
    pattern,
)
from licenseusage.reports.keys import SigningKey, VendorKey
from licenseusage.reports.names import digest
from licenseusage.reports.refused import need
from licenseusage.reports.terms import CycleTerms
from licenseusage.reports.tokens import decode, open_token, sign
from licenseusage.reports.typs import LICENSE, SKEW_SECONDS, THUMBPRINT_URI, VERSION

LONGEST_DAYS, LONGEST_MONTHS = 62, 2
"""Of the cycles that an operator can meter; the format has longer ones."""

_TABLE: Table = {
    "iss": NAME,
    "sub": NAME,
    "jti": NAME,
    "iat": TIME,
    "nbf": TIME,
    "exp": TIME,
    "product": NAME,
    "maximumActiveUsers": nullable(COUNT),
    "purpose?": PURPOSE,
    "cycle": members(
        {
            "anchorDate": calendar_date,
            "lengthDays?": integer(1, 366),
            "lengthMonths?": integer(1, 12),
        }
    ),
    "reporting": members(
        {
            "endpoint?": pattern(
                "https://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[A-Za-z0-9._~-]+)*",
                longest=512,
                words="https://HOST, perhaps with :PORT and /PATH; no user, query or fragment",
            ),
            "intervalHours": integer(1, 744),
            "required": boolean,
            "versions?": array(integer(1, 99), 8),
            "interim?": one_of("Required", "Optional"),
            "exportDays?": integer(1, 400),
        }
    ),
    "cnf?": members({"jkt": THUMBPRINT}),
}


@dataclass(frozen=True, slots=True)
class LicenseTerms:
    """The contents of a licence; times in seconds since 1970 UTC.

    Attributes:
        vendor: ``iss``, the audience of everything the installation signs.
        subscription: ``sub``; the cycles belong to it, so new cycles need a new subscription.
        license_id: ``jti``: this document.
        maximum_active_users: None: no contracted maximum.
        endpoint: Where reports go, https; None: off line only.
        interval_hours: One interim report per slot of this length.
        reporting_required: Whether the contract asks for reports; never switches metering off.
        interim: ``Required`` or ``Optional`` (the customer may send finals only).
        export_days: Agreed interval of exports, for use off line.
        versions: Report versions that the vendor reads.
        first_key: Thumbprint of the only key that may enrol; None: any.
        purpose: ``Production``, ``NonProduction`` or ``Standby``.
    """

    vendor: str
    subscription: str
    license_id: str
    issued_at_s: int
    not_before_s: int
    expires_s: int
    product: str
    cycle: CycleTerms
    interval_hours: int
    reporting_required: bool
    maximum_active_users: int | None = None
    endpoint: str | None = None
    interim: str = "Required"
    export_days: int | None = None
    versions: tuple[int, ...] = (1,)
    first_key: str | None = None
    purpose: str = "Production"

    @property
    def contract(self) -> str:
        """Vendor and subscription, to which cycles, keys and reports belong."""
        return f"{self.vendor} {self.subscription}"


@dataclass(frozen=True, slots=True)
class License(LicenseTerms):
    """A licence whose signature was verified.

    Attributes:
        token: The document, exactly as signed.
        digest: Its digest.
    """

    token: str = ""
    digest: str = ""


@dataclass(frozen=True, slots=True)
class Subscription:
    """The agreed terms, which a later licence of the same ``sub`` must repeat."""

    subscription: str
    cycle: CycleTerms


def read_license(token: object, vendor_keys: Mapping[str, VendorKey]) -> License:
    """Verify signature, claims and terms, but no date: for licences that were accepted before.

    Raises:
        Refused: a class of layer 1-2, or of the keys.
    """
    opened = open_token(token, LICENSE, vendor_keys)
    check_table(_TABLE, opened.claims)
    license_ = _license(str(token), opened.claims)
    need(license_.not_before_s < license_.expires_s, Reason.CLAIM_INVALID, "nbf is before exp")
    return license_


def stored_license(token: str) -> License:
    """Read a licence that was verified before (our own ledger's): **verifies no signature**.

    Raises:
        Refused: it is not a licence at all.
    """
    _, claims = decode(token)
    check_table(_TABLE, claims)
    return _license(token, claims)


def verify_license(
    token: object,
    vendor_keys: Mapping[str, VendorKey],
    *,
    now_s: int,
    product: str | None = None,
    installation: str | None = None,
    previous: Subscription | None = None,
) -> License:
    """Verify that a licence may come into force now (REPORT_FORMAT §12, layer 3).

    Args:
        token: The licence as the vendor delivered it, without surrounding white space.
        vendor_keys: The pinned keys.
        now_s: The time, seconds since 1970 UTC.
        product: The product that is metered; None: not compared.
        installation: Our installation id, compared where the licence is bound to a key; None: not.
        previous: The terms in force until now, if any.

    Raises:
        Refused: a class of layers 1-3.
    """
    license_ = read_license(token, vendor_keys)
    need(license_.issued_at_s <= now_s + SKEW_SECONDS, Reason.ISSUED_IN_FUTURE)
    need(product is None or license_.product == product, Reason.LICENSE_MISMATCH, "product")
    need(
        installation is None
        or license_.first_key is None
        or THUMBPRINT_URI + license_.first_key == installation,
        Reason.LICENSE_KEY_MISMATCH,
    )
    _check_terms(license_, previous)
    need(license_.not_before_s <= now_s + SKEW_SECONDS, Reason.LICENSE_NOT_YET_VALID)
    need(now_s < license_.expires_s, Reason.LICENSE_EXPIRED)
    return license_


def verify_any_license(
    token: object,
    vendor_keys: Mapping[str, VendorKey],
    *,
    now_s: int,
    previous: Subscription | None = None,
) -> License:
    """Verify that a licence is one of the vendor's, in force or not: for who keeps a register.

    A report may be judged by a licence that has expired since, or that begins tomorrow
    (REPORT_FORMAT §9). Arguments as in ``verify_license``.

    Raises:
        Refused: a class of layers 1-3.
    """
    license_ = read_license(token, vendor_keys)
    need(license_.issued_at_s <= now_s + SKEW_SECONDS, Reason.ISSUED_IN_FUTURE)
    _check_terms(license_, previous)
    return license_


def _check_terms(license_: License, previous: Subscription | None) -> None:
    need(
        previous is None
        or previous.subscription != license_.subscription
        or previous.cycle == license_.cycle,
        Reason.LICENSE_TERMS_CHANGED,
    )


def check_for_operator(license_: LicenseTerms) -> Terms:
    """Return the terms for the meter, if this operator can honour the licence.

    This is the sender's own check: a receiver accepts every length of the format.

    Raises:
        Refused: ``CycleUnsupported``: longer than 62 days or two months; ``UnsupportedVersion``:
            the vendor reads no report version that this operator writes.
    """
    need(VERSION in license_.versions, Reason.UNSUPPORTED_VERSION, "reporting.versions")
    cycle = license_.cycle
    days, months = cycle.length_days or 0, cycle.length_months or 0
    need(days <= LONGEST_DAYS and months <= LONGEST_MONTHS, Reason.CYCLE_UNSUPPORTED)
    return Terms(
        anchor=cycle.anchor, length_days=cycle.length_days, length_months=cycle.length_months
    )


def build_license(terms: LicenseTerms, key: SigningKey) -> str:
    """Sign a licence; for the vendor.

    Raises:
        Refused: ``ClaimInvalid`` or ``ClaimMissing``, with the claim: the terms are not a licence.
    """
    claims = _claims(terms)
    check_table(_TABLE, claims)
    need(terms.not_before_s < terms.expires_s, Reason.CLAIM_INVALID, "nbf is before exp")
    return sign(LICENSE, claims, key)


def _license(token: str, claims: Mapping[str, Any]) -> License:
    cycle, reporting = claims["cycle"], claims["reporting"]
    return License(
        vendor=claims["iss"],
        subscription=claims["sub"],
        license_id=claims["jti"],
        issued_at_s=claims["iat"],
        not_before_s=claims["nbf"],
        expires_s=claims["exp"],
        product=claims["product"],
        cycle=CycleTerms(
            anchor=date.fromisoformat(cycle["anchorDate"]),
            length_days=cycle.get("lengthDays"),
            length_months=cycle.get("lengthMonths"),
        ),
        interval_hours=reporting["intervalHours"],
        reporting_required=reporting["required"],
        maximum_active_users=claims["maximumActiveUsers"],
        endpoint=reporting.get("endpoint"),
        interim=reporting.get("interim", "Required"),
        export_days=reporting.get("exportDays"),
        versions=tuple(reporting.get("versions", (1,))),
        first_key=claims["cnf"]["jkt"] if "cnf" in claims else None,
        purpose=claims.get("purpose", "Production"),
        token=token,
        digest=digest(token),
    )


def _claims(terms: LicenseTerms) -> dict[str, object]:
    cycle = {
        "anchorDate": terms.cycle.anchor.isoformat(),
        "lengthDays": terms.cycle.length_days,
        "lengthMonths": terms.cycle.length_months,
    }
    reporting = {
        "endpoint": terms.endpoint,
        "intervalHours": terms.interval_hours,
        "required": terms.reporting_required,
        "versions": list(terms.versions),
        "interim": terms.interim if terms.interim != "Required" else None,
        "exportDays": terms.export_days,
    }
    return {
        "ver": VERSION,
        "iss": terms.vendor,
        "sub": terms.subscription,
        "jti": terms.license_id,
        "iat": terms.issued_at_s,
        "nbf": terms.not_before_s,
        "exp": terms.expires_s,
        "product": terms.product,
        "maximumActiveUsers": terms.maximum_active_users,
        **({"purpose": terms.purpose} if terms.purpose != "Production" else {}),
        "cycle": {name: value for name, value in cycle.items() if value is not None},
        "reporting": {name: value for name, value in reporting.items() if value is not None},
        **({"cnf": {"jkt": terms.first_key}} if terms.first_key is not None else {}),
    }
