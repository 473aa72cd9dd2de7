"""What is left when the last process has ended: the vendor's store, the ledger, the objects."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hack.controlplane import ControlPlane
from licenseusage.ledger.documents.records import OutboxItem
from licenseusage.ledger.ledger import Ledger
from licenseusage.ledger.records import CycleRecord
from licenseusage.reports.keys import VendorKeys
from trials.kills import aftermath, stage
from trials.kills.people import People
from trials.kills.stage import Subject
from trials.kills.vendor import Stored, Vendor

_ALL_CYCLES = 100_000
_RESTORED = "the ledger is older than its reports"
"""Logged as an error, because a person has to know of it; here an administrator has done it."""


@dataclass(frozen=True, slots=True)
class Counted:
    """What is left of one LicenseUsage.

    Attributes:
        people: The truth.
        cycles: The ledger's, oldest first.
        reports: The ledger's, by position in the chain.
        objects: Its UsageReports.
        status: Its own status.
    """

    name: str
    people: People
    cycles: tuple[CycleRecord, ...]
    reports: tuple[OutboxItem, ...]
    objects: tuple[dict[str, Any], ...]
    status: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything that the verdict is made from.

    Attributes:
        stored: Every document in the vendor's store.
        defects: Errors that the operator itself logged as defects, with their place.
        now_s: The simulated time of the end.
        adopted: Chains of which an administrator has named a head, as the ledger says.
        set_aside: Digests of what those chains went on without, as it says.
    """

    counted: tuple[Counted, ...]
    stored: tuple[Stored, ...]
    vendor_keys: VendorKeys
    defects: tuple[str, ...]
    now_s: int
    adopted: frozenset[str] = frozenset()
    set_aside: frozenset[str] = frozenset()


def collect(
    cp: ControlPlane,
    vendor: Vendor,
    subjects: Sequence[Subject],
    ledger: Path,
    log: Path,
    now_s: float,
) -> Evidence:
    """Read it all; no operator runs any more."""
    objects = stage.objects(cp, "usagereports")
    usages = {usage["metadata"]["name"]: usage for usage in stage.objects(cp, "licenseusages")}
    counted = []
    with Ledger.open(f"sqlite:///{ledger}", now_ms=0, ledger_id="none") as book:
        meters = {meter.key.name: meter.id for meter in book.meters()}
        for subject in subjects:
            meter_id = meters[subject.name]
            mine = [report for report in objects if report["spec"]["usageName"] == subject.name]
            counted.append(
                Counted(
                    name=subject.name,
                    people=subject.people,
                    cycles=tuple(reversed(book.cycles(meter_id, _ALL_CYCLES))),
                    reports=tuple(
                        sorted(book.reports(meter_id), key=lambda report: report.sequence)
                    ),
                    objects=tuple(mine),
                    status=usages[subject.name].get("status", {}),
                )
            )
    return Evidence(
        tuple(counted),
        tuple(vendor.stored()),
        vendor.keys,
        tuple(_defects(log)),
        int(now_s),
        aftermath.adopted(ledger),
        aftermath.set_aside(ledger),
    )


def _defects(log: Path) -> list[str]:
    """Return what the operator logged with a traceback: a defect of ours, whatever it survived."""
    defects = []
    for line in log.read_text(errors="replace").splitlines():
        if line.startswith("Traceback"):
            defects.append("a process of the operator ended with a traceback")
        elif line.startswith("{"):
            try:
                entry = json.loads(line)
            except ValueError:
                continue  # cut by the kill
            words = entry.get("event") or entry.get("message")
            if entry.get("level") == "error" and words != _RESTORED:
                defects.append(f"{words}: {json.dumps(entry)[:400]}")
    return defects
