"""When a final that the vendor refused for good is signed anew (REPORT_FORMAT §6 rule 4, §12)."""

import dataclasses

import pytest

from licenseusage.controller.rules.replacing import (
    refused_amendments,
    refused_finals,
    renewed_since,
    replacement_due,
)
from licenseusage.ledger.documents.records import Delivery, OutboxItem, ReportKind
from licenseusage.metering.cycles import Cycle

DAY_MS = 86_400_000
FIRST, SECOND = Cycle(0, 0, 30 * DAY_MS), Cycle(1, 30 * DAY_MS, 60 * DAY_MS)
SIGNED_MS = 31 * DAY_MS
FINAL = OutboxItem(
    jti="c-1",
    kind=ReportKind.FINAL,
    chain_id="c",
    key_chain_id="k",
    sequence=1,
    digest="sha256:1",
    token="token",
    meter_id=1,
    cycle=FIRST,
    active_text="1",
    created_ms=SIGNED_MS,
    state=Delivery.REJECTED,
    reason="IssuedInFuture",
    message="",
    attempts=1,
    first_failure_ms=None,
    next_attempt_ms=None,
    lease_until_ms=None,
    receipt="receipt",
    accepted_ms=None,
    findings=(),
)


def like(**changes):
    return dataclasses.replace(FINAL, **changes)


def due(item=FINAL, now_ms=SIGNED_MS + 1000, *, changed=False, offset=0):
    return replacement_due(item, now_ms, changed=changed, reference_offset_seconds=offset)


def test_a_signed_refusal_awaits_a_replacement():
    assert refused_finals([FINAL]) == (FINAL,)


@pytest.mark.parametrize(
    "other",
    [
        like(receipt=None),
        like(kind=ReportKind.INTERIM),
        like(state=Delivery.ACCEPTED),
        like(state=Delivery.PENDING),
    ],
)
def test_nothing_else_does(other):
    assert refused_finals([other]) == ()


def test_one_that_was_replaced_does_not():
    anew = like(sequence=2, state=Delivery.PENDING, receipt=None)
    assert refused_finals([anew, FINAL]) == ()
    assert refused_finals([like(sequence=2), FINAL]) == (like(sequence=2),)


def test_the_oldest_cycle_goes_first():
    later = like(sequence=2, cycle=SECOND)
    assert refused_finals([later, FINAL]) == (FINAL, later)


def test_a_refusal_is_replaced_when_what_it_depended_on_changes():
    other = like(reason="CountsInconsistent")
    assert not due(other, SIGNED_MS + 100 * DAY_MS)
    assert due(other, changed=True)


def test_one_dated_in_the_future_is_replaced_once_the_clock_was_set_back():
    assert due(now_ms=SIGNED_MS - 3_600_000)
    assert not due(now_ms=SIGNED_MS + 3_600_000)


def test_one_dated_in_the_future_is_replaced_daily_unless_the_api_server_contradicts_the_clock():
    tomorrow = SIGNED_MS + DAY_MS
    assert due(now_ms=tomorrow)
    assert due(now_ms=tomorrow, offset=None)
    assert not due(now_ms=tomorrow, offset=-3600)
    assert not due(now_ms=SIGNED_MS - 1, offset=-3600)


def test_none_is_dated_before_the_end_of_its_cycle():
    assert not due(now_ms=FIRST.end_ms - 1, changed=True)
    assert due(now_ms=FIRST.end_ms, changed=True)


AMENDMENT = like(kind=ReportKind.AMENDMENT, sequence=3, reason="AmendmentInvalid")
STANDS = like(state=Delivery.ACCEPTED, reason="")


def test_a_refused_amendment_awaits_a_replacement_and_holds_no_final_up():
    assert refused_amendments([AMENDMENT, STANDS]) == (AMENDMENT,)
    assert refused_finals([AMENDMENT, STANDS]) == ()
    anew = like(kind=ReportKind.AMENDMENT, sequence=4, state=Delivery.PENDING, receipt=None)
    assert refused_amendments([anew, AMENDMENT, STANDS]) == ()


def test_a_refused_amendment_of_a_refused_final_waits_for_the_other_final():
    assert refused_amendments([AMENDMENT, FINAL]) == ()
    anew = like(sequence=4, state=Delivery.PENDING, receipt=None)
    assert refused_amendments([anew, AMENDMENT, FINAL]) == (AMENDMENT,)
    assert renewed_since(AMENDMENT, [anew, AMENDMENT, FINAL])
    assert not renewed_since(AMENDMENT, [AMENDMENT, STANDS])
