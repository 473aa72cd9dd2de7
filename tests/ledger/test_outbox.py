"""The outbox: one in flight per chain, in order, and nothing dropped (REPORT_FORMAT §10)."""

import pytest

from licenseusage.errors import Stalled
from licenseusage.ledger.documents.closing import Signing
from licenseusage.ledger.documents.outbox import LEASE_MS
from licenseusage.ledger.documents.records import (
    Delivery,
    DeliveryResult,
    ReportChain,
    ReportKind,
    SignedDocument,
)
from licenseusage.ledger.records import MeterKey
from licenseusage.reports.names import Link
from tests.ledger.conftest import CHAIN, CYCLE, DAY_MS, START, declared

NOW = START + 1000
OTHER = ReportChain("d" * 32, CHAIN.key_chain_id)
ACCEPTED = DeliveryResult(Delivery.ACCEPTED, receipt="receipt", received_ms=NOW)


def refused(reason="VendorUnavailable", after=30_000, state=Delivery.PENDING, now=NOW):
    return DeliveryResult(state, reason, "no", next_attempt_ms=now + after)


def enrol(ledger, text="enrolment"):
    document = SignedDocument(f"{CHAIN.key_chain_id}-0000000001", f"sha256:{text}", text)
    return ledger.add_key_statement(CHAIN.key_chain_id, ReportKind.ENROLMENT, 1, document, START)


@pytest.fixture
def add(ledger, signer):
    """Add the next interim of a chain."""
    slots = iter(range(100))

    def report(chain=CHAIN, meter_id=1, first_attempt_ms=START, **options):
        statement = ledger.statement(meter_id, CYCLE, sources=[declared()])
        signing = Signing(chain, signer, first_attempt_ms, **options)
        return ledger.add_interim(meter_id, next(slots), statement, START, signing)

    return report


@pytest.fixture
def enrolled(ledger):
    """The enrolment has been accepted."""
    enrol(ledger)
    ledger.record_result(ledger.claim(START), ACCEPTED, START)
    return ledger


def test_the_enrolment_goes_first(ledger, add):
    report = add()
    assert ledger.claim(NOW) is None  # nobody enrolled yet
    enrol(ledger)
    enrolment = ledger.claim(NOW)
    assert enrolment.kind is ReportKind.ENROLMENT
    assert ledger.claim(NOW) is None
    ledger.record_result(enrolment, refused(), NOW)
    assert ledger.claim(NOW) is None
    ledger.record_result(ledger.claim(NOW + 30_000), ACCEPTED, NOW)
    assert ledger.claim(NOW).jti == report.jti


def test_the_same_key_statement_is_kept_once(ledger):
    assert enrol(ledger) == enrol(ledger)
    with pytest.raises(Stalled) as conflict:
        enrol(ledger, "another")
    assert conflict.value.reason == "ReportConflict"


def test_a_claim_is_a_lease_of_a_minute(enrolled, add):
    add()
    claimed = enrolled.claim(NOW)
    assert (claimed.state, claimed.attempts) == (Delivery.SENDING, 1)
    assert claimed.lease_until_ms == NOW + 60_000
    assert enrolled.claim(NOW + 59_999) is None
    again = enrolled.claim(NOW + 60_000)
    assert (again.jti, again.attempts) == (claimed.jti, 2)


def test_per_chain_one_is_in_flight_oldest_first(enrolled, add):
    first, second = add(), add()
    assert enrolled.claim(NOW).jti == first.jti
    assert enrolled.claim(NOW) is None
    enrolled.record_result(enrolled.document(first.jti), ACCEPTED, NOW)
    assert enrolled.claim(NOW).jti == second.jti


def test_chains_do_not_wait_for_each_other(enrolled, add):
    enrolled.ensure_meter(MeterKey("default", "other", "p"), START)
    first, other = add(), add(OTHER, meter_id=2)
    assert {enrolled.claim(NOW).jti, enrolled.claim(NOW).jti} == {first.jti, other.jti}
    assert enrolled.claim(NOW, chain_id=CHAIN.id) is None


def test_a_report_waits_for_its_next_attempt_and_holds_up_later_ones(enrolled, add):
    first = add()
    add()
    enrolled.record_result(enrolled.claim(NOW), refused(after=5000), NOW)
    assert enrolled.claim(NOW + 4999) is None
    assert enrolled.claim(NOW + 5000).jti == first.jti


def test_the_first_attempt_may_be_later(enrolled, add):
    add(first_attempt_ms=NOW + 7000)
    assert enrolled.claim(NOW) is None
    assert enrolled.claim(NOW + 6999) is None
    assert enrolled.claim(NOW + 7000) is not None


def test_failures_are_counted_from_the_first(enrolled, add):
    add()
    enrolled.record_result(enrolled.claim(NOW), refused(), NOW)
    item = enrolled.record_result(
        enrolled.claim(NOW + 60_000), refused("Timeout", now=NOW + 60_000), NOW + 60_000
    )
    assert (item.state, item.reason, item.attempts) == (Delivery.PENDING, "Timeout", 2)
    assert item.first_failure_ms == NOW


def test_a_receipt_ends_it(enrolled, add):
    add()
    head = Link(1, add.__name__)
    result = DeliveryResult(
        Delivery.ACCEPTED,
        receipt="receipt",
        received_ms=NOW + 5,
        findings=("CoverageIncomplete",),
        head=head,
    )
    item = enrolled.record_result(enrolled.claim(NOW), result, NOW)
    assert (item.state, item.accepted_ms, item.receipt) == (Delivery.ACCEPTED, NOW + 5, "receipt")
    assert item.findings == ("CoverageIncomplete",)
    assert (item.next_attempt_ms, item.first_failure_ms) == (None, None)
    assert enrolled.claim(NOW + 10 * DAY_MS) is None
    chain = enrolled.chain(CHAIN.id)
    assert (chain.acknowledged, chain.vendor_time_ms) == (head, NOW + 5)


def test_rejected_does_not_hold_up_later_ones(enrolled, add):
    first, second = add(), add()
    verdict = DeliveryResult(Delivery.REJECTED, "CountsInconsistent", "no", receipt="receipt")
    enrolled.record_result(enrolled.claim(NOW), verdict, NOW)
    assert enrolled.document(first.jti).next_attempt_ms is None
    assert enrolled.claim(NOW).jti == second.jti


def test_an_unsigned_rejection_is_tried_again(enrolled, add):
    first = add()
    enrolled.record_result(
        enrolled.claim(NOW), refused("MalformedToken", DAY_MS, Delivery.REJECTED), NOW
    )
    second = add()
    assert enrolled.claim(NOW).jti == second.jti
    assert enrolled.claim(NOW + DAY_MS, chain_id=CHAIN.id).jti in {first.jti, second.jti}
    enrolled.record_result(enrolled.document(second.jti), ACCEPTED, NOW)
    assert enrolled.claim(NOW + DAY_MS - 1) is None
    assert enrolled.claim(NOW + DAY_MS + 60_000).jti == first.jti


def test_a_conflict_stops_the_chain(enrolled, add):
    add()
    add()
    conflict = DeliveryResult(Delivery.CONFLICT, "ReportConflict", "no", receipt="receipt")
    enrolled.record_result(enrolled.claim(NOW), conflict, NOW)
    assert enrolled.claim(NOW + 10 * DAY_MS) is None


def test_a_report_waiting_for_approval_holds_up_later_ones(enrolled, add):
    add(awaiting_approval=True)
    add()
    assert enrolled.claim(NOW + 10 * DAY_MS) is None


def test_a_head_acknowledges_what_came_before_but_for_verdicts(enrolled, add):
    rejected, lost, last = add(), add(), add()
    verdict = DeliveryResult(Delivery.REJECTED, "CycleMismatch", "no", receipt="verdict")
    enrolled.record_result(enrolled.claim(NOW), verdict, NOW)
    enrolled.record_result(enrolled.claim(NOW), refused(), NOW)
    head = DeliveryResult(
        Delivery.ACCEPTED, receipt="r", received_ms=NOW, head=Link(3, last.digest)
    )
    enrolled.record_result(enrolled.document(last.jti), head, NOW)
    healed = enrolled.document(lost.jti)
    assert (healed.state, healed.reason) == (Delivery.ACCEPTED, "AcknowledgedByHead")
    assert enrolled.document(rejected.jti).state is Delivery.REJECTED


def test_a_head_that_fell_behind_is_caught_up_with(enrolled, add):
    first, second, third = add(), add(), add()
    for _ in range(2):
        enrolled.record_result(enrolled.claim(NOW), ACCEPTED, NOW)
    behind = DeliveryResult(
        Delivery.ACCEPTED, receipt="r", received_ms=NOW, head=Link(1, "x"), resend_after=1
    )
    enrolled.record_result(enrolled.claim(NOW), behind, NOW)
    states = [enrolled.document(item.jti).state for item in (first, second, third)]
    assert states == [Delivery.ACCEPTED, Delivery.PENDING, Delivery.ACCEPTED]
    assert enrolled.claim(NOW).jti == second.jti


def test_an_acknowledged_head_never_goes_back(enrolled, add):
    add()
    add()
    for sequence in (2, 1):
        head = DeliveryResult(
            Delivery.ACCEPTED, receipt="r", received_ms=NOW, head=Link(sequence, "x")
        )
        enrolled.record_result(enrolled.reports(1)[0], head, NOW)
    assert enrolled.chain(CHAIN.id).acknowledged == Link(2, "x")


def test_a_lease_that_was_lost_decides_nothing_but_a_verdict_does(enrolled, add):
    add()
    slow = enrolled.claim(NOW)
    quick = enrolled.claim(NOW + 60_000)
    after = enrolled.record_result(slow, refused("Timeout"), NOW + 61_000)
    assert (after.state, after.lease_until_ms) == (Delivery.SENDING, quick.lease_until_ms)
    after = enrolled.record_result(slow, ACCEPTED, NOW + 61_000)
    assert after.state is Delivery.ACCEPTED
    after = enrolled.record_result(quick, refused("Timeout"), NOW + 62_000)
    assert after.state is Delivery.ACCEPTED


def test_after_a_restart_sending_is_pending_again(enrolled, add, reopen):
    add()
    claimed = enrolled.claim(NOW)
    again = reopen()
    assert again.restart_outbox(NOW + 5000, lambda chain_id: 2000) == 1
    item = again.document(claimed.jti)
    assert (item.state, item.next_attempt_ms) == (Delivery.PENDING, NOW + 7000)


@pytest.mark.parametrize(("stored", "expected"), [(0, 2000), (3000, 3000), (10 * DAY_MS, DAY_MS)])
def test_a_restart_keeps_the_schedule_within_a_day(enrolled, add, stored, expected):
    item = add(first_attempt_ms=NOW + stored)
    enrolled.restart_outbox(NOW, lambda chain_id: 2000)
    assert enrolled.document(item.jti).next_attempt_ms == NOW + expected


def test_a_clock_that_is_set_back_leaves_nothing_waiting_for_the_time_before(enrolled, add):
    first, second = add(), add(chain=OTHER)
    ahead = NOW + 365 * DAY_MS
    enrolled.claim(ahead, chain_id=CHAIN.id)
    enrolled.record_result(enrolled.claim(ahead, chain_id=OTHER.id), refused(now=ahead), ahead)
    enrolled.record_clock_step(NOW - ahead, NOW)
    assert enrolled.claim(NOW + LEASE_MS).jti == first.jti, "the lease is over a minute later"
    assert enrolled.claim(NOW + DAY_MS, chain_id=OTHER.id).jti == second.jti


HOUR_MS = 3_600_000


@pytest.mark.parametrize(
    ("waits_ms", "expected_ms"),
    [(30_000, 30_000), (3 * HOUR_MS, 3 * HOUR_MS), (0, 0), (-10_000, 0)],
)
def test_what_was_queued_while_the_clock_was_an_hour_ahead_waits_no_hour(
    enrolled, add, waits_ms, expected_ms
):
    """As long as it would have waited by the clock that was ahead, and not an hour more."""
    item = add(first_attempt_ms=NOW + HOUR_MS + waits_ms)
    enrolled.record_clock_step(-HOUR_MS, NOW)
    assert enrolled.document(item.jti).next_attempt_ms == NOW + expected_ms


def test_a_clock_that_is_set_forward_changes_no_schedule(enrolled, add):
    item = add(first_attempt_ms=NOW + 30_000)
    enrolled.record_clock_step(HOUR_MS, NOW + HOUR_MS)
    assert enrolled.document(item.jti).next_attempt_ms == NOW + 30_000


def test_a_resend_makes_slow_and_rejected_ones_due_at_once(enrolled, add):
    first, second = add(), add()
    verdict = DeliveryResult(Delivery.REJECTED, "LicenseMismatch", "no", receipt="receipt")
    enrolled.record_result(enrolled.claim(NOW), verdict, NOW)
    enrolled.record_result(enrolled.claim(NOW), refused("Forbidden", DAY_MS), NOW)
    assert enrolled.resend(NOW + 1, meter_id=7) == 0
    assert enrolled.resend(NOW + 1, meter_id=1) == 2
    assert enrolled.claim(NOW + 1).jti == first.jti
    assert enrolled.document(second.jti).next_attempt_ms == NOW + 1


def test_another_route_makes_slow_and_rejected_ones_due_at_once(enrolled, add):
    first, second = add(), add()
    assert enrolled.resend_if_rerouted(1, "old", NOW) == 0, "the first route changes nothing"
    verdict = DeliveryResult(Delivery.REJECTED, "LicenseMismatch", "no", receipt="receipt")
    enrolled.record_result(enrolled.claim(NOW), verdict, NOW)
    enrolled.record_result(enrolled.claim(NOW), refused("Forbidden", DAY_MS), NOW)
    assert enrolled.resend_if_rerouted(1, "old", NOW + 1) == 0
    assert enrolled.resend_if_rerouted(1, "new", NOW + 1) == 2
    assert enrolled.claim(NOW + 1).jti == first.jti
    assert enrolled.document(second.jti).next_attempt_ms == NOW + 1


def test_a_route_outlives_a_restart(ledger, reopen):
    assert ledger.route(1) is None
    ledger.resend_if_rerouted(1, "old", NOW)
    assert reopen().route(1) == "old"


def unknown_key(ledger, add, receipt: str):
    """The vendor does not know the key, and gives ``receipt`` for the statements sent again."""
    report = add()
    ledger.record_result(ledger.claim(NOW), refused("KeyUnknown", 10_800_000), NOW)
    ledger.resend_key_statements(CHAIN.key_chain_id, NOW)
    enrolment = ledger.claim(NOW)
    assert enrolment.kind is ReportKind.ENROLMENT
    known = DeliveryResult(Delivery.ACCEPTED, receipt=receipt, received_ms=NOW + 1)
    ledger.record_result(enrolment, known, NOW + 1)
    return ledger.document(report.jti)


def test_once_an_unknown_key_is_receipted_the_report_is_due_at_once(enrolled, add):
    report = unknown_key(enrolled, add, "new receipt")
    assert enrolled.claim(NOW + 1).jti == report.jti


def test_an_old_receipt_for_an_unknown_key_changes_no_schedule(enrolled, add):
    assert unknown_key(enrolled, add, "receipt").next_attempt_ms == NOW + 10_800_000


def test_a_chain_that_the_vendor_contradicts_is_stopped(enrolled, add):
    add()
    second = add()
    lost = DeliveryResult(
        Delivery.ACCEPTED, receipt="r", received_ms=NOW, stopped="LocalHistoryLost"
    )
    enrolled.record_result(enrolled.claim(NOW), lost, NOW)
    assert enrolled.chain(CHAIN.id).stopped == "LocalHistoryLost"
    assert enrolled.claim(NOW + DAY_MS) is None
    assert add() is None  # nothing new is signed
    assert enrolled.document(second.jti).state is Delivery.PENDING  # and nothing is dropped


def test_tokens_never_change(enrolled, add):
    item = add()
    before = (item.token, item.digest, item.sequence, item.created_ms)
    enrolled.record_result(enrolled.claim(NOW), refused(), NOW)
    enrolled.resend(NOW)
    enrolled.restart_outbox(NOW, lambda chain_id: 0)
    enrolled.record_result(enrolled.claim(NOW), ACCEPTED, NOW)
    after = enrolled.document(item.jti)
    assert (after.token, after.digest, after.sequence, after.created_ms) == before


def test_reports_are_listed_newest_first(enrolled, add):
    first, second = add(), add()
    assert [item.jti for item in enrolled.reports(1)] == [second.jti, first.jti]
    assert [item.jti for item in enrolled.reports(1, limit=1)] == [second.jti]
    assert [item.kind for item in enrolled.key_statements(CHAIN.key_chain_id)] == ["Enrolment"]
    assert enrolled.document("unknown") is None


def test_only_the_newest_accepted_interims_are_shown_when_so_asked(enrolled, add):
    items = [add() for _ in range(4)]
    for item in items[:3]:
        enrolled.record_result(enrolled.document(item.jti), ACCEPTED, NOW)
    shown = [item.sequence for item in enrolled.reports(1, interims=1)]
    assert shown == [4]  # the newest; 1 to 3 are accepted
    enrolled.record_result(
        enrolled.document(items[1].jti),
        DeliveryResult(Delivery.REJECTED, "CountsInconsistent", "no", receipt="verdict"),
        NOW,
    )
    assert [item.sequence for item in enrolled.reports(1, interims=1)] == [4, 2]
