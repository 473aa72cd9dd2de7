"""The signed documents that a statement is made of: gathered, sorted by type, and verified."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

import typer

from licenseusage.cli.acknowledged import acknowledged
from licenseusage.cli.documents import (
    Bundle,
    GivenDocument,
    documents_in,
    read_given,
    read_license_file,
    read_vendor_keys,
)
from licenseusage.cli.exits import NOT_OK
from licenseusage.cli.findings import RECEIPT, SIGNATURE, Level
from licenseusage.cli.kubectl import Kubectl
from licenseusage.cli.verification import VerificationInputs, verify_documents
from licenseusage.errors import Stalled, UsageError
from licenseusage.reasons import Reason
from licenseusage.reports import typs
from licenseusage.reports.bundle import read_lines
from licenseusage.reports.intake import unpacked
from licenseusage.reports.keys import VendorKeys
from licenseusage.reports.licence import read_license, stored_license
from licenseusage.reports.names import digest
from licenseusage.reports.receipt import Receipt, stored_receipt
from licenseusage.reports.refused import Refused
from licenseusage.reports.report import read_report
from licenseusage.reports.tokens import decode, typ_of
from licenseusage.statement.cycles import (
    Checked,
    GivenLicense,
    ReportedChain,
    SignedReport,
    VendorAnswer,
    chains_of,
)
from licenseusage.statement.statement import chains_of_object

REPORTS = "usagereports.licenseusage.dev"
JWKS = "jwks.json"

FromOption = Annotated[
    list[str] | None,
    typer.Option(
        "--from",
        metavar="FILE",
        help="Take reports from files instead of the cluster: bundles, tokens, UsageReports (YAML, "
        "JSON), or folders of them; - is stdin. Repeatable.",
    ),
]
VendorKeysOption = Annotated[
    str | None,
    typer.Option(
        "--vendor-keys",
        metavar="FILE",
        help="The vendor's jwks.json: signatures are verified with it.",
    ),
]
EnrolmentOption = Annotated[
    list[str] | None,
    typer.Option(
        "--enrolment",
        metavar="FILE",
        help="The installation's key statements, as `ledger enrolment` prints them; the licence in "
        "the enrolment states the entitlement. Repeatable.",
    ),
]
LicenseOption = Annotated[
    list[str] | None,
    typer.Option(
        "--license",
        metavar="FILE",
        help="Licences that reports name, besides the enrolment's. Repeatable.",
    ),
]
DocumentsOption = Annotated[
    Path | None,
    typer.Option(
        "--documents",
        metavar="FOLDER",
        help="A folder that may hold jwks.json, key statements, licences and receipts: what is "
        "there is used.",
    ),
]


@dataclass(slots=True)
class StatementInput:
    """Documents by their type, as they were given."""

    reports: list[GivenDocument] = field(default_factory=list)
    key_statements: list[GivenDocument] = field(default_factory=list)
    receipts: list[GivenDocument] = field(default_factory=list)
    licenses: list[GivenDocument] = field(default_factory=list)
    vendor_keys: VendorKeys | None = None

    def add(self, documents: Iterable[GivenDocument]) -> None:
        """Sort documents by type.

        Raises:
            Stalled: ``NoDocument``: one is of no type that a statement is made of.
        """
        kinds = {
            typs.REPORT: self.reports,
            typs.ENROLMENT: self.key_statements,
            typs.SUCCESSION: self.key_statements,
            typs.RECEIPT: self.receipts,
            typs.LICENSE: self.licenses,
        }
        for document in documents:
            kind = kinds.get(_typ(document.token))
            if kind is None:
                raise Stalled(
                    Reason.NO_DOCUMENT,
                    f"{document.source} is no report, receipt, key statement or licence, or it was "
                    f"cut. Take it anew from where it was made, or leave it out.",
                )
            kind.append(document)

    def add_file(self, path: str) -> None:
        """Take a file, or every file of a folder but hidden ones.

        Raises:
            Stalled: ``FileUnreadable``, ``NoDocument``; Refused: it is a damaged bundle.
        """
        if path != "-" and Path(path).is_dir():
            for file in visible_files(Path(path)):
                self.add_file(str(file))
            return
        given = read_given(path)
        self.add(_unpacked(given) if isinstance(given, Bundle) else given)

    def add_folder(self, folder: Path) -> None:
        """Take what a folder of evidence holds; ``jwks.json`` is the vendor's keys.

        Raises:
            Stalled: as ``add_file``; ``FileUnreadable``: there is no such folder.
        """
        if not folder.is_dir():
            raise Stalled(Reason.FILE_UNREADABLE, f"{folder} is no folder.")
        for file in visible_files(folder):
            if file.name != JWKS:
                self.add_file(str(file))
            elif self.vendor_keys is None:
                self.vendor_keys = read_vendor_keys(str(file))


@dataclass(frozen=True, slots=True)
class EvidenceOptions:
    """The options of a command that say with what documents are verified."""

    vendor_keys: str | None = None
    enrolment: tuple[str, ...] = ()
    licenses: tuple[str, ...] = ()
    documents: Path | None = None


def gather(
    options: EvidenceOptions,
    files: Sequence[str],
    kubectl: Kubectl,
    namespace: str | None,
    *,
    everywhere: bool = False,
) -> StatementInput:
    """Read everything that was named: from files, or else from the cluster.

    Raises:
        UsageError: with the file, object or command that failed.
    """
    given = StatementInput()
    if options.vendor_keys is not None:
        given.vendor_keys = read_vendor_keys(options.vendor_keys)
    for path in options.enrolment:
        given.add_file(path)
    for path in options.licenses:
        given.add([GivenDocument(path, unpacked(read_license_file(path)))])
    if options.documents is not None:
        given.add_folder(options.documents)
    for path in files:
        given.add_file(path)
    if not files:
        for item in kubectl.list(REPORTS, namespace, everywhere=everywhere):
            given.add(documents_in(item, "an object without a name"))
    return given


@contextmanager
def judged() -> Iterator[None]:
    """End the command with exit code 1 if a document does not verify or contradicts another."""
    try:
        yield
    except UsageError as error:
        if not isinstance(error, Refused) and error.reason is not Reason.NOT_VERIFIED:
            raise
        typer.echo(f"error: {error.reason}: {error.message}", err=True)
        raise typer.Exit(NOT_OK) from None


def visible_files(folder: Path) -> list[Path]:
    """Return the files of a folder by name; a mounted ConfigMap has hidden ones besides."""
    try:
        return sorted(
            path for path in folder.iterdir() if path.is_file() and not path.name.startswith(".")
        )
    except OSError as error:
        raise Stalled(Reason.FILE_UNREADABLE, f"{folder}: {error.strerror or error}") from None


def signed_reports(given: StatementInput, now_s: int) -> list[SignedReport]:
    """Return the reports, each with what is known of it; verified if the keys are here.

    Raises:
        Stalled: ``NotVerified``: something does not verify, and no statement is made of it.
        Refused: A report cannot be read.
    """
    verified, receipts = _verified(given, now_s)
    answers = {
        receipt.subject.digest: VendorAnswer(receipt, Checked.VERIFIED) for receipt in receipts
    }
    if given.vendor_keys is None:
        tokens = [document.token for document in given.receipts]
        tokens += [document.receipt for document in given.reports if document.receipt is not None]
        for receipt in map(stored_receipt, tokens):
            answers[receipt.subject.digest] = VendorAnswer(receipt, Checked.NOT_VERIFIED)
    return [
        SignedReport(
            read_report(document.token),
            document.source,
            Checked.VERIFIED if digest(document.token) in verified else Checked.NOT_VERIFIED,
            answers.get(digest(document.token)),
        )
        for document in given.reports
    ]


def licenses_of(given: StatementInput) -> list[GivenLicense]:
    """Return the licences that are here, those in enrolments included.

    Raises:
        Refused: One cannot be read, or does not verify.
    """
    tokens = [document.token for document in given.licenses]
    for statement in given.key_statements:
        license_ = decode(statement.token)[1].get("license")
        tokens += [license_] if isinstance(license_, str) else []
    if given.vendor_keys is None:
        return [GivenLicense(stored_license(token), Checked.NOT_VERIFIED) for token in tokens]
    return [
        GivenLicense(read_license(token, given.vendor_keys), Checked.VERIFIED) for token in tokens
    ]


def chains_and_others(
    given: StatementInput, name: str, namespace: str | None, now_s: int
) -> tuple[tuple[ReportedChain, ...], tuple[ReportedChain, ...]]:
    """Return the chains of one LicenseUsage, verified as far as can be, and those of others.

    The others are for warnings only: they are not verified, and their faults are not its own.

    Raises:
        Stalled: ``NoDocument``, ``Ambiguous``, ``NotVerified``.
        Refused: A report of the LicenseUsage cannot be read, or contradicts itself or another.
    """
    # A report that cannot be read may be of this object.
    own: list[GivenDocument] = []
    rest: list[GivenDocument] = []
    for document in given.reports:
        usage = _usage(document)
        ours = usage is None or (usage[1] == name and namespace in (None, usage[0]))
        (own if ours else rest).append(document)
    others = _readable(rest)
    reports = signed_reports(replace(given, reports=own), now_s)
    chains = chains_of(reports, licenses_of(given))
    return chains_of_object([*chains, *others], name, namespace), others


def usages_of(given: StatementInput) -> list[tuple[str, str]]:
    """Return namespace and name of every LicenseUsage that has reports here, sorted."""
    return sorted({usage for document in given.reports if (usage := _usage(document)) is not None})


def _readable(documents: Iterable[GivenDocument]) -> tuple[ReportedChain, ...]:
    """Return the chains that are in order by themselves, unverified."""
    by_chain: dict[str, list[SignedReport]] = {}
    for document in documents:
        with suppress(Refused):
            report = SignedReport(read_report(document.token), document.source)
            by_chain.setdefault(report.envelope.chain_id, []).append(report)
    chains: list[ReportedChain] = []
    for reports in by_chain.values():
        with suppress(Refused):
            chains += chains_of(reports)
    return tuple(chains)


def _verified(given: StatementInput, now_s: int) -> tuple[frozenset[str], list[Receipt]]:
    """Return the digests of reports whose signatures verify, and the receipts that do.

    Raises:
        Stalled: ``NotVerified``.
    """
    if given.vendor_keys is None:
        return frozenset(), []
    documents = list({document.token: document for document in given.reports}.values())
    evidence = VerificationInputs(
        vendor_keys=given.vendor_keys,
        receipts=(),
        key_statements=tuple(given.key_statements),
        licenses=tuple(given.licenses),
        now_s=now_s,
    )
    # Sources must tell documents apart; two files may hold objects of the same name.
    named = [
        GivenDocument(f"{number}. {document.source}", document.token, document.receipt)
        for number, document in enumerate(documents, 1)
    ]
    checks = verify_documents([*named, *given.receipts], evidence)
    answers = acknowledged([*named, *given.key_statements], (), given.receipts, given.vendor_keys)
    refused = {document.source for document in named if digest(document.token) in answers.refused}
    faults = [
        check
        for check in checks
        if check.level is Level.BAD and not (check.check == RECEIPT and check.source in refused)
    ]
    if faults:
        words = "; ".join(f"{fault.source}, {fault.check}: {fault.message}" for fault in faults)
        raise Stalled(Reason.NOT_VERIFIED, f"no statement was made. {words}")
    good = {
        check.source for check in checks if (check.check, check.level) == (SIGNATURE, Level.GOOD)
    }
    verified = frozenset(digest(document.token) for document in named if document.source in good)
    return verified, answers.receipts


def _usage(document: GivenDocument) -> tuple[str, str] | None:
    """Return namespace and name of a report's LicenseUsage; None: it cannot be read."""
    try:
        usage = decode(document.token)[1].get("usage")
    except Refused:
        return None
    if not isinstance(usage, dict):
        return None
    return str(usage.get("namespace")), str(usage.get("name"))


def _unpacked(bundle: Bundle) -> list[GivenDocument]:
    try:
        lines = read_lines(bundle.data)
    except Refused as refusal:
        raise Refused(refusal.error, words=f"{bundle.source}: {refusal.message}") from None
    tokens = (*lines.key_statements, *lines.reports)
    return [
        GivenDocument(f"{bundle.source}:{number}", token) for number, token in enumerate(tokens, 2)
    ]


def _typ(token: str) -> str:
    try:
        return typ_of(token) if token.isascii() else ""
    except Refused:
        return ""
