"""Succession: the key being replaced names its successor (REPORT_FORMAT §4)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from licenseusage.reasons import Reason
from licenseusage.reports.grammar import BASE, KEY_CHAIN, TOKEN, Table, check_table, members
from licenseusage.reports.identity import check_identity
from licenseusage.reports.keys import InstallationKeys, PublicKey, SigningKey
from licenseusage.reports.licence import LicenseTerms
from licenseusage.reports.names import digest, jti_of, key_chain_id
from licenseusage.reports.refused import Refused, need
from licenseusage.reports.tokens import open_token, sign
from licenseusage.reports.typs import SKEW_SECONDS, SUCCESSION, VERSION


def _any_object(value: object, path: str) -> None:
    if not isinstance(value, dict):  # the key itself is judged last: KeyInvalid, not ClaimInvalid
        raise Refused(Reason.CLAIM_INVALID, path)


_TABLE: Table = {
    **BASE,
    "chain": members(KEY_CHAIN),
    "cnf": members({"jwk": _any_object}),
    "reason": TOKEN,
}


@dataclass(frozen=True, slots=True)
class Succession:
    """A verified succession.

    Attributes:
        kid: Thumbprint of the key that signed, hence is replaced.
        new: The key that takes over.
        reason: Why: ``Scheduled``, ``Suspected``, ….
    """

    token: str
    digest: str
    jti: str
    chain_id: str
    installation: str
    issued_at_s: int
    sequence: int
    previous: str | None
    kid: str
    new: PublicKey
    reason: str


def build_succession(
    *,
    vendor: str,
    subscription: str,
    installation: str,
    signer: SigningKey,
    new: PublicKey,
    reason: str,
    sequence: int,
    previous: str,
    issued_at_s: int,
) -> str:
    """Sign a succession: ``signer`` names ``new`` as the key that follows it.

    Signed once per key chain and kept: its position must always be the same octets.

    Args:
        vendor: ``aud``, as in the enrolment; ``subscription`` and ``installation`` likewise.
        subscription: ``sub``.
        installation: ``iss``: the id of the first key, whatever key signs.
        signer: The key being replaced.
        new: The key that takes over; never one that was used before.
        reason: ``Scheduled``, ``Suspected``, ….
        sequence: Position in the key chain, from 2.
        previous: Digest of the statement before.
        issued_at_s: The time, seconds since 1970 UTC.

    Raises:
        Refused: ``ClaimInvalid``: a claim is not possible.
    """
    chain_id = key_chain_id(vendor=vendor, installation=installation, subscription=subscription)
    claims: dict[str, object] = {
        "ver": VERSION,
        "iss": installation,
        "sub": subscription,
        "aud": vendor,
        "jti": jti_of(chain_id, sequence),
        "iat": issued_at_s,
        "chain": {"id": chain_id, "sequence": sequence, "previous": previous},
        "cnf": {"jwk": new.jwk},
        "reason": reason,
    }
    check_table(_TABLE, claims)
    return sign(SUCCESSION, claims, signer)


def verify_succession(
    token: object, *, license_: LicenseTerms, keys: InstallationKeys, now_s: int
) -> Succession:
    """Verify one succession by itself; ``keychain`` checks its place among the others.

    Args:
        token: The candidate.
        license_: The licence in force, for vendor and subscription.
        keys: The installation's keys until then.
        now_s: The time, seconds since 1970 UTC.

    Raises:
        Refused: a class of layers 1-3; ``KeyInvalid`` for a new key that was used before.
    """
    opened = open_token(token, SUCCESSION, keys)
    check_table(_TABLE, opened.claims)
    claims: Mapping[str, Any] = opened.claims
    chain_id = key_chain_id(
        vendor=claims["aud"], installation=claims["iss"], subscription=claims["sub"]
    )
    check_identity(
        claims,
        vendor=license_.vendor,
        subscription=license_.subscription,
        installation=keys[opened.kid].installation,
        chain_id=chain_id,
    )
    need(claims["chain"]["sequence"] >= 2, Reason.CLAIM_INVALID, "chain.sequence is at least 2")
    need(claims["iat"] <= now_s + SKEW_SECONDS, Reason.ISSUED_IN_FUTURE)
    new = PublicKey.from_jwk(claims["cnf"]["jwk"])
    need(new.thumbprint not in keys, Reason.KEY_INVALID, "the new key was used before")
    return Succession(
        token=str(token),
        digest=digest(str(token)),
        jti=claims["jti"],
        chain_id=chain_id,
        installation=claims["iss"],
        issued_at_s=claims["iat"],
        sequence=claims["chain"]["sequence"],
        previous=claims["chain"]["previous"],
        kid=opened.kid,
        new=new,
        reason=claims["reason"],
    )
