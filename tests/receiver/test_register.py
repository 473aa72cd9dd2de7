"""A renewed licence reaches the receiver, and judges what was reported under it."""

from urllib.parse import quote

import pytest

from licenseusage.receiver.store import ReceiverDatabase
from licenseusage.reports.keys import VendorKey, VendorKeys
from licenseusage.reports.terms import CycleTerms
from licenseusage.reports.typs import LICENSE, RECEIPT
from tests.receiver.people import (
    ANCHOR,
    CYCLE,
    DAY,
    LICENCE_KEY,
    RECEIPT_KEY,
    Customer,
    chain_id,
    error_of,
    key,
    licence,
    run_sql,
)
from tests.receiver.test_pages import read

RENEWED = {"license_id": "lic-2", "issued_at_s": ANCHOR + DAY, "expires_s": ANCHOR + 900 * DAY}


def renewed(**changes):
    return licence(**RENEWED | changes)


def under(customer, license_, *arguments, **changes):
    """A report of the customer's under another licence."""
    return customer.report(*arguments, license_id=license_.license_id, **changes)


def test_a_licence_is_taken_once_and_again(receiver):
    assert receiver.put_license(renewed()).status_code == 201
    again = receiver.put_license(renewed())
    assert (again.status_code, again.content) == (200, b"")


def test_the_licence_inside_an_enrolment_is_known(receiver, customer):
    assert receiver.put_license(customer.license).status_code == 200
    assert receiver.report(customer.report()).findings == ()


@pytest.mark.parametrize("id_", ["a/b", "urn:x:1", "a//b", "a/../b", "a/", "A" * 128])
def test_whatever_id_a_licence_may_have_is_an_address(receiver, id_):
    assert receiver.put_license(renewed(license_id=id_)).status_code == 201


@pytest.mark.parametrize("id_", ["a\nb", "\n\x1a", "a\u2028b"])
def test_an_id_that_no_licence_has_is_a_bad_request(receiver, id_):
    answer = receiver.put("licenses", quote(id_, safe=""), renewed().token)
    assert (answer.status_code, error_of(answer)) == (400, "IdentifierMismatch")


def test_the_address_names_the_licence_in_the_body(receiver):
    answer = receiver.put("licenses", "another", renewed().token)
    assert (answer.status_code, error_of(answer)) == (400, "IdentifierMismatch")


def test_only_this_vendor_s_licences_are_taken(receiver, customer):
    forged = renewed().token.rpartition(".")[0] + "." + customer.enrolment.rpartition(".")[2]
    for token, status in ((forged, 400), (customer.enrolment, 400), ("x", 400)):
        assert receiver.put("licenses", "lic-2", token).status_code == status


def test_cycles_of_a_subscription_never_change(receiver, customer):
    other = renewed(cycle=CycleTerms(customer.license.cycle.anchor, length_days=31))
    answer = receiver.put_license(other)
    assert (answer.status_code, error_of(answer)) == (403, "LicenseTermsChanged")


def test_a_report_under_an_unknown_licence_is_accepted_with_a_finding(receiver, customer):
    receipt = receiver.report(under(customer, renewed()))
    assert (receipt.verdict, receipt.findings) == ("Accepted", ("LicenseUnknown",))
    text = read(receiver.get("/"))
    assert "LicenseUnknown" in text
    assert "licence unknown" in text


def test_two_subscriptions_may_use_the_same_id(receiver, customer):
    other = Customer("other", license=licence(subscription="sub-2", maximum_active_users=9))
    receiver.put_key(other.enrolment)
    assert receiver.report(customer.report()).findings == ()
    assert receiver.report(other.report()).findings == ()
    assert "40 so far over 9" in read(receiver.get("/"))


def test_the_finding_ends_when_the_licence_arrives(receiver, customer):
    report = under(customer, renewed())
    receiver.put_report(report)
    receiver.put_license(renewed(license_id="lic-3"))
    assert receiver.held_findings(chain_id(report)) == {"LicenseUnknown"}
    receiver.put_license(renewed())
    assert receiver.held_findings(chain_id(report)) == set()
    assert "in order" in read(receiver.get("/"))


def test_a_product_is_judged_by_the_licence_that_the_report_names(receiver, customer):
    plus = renewed(product="acme-plus")
    receiver.put_license(plus)
    first = under(customer, plus, product="acme-plus")
    assert receiver.report(first).verdict == "Accepted"
    wrong = under(customer, plus, first, kind="final", product="acme")
    assert receiver.report(wrong).error == "LicenseMismatch"


def test_a_product_that_the_late_licence_does_not_name_is_a_finding(receiver, customer):
    report = under(customer, renewed(), product="acme")
    receiver.put_report(report)
    receiver.put_license(renewed(product="acme-plus"))
    assert receiver.held_findings(chain_id(report)) == {"LicenseMismatch"}


def test_silence_is_judged_by_the_renewed_interval(receiver, customer, clock):
    weekly = renewed(interval_hours=168)
    receiver.put_license(weekly)
    first = under(customer, weekly)
    receiver.put_report(first)
    clock.now_s += 14 * DAY
    assert "overdue" not in read(receiver.get("/"))
    second = under(customer, weekly, first, kind="final")
    assert receiver.report(second).findings == ()
    clock.now_s += 15 * DAY
    assert "overdue" in read(receiver.get("/"))


def test_a_licence_that_may_be_at_work_already_makes_no_false_silence(receiver, customer, clock):
    receiver.put_report(customer.report())
    receiver.put_license(renewed(interval_hours=168))
    clock.now_s += 10 * DAY
    assert "overdue" not in read(receiver.get("/"))
    # And one that asks for more is not held against who may not have it yet.
    receiver.put_license(renewed(license_id="lic-3", interval_hours=1))
    assert "overdue" not in read(receiver.get("/"))


def test_under_an_unknown_licence_nobody_knows_what_is_overdue(receiver, customer, clock):
    weekly = renewed(interval_hours=168)
    first = under(customer, weekly)
    receiver.put_report(first)
    clock.now_s += 7 * DAY
    assert "overdue" not in read(receiver.get("/"))
    assert receiver.report(under(customer, weekly, first, kind="final")).findings == (
        "LicenseUnknown",
    )


def test_an_unknown_licence_after_a_known_one_makes_no_false_silence(receiver, customer, clock):
    first = customer.report()
    receiver.put_report(first)
    clock.now_s += 7 * DAY
    later = under(customer, renewed(interval_hours=168), first, kind="final")
    assert receiver.report(later).findings == ("LicenseUnknown",)


def test_the_pages_follow_the_renewed_licence(receiver, customer):
    receiver.put_license(renewed(maximum_active_users=800))
    text = read(receiver.get("/"))
    assert "Licence lic-2" in text
    assert "Valid until 2028-06-19" in text
    assert "800 active users" in text


def test_a_licence_that_has_not_begun_is_not_shown_as_the_one_in_force(receiver, customer, clock):
    receiver.put_license(renewed(not_before_s=clock.now_s + DAY))
    assert "Licence lic-1" in read(receiver.get("/"))
    clock.now_s += DAY
    assert "Licence lic-2" in read(receiver.get("/"))


def test_each_cycle_is_held_against_the_maximum_of_its_own_licence(receiver, customer):
    larger = renewed(maximum_active_users=800)
    receiver.put_license(larger)
    first = customer.report(kind="final", users=501)
    receiver.put_report(first)
    receiver.put_report(under(customer, larger, first, kind="final", cycle=1, users=502))
    text = read(receiver.get("/"))
    assert "501 over 500" in text
    assert "502 800" in text


def test_a_licence_for_another_installation_s_key_changes_nothing(receiver, customer):
    bound = renewed(first_key=key("other").kid, maximum_active_users=9)
    receiver.put_license(bound)
    assert "Licence lic-1" in read(receiver.get("/"))
    assert receiver.report(under(customer, bound)).findings == ("LicenseUnknown",)


def test_a_licence_may_be_withdrawn_with_its_key_and_judges_all_the_same(start, customer, receiver):
    receiver.put_license(renewed())
    other = VendorKeys(
        [
            VendorKey(key("next licence key").public, frozenset({LICENSE})),
            VendorKey(RECEIPT_KEY.public, frozenset({RECEIPT})),
        ]
    )
    assert LICENCE_KEY.kid not in other
    after = start(vendor_keys=other)
    assert after.report(under(customer, renewed())).findings == ()


def test_licences_of_a_database_from_before_the_register_are_known(
    database_url, receiver, customer
):
    run_sql(database_url, "DROP TABLE licenses", "UPDATE receiver_schema SET version = 1")
    store = ReceiverDatabase.open(database_url)
    with store.read() as reading:
        held = reading.licenses_of("https://vendor.example", "sub-1")
    store.close()
    assert [one.license_id for one in held] == ["lic-1"]
    assert receiver.put_report(customer.report()).status_code == 201


def test_one_cycle_after_the_other_under_renewed_licences_leaves_nothing_open(
    receiver, customer, clock
):
    """The second year: each month a new licence, and what is reported is judged by it."""
    previous = None
    for cycle in range(4):
        license_ = licence(
            license_id=f"lic-{cycle + 2}",
            issued_at_s=ANCHOR + cycle * CYCLE + 1,
            interval_hours=24 * (cycle + 1),
        )
        clock.now_s = ANCHOR + cycle * CYCLE + CYCLE // 2
        assert receiver.put_license(license_).status_code == 201
        for kind in ("interim", "final"):
            clock.now_s += CYCLE // 2 if kind == "final" else 0
            token = under(customer, license_, previous, kind=kind, cycle=cycle)
            receipt = receiver.report(token)
            assert receipt.verdict == "Accepted"
            assert "LicenseUnknown" not in receipt.findings
            previous = token
    assert "nothing is open" in read(receiver.get("/"))
