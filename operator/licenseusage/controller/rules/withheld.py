"""What a customer keeps back from the vendor: claims that the format lets a report leave out.

It changes nothing that is counted, kept or shown in the cluster, and is no change of the rules. It
applies to reports that are signed from then on; what was signed stays as it is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from licenseusage.ledger.documents.records import OutboxItem
from licenseusage.reports.report import read_report

WITHHELD = "Withheld"
DROPPED = "Dropped"


@dataclass(frozen=True, slots=True)
class Withheld:
    """What reports do not state.

    Attributes:
        daily: The number of active users per day.
        provisioned: How many users the product lists.
    """

    daily: bool = False
    provisioned: bool = False


NOTHING = Withheld()


def withheld_by(spec: Mapping[str, Any]) -> Withheld:
    """Return what the spec of an object keeps back; read as it is, so that no fault sends more."""
    privacy = spec.get("privacy")
    chosen = privacy if isinstance(privacy, Mapping) else {}
    return Withheld(
        daily=chosen.get("dailyCounts") == WITHHELD or drops_days(spec),
        provisioned=chosen.get("provisionedCount") == WITHHELD,
    )


def drops_days(spec: Mapping[str, Any]) -> bool:
    """Whether the ledger is to keep of nobody on which days; read likewise."""
    privacy = spec.get("privacy")
    return isinstance(privacy, Mapping) and privacy.get("dailyFacts") == DROPPED


def withheld_before(reports: Sequence[OutboxItem]) -> Withheld:
    """Return what the newest report of a deleted object kept back; without one, everything.

    Args:
        reports: Newest first.
    """
    if not reports:
        return Withheld(daily=True, provisioned=True)
    content = read_report(reports[0].token).content
    return Withheld(content.daily_active_users is None, content.provisioned_users is None)
