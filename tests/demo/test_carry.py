"""What the demo of export mode takes for proved."""

from pathlib import Path
from typing import Any

import pytest

from hack.demo.carry import COMPONENT, brought_back, carried_twice, command, receipts_used, to_carry
from hack.demo.watching import NOTHING, Snapshot

EXPORTED = {"type": "Reported", "status": "True", "reason": "Exported"}
DUE = EXPORTED | {"status": "False", "reason": "ExportDue"}
USED = {"type": "Ready", "status": "True", "reason": "ReceiptsImported"}
UNUSED = USED | {"status": "False", "reason": "KeyUnknown"}


def cluster(
    *reports: dict[str, Any],
    reported: dict[str, str] = EXPORTED,
    accepted: str | None = "2026-11-30T00:00:20Z",
    receipts: dict[str, str] | None = USED,
    state: str = "Final",
) -> Snapshot:
    status = {"conditions": [reported], "history": [{"state": state}]}
    if accepted is not None:
        status["lastReport"] = {"acceptedTime": accepted}
    items: list[dict[str, Any]] = [
        {"kind": "LicenseUsage", "metadata": {"name": "sample"}, "status": status},
        *reports,
    ]
    if receipts is not None:
        of_receipts = {"conditions": [receipts]}
        items.append({"kind": "UsageReceipt", "metadata": {"name": "r"}, "status": of_receipts})
    return Snapshot.of(items)


def report(number: int, kind: str, delivery: str, reason: str = "") -> dict[str, Any]:
    spec = {"kind": kind, "activeText": "7", "sequence": number}
    status = {"delivery": delivery, "reason": reason}
    return {
        "kind": "UsageReport",
        "metadata": {"name": f"sample-{number}"},
        "spec": spec,
        "status": status,
    }


INTERIM, FINAL = report(1, "Interim", "Accepted"), report(2, "Final", "Accepted")
WAITING = report(2, "Final", "Pending", "Offline")


def line(receipt: str, *, known: bool, result: str = "Accepted") -> dict[str, Any]:
    return {"result": result, "known": known, "receipt": receipt}


NEW = [line("a", known=False), line("b", known=False)]
KNOWN = [line("a", known=True), line("b", known=True)]


def test_the_command_is_that_of_the_shipped_cronjob_with_a_folder_of_this_machine() -> None:
    words = command((COMPONENT / "cronjob.yaml").read_text(), Path("/somewhere"))
    assert words == ["report", "export", "--directory=/somewhere"]


def test_a_final_that_waits_is_to_be_carried_and_none_before() -> None:
    assert to_carry(cluster(INTERIM, WAITING))
    assert not to_carry(NOTHING)
    assert not to_carry(cluster(INTERIM))
    assert not to_carry(cluster(INTERIM, WAITING, state="Closing"))
    assert not to_carry(cluster(INTERIM, report(2, "Final", "Pending", "Timeout")))


def test_a_file_carried_twice_is_new_first_and_then_known() -> None:
    point = carried_twice(NEW, KNOWN, (1, 1))
    assert point.true
    assert point.seen == (
        "2 of 2 documents new, then 2 of 2 known, with the same receipts; 1 reports stored, then 1"
    )


@pytest.mark.parametrize(
    ("first", "again", "stored"),
    [
        ([], [], (0, 0)),
        (KNOWN, KNOWN, (1, 1)),
        (NEW, NEW, (1, 1)),
        (NEW, [line("a", known=True), line("other", known=True)], (1, 1)),
        ([line("a", known=False, result="Rejected")], [line("a", known=True)], (1, 1)),
        (NEW, KNOWN, (1, 2)),
        (NEW, KNOWN, (0, 0)),
    ],
)
def test_anything_else_is_no_proof(
    first: list[dict[str, Any]], again: list[dict[str, Any]], stored: tuple[int, int]
) -> None:
    assert not carried_twice(first, again, stored).true


def test_receipts_are_back_when_all_objects_say_so() -> None:
    assert brought_back(cluster(INTERIM, FINAL))


def test_a_report_of_the_next_cycle_may_wait_for_the_next_file() -> None:
    later = report(3, "Interim", "Pending", "Offline")
    assert brought_back(cluster(INTERIM, FINAL, later))


@pytest.mark.parametrize(
    "seen",
    [
        NOTHING,
        cluster(INTERIM, WAITING),
        cluster(report(1, "Interim", "Pending", "Offline"), FINAL),
        cluster(INTERIM, FINAL, receipts=None),
        cluster(INTERIM, FINAL, receipts=UNUSED),
        cluster(INTERIM, FINAL, reported=DUE),
        cluster(INTERIM, FINAL, accepted=None),
    ],
)
def test_each_object_that_says_otherwise_breaks_a_point(seen: Snapshot) -> None:
    assert not all(point.true for point in receipts_used(seen))
