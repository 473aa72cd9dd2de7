"""A rotation: which key chains still need a succession, and whether the former key may go. Pure.

One succession per key chain, since each subscription has a chain of its own.
"""

from collections.abc import Iterable, Sequence

from licenseusage.controller.rules.keystatus import receipted
from licenseusage.ledger.documents.records import OutboxItem, SignedDocument
from licenseusage.ledger.records import Meter
from licenseusage.reports.keyring import KeyRing, KeyStatement, key_chains
from licenseusage.reports.keys import SigningKey
from licenseusage.reports.licence import stored_license
from licenseusage.reports.names import digest, jti_of
from licenseusage.reports.succession import build_succession

SCHEDULED = "Scheduled"


def to_be_succeeded(ring: KeyRing, items: Iterable[OutboxItem]) -> list[KeyStatement]:
    """Return the newest statement of each chain whose key is still the current one.

    Chains that nobody uses now are among them: once the former key is gone, nothing could be added
    to them any more.

    Args:
        ring: The keys.
        items: All key statements of the ledger.
    """
    newest = (statements[-1] for statements in key_chains(item.token for item in items).values())
    return [statement for statement in newest if statement.brings == ring.current.public]


def succession_to(
    following: SigningKey, ring: KeyRing, last: KeyStatement, now_s: int
) -> SignedDocument:
    """Sign the succession that comes after a chain's last statement.

    Called once per chain, inside the work that stores the result.

    Args:
        following: The key that is to follow.
        ring: The keys; the current one signs.
        last: The chain's newest statement, which brought the current key.
        now_s: The time, seconds since 1970 UTC.
    """
    sequence = last.sent.subject.sequence + 1
    token = build_succession(
        vendor=last.sent.vendor,
        subscription=last.sent.subscription,
        installation=last.sent.installation,
        signer=ring.current,
        new=following.public,
        reason=ring.wanted or SCHEDULED,
        sequence=sequence,
        previous=last.sent.subject.digest,
        issued_at_s=now_s,
    )
    return SignedDocument(jti_of(last.sent.chain_id, sequence), digest(token), token)


def unreceipted(
    ring: KeyRing, items: Sequence[OutboxItem], meters: Iterable[Meter]
) -> tuple[str, ...]:
    """Return the subscriptions for whose sake the former key must stay, sorted; empty: it may go.

    The vendor has not receipted their succession yet. Subscriptions that no object uses any more
    are not waited for: their vendor may be gone for good, and their succession is signed.

    Args:
        ring: The keys.
        items: All key statements of the ledger.
        meters: All meters of the ledger.
    """
    tokens = {meter.license_token for meter in meters if meter.deleted_ms is None}
    licenses = [stored_license(token) for token in tokens if token is not None]
    used = {(license_.vendor, license_.subscription) for license_ in licenses}
    by_digest = {item.digest: item for item in items}
    waiting = set()
    for statements in key_chains(item.token for item in items).values():
        last = statements[-1]
        ours = {statement.brings.thumbprint for statement in statements} & set(ring.public_keys())
        taken_over = ring.following is not None and last.brings == ring.following.public
        settled = taken_over and receipted(by_digest[last.sent.subject.digest])
        if ours and not settled and (last.sent.vendor, last.sent.subscription) in used:
            waiting.add(last.sent.subscription)
    return tuple(sorted(waiting))
