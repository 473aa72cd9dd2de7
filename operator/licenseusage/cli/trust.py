"""Whose signatures count: the keys of installations, out of their key statements."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from licenseusage.cli.documents import GivenDocument
from licenseusage.cli.findings import KEYS, LICENSE, DocumentCheck, Level, bad
from licenseusage.reasons import Reason
from licenseusage.reports.keychain import verify_keys
from licenseusage.reports.keys import InstallationKey, InstallationKeys, VendorKeys
from licenseusage.reports.licence import (
    LicenseTerms,
    Subscription,
    read_license,
    verify_any_license,
)
from licenseusage.reports.receipt import Sent
from licenseusage.reports.refused import Refused, need
from licenseusage.reports.tokens import decode
from licenseusage.reports.typs import ENROLMENT, THUMBPRINT_URI


@dataclass(frozen=True, slots=True)
class TrustedInstallation:
    """The keys that one installation has under one contract, and the licence it enrolled with."""

    keys: InstallationKeys
    license: LicenseTerms


@dataclass(frozen=True, slots=True)
class Means:
    """The keys and the licence with which a document is verified.

    Attributes:
        keys: Of the installations under its contract.
        license: By which it is judged.
        unknown: The licence that it names, where that one is not here; "": it is.
    """

    keys: InstallationKeys
    license: LicenseTerms
    unknown: str = ""


@dataclass(frozen=True, slots=True)
class Trust:
    """Every installation that is known, and the licences that were given besides theirs."""

    installations: tuple[TrustedInstallation, ...]
    licenses: tuple[LicenseTerms, ...]

    def of(self, token: str) -> Means | None:
        """Return the keys and the licence for a document; None: no installation is known.

        A report is judged by the licence that it names (REPORT_FORMAT §9). One of a contract that
        nothing is known of is held against the others, and so refused with the class that says what
        is different.
        """
        if not self.installations:
            return None
        claims = _claims(token)
        asked = claims.get("aud"), claims.get("sub")
        licenses = [*self.licenses, *(installation.license for installation in self.installations)]
        same = [
            installation
            for installation in self.installations
            if _contract(installation.license) == asked
        ]
        keys: dict[str, InstallationKey] = {}
        for installation in same or self.installations:
            keys |= installation.keys
        ours = [license_ for license_ in licenses if _contract(license_) == asked]
        if not ours:
            return Means(keys, licenses[0])
        if "licenseId" not in claims:
            return Means(keys, ours[0])
        named = [
            license_
            for license_ in ours
            if license_.license_id == claims["licenseId"]
            and (
                license_.first_key is None
                or THUMBPRINT_URI + license_.first_key == claims.get("iss")
            )
        ]
        if named:
            return Means(keys, max(named, key=lambda license_: license_.issued_at_s))
        product = str(claims.get("product"))
        return Means(keys, replace(ours[0], product=product), str(claims["licenseId"]))


def trusted(
    statements: Sequence[GivenDocument],
    licenses: Sequence[GivenDocument],
    vendor_keys: VendorKeys | None,
    now_s: int,
) -> tuple[Trust, list[DocumentCheck]]:
    """Verify key statements, one chain of them for each installation and contract.

    Args:
        statements: Enrolments and successions, in any order.
        licenses: Licences besides the enrolments': renewed ones.
        vendor_keys: The pinned keys; None: not given.
        now_s: The time, seconds since 1970 UTC.
    """
    if vendor_keys is None:
        words = "needs --vendor-keys: the vendor has signed the licence inside"
        given = dict.fromkeys(statement.source for statement in statements)
        results = [
            DocumentCheck(source, KEYS, Level.NOT_CHECKED, Reason.NO_VENDOR_KEYS, words)
            for source in given
        ]
        return Trust((), ()), results
    results, installations = [], []
    for chain in _chains(statements):
        source = ", ".join(dict.fromkeys(statement.source for statement in chain))
        try:
            installation = _verified([statement.token for statement in chain], vendor_keys, now_s)
        except Refused as refusal:
            results.append(bad(source, KEYS, refusal))
            continue
        if installation is None:
            words = "needs the enrolment that it follows (--enrolment)"
            results.append(
                DocumentCheck(source, KEYS, Level.NOT_CHECKED, Reason.NO_ENROLMENT, words)
            )
            continue
        installations.append(installation)
        keys = installation.keys
        words = f"{len(keys)} key(s) of {next(iter(keys.values())).installation}"
        results.append(DocumentCheck(source, KEYS, Level.GOOD, Reason.VALID, words))
    registered, about_licenses = _registered(licenses, installations, vendor_keys, now_s)
    return Trust(tuple(installations), registered), about_licenses + results


def _registered(
    licenses: Sequence[GivenDocument],
    installations: Sequence[TrustedInstallation],
    vendor_keys: VendorKeys,
    now_s: int,
) -> tuple[tuple[LicenseTerms, ...], list[DocumentCheck]]:
    """Verify licences as the vendor's register does, whatever their dates."""
    settled = {
        _contract(installation.license): installation.license for installation in installations
    }
    good: list[LicenseTerms] = []
    results = []
    for document in licenses:
        try:
            license_ = read_license(document.token, vendor_keys)
            before = settled.get(_contract(license_))
            previous = Subscription(before.subscription, before.cycle) if before else None
            good.append(
                verify_any_license(document.token, vendor_keys, now_s=now_s, previous=previous)
            )
        except Refused as refusal:
            results.append(bad(document.source, LICENSE, refusal))
    return tuple(good), results


def _verified(
    tokens: Sequence[str], vendor_keys: VendorKeys, now_s: int
) -> TrustedInstallation | None:
    header, claims = decode(tokens[0])
    if header.get("typ") != ENROLMENT and _is_own(tokens[0]):
        return None
    # The licence inside was valid when the installation enrolled; it may have expired since.
    at_s = claims.get("iat")
    keys = verify_keys(
        tokens, vendor_keys, now_s=now_s, enrolled_s=at_s if isinstance(at_s, int) else None
    )
    return TrustedInstallation(keys, read_license(claims.get("license"), vendor_keys))


def _chains(statements: Iterable[GivenDocument]) -> list[list[GivenDocument]]:
    """Return the statements by chain, each once, in order of position.

    One that names no chain is a chain of its own: it is refused by itself.

    Raises nothing: two statements that claim one position are found when the chain is folded.
    """
    chains: dict[str, dict[str, tuple[int, GivenDocument]]] = {}
    for statement in statements:
        try:
            sent = Sent.from_token(statement.token)
        except (Refused, UnicodeEncodeError):
            chains[statement.token] = {statement.token: (0, statement)}
            continue
        chain = chains.setdefault(sent.chain_id, {})
        chain.setdefault(statement.token, (sent.subject.sequence, statement))
    return [
        [statement for _, statement in sorted(chain.values(), key=lambda placed: placed[0])]
        for chain in chains.values()
    ]


def _is_own(token: str) -> bool:
    try:
        Sent.from_token(token)
    except Refused:
        return False
    return True


def _contract(license_: LicenseTerms) -> tuple[str, str]:
    """Return vendor and subscription."""
    return license_.vendor, license_.subscription


def _claims(token: str) -> Mapping[str, object]:
    """Return the unverified contents of a document; empty if it cannot be read."""
    try:
        need(token.isascii(), Reason.MALFORMED_TOKEN)
        return decode(token)[1]
    except Refused:
        return {}
