"""Enrolment: an installation introduces itself to a vendor (REPORT_FORMAT §4).

The signature is the proof of possession; the licence inside is the authorisation, also off line.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from licenseusage.reasons import Reason
from licenseusage.reports.grammar import (
    BASE,
    INSTALLATION,
    KEY_CHAIN,
    Table,
    check_table,
    members,
    pattern,
)
from licenseusage.reports.identity import check_identity
from licenseusage.reports.keys import InstallationKey, SigningKey, VendorKey
from licenseusage.reports.licence import License, Subscription, verify_license
from licenseusage.reports.names import digest, jti_of, key_chain_id
from licenseusage.reports.refused import Refused, need
from licenseusage.reports.tokens import open_token, sign
from licenseusage.reports.typs import ENROLMENT, SKEW_SECONDS, VERSION

_TABLE: Table = {
    **BASE,
    "chain": members(KEY_CHAIN),
    "license": pattern(r"[A-Za-z0-9_.-]+", longest=16384),
    "replaces?": INSTALLATION,
}


@dataclass(frozen=True, slots=True)
class Enrolment:
    """A verified enrolment.

    Attributes:
        key: The installation's first key, of rank 1.
        license: The licence that authorised it, verified.
        replaces: Id of the installation given up, if the sender names one.
    """

    token: str
    digest: str
    jti: str
    chain_id: str
    issued_at_s: int
    key: InstallationKey
    license: License
    replaces: str | None

    @property
    def installation(self) -> str:
        """The installation id: the thumbprint URI of this key."""
        return self.key.installation

    @property
    def sequence(self) -> int:
        """Position in the key chain: always 1."""
        return 1

    @property
    def previous(self) -> str | None:
        """Digest of the statement before: none."""
        return None

    @property
    def kid(self) -> str:
        """Thumbprint of the key that signed: its own."""
        return self.key.public.thumbprint


def build_enrolment(
    license_: License, key: SigningKey, *, issued_at_s: int, replaces: str | None = None
) -> str:
    """Sign an enrolment of ``key`` as a new installation under a verified licence.

    Signed once per (vendor, installation, subscription) and kept: position 1 of the chain must
    always be the same octets.
    """
    chain_id = key_chain_id(
        vendor=license_.vendor,
        installation=key.installation,
        subscription=license_.subscription,
    )
    claims: dict[str, object] = {
        "ver": VERSION,
        "iss": key.installation,
        "sub": license_.subscription,
        "aud": license_.vendor,
        "jti": jti_of(chain_id, 1),
        "iat": issued_at_s,
        "chain": {"id": chain_id, "sequence": 1, "previous": None},
        "license": license_.token,
    }
    if replaces is not None:
        claims["replaces"] = replaces
    check_table(_TABLE, claims)
    return sign(ENROLMENT, claims, key)


def is_another(installation: str, key: SigningKey) -> bool:
    """Whether this is the id of an installation that is not the one of ``key``."""
    try:
        check_table({"replaces": INSTALLATION}, {"replaces": installation})
    except Refused:
        return False
    return installation != key.installation


def verify_enrolment(
    token: object,
    vendor_keys: Mapping[str, VendorKey],
    *,
    now_s: int,
    product: str | None = None,
    previous: Subscription | None = None,
) -> Enrolment:
    """Verify an enrolment and the licence in it; see ``verify_license`` for the arguments.

    The licence had to be in force when the enrolment was signed: one that arrives late, because
    the way to the vendor was closed, must not lock a customer out for good (REPORT_FORMAT §4).

    Raises:
        Refused: a class of layers 1-3, of the licence or of the enrolment.
    """
    opened = open_token(token, ENROLMENT, {})
    check_table(_TABLE, opened.claims)
    claims: Mapping[str, Any] = opened.claims
    own = opened.public.installation
    license_ = verify_license(
        claims["license"],
        vendor_keys,
        now_s=min(claims["iat"], now_s),
        product=product,
        installation=own,
        previous=previous,
    )
    chain_id = key_chain_id(
        vendor=claims["aud"], installation=claims["iss"], subscription=claims["sub"]
    )
    check_identity(
        claims,
        vendor=license_.vendor,
        subscription=license_.subscription,
        installation=own,
        chain_id=chain_id,
    )
    need(claims["chain"]["sequence"] == 1, Reason.CLAIM_INVALID, "chain.sequence is 1")
    need(claims["iat"] <= now_s + SKEW_SECONDS, Reason.ISSUED_IN_FUTURE)
    return Enrolment(
        token=str(token),
        digest=digest(str(token)),
        jti=claims["jti"],
        chain_id=chain_id,
        issued_at_s=claims["iat"],
        key=InstallationKey(opened.public, own),
        license=license_,
        replaces=claims.get("replaces"),
    )
