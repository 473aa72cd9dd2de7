"""The statement for programs: the values of the signed documents, by name."""

from collections.abc import Iterable

from licenseusage.reports.inwords import in_words
from licenseusage.reports.report import Envelope
from licenseusage.statement.cycles import ReportedChain, ReportedCycle, SignedReport
from licenseusage.statement.statement import Statement
from licenseusage.statement.words import elapsed_seconds, over, over_words, to_bill
from licenseusage.statement.zulu import zulu

FORMAT = "licenseusage-statement"
VERSION = 1
"""Grows when a member changes its meaning; members may be added."""


def as_json(statement: Statement) -> dict[str, object]:
    """Return the statement as JSON values; null is "not known" and never zero."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "namespace": statement.namespace,
        "name": statement.name,
        "period": statement.period,
        "provisional": statement.provisional,
        "verified": statement.verified,
        "warnings": list(statement.warnings),
        "chains": [
            {
                **_identity(section.chain.envelope),
                "cycles": [_cycle(cycle) for cycle in section.cycles],
                "earlierCycles": [_cycle(cycle) for cycle in section.earlier],
            }
            for section in statement.sections
        ],
        "madeAt": zulu(statement.made_at_s),
        "madeBy": statement.made_by,
    }


def history_as_json(
    chains: Iterable[tuple[ReportedChain, Iterable[ReportedCycle]]],
) -> list[object]:
    """Return the cycles of chains as JSON values."""
    return [
        {**_identity(chain.envelope), "cycles": [_cycle(cycle) for cycle in cycles]}
        for chain, cycles in chains
    ]


def _identity(envelope: Envelope) -> dict[str, object]:
    return {
        "chain": envelope.chain_id,
        "namespace": envelope.namespace,
        "name": envelope.name,
        "vendor": envelope.vendor,
        "contract": envelope.subscription,
        "installation": envelope.installation,
    }


def _cycle(cycle: ReportedCycle) -> dict[str, object]:
    content, compared, license_ = cycle.content, over(cycle), cycle.license
    days = content.daily_active_users
    return {
        "index": cycle.index,
        "start": zulu(cycle.start_s),
        "end": zulu(cycle.end_s),
        "state": cycle.state.value,
        "asOf": zulu(content.cycle.as_of_s),
        "product": content.product,
        "activeUsers": content.active_users,
        "activeUsersUpperBound": content.active_users_upper_bound,
        "accuracy": content.accuracy,
        "words": in_words(content),
        "uncertainty": [
            {"reason": cause.reason, "users": cause.users} for cause in content.uncertainty
        ],
        "numberToBill": to_bill(cycle),
        "entitlement": {
            "licence": content.license_id,
            "known": license_ is not None,
            "signature": license_.checked.value if license_ else None,
            "maximumActiveUsers": cycle.maximum,
            "over": compared and {"atLeast": compared.at_least, "atMost": compared.at_most},
            "words": over_words(cycle),
        },
        "provisionedUsers": content.provisioned_users,
        "purpose": cycle.purpose,
        "dailyActiveUsers": None if days is None else list(days),
        "coverage": {
            "observedSeconds": content.coverage.observed_seconds,
            "elapsedSeconds": elapsed_seconds(content),
            "merged": content.coverage.merged,
            "gaps": [
                {"start": zulu(gap.start_s), "end": zulu(gap.end_s), "reason": gap.reason}
                for gap in content.coverage.gaps
            ],
        },
        "rules": {
            "definition": content.rules.definition,
            "digest": content.rules.digest,
            "changesInCycle": content.rules.changes_in_cycle,
            "exclusions": dict(content.rules.exclusions),
            "assumptions": list(content.rules.assumptions),
        },
        "findings": list(cycle.findings),
        "report": _report(cycle.value),
        "replaced": [_report(report) for report in cycle.replaced],
    }


def _report(report: SignedReport) -> dict[str, object]:
    envelope, content, answer = report.envelope, report.content, report.answer
    supersedes = content.supersedes
    return {
        "id": envelope.jti,
        "sequence": envelope.sequence,
        "kind": content.kind.value,
        "digest": envelope.digest,
        "issued": zulu(envelope.issued_at_s),
        "activeUsers": content.active_users,
        "activeUsersUpperBound": content.active_users_upper_bound,
        "operator": content.operator.version,
        "signature": report.checked.value,
        "supersedes": supersedes
        and {
            "sequence": supersedes.link.sequence,
            "digest": supersedes.link.digest,
            "reason": supersedes.reason,
            "note": supersedes.note,
        },
        "receipt": answer
        and {
            "result": answer.receipt.verdict.value,
            "error": answer.receipt.error,
            "received": zulu(answer.receipt.received_at_s),
            "findings": list(answer.receipt.findings),
            "signature": answer.checked.value,
        },
    }
