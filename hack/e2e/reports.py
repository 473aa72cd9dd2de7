"""What was reported, judged as a whole: an unbroken row, each once, each accepted, provable."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

from hack.e2e.claim import OPERATOR, PRODUCT
from hack.e2e.commands import Commands, listed
from hack.e2e.errors import Failed
from hack.e2e.vendor import Vendor

KEPT: Final = 3
"""How many interims stay as objects (docs/report-format.md); the ledger keeps all."""


@dataclass(frozen=True, slots=True)
class Report:
    """One UsageReport.

    Attributes:
        sequence: Its place in the chain, 1 is the first.
        number: What it says: ``3001``, or a range.
        delivery: ``Accepted`` once the vendor's receipt has arrived.
        receipt: Whether it holds that receipt.
        reason: Why it is not accepted yet.
    """

    sequence: int
    number: str
    delivery: str
    receipt: bool
    reason: str

    @classmethod
    def of(cls, item: Mapping[str, Any]) -> Self:
        """Read an object of the cluster."""
        spec, status = item["spec"], item.get("status") or {}
        return cls(
            int(spec["sequence"]),
            str(spec.get("activeText", "")),
            status.get("delivery", "none"),
            bool(status.get("receipt")),
            f"{status.get('reason', '')} {status.get('message', '')}".strip(),
        )


def faults(reports: Sequence[Report], count: int, stored: int) -> list[str]:
    """Return what is wrong: a report that is lost, there twice, not accepted, or unproved.

    Args:
        reports: The cluster's, of one LicenseUsage, in any order.
        count: How many interims must have been made; the newest `KEPT` stay as objects.
        stored: How many the receiver holds.
    """
    wrong = []
    sequences = sorted(report.sequence for report in reports)
    if sequences != [*range(max(1, count - KEPT + 1), count + 1)]:
        wrong.append(f"the newest {KEPT} of {count} reports are not there, each once: {sequences}")
    for report in sorted(reports, key=lambda report: report.sequence):
        if report.delivery != "Accepted":
            wrong.append(f"report {report.sequence} is {report.delivery}: {report.reason}")
        elif not report.receipt:
            wrong.append(f"report {report.sequence} is accepted without a receipt")
    if stored != count:
        wrong.append(f"the receiver holds {stored} reports, and {count} were made")
    return wrong


def joined(seen: Mapping[int, Any], items: Sequence[Mapping[str, Any]]) -> dict[int, Any]:
    """Return reports seen earlier and those that are there now, by sequence.

    Raises:
        Failed: There is another report now where one was seen before.
    """
    joint = dict(seen)
    for item in items:
        sequence = int(item["spec"]["sequence"])
        before = joint.get(sequence, item)
        if before["spec"]["token"] != item["spec"]["token"]:
            raise Failed(f"report {sequence} is another one than before")
        joint[sequence] = item
    return joint


@dataclass(slots=True)
class Reports:
    """The reports of the sample, and the means to judge them.

    Attributes:
        commands: Reach the cluster.
        vendor: Holds what it was sent.
        folder: For files.
        seen: Each report as it was last seen, by sequence: older interims leave the cluster.
    """

    commands: Commands
    vendor: Vendor
    folder: Path
    seen: dict[int, Any] = field(default_factory=dict)

    def there(self) -> list[Report]:
        """Return those that are in the cluster."""
        return [Report.of(item) for item in self._items()]

    def newest(self) -> int:
        """Return the newest sequence in the cluster; 0: there is none."""
        return max((report.sequence for report in self.there()), default=0)

    def judge(self, count: int) -> str:
        """Check that there are ``count``, their chain and their receipts; return what was seen.

        Raises:
            Failed: Something is lost, doubled, or not provable.
        """
        items = self._items()
        reports = [Report.of(item) for item in items]
        wrong = faults(reports, count, self.vendor.stored())
        if wrong:
            raise Failed("; ".join(wrong))
        self.seen = joined(self.seen, items)
        file, enrolment = self.folder / "reports.json", self.folder / "enrolment.jwt"
        self.folder.mkdir(exist_ok=True)
        file.write_text(listed([self.seen[sequence] for sequence in sorted(self.seen)]))
        identity = self.commands.get("secret", "licenseusage-identity", "-n", OPERATOR)
        if identity is None:
            raise Failed("Secret licenseusage-identity is not there")
        enrolment.write_bytes(base64.b64decode(identity["data"]["statements"]))
        self.commands.ours(
            *("report", "verify", str(file), "--complete", "--enrolment", str(enrolment)),
            *("--vendor-keys", str(self.vendor.jwks)),
        )
        number = max(reports, key=lambda report: report.sequence).number
        return f"{count} reports, each once, receipts verified; the newest says {number}"

    def _items(self) -> list[dict[str, Any]]:
        return self.commands.items("usagereports", "-n", PRODUCT)
