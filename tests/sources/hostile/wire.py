"""The wire: heads, statuses, lengths and pieces that no product should send, and some do."""

import itertools
import json
import time
from collections.abc import Callable, Iterable
from dataclasses import replace

from tests.sources.hostile.case import (
    LIMITS,
    PEOPLE,
    SILENCE_SECONDS,
    AtLeast,
    Case,
    Complete,
    Fails,
)
from tests.sources.product import SECRET, Answer, Request, answer, at

_BODY = json.dumps({"value": PEOPLE}).encode()
SHORT = {"limits": replace(LIMITS, poll_seconds=1)}
_CHUNKED: dict[str, str | None] = {"Content-Length": None, "Transfer-Encoding": "chunked"}


def sent(*parts: bytes) -> Callable[[Request], Iterable[bytes]]:
    """Send these parts and close the connection."""
    return lambda _: list(parts)


def chunked(*pieces: bytes) -> Callable[[Request], Iterable[bytes]]:
    return sent(answer(b"", headers=_CHUNKED), *pieces)


def _head(**headers: str | None) -> bytes:
    return answer(_BODY, headers=_named(headers))


def _status(status: str, body: bytes = b"", **headers: str | None) -> bytes:
    return answer(body, status, headers=_named(headers))


def _named(headers: dict[str, str | None]) -> dict[str, str | None]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


def piece(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def _silent(*first: bytes) -> Iterable[bytes]:
    """Send this, and nothing more for longer than anybody waits."""
    yield from first
    time.sleep(2 * SILENCE_SECONDS)


def _endless(first: bytes, again: bytes) -> Iterable[bytes]:
    yield first
    yield from itertools.repeat(again)


STATUSES = [
    Case("401", _status("401 Unauthorized"), Fails("Unauthorized")),
    Case("403", _status("403 Forbidden"), Fails("AccessDenied")),
    Case("404", _status("404 Not Found"), Fails("PathNotFound")),
    Case("405", _status("405 Method Not Allowed"), Fails("UnexpectedStatus")),
    Case("429", _status("429 Too Many Requests"), Fails("TooManyRequests")),
    Case("500", _status("500 Internal Server Error"), Fails("ServerError")),
    Case("599", _status("599 x"), Fails("ServerError")),
    Case("201 with a list", _status("201 Created", _BODY), Fails("UnexpectedStatus")),
    Case("203 with a list", _status("203 Changed", _BODY), Fails("UnexpectedStatus")),
    Case("204", _status("204 No Content"), Fails("AnswerEmpty")),
    Case("206 with a list", _status("206 Partial Content", _BODY), Fails("UnexpectedStatus")),
    Case("101", sent(b"HTTP/1.1 101 Switching Protocols\r\n\r\n"), Fails("UnexpectedStatus")),
    Case("a status of 999", _status("999 x"), Fails("ServerError")),
    Case("a status of 1000", _status("1000 x"), Fails("NotHTTP")),
    Case("a status of 0", _status("0 x"), Fails("NotHTTP")),
    Case("a negative status", _status("-200 OK"), Fails("NotHTTP")),
    Case("a status without words", _status("200", _BODY), Complete(2)),
    Case("a status in another script", _status("\uff12\uff10\uff10 OK", _BODY), Fails("NotHTTP")),
    Case("100 and then 200", sent(b"HTTP/1.1 100 Continue\r\n\r\n", answer(_BODY)), Complete(2)),
]  # fmt: skip

REDIRECTS = [
    Case("a redirect nowhere", _status("302 Found"), Fails("Redirected")),
    Case("a redirect to a sign-in page", _status(
        "302 Found", Location=f"https://sso.example.org/login?token={SECRET}"),
        Fails("Redirected")),
    Case("a redirect with a password", _status(
        "302 Found", Location=f"https://a:{SECRET}@sso.example.org/"), Fails("Redirected")),
    Case("a redirect that is no URL", _status("302 Found", Location="http://["),
         Fails("Redirected")),
    Case("a redirect to no address", _status("302 Found", Location="http://[::1::2]/"),
         Fails("Redirected")),
    Case("a redirect to a port of words", _status("302 Found", Location="http://x:http/"),
         Fails("Redirected")),
    Case("a redirect to letters that become others", _status(
        "302 Found", Location="http://a\u00bd\u00a8b/"), Fails("Redirected")),
    Case("a redirect of 60 KB", _status("302 Found", Location="http://" + "a" * 60_000),
         Fails("Redirected")),
    Case("a redirect of control characters", _status("302 Found", Location="http://\x01\x7f/"),
         Fails("Redirected")),
    Case("a redirect to itself", lambda asked: _status("307 x", Location=asked.path),
         Fails("Redirected")),
    Case("300", _status("300 Multiple Choices"), Fails("Redirected")),
]  # fmt: skip


def _later(etag: str | None, then: bytes) -> Callable[[Request], Answer]:
    """Send a list with this ETag, and ``then`` to whoever asks whether that has changed."""
    return lambda asked: then if "if-none-match" in asked.headers else _head(ETag=etag)


def _growing(etag: str) -> Callable[[Request], Answer]:
    """Send a longer list each time, with the same ETag, and never say that it has not changed."""
    lists = (answer({"value": [*PEOPLE, *([] if n == 0 else [EVE])]}) for n in itertools.count())
    marked = (one.replace(b"\r\n", f"\r\nETag: {etag}\r\n".encode(), 1) for one in lists)
    return lambda _: next(marked)


def _not_modified(**headers: str | None) -> bytes:
    return _status("304 Not Modified", Content_Length=None, **headers)


EVE = {"id": "eve", "seen": at("10T10:00:00")}
BY_ETAG = {"http": {"validator": "ETag"}}
UNCHANGED = _not_modified(ETag='"a"')
CHANGES = [
    Case("304", _status("304 Not Modified"), Fails("UnaskedNotModified")),
    Case("304 with the right ETag, not asked for", UNCHANGED, Fails("UnaskedNotModified")),
    Case("304 as the first answer, with a validator", UNCHANGED,
         Fails("UnaskedNotModified"), BY_ETAG),
    Case("304 that names the list that was read", _later('"a"', UNCHANGED),
         AtLeast(2, "ListUnchanged"), BY_ETAG, polls=2),
    Case("304 with a list behind it", _later('"a"', UNCHANGED + _BODY),
         AtLeast(2, "ListUnchanged"), BY_ETAG, polls=2),
    Case("304 with another ETag", _later('"a"', _not_modified(ETag='"b"')),
         Complete(2), BY_ETAG, polls=2),
    Case("304 with the ETag made weak", _later('"a"', _not_modified(ETag='W/"a"')),
         Complete(2), BY_ETAG, polls=2),
    Case("304 without an ETag", _later('"a"', _not_modified()), Complete(2), BY_ETAG, polls=2),
    Case("304 with two ETags", _later('"a"', _not_modified(ETag='"a"\r\nETag: "a"')),
         Complete(2), BY_ETAG, polls=2),
    Case("304 without a Date where the clock is not declared",
         _later('"a"', _not_modified(ETag='"a"', Date=None)), Fails("ClockUnknown"),
         BY_ETAG | {"guarantees": {"clockSkewSeconds": None}}, polls=2),
    Case("412 to a list that may be unchanged", _later('"a"', _status("412 x")),
         Fails("UnexpectedStatus"), BY_ETAG, polls=2),
    Case("one ETag for two lists", _growing('"a"'), Complete(3), BY_ETAG, polls=2),
    Case("a weak ETag", _later('W/"a"', UNCHANGED), Complete(2), BY_ETAG, polls=2),
    Case("an ETag without quotes", _later("a", UNCHANGED), Complete(2), BY_ETAG, polls=2),
    Case("an empty ETag", _later('""', UNCHANGED), Complete(2), BY_ETAG, polls=2),
    Case("an ETag of 60 KB", _later(f'"{"a" * 60_000}"', UNCHANGED), Complete(2),
         BY_ETAG, polls=2),
    Case("an ETag of control characters", _later('"\x01\x0b"', UNCHANGED), Complete(2),
         BY_ETAG, polls=2),
    Case("an ETag in another script", _later('"\u00e4"', UNCHANGED), Complete(2),
         BY_ETAG, polls=2),
    Case("two ETags", _later('"a"\r\nETag: "b"', UNCHANGED), Complete(2), BY_ETAG, polls=2),
]  # fmt: skip

HEADS = [
    Case("no HTTP", sent(b"SSH-2.0-OpenSSH_9\r\n\r\n"), Fails("NotHTTP")),
    Case("TLS", sent(b"\x15\x03\x01\x00\x02\x02\x46"), Fails("NotHTTP")),
    Case("HTTP/2", sent(b"\x00\x00\x12\x04\x00\x00\x00\x00\x00"), Fails("NotHTTP")),
    Case("HTTP/9.9", sent(_head().replace(b"HTTP/1.1", b"HTTP/9.9")), Fails("NotHTTP")),
    Case("HTTP/1.0", sent(_head().replace(b"HTTP/1.1", b"HTTP/1.0")), Complete(2)),
    Case("not a word", sent(b""), Fails("ConnectionLost")),
    Case("half a status line", sent(b"HTTP/1."), Fails("NotHTTP")),
    Case("half a head", sent(b"HTTP/1.1 200 OK\r\nDate:"), Fails("AnswerEmpty")),
    Case("a status line of 70 KB", sent(b"HTTP/1.1 200 " + b"O" * 70_000), Fails("NotHTTP")),
    Case("a header of 70 KB", _head(X_Long="x" * 70_000), Fails("NotHTTP")),
    Case("200 headers", _head(**{f"X_{n}": "x" for n in range(200)}), Fails("NotHTTP")),
    Case("a header without a colon", _head(X_A="a\r\nleaky-id-4711"), Complete(2)),
    Case("a header folded over lines", _head(X_A="a\r\n b\r\n c"), Complete(2)),
    Case("a header with bytes of no script", _head(X_A="\u00ff\u00fe"), Complete(2)),
    Case("a Date of words", _head(Date="yesterday"), Complete(2)),
    Case("a Date of the year 99999", _head(Date="Fri, 20 Nov 99999 12:00:00 GMT"), Complete(2)),
    Case("no Date", _head(Date=None), Complete(2)),
    Case("no Date where the clock is not declared", _head(Date=None), Fails("ClockUnknown"),
         {"guarantees": {"clockSkewSeconds": None}}),
    Case("a Date of the year 99999 where the clock is not declared",
         _head(Date="Fri, 20 Nov 99999 12:00:00 GMT"), Fails("ClockUnknown"),
         {"guarantees": {"clockSkewSeconds": None}}),
    Case("a Date of 99 digits where the clock is not declared",
         _head(Date="Fri, " + "9" * 99 + " Nov 2026 12:00:00 GMT"), Fails("ClockUnknown"),
         {"guarantees": {"clockSkewSeconds": None}}),
    Case("a Date of 1970 where the clock is not declared",
         _head(Date="Thu, 01 Jan 1970 00:00:00 GMT"), Fails("ClockSkewTooLarge"),
         {"guarantees": {"clockSkewSeconds": None}}),
    Case("an Age where the clock is not declared", _head(Age="9" * 5000), Fails("ClockUnknown"),
         {"guarantees": {"clockSkewSeconds": None}}),
    Case("an encoding of 4 KB", _head(Content_Encoding="g" * 4000), Fails("UnknownEncoding")),
    Case("a Link of brackets", _head(Link="<" * 30_000), Complete(2)),
    Case("a Link of parameters", _head(Link="<a>" + "; a=b" * 10_000), Complete(2)),
    Case("a Link of quotes", _head(Link='<a>; a="' + "\\" * 30_000), Complete(2)),
    Case("a Content-Type of 30 KB", _head(Content_Type="text/html;" * 3_000), Complete(2)),
    Case("an X-Total of 400 digits", _head(X_Total="9" * 400), Complete(2)),
]  # fmt: skip

LENGTHS = [
    Case("a length that is too great", sent(answer(_BODY, length=len(_BODY) + 9)),
         Fails("AnswerTruncated")),
    Case("a length that is too small", answer(_BODY, length=len(_BODY) - 9),
         Fails("AnswerInvalidJSON")),
    Case("a length that is negative", sent(answer(_BODY, length=-5)), Complete(2)),
    Case("a length of words", sent(_head(Content_Length="many")), Complete(2)),
    Case("a length of 400 digits", sent(_head(Content_Length="9" * 400)),
         Fails("AnswerTruncated")),
    Case("a length of 5000 digits", sent(_head(Content_Length="9" * 5000)), Complete(2)),
    Case("a length of 0 and a list", answer(_BODY, length=0), Fails("AnswerEmpty")),
    Case("no length and a closed connection", sent(_head(Content_Length=None)), Complete(2)),
    Case("no length, cut", sent(answer(_BODY[:-9], headers={"Content-Length": None})),
         Fails("AnswerInvalidJSON")),
    Case("pieces", chunked(piece(_BODY[:9]), piece(_BODY[9:]), b"0\r\n\r\n"), Complete(2)),
    Case("pieces of one byte", chunked(*(piece(bytes([b])) for b in _BODY), b"0\r\n\r\n"),
         Complete(2)),
    Case("pieces without the last", chunked(piece(_BODY)), Fails("AnswerTruncated")),
    Case("a piece that is cut", chunked(piece(_BODY)[:-30]), Fails("AnswerTruncated")),
    Case("a piece of negative length", chunked(b"-5\r\n", _BODY), Fails("AnswerTruncated")),
    Case("a piece of words", chunked(b"many\r\n", _BODY), Fails("AnswerTruncated")),
    Case("a piece of 400 digits", chunked(b"f" * 400 + b"\r\n", _BODY), Fails("AnswerTruncated")),
    Case("pieces and a length", sent(answer(
        piece(_BODY) + b"0\r\n\r\n", headers={"Transfer-Encoding": "chunked"})), Complete(2)),
    Case("trailers without end", chunked(piece(_BODY), b"0\r\n", b"X-A: b\r\n" * 5000),
         Complete(2)),
]  # fmt: skip

TIMES = [
    Case("silence", lambda _: _silent(), Fails("RequestTimeout")),
    Case("silence in the middle of the list", lambda _: _silent(
        answer(_BODY[:20], length=len(_BODY))), Fails("RequestTimeout")),
    Case("white space without end", lambda _: _endless(
        answer(b"", headers={"Content-Length": None}), b" " * 65_536), Fails("PollTooLarge")),
    Case("100 without end", lambda _: _endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 99),
         Fails("PollTimeout"), asked=SHORT),
    Case("one byte after the other", lambda _: _endless(answer(b"", length=9 << 20), b" "),
         Fails("PollTimeout"), asked=SHORT),
]  # fmt: skip

CASES = [*STATUSES, *REDIRECTS, *CHANGES, *HEADS, *LENGTHS, *TIMES]
