"""Bundles: reports and key statements as one file, for clusters without a way out (§8, §12)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

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
from licenseusage.reports.keys import InstallationKey, InstallationKeys, SigningKey, VendorKey
from licenseusage.reports.licence import LicenseTerms
from licenseusage.reports.names import Link, digest
from licenseusage.reports.receipt import Sent
from licenseusage.reports.refused import need
from licenseusage.reports.report import verify_report
from licenseusage.reports.tokens import decode, open_token, sign, typ_of
from licenseusage.reports.typs import (
    BUNDLE,
    ENROLMENT,
    MAX_CHARACTERS,
    REPORT,
    SUCCESSION,
    VERSION,
)

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


@dataclass(frozen=True, slots=True)
class Parties:
    """Between whom a bundle's documents are: one installation, one vendor, one subscription."""

    installation: str
    vendor: str
    subscription: str

    @classmethod
    def of(cls, token: str) -> "Parties":
        """Return the parties of one of our own documents (its signature is not verified).

        Raises:
            Refused: it is not a document of an installation.
        """
        sent = Sent.from_token(token)
        return cls(sent.installation, sent.vendor, sent.subscription)


@dataclass(frozen=True, slots=True)
class Manifest:
    """What the first line of a bundle says (its signature is not verified).

    Attributes:
        issued_at_s: When the bundle was packed, seconds since 1970 UTC.
        count: Lines after the first.
    """

    parties: Parties
    issued_at_s: int
    count: int


def read_manifest(token: str) -> Manifest:
    """Read the first line of a bundle, without verifying its signature.

    Raises:
        Refused: a class of layer 1 of the text, or of layer 2.
    """
    _, claims = decode(token)
    check_table(_TABLE, claims)
    checked: Mapping[str, Any] = claims
    parties = Parties(checked["iss"], checked["aud"], checked["sub"])
    return Manifest(parties, checked["iat"], checked["count"])


def make_bundle(
    parties: Parties,
    key: SigningKey,
    *,
    key_statements: Sequence[str] = (),
    reports: Sequence[str] = (),
    now_s: int,
) -> tuple[str, ...]:
    """Return the bundle of these documents: one file, or several where one would be too large.

    Each file holds all key statements. Of several, an earlier one holds the older reports, and of
    each chain the ones that come before; so each is understood without those that follow.

    Args:
        parties: The subscription; without documents the bundle asks for the history (§9).
        key: The installation's current key; it signs the manifests.
        key_statements: All of this subscription, in any order.
        reports: Exactly as signed, in any order.
        now_s: The time, seconds since 1970 UTC.

    Raises:
        Refused: ``BundleInvalid``: a document is another subscription's; ``TooLarge``: the key
            statements alone are too long.
    """
    statements = sorted(_Placed.read(token, parties) for token in key_statements)
    documents = _by_age(_Placed.read(token, parties) for token in reports)
    room = MAX_CHARACTERS_IN_FILE - MAX_CHARACTERS[BUNDLE] - 1 - sum(s.size for s in statements)
    lines = MAX_LINES - 1 - len(statements)
    need(lines > 0 and room > MAX_CHARACTERS[REPORT], Reason.TOO_LARGE, "key statements")
    return tuple(
        _signed(parties, key, [line.token for line in (*statements, *sorted(part))], now_s)
        for part in _parts(documents, lines, room)
    )


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
    need(fits, Reason.TOO_LARGE, f"at most {MAX_LINES} lines and 16 MiB")
    need("\r" not in data, Reason.BUNDLE_INVALID, "line ends were changed: send it as binary")
    need(data.endswith("\n"), Reason.BUNDLE_INVALID, "its end is missing")
    clean = data.isascii() and "\n\n" not in data
    need(clean, Reason.BUNDLE_INVALID, "one token and one line feed per line, ASCII")
    manifest, *rest = data[:-1].split("\n")
    need(_typ_of(manifest) == BUNDLE, Reason.BUNDLE_INVALID, "the first line is the manifest")
    types = [_typ_of(line) for line in rest]
    need(all(typ in _ORDER for typ in types), Reason.UNSUPPORTED_TYPE)
    need(
        types == sorted(types, key=_ORDER.index),
        Reason.BUNDLE_INVALID,
        "enrolment, successions, reports",
    )
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
    need(claims["count"] == count, Reason.BUNDLE_INVALID, "lines were added or are missing: count")
    same = claims["contentDigest"] == digest(lines.content)
    need(same, Reason.BUNDLE_INVALID, "lines were changed: contentDigest")


def _typ_of(line: str) -> str:
    need(len(line) <= MAX_CHARACTERS[REPORT], Reason.TOO_LARGE, "line")
    return typ_of(line)


def _signed(parties: Parties, key: SigningKey, lines: Sequence[str], now_s: int) -> str:
    content = "".join(f"{line}\n" for line in lines)
    claims: dict[str, object] = {
        "ver": VERSION,
        "iss": parties.installation,
        "sub": parties.subscription,
        "aud": parties.vendor,
        "iat": now_s,
        "count": len(lines),
        "contentDigest": digest(content),
    }
    check_table(_TABLE, claims)
    return f"{sign(BUNDLE, claims, key)}\n{content}"


class _Placed(NamedTuple):
    """A document and its place; read once, because a bundle may hold thousands."""

    chain_id: str
    sequence: int
    issued_s: int
    token: str

    @classmethod
    def read(cls, token: str, parties: Parties) -> "_Placed":
        sent = Sent.from_token(token)
        whose = Parties(sent.installation, sent.vendor, sent.subscription)
        need(whose == parties, Reason.BUNDLE_INVALID, "documents of one subscription")
        issued: Any = decode(token)[1].get("iat")
        return cls(sent.chain_id, sent.subject.sequence, issued, token)

    @property
    def size(self) -> int:
        return len(self.token) + 1


def _by_age(reports: Iterable[_Placed]) -> list[_Placed]:
    """Return reports from the oldest to the newest; a clock that went back reorders no chain."""
    newest: dict[str, int] = {}
    aged: list[tuple[int, _Placed]] = []
    for report in sorted(reports):
        age = newest[report.chain_id] = max(newest.get(report.chain_id, 0), report.issued_s)
        aged.append((age, report))
    return [report for _age, report in sorted(aged)]


def _parts(reports: Sequence[_Placed], lines: int, characters: int) -> list[list[_Placed]]:
    """Return the reports in as many parts as are needed, in their order; at least one part."""
    parts: list[list[_Placed]] = [[]]
    free = characters
    for report in reports:
        if len(parts[-1]) == lines or report.size > free:
            parts.append([])
            free = characters
        parts[-1].append(report)
        free -= report.size
    return parts
