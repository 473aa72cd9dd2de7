"""Verifying documents with the available evidence, and naming the missing checks."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from licenseusage.cli.acknowledged import Acknowledged, acknowledged
from licenseusage.cli.documents import Bundle, GivenDocument
from licenseusage.cli.findings import BUNDLE, SIGNATURE, DocumentCheck, Level, bad
from licenseusage.cli.trust import Trust, trusted
from licenseusage.cli.wholeness import Held, whole
from licenseusage.reasons import Reason
from licenseusage.reports.bundle import Lines, read_lines, verify_manifest
from licenseusage.reports.content import Content
from licenseusage.reports.keys import VendorKeys
from licenseusage.reports.receipt import Sent
from licenseusage.reports.refused import Refused, need
from licenseusage.reports.report import Envelope, authenticate_report, check_content
from licenseusage.reports.tokens import typ_of
from licenseusage.reports.typs import ENROLMENT, RECEIPT, REPORT, SUCCESSION

_NEEDS_ENROLMENT = "needs --enrolment (and --vendor-keys)"


@dataclass(frozen=True, slots=True)
class VerificationInputs:
    """The evidence with which documents are verified.

    Attributes:
        vendor_keys: The pinned keys; None: not given.
        receipts: Given as the receipts of these documents, and of no others.
        key_statements: Enrolments and successions.
        licenses: Licences besides the enrolments'.
        now_s: The time, seconds since 1970 UTC.
        complete: Whether every report must be there, up to the newest one that is known.
    """

    vendor_keys: VendorKeys | None
    receipts: tuple[GivenDocument, ...]
    key_statements: tuple[GivenDocument, ...]
    licenses: tuple[GivenDocument, ...]
    now_s: int
    complete: bool = False


@dataclass(slots=True)
class _Given:
    """Documents by their declared type; an unreadable one is judged as a report."""

    reports: list[GivenDocument] = field(default_factory=list)
    statements: list[GivenDocument] = field(default_factory=list)
    receipts: list[GivenDocument] = field(default_factory=list)
    bundles: list[tuple[str, Lines]] = field(default_factory=list)

    def add(self, documents: Iterable[GivenDocument]) -> None:
        kinds = {
            ENROLMENT: self.statements,
            SUCCESSION: self.statements,
            RECEIPT: self.receipts,
        }
        for document in documents:
            kinds.get(_typ(document.token), self.reports).append(document)

    def unpack(self, bundle: Bundle) -> None:
        """Take the documents of a bundle.

        Raises:
            Refused: It was cut or edited: nothing of it is taken.
        """
        lines = read_lines(bundle.data)
        self.bundles.append((bundle.source, lines))
        tokens = enumerate((*lines.key_statements, *lines.reports), 2)
        self.add(GivenDocument(f"{bundle.source}:{number}", token) for number, token in tokens)


def verify_documents(
    files: Iterable[GivenDocument | Bundle], evidence: VerificationInputs
) -> list[DocumentCheck]:
    """Verify each document by itself, then each chain; never stops at the first fault."""
    given, results = _Given(), []
    for file in files:
        if isinstance(file, GivenDocument):
            given.add([file])
            continue
        try:
            given.unpack(file)
        except Refused as refusal:
            results.append(bad(file.source, BUNDLE, refusal))
    statements = [*evidence.key_statements, *given.statements]
    trust, about_keys = trusted(statements, evidence.licenses, evidence.vendor_keys, evidence.now_s)
    results += about_keys
    results += [_manifest(source, lines, trust) for source, lines in given.bundles]
    answers = acknowledged(
        [*given.reports, *statements], evidence.receipts, given.receipts, evidence.vendor_keys
    )
    reports: list[Held] = []
    for document in given.reports:
        signature, seen = _report(document, trust, answers, evidence.now_s)
        results += [signature, *answers.about(document)]
        reports += seen
    results += answers.others([report.token for report in given.reports])
    return results + whole(reports, answers, trust, complete=evidence.complete)


def _manifest(source: str, lines: Lines, trust: Trust) -> DocumentCheck:
    known = trust.of(lines.manifest)
    if known is None:
        return DocumentCheck(
            source, BUNDLE, Level.NOT_CHECKED, Reason.NO_ENROLMENT, _NEEDS_ENROLMENT
        )
    try:
        verify_manifest(lines, known.license, known.keys)
    except Refused as refusal:
        return bad(source, BUNDLE, refusal)
    count = len(lines.key_statements) + len(lines.reports)
    return DocumentCheck(
        source, BUNDLE, Level.GOOD, Reason.VALID, f"{count} document(s), as they were packed"
    )


def _report(
    document: GivenDocument, trust: Trust, answers: Acknowledged, now_s: int
) -> tuple[DocumentCheck, list[Held]]:
    """Verify a report by itself; return its position if it is authentic."""
    source = document.source
    try:
        sent = _sent(document.token)
    except Refused as refusal:
        return _unreadable(document, trust, refusal), []
    known = trust.of(document.token)
    if known is None:
        result = DocumentCheck(
            source, SIGNATURE, Level.NOT_CHECKED, Reason.NO_ENROLMENT, _NEEDS_ENROLMENT
        )
        return result, [Held(source, document.token, sent)]
    try:
        envelope = authenticate_report(document.token, license_=known.license, keys=known.keys)
    except Refused as refusal:
        return bad(source, SIGNATURE, refusal), []
    present = Held(source, document.token, sent, envelope)
    if envelope.digest in answers.refused:
        words = f"report {envelope.sequence}, which the vendor refused, only holds its place"
        return DocumentCheck(source, SIGNATURE, Level.GOOD, Reason.VALID, words), [present]
    try:
        report = check_content(envelope, license_=known.license, now_s=now_s)
    except Refused as refusal:
        return bad(source, SIGNATURE, refusal), [present]
    words = _words(envelope, report.content)
    if known.unknown:
        words = f"{words}; licence {known.unknown} is not here (--license)"
    notes = (Reason.LICENSE_UNKNOWN,) if known.unknown else ()
    result = DocumentCheck(source, SIGNATURE, Level.GOOD, Reason.VALID, words, notes)
    return result, [replace(present, report=report)]


def _unreadable(document: GivenDocument, trust: Trust, refusal: Refused) -> DocumentCheck:
    """Return the class of a report that cannot even be read: the first step that fails names it."""
    known = trust.of(document.token)
    if known is not None:
        try:
            authenticate_report(document.token, license_=known.license, keys=known.keys)
        except Refused as first:
            refusal = first
    return bad(document.source, SIGNATURE, refusal)


def _words(envelope: Envelope, content: Content) -> str:
    return (
        f"{content.kind.value} {envelope.sequence} of {envelope.namespace}/{envelope.name}, "
        f"cycle {content.cycle.index}, {content.accuracy}"
    )


def _sent(token: str) -> Sent:
    need(token.isascii(), Reason.MALFORMED_TOKEN)
    sent = Sent.from_token(token)
    need(sent.subject.typ == REPORT, Reason.UNSUPPORTED_TYPE, f"expected {REPORT}")
    return sent


def _typ(token: str) -> str:
    try:
        return typ_of(token)
    except Refused:
        return ""
