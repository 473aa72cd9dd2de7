"""Who packed a bundle: its manifest, and the keys that verify it (REPORT_FORMAT §8, §12).

A bundle may be the first thing that a vendor sees of an installation. So the keys come from its own
key statements, on top of those that are held. Nothing is stored here.
"""

from dataclasses import dataclass
from typing import Any

from licenseusage.reasons import Reason
from licenseusage.receiver.authentication import (
    EnrolledKeys,
    authentic_enrolment,
    installation_key,
    owner_named,
)
from licenseusage.receiver.store import Document, Installation, Reading
from licenseusage.reports.bundle import Lines, read_manifest, verify_manifest
from licenseusage.reports.keys import InstallationKey, VendorKeys
from licenseusage.reports.licence import LicenseTerms
from licenseusage.reports.names import Link, digest
from licenseusage.reports.receipt import ReceiptVerdict, Sent
from licenseusage.reports.refused import Refused, need
from licenseusage.reports.succession import verify_succession
from licenseusage.reports.tokens import decode, open_token, typ_of
from licenseusage.reports.typs import BUNDLE, ENROLMENT


@dataclass(frozen=True, slots=True)
class BundleSender:
    """The installation that signed a manifest.

    Attributes:
        installation: Its id.
        terms: Of the licence that it enrolled with: vendor and subscription are the manifest's.
        issued_at_s: When the manifest was signed, as it says; seconds since 1970 UTC.
        newest_key: Whether the newest known key signed it: older ones are retired.
    """

    installation: str
    terms: LicenseTerms
    issued_at_s: int
    newest_key: bool


@dataclass(slots=True)
class _Keys:
    """A chain of key statements, as far as it is known or verified.

    Attributes:
        terms: Of the enrolment's licence.
        by_kid: Its keys so far.
        last: The last statement so far; None: it is not in the bundle.
    """

    terms: LicenseTerms
    by_kid: dict[str, InstallationKey]
    last: Link | None = None

    @property
    def newest(self) -> str:
        """Thumbprint of the newest key."""
        return max(self.by_kid, key=lambda kid: self.by_kid[kid].rank)


def verify_sender(
    lines: Lines, reading: Reading, vendor_keys: VendorKeys, now_s: int
) -> BundleSender:
    """Verify key chain and manifest of a bundle; for anything wrong the whole file is refused.

    A statement that is held is not judged again: the licence in it may have been signed with a key
    that was withdrawn since.

    Raises:
        Refused: a class of the key statements, ``KeyRetired``, ``ChainGap`` or ``ChainForked`` for
            their order; of the manifest; ``BundleInvalid``: the lines are not as they were packed.
    """
    keys = _keys_in(lines, reading, vendor_keys, now_s) or _keys_of_manifest(lines, reading)
    verify_manifest(lines, keys.terms, keys.by_kid)
    manifest = read_manifest(lines.manifest)
    kid = str(decode(lines.manifest)[0]["kid"])
    return BundleSender(
        manifest.parties.installation,
        keys.terms,
        manifest.issued_at_s,
        newest_key=kid == keys.newest,
    )


def _keys_in(lines: Lines, reading: Reading, vendor_keys: VendorKeys, now_s: int) -> _Keys | None:
    """Return the keys that follow from the bundle's key statements; None: it has none."""
    keys: _Keys | None = None
    for token in lines.key_statements:
        document = _accepted(reading, token)
        if document is not None:
            keys = _keys_up_to(reading, document)
        elif typ_of(token) == ENROLMENT:
            need(keys is None, Reason.CHAIN_GAP, "a second enrolment")
            enrolment = authentic_enrolment(token, reading, vendor_keys, now_s)
            keys = _Keys(
                enrolment.license, {enrolment.kid: enrolment.key}, Link(1, enrolment.digest)
            )
        else:
            keys = _succeeded(keys or _keys_before(reading, token), token, now_s)
    return keys


def _succeeded(keys: _Keys, token: str, now_s: int) -> _Keys:
    succession = verify_succession(token, license_=keys.terms, keys=keys.by_kid, now_s=now_s)
    need(succession.kid == keys.newest, Reason.KEY_RETIRED)
    if keys.last is not None:
        need(succession.sequence == keys.last.sequence + 1, Reason.CHAIN_GAP)
        need(succession.previous == keys.last.digest, Reason.CHAIN_FORKED)
    new = InstallationKey(succession.new, succession.installation, rank=succession.sequence)
    by_kid = {**keys.by_kid, succession.new.thumbprint: new}
    return _Keys(keys.terms, by_kid, Link(succession.sequence, succession.digest))


def _accepted(reading: Reading, token: str) -> Document | None:
    """Return a key statement that is held; evidence of a conflict is not."""
    document = reading.document(digest(token))
    return document if document and document.verdict is ReceiptVerdict.ACCEPTED else None


def _keys_up_to(reading: Reading, document: Document) -> _Keys:
    """Return the keys that a held statement and those before it have made."""
    installation = reading.installation(document.chain_id)
    assert installation is not None  # noqa: S101 - a held statement has its enrolment
    last = Link(document.sequence, document.digest)
    return _stored(reading, installation, last.sequence, last)


def _keys_before(reading: Reading, token: str) -> _Keys:
    """Return the held keys that a succession follows, whose chain does not begin in the bundle."""
    sent = Sent.from_token(token)
    installation = reading.installation(sent.chain_id)
    if installation is None:
        raise Refused(Reason.KEY_UNKNOWN, "the enrolment is neither in the bundle nor known")
    keys = _stored(reading, installation, sent.subject.sequence - 1, None)
    need(keys.by_kid, Reason.CHAIN_GAP)
    return keys


def _keys_of_manifest(lines: Lines, reading: Reading) -> _Keys:
    """Return the held keys of the installation that signed a manifest without key statements."""
    opened = open_token(lines.manifest, BUNDLE, EnrolledKeys(reading))
    claims: Any = opened.claims
    _, installation = owner_named(reading.owners(opened.kid), claims)
    return _stored(reading, installation, None, None)


def _stored(
    reading: Reading, installation: Installation, highest: int | None, last: Link | None
) -> _Keys:
    """Return the stored keys of an enrolment, of a rank of at most ``highest`` if that is given."""
    rows = reading.keys(installation.key_chain_id)
    by_kid = {
        row.kid: installation_key(row, installation)
        for row in rows
        if highest is None or row.rank <= highest
    }
    return _Keys(installation.terms, by_kid, last)
