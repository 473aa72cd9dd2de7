"""What is said while reports are carried: quiet in time, said before it is late, loud after."""

from dataclasses import replace

import pytest

from licenseusage.controller.rules.approval import approvals_of
from licenseusage.controller.rules.conditions import Findings
from licenseusage.controller.rules.exporting import (
    Exports,
    export_route,
    is_export_route,
    waits,
)
from licenseusage.controller.rules.gauges import gauges
from licenseusage.controller.rules.key import Key
from licenseusage.controller.rules.reported import Reporting, reported
from licenseusage.controller.rules.route import route_digest
from licenseusage.controller.rules.status import View
from licenseusage.controller.rules.transitions import of_status
from licenseusage.errors import Consequence, Failure
from licenseusage.ledger.documents.records import Delivery, OutboxItem, ReportKind
from licenseusage.metering.cycles import DAY_MS, Cycle

CYCLE = Cycle(0, 0, 30 * DAY_MS)
END = CYCLE.end_ms
COMMAND = "kubectl licenseusage report export -n shop meter -o meter.usage-bundle"


def item(sequence=1, kind=ReportKind.FINAL, state=Delivery.PENDING, created_ms=END, **changes):
    return OutboxItem(
        f"c-{sequence}",
        kind,
        "c",
        "k",
        sequence,
        "d",
        "t",
        1,
        CYCLE,
        "1",
        created_ms,
        state,
        **changes,
    )


def told(now_ms, *reports, days=None, **changes):
    seen = Reporting(
        suspended=False,
        exports=Exports.of(Key("shop", "meter"), reports, days),
        approvals=approvals_of(Key("shop", "meter"), reports),
        now_ms=now_ms,
        problem=None,
        waiting_final=False,
        statements=(),
        reports=reports,
        usage=Key("shop", "meter"),
        host="",
    )
    return reported(replace(seen, **changes))


VIEW = View("meter", 1, END, Findings("shop"))
INTERIM = item(2, ReportKind.INTERIM)
ACCEPTED = item(1, state=Delivery.ACCEPTED, receipt="r")


@pytest.mark.parametrize(
    ("days_after", "agreed", "status", "reason"),
    [
        (0, 10, "True", "Exported"),
        (7.9, 10, "True", "Exported"),
        (8, 10, "False", "ExportDue"),
        (9.9, 10, "False", "ExportDue"),
        (10, 10, "False", "ExportOverdue"),
        (400, 10, "False", "ExportOverdue"),
        # Without an agreement: one cycle, of 30 days.
        (23.9, None, "True", "Exported"),
        (24, None, "False", "ExportDue"),
        (30, None, "False", "ExportOverdue"),
    ],
)
def test_from_four_fifths_of_the_agreed_time_on_it_is_due(days_after, agreed, status, reason):
    verdict = told(END + int(days_after * DAY_MS), item(), days=agreed)
    assert (verdict.status, verdict.reason) == (status, reason)


def test_the_oldest_final_decides():
    newer = item(3, created_ms=END + 30 * DAY_MS)
    assert told(END + 30 * DAY_MS, newer, item()).reason == "ExportOverdue"
    assert told(END + 30 * DAY_MS, newer, replace(ACCEPTED, sequence=1)).reason == "Exported"


def test_an_amendment_is_due_like_a_final():
    amendment = item(2, ReportKind.AMENDMENT)
    assert told(END + 30 * DAY_MS, amendment, ACCEPTED).reason == "ExportOverdue"


def test_interims_alone_are_never_due():
    verdict = told(END + 300 * DAY_MS, INTERIM, ACCEPTED)
    assert (verdict.status, verdict.reason) == ("True", "Exported")
    assert verdict.message == (
        "1 report waits for an export, none of an ended cycle, so that none is due. To hand over "
        f"what there is: {COMMAND}"
    )


def test_it_says_how_many_wait_until_when_and_the_command():
    assert told(END + 10 * DAY_MS, INTERIM, item()).message == (
        "2 reports wait for an export, the final of the cycle 1970-01-01 to 1970-01-31 until "
        f"1970-03-02 (20 days left). To hand over what there is: {COMMAND}; take the file to the "
        "vendor, and apply the receipts."
    )


def test_it_says_the_days_left_before_it_is_late_and_the_days_it_is_late():
    due = told(END + 29 * DAY_MS + 1, item()).message
    assert due.startswith(
        "An export is due by 1970-03-02 (1 day left), with the final of the cycle"
    )
    late = told(END + 32 * DAY_MS, item()).message
    assert late.startswith("The export has been due since 1970-03-02 (2 days ago)")
    assert "Nothing is lost." in late
    assert COMMAND in due
    assert COMMAND in late


def test_the_message_changes_once_a_day_only():
    messages = {told(END + 29 * DAY_MS + ms, item()).message for ms in range(1, DAY_MS, 3_600_000)}
    assert len(messages) == 1


def test_when_everything_is_receipted_it_is_quiet():
    verdict = told(END + 300 * DAY_MS, ACCEPTED)
    assert (verdict.status, verdict.reason) == ("True", "Exported")
    assert verdict.message == (
        "The vendor has signed for every report: nothing waits for an export."
    )


def test_before_a_first_report_nothing_is_due():
    assert told(0).reason == "NothingDue"


@pytest.mark.parametrize("state", [Delivery.REJECTED, Delivery.CONFLICT])
def test_a_signed_refusal_is_worse_than_what_waits(state):
    refused = item(1, state=state, reason="CycleMismatch", receipt="r", message="no.")
    verdict = told(END + 30 * DAY_MS, INTERIM, refused)
    assert (verdict.status, verdict.reason) == ("False", "CycleMismatch")


def test_what_cannot_be_signed_and_a_suspension_come_first():
    lost = Failure("IdentityLost", "restore", Consequence.NEEDS_A_PERSON)
    assert told(END + 30 * DAY_MS, item(), problem=lost).reason == "IdentityLost"
    assert told(END + 30 * DAY_MS, item(), suspended=True).reason == "Suspended"


def test_late_exports_need_no_person_for_stalled():
    assert not told(END + 300 * DAY_MS, item()).needs_a_person


@pytest.mark.parametrize(
    ("state", "receipt", "expected"),
    [
        (Delivery.PENDING, None, True),
        (Delivery.SENDING, None, True),
        (Delivery.AWAITING_APPROVAL, None, True),
        (Delivery.REJECTED, None, True),
        (Delivery.REJECTED, "r", False),
        (Delivery.ACCEPTED, "r", False),
        (Delivery.ACCEPTED, None, False),  # by a head
        (Delivery.CONFLICT, "r", False),
        (Delivery.PENDING, "r", True),  # the vendor has lost it
    ],
)
def test_what_waits_is_what_the_vendor_has_not_signed_for(state, receipt, expected):
    assert waits(item(state=state, receipt=receipt)) is expected


def condition(status, reason, message="m"):
    return {
        "conditions": [{"type": "Reported", "status": status, "reason": reason, "message": message}]
    }


@pytest.mark.parametrize(
    ("before", "after", "told_reasons"),
    [
        (("True", "Exported"), ("False", "ExportDue"), ["ExportDue"]),
        (("False", "ExportDue"), ("False", "ExportDue"), []),
        (("False", "ExportDue"), ("False", "ExportOverdue"), ["ExportOverdue"]),
        (("False", "ExportOverdue"), ("False", "ExportOverdue"), []),
        (("False", "DeliveryPending"), ("False", "ExportOverdue"), ["ExportOverdue"]),
        (("False", "ExportOverdue"), ("True", "Exported"), ["Exported"]),
        (("False", "ExportOverdue"), ("False", "ExportDue"), []),
        (("True", "Exported"), ("True", "Exported"), []),
    ],
)
def test_each_turn_for_the_worse_is_told_once_and_the_end_of_it(before, after, told_reasons):
    events = of_status(condition(*before), condition(*after))
    assert [event.reason for event in events] == told_reasons
    kinds = {"Exported": "Normal"}
    assert all(event.kind == kinds.get(event.reason, "Warning") for event in events)


def test_the_metric_is_when_it_is_due_and_absent_while_nothing_is():
    due = Exports.of(Key("shop", "meter"), [item()], 10).due_ms
    assert gauges(replace(VIEW, export_due_ms=due), ()).export_due_s == (END + 10 * DAY_MS) // 1000
    assert gauges(VIEW, ()).export_due_s is None


def test_a_report_that_waits_for_an_export_is_no_late_delivery():
    parked = item(reason="Offline")
    assert gauges(VIEW, [parked]).outbox_oldest_s is None
    assert gauges(VIEW, [item()]).outbox_oldest_s == END // 1000


def test_the_route_of_an_export_is_known_as_one_and_fits_into_the_ledger():
    sent = route_digest(("licence",))
    assert is_export_route(export_route(sent))
    assert len(export_route(sent)) == 64
    assert not is_export_route(sent)
    assert not is_export_route(None)
