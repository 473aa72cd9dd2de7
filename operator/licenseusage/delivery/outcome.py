"""The meaning of an answer, or of none, for the document sent (REPORT_FORMAT §9). Pure.

Only a receipt that verifies ends the sending: a status code alone never does, since any proxy or
captive portal can send one.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from licenseusage.delivery.outbox import DeliveryState
from licenseusage.delivery.schedule import Schedule
from licenseusage.reports.grammar import is_token
from licenseusage.reports.keys import VendorKey
from licenseusage.reports.receipt import Receipt, Sent, Verdict, verify_receipt
from licenseusage.reports.refused import MEANING, UNSIGNED_CLASSES, Refused
from licenseusage.reports.strictjson import parse_object

RECEIPT_TYPE = "application/jose"
PROBLEM_TYPE = "application/problem+json"

_VERDICT = {
    200: Verdict.ACCEPTED,
    201: Verdict.ACCEPTED,
    409: Verdict.CONFLICT,
    422: Verdict.REJECTED,
}
_SLOW = {
    401: "Unauthorized",
    403: "Forbidden",
    404: "EndpointNotFound",
    410: "EndpointNotFound",
}
_TEMPORARY = {408: "VendorUnavailable", 425: "Throttled", 429: "Throttled"}
_UNSIGNED_STATUS = (400, 413)


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer, read within limits.

    Attributes:
        content_type: The header, empty if absent.
        body: Empty where the answer was longer than allowed: then it holds no receipt.
        retry_after: The header, None if absent.
    """

    status: int
    content_type: str
    body: bytes
    retry_after: str | None = None


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """Nothing that is HTTP came back.

    Attributes:
        reason: ``EndpointUnreachable``, ``TLSFailed`` or ``Timeout``.
        cause: In a few words, for people.
    """

    reason: str
    cause: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """The document's next state, the reason, and the schedule of the next attempt."""

    state: DeliveryState
    reason: str
    schedule: Schedule
    receipt: Receipt | None = None


def classify(
    answer: Answer | NoAnswer, vendor_keys: Mapping[str, VendorKey], sent: Sent
) -> Outcome:
    """Return the meaning of an answer; never raises, whatever the answer contains."""
    if isinstance(answer, NoAnswer):
        return Outcome(DeliveryState.PENDING, answer.reason, Schedule.BACKOFF)
    problem = _problem(answer)
    if answer.status in _VERDICT:
        token = _text(answer.body) if _media(answer) == RECEIPT_TYPE else problem.get("receipt")
        return _signed(answer.status, token, vendor_keys, sent)
    error = problem.get("error")
    named = error if is_token(error) else None
    if answer.status in _SLOW:
        reason = str(named or _SLOW[answer.status])
        return Outcome(DeliveryState.PENDING, reason, Schedule.SLOW)
    if answer.status in _UNSIGNED_STATUS and named in UNSIGNED_CLASSES:
        return Outcome(DeliveryState.REJECTED, str(named), Schedule.DAILY)
    temporary = answer.status in _TEMPORARY or 500 <= answer.status <= 599
    reason = _TEMPORARY.get(answer.status, "VendorUnavailable")
    return Outcome(
        DeliveryState.PENDING,
        reason if temporary else "UnexpectedResponse",
        Schedule.BACKOFF,
    )


def explain(outcome: Outcome, answer: Answer | NoAnswer, host: str) -> str:
    """Return a message for people: what was seen and the fix, without the answer's body."""
    reason = outcome.reason
    if isinstance(answer, NoAnswer):
        return f"{host} gave no answer ({answer.cause}). {_FIX[reason]}"
    seen = f"{host} answered {answer.status}"
    if outcome.receipt is not None:
        verdict = outcome.receipt.verdict
        if verdict is Verdict.ACCEPTED:
            return f"{host} accepted it; receipt verified."
        return f"{host} signed the verdict {verdict}: {MEANING.get(reason, reason)}."
    if reason in _FIX:
        return f"{seen}. {_FIX[reason]}"
    return f"{seen}: {MEANING.get(reason, reason)}."


_FIX = {
    "EndpointUnreachable": (
        "Check DNS, network policies and the proxy; it is sent again by itself."
    ),
    "TLSFailed": (
        "Its certificate is not trusted: set LICENSEUSAGE_VENDOR_CA_FILE if it, or a proxy before "
        "it, uses a certificate authority of your own."
    ),
    "Timeout": "It is sent again by itself; if this goes on, check the proxy and the firewall.",
    "ReceiptInvalid": (
        "The answer holds no receipt that verifies, so nothing counts as delivered. Look for a "
        "proxy or portal that answers in its place, or install the vendor's current key manifest."
    ),
    "UnexpectedResponse": (
        "This is not an answer of the usage API. Check the endpoint in the licence, and any proxy."
    ),
    "Unauthorized": "Something in between, perhaps a proxy, asks for a login.",
    "Forbidden": "The vendor, or something in between, refuses this installation: ask the vendor.",
    "EndpointNotFound": "There is no usage API: check the endpoint in the licence, or the proxy.",
    "Throttled": "The vendor asks to wait; it is sent again by itself.",
    "VendorUnavailable": "The vendor's service is in trouble; it is sent again by itself.",
    "KeyUnknown": (
        "The vendor does not know this installation; its enrolment is sent again. If this goes on, "
        "ask the vendor."
    ),
}


def _signed(
    status: int, token: object, vendor_keys: Mapping[str, VendorKey], sent: Sent
) -> Outcome:
    try:
        receipt = verify_receipt(token, vendor_keys, sent)
    except Refused:
        return Outcome(DeliveryState.PENDING, "ReceiptInvalid", Schedule.BACKOFF)
    if receipt.verdict is not _VERDICT[status]:
        return Outcome(DeliveryState.PENDING, "UnexpectedResponse", Schedule.BACKOFF)
    return Outcome(
        DeliveryState(receipt.verdict.value),
        receipt.error or "Accepted",
        Schedule.NONE,
        receipt,
    )


def _problem(answer: Answer) -> dict[str, object]:
    """Return the members of a problem document (RFC 9457); empty if it is none."""
    if _media(answer) != PROBLEM_TYPE:
        return {}
    try:
        return parse_object(answer.body)
    except Refused:
        return {}


def _media(answer: Answer) -> str:
    return answer.content_type.split(";")[0].strip().lower()


def _text(body: bytes) -> str | None:
    try:
        return body.decode("ascii")
    except UnicodeDecodeError:
        return None
