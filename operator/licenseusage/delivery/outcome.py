"""The meaning of an answer, or of none, for the document sent (REPORT_FORMAT §9). Pure.

Only a receipt that verifies ends the sending: a status code alone never does, since any proxy or
captive portal can send one.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from licenseusage.delivery.outbox import DeliveryState
from licenseusage.delivery.schedule import Schedule
from licenseusage.reasons import Reason
from licenseusage.reasons.book import BOOK
from licenseusage.reasons.reporting import ENDPOINT
from licenseusage.reports.grammar import is_token
from licenseusage.reports.keys import VendorKey
from licenseusage.reports.receipt import Receipt, ReceiptVerdict, Sent, verify_receipt
from licenseusage.reports.refused import MEANING, UNSIGNED_CLASSES, Refused
from licenseusage.reports.strictjson import parse_object

RECEIPT_TYPE = "application/jose"
PROBLEM_TYPE = "application/problem+json"

_VERDICT = {
    200: ReceiptVerdict.ACCEPTED,
    201: ReceiptVerdict.ACCEPTED,
    409: ReceiptVerdict.CONFLICT,
    422: ReceiptVerdict.REJECTED,
}
_SLOW = {
    401: Reason.UNAUTHORIZED,
    403: Reason.FORBIDDEN,
    404: Reason.ENDPOINT_NOT_FOUND,
    410: Reason.ENDPOINT_NOT_FOUND,
}
_TEMPORARY = {408: Reason.VENDOR_UNAVAILABLE, 425: Reason.THROTTLED, 429: Reason.THROTTLED}
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
    problem = problem_of(answer)
    if answer.status in _VERDICT:
        token = _text(answer.body) if media_of(answer) == RECEIPT_TYPE else problem.get("receipt")
        return _signed(answer.status, token, vendor_keys, sent)
    error = problem.get("error")
    named = error if is_token(error) else None
    if answer.status in _SLOW:
        reason = str(named or _SLOW[answer.status])
        return Outcome(DeliveryState.PENDING, reason, Schedule.SLOW)
    if answer.status in _UNSIGNED_STATUS and named in UNSIGNED_CLASSES:
        return Outcome(DeliveryState.REJECTED, str(named), Schedule.DAILY)
    temporary = answer.status in _TEMPORARY or 500 <= answer.status <= 599
    reason = _TEMPORARY.get(answer.status, Reason.VENDOR_UNAVAILABLE)
    return Outcome(
        DeliveryState.PENDING,
        reason if temporary else Reason.UNEXPECTED_RESPONSE,
        Schedule.BACKOFF,
    )


def explain(outcome: Outcome, answer: Answer | NoAnswer, host: str) -> str:
    """Return a message for people: what was seen and the fix, without the answer's body."""
    reason = outcome.reason
    if isinstance(answer, NoAnswer):
        return f"{host} gave no answer ({answer.cause}). {_FIX[reason]}"
    seen = f"{host} answered {answer.status}"
    if outcome.receipt is not None:
        return explain_receipt(outcome.receipt, host)
    if reason in _FIX:
        return f"{seen}. {_FIX[reason]}"
    return f"{seen}: {MEANING.get(reason, reason)}."


def explain_receipt(receipt: Receipt, vendor: str) -> str:
    """Return a message for people: the decision in a verified receipt.

    Args:
        receipt: The receipt.
        vendor: Who gave it: the host, or the vendor's name.
    """
    if receipt.verdict is ReceiptVerdict.ACCEPTED:
        return f"{vendor} accepted it; receipt verified."
    reason = receipt.error or ""
    return f"{vendor} signed the verdict {receipt.verdict}: {MEANING.get(reason, reason)}."


_FIX: Mapping[str, str] = {
    **{reason: entry.fix for reason, entry in ENDPOINT.entries.items()},
    Reason.RECEIPT_INVALID: BOOK[Reason.RECEIPT_INVALID].fix,
    Reason.TLS_FAILED: (
        "Its certificate is not trusted: set LICENSEUSAGE_VENDOR_CA_FILE if it, or a proxy before "
        "it, uses a certificate authority of your own."
    ),
    Reason.UNAUTHORIZED: "Something in between, perhaps a proxy, asks for a login.",
    Reason.KEY_UNKNOWN: (
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
        return Outcome(DeliveryState.PENDING, Reason.RECEIPT_INVALID, Schedule.BACKOFF)
    if receipt.verdict is not _VERDICT[status]:
        return Outcome(DeliveryState.PENDING, Reason.UNEXPECTED_RESPONSE, Schedule.BACKOFF)
    return Outcome(
        DeliveryState(receipt.verdict.value),
        receipt.error or Reason.ACCEPTED,
        Schedule.NONE,
        receipt,
    )


def problem_of(answer: Answer) -> dict[str, object]:
    """Return the members of a problem document (RFC 9457); empty if it is none."""
    if media_of(answer) != PROBLEM_TYPE:
        return {}
    try:
        return parse_object(answer.body)
    except Refused:
        return {}


def media_of(answer: Answer) -> str:
    """Return the media type of an answer, without its parameters; empty if it names none."""
    return answer.content_type.split(";")[0].strip().lower()


def _text(body: bytes) -> str | None:
    try:
        return body.decode("ascii")
    except UnicodeDecodeError:
        return None
