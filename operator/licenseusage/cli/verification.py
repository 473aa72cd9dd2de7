"""Verifying reports with whatever evidence is at hand, and saying what could not be checked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from licenseusage.cli.documents import Document
from licenseusage.cli.times import show_time
from licenseusage.errors import UsageError
from licenseusage.reports.chain import verify_chain
from licenseusage.reports.keychain import verify_keys
from licenseusage.reports.keys import InstallationKeys, VendorKeys
from licenseusage.reports.licence import LicenseTerms, read_license
from licenseusage.reports.names import Link
from licenseusage.reports.receipt import Receipt, Sent, Verdict, verify_receipt
from licenseusage.reports.refused import need
from licenseusage.reports.report import authenticate_report, check_content
from licenseusage.reports.tokens import decode
from licenseusage.reports.typs import REPORT

SIGNATURE = "signature"
"""The check of who signed a report, and of what it says."""


class Level(StrEnum):
    """Outcome of one check; ``NOT_CHECKED``: the evidence for it was not given."""

    GOOD = "ok"
    BAD = "FAILED"
    NOT_CHECKED = "not checked"


@dataclass(frozen=True, slots=True)
class Evidence:
    """What reports are verified against.

    Attributes:
        vendor_keys: The pinned keys; None: not given.
        receipts: Receipts given apart from their reports, as tokens.
        key_statements: Enrolment, then successions, as tokens; empty: not given.
        license: The licence in force, as a token; None: the enrolment's.
        now_s: The time, seconds since 1970 UTC.
    """

    vendor_keys: VendorKeys | None
    receipts: tuple[str, ...]
    key_statements: tuple[str, ...]
    license: str | None
    now_s: int


@dataclass(frozen=True, slots=True)
class Finding:
    """One check of one document."""

    source: str
    check: str
    level: Level
    reason: str
    message: str


class Answer(StrEnum):
    """What all checks together come to.

    ``UNDETERMINED``: nothing is wrong, but the signature of a report was not checked. A receipt
    tells that the vendor has these bytes; who signed them it does not tell.
    """

    OK = "OK"
    NOT_OK = "NOT OK"
    UNDETERMINED = "NOT DETERMINED"


def answer(found: Sequence[Finding]) -> Answer:
    """Return what the checks come to: OK only if the signature of every report was checked."""
    if any(one.level is Level.BAD for one in found):
        return Answer.NOT_OK
    signatures = [one for one in found if one.check == SIGNATURE]
    checked = bool(signatures) and all(one.level is Level.GOOD for one in signatures)
    return Answer.OK if checked else Answer.UNDETERMINED


def not_checked(found: Sequence[Finding]) -> str:
    """Return what was not checked, in words; empty if everything was."""
    documents: dict[str, list[str]] = {}
    for one in found:
        if one.level is Level.NOT_CHECKED:
            documents.setdefault(one.check, []).append(one.source)
    said = [
        ", ".join(sources) if check == "chain" else f"{check} of {_several(sources)}"
        for check, sources in documents.items()
    ]
    return f"not checked: {', '.join(said)}" if said else ""


def _several(sources: Sequence[str]) -> str:
    return sources[0] if len(sources) == 1 else f"{len(sources)} documents"


@dataclass(frozen=True, slots=True)
class Installation:
    """An installation's keys, verified, and the licence in force."""

    keys: InstallationKeys
    license: LicenseTerms


def verify_documents(documents: Sequence[Document], evidence: Evidence) -> list[Finding]:
    """Verify every report by itself, then each chain; never stops at the first fault."""
    found: list[Finding] = []
    installation, about_keys = _installation(evidence)
    found += about_keys
    rejected: set[str] = set()
    heads: dict[str, list[Link]] = {}
    for document in documents:
        found.append(_signature(document, installation, evidence))
        about, receipt = _receipt(document, evidence)
        found.append(about)
        if receipt is not None:
            if receipt.verdict is not Verdict.ACCEPTED:
                rejected.add(receipt.subject.digest)
            if receipt.head is not None:
                heads.setdefault(receipt.chain_id, []).append(receipt.head)
    if installation is not None:
        found += _chains(documents, installation, evidence, heads, rejected)
    return found


def _installation(evidence: Evidence) -> tuple[Installation | None, list[Finding]]:
    statements = evidence.key_statements
    if not statements:
        return None, []
    if evidence.vendor_keys is None:
        message = "the enrolment's licence needs --vendor-keys"
        return None, [Finding("enrolment", "keys", Level.NOT_CHECKED, "NoVendorKeys", message)]
    try:
        # The licence inside was valid when the installation enrolled; it may have expired since.
        _, claims = decode(statements[0])
        at_s = claims.get("iat")
        keys = verify_keys(
            statements,
            evidence.vendor_keys,
            now_s=evidence.now_s,
            enrolled_s=at_s if isinstance(at_s, int) else None,
        )
        token = evidence.license or claims.get("license")
        license_ = read_license(token, evidence.vendor_keys)
    except UsageError as error:
        return None, [_bad("enrolment", "keys", error)]
    words = f"{len(keys)} key(s) of {next(iter(keys.values())).installation}"
    return Installation(keys, license_), [Finding("enrolment", "keys", Level.GOOD, "Valid", words)]


def _signature(
    document: Document, installation: Installation | None, evidence: Evidence
) -> Finding:
    if installation is None:
        message = "needs --enrolment (and --vendor-keys)"
        return Finding(document.source, SIGNATURE, Level.NOT_CHECKED, "NoEnrolment", message)
    try:
        envelope = authenticate_report(
            document.token, license_=installation.license, keys=installation.keys
        )
        content = check_content(
            envelope, license_=installation.license, now_s=evidence.now_s
        ).content
    except UsageError as error:
        return _bad(document.source, SIGNATURE, error)
    message = (
        f"{content.kind.value} {envelope.sequence} of {envelope.namespace}/{envelope.name}, "
        f"cycle {content.cycle.index}, {content.accuracy}"
    )
    return Finding(document.source, SIGNATURE, Level.GOOD, "Valid", message)


def _receipt(document: Document, evidence: Evidence) -> tuple[Finding, Receipt | None]:
    try:
        sent = _sent(document.token)
        token = document.receipt or _receipt_for(sent, evidence.receipts)
        if token is None:
            words = "none given: whether the vendor has it is not known"
            return _unchecked(document, "NoReceipt", words), None
        if evidence.vendor_keys is None:
            return _unchecked(document, "NoVendorKeys", "needs --vendor-keys"), None
        receipt = verify_receipt(token, evidence.vendor_keys, sent)
    except UsageError as error:
        return _bad(document.source, "receipt", error), None
    at = show_time(receipt.received_at_s)
    if receipt.verdict is not Verdict.ACCEPTED:
        words = f"the vendor signed {receipt.verdict} ({receipt.error}) at {at}"
        return Finding(document.source, "receipt", Level.BAD, str(receipt.error), words), receipt
    notes = f"; findings: {', '.join(receipt.findings)}" if receipt.findings else ""
    words = f"receipt verified: Accepted by {receipt.vendor} at {at}{notes}"
    return Finding(document.source, "receipt", Level.GOOD, "Accepted", words), receipt


def _sent(token: str) -> Sent:
    need(token.isascii(), "MalformedToken")
    sent = Sent.from_token(token)
    need(sent.subject.typ == REPORT, "UnsupportedType", f"expected {REPORT}")
    return sent


def _receipt_for(sent: Sent, receipts: Sequence[str]) -> str | None:
    """Return the receipt that names this report, the newest last given; None if none was given."""
    fitting = [token for token in receipts if _subject_of(token) == sent.subject.jti]
    need(fitting or not receipts, "ReceiptMismatch", "no receipt given is for this report")
    return fitting[-1] if fitting else None


def _chains(
    documents: Sequence[Document],
    installation: Installation,
    evidence: Evidence,
    heads: Mapping[str, list[Link]],
    rejected: set[str],
) -> list[Finding]:
    chains: dict[str, dict[int, str]] = {}
    for document in documents:
        try:
            envelope = authenticate_report(
                document.token, license_=installation.license, keys=installation.keys
            )
        except UsageError:
            continue  # said already
        chains.setdefault(envelope.chain_id, {})[envelope.sequence] = document.token
    found = []
    for chain_id, held in chains.items():
        source = f"chain {chain_id[:8]}"
        missing = sorted(set(range(1, max(held) + 1)) - set(held))
        if missing:
            words = f"{len(missing)} of {max(held)} reports are not here, from {missing[0]} on"
            found.append(Finding(source, "chain", Level.NOT_CHECKED, "Incomplete", words))
            continue
        try:
            chain = verify_chain(
                held.values(),
                license_=installation.license,
                keys=installation.keys,
                now_s=evidence.now_s,
                heads=heads.get(chain_id, ()),
                rejected=rejected,
            )
        except UsageError as error:
            found.append(_bad(source, "chain", error))
            continue
        notes = f"; findings: {', '.join(chain.findings)}" if chain.findings else ""
        words = f"{len(held)} report(s) without a hole{notes}"
        found.append(Finding(source, "chain", Level.GOOD, "Valid", words))
    return found


def _subject_of(token: str) -> str:
    _header, claims = decode(token)
    subject: Any = claims.get("subject")
    return str(subject.get("jti")) if isinstance(subject, dict) else ""


def _bad(source: str, check: str, error: UsageError) -> Finding:
    message = f"{error.reason}: {error.message}"
    return Finding(source, check, Level.BAD, error.reason, message)


def _unchecked(document: Document, reason: str, words: str) -> Finding:
    return Finding(document.source, "receipt", Level.NOT_CHECKED, reason, words)
