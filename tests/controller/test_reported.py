"""Reported, and which transitions become events: pure tables."""

from dataclasses import replace

import pytest

from licenseusage.controller.rules.approval import approvals_of
from licenseusage.controller.rules.key import Key
from licenseusage.controller.rules.reported import Reporting, of_living_chains, reported
from licenseusage.controller.rules.transitions import of_deliveries, of_status
from licenseusage.delivery.outbox import Attempt, DeliveryState, Queued, Settlement
from licenseusage.errors import Consequence, Failure
from licenseusage.ledger.documents.records import Delivery, OutboxItem, ReportKind
from licenseusage.metering.cycles import DAY_MS, Cycle
from tests.delivery import people

CYCLE = Cycle(0, 0, DAY_MS)


def item(sequence=1, state=Delivery.ACCEPTED, kind=ReportKind.INTERIM, **changes):
    return OutboxItem(
        f"c-{sequence}", kind, "c", "k", sequence, "d", "t", 1, CYCLE, "1", 0, state, **changes
    )


def told(*reports, statements=(), **changes):
    defaults = {
        "suspended": False,
        "exports": None,
        "approvals": approvals_of(Key("shop", "meter"), reports),
        "now_ms": 0,
        "problem": None,
        "waiting_final": False,
        "usage": Key("shop", "meter"),
        "host": "usage.vendor.example",
    }
    return reported(Reporting(**{**defaults, **changes}, statements=statements, reports=reports))


FAILING = {"reason": "VendorUnavailable", "message": "503", "first_failure_ms": 1}


@pytest.mark.parametrize(
    ("verdict", "status", "reason"),
    [
        (told(), "True", "NothingDue"),
        (told(item()), "True", "ReportAccepted"),
        (told(item(2, Delivery.PENDING), item()), "True", "ReportAccepted"),
        (told(item(1, Delivery.PENDING)), "False", "DeliveryPending"),
        (told(item(2, Delivery.PENDING, ReportKind.FINAL), item()), "False", "DeliveryPending"),
        (told(item(2, Delivery.PENDING, **FAILING), item()), "False", "VendorUnavailable"),
        (told(item(1, Delivery.REJECTED, reason="CycleMismatch")), "False", "CycleMismatch"),
        (told(item(2), item(1, Delivery.CONFLICT, reason="ChainForked")), "False", "ChainForked"),
        (told(item(2), item(1, Delivery.REJECTED, reason="X")), "True", "ReportAccepted"),
        (told(suspended=True), "False", "Suspended"),
        (
            told(statements=[item(1, Delivery.PENDING, ReportKind.ENROLMENT, **FAILING)]),
            "False",
            "VendorUnavailable",
        ),
        (
            told(problem=Failure("IdentityLost", "restore", Consequence.NEEDS_A_PERSON)),
            "False",
            "IdentityLost",
        ),
    ],
)
def test_reported_says_the_worst_that_a_person_should_know(verdict, status, reason):
    assert (verdict.status, verdict.reason) == (status, reason)


def test_an_accepted_final_is_named_with_its_cycle_and_the_host():
    verdict = told(item(9, kind=ReportKind.FINAL))
    assert verdict.message == (
        "Final report 9 (cycle 1970-01-01 to 1970-01-02) accepted by usage.vendor.example; receipt "
        "verified."
    )


@pytest.mark.parametrize(
    ("kind", "next_ms", "message"),
    [
        (
            ReportKind.FINAL,
            DAY_MS + 29 * 60_000 + 1,
            "Final report 9 (cycle 1970-01-01 to 1970-01-02) is sent to usage.vendor.example by "
            "00:30 UTC (spread over an hour, as many cycles end at one midnight); nothing is "
            "wrong.",
        ),
        (
            ReportKind.INTERIM,
            4 * 60_000,
            "Interim report 9 (cycle 1970-01-01 to 1970-01-02) is sent to usage.vendor.example by "
            "00:04 UTC (spread over five minutes); nothing is wrong.",
        ),
        (
            ReportKind.FINAL,
            0,
            "Final report 9 (cycle 1970-01-01 to 1970-01-02) is being sent to "
            "usage.vendor.example.",
        ),
    ],
)
def test_a_report_that_waits_for_its_turn_says_until_when_and_that_nothing_is_wrong(
    kind, next_ms, message
):
    verdict = told(item(9, Delivery.PENDING, kind, next_attempt_ms=next_ms))
    assert (verdict.reason, verdict.message) == ("DeliveryPending", message)


@pytest.mark.parametrize(
    ("state", "kind", "goes_on"),
    [
        (
            Delivery.REJECTED,
            ReportKind.FINAL,
            "Counting goes on, and a new report replaces it by itself once the cause is gone; "
            "until then later cycles wait",
        ),
        (Delivery.REJECTED, ReportKind.INTERIM, "Counting and reporting go on"),
        (Delivery.CONFLICT, ReportKind.FINAL, "nothing more of this chain is sent"),
    ],
)
def test_a_refusal_says_what_goes_on_and_whom_to_send_what(state, kind, goes_on):
    refused = item(9, state, kind, reason="CycleMismatch", message="v signed the verdict Rejected.")
    message = told(refused).message
    assert "v signed the verdict Rejected." in message
    assert goes_on in message
    assert "send the vendor kubectl get usagereport -n shop meter-c-000009 -o yaml" in message


def test_a_conflict_under_a_former_identity_is_over():
    """A copy of an operator got an identity of its own: its reports go on in another chain."""
    conflict, waiting = item(1, Delivery.CONFLICT), item(2, Delivery.PENDING)
    mine = replace(item(1), chain_id="new")
    assert of_living_chains([mine, waiting, conflict], {"new"}) == (mine,)
    assert of_living_chains([waiting, conflict], {"c"}) == (waiting, conflict)
    assert of_living_chains([waiting], {"new"}) == (waiting,), "it still arrives"


def test_before_a_first_report_it_is_said_with_whom_this_is_enrolled():
    assert told().message == "No report has been due yet."
    assert told(statements=(item(kind=ReportKind.ENROLMENT),)).message == (
        "Enrolled with usage.vendor.example; receipt verified. No report has been due yet."
    )


def test_a_refused_enrolment_says_that_counting_goes_on():
    refused = item(1, Delivery.REJECTED, ReportKind.ENROLMENT, reason="X", message="no.")
    message = told(statements=(refused,)).message
    assert message.startswith("Enrolment: no. Counting goes on")
    assert "licenseusage ledger enrolment" in message


def test_only_a_loss_needs_a_person_never_a_vendor():
    assert told(problem=Failure("IdentityLost", "", Consequence.NEEDS_A_PERSON)).needs_a_person
    assert not told(item(1, Delivery.REJECTED, reason="X")).needs_a_person


def shown(kind, status, reason="R"):
    return {"type": kind, "status": status, "reason": reason, "message": "m"}


@pytest.mark.parametrize(
    ("before", "after", "reasons"),
    [
        ([], [shown("Collected", "True")], []),
        ([], [shown("Collected", "False", "Timeout")], ["Timeout"]),
        ([shown("Collected", "True")], [shown("Collected", "False", "Timeout")], ["Timeout"]),
        ([shown("Collected", "False")], [shown("Collected", "True", "Good")], ["Good"]),
        ([shown("Collected", "False", "A")], [shown("Collected", "False", "B")], []),
        ([shown("Ready", "True")], [shown("Ready", "False")], []),
        ([shown("Reported", "Unknown")], [shown("Reported", "True")], []),
        ([], [shown("Reported", "False", "DeliveryPending")], []),
        (
            [shown("Reported", "False", "DeliveryPending")],
            [shown("Reported", "True", "ReportAccepted")],
            [],
        ),
        ([], [shown("Reported", "False", "CycleMismatch")], ["CycleMismatch"]),
    ],
)
def test_events_tell_what_turned(before, after, reasons):
    events = of_status({"conditions": before}, {"conditions": after})
    assert [event.reason for event in events] == reasons


def test_a_cycle_that_became_final_is_told_once():
    ended = {
        "startTime": "2026-01-01T00:00:00Z",
        "endTime": "2026-02-01T00:00:00Z",
        "activeText": "398",
        "accuracy": "Exact",
    }
    closing, final = {**ended, "state": "Closing"}, {**ended, "state": "Final"}
    (event,) = of_status({"history": [closing]}, {"history": [final]})
    assert event.reason == "CycleClosed"
    assert "398" in event.note
    assert not of_status({"history": [final]}, {"history": [final]})


@pytest.mark.parametrize(
    ("more", "note"),
    [
        ({"words": "398"}, "ended with 398 active users (LowerBound)."),
        (
            {"words": "at least 398: the product forgets removed users"},
            "ended with at least 398 active users (LowerBound): the product forgets removed users.",
        ),
        (
            {"words": "unknown: nothing was proved"},
            "ended with an unknown number of active users (LowerBound): nothing was proved.",
        ),
        (
            {"words": "398", "maximumActiveUsers": 390, "entitlement": "Exceeded"},
            "ended with 398 active users (LowerBound). 390 were paid for; talk to the vendor.",
        ),
        (
            {"words": "398", "maximumActiveUsers": 398, "entitlement": "Within"},
            "ended with 398 active users (LowerBound).",
        ),
    ],
)
def test_the_event_of_the_close_says_why_and_whether_more_were_active_than_paid_for(more, note):
    final = {
        "startTime": "2026-01-01T00:00:00Z",
        "endTime": "2026-02-01T00:00:00Z",
        "activeText": "398",
        "accuracy": "LowerBound",
        "state": "Final",
        **more,
    }
    (event,) = of_status({}, {"history": [final]})
    assert event.note == f"The cycle from 2026-01-01 to 2026-02-01 {note}"


def attempt(token, state=DeliveryState.ACCEPTED, *, receipt="receipt", warning=None):
    settlement = Settlement(state, "R", "said", None, receipt=receipt, warning=warning)
    return Attempt(Queued("c-1", "c", 1, token, 1), settlement, "usage.vendor.example")


@pytest.mark.parametrize(
    ("settled", "reasons"),
    [
        ((people.enrolment(),), ["KeysAccepted"]),
        ((people.reports(1)[0],), ["ReportAccepted"]),
        ((people.reports(1)[0], DeliveryState.REJECTED), ["ReportRejected"]),
    ],
)
def test_a_signed_verdict_is_an_event_that_names_what_it_is_about(settled, reasons):
    assert [event.reason for event in of_deliveries([attempt(*settled)])] == reasons


@pytest.mark.parametrize(
    ("settled", "note"),
    [
        ((people.enrolment(),), "Enrolled with usage.vendor.example; receipt verified."),
        (
            (people.reports(1)[0],),
            "Interim report 1 (cycle 2026-01-01 to 2026-01-31) accepted by usage.vendor.example; "
            "receipt verified.",
        ),
        (
            (people.reports(1)[0], DeliveryState.REJECTED),
            "Interim report 1 (cycle 2026-01-01 to 2026-01-31): said",
        ),
        ((people.enrolment(), DeliveryState.CONFLICT), "Enrolment: said"),
    ],
)
def test_the_event_of_a_verdict_says_what_happened_with_whom(settled, note):
    (event,) = of_deliveries([attempt(*settled)])
    assert event.note == note


def test_a_temporary_failure_is_none():
    failed = attempt(people.reports(1)[0], DeliveryState.PENDING, receipt=None)
    assert of_deliveries([failed]) == []


def test_a_vendors_head_that_went_back_is_told():
    lost = attempt(people.reports(1)[0], warning="VendorHeadRegressed")
    events = of_deliveries([lost])
    assert [event.reason for event in events] == ["ReportAccepted", "VendorHeadRegressed"]
    assert events[1].note == (
        "usage.vendor.example: the vendor lost reports that it had acknowledged. What it lost is "
        "sent again by itself."
    )
