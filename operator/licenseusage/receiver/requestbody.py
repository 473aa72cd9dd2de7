"""Reading one token from a request: bounded in size and time before anything looks at it."""

import asyncio

from fastapi import Request
from starlette.requests import ClientDisconnect

from licenseusage.reasons import Reason
from licenseusage.reports.refused import Refused

MEDIA_TYPE = "application/jose"
READ_SECONDS = 30
"""A sender gives up after 30 s in all (REPORT_FORMAT §9); nobody may hold a request open longer."""


class RequestRefused(Exception):
    """The request itself is wrong, whatever document it may carry."""

    def __init__(self, error: Reason, detail: str, retry_after_seconds: int | None = None) -> None:
        """Keep the problem's class, its detail, and when to send it again at the earliest."""
        super().__init__(detail)
        self.error = error
        self.detail = detail
        self.retry_after_seconds = retry_after_seconds


async def read_token(request: Request, *, limit: int) -> str:
    """Return the body as text.

    Args:
        request: Of media type ``application/jose``; parameters of it are ignored.
        limit: Longest body, in bytes.

    Raises:
        RequestRefused: ``UnsupportedMediaType``, ``RequestTimeout`` after ``READ_SECONDS``, or
            ``RequestCut``: the connection ended before the body did.
        Refused: ``TooLarge`` as soon as that is known, ``MalformedToken`` if it is not ASCII.
    """
    media_type = request.headers.get("content-type", "").split(";")[0].strip().lower()
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if media_type != MEDIA_TYPE or encoding != "identity":
        raise RequestRefused(
            Reason.UNSUPPORTED_MEDIA_TYPE,
            f"send the token as it is, with content-type: {MEDIA_TYPE}",
        )
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared[:20]) > limit:
        raise Refused(Reason.TOO_LARGE, f"at most {limit} characters")
    try:
        async with asyncio.timeout(READ_SECONDS):
            raw = await _read(request, limit)
    except TimeoutError:
        raise RequestRefused(
            Reason.REQUEST_TIMEOUT, f"the body was not complete after {READ_SECONDS} s"
        ) from None
    except ClientDisconnect:
        raise RequestRefused(
            Reason.REQUEST_CUT, "the connection ended before the body did"
        ) from None
    try:
        return raw.decode("ascii")
    except UnicodeDecodeError:
        raise Refused(Reason.MALFORMED_TOKEN, "not ASCII") from None


async def _read(request: Request, limit: int) -> bytes:
    raw = bytearray()
    async for chunk in request.stream():
        raw += chunk
        if len(raw) > limit:
            raise Refused(Reason.TOO_LARGE, f"at most {limit} characters")
    return bytes(raw)
