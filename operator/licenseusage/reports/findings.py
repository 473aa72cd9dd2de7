"""Findings: remarks that both sides must show about a valid chain (§6 rule 5)."""

from collections.abc import Sequence

from licenseusage.reasons import Reason
from licenseusage.reports.content import Kind
from licenseusage.reports.report import Report
from licenseusage.reports.typs import SKEW_SECONDS


def findings(reports: Sequence[Report]) -> list[str]:
    """Return the findings of a chain's reports (links left out), sorted, each once."""
    names: set[str] = set()
    before: Report | None = None
    for report in reports:
        names |= findings_of(report, before)
        before = report
    return sorted(names)


def findings_of(report: Report, before: Report | None) -> set[str]:
    """Return the findings that one report adds.

    Args:
        report: The report.
        before: The one before it in its chain, rejected ones left out; None if it is the first.
    """
    return _by_itself(report) | (_against(report, before) if before else set())


def _by_itself(report: Report) -> set[str]:
    envelope, content = report.envelope, report.content
    clock, supersedes = content.clock, content.supersedes
    hits = {
        Reason.RESTORED: envelope.continuity == "Restored",
        Reason.RESTATED: supersedes is not None and supersedes.reason != Reason.NEW_EVIDENCE,
        Reason.COVERAGE_INCOMPLETE: bool(content.coverage.gaps)
        and content.kind is not Kind.INTERIM,
        Reason.RULES_CHANGED: content.rules.changes_in_cycle > 0,
        Reason.CLOCK_ROLLBACK: envelope.issued_at_s < clock.high_water_s
        or clock.backward_steps > 0
        or (clock.vendor_time_s or 0) > envelope.issued_at_s + SKEW_SECONDS,
    }
    return {name for name, hit in hits.items() if hit}


def _against(report: Report, before: Report) -> set[str]:
    now, then = report.content, before.content
    same_cycle = now.cycle.index == then.cycle.index
    acknowledged, known = report.envelope.acknowledged, before.envelope.acknowledged
    clusters = (then.operator.cluster, now.operator.cluster)
    hits = {
        Reason.RULES_CHANGED: same_cycle and now.rules.digest != then.rules.digest,
        Reason.PSEUDONYM_KEY_CHANGED: same_cycle and now.pseudonym_key_id != then.pseudonym_key_id,
        Reason.CLOCK_ROLLBACK: report.envelope.issued_at_s < before.envelope.issued_at_s,
        Reason.ACKNOWLEDGEMENT_LOST: known is not None
        and (acknowledged is None or acknowledged.sequence < known.sequence),
        Reason.INSTALLATION_CLONED: all(clusters) and clusters[0] != clusters[1],
    }
    return {name for name, hit in hits.items() if hit}
