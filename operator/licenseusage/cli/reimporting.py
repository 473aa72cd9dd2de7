"""Reports from a file that become UsageReports again, so that a lost chain can be completed.

The operator believes only those that its own keys have signed; here they are only put in place.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from licenseusage.api.usagereport import report_name
from licenseusage.cli.documents import Bundle, GivenDocument
from licenseusage.controller.rules.reportmanifest import manifest
from licenseusage.errors import Stalled
from licenseusage.ledger.documents.readback import statement_of
from licenseusage.reasons import Reason
from licenseusage.reports.bundle import read_lines
from licenseusage.reports.refused import Refused
from licenseusage.reports.report import Report, read_report
from licenseusage.reports.tokens import typ_of
from licenseusage.reports.typs import ENROLMENT, REPORT, SUCCESSION


def lines_of(bundle: Bundle) -> list[GivenDocument]:
    """Return the reports of a bundle.

    Raises:
        Stalled: The file was damaged on its way.
    """
    try:
        reports = read_lines(bundle.data).reports
    except Refused as refused:
        raise Stalled(
            refused.reason, f"{bundle.source} is damaged: {refused.message}. Get the file again."
        ) from None
    if not reports:
        raise Stalled(Reason.NO_DOCUMENT, f"{bundle.source} is a bundle without reports.")
    return [GivenDocument(bundle.source, token) for token in reports]


def taken_out(
    documents: Iterable[GivenDocument],
    live: Iterable[Mapping[str, Any]],
    namespace: str | None,
) -> tuple[list[Mapping[str, Any]], list[GivenDocument]]:
    """Return the UsageReports to make, and what else there is in a file but key statements.

    Those are kept beside the operator's key. An object of the same name stays as it is.

    Args:
        documents: Of the file; a report that cannot be read is among the rest.
        live: The UsageReports of the cluster.
        namespace: Only of this one; None: of all.
    """
    present = {(each["metadata"]["namespace"], each["metadata"]["name"]) for each in live}
    made: dict[tuple[str, str], Mapping[str, Any]] = {}
    rest = []
    for document in documents:
        report = _report(document.token)
        if report is not None:
            at = _place(report)
            if at not in present and namespace in (None, at[0]):
                statement = statement_of(report.content)
                made[at] = manifest(report, statement.active_text)
        elif not _is_key_statement(document.token):
            rest.append(document)
    return list(made.values()), rest


def _place(report: Report) -> tuple[str, str]:
    envelope = report.envelope
    name = report_name(envelope.name, envelope.chain_id, envelope.sequence)
    return envelope.namespace, name


def _report(token: str) -> Report | None:
    try:
        return read_report(token) if typ_of(token) == REPORT else None
    except Refused:
        return None


def _is_key_statement(token: str) -> bool:
    try:
        return typ_of(token) in (ENROLMENT, SUCCESSION)
    except Refused:
        return False
