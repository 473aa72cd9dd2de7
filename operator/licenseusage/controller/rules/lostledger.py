"""Whether an object may be counted again whose ledger was lost, with nothing of it left.

The facts of its running cycle are gone: its number begins again as a lower bound. Perhaps only the
volume is not mounted. So an administrator says that it is lost, by `spec.reporting.adoptHead`: the
newest report, behind which the chain goes on (REPORT_FORMAT §11).
"""

from collections.abc import Mapping

from licenseusage.controller.rules.evidence import KnownReport
from licenseusage.controller.rules.key import Key
from licenseusage.errors import Stalled
from licenseusage.reasons import Reason


def consented(key: Key, head: str | None, reports: Mapping[str, KnownReport]) -> None:
    """Do nothing if an administrator has named the newest report of the object.

    A head that was named for an earlier loss, and left in the spec, is no consent to this one.

    Args:
        key: The object.
        head: ``spec.reporting.adoptHead``; None: it is not set.
        reports: The object's own reports in the cluster, by the name of their UsageReport.

    Raises:
        Stalled: ``LedgerLost``: it is not set; ``AdoptHeadUnknown``, ``AdoptHeadOutdated``.
    """
    newest = max(reports.values(), key=lambda each: each.sent.subject.sequence, default=None)
    lost = (
        f"LicenseUsage {key} was counted before, but the ledger does not know it: its volume was "
        f"lost or replaced. Stop the operator and restore the ledger from a backup (licenseusage "
        f"ledger restore)."
    )
    if newest is None:
        raise Stalled(
            Reason.LEDGER_LOST,
            f"{lost} Only if there is none: delete the LicenseUsage and apply it again, and it is "
            f"counted anew. If it was reported to a vendor, bring its reports back first "
            f"(licenseusage report import --reports).",
        )
    subject = newest.sent.subject
    way_out = (
        f" Only if there is none: set spec.reporting.adoptHead to {subject.digest} (report "
        f"{subject.sequence}, the newest UsageReport). The chain goes on behind it; who was "
        f"counted in the running cycle is lost, so that its number is a lower bound."
    )
    if head is None:
        raise Stalled(Reason.LEDGER_LOST, lost + way_out)
    named = next((r for r in reports.values() if r.sent.subject.digest == head), None)
    if named is None:
        raise Stalled(
            Reason.ADOPT_HEAD_UNKNOWN,
            f"spec.reporting.adoptHead names {head}, which is no UsageReport of this operator and "
            f"object. Nothing was changed. {lost}{way_out}",
        )
    if named.sent.subject.sequence < subject.sequence:
        raise Stalled(
            Reason.ADOPT_HEAD_OUTDATED,
            f"spec.reporting.adoptHead names report {named.sent.subject.sequence}, and there are "
            f"newer ones. Nothing was changed. {lost}{way_out}",
        )
