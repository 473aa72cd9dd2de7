"""What was reported, judged as a whole: an unbroken row, each once, each accepted, provable."""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from hack.e2e.claim import OPERATOR, PRODUCT
from hack.e2e.commands import Commands
from hack.e2e.errors import Failed
from hack.e2e.vendor import Vendor


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


def faults(reports: Sequence[Report], stored: int) -> list[str]:
    """Return what is wrong: a report that is lost, there twice, not accepted, or unproved.

    Args:
        reports: All of one LicenseUsage, in any order.
        stored: How many the receiver holds.
    """
    wrong = []
    sequences = sorted(report.sequence for report in reports)
    if sequences != list(range(1, len(reports) + 1)):
        wrong.append(f"the reports are not 1 to {len(reports)}, each once: {sequences}")
    for report in sorted(reports, key=lambda report: report.sequence):
        if report.delivery != "Accepted":
            wrong.append(f"report {report.sequence} is {report.delivery}: {report.reason}")
        elif not report.receipt:
            wrong.append(f"report {report.sequence} is accepted without a receipt")
    if stored != len(reports):
        wrong.append(f"the receiver holds {stored} reports, the cluster {len(reports)}")
    return wrong


@dataclass(frozen=True, slots=True)
class Reports:
    """The reports of the sample, and the means to judge them."""

    commands: Commands
    vendor: Vendor
    folder: Path

    def there(self) -> list[Report]:
        """Return all of them."""
        return [Report.of(item) for item in self.commands.items("usagereports", "-n", PRODUCT)]

    def judge(self) -> str:
        """Check them, their chain and their receipts; return what was seen, in words.

        Raises:
            Failed: Something is lost, doubled, or not provable.
        """
        reports = self.there()
        wrong = faults(reports, self.vendor.stored())
        if wrong:
            raise Failed("; ".join(wrong))
        file, enrolment = self.folder / "reports.json", self.folder / "enrolment.jwt"
        self.folder.mkdir(exist_ok=True)
        listed = self.commands.get("usagereports", "-n", PRODUCT)
        file.write_text(json.dumps(listed))
        identity = self.commands.get("secret", "licenseusage-identity", "-n", OPERATOR)
        if identity is None:
            raise Failed("Secret licenseusage-identity is not there")
        enrolment.write_bytes(base64.b64decode(identity["data"]["statements"]))
        self.commands.ours(
            *("report", "verify", str(file), "--complete", "--enrolment", str(enrolment)),
            *("--vendor-keys", str(self.vendor.jwks)),
        )
        newest = max(reports, key=lambda report: report.sequence)
        return (
            f"{len(reports)} reports, each once, receipts verified; the newest says {newest.number}"
        )
