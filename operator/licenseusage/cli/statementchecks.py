"""What a statement is made of is verified: reports, receipts and licences, as far as can be."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

import typer

from licenseusage.cli.acknowledged import acknowledged
from licenseusage.cli.documents import GivenDocument
from licenseusage.cli.exits import NOT_OK
from licenseusage.cli.findings import RECEIPT, SIGNATURE, Level
from licenseusage.cli.statementinput import StatementInput
from licenseusage.cli.verification import VerificationInputs, verify_documents
from licenseusage.errors import Stalled, UsageError
from licenseusage.reasons import Reason
from licenseusage.reports.licence import read_license, stored_license
from licenseusage.reports.names import digest
from licenseusage.reports.receipt import Receipt, stored_receipt
from licenseusage.reports.refused import Refused
from licenseusage.reports.report import read_report
from licenseusage.reports.tokens import decode
from licenseusage.statement.cycles import (
    Checked,
    GivenLicense,
    ReportedChain,
    SignedReport,
    VendorAnswer,
    chains_of,
)
from licenseusage.statement.statement import chains_of_object


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
    documents = _once(given.reports)
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
    # A report of an installation or contract that nothing here enrols cannot be verified: that is
    # no fault of it. After a key was lost, the former one's reports are such.
    enrolled = {_signer(document) for document in given.key_statements}
    checked = [document for document in named if _signer(document) in enrolled]
    checks = verify_documents([*checked, *given.receipts], evidence)
    answers = acknowledged([*named, *given.key_statements], (), given.receipts, given.vendor_keys)
    checks += [
        check for document in named if document not in checked for check in answers.about(document)
    ]
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


def _once(documents: Iterable[GivenDocument]) -> list[GivenDocument]:
    """Return each document once, with its receipt if it was given with one anywhere."""
    once: dict[str, GivenDocument] = {}
    for document in documents:
        if once.setdefault(document.token, document).receipt is None:
            once[document.token] = document
    return list(once.values())


def _signer(document: GivenDocument) -> tuple[object, object]:
    """Return the installation and the contract that a document names; unreadable: none."""
    try:
        claims = decode(document.token)[1]
    except Refused:
        return None, None
    return claims.get("iss"), claims.get("sub")


def _usage(document: GivenDocument) -> tuple[str, str] | None:
    """Return namespace and name of a report's LicenseUsage; None: it cannot be read."""
    try:
        usage = decode(document.token)[1].get("usage")
    except Refused:
        return None
    if not isinstance(usage, dict):
        return None
    return str(usage.get("namespace")), str(usage.get("name"))
