"""Several processes on one database: one row per position, one receipt per document."""

import threading
import traceback
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
from sqlalchemy import text

from licenseusage.errors import Retryable
from licenseusage.receiver.reportchains import place_report
from licenseusage.receiver.store import Hold
from tests.receiver.people import ANCHOR, Customer, chain_id, licence, unavailable

RACERS = 4
ROUNDS = 5


def rows(receiver, token):
    with receiver.store.read() as views:
        return [document for document, _ in views.documents(chain_id(token), limit=100)]


def at_once(calls):
    """Run the calls in threads of their own that start together; return their results."""
    barrier = threading.Barrier(len(calls))

    def run(call):
        barrier.wait()
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


@pytest.fixture
def processes(start):
    """Several receivers on one database, as several processes would be."""
    return [start() for _ in range(RACERS)]


def test_same_report_sent_at_once_is_stored_once_with_one_receipt(processes):
    for number in range(ROUNDS):
        customer = Customer(f"customer {number}")
        processes[0].put_key(customer.enrolment)
        token = customer.report()
        answers = at_once([partial(each.put_report, token) for each in processes])
        assert sorted(answer.status_code for answer in answers) == [200, 200, 200, 201]
        assert len({answer.content for answer in answers}) == 1
        assert len(rows(processes[0], token)) == 1


def test_different_reports_for_one_position_sent_at_once_give_one_winner(processes):
    for number in range(ROUNDS):
        customer = Customer(f"customer {number}")
        processes[0].put_key(customer.enrolment)
        tokens = [customer.report(users=users) for users in range(RACERS)]
        answers = at_once(
            [partial(each.put_report, token) for each, token in zip(processes, tokens, strict=True)]
        )
        assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]
        verdicts = sorted(document.verdict for document in rows(processes[0], tokens[0]))
        assert verdicts == ["Accepted", "Conflict", "Conflict", "Conflict"]


def test_reports_of_one_chain_sent_at_once_are_all_linked(processes):
    for number in range(ROUNDS):
        customer = Customer(f"customer {number}")
        processes[0].put_key(customer.enrolment)
        tokens = customer.chain(RACERS)
        at_once(
            [partial(each.put_report, token) for each, token in zip(processes, tokens, strict=True)]
        )
        with processes[0].store.read() as views:
            assert views.chain(chain_id(tokens[0])).head.sequence == RACERS


def test_same_enrolment_sent_at_once_is_stored_once(processes):
    token = Customer().enrolment
    answers = at_once([partial(each.put_key, token) for each in processes])
    assert sorted(answer.status_code for answer in answers) == [200, 200, 200, 201]


def test_a_licence_that_arrives_while_a_report_under_it_is_judged_ends_its_finding(
    start, customer, monkeypatch, database_url
):
    """Either the report sees the licence, or the licence sees the report: never neither."""
    judging, other = start(), start()
    renewed = licence(license_id="lic-2", issued_at_s=ANCHOR + 1)
    token = customer.report(license_id="lic-2")
    reached, go_on = threading.Event(), threading.Event()

    def wait(*arguments, **more):
        reached.set()
        assert go_on.wait(timeout=60)
        return place_report(*arguments, **more)

    monkeypatch.setattr("licenseusage.receiver.intake.place_report", wait)
    with ThreadPoolExecutor(2) as pool:
        report = pool.submit(judging.put_report, token)
        assert reached.wait(timeout=60)
        license_ = pool.submit(other.put_license, renewed)
        if database_url.startswith("postgres"):
            until_somebody_waits(other, license_)
        go_on.set()
        assert (report.result().status_code, license_.result().status_code) == (201, 201)
    assert judging.held_findings(chain_id(token)) == set()


def until_somebody_waits(receiver, call):
    """Return once a transaction of the call waits for another's lock, or the call is over."""
    waiting = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
    while not call.done():
        with receiver.store.read() as views:
            if views._connection.execute(waiting).scalar():
                return


def test_the_quota_of_evidence_holds_for_all_chains_of_an_installation_together(
    processes, monkeypatch
):
    monkeypatch.setattr("licenseusage.receiver.evidence.CONFLICTS_KEPT", 2)
    customer = Customer()
    processes[0].put_key(customer.enrolment)
    names = [f"meter-{number}" for number in range(RACERS)]
    for name in names:
        processes[0].put_report(customer.report(name=name))
    against = [customer.report(name=name, users=41) for name in names]
    answers = at_once(
        [partial(each.put_report, token) for each, token in zip(processes, against, strict=True)]
    )
    assert sorted(answer.status_code for answer in answers) == [409, 409, 429, 429]


def test_failure_to_sign_stores_nothing(receiver, customer, monkeypatch):
    def refuse(*_):
        raise OSError("the key store does not answer")

    token = customer.report()
    with monkeypatch.context() as patch:
        patch.setattr("licenseusage.receiver.receipts.build_receipt", refuse)
        assert unavailable(receiver.put_report(token))
        assert unavailable(receiver.put_key(Customer("other").enrolment))
    assert rows(receiver, token) == []
    assert receiver.put_report(token).status_code == 201
    assert receiver.put_key(Customer("other").enrolment).status_code == 201


def test_a_database_s_failure_is_told_without_what_was_to_be_stored(receiver, customer):
    with receiver.store.read() as reading:
        held = reading.installation(customer.key_chain)
    with pytest.raises(Retryable) as caught:
        receiver.store.write(lambda writing: writing.add_installation(held), Hold.register())
    shown = "".join(traceback.format_exception(caught.value))
    assert customer.first.installation not in shown
    assert customer.key_chain not in shown
