"""Which report states a cycle's value, and what stands beside it."""

from dataclasses import replace

import pytest

from licenseusage.reports.receipt import ReceiptVerdict, stored_receipt
from licenseusage.reports.refused import Refused
from licenseusage.reports.report import read_report
from licenseusage.statement.cycles import Checked, SignedReport, State, VendorAnswer, chains_of
from tests.delivery.people import VendorDesk, key
from tests.statement.bookkeeping import Bookkeeper, given, licence, signed


def only(reports, licenses=()):
    (chain,) = chains_of(reports, licenses)
    return chain


def answered(token, verdict, error=None):
    receipt = stored_receipt(VendorDesk().receipt(token, verdict, error))
    return SignedReport(
        read_report(token), "answered", answer=VendorAnswer(receipt, Checked.NOT_VERIFIED)
    )


def test_the_final_states_the_value_and_interims_are_left_out():
    book = Bookkeeper()
    book.interim(0, 3, 1)
    book.final(0, 9, 9)
    (cycle,) = only(signed(*book.tokens)).cycles
    assert (cycle.state, cycle.content.active_users, cycle.replaced) == (State.FINAL, 9, ())


def test_the_last_amendment_in_chain_order_states_the_value_whatever_the_order_of_arrival():
    book = Bookkeeper()
    final = book.final(0, 5, 20)
    first = book.amendment(final, 6, 18)
    second = book.amendment(first, 7, 17)
    (cycle,) = only(signed(second, final, first)).cycles
    assert cycle.state is State.AMENDED
    assert cycle.content.active_users == 7
    assert [report.content.active_users for report in cycle.replaced] == [5, 6]


def test_a_cycle_without_a_final_is_provisional_with_its_latest_interim():
    book = Bookkeeper()
    book.interim(0, 3, 1)
    book.interim(0, 8, 4)
    (cycle,) = only(signed(*book.tokens)).cycles
    assert (cycle.state, cycle.content.active_users) == (State.PROVISIONAL, 8)
    assert cycle.content.cycle.as_of_s == cycle.start_s + 4 * 86400


def test_a_report_that_the_vendor_refused_only_holds_its_place():
    book = Bookkeeper()
    refused = book.final(0, 900, 900)
    book.final(0, 9, 9)
    chain = only(
        [
            answered(refused, ReceiptVerdict.REJECTED, "CountsInconsistent"),
            *signed(book.tokens[1]),
        ]
    )
    assert [cycle.content.active_users for cycle in chain.cycles] == [9]
    assert len(chain.reports) == 2


def test_two_reports_at_one_position_are_refused_by_name():
    first, second = Bookkeeper(), Bookkeeper()
    with pytest.raises(Refused, match="report 1 and report 2 are two different reports") as caught:
        chains_of(signed(first.final(0, 9, 9), second.final(0, 8, 8)))
    assert caught.value.reason == "ReportConflict"


def test_of_two_reports_at_one_position_the_one_counts_that_the_vendor_did_not_refuse():
    first, second = Bookkeeper(), Bookkeeper()
    lost = answered(first.final(0, 9, 9), ReceiptVerdict.CONFLICT, "ReportConflict")
    (kept,) = signed(second.final(0, 8, 8))
    for order in ([lost, kept], [kept, lost]):
        assert only(order).cycles[0].content.active_users == 8


def test_a_report_given_twice_counts_once_and_keeps_its_receipt():
    token = Bookkeeper().final(0, 9, 9)
    both = [*signed(token), answered(token, ReceiptVerdict.ACCEPTED)]
    for order in (both, both[::-1]):
        (cycle,) = only(order).cycles
        assert cycle.value.answer is not None


def test_the_entitlement_is_that_of_the_licence_that_the_report_names():
    token = Bookkeeper().final(0, 9, 9)
    others = [
        *given(licence(maximum=1, license_id="lic-2")),
        *given(licence("sub-2", maximum=2)),
        *given(licence(maximum=3, product="another")),
    ]
    assert only(signed(token), others).cycles[0].license is None
    assert only(signed(token), [*others, *given(licence(maximum=7))]).cycles[0].maximum == 7


def test_a_verified_licence_is_taken_before_one_that_is_not():
    token = Bookkeeper().final(0, 9, 9)
    (verified,) = given(licence(maximum=7))
    newer = replace(
        given(licence(maximum=8, issued_at_s=licence().issued_at_s + 1))[0],
        checked=Checked.NOT_VERIFIED,
    )
    assert only(signed(token), [verified, newer]).cycles[0].maximum == 7


def test_the_findings_are_those_of_the_cycles_own_reports():
    book = Bookkeeper()
    book.final(0, 9, 9)
    book.amendment(book.tokens[0], 4, 4, reason="Restated")
    book.final(1, 9, 9)
    chain = only(signed(*book.tokens))
    assert [cycle.findings for cycle in chain.cycles] == [("Restated",), ()]


def test_chains_of_another_installation_or_contract_stay_apart():
    books = [Bookkeeper(), Bookkeeper(key=key("second")), Bookkeeper(subscription="sub-2")]
    chains = chains_of([report for book in books for report in signed(book.final(0, 9, 9))])
    assert len({chain.id for chain in chains}) == 3


def test_counts_that_contradict_each_other_are_refused_although_nothing_was_verified():
    (report,) = signed(Bookkeeper().final(0, 9, 9))
    broken = replace(report.content, active_users_upper_bound=8)
    forged = replace(report, report=replace(report.report, content=broken))
    with pytest.raises(Refused, match="report 1: ") as caught:
        chains_of([forged])
    assert caught.value.reason == "CountsInconsistent"


def test_a_report_that_claims_another_chain_is_refused():
    (report,) = signed(Bookkeeper().final(0, 9, 9))
    envelope = replace(report.envelope, chain_id="0" * 32)
    with pytest.raises(Refused) as caught:
        chains_of([replace(report, report=replace(report.report, envelope=envelope))])
    assert caught.value.reason == "IdentifierMismatch"
