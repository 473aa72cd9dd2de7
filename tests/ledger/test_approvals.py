"""The outbox holds what nobody has approved: nothing is sent, nothing lost, a verdict counts."""

import pytest

from licenseusage.ledger.documents.records import Delivery, DeliveryResult, Held
from licenseusage.ledger.records import MeterKey
from licenseusage.reports.names import Link
from tests.ledger import book
from tests.ledger.conftest import HOUR_MS, START

NOW = START + 5 * HOUR_MS
WHY = Held("AwaitingApproval", "approve it")
WAITS = Delivery.AWAITING_APPROVAL


@pytest.fixture
def ledger(tmp_path):
    """An enrolment that was accepted, two interims that are due."""
    with book.opened(tmp_path / "ledger.sqlite") as opened:
        book.begin(opened)
        book.accept_all(opened, START + 1)
        book.count(opened, START + HOUR_MS, "ada", "bob")
        book.interim(opened, 0, START + 2 * HOUR_MS)
        book.interim(opened, 1, START + 3 * HOUR_MS)
        yield opened


def report(ledger, sequence):
    return next(each for each in ledger.reports(1) if each.sequence == sequence)


def hold(ledger, *sequences):
    held = {report(ledger, sequence).jti: WHY for sequence in sequences}
    ledger.follow_approvals(1, NOW, manual=True, hold=held, release=())


def release(ledger, *sequences):
    free = {report(ledger, sequence).jti for sequence in sequences}
    ledger.follow_approvals(1, NOW, manual=True, hold={}, release=free)


def test_what_is_held_is_not_claimed_and_nothing_behind_it(ledger):
    hold(ledger, 1)
    assert (report(ledger, 1).state, report(ledger, 1).reason) == (WAITS, WHY.reason)
    assert ledger.claim(NOW) is None


def test_what_is_let_go_is_sent_as_it_was_signed(ledger):
    before = [report(ledger, 1).token, report(ledger, 2).token]
    hold(ledger, 1, 2)
    release(ledger, 2)
    assert ledger.claim(NOW) is None  # in order
    release(ledger, 1)
    claimed = ledger.claim(NOW)
    assert (claimed.sequence, claimed.token) == (1, before[0])
    ledger.record_result(claimed, DeliveryResult(Delivery.ACCEPTED, receipt="r"), NOW)
    claimed = ledger.claim(NOW)
    assert (claimed.sequence, claimed.token) == (2, before[1])


def test_a_verdict_that_is_on_the_way_counts_and_no_answer_says_nothing(ledger):
    claimed = ledger.claim(NOW)
    hold(ledger, 1)
    assert report(ledger, 1).lease_until_ms is None
    failed = DeliveryResult(Delivery.PENDING, "Timeout", "late", next_attempt_ms=NOW + 1)
    ledger.record_result(claimed, failed, NOW)
    assert (report(ledger, 1).state, report(ledger, 1).first_failure_ms) == (WAITS, None)
    ledger.record_result(claimed, DeliveryResult(Delivery.ACCEPTED, receipt="r"), NOW)
    assert report(ledger, 1).state is Delivery.ACCEPTED


def test_what_the_vendor_has_signed_for_is_not_held(ledger):
    accepted, refused = ledger.claim(NOW), report(ledger, 2)
    ledger.record_result(accepted, DeliveryResult(Delivery.ACCEPTED, receipt="r"), NOW)
    no = DeliveryResult(Delivery.REJECTED, "CycleMismatch", receipt="r")
    ledger.record_result(ledger.claim(NOW), no, NOW)
    hold(ledger, 1, 2)
    assert report(ledger, 1).state is Delivery.ACCEPTED
    assert report(ledger, 2).state is Delivery.REJECTED
    assert report(ledger, 2).token == refused.token


def test_the_vendors_head_accepts_what_waits_before_it(ledger):
    """It was sent before it was held, or carried by hand: the vendor has it."""
    first = ledger.claim(NOW)
    timeout = DeliveryResult(Delivery.PENDING, "Timeout", "m", next_attempt_ms=NOW)
    ledger.record_result(first, timeout, NOW)
    hold(ledger, 1)
    head = Link(2, report(ledger, 2).digest)
    result = DeliveryResult(Delivery.ACCEPTED, receipt="r", received_ms=NOW, head=head)
    ledger.record_receipt(report(ledger, 2).jti, result, NOW)
    assert report(ledger, 1).state is Delivery.ACCEPTED


def test_a_refusal_without_a_signature_is_held(ledger):
    refused = DeliveryResult(Delivery.REJECTED, "MalformedToken", "no", next_attempt_ms=NOW)
    ledger.record_result(ledger.claim(NOW), refused, NOW)
    hold(ledger, 1)
    assert report(ledger, 1).state is WAITS


@pytest.mark.parametrize("again", ["restart", "resend", "export", "route"])
def test_nothing_else_lets_it_go(ledger, again):
    hold(ledger, 1, 2)
    if again == "restart":
        ledger.restart_outbox(NOW, lambda _: 0)
    elif again == "resend":
        ledger.resend(NOW, meter_id=1)
    elif again == "export":
        ledger.wait_for_export(1, "export:x", NOW)
    else:
        ledger.resend_if_rerouted(1, "a", NOW)
        ledger.resend_if_rerouted(1, "b", NOW)
    assert {each.state for each in ledger.reports(1)} == {WAITS}


def test_the_mode_is_kept_for_when_the_object_is_gone(ledger):
    key = MeterKey("default", "opencloud", "opencloud")
    assert ledger.ensure_meter(key, NOW).approval is False
    hold(ledger, 1)
    ledger.meter_deleted(1, NOW)
    (meter,) = ledger.meters()
    assert meter.approval is True
    ledger.follow_approvals(1, NOW, manual=False, hold={}, release=())
    assert ledger.meters()[0].approval is False


def test_another_meters_reports_are_not_touched(ledger):
    other = ledger.ensure_meter(MeterKey("default", "other", "opencloud"), NOW)
    held = {report(ledger, 1).jti: WHY}
    ledger.follow_approvals(other.id, NOW, manual=True, hold=held, release=())
    assert report(ledger, 1).state is Delivery.PENDING
