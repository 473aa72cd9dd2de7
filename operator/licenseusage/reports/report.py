"""The signed report: built by the sender, authenticated and judged by either side (§5, §12)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from licenseusage.reasons import Reason
from licenseusage.reports.checks import check_counts, check_coverage, check_cycle
from licenseusage.reports.content import Content, Kind, content_claims, content_of
from licenseusage.reports.grammar import (
    BASE,
    COUNT,
    DIGEST,
    DNS_LABEL,
    DNS_SUBDOMAIN,
    HEX32,
    KEY_CHAIN,
    LINK,
    NAME,
    PURPOSE,
    SEQUENCE,
    TIME,
    TOKEN,
    Table,
    array,
    boolean,
    check_table,
    counts_by_token,
    integer,
    members,
    nullable,
    one_of,
    text,
)
from licenseusage.reports.identity import check_identity
from licenseusage.reports.keys import InstallationKeys, SigningKey
from licenseusage.reports.licence import LicenseTerms
from licenseusage.reports.names import Link, digest, jti_of, report_chain_id
from licenseusage.reports.refused import need
from licenseusage.reports.tokens import decode, open_token, sign
from licenseusage.reports.typs import DAY_SECONDS, REPORT, SKEW_SECONDS, VERSION

_CHAIN: Table = {
    **KEY_CHAIN,
    "continuity": one_of("Start", "Continues", "Restored"),
    "acknowledged": nullable(LINK),
}
_ENVELOPE: Table = {
    **BASE,
    "chain": members(_CHAIN),
    "usage": members({"namespace": DNS_LABEL, "name": DNS_SUBDOMAIN}),
}
_CYCLE: Table = {
    "index": integer(0, 100000),
    "start": TIME,
    "end": TIME,
    "lengthDays": integer(1, 366),
    "asOf": TIME,
}
_COVERAGE: Table = {
    "observedSeconds": integer(0, 366 * DAY_SECONDS),
    "gaps": array(members({"start": TIME, "end": TIME, "reason": TOKEN}), 32),
    "merged": boolean,
}
_RULES: Table = {
    "definition": text(1024),
    "digest": DIGEST,
    "changesInCycle": COUNT,
    "exclusions": counts_by_token(16),
    "assumptions?": array(TOKEN, 16, distinct=True),
}
_CLOCK: Table = {
    "highWater": TIME,
    "backwardSteps": COUNT,
    "forwardSteps": COUNT,
    "largestStepSeconds": COUNT,
    "vendorTime": nullable(TIME),
    "referenceOffsetSeconds": nullable(integer(-(2**31), 2**31 - 1)),
}
_TABLE: Table = {
    **_ENVELOPE,
    "kind": one_of(*Kind),
    "product": NAME,
    "licenseId": NAME,
    "cycle": members(_CYCLE),
    "activeUsers": nullable(COUNT),
    "activeUsersUpperBound": nullable(COUNT),
    "accuracy": one_of("Exact", "Bounded", "LowerBound", "UpperBound", "Estimate", "Unknown"),
    "provisionedUsers": nullable(COUNT),
    "dailyActiveUsers": nullable(array(nullable(COUNT), 366)),
    "coverage": members(_COVERAGE),
    "rules": members(_RULES),
    "uncertainty?": array(members({"reason": TOKEN, "users": COUNT}), 8),
    "commitment?": DIGEST,
    "purpose?": PURPOSE,
    "pseudonymKeyId": nullable(HEX32),
    "clock": members(_CLOCK),
    "supersedes?": members(
        {"sequence": SEQUENCE, "digest": DIGEST, "reason": TOKEN, "note?": text(256)}
    ),
    "operator": members({"version": NAME, "cluster": nullable(HEX32)}),
}


@dataclass(frozen=True, slots=True)
class ReportInput:
    """Everything that goes into a report; ``build_report`` derives the names.

    Attributes:
        installation: Id of the installation: of its *first* key, whoever signs.
        vendor: The licence's ``vendor``; ``subscription`` likewise.
        namespace: Of the usage object; ``name`` likewise.
        previous: The report before, None for the first: it settles sequence and continuity.
        acknowledged: Newest head of the vendor that we have verified.
        issued_at_s: When it is signed, seconds since 1970 UTC; not before ``cycle.as_of_s``.
        restored: The chain is continued after a loss (REPORT_FORMAT §11).
    """

    installation: str
    vendor: str
    subscription: str
    namespace: str
    name: str
    issued_at_s: int
    content: Content
    previous: Link | None = None
    acknowledged: Link | None = None
    restored: bool = False

    @property
    def chain_id(self) -> str:
        """The id of the chain, 32 hex digits."""
        return report_chain_id(
            vendor=self.vendor,
            installation=self.installation,
            subscription=self.subscription,
            namespace=self.namespace,
            name=self.name,
        )

    @property
    def sequence(self) -> int:
        """The position in the chain, from 1."""
        return self.previous.sequence + 1 if self.previous else 1


@dataclass(frozen=True, slots=True)
class Envelope:
    """The report's identity and position: enough to store it as a link of its chain.

    Attributes:
        token: The report, exactly as signed.
        digest: Its digest.
        kid: Thumbprint of the key that signed it.
        previous: Digest of the report before; None at sequence 1.
        continuity: ``Start``, ``Continues`` or ``Restored``.
        claims: The payload; beyond the envelope unchecked.
    """

    token: str
    digest: str
    kid: str
    jti: str
    installation: str
    subscription: str
    vendor: str
    issued_at_s: int
    chain_id: str
    sequence: int
    previous: str | None
    continuity: str
    acknowledged: Link | None
    namespace: str
    name: str
    claims: Mapping[str, Any]

    @property
    def link(self) -> Link:
        """Position and digest."""
        return Link(self.sequence, self.digest)


@dataclass(frozen=True, slots=True)
class Report:
    """A report whose envelope and content are in order."""

    envelope: Envelope
    content: Content


def build_report(report: ReportInput, key: SigningKey) -> str:
    """Sign a report, once; the caller commits the token before it sends it.

    The claims are judged first by the rules that a receiver will apply, but for the licence's.

    Raises:
        Refused: the input is not a valid report (a defect of the caller); nothing was signed.
    """
    return sign(REPORT, report_claims(report), key)


def report_claims(report: ReportInput) -> dict[str, object]:
    """Return what a report claims, unsigned, judged as for `build_report`.

    Raises:
        Refused: The input is not a valid report.
    """
    claims = _claims(report)
    check_table(_TABLE, claims)
    _check_own(claims, report.content, report.issued_at_s)
    return claims


def authenticate_report(
    token: object, *, license_: LicenseTerms, keys: InstallationKeys
) -> Envelope:
    """Verify signature, envelope and identity; a failure is answered by 400, 401 or 403.

    Args:
        token: The candidate.
        license_: The licence in force, for vendor and subscription.
        keys: The keys of known installations, by thumbprint.

    Raises:
        Refused: a class of layers 1-2, of the keys, or of identity.
    """
    opened = open_token(token, REPORT, keys)
    check_table(_ENVELOPE, opened.claims)
    envelope = _envelope(str(token), opened.kid, opened.claims)
    check_identity(
        envelope.claims,
        vendor=license_.vendor,
        subscription=license_.subscription,
        installation=keys[opened.kid].installation,
        chain_id=report_chain_id(
            vendor=envelope.vendor,
            installation=envelope.installation,
            subscription=envelope.subscription,
            namespace=envelope.namespace,
            name=envelope.name,
        ),
    )
    need(
        (envelope.continuity == "Start") == (envelope.sequence == 1),
        Reason.CLAIM_INVALID,
        "chain.continuity",
    )
    return envelope


def check_content(envelope: Envelope, *, license_: LicenseTerms, now_s: int) -> Report:
    """Judge the content of an authentic report; a failure is answered by a signed 422.

    The licence's dates do not matter: expiry ends rights, not metering.

    Raises:
        Refused: a class of layers 2-3.
    """
    check_table(_TABLE, envelope.claims)
    content = content_of(envelope.claims)
    _check_supersedes(content)
    need(content.product == license_.product, Reason.LICENSE_MISMATCH, "product")
    check_cycle(content, envelope.claims["cycle"]["lengthDays"], license_.cycle)
    need(envelope.issued_at_s <= now_s + SKEW_SECONDS, Reason.ISSUED_IN_FUTURE)
    need(envelope.issued_at_s >= content.cycle.as_of_s, Reason.CLOCK_INCONSISTENT)
    check_counts(content)
    check_coverage(content)
    return Report(envelope, content)


def verify_report(
    token: object, *, license_: LicenseTerms, keys: InstallationKeys, now_s: int
) -> Report:
    """Authenticate one report and judge its content; the rules of its chain are ``chain``'s.

    Raises:
        Refused: a class of layers 1-3.
    """
    envelope = authenticate_report(token, license_=license_, keys=keys)
    return check_content(envelope, license_=license_, now_s=now_s)


def read_report(token: str) -> Report:
    """Read a report that was verified before (our own store's): **verifies no signature**.

    Raises:
        Refused: it is not a report at all, or its claims are malformed.
    """
    header, claims = decode(token)
    check_table(_TABLE, claims)
    return Report(_envelope(token, str(header.get("kid")), claims), content_of(claims))


def _claims(report: ReportInput) -> dict[str, object]:
    chain_id, sequence = report.chain_id, report.sequence
    continuity = "Restored" if report.restored else "Continues"
    return {
        "ver": VERSION,
        "iss": report.installation,
        "sub": report.subscription,
        "aud": report.vendor,
        "jti": jti_of(chain_id, sequence),
        "iat": report.issued_at_s,
        "chain": {
            "id": chain_id,
            "sequence": sequence,
            "previous": report.previous.digest if report.previous else None,
            "continuity": continuity if report.previous else "Start",
            "acknowledged": report.acknowledged.claim() if report.acknowledged else None,
        },
        "usage": {"namespace": report.namespace, "name": report.name},
        **content_claims(report.content),
    }


def _check_own(claims: Mapping[str, Any], content: Content, issued_at_s: int) -> None:
    cycle = content.cycle
    _check_supersedes(content)
    need(
        claims["cycle"]["lengthDays"] * DAY_SECONDS == cycle.end_s - cycle.start_s,
        Reason.CYCLE_MISMATCH,
    )
    need(
        cycle.start_s <= cycle.as_of_s < cycle.end_s
        if content.kind is Kind.INTERIM
        else cycle.as_of_s == cycle.end_s,
        Reason.CYCLE_MISMATCH,
        "cycle.asOf",
    )
    need(issued_at_s >= cycle.as_of_s, Reason.CLOCK_INCONSISTENT)
    check_counts(content)
    check_coverage(content)


def _check_supersedes(content: Content) -> None:
    need(
        (content.kind is Kind.AMENDMENT) == (content.supersedes is not None),
        Reason.CLAIM_INVALID,
        "supersedes: in an amendment and nowhere else",
    )


def _envelope(token: str, kid: str, claims: Mapping[str, Any]) -> Envelope:
    chain, acknowledged = claims["chain"], claims["chain"]["acknowledged"]
    return Envelope(
        token=token,
        digest=digest(token),
        kid=kid,
        jti=claims["jti"],
        installation=claims["iss"],
        subscription=claims["sub"],
        vendor=claims["aud"],
        issued_at_s=claims["iat"],
        chain_id=chain["id"],
        sequence=chain["sequence"],
        previous=chain["previous"],
        continuity=chain["continuity"],
        acknowledged=acknowledged
        and Link(sequence=acknowledged["sequence"], digest=acknowledged["digest"]),
        namespace=claims["usage"]["namespace"],
        name=claims["usage"]["name"],
        claims=claims,
    )
