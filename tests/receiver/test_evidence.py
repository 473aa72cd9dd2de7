"""Documents that contradict their chain are kept as evidence, up to a quota."""

import pytest

from tests.receiver.people import DAY, Customer, error_of, jti, key


@pytest.fixture(autouse=True)
def quota(monkeypatch):
    monkeypatch.setattr("licenseusage.receiver.evidence.CONFLICTS_KEPT", 3)


def conflicts(receiver, customer):
    with receiver.store.read() as reading:
        return reading.conflicts_of(customer.first.installation)


def test_beyond_the_quota_nothing_is_stored_or_signed(receiver, customer):
    receiver.put_report(customer.report())
    kept = [customer.report(users=number) for number in range(3)]
    assert [receiver.put_report(token).status_code for token in kept] == [409] * 3
    refused = receiver.put_report(customer.report(users=4))
    assert (refused.status_code, error_of(refused)) == (429, "TooManyConflicts")
    assert int(refused.headers["retry-after"]) == DAY
    assert "receipt" not in refused.json()
    assert conflicts(receiver, customer) == 3


def test_the_quota_is_of_all_chains_of_an_installation_and_of_its_keys(receiver, customer):
    receiver.put_report(customer.report())
    receiver.put_report(customer.report(name="second"))
    receiver.put_key(customer.rotate("new key"))
    others = [
        receiver.put_report(customer.report(users=1)),
        receiver.put_report(customer.report(users=1, name="second")),
        receiver.put_key(customer.succession(key("another"), sequence=2)),
    ]
    assert [answer.status_code for answer in others] == [409] * 3
    assert receiver.put_report(customer.report(users=2)).status_code == 429
    assert receiver.put_key(customer.succession(key("third"), sequence=2)).status_code == 429


def test_what_is_in_order_is_taken_when_the_quota_is_used_up(receiver, customer):
    first = customer.report()
    receiver.put_report(first)
    for users in range(5):
        receiver.put_report(customer.report(users=users))
    assert receiver.put_report(customer.report(first, kind="final")).status_code == 201
    again = customer.report(users=0)
    assert receiver.put("reports", jti(again), again).status_code == 409  # kept, and answered so


def test_one_installation_s_conflicts_are_not_another_s(receiver, customer):
    receiver.put_report(customer.report())
    for users in range(5):
        receiver.put_report(customer.report(users=users))
    other = Customer("other")
    receiver.put_key(other.enrolment)
    receiver.put_report(other.report())
    assert receiver.put_report(other.report(users=1)).status_code == 409
