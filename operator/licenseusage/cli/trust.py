"""Whose signatures count: the keys of installations, out of their key statements."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from licenseusage.cli.documents import Document
from licenseusage.cli.findings import KEYS, Finding, Level, bad
from licenseusage.reports.keychain import verify_keys
from licenseusage.reports.keys import InstallationKey, InstallationKeys, VendorKeys
from licenseusage.reports.licence import LicenseTerms, read_license
from licenseusage.reports.receipt import Sent
from licenseusage.reports.refused import Refused, need
from licenseusage.reports.tokens import decode
from licenseusage.reports.typs import ENROLMENT

Contract = tuple[str, str]
"""Vendor and subscription."""


@dataclass(frozen=True, slots=True)
class Installation:
    """The keys that one installation has under one contract, and the licence it enrolled with."""

    keys: InstallationKeys
    license: LicenseTerms


@dataclass(frozen=True, slots=True)
class Trust:
    """Every installation that is known, and the licence that was named, if one was."""

    installations: tuple[Installation, ...]
    license: LicenseTerms | None

    def of(self, token: str) -> tuple[InstallationKeys, LicenseTerms] | None:
        """Return what a report has to be verified with; None: no installation is known.

        A report of a contract that nothing is known of is held against the others, and so refused
        with the class that says what is different.
        """
        if not self.installations:
            return None
        asked = _contract_in(token)
        known = [one.license for one in self.installations]
        licenses = [*([self.license] if self.license else []), *known]
        same = [one for one in self.installations if _contract(one.license) == asked]
        keys: dict[str, InstallationKey] = {}
        for one in same or self.installations:
            keys |= one.keys
        license_ = next((one for one in licenses if _contract(one) == asked), licenses[0])
        return keys, license_


def trusted(
    statements: Sequence[Document],
    license_: Document | None,
    vendor_keys: VendorKeys | None,
    now_s: int,
) -> tuple[Trust, list[Finding]]:
    """Verify key statements, one chain of them for each installation and contract.

    Args:
        statements: Enrolments and successions, in any order.
        license_: The licence in force, where it is not the enrolment's.
        vendor_keys: The pinned keys; None: not given.
        now_s: The time, seconds since 1970 UTC.
    """
    if vendor_keys is None:
        words = "needs --vendor-keys: the vendor has signed the licence inside"
        given = dict.fromkeys(one.source for one in statements)
        found = [
            Finding(source, KEYS, Level.NOT_CHECKED, "NoVendorKeys", words) for source in given
        ]
        return Trust((), None), found
    found, installations, in_force = [], [], None
    if license_ is not None:
        try:
            in_force = read_license(license_.token, vendor_keys)
        except Refused as refusal:
            found.append(bad(license_.source, KEYS, refusal))
    for chain in _chains(statements):
        source = ", ".join(dict.fromkeys(one.source for one in chain))
        try:
            installation = _verified([one.token for one in chain], vendor_keys, now_s)
        except Refused as refusal:
            found.append(bad(source, KEYS, refusal))
            continue
        if installation is None:
            words = "needs the enrolment that it follows (--enrolment)"
            found.append(Finding(source, KEYS, Level.NOT_CHECKED, "NoEnrolment", words))
            continue
        installations.append(installation)
        keys = installation.keys
        words = f"{len(keys)} key(s) of {next(iter(keys.values())).installation}"
        found.append(Finding(source, KEYS, Level.GOOD, "Valid", words))
    return Trust(tuple(installations), in_force), found


def _verified(tokens: Sequence[str], vendor_keys: VendorKeys, now_s: int) -> Installation | None:
    header, claims = decode(tokens[0])
    if header.get("typ") != ENROLMENT and _is_own(tokens[0]):
        return None
    # The licence inside was valid when the installation enrolled; it may have expired since.
    at_s = claims.get("iat")
    keys = verify_keys(
        tokens, vendor_keys, now_s=now_s, enrolled_s=at_s if isinstance(at_s, int) else None
    )
    return Installation(keys, read_license(claims.get("license"), vendor_keys))


def _chains(statements: Iterable[Document]) -> list[list[Document]]:
    """Return the statements by chain, each once, in order of position.

    One that names no chain is a chain of its own: it is refused by itself.

    Raises nothing: two statements that claim one position are found when the chain is folded.
    """
    chains: dict[str, dict[str, tuple[int, Document]]] = {}
    for one in statements:
        try:
            sent = Sent.from_token(one.token)
        except (Refused, UnicodeEncodeError):
            chains[one.token] = {one.token: (0, one)}
            continue
        chain = chains.setdefault(sent.chain_id, {})
        chain.setdefault(one.token, (sent.subject.sequence, one))
    return [
        [one for _, one in sorted(chain.values(), key=lambda placed: placed[0])]
        for chain in chains.values()
    ]


def _is_own(token: str) -> bool:
    try:
        Sent.from_token(token)
    except Refused:
        return False
    return True


def _contract(license_: LicenseTerms) -> Contract:
    return license_.vendor, license_.subscription


def _contract_in(token: str) -> Contract | None:
    try:
        need(token.isascii(), "MalformedToken")
        sent = Sent.from_token(token)
    except Refused:
        return None
    return sent.vendor, sent.subscription
