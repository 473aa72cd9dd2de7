"""What the two PUT requests answer (REPORT_FORMAT §9)."""

import pytest

from licenseusage.delivery.outcome import Answer, classify
from licenseusage.reports.enrolment import build_enrolment
from licenseusage.reports.names import digest
from licenseusage.reports.receipt import Sent
from tests.receiver.people import ANCHOR, DAY, Customer, error_of, jti, key, licence

ID = "0" * 32 + "-0000000001"


def test_enrolment_is_answered_with_a_receipt(receiver):
    customer = Customer()
    answer = receiver.put_key(customer.enrolment)
    assert (answer.status_code, answer.headers["content-type"]) == (201, "application/jose")
    receipt = receiver.receipt(customer.enrolment, answer)
    assert receipt.verdict == "Accepted"
    assert receipt.head == receipt.subject.link


def test_report_is_answered_with_a_receipt(receiver, customer):
    token = customer.report()
    answer = receiver.put_report(token)
    assert (answer.status_code, answer.headers["content-type"]) == (201, "application/jose")
    receipt = receiver.receipt(token, answer)
    assert (receipt.verdict, receipt.findings) == ("Accepted", ())
    assert (receipt.head.sequence, receipt.head.digest) == (1, digest(token))


@pytest.mark.parametrize("what", ["key", "report", "rejected", "conflict"])
def test_resend_gets_the_same_octets(receiver, customer, clock, what):
    final = customer.report(kind="final")
    receiver.put_report(final)
    document = {
        "key": customer.enrolment,
        "report": final,
        "rejected": customer.report(final, kind="interim", cycle=0),
        "conflict": customer.report(kind="final", users=41),
    }[what]
    put = receiver.put_key if what == "key" else receiver.put_report
    first = put(document)
    clock.now_s += 1000
    again = put(document)
    assert again.content == first.content
    assert again.status_code == {"rejected": 422, "conflict": 409}.get(what, 200)


def test_answers_survive_a_restart(start):
    customer = Customer()
    before = start()
    answers = [before.put_key(customer.enrolment), before.put_report(customer.report())]
    before.close()
    after = start()
    again = [after.put_key(customer.enrolment), after.put_report(customer.report())]
    assert [answer.text for answer in again] == [answer.text for answer in answers]
    second = customer.report(customer.report(), kind="final")
    assert after.report(second).head.sequence == 2


def test_unknown_key_is_401(receiver):
    answer = receiver.put_report(Customer().report())
    assert (answer.status_code, error_of(answer)) == (401, "KeyUnknown")


def test_known_key_under_a_subscription_it_is_not_enrolled_for_is_403(receiver, customer):
    elsewhere = Customer(license=licence(subscription="sub-2"))
    answer = receiver.put_report(elsewhere.report())
    assert (answer.status_code, error_of(answer)) == (403, "LicenseMismatch")


def test_one_installation_may_enrol_for_several_subscriptions(receiver, customer):
    second = Customer(license=licence(subscription="sub-2"))
    assert receiver.put_key(second.enrolment).status_code == 201
    assert receiver.report(customer.report()).subscription == "sub-1"
    assert receiver.report(second.report()).subscription == "sub-2"


def test_several_installations_of_one_subscription_are_kept_apart(receiver, customer):
    other = Customer("other")
    receiver.put_key(other.enrolment)
    assert receiver.put_report(customer.report()).status_code == 201
    assert receiver.put_report(other.report()).status_code == 201


def test_path_of_another_document_is_refused(receiver, customer):
    token = customer.report()
    for _ in range(2):  # not yet stored, then stored
        answer = receiver.put("reports", ID, token)
        assert (answer.status_code, error_of(answer)) == (400, "IdentifierMismatch")
        receiver.put_report(token)


def test_path_that_is_no_id_is_refused(receiver, customer):
    answer = receiver.put("reports", "1", customer.report())
    assert (answer.status_code, error_of(answer)) == (400, "IdentifierMismatch")


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/jose", 201),
        ("application/jose; charset=us-ascii", 201),
        ("Application/JOSE", 201),
        ("application/json", 415),
        ("text/plain", 415),
        ("", 415),
    ],
)
def test_content_type(receiver, customer, content_type, status):
    token = customer.report()
    answer = receiver.put("reports", jti(token), token, **{"content-type": content_type})
    assert answer.status_code == status
    if status == 415:
        assert error_of(answer) == "UnsupportedMediaType"


def test_compressed_body_is_refused(receiver, customer):
    token = customer.report()
    answer = receiver.put("reports", jti(token), token, **{"content-encoding": "gzip"})
    assert (answer.status_code, error_of(answer)) == (415, "UnsupportedMediaType")


@pytest.mark.parametrize(("what", "limit"), [("reports", 65536), ("keys", 32768)])
@pytest.mark.parametrize("declared", [True, False])
def test_size_limit(receiver, what, limit, declared):
    def sent(size):
        body = b"A" * size

        async def chunks():
            yield body[: size // 2]
            yield body[size // 2 :]

        return body if declared else chunks()

    answer = receiver.put(what, ID, sent(limit + 1))
    assert (answer.status_code, error_of(answer)) == (413, "TooLarge")
    answer = receiver.put(what, ID, sent(limit))
    assert (answer.status_code, error_of(answer)) == (400, "MalformedToken")


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"", "MalformedToken"),
        (b"<html></html>", "MalformedToken"),
        (b"a.b", "MalformedToken"),
        (b"\xff\xfe.a.b", "MalformedToken"),
        (b"e30.e30.e30", "UnsupportedAlgorithm"),
    ],
)
@pytest.mark.parametrize("what", ["keys", "reports"])
def test_what_is_no_token(receiver, what, body, error):
    answer = receiver.put(what, ID, body)
    assert (answer.status_code, error_of(answer)) == (400, error)


def test_report_is_not_taken_for_a_key_statement(receiver, customer):
    answer = receiver.put_key(customer.report())
    assert (answer.status_code, error_of(answer)) == (400, "UnsupportedType")


def test_key_statement_is_not_taken_for_a_report(receiver, customer):
    answer = receiver.put("reports", jti(customer.enrolment), customer.enrolment)
    assert answer.status_code == 200 or error_of(answer) == "UnsupportedType"


def test_an_enrolment_signed_after_the_licence_expired_does_not_enrol(receiver, clock):
    clock.now_s = ANCHOR + 400 * DAY
    customer = Customer()
    late = build_enrolment(customer.license, customer.first, issued_at_s=clock.now_s)
    answer = receiver.put_key(late)
    assert (answer.status_code, error_of(answer)) == (403, "LicenseExpired")


def test_an_enrolment_that_arrives_after_the_licence_expired_is_judged_at_its_own_time(
    receiver, clock
):
    clock.now_s = ANCHOR + 500 * DAY
    customer = Customer()
    assert receiver.put_key(customer.enrolment).status_code == 201
    assert receiver.put_report(customer.report()).status_code == 201


def test_reports_are_taken_after_the_licence_has_expired(receiver, customer, clock):
    clock.now_s = ANCHOR + 500 * DAY
    assert receiver.put_report(customer.report()).status_code == 201


def test_enrolment_refused_for_its_time_is_taken_later(receiver, clock):
    customer = Customer()
    clock.now_s = ANCHOR - 2 * DAY
    answer = receiver.put_key(customer.enrolment)
    assert (answer.status_code, error_of(answer)) == (403, "IssuedInFuture")
    clock.now_s = ANCHOR
    assert receiver.put_key(customer.enrolment).status_code == 201


def test_licence_bound_to_another_key_does_not_enrol(receiver):
    bound = licence(first_key=key("somebody else").kid)
    answer = receiver.put_key(Customer(license=bound).enrolment)
    assert (answer.status_code, error_of(answer)) == (403, "LicenseKeyMismatch")


def test_licence_with_other_terms_for_a_known_subscription_does_not_enrol(receiver, customer):
    from datetime import date

    from licenseusage.reports.terms import CycleTerms

    changed = licence(cycle=CycleTerms(date(2026, 1, 1), length_days=31))
    answer = receiver.put_key(Customer("other", license=changed).enrolment)
    assert (answer.status_code, error_of(answer)) == (403, "LicenseTermsChanged")


def test_report_issued_in_the_future_is_rejected_and_signed(receiver, customer, clock):
    token = customer.report(kind="final", cycle=0)
    clock.now_s = ANCHOR + 29 * DAY
    answer = receiver.put_report(token)
    receipt = receiver.receipt(token, answer)
    assert (answer.status_code, receipt.verdict, receipt.error) == (
        422,
        "Rejected",
        "IssuedInFuture",
    )
    assert receipt.head == receipt.subject.link


def test_receipt_is_signed_anew_only_if_its_key_was_withdrawn(start, clock):
    from tests.receiver.people import RECEIPT_KEY, published

    customer, new = Customer(), key("new receipt key")
    first = start()
    answer = first.put_key(customer.enrolment)
    clock.now_s += 1000
    rotated = start(vendor_keys=published(RECEIPT_KEY, new), receipt_key=new)
    assert rotated.put_key(customer.enrolment).content == answer.content
    withdrawn = start(vendor_keys=published(new), receipt_key=new)
    again = withdrawn.put_key(customer.enrolment)
    receipt = withdrawn.receipt(customer.enrolment, again)
    assert again.status_code == 200
    assert receipt.issued_at_s == receipt.received_at_s + 1000
    assert withdrawn.put_key(customer.enrolment).content == again.content


def test_unknown_address_and_method_are_problems(receiver):
    answer = receiver.get("/v1/nothing")
    assert (answer.status_code, error_of(answer)) == (404, "NotFound")
    answer = receiver.get(f"/v1/reports/{ID}")
    assert (answer.status_code, error_of(answer)) == (405, "MethodNotAllowed")
    assert answer.headers["allow"] == "PUT"


def test_problem_names_its_class_by_an_address_that_explains_it(receiver):
    answer = receiver.put_report(Customer().report())
    kind = answer.json()["type"]
    assert kind == "https://usage.vendor.example/v1/problems/KeyUnknown"
    assert "KeyUnknown" in receiver.get(kind).text


@pytest.mark.parametrize(
    ("what", "state", "reason"),
    [
        ("accepted", "Accepted", "Accepted"),
        ("rejected", "Rejected", "CycleOrder"),
        ("conflict", "Conflict", "ReportConflict"),
        ("unknown", "Pending", "KeyUnknown"),
        ("elsewhere", "Pending", "LicenseMismatch"),
        ("damaged", "Rejected", "SignatureInvalid"),
        ("too large", "Rejected", "TooLarge"),
        ("unstored", "Pending", "VendorUnavailable"),
    ],
)
def test_sender_reads_the_answer_as_it_was_meant(
    receiver, customer, monkeypatch, what, state, reason
):
    final = customer.report(kind="final")
    receiver.put_report(final)
    token = {
        "accepted": customer.report(final, kind="final", cycle=1),
        "rejected": customer.report(final),
        "conflict": customer.report(kind="final", users=41),
        "unknown": Customer("unknown").report(),
        "elsewhere": Customer(license=licence(subscription="sub-2")).report(),
        "damaged": customer.report(final, kind="final", cycle=1)[:-10] + "AAAAAAAAAA",
        "too large": customer.report(final, kind="final", cycle=1),
        "unstored": customer.report(final, kind="final", cycle=1),
    }[what]
    if what == "unstored":
        monkeypatch.setattr("licenseusage.receiver.receipts.build_receipt", None)
    sent = token + "A" * 65536 if what == "too large" else token
    answer = receiver.put("reports", jti(token), sent)
    seen = Answer(answer.status_code, answer.headers["content-type"], answer.content)
    outcome = classify(seen, receiver.vendor_keys, Sent.from_token(token))
    assert (outcome.state, outcome.reason) == (state, reason)


def test_hostile_host_header_is_not_repeated(receiver):
    answer = receiver.put("reports", ID, b"x", host='evil"><script>')
    assert "script" not in answer.text
