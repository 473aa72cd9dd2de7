"""One line for each thing that happened, none for what did not."""

from typing import Any

from hack.demo.verdict import points, settled
from hack.demo.watching import NOTHING, Snapshot, changes


def snapshot(status: dict[str, Any], *reports: dict[str, Any]) -> Snapshot:
    usage = {"kind": "LicenseUsage", "metadata": {"name": "sample"}, "status": status}
    return Snapshot.of([usage, *reports])


def report(name: str, kind: str, text: str, **status: str) -> dict[str, Any]:
    spec = {"kind": kind, "activeText": text}
    return {"kind": "UsageReport", "metadata": {"name": name}, "spec": spec, "status": status}


def ended(state: str, text: str = "7", number: int = 7, accuracy: str = "Exact") -> dict[str, Any]:
    cycle = {"index": 0, "state": state, "activeText": text, "accuracy": accuracy}
    return {"history": [cycle | {"activeUsers": number}]}


def test_nothing_new_is_no_line() -> None:
    same = snapshot({"activeText": "7 so far"}, report("a", "Interim", "7", delivery="Pending"))
    assert list(changes(same, same)) == []


def test_a_number_that_moves_is_one_line() -> None:
    before, after = snapshot({"activeText": "7 so far"}), snapshot({"activeText": "8 so far"})
    assert list(changes(before, after)) == ["active users: 8 so far (running cycle)"]


def test_a_condition_is_a_line_when_its_status_or_reason_changes() -> None:
    def conditions(status: str, message: str) -> Snapshot:
        condition = {"type": "Ready", "status": status, "reason": "R", "message": message}
        return snapshot({"conditions": [condition]})

    assert list(changes(NOTHING, conditions("False", "x"))) == ["condition Ready=False (R)"]
    assert list(changes(conditions("True", "x"), conditions("True", "y"))) == []


def test_a_report_is_a_line_when_made_and_one_for_each_step_of_its_way() -> None:
    made = snapshot({}, report("a", "Final", "7", delivery="Pending", reason="Timeout"))
    sent = snapshot({}, report("a", "Final", "7", delivery="Accepted"))
    assert list(changes(NOTHING, made)) == [
        "report a: Final, 7, signed and kept",
        "report a: Pending (Timeout)",
    ]
    assert list(changes(made, sent)) == ["report a: Accepted"]


def test_kubernetes_events_are_lines_once() -> None:
    event = {"kind": "Event", "metadata": {"name": "e", "uid": "1"}, "reason": "R", "message": "m"}
    seen = Snapshot.of([event])
    assert list(changes(NOTHING, seen)) == ["event R: m"]
    assert list(changes(seen, seen)) == []


def test_receipts_that_a_person_applied_are_a_line_once_they_are_judged() -> None:
    def receipts(*conditions: dict[str, str]) -> Snapshot:
        metadata = {"name": "r"}
        status = {"conditions": list(conditions)}
        item = {"kind": "UsageReceipt", "metadata": metadata, "status": status}
        return Snapshot.of([item])

    used = receipts({"type": "Ready", "status": "True", "reason": "ReceiptsImported"})
    assert list(changes(NOTHING, receipts())) == []
    assert list(changes(receipts(), used)) == ["receipts r: Ready=True (ReceiptsImported)"]
    assert list(changes(used, used)) == []


def test_events_are_told_in_the_order_they_happened() -> None:
    def event(uid: str, at: str) -> dict[str, Any]:
        metadata = {"name": uid, "uid": uid}
        return {
            "kind": "Event",
            "metadata": metadata,
            "reason": uid,
            "message": "m",
            "eventTime": at,
        }

    listed = [event("late", "2026-11-23T00:00:02.5Z"), event("early", "2026-11-23T00:00:01.5Z")]
    seen = Snapshot.of(listed)
    assert list(changes(NOTHING, seen)) == ["event early: m", "event late: m"]


def test_it_is_settled_when_final_and_delivered_or_refused() -> None:
    assert not settled(snapshot(ended("Closing")), licensed=False)
    assert settled(snapshot(ended("Final")), licensed=False)
    assert not settled(snapshot(ended("Final")), licensed=True)
    for delivery, done in (("Pending", False), ("Accepted", True), ("Rejected", True)):
        final = report("a", "Final", "7", delivery=delivery)
        assert settled(snapshot(ended("Final"), final), licensed=True) is done


def test_all_points_hold_when_the_accepted_final_is_the_truth() -> None:
    seen = snapshot(ended("Final"), report("a", "Final", "7", delivery="Accepted"))
    assert all(point.true for point in points(seen, 7, licensed=True))


def test_each_lie_breaks_a_point() -> None:
    good = report("a", "Final", "7", delivery="Accepted")
    for seen, truth in (
        (snapshot(ended("Final"), good), 8),
        (snapshot(ended("Closing"), good), 7),
        (snapshot(ended("Final", accuracy="Bounded"), good), 7),
        (snapshot(ended("Final"), report("a", "Final", "9", delivery="Accepted")), 7),
        (snapshot(ended("Final"), report("a", "Final", "7", delivery="Rejected")), 7),
        (snapshot(ended("Final"), report("a", "Interim", "7", delivery="Accepted")), 7),
        (NOTHING, 0),
    ):
        assert not all(point.true for point in points(seen, truth, licensed=True))


def test_without_a_licence_a_report_would_be_wrong() -> None:
    assert all(point.true for point in points(snapshot(ended("Final")), 7, licensed=False))
    reported = snapshot(ended("Final"), report("a", "Final", "7", delivery="Accepted"))
    assert not all(point.true for point in points(reported, 7, licensed=False))
