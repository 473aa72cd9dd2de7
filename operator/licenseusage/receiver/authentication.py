"""Who signed it: finding the key, the enrolment and the licence that judge a document.

A key is known by its thumbprint before the payload can be believed, but an installation enrols once
per subscription: the signature is verified first, then the enrolment is chosen that the document
itself names.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from licenseusage.reasons import Reason
from licenseusage.receiver.inforce import Register
from licenseusage.receiver.store import Installation, KeyRow, Reading
from licenseusage.reports.enrolment import Enrolment, verify_enrolment
from licenseusage.reports.keys import InstallationKey, PublicKey, VendorKeys
from licenseusage.reports.licence import Subscription
from licenseusage.reports.refused import Refused, need
from licenseusage.reports.report import Envelope, authenticate_report
from licenseusage.reports.succession import Succession, verify_succession
from licenseusage.reports.tokens import decode, open_token
from licenseusage.reports.typs import REPORT, SUCCESSION


@dataclass(frozen=True, slots=True)
class AuthenticReport:
    """A report whose signature, envelope and identity are in order.

    Attributes:
        rank: Rank of the key that signed it.
        installation: The enrolment it falls under, with the terms that judge its content.
    """

    envelope: Envelope
    rank: int
    installation: Installation


class EnrolledKeys(Mapping[str, InstallationKey]):
    """Every enrolled key by thumbprint, looked up when asked for."""

    def __init__(self, reading: Reading) -> None:
        """Look keys up in an open transaction."""
        self._reading = reading
        self._owners: dict[str, list[tuple[KeyRow, Installation]]] = {}

    def owners(self, kid: str) -> list[tuple[KeyRow, Installation]]:
        """Return every enrolment that knows the key, as ``Reading.owners``; asked for once."""
        if kid not in self._owners:
            self._owners[kid] = self._reading.owners(kid)
        return self._owners[kid]

    def __getitem__(self, kid: str) -> InstallationKey:
        """Return the key, as its first owner has it."""
        owners = self.owners(kid)
        if not owners:
            raise KeyError(kid)
        key, installation = owners[0]
        return installation_key(key, installation)

    def __iter__(self) -> Iterator[str]:
        """Not offered: there may be very many."""
        raise NotImplementedError

    def __len__(self) -> int:
        """Not offered."""
        raise NotImplementedError


def authentic_report(token: str, reading: Reading) -> AuthenticReport:
    """Authenticate a report by the enrolled keys.

    Raises:
        Refused: a class of layers 1-2, of the keys or of identity: nothing may be stored.
    """
    enrolled = EnrolledKeys(reading)
    opened = open_token(token, REPORT, enrolled)
    key, installation = owner_named(enrolled.owners(opened.kid), opened.claims)
    envelope = authenticate_report(
        token,
        license_=installation.terms,
        keys={opened.kid: installation_key(key, installation)},
    )
    return AuthenticReport(envelope, key.rank, installation)


def authentic_enrolment(
    token: str, reading: Reading, vendor_keys: VendorKeys, now_s: int
) -> Enrolment:
    """Authenticate an enrolment by its own key, and its licence by the vendor's.

    The terms of a subscription are those of its first licence seen here.

    Raises:
        Refused: a class of layers 1-3, of the enrolment or of its licence.
    """
    previous = settled_terms(reading, _claimed_subscription(token))
    return verify_enrolment(token, vendor_keys, now_s=now_s, previous=previous)


def settled_terms(reading: Reading, subscription: str) -> Subscription | None:
    """Return the cycles of a subscription, if an enrolment has settled them: they never change."""
    first = reading.first_of_subscription(subscription)
    return None if first is None else Subscription(first.subscription, first.terms.cycle)


def register_of(reading: Reading, installation: Installation) -> Register:
    """Return the known licences of an installation."""
    terms = installation.terms
    return Register(
        installation=installation.installation,
        enrolled=terms,
        known=reading.licenses_of(terms.vendor, terms.subscription),
    )


def authentic_succession(token: str, reading: Reading, now_s: int) -> Succession:
    """Authenticate a succession by the key that it replaces.

    Raises:
        Refused: a class of layers 1-3; ``KeyInvalid`` also for a key of another installation: who
            names it here does not hold it.
    """
    opened = open_token(token, SUCCESSION, EnrolledKeys(reading))
    _, installation = owner_named(reading.owners(opened.kid), opened.claims)
    known = {
        row.kid: installation_key(row, installation)
        for row in reading.keys(installation.key_chain_id)
    }
    succession = verify_succession(token, license_=installation.terms, keys=known, now_s=now_s)
    need(
        not reading.used_elsewhere(succession.new.thumbprint, installation.installation),
        Reason.KEY_INVALID,
        "the new key belongs to another installation",
    )
    return succession


def owner_named(
    owners: Sequence[tuple[KeyRow, Installation]], claims: Mapping[str, Any]
) -> tuple[KeyRow, Installation]:
    """Choose the enrolment that a document names, else one that refuses it by the right name."""

    def fits(owner: tuple[KeyRow, Installation]) -> tuple[bool, bool]:
        installation = owner[1]
        return (
            installation.installation == claims.get("iss"),
            installation.subscription == claims.get("sub"),
        )

    return max(owners, key=fits)


def installation_key(key: KeyRow, installation: Installation) -> InstallationKey:
    """Return a stored key as verification takes it."""
    return InstallationKey(PublicKey(key.x), installation.installation, rank=key.rank)


def _claimed_subscription(token: str) -> str:
    try:
        _, claims = decode(token)
    except Refused:
        return ""
    return str(claims.get("sub"))
