"""The UsageReport object of a signed report: what is in it, but for its status. Pure."""

from typing import Any, Literal

from licenseusage.api.model import CyclePeriod
from licenseusage.api.usagereport import SupersededReport, UsageReportSpec, report_name
from licenseusage.controller.rules.conditions import cut
from licenseusage.controller.rules.resources import REPORTS, USAGE_LABEL
from licenseusage.reports.content import Content, Kind
from licenseusage.reports.inwords import in_words
from licenseusage.reports.report import Report

_KINDS: dict[Kind, Literal["Interim", "Final", "Amendment"]] = {
    Kind.INTERIM: "Interim",
    Kind.FINAL: "Final",
    Kind.AMENDMENT: "Amendment",
}


def spec(report: Report, active_text: str) -> dict[str, Any]:
    """Return the immutable spec of a report's object.

    Args:
        report: The report.
        active_text: Its number, as a column shows it.
    """
    content, cycle = report.content, report.content.cycle
    return UsageReportSpec(
        usage_name=report.envelope.name,
        kind=_KINDS[content.kind],
        sequence=report.envelope.sequence,
        cycle=CyclePeriod.of(cycle.index, 1000 * cycle.start_s, 1000 * cycle.end_s),
        active_text=active_text,
        words=cut(in_words(content)),
        supersedes=_supersedes(content),
        token=report.envelope.token,
    ).to_object()


def manifest(report: Report, active_text: str) -> dict[str, Any]:
    """Return a report's object as it is created; arguments as of `spec`."""
    envelope = report.envelope
    return {
        "apiVersion": f"{REPORTS.group}/{REPORTS.version}",
        "kind": "UsageReport",
        "metadata": {
            "name": report_name(envelope.name, envelope.chain_id, envelope.sequence),
            "namespace": envelope.namespace,
            "labels": {USAGE_LABEL: envelope.name},
        },
        "spec": spec(report, active_text),
    }


def _supersedes(content: Content) -> SupersededReport | None:
    named = content.supersedes
    if named is None:
        return None
    return SupersededReport(sequence=named.link.sequence, reason=named.reason, note=named.note)
