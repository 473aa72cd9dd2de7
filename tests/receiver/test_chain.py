"""Positions, links, heads and findings (REPORT_FORMAT §6 and §12 "Receiver")."""

from itertools import permutations

import pytest

from licenseusage.reports.content import OperatorInfo, ReportCoverage, ReportRules
from licenseusage.reports.names import digest
from tests.receiver.people import ANCHOR, CYCLE, DAY, Customer, chain_id, error_of, key, licence


def test_reports_arrive_in_any_order_and_end_at_the_same_head(receiver):
    for number, order in enumerate(permutations(range(4))):
        customer = Customer(f"customer {number}")
        receiver.put_key(customer.enrolment)
        tokens = customer.chain(4)
        receipts = [receiver.report(tokens[position]) for position in order]
        assert {receipt.verdict for receipt in receipts} == {"Accepted"}
        assert receipts[-1].head.digest == digest(tokens[3])
        assert receiver.held_findings(chain_id(tokens[0])) == set()


def test_report_beyond_a_gap_is_accepted_with_the_lower_head(receiver, customer):
    tokens = customer.chain(4)
    receiver.put_report(tokens[0])
    receipt = receiver.report(tokens[2])
    assert (receipt.verdict, receipt.findings) == ("Accepted", ("ChainGap",))
    assert receipt.head.digest == digest(tokens[0])
    assert receiver.report(tokens[3]).head.digest == digest(tokens[0])
    assert receiver.report(tokens[1]).head.digest == digest(tokens[3])


def test_report_without_any_before_has_no_head(receiver, customer):
    assert receiver.report(customer.chain(2)[1]).head is None


def test_two_reports_for_one_position_are_a_conflict(receiver, customer):
    first, other = customer.report(users=40), customer.report(users=39)
    receiver.put_report(first)
    answer = receiver.put_report(other)
    receipt = receiver.receipt(other, answer)
    assert (answer.status_code, error_of(answer)) == (409, "ReportConflict")
    assert (receipt.verdict, receipt.error) == ("Conflict", "ReportConflict")
    assert receipt.head.digest == digest(first)
    assert receiver.put_report(first).status_code == 200


def test_conflicting_report_is_kept_as_evidence(receiver, customer):
    first, other = customer.report(users=40), customer.report(users=39)
    receiver.put_report(first)
    receiver.put_report(other)
    with receiver.store.read() as views:
        held = views.documents(chain_id(first), limit=9)
    assert {document.token: document.verdict for document, _ in held} == {
        first: "Accepted",
        other: "Conflict",
    }


def test_report_that_contradicts_its_predecessor_is_a_fork(receiver, customer):
    tokens = customer.chain(2)
    fork = customer.report(customer.report(users=1), kind="final")
    receiver.put_report(tokens[0])
    answer = receiver.put_report(fork)
    assert (answer.status_code, error_of(answer)) == (409, "ChainForked")
    assert receiver.report(tokens[1]).verdict == "Accepted"


def test_successor_that_contradicts_a_late_arrival_is_a_finding(receiver, customer):
    real = customer.chain(3)
    other = customer.report(real[0], kind="final", users=7)
    assert receiver.report(real[2]).verdict == "Accepted"
    assert receiver.report(real[0]).verdict == "Accepted"
    receipt = receiver.report(other)
    assert (receipt.verdict, receipt.head.digest) == ("Accepted", digest(other))
    assert "ChainForked" in receiver.held_findings(chain_id(other))


def test_rejected_report_holds_its_place_as_a_link(receiver, customer):
    final = customer.report(kind="final")
    late_interim = customer.report(final, kind="interim")
    receiver.put_report(final)
    answer = receiver.put_report(late_interim)
    receipt = receiver.receipt(late_interim, answer)
    assert (answer.status_code, receipt.verdict, receipt.error) == (422, "Rejected", "CycleOrder")
    assert receipt.head.digest == digest(late_interim)
    following = customer.report(late_interim, kind="final", cycle=1)
    assert receiver.report(following).head.sequence == 3


def test_rejected_final_does_not_count_and_is_replaced_by_a_new_report(receiver, customer, clock):
    wrong = customer.report(kind="final")
    clock.now_s = ANCHOR + 29 * DAY
    assert receiver.report(wrong).error == "IssuedInFuture"
    clock.now_s = ANCHOR + 31 * DAY
    assert receiver.report(customer.report(wrong, kind="final")).verdict == "Accepted"


def test_content_refused_beyond_a_gap_is_rejected_with_the_lower_head(receiver, customer):
    first = customer.report()
    wrong = customer.report(first, product="another")
    receipt = receiver.report(wrong)
    assert (receipt.verdict, receipt.error, receipt.head) == ("Rejected", "LicenseMismatch", None)
    assert receipt.findings == ("ChainGap",)
    assert receiver.report(first).head.digest == digest(wrong)


def test_order_is_checked_when_the_missing_part_arrives_and_only_adds_findings(receiver, customer):
    first = customer.report(kind="final")
    second_final = customer.report(first, kind="final")
    assert receiver.report(second_final).verdict == "Accepted"
    assert receiver.report(first).head.digest == digest(second_final)
    assert receiver.held_findings(chain_id(first)) == {"CycleOrder"}
    # The second final does not state the cycle's value: an amendment of it is refused.
    amendment = customer.amendment(second_final, second_final)
    assert receiver.report(amendment).error == "AmendmentInvalid"


def test_missing_final_of_an_earlier_cycle_is_rejected(receiver, customer):
    first = customer.report(kind="interim", cycle=0)
    receiver.put_report(first)
    assert receiver.report(customer.report(first, kind="final", cycle=1)).error == "CycleOrder"


def test_amendment_replaces_the_final_it_names(receiver, customer, clock):
    clock.now_s = ANCHOR + 31 * DAY
    wide = {"accuracy": "LowerBound", "active_users_upper_bound": None}
    final = customer.report(kind="final", users=40, **wide)
    amended = customer.amendment(final, final, users=45)
    receiver.put_report(final)
    assert receiver.report(amended).findings == ()
    lowered = customer.amendment(amended, amended, users=44)
    assert receiver.report(lowered).error == "AmendmentInvalid"
    restated = customer.amendment(lowered, amended, users=44, reason="Restated")
    assert receiver.report(restated).findings == ("Restated",)


def test_amendment_after_the_following_cycle_is_late(receiver, customer, clock):
    final = customer.report(kind="final")
    first = customer.amendment(final, final)
    second = customer.amendment(first, first, issued_at_s=ANCHOR + CYCLE + 1)
    clock.now_s = ANCHOR + CYCLE
    receiver.put_report(final)
    assert "AmendmentLate" not in receiver.report(first).findings
    clock.now_s = ANCHOR + 2 * CYCLE
    assert "AmendmentLate" in receiver.report(second).findings


def test_long_silence_before_a_report_is_a_finding(receiver, customer, clock):
    tokens = customer.chain(3)
    receiver.put_report(tokens[0])
    clock.now_s += 3 * DAY - 1
    assert receiver.report(tokens[1]).findings == ()
    clock.now_s += 3 * DAY
    assert receiver.report(tokens[2]).findings == ("ReportOverdue",)


@pytest.mark.parametrize(
    ("changes", "finding"),
    [
        ({"rules": ReportRules("x", "sha256:" + "1" * 64)}, "RulesChanged"),
        ({"pseudonym_key_id": "1" * 32}, "PseudonymKeyChanged"),
        ({"operator": OperatorInfo("1.0.0", "2" * 32)}, "InstallationCloned"),
    ],
)
def test_change_against_the_report_before_is_found_in_any_order(receiver, changes, finding):
    for order in ((0, 1), (1, 0)):
        customer = Customer(f"customer {order}")
        receiver.put_key(customer.enrolment)
        first = customer.report(operator=OperatorInfo("1.0.0", "1" * 32))
        tokens = [
            first,
            customer.report(first, **{"operator": OperatorInfo("1", "1" * 32)} | changes),
        ]
        for position in order:
            assert receiver.report(tokens[position]).verdict == "Accepted"
        assert receiver.held_findings(chain_id(first)) == {finding}


def test_incomplete_coverage_of_a_final_is_a_finding(receiver, customer):
    from licenseusage.reports.content import Gap

    gap = Gap(ANCHOR, ANCHOR + DAY, "Outage")
    token = customer.report(
        kind="final", coverage=ReportCoverage(observed_seconds=CYCLE - DAY, gaps=(gap,))
    )
    assert receiver.report(token).findings == ("CoverageIncomplete",)


def test_retired_key_is_a_conflict_by_position(receiver, customer):
    old = customer.signer
    first = customer.report()
    receiver.put_report(first)
    assert receiver.put_key(customer.rotate("second key")).status_code == 201
    second = customer.report(first)
    assert receiver.report(second).verdict == "Accepted"
    late = customer.report(second, signer=old)
    answer = receiver.put_report(late)
    assert (answer.status_code, error_of(answer)) == (409, "KeyRetired")


def test_report_by_an_old_key_may_arrive_after_one_by_the_new_key(receiver, customer):
    first = customer.report()
    receiver.put_key(customer.rotate("second key"))
    second = customer.report(first)
    assert receiver.report(second).verdict == "Accepted"
    assert receiver.report(first).verdict == "Accepted"
    assert receiver.held_findings(chain_id(first)) == set()


# --- key statements -----------------------------------------------------------------------------


def test_succession_is_answered_with_a_receipt(receiver, customer):
    token = customer.rotate("second key")
    answer = receiver.put_key(token)
    receipt = receiver.receipt(token, answer)
    assert (answer.status_code, receipt.head.sequence) == (201, 2)
    assert receiver.put_key(token).content == answer.content


def test_second_enrolment_of_one_installation_is_a_conflict(receiver, customer):
    renewed = Customer(license=licence(license_id="lic-2"))
    answer = receiver.put_key(renewed.enrolment)
    receipt = receiver.receipt(renewed.enrolment, answer)
    assert (answer.status_code, receipt.error) == (409, "ReportConflict")
    assert receipt.head.digest == digest(customer.enrolment)


def test_second_successor_of_one_key_is_a_conflict(receiver, customer):
    stolen = customer.succession(key("thief"))
    receiver.put_key(customer.rotate("second key"))
    answer = receiver.put_key(stolen)
    assert (answer.status_code, error_of(answer)) == (409, "ReportConflict")
    assert receiver.put_report(customer.report(signer=key("thief"))).status_code == 401


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"sequence": 4}, "ChainGap"),
        ({"previous": "sha256:" + "0" * 64}, "ChainForked"),
        ({"signer": key("customer")}, "KeyRetired"),
    ],
)
def test_succession_that_contradicts_its_chain_is_a_conflict(receiver, customer, changes, error):
    receiver.put_key(customer.rotate("second key"))
    token = customer.succession(key("third key"), **changes)
    answer = receiver.put_key(token)
    assert receiver.receipt(token, answer).verdict == "Conflict"
    assert (answer.status_code, error_of(answer)) == (409, error)


def test_succession_to_a_key_of_another_installation_is_refused(receiver, customer):
    other = Customer("other")
    receiver.put_key(other.enrolment)
    answer = receiver.put_key(customer.succession(other.first))
    assert (answer.status_code, error_of(answer)) == (400, "KeyInvalid")


def test_one_key_may_succeed_in_every_subscription_of_its_installation(receiver, customer):
    second = Customer(license=licence(subscription="sub-2"))
    receiver.put_key(second.enrolment)
    for each in (customer, second):
        assert receiver.put_key(each.rotate("second key")).status_code == 201
        assert receiver.put_report(each.report()).status_code == 201


def test_succession_issued_in_the_future_is_taken_later(receiver, clock):
    customer = Customer()
    clock.now_s = ANCHOR
    receiver.put_key(customer.enrolment)
    token = customer.rotate("second key")
    answer = receiver.put_key(token)
    assert (answer.status_code, error_of(answer)) == (403, "IssuedInFuture")
    clock.now_s = ANCHOR + DAY
    assert receiver.put_key(token).status_code == 201
