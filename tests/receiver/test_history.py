"""History: an installation gets its own documents and their receipts back, nobody else does."""

import pytest

from licenseusage.receiver import history as history_module
from licenseusage.reports.bundle import read_manifest
from licenseusage.reports.chain import verify_chain
from licenseusage.reports.keychain import verify_keys
from licenseusage.reports.names import digest
from licenseusage.reports.receipt import read_receipt
from licenseusage.reports.tokens import typ_of
from licenseusage.reports.typs import ENROLMENT, RECEIPT, REPORT, SUCCESSION
from tests.receiver.people import (
    TERMS,
    VENDOR_KEYS,
    Customer,
    chain_id,
    error_of,
    key,
    licence,
    published,
)
from tests.receiver.test_vectors import KEYS, TOKENS


def ask(receiver, customer, query="", **claims):
    manifest = customer.bundle(statements=(), **claims)
    return receiver.post(f"/v1/history{query}", manifest)


def lines(answer):
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/plain; charset=us-ascii"
    return answer.text.splitlines()


def receipts(tokens):
    return [read_receipt(each, VENDOR_KEYS) for each in tokens if typ_of(each) == RECEIPT]


def test_history_of_who_has_sent_nothing_is_the_enrolment_and_its_receipt(receiver, customer):
    enrolment, receipt = lines(ask(receiver, customer))
    assert enrolment == customer.enrolment
    assert read_receipt(receipt, VENDOR_KEYS).subject.digest == digest(enrolment)


def test_history_is_every_statement_and_report_and_the_newest_receipt_of_each_chain(
    receiver, customer
):
    chain = customer.chain(3)
    other = customer.report(name="other")
    for token in (*reversed(chain), other):
        receiver.put_report(token)
    succession = customer.rotate("second key")
    receiver.put_key(succession)
    tokens = lines(ask(receiver, customer))
    by_chain = sorted(
        [*chain, other],
        key=lambda token: (chain_id(token), chain.index(token) if token in chain else 0),
    )
    assert tokens[:6] == [customer.enrolment, succession, *by_chain]
    newest = {receipt.chain_id: receipt for receipt in receipts(tokens)}
    assert len(newest) == len(tokens[6:]) == 3
    assert newest[chain_id(chain[0])].head.sequence == 3


def test_history_verifies_as_a_chain(receiver, customer, clock):
    for token in customer.chain(4):
        receiver.put_report(token)
    tokens = lines(ask(receiver, customer))
    of_type = {
        typ: [each for each in tokens if typ_of(each) == typ]
        for typ in (ENROLMENT, SUCCESSION, REPORT)
    }
    keys = verify_keys(of_type[ENROLMENT], VENDOR_KEYS, now_s=clock.now_s)
    heads = [receipt.head for receipt in receipts(tokens) if receipt.subject.typ == REPORT]
    verified = verify_chain(
        of_type[REPORT], license_=TERMS, keys=keys, now_s=clock.now_s, heads=heads
    )
    assert len(verified.envelopes) == 4


def test_rejected_reports_are_there_as_links_with_their_receipts(receiver, customer):
    wrong = customer.report(product="other")
    after = customer.report(wrong)
    for token in (wrong, after):
        receiver.put_report(token)
    tokens = lines(ask(receiver, customer))
    assert tokens[1:3] == [wrong, after]
    verdicts = {receipt.subject.digest: receipt.verdict for receipt in receipts(tokens)}
    assert verdicts[digest(wrong)] == "Rejected"


def test_evidence_of_conflicts_is_left_out(receiver, customer):
    receiver.put_report(customer.report())
    twin = customer.report(users=41)
    receiver.put_report(twin)
    assert twin not in lines(ask(receiver, customer))


def test_one_chain_can_be_asked_for(receiver, customer):
    wanted, other = customer.report(), customer.report(name="other")
    for token in (wanted, other):
        receiver.put_report(token)
    tokens = lines(ask(receiver, customer, f"?chain={chain_id(wanted)}"))
    assert tokens[:2] == [customer.enrolment, wanted]
    assert other not in tokens


def test_chain_that_is_not_held_gives_the_key_statements(receiver, customer):
    receiver.put_report(customer.report())
    assert lines(ask(receiver, customer, f"?chain={'0' * 32}"))[0] == customer.enrolment


def test_name_of_no_chain_is_refused(receiver, customer):
    answer = ask(receiver, customer, "?chain=x")
    assert (answer.status_code, error_of(answer)) == (400, "IdentifierMismatch")


def test_other_installations_and_contracts_are_nobody_elses_business(receiver, customer):
    neighbour = Customer("neighbour")
    receiver.put_key(neighbour.enrolment)
    receiver.put_report(neighbour.report())
    renewed = Customer(license=licence(subscription="sub-2", license_id="lic-2"))
    receiver.put_key(renewed.enrolment)
    receiver.put_report(renewed.report())
    assert len(lines(ask(receiver, customer))) == 2


@pytest.mark.parametrize("seconds", [-301, 301])
def test_request_is_valid_for_300_s(receiver, customer, clock, seconds):
    expected = "IssuedInFuture" if seconds > 0 else "RequestExpired"
    answer = ask(receiver, customer, iat=clock.now_s + seconds)
    assert (answer.status_code, error_of(answer)) == (403, expected)
    within = seconds - 1 if seconds > 0 else seconds + 1
    assert ask(receiver, customer, iat=clock.now_s + within).status_code == 200


def test_retired_key_gets_nothing(receiver, customer, clock):
    receiver.put_key(customer.rotate("second key"))
    answer = ask(receiver, customer, signer=customer.first)
    assert (answer.status_code, error_of(answer)) == (403, "KeyRetired")
    assert ask(receiver, customer).status_code == 200


def test_key_that_is_not_enrolled_gets_nothing(receiver, customer):
    answer = ask(receiver, customer, signer=key("thief"))
    assert (answer.status_code, error_of(answer)) == (401, "KeyUnknown")


def test_key_of_another_installation_gets_nothing(receiver, customer):
    neighbour = Customer("neighbour")
    receiver.put_key(neighbour.enrolment)
    answer = ask(receiver, customer, signer=neighbour.first)
    assert (answer.status_code, error_of(answer)) == (403, "IssuerMismatch")


def test_bundle_with_lines_is_no_request(receiver, customer):
    answer = receiver.post("/v1/history", customer.bundle(statements=()) + customer.report() + "\n")
    assert answer.status_code in (400, 413)
    small = receiver.post("/v1/history", customer.bundle(statements=()) + "a.b.c\n")
    assert small.status_code == 400


def test_more_than_16_mib_is_refused_and_says_how_to_ask_for_less(receiver, customer, monkeypatch):
    receiver.put_report(customer.report())
    monkeypatch.setattr(history_module, "MAX_CHARACTERS_IN_FILE", 4000)
    answer = ask(receiver, customer)
    assert (answer.status_code, error_of(answer)) == (413, "TooLarge")
    assert "chain=" in answer.json()["detail"]


def test_very_many_documents_are_not_even_read(receiver, customer, monkeypatch):
    receiver.put_report(customer.report())
    monkeypatch.setattr(history_module, "_DOCUMENTS_AT_MOST", 1)
    assert error_of(ask(receiver, customer)) == "TooLarge"


def test_receipt_whose_key_was_withdrawn_is_signed_again(start, customer):
    new = key("new receipt key")
    later = start(receipt_key=new, vendor_keys=published(new))
    tokens = lines(ask(later, customer))
    assert read_receipt(tokens[-1], published(new)).subject.digest == digest(customer.enrolment)


def test_empty_bundle_of_the_vectors_is_a_request(start, clock):
    receiver = start(**KEYS)
    clock.now_s = read_manifest(TOKENS["bundle-empty"].rstrip("\n")).issued_at_s
    for name in ("enrolment", "succession"):
        receiver.put_key(TOKENS[name])
    answer = receiver.post("/v1/history", TOKENS["bundle-empty"])
    assert lines(answer)[:2] == [TOKENS["enrolment"], TOKENS["succession"]]
