"""One cycle as a row of plain values: for CSV, JSON and the table of the command line."""

from collections.abc import Mapping

from licenseusage.reports.inwords import in_words
from licenseusage.statement.cycles import ReportedChain, ReportedCycle, SignedReport
from licenseusage.statement.words import elapsed_seconds, over, over_words, to_bill
from licenseusage.statement.zulu import zulu

Value = str | int | None


def facts(chain: ReportedChain, cycle: ReportedCycle) -> dict[str, Value]:
    """Return the facts of one cycle by name; None: not known, or not applicable.

    Names are those of the columns of the CSV, and stay as they are: people build sheets on them.
    """
    content, envelope = cycle.content, cycle.value.envelope
    compared, license_ = over(cycle), cycle.license
    return {
        "namespace": chain.usage[0],
        "name": chain.usage[1],
        "product": content.product,
        "vendor": envelope.vendor,
        "contract": envelope.subscription,
        "installation": envelope.installation,
        "chain": chain.id,
        "cycle": cycle.index,
        "start": zulu(cycle.start_s),
        "end": zulu(cycle.end_s),
        "state": cycle.state.value,
        "as_of": zulu(content.cycle.as_of_s),
        "active_users": content.active_users,
        "active_users_upper_bound": content.active_users_upper_bound,
        "accuracy": content.accuracy,
        "in_words": in_words(content),
        "number_to_bill": to_bill(cycle),
        "entitled": cycle.maximum,
        "over_at_least": compared.at_least if compared else None,
        "over_at_most": compared.at_most if compared else None,
        "over_in_words": over_words(cycle),
        "provisioned_users": content.provisioned_users,
        "observed_seconds": content.coverage.observed_seconds,
        "elapsed_seconds": elapsed_seconds(content),
        "gaps": len(content.coverage.gaps),
        "purpose": cycle.purpose,
        "licence": content.license_id,
        "licence_signature": license_.checked.value if license_ else None,
        **_document(cycle.value),
        "replaces": " ".join(str(report.envelope.sequence) for report in cycle.replaced) or None,
        "findings": " ".join(cycle.findings) or None,
        "daily_active_users": _daily(cycle),
    }


def _document(report: SignedReport) -> Mapping[str, Value]:
    envelope, answer = report.envelope, report.answer
    return {
        "report": envelope.jti,
        "sequence": envelope.sequence,
        "digest": envelope.digest,
        "issued": zulu(envelope.issued_at_s),
        "signature": report.checked.value,
        "receipt": answer.receipt.verdict.value if answer else None,
        "received": zulu(answer.receipt.received_at_s) if answer else None,
        "receipt_signature": answer.checked.value if answer else None,
    }


def _daily(cycle: ReportedCycle) -> str | None:
    """Return the days apart by spaces; ``?`` is a day that is not known."""
    days = cycle.content.daily_active_users
    return None if days is None else " ".join("?" if each is None else str(each) for each in days)
