"""Reading a document from a request: bounded in size and time before anything looks at it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from fastapi import Request
from starlette.requests import ClientDisconnect

from licenseusage.reasons import Reason
from licenseusage.reports.bundle import MAX_CHARACTERS_IN_FILE, MAX_LINES
from licenseusage.reports.refused import Refused, need
from licenseusage.reports.tokens import typ_of
from licenseusage.reports.typs import BUNDLE, MAX_CHARACTERS

MEDIA_TYPE = "application/jose"
TEXT = "text/plain"
READ_SECONDS = 30
"""A sender gives up after 30 s in all (REPORT_FORMAT §9); nobody may hold a request open longer."""
FILE_SECONDS = 120
"""For a bundle, which a person sends, perhaps over a slow line."""
FILES_AT_A_TIME = 6
"""A bundle is in memory as a whole while it is judged."""
_AGAIN_SECONDS = 10


class RequestRefused(Exception):
    """The request itself is wrong, whatever document it may carry."""

    def __init__(self, error: Reason, detail: str, retry_after_seconds: int | None = None) -> None:
        """Keep the problem's class, its detail, and when to send it again at the earliest."""
        super().__init__(detail)
        self.error = error
        self.detail = detail
        self.retry_after_seconds = retry_after_seconds


class FilePlaces:
    """The places for requests with a whole file; used in one event loop."""

    def __init__(self, places: int = FILES_AT_A_TIME) -> None:
        """Have so many places."""
        self._free = places

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Take a place for the block.

        Raises:
            RequestRefused: ``VendorUnavailable``: all are taken. Send it again later.
        """
        if not self._free:
            raise RequestRefused(
                Reason.VENDOR_UNAVAILABLE,
                "other bundles are being read now; send it again later",
                retry_after_seconds=_AGAIN_SECONDS,
            )
        self._free -= 1
        try:
            yield
        finally:
            self._free += 1


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
    _check_media_type(request, MEDIA_TYPE, "the token")
    raw = await read_body(request, limit=limit, seconds=READ_SECONDS)
    try:
        return raw.decode("ascii")
    except UnicodeDecodeError:
        raise Refused(Reason.MALFORMED_TOKEN, "not ASCII") from None


async def read_bundle(request: Request, *, limit: int = MAX_CHARACTERS_IN_FILE) -> str:
    """Return the body as text, which begins with the manifest of a bundle.

    What cannot be a bundle is refused as soon as its first line shows it, so that nobody has
    16 MiB of something else read.

    Args:
        request: Of media type ``text/plain``; parameters of it are ignored.
        limit: Longest body, in bytes.

    Raises:
        RequestRefused: as ``read_token``, after ``FILE_SECONDS``.
        Refused: ``TooLarge`` as soon as that is known; ``BundleInvalid`` or a class of layer 1: its
            first line is no manifest; it is not ASCII.
    """
    _check_media_type(request, TEXT, "the bundle")
    raw = await read_body(
        request, limit=limit, seconds=FILE_SECONDS, check_beginning=_check_manifest
    )
    return bundle_text(raw)


def bundle_text(raw: bytes) -> str:
    """Return a file as text.

    Raises:
        Refused: ``BundleInvalid``: it is not ASCII.
    """
    try:
        return raw.decode("ascii")
    except UnicodeDecodeError:
        raise Refused(Reason.BUNDLE_INVALID, "not ASCII") from None


async def read_body(
    request: Request,
    *,
    limit: int,
    seconds: float,
    check_beginning: Callable[[bytearray], bool] | None = None,
    drained: int = 0,
) -> bytes:
    """Return the body of a request.

    Args:
        request: Its headers have been looked at.
        limit: Longest body, in bytes.
        seconds: The time for all of it.
        check_beginning: Looks at what has arrived until it returns True; may refuse it.
        drained: A body of up to so many bytes beyond ``limit`` is read to its end and thrown away
            before it is refused: a browser shows no answer while it is still sending.

    Raises:
        RequestRefused: ``RequestTimeout`` or ``RequestCut``.
        Refused: ``TooLarge``, or what ``check_beginning`` raises.
    """
    declared = request.headers.get("content-length", "")
    too_large = Refused(Reason.TOO_LARGE, f"at most {_size(limit)}")
    if declared.isdecimal() and int(declared[:20]) > limit + drained:
        raise too_large
    raw, length, checked = bytearray(), 0, check_beginning is None
    try:
        async with asyncio.timeout(seconds):
            async for chunk in request.stream():
                length += len(chunk)
                if length > limit + drained:
                    raise too_large
                if length > limit:
                    raw.clear()
                    continue
                raw += chunk
                checked = checked or (check_beginning is not None and check_beginning(raw))
    except TimeoutError:
        raise RequestRefused(
            Reason.REQUEST_TIMEOUT, f"the body was not complete after {seconds:.0f} s"
        ) from None
    except ClientDisconnect:
        raise RequestRefused(
            Reason.REQUEST_CUT, "the connection ended before the body did"
        ) from None
    if length > limit:
        raise too_large
    return bytes(raw)


def _size(limit: int) -> str:
    return f"{limit} characters" if limit < 2**20 else f"{limit // 2**20} MiB"


def _check_media_type(request: Request, expected: str, what: str) -> None:
    media_type = request.headers.get("content-type", "").split(";")[0].strip().lower()
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if media_type != expected or encoding != "identity":
        raise RequestRefused(
            Reason.UNSUPPORTED_MEDIA_TYPE,
            f"send {what} as it is, with content-type: {expected}",
        )


def _check_manifest(raw: bytearray) -> bool:
    """Look at the first line; return whether it was complete.

    Raises:
        Refused: it is no manifest, whatever may follow.
    """
    need(raw.count(b"\n") <= MAX_LINES, Reason.TOO_LARGE, f"at most {MAX_LINES} lines")
    line, end, _ = raw.partition(b"\n")
    need(len(line) <= MAX_CHARACTERS[BUNDLE] + 1, Reason.BUNDLE_INVALID, _FIRST_LINE)
    if not end:
        return False
    need(line.isascii(), Reason.BUNDLE_INVALID, "not ASCII")
    text = line.decode("ascii").removesuffix("\r")  # that it must not be there is said later
    need(typ_of(text) == BUNDLE, Reason.BUNDLE_INVALID, _FIRST_LINE)
    return True


_FIRST_LINE = "the first line is the manifest"
