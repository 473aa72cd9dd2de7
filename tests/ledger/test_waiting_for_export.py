"""The outbox in export mode: what was under way waits, nothing has failed, a verdict counts."""

import pytest

from licenseusage.ledger.documents.records import Delivery, DeliveryResult
from tests.ledger import book
from tests.ledger.conftest import HOUR_MS, START

NOW = START + 5 * HOUR_MS
EXPORT, ONLINE = "export:" + "a" * 57, "b" * 64


@pytest.fixture
def ledger(tmp_path):
    """An enrolment that was accepted, an interim that is due."""
    with book.opened(tmp_path / "ledger.sqlite") as opened:
        book.begin(opened)
        book.accept_all(opened, START + 1)
        book.count(opened, START + HOUR_MS, "ada", "bob")
        book.interim(opened, 0, START + 2 * HOUR_MS)
        opened.resend_if_rerouted(1, ONLINE, NOW)
        yield opened


def report(ledger):
    (item,) = ledger.reports(1)
    return item


def test_what_was_being_sent_waits_again(ledger):
    claimed = ledger.claim(NOW)
    assert report(ledger).state is Delivery.SENDING
    assert ledger.wait_for_export(1, EXPORT, NOW) == 1
    waits = report(ledger)
    assert (waits.state, waits.reason, waits.lease_until_ms) == (Delivery.PENDING, "Offline", None)
    assert ledger.route(1) == EXPORT
    # The answer that was on its way arrives after all: no answer says nothing any more, ...
    failed = DeliveryResult(Delivery.PENDING, "Timeout", "late", next_attempt_ms=NOW + 1)
    ledger.record_result(claimed, failed, NOW)
    assert (report(ledger).reason, report(ledger).first_failure_ms) == ("Offline", None)
    # ... a signature counts.
    ledger.record_result(claimed, DeliveryResult(Delivery.ACCEPTED, receipt="r"), NOW)
    assert report(ledger).state is Delivery.ACCEPTED


def test_failures_of_the_way_are_over(ledger):
    failed = DeliveryResult(
        Delivery.PENDING, "VendorUnavailable", "503", next_attempt_ms=NOW + HOUR_MS
    )
    ledger.record_result(ledger.claim(NOW), failed, NOW)
    assert report(ledger).first_failure_ms == NOW
    ledger.wait_for_export(1, EXPORT, NOW)
    waits = report(ledger)
    assert (waits.first_failure_ms, waits.reason) == (None, "Offline")
    assert "kubectl licenseusage report export" in waits.message


@pytest.mark.parametrize(("receipt", "state"), [(None, "Pending"), ("r", "Rejected")])
def test_a_refusal_waits_again_unless_it_was_signed(ledger, receipt, state):
    refused = DeliveryResult(Delivery.REJECTED, "MalformedToken", "no", receipt=receipt)
    ledger.record_result(ledger.claim(NOW), refused, NOW)
    ledger.wait_for_export(1, EXPORT, NOW)
    assert report(ledger).state == state


def test_what_is_accepted_stays(ledger):
    book.accept_all(ledger, NOW)
    before = report(ledger)
    assert ledger.wait_for_export(1, EXPORT, NOW) == 0
    assert report(ledger) == before


def test_back_on_line_everything_is_due_at_once(ledger):
    ledger.wait_for_export(1, EXPORT, NOW)
    later = NOW + 100 * HOUR_MS
    assert ledger.resend_if_rerouted(1, ONLINE, later) == 1
    again = report(ledger)
    assert (again.state, again.reason, again.message) == (Delivery.PENDING, "", "")
    assert again.next_attempt_ms == later
    assert ledger.claim(later).jti == again.jti
