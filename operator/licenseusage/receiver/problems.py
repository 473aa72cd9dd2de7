"""The receiver's answers to refused documents: RFC 9457 problems with an error class.

The class is the protocol (REPORT_FORMAT §9 and §12); ``detail`` is for people and is never parsed.
"""

from collections.abc import Mapping
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from licenseusage.reasons import Reason
from licenseusage.reasons.book import BOOK
from licenseusage.reports.refused import MEANING, UNSIGNED_CLASSES

MEDIA_TYPE = "application/problem+json"

_TRANSPORT = {
    Reason.NOT_FOUND: 404,
    Reason.METHOD_NOT_ALLOWED: 405,
    Reason.REQUEST_TIMEOUT: 408,
    Reason.REQUEST_CUT: 400,
    Reason.REQUEST_EXPIRED: 403,
    Reason.UNSUPPORTED_MEDIA_TYPE: 415,
    Reason.FORBIDDEN: 403,
    Reason.UNAUTHORIZED: 401,
    Reason.TOO_MANY_CONFLICTS: 429,
    Reason.INTERNAL_ERROR: 500,
    Reason.VENDOR_UNAVAILABLE: 503,
}
"""Classes that speak of the request, not of the document, with their HTTP status."""

CLASSES: Mapping[str, str] = {**MEANING, **{reason: BOOK[reason].means for reason in _TRANSPORT}}
"""Every class that a problem of this receiver may name, with its meaning: the problem's title."""


STORAGE = Reason.VENDOR_UNAVAILABLE
"""The class of whatever could not be stored or signed."""


class Problem(BaseModel):
    """A problem of RFC 9457, with the error class of REPORT_FORMAT §12."""

    model_config = ConfigDict(extra="forbid")

    type: Annotated[
        str, Field(description="Address of this receiver's page about the class.", max_length=4096)
    ]
    title: Annotated[str, Field(description="What the class means.")]
    status: Annotated[int, Field(ge=400, le=599, description="The HTTP status.")]
    detail: Annotated[str, Field(description="What was seen here, for people; never parsed.")]
    error: Annotated[str, Field(pattern="^[A-Z][A-Za-z0-9]{0,63}$", description="The error class.")]


class SignedProblem(Problem):
    """A problem that is a signed verdict: the document is stored, as a link or as evidence."""

    receipt: Annotated[
        str,
        Field(
            pattern=r"^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$",
            max_length=8192,
            description="The receipt, `Rejected` or `Conflict`: only it ends the sending.",
        ),
    ]


def status_of(error: Reason) -> int:
    """Return the HTTP status of an unsigned refusal.

    400 and 413: it could not be authenticated (layers 1-2), or a bundle is damaged. 401: by a key
    that is not enrolled, which the sender heals by sending its key statements. 403: authentic, but
    not for this vendor, subscription or time; unsigned, hence never final.
    """
    if error in _TRANSPORT:
        return _TRANSPORT[error]
    if error == Reason.TOO_LARGE:
        return 413
    if error in UNSIGNED_CLASSES or error == Reason.BUNDLE_INVALID:
        return 400
    return 401 if error == Reason.KEY_UNKNOWN else 403


def problem(base_url: str, error: Reason, detail: str) -> Problem:
    """Return an unsigned problem; ``base_url`` is this receiver's endpoint."""
    return Problem(
        type=_type(base_url, error),
        title=CLASSES.get(error, _TITLE),
        status=status_of(error),
        detail=detail,
        error=error,
    )


def signed_problem(base_url: str, status: int, error: str, receipt: str) -> SignedProblem:
    """Return the problem that carries the receipt of a verdict other than ``Accepted``."""
    title = CLASSES.get(error, _TITLE)
    kept = "kept as evidence" if status == 409 else "stored as a link of its chain"
    return SignedProblem(
        type=_type(base_url, error),
        title=title,
        status=status,
        detail=f"{title}; the document is {kept}",
        error=error,
        receipt=receipt,
    )


def _type(base_url: str, error: str) -> str:
    return f"{base_url.rstrip('/')}/v1/problems/{error}"


_TITLE = "the document was refused"
