"""Bundles: reports and key statements as one file, for clusters without a way out (§8, §12)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from licenseusage.reasons import Reason
from licenseusage.reports.chain import verify_chain
from licenseusage.reports.grammar import (
    DIGEST,
    INSTALLATION,
    NAME,
    TIME,
    Table,
    check_table,
    integer,
)
from licenseusage.reports.keychain import verify_keys
from licenseusage.reports.keys import InstallationKey, InstallationKeys, VendorKey
from licenseusage.reports.licence import LicenseTerms
from licenseusage.reports.names import Link, digest
from licenseusage.reports.refused import need
from licenseusage.reports.report import verify_report
from licenseusage.reports.tokens import open_token, typ_of
from licenseusage.reports.typs import BUNDLE, ENROLMENT, MAX_CHARACTERS, REPORT, SUCCESSION

MAX_LINES = 4096
MAX_CHARACTERS_IN_FILE = 16 * 2**20

_ORDER = (ENROLMENT, SUCCESSION, REPORT)
_TABLE: Table = {
    "iss": INSTALLATION,
    "sub": NAME,
    "aud": NAME,
    "iat": TIME,
    "count": integer(0, MAX_LINES - 1),
    "contentDigest": DIGEST,
}


@dataclass(frozen=True, slots=True)
class Lines:
    """A bundle's lines, sorted out but not yet verified."""

    manifest: str
    key_statements: tuple[str, ...]
    reports: tuple[str, ...]
    content: str


@dataclass(frozen=True, slots=True)
class VerifiedBundle:
    """A bundle in order.

    Attributes:
        keys: The installation's keys.
        heads: Chain id to the last report of that chain, those already held included.
    """

    keys: Mapping[str, InstallationKey]
    heads: Mapping[str, Link]


def verify_bundle(
    data: str,
    vendor_keys: Mapping[str, VendorKey],
    *,
    license_: LicenseTerms,
    keys: InstallationKeys,
    now_s: int,
    received: Sequence[str] = (),
) -> VerifiedBundle:
    """Verify a whole bundle, together with the reports already held.

    Args:
        data: The file.
        vendor_keys: The pinned keys, for the licence in the enrolment.
        license_: The licence in force.
        keys: The installation's keys, if the bundle brings no key statements.
        now_s: The time, seconds since 1970 UTC.
        received: Reports that were received before.

    Raises:
        Refused: ``TooLarge``, ``BundleInvalid``, ``UnsupportedType``, or a class of the first
            document or chain that is not in order.
    """
    lines = read_lines(data)
    if lines.key_statements:
        keys = verify_keys(lines.key_statements, vendor_keys, now_s=now_s, license_=license_)
    verify_manifest(lines, license_, keys)
    chains: dict[str, list[str]] = {}
    for token in (*received, *lines.reports):
        report = verify_report(token, license_=license_, keys=keys, now_s=now_s)
        chains.setdefault(report.envelope.chain_id, []).append(token)
    heads = {
        chain_id: verify_chain(tokens, license_=license_, keys=keys, now_s=now_s)
        for chain_id, tokens in chains.items()
    }
    return VerifiedBundle(
        keys, {chain_id: chain.envelopes[-1].link for chain_id, chain in heads.items()}
    )


def read_lines(data: str) -> Lines:
    """Split a bundle into its lines and check their rules, but no signature.

    Raises:
        Refused: ``TooLarge``, ``BundleInvalid``, ``UnsupportedType``, or layer 1 of a header.
    """
    fits = len(data) <= MAX_CHARACTERS_IN_FILE and data.count("\n") <= MAX_LINES
    need(fits, Reason.TOO_LARGE)
    clean = data.isascii() and data.endswith("\n") and "\r" not in data and "\n\n" not in data
    need(clean, Reason.BUNDLE_INVALID, "one token and one line feed per line, ASCII")
    manifest, *rest = data[:-1].split("\n")
    need(_typ_of(manifest) == BUNDLE, Reason.BUNDLE_INVALID, "the first line is the manifest")
    types = [_typ_of(line) for line in rest]
    need(all(typ in _ORDER for typ in types), Reason.UNSUPPORTED_TYPE)
    need(types == sorted(types, key=_ORDER.index), Reason.BUNDLE_INVALID, "order of the lines")
    return Lines(
        manifest,
        tuple(line for line, typ in zip(rest, types, strict=True) if typ != REPORT),
        tuple(line for line, typ in zip(rest, types, strict=True) if typ == REPORT),
        data.split("\n", 1)[1],
    )


def verify_manifest(lines: Lines, license_: LicenseTerms, keys: InstallationKeys) -> None:
    """Verify the first line: the sender, the recipient, and that the contents are complete.

    Raises:
        Refused: a class of layers 1-2, of identity, or ``BundleInvalid``.
    """
    opened = open_token(lines.manifest, BUNDLE, keys)
    check_table(_TABLE, opened.claims)
    claims: Mapping[str, Any] = opened.claims
    need(claims["iss"] == keys[opened.kid].installation, Reason.ISSUER_MISMATCH)
    need(claims["aud"] == license_.vendor, Reason.AUDIENCE_MISMATCH)
    need(claims["sub"] == license_.subscription, Reason.LICENSE_MISMATCH, "sub")
    count = len(lines.key_statements) + len(lines.reports)
    need(claims["count"] == count, Reason.BUNDLE_INVALID, "count")
    need(claims["contentDigest"] == digest(lines.content), Reason.BUNDLE_INVALID, "contentDigest")


def _typ_of(line: str) -> str:
    need(len(line) <= MAX_CHARACTERS[REPORT], Reason.TOO_LARGE, "line")
    return typ_of(line)
