"""What an answer means (REPORT_FORMAT §9): the vectors, and what they leave out."""

import pytest

from licenseusage.delivery.outbox import DeliveryState
from licenseusage.delivery.outcome import Answer, NoAnswer, classify, explain
from licenseusage.delivery.schedule import Schedule, delay_seconds
from licenseusage.reports.receipt import ReceiptVerdict, Sent
from tests.delivery.people import VENDOR_KEYS, VendorDesk, key, reports
from tests.reports import conformance

VECTORS = conformance.VECTORS
JOSE = "application/jose"


@pytest.mark.parametrize("case", VECTORS["responses"], ids=lambda case: case["name"])
def test_response_vector(case):
    ctx = conformance.Context({**VECTORS["context"], **VECTORS["responseContext"]})
    answer = Answer(case["status"], case["contentType"], case["body"].encode())
    outcome = classify(answer, conformance.VENDOR_KEYS, ctx.sent)
    assert (outcome.state, outcome.reason, outcome.schedule) == (
        case["state"],
        case["reason"],
        case["schedule"],
    )


@pytest.mark.parametrize("case", VECTORS["retries"], ids=lambda case: str(list(case.values())))
def test_retry_vector(case):
    delay = delay_seconds(
        Schedule(case["schedule"]), case["attempt"], case["permille"], case["retryAfter"]
    )
    assert delay == case["delay"]


def test_vectors_are_all_there():
    assert (len(VECTORS["responses"]), len(VECTORS["retries"])) == (28, 14)


TOKEN = reports(1)[0]
SENT = Sent.from_token(TOKEN)


def judge(status, body, content_type=JOSE):
    return classify(Answer(status, content_type, body), VENDOR_KEYS, SENT)


def test_a_receipt_signed_by_another_key_is_no_success():
    forged = VendorDesk(key=key("somebody else")).receipt(TOKEN)
    assert judge(201, forged.encode()).reason == "ReceiptInvalid"


def test_a_receipt_signed_by_the_licence_key_is_no_success():
    from tests.delivery.people import LICENCE_KEY

    forged = VendorDesk(key=LICENCE_KEY).receipt(TOKEN)
    assert judge(201, forged.encode()).reason == "ReceiptInvalid"


def test_a_receipt_for_another_installation_is_no_success():
    other = VendorDesk().receipt(TOKEN, installation=key("other").installation)
    assert judge(201, other.encode()).reason == "ReceiptInvalid"


def test_a_receipt_with_a_line_end_is_no_success():
    assert judge(201, VendorDesk().receipt(TOKEN).encode() + b"\n").reason == "ReceiptInvalid"


@pytest.mark.parametrize("body", [b"\xff\xfe\x00", b"", b"." * 20, b"a.b.c", b"{}"])
def test_any_bytes_are_only_an_unverified_receipt(body):
    outcome = judge(200, body)
    assert (outcome.state, outcome.reason) == (DeliveryState.PENDING, "ReceiptInvalid")


@pytest.mark.parametrize(
    "body",
    [
        b'{"error":"TooLarge","error":"TooLarge"}',
        b'{"error":["TooLarge"]}',
        b'{"error":"TooLarge"',
        b"[]",
        b"\xff",
    ],
)
def test_a_problem_that_is_not_strict_json_names_no_class(body):
    outcome = judge(413, body, "application/problem+json")
    assert (outcome.state, outcome.reason) == (DeliveryState.PENDING, "UnexpectedResponse")


@pytest.mark.parametrize("reason", ["EndpointUnreachable", "TLSFailed", "Timeout"])
def test_no_answer_is_tried_again(reason):
    outcome = classify(NoAnswer(reason, "x"), VENDOR_KEYS, SENT)
    assert (outcome.state, outcome.reason, outcome.schedule) == (
        DeliveryState.PENDING,
        reason,
        Schedule.BACKOFF,
    )


@pytest.mark.parametrize("case", VECTORS["responses"], ids=lambda case: case["name"])
def test_message_shows_the_status_and_nothing_of_the_body(case):
    ctx = conformance.Context({**VECTORS["context"], **VECTORS["responseContext"]})
    answer = Answer(case["status"], case["contentType"], case["body"].encode())
    outcome = classify(answer, conformance.VENDOR_KEYS, ctx.sent)
    message = explain(outcome, answer, "usage.vendor.example")
    assert message.startswith("usage.vendor.example")
    assert outcome.receipt is not None or str(case["status"]) in message
    assert not case["body"] or case["body"][:12] not in message


def test_message_of_a_signed_verdict_says_that_it_is_signed():
    receipt = VendorDesk().receipt(TOKEN, ReceiptVerdict.REJECTED, "CountsInconsistent")
    body = f'{{"error":"CountsInconsistent","receipt":"{receipt}"}}'.encode()
    answer = Answer(422, "application/problem+json", body)
    outcome = classify(answer, VENDOR_KEYS, SENT)
    assert outcome.state is DeliveryState.REJECTED
    assert "signed the verdict Rejected" in explain(outcome, answer, "v.example")


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (408, "VendorUnavailable"),
        (425, "Throttled"),
        (499, "UnexpectedResponse"),
        (500, "VendorUnavailable"),
        (599, "VendorUnavailable"),
        (600, "UnexpectedResponse"),
    ],
)
def test_the_edges_of_server_errors(status, reason):
    assert judge(status, b"", "text/html").reason == reason
