"""The status as a pure function: what is said, what is left out, when it is written."""

import json

import pytest

from licenseusage.api.licenseusage import LicenseUsageStatus
from licenseusage.controller.rules.conditions import Findings, SourceHealth
from licenseusage.controller.rules.gauges import gauges
from licenseusage.controller.rules.status import (
    Ended,
    SourceView,
    View,
    changed,
    compose,
    with_conditions,
)
from licenseusage.errors import Failure
from licenseusage.ledger.documents.records import Delivery, OutboxItem, ReportKind
from licenseusage.ledger.records import CycleRecord, CycleState, LastPolls
from licenseusage.metering.bounds import Bounds
from licenseusage.metering.coverage import Coverage, Gap
from licenseusage.metering.cycles import DAY_MS, Cycle
from licenseusage.metering.polling import NextPoll
from licenseusage.metering.statement import CycleStatement
from licenseusage.reasons import Reason

START = 20_000 * DAY_MS
CYCLE = Cycle(3, START, START + 30 * DAY_MS)
BEFORE = Cycle(2, START - 30 * DAY_MS, START)
NOW = START + 5 * DAY_MS
CHAIN = "8ee9a1f2" + "0" * 24


def statement(lower, upper=None, *, cycle=CYCLE, as_of=NOW, provisioned=None):
    coverage = Coverage(400_000, (Gap(as_of // 1000 - 100, as_of // 1000, "NoPoll"),))
    return CycleStatement(cycle, as_of, Bounds(lower, upper), (), coverage, provisioned=provisioned)


def report(sequence, kind=ReportKind.FINAL, state=Delivery.ACCEPTED, cycle=BEFORE, **changes):
    return OutboxItem(
        **{
            "jti": f"{CHAIN}-{sequence:010}",
            "kind": kind,
            "chain_id": CHAIN,
            "key_chain_id": "k",
            "sequence": sequence,
            "digest": "d",
            "token": "t",
            "meter_id": 1,
            "cycle": cycle,
            "active_text": "398",
            "created_ms": NOW,
            "state": state,
            "accepted_ms": NOW - 1000 if state is Delivery.ACCEPTED else None,
            **changes,
        }
    )


def view(**changes):
    polls = LastPolls("list", last_success_ms=NOW, last_complete_duration_ms=1200, listed=900)
    found = Findings("shop", sources=[SourceHealth("list", NOW, 900_000)])
    defaults = {
        "name": "shop",
        "generation": 4,
        "now_ms": NOW,
        "findings": found,
        "cycle": CYCLE,
        "statement": statement(412, provisioned=900),
        "informed": True,
        "sources": [SourceView("list", polls, None)],
    }
    return View(**{**defaults, **changes})


def test_a_source_of_numbers_shows_what_was_stated_last():
    polls = LastPolls("gauge", last_success_ms=NOW, counted=412)
    shown = compose(view(sources=[SourceView("gauge", polls, None, number=True)]))["sources"][0]
    assert (shown["statedNumber"], "usersListed" in shown) == (412, False)
    listed = compose(view(sources=[SourceView("list", polls, None)]))["sources"][0]
    assert "statedNumber" not in listed


def test_a_source_says_how_far_apart_its_polls_are_and_why():
    polls = LastPolls("list", last_success_ms=NOW, last_complete_duration_ms=24_000, size_bytes=7)
    due = NextPoll(NOW + 2_401_000, 2_400_001, Reason.LOAD_BOUNDED)
    (shown,) = compose(view(sources=[SourceView("list", polls, None, next_poll=due)]))["sources"]
    assert (shown["lastPollSeconds"], shown["lastPollBytes"]) == (24, 7)
    assert (shown["intervalSeconds"], shown["intervalReason"]) == (2401, "LoadBounded")
    assert shown["nextPollTime"] == "2024-10-09T00:40:01Z"


def test_a_source_whose_next_poll_waits_for_something_else_says_no_time():
    polls = LastPolls("list", last_success_ms=NOW)
    (shown,) = compose(view(sources=[SourceView("list", polls, None)]))["sources"]
    assert not {"nextPollTime", "intervalSeconds", "intervalReason"} & set(shown)


def test_a_running_cycle_states_a_lower_bound_so_far():
    status = compose(view())
    assert status["activeText"] == "412 so far"
    assert (status["activeUsers"], status["accuracy"]) == (412, "LowerBound")
    assert "activeUsersUpperBound" not in status
    assert status["asOfTime"] == "2024-10-09T00:00:00Z"
    assert status["observedGeneration"] == 4
    assert status["cycle"]["endTime"] == "2024-11-03T00:00:00Z"
    assert status["coverage"]["gaps"][0]["reason"] == "NoPoll"
    assert status["sources"][0]["lastPollSeconds"] == 2


def test_the_status_fits_its_own_schema():
    status = compose(view(reports=[report(7)]))
    assert LicenseUsageStatus.model_validate(status).to_object() == status


def test_nobody_yet_is_neither_zero_nor_null():
    status = compose(view(statement=statement(0)))
    assert status["activeText"] == "none seen so far"
    assert status["accuracy"] == "Unknown"
    assert "activeUsers" not in status


def test_a_failed_poll_never_yields_a_number():
    status = compose(view(informed=False))
    assert status["activeText"] == "unknown"
    assert not {"activeUsers", "asOfTime", "provisionedUsers", "coverage"} & set(status)


def test_ended_cycles_are_history_with_the_name_of_their_report():
    final = CycleRecord(1, BEFORE, CycleState.FINAL)
    said = statement(398, 398, cycle=BEFORE, as_of=BEFORE.end_ms)
    interim = report(9, ReportKind.INTERIM, cycle=BEFORE)
    status = compose(view(ended=[Ended(final, said)], reports=[interim, report(7)]))
    (ended,) = status["history"]
    assert (ended["state"], ended["activeText"], ended["accuracy"]) == ("Final", "398", "Exact")
    assert ended["report"] == "shop-8ee9a1f2-000007"


def test_history_says_why_a_number_is_not_exact_and_what_was_observed():
    gaps = tuple(Gap(at, at + 60 + at, "NoPoll") for at in range(0, 2400, 200))
    said = CycleStatement(
        BEFORE,
        BEFORE.end_ms,
        Bounds(398, None),
        (),
        Coverage(2_000_000, gaps),
        unbounded=("NoClosingPoll",),
        provisioned=900,
    )
    (ended,) = compose(view(ended=[Ended(CycleRecord(1, BEFORE, CycleState.FINAL), said)]))[
        "history"
    ]
    assert ended["words"] == (
        "at least 398: nothing could be read completely after the cycle's end"
    )
    assert ended["provisionedUsers"] == 900
    assert ended["coverage"]["observedSeconds"] == 2_000_000
    starts = [gap["startTime"][11:] for gap in ended["coverage"]["gaps"]]
    assert len(starts) == 8  # the longest ones, in order of time
    assert starts == sorted(starts)
    assert starts[0] == "00:13:20Z"


@pytest.mark.parametrize(
    ("lower", "maximum", "entitlement"),
    [(401, 400, "Exceeded"), (400, 400, "Within"), (401, None, None)],
)
def test_history_keeps_the_maximum_and_whether_it_was_exceeded(lower, maximum, entitlement):
    said = statement(lower, cycle=BEFORE, as_of=BEFORE.end_ms)
    record = CycleRecord(1, BEFORE, CycleState.FINAL)
    (ended,) = compose(view(ended=[Ended(record, said, maximum)]))["history"]
    assert (ended.get("maximumActiveUsers"), ended.get("entitlement")) == (maximum, entitlement)


def test_a_closing_cycle_is_not_final():
    closing = CycleRecord(1, BEFORE, CycleState.CLOSING)
    said = statement(398, None, cycle=BEFORE, as_of=BEFORE.end_ms)
    (ended,) = compose(view(ended=[Ended(closing, said)]))["history"]
    assert (ended["state"], ended["activeText"]) == ("Closing", "≥398")


def test_the_last_acceptance_may_be_an_earlier_reports():
    waiting = report(8, ReportKind.INTERIM, Delivery.SENDING, CYCLE)
    last = compose(view(reports=[waiting, report(7)]))["lastReport"]
    assert (last["sequence"], last["delivery"]) == (8, "Pending")
    assert last["acceptedTime"]


def test_a_second_look_at_the_same_facts_is_no_change():
    first = compose(view())
    again = compose(view(previous=first["conditions"], now_ms=NOW + 60_000))
    assert not changed(first, again)
    assert changed(first, compose(view(statement=statement(413), previous=first["conditions"])))


def test_early_failures_change_conditions_and_leave_the_counts():
    live = compose(view())
    halted = Findings("shop", halted=Failure("LedgerUnavailable", "the disk is full"))
    said = with_conditions(live, halted, live["conditions"], 5, NOW)
    assert (said["activeUsers"], said["observedGeneration"]) == (412, 5)
    assert {c["reason"] for c in said["conditions"] if c["type"] == "Ready"} == {
        "LedgerUnavailable"
    }


def test_full_history_and_reports_stay_below_eight_kilobytes():
    ended = [
        Ended(
            CycleRecord(1, Cycle(i, START - i * DAY_MS, START), CycleState.FINAL),
            statement(1_000_000_000, cycle=BEFORE, as_of=BEFORE.end_ms),
        )
        for i in range(20)
    ]
    status = compose(view(ended=ended, reports=[report(i) for i in range(30, 0, -1)]))
    assert len(status["history"]) == 13
    assert len(json.dumps(status)) < 8192


def test_gauges_leave_out_what_is_unknown():
    seen = gauges(view(informed=False), [report(8, state=Delivery.PENDING), report(7)])
    assert seen.lower is None
    assert seen.outbox == {"Pending": 1, "Accepted": 1}
    assert seen.outbox_oldest_s == NOW // 1000
