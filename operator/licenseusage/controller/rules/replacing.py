"""Finals and amendments that the vendor has refused with a signature: when others replace them.

A signed ``Rejected`` is for ever: the same bytes get the same verdict, hold their place in the
chain and do not count as the cycle's final (REPORT_FORMAT §6 rule 4). Only a new report can be
accepted, once what was refused has changed. Pure decisions.
"""

from collections.abc import Iterable, Mapping

from licenseusage.ledger.documents.records import OutboxItem, ReportKind
from licenseusage.metering.cycles import DAY_MS
from licenseusage.reasons import Reason

TOLERANCE_SECONDS = 300
"""How far ahead a receiver lets a report be dated (REPORT_FORMAT §12)."""

_CLOCK = Reason.ISSUED_IN_FUTURE


def refused_finals(reports: Iterable[OutboxItem]) -> tuple[OutboxItem, ...]:
    """Return the finals that await a replacement, oldest cycle first.

    Args:
        reports: All finals of an object, and whatever else it has.
    """
    return _refused(_newest(reports, ReportKind.FINAL))


def refused_amendments(reports: Iterable[OutboxItem]) -> tuple[OutboxItem, ...]:
    """Return the amendments that await a replacement, oldest cycle first.

    Those of a cycle whose final was refused as well wait for the other final, which they amend.
    """
    reports = tuple(reports)
    finals = _newest(reports, ReportKind.FINAL)
    refused = _refused(_newest(reports, ReportKind.AMENDMENT))
    return tuple(
        amendment
        for amendment in refused
        if (final := finals.get(_at(amendment))) and not final.refused
    )


def renewed_since(refused: OutboxItem, reports: Iterable[OutboxItem]) -> bool:
    """Whether the final that a refused amendment named has been replaced by another one."""
    final = _newest(reports, ReportKind.FINAL).get(_at(refused))
    return final is not None and final.sequence > refused.sequence


def replacement_due(
    refused: OutboxItem, now_ms: int, *, changed: bool, reference_offset_seconds: int | None
) -> bool:
    """Whether another report is to be signed now in place of a refused one.

    When something changed that the verdict may have depended on (licence, keys, the vendor's
    address, the operator's version), or when an administrator asks. A report that was dated in the
    vendor's future needs a clock that is right: one that was set back since, or, once a day, one
    that the API server does not contradict.

    Args:
        refused: A final or amendment with a signed ``Rejected``.
        now_ms: The time.
        changed: What delivery depends on has changed, or somebody asks.
        reference_offset_seconds: The API server's clock minus ours; None: not known.
    """
    if refused.cycle is None or now_ms < refused.cycle.end_ms:
        return False  # a report dated before the end of what it states contradicts itself
    if changed:
        return True
    if refused.reason != _CLOCK or abs(reference_offset_seconds or 0) > TOLERANCE_SECONDS:
        return False
    return now_ms < refused.created_ms or now_ms >= refused.created_ms + DAY_MS


def _newest(reports: Iterable[OutboxItem], kind: ReportKind) -> dict[tuple[str, int], OutboxItem]:
    """Return the newest report of one kind of each cycle and chain."""
    newest: dict[tuple[str, int], OutboxItem] = {}
    for item in reports:
        if item.kind is kind and item.cycle is not None:
            at = _at(item)
            if at not in newest or newest[at].sequence < item.sequence:
                newest[at] = item
    return newest


def _refused(newest: Mapping[tuple[str, int], OutboxItem]) -> tuple[OutboxItem, ...]:
    return tuple(sorted((item for item in newest.values() if item.refused), key=_at_cycle))


def _at(item: OutboxItem) -> tuple[str, int]:
    return item.chain_id, _at_cycle(item)


def _at_cycle(item: OutboxItem) -> int:
    return item.cycle.start_ms if item.cycle else 0
