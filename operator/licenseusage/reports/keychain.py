"""The chain of key statements: enrolment, then successions, folded into keys (§12, layer 4)."""

from collections.abc import Mapping, Sequence

from licenseusage.reasons import Reason
from licenseusage.reports.enrolment import Enrolment, verify_enrolment
from licenseusage.reports.keys import InstallationKey, VendorKey
from licenseusage.reports.licence import LicenseTerms, Subscription
from licenseusage.reports.refused import need
from licenseusage.reports.succession import Succession, verify_succession


def verify_keys(
    tokens: Sequence[str],
    vendor_keys: Mapping[str, VendorKey],
    *,
    now_s: int,
    product: str | None = None,
    previous: Subscription | None = None,
    license_: LicenseTerms | None = None,
    enrolled_s: int | None = None,
) -> dict[str, InstallationKey]:
    """Verify key statements in order and return every key of the installation, by thumbprint.

    Args:
        tokens: The enrolment, then the successions by sequence.
        vendor_keys: The pinned keys.
        now_s: The time, seconds since 1970 UTC.
        product: As in ``verify_license``.
        previous: As in ``verify_license``.
        license_: The licence in force, for the successions; None: the enrolment's own.
        enrolled_s: When the installation enrolled: its licence had to be valid then, and may have
            expired since. None: now.

    Raises:
        Refused: a class of the statements; ``KeyRetired``: a succession not signed by the newest
            key; ``ChainGap``, ``ChainForked``: statements missing or out of order.
    """
    keys: dict[str, InstallationKey] = {}
    last: Enrolment | Succession | None = None
    signer = ""
    in_force = license_
    for position, token in enumerate(tokens, 1):
        statement: Enrolment | Succession
        if position == 1:
            statement = verify_enrolment(
                token,
                vendor_keys,
                now_s=now_s if enrolled_s is None else min(enrolled_s, now_s),
                product=product,
                previous=previous,
            )
            in_force = in_force or statement.license
            key = statement.key
        else:
            assert in_force is not None  # noqa: S101 - set at position 1
            statement = verify_succession(token, license_=in_force, keys=keys, now_s=now_s)
            need(statement.kid == signer, Reason.KEY_RETIRED)
            key = InstallationKey(statement.new, statement.installation, rank=position)
        need(statement.sequence == position, Reason.CHAIN_GAP)
        need(statement.previous == (last.digest if last else None), Reason.CHAIN_FORKED)
        signer = key.public.thumbprint
        keys[signer] = key
        last = statement
    return keys
