"""Whose document is it: the identity checks that all documents share (§12, layer 3)."""

from collections.abc import Mapping
from typing import Any

from licenseusage.reasons import Reason
from licenseusage.reports.names import jti_of
from licenseusage.reports.refused import need


def check_identity(
    claims: Mapping[str, Any], *, vendor: str, subscription: str, installation: str, chain_id: str
) -> None:
    """Check that a document is addressed, issued and named as it must be.

    Args:
        claims: Payload whose ``aud``, ``sub``, ``iss``, ``jti`` and ``chain`` passed their table.
        vendor: ``iss`` of the licence in force.
        subscription: ``sub`` of the licence in force.
        installation: Installation that the signing key belongs to.
        chain_id: The id that follows from what the document names.

    Raises:
        Refused: ``AudienceMismatch``, ``LicenseMismatch``, ``IssuerMismatch``,
            ``IdentifierMismatch``, or ``ClaimInvalid`` if ``previous`` and ``sequence`` disagree.
    """
    need(claims["aud"] == vendor, Reason.AUDIENCE_MISMATCH)
    need(claims["sub"] == subscription, Reason.LICENSE_MISMATCH, "sub")
    need(claims["iss"] == installation, Reason.ISSUER_MISMATCH)
    chain = claims["chain"]
    need(chain["id"] == chain_id, Reason.IDENTIFIER_MISMATCH, "chain.id")
    need(claims["jti"] == jti_of(chain_id, chain["sequence"]), Reason.IDENTIFIER_MISMATCH, "jti")
    need(
        (chain["sequence"] == 1) == (chain["previous"] is None),
        Reason.CLAIM_INVALID,
        "chain.previous is null if and only if chain.sequence is 1",
    )
