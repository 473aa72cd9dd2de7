"""Whether a chain that the ledger lost a part of can be rebuilt from the reports that are known.

Only as a whole: what is known and what was found must be one chain without a hole, from its first
report to the newest that is known to exist, by the rules that a receiver applies (REPORT_FORMAT
§11). Then no consent is needed; else a person decides.
"""

from collections.abc import Iterable, Sequence

from licenseusage.controller.rules.evidence import KnownReport
from licenseusage.ledger.documents.records import (
    FORKED,
    ChainState,
    Delivery,
    OutboxItem,
    Recovered,
)
from licenseusage.reasons import Reason
from licenseusage.reports.chain import verify_chain
from licenseusage.reports.keys import InstallationKeys
from licenseusage.reports.licence import LicenseTerms
from licenseusage.reports.names import Link
from licenseusage.reports.receipt import Receipt, ReceiptVerdict, stored_receipt
from licenseusage.reports.refused import Refused, need
from licenseusage.reports.report import read_report


def rebuilt(
    state: ChainState,
    ours: Sequence[OutboxItem],
    reports: Iterable[KnownReport],
    loose: Iterable[Receipt] = (),
    *,
    license_: LicenseTerms | None,
    keys: InstallationKeys,
    now_s: int,
) -> tuple[Recovered, ...]:
    """Return the reports that complete a chain of the ledger's, by position.

    Those that are held are among them if their receipt is not.

    Args:
        state: The chain, as the ledger knows it.
        ours: Its documents in the ledger.
        reports: Of the same chain, as found in the cluster and at the vendor.
        loose: The vendor's verified receipts for it that came by themselves.
        license_: A licence of the subscription; None: none is known.
        keys: Ours, retired ones too.
        now_s: The time, seconds since 1970 UTC.

    Raises:
        Refused: Why they do not: a class of a report or of the chain. ``ChainTruncated``: more is
            known to exist; ``ReportConflict``: the vendor holds another history.
    """
    need(state.stopped != FORKED, Reason.CHAIN_FORKED, "another history is known to exist")
    if license_ is None:
        raise Refused(Reason.LICENSE_MISMATCH, "no licence of the subscription is known")
    by_token = {report.token: report for report in reports}
    receipts = [stored_receipt(item.receipt) for item in ours if item.receipt is not None]
    receipts += [report.receipt for report in by_token.values() if report.receipt is not None]
    receipts += [receipt for receipt in loose if receipt.chain_id == state.id]
    conflict = any(item.state is Delivery.CONFLICT for item in ours) or any(
        receipt.verdict is ReceiptVerdict.CONFLICT for receipt in receipts
    )
    need(not conflict, Reason.REPORT_CONFLICT, "the vendor holds another report")
    acknowledged = () if state.acknowledged is None else (state.acknowledged,)
    verify_chain(
        {*(item.token for item in ours), *by_token},
        license_=license_,
        keys=keys,
        now_s=now_s,
        heads=(*acknowledged, *state.lost, *_heads(receipts)),
        rejected={
            receipt.subject.digest
            for receipt in receipts
            if receipt.verdict is ReceiptVerdict.REJECTED
        },
    )
    known = {item.token: item for item in ours}
    verdicts = {receipt.subject.digest: receipt for receipt in receipts}
    recovered = [
        Recovered(read_report(token), report.receipt or verdicts.get(report.sent.subject.digest))
        for token, report in by_token.items()
        if token not in known or (known[token].receipt is None and report.receipt is not None)
    ]
    proved = any(each.report.envelope.token not in known for each in recovered) or state.lost
    need(bool(proved), Reason.CHAIN_TRUNCATED, "the lost report is not known")
    return tuple(sorted(recovered, key=lambda each: each.report.envelope.sequence))


def _heads(receipts: Iterable[Receipt]) -> list[Link]:
    return [receipt.head for receipt in receipts if receipt.head is not None]


def by_chain(reports: Iterable[KnownReport]) -> dict[str, list[KnownReport]]:
    """Return the reports of each chain."""
    chains: dict[str, list[KnownReport]] = {}
    for report in reports:
        chains.setdefault(report.sent.chain_id, []).append(report)
    return chains
