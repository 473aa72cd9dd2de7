"""One document per line: streams that are cut, broken or mixed with what is no user."""

import gzip
import json
from collections.abc import Callable, Iterable
from typing import Any

from tests.sources.hostile.case import LEAK, PEOPLE, AtLeast, Case, Complete, Fails
from tests.sources.hostile.wire import chunked, piece, sent
from tests.sources.product import Request, answer

BY_LINES: dict[str, Any] = {"http": {"path": "/users", "items": None, "format": "NDJSON"}}
_OFFSET = {"type": "Offset", "offsetParam": "offset", "limitParam": "limit", "size": 2}
_LINES = [json.dumps(row).encode() for row in PEOPLE]
WHOLE = b"".join(line + b"\n" for line in _LINES)
_CUT_BETWEEN = WHOLE[: WHOLE.index(b"\n", WHOLE.index(b"\n") + 1) + 1]
_CUT_WITHIN = WHOLE[:-20]
_ERROR = json.dumps({"error": f"database of {LEAK} is gone"}).encode() + b"\n"


def _by_offset(asked: Request) -> bytes:
    first = int(asked.param("offset") or 0)
    return answer(b"\n".join(_LINES[first : first + 2]))


def _until_closed(body: bytes, version: str = "1.1") -> Callable[[Request], Iterable[bytes]]:
    whole = answer(body, headers={"Content-Length": None, "Connection": "close"})
    return sent(whole.replace(b"HTTP/1.1", f"HTTP/{version}".encode()))


WRITTEN = [
    Case("lines", answer(WHOLE), Complete(2), BY_LINES),
    Case("lines in chunks", chunked(
        piece(WHOLE[:30]), piece(WHOLE[30:]), b"0\r\n\r\n"), Complete(2), BY_LINES),
    Case("lines without the last line break", answer(WHOLE[:-1]), Complete(2), BY_LINES),
    Case("lines with carriage returns", answer(WHOLE.replace(b"\n", b"\r\n")), Complete(2),
         BY_LINES),
    Case("lines with blank ones between", answer(b"\n \n" + WHOLE.replace(b"\n", b"\n\t\n\r\n")),
         Complete(2), BY_LINES),
    Case("lines behind a byte order mark", answer(b"\xef\xbb\xbf" + WHOLE), Complete(2), BY_LINES),
    Case("lines called text", answer(WHOLE, headers={"Content-Type": "text/plain"}), Complete(2),
         BY_LINES),
    Case("lines in gzip", answer(
        gzip.compress(WHOLE), headers={"Content-Encoding": "gzip"}), Complete(2), BY_LINES),
    Case("lines in gzip, member by member", answer(
        b"".join(gzip.compress(line + b"\n") for line in _LINES) + bytes(16),
        headers={"Content-Encoding": "gzip"}), Complete(2), BY_LINES),
    Case("lines of another program's users", answer(
        WHOLE + b'{"id": "x", "seen": null, "more": {"a": [1, {"b": "\\n"}]}}\n'), Complete(2),
        BY_LINES),
    Case("lines in pages", _by_offset, Complete(2), BY_LINES | {
        "http": {**BY_LINES["http"], "pagination": _OFFSET},
        "guarantees": {"order": "ImmutableKey"}}),
    Case("lines that link to a next page", lambda asked: answer(
        _LINES[1] if asked.query else _LINES[0],
        headers={} if asked.query else {"Link": '<?p=2>; rel="next"'}),
        AtLeast(2, "CannotOverlap"),
        {"http": {**BY_LINES["http"], "pagination": {"type": "Next"}}}),
]  # fmt: skip

CUT = [
    Case("no line", answer(b""), Fails("AnswerEmpty"), BY_LINES),
    Case("blank lines only", answer(b"\n\r\n \n"), Fails("AnswerEmpty"), BY_LINES),
    Case("lines that are cut within one", answer(_CUT_WITHIN), Fails("AnswerInvalidJSON"),
         BY_LINES),
    Case("lines that are cut between two", sent(answer(_CUT_BETWEEN, length=len(WHOLE))),
         Fails("AnswerTruncated"), BY_LINES),
    Case("lines in chunks without a last one", chunked(piece(_CUT_BETWEEN)),
         Fails("AnswerTruncated"), BY_LINES),
    Case("lines in a chunk that is cut between two", chunked(
        b"%x\r\n" % len(WHOLE), _CUT_BETWEEN), Fails("AnswerTruncated"), BY_LINES),
    Case("lines that end with the connection", _until_closed(WHOLE), AtLeast(2, "EndUnseen"),
         BY_LINES),
    Case("lines of HTTP/1.0", _until_closed(WHOLE, "1.0"), AtLeast(2, "EndUnseen"), BY_LINES),
    Case("lines that are cut between two by the connection", _until_closed(_CUT_BETWEEN),
         AtLeast(2, "EndUnseen"), BY_LINES),
    Case("lines that are cut within one by the connection", _until_closed(_CUT_WITHIN),
         Fails("AnswerInvalidJSON"), BY_LINES),
    Case("lines with two lengths", answer(WHOLE, headers={
        "Content-Length": str(len(_CUT_BETWEEN)), "content-length": str(len(WHOLE))}),
        AtLeast(2, "EndUnseen"), BY_LINES),
    Case("lines in gzip that is cut between two members", answer(
        gzip.compress(_CUT_BETWEEN) + gzip.compress(WHOLE)[:15],
        headers={"Content-Encoding": "gzip"}), Fails("AnswerTruncated"), BY_LINES),
    Case("lines in gzip behind which is something else", answer(
        gzip.compress(WHOLE) + b"more", headers={"Content-Encoding": "gzip"}),
        Fails("AnswerInvalidJSON"), BY_LINES),
]  # fmt: skip

MIXED = [
    Case("lines, the last one an error", answer(WHOLE + _ERROR), Fails("LineNotAUser"), BY_LINES),
    Case("lines with an error in the middle", answer(_ERROR + WHOLE), Fails("LineNotAUser"),
         BY_LINES),
    Case("a line that is null", answer(WHOLE + b"null\n"), Fails("LineNotAUser"), BY_LINES),
    Case("a line that is a number", answer(WHOLE + b"7\n"), Fails("LineNotAUser"), BY_LINES),
    Case("a line that is a text", answer(WHOLE + b'"ok"\n'), Fails("LineNotAUser"), BY_LINES),
    Case("a line that is an empty object", answer(WHOLE + b"{}\n"), Fails("LineNotAUser"),
         BY_LINES),
    Case("a list in one line", answer(b"[" + b",".join(_LINES) + b"]"), Fails("LineNotAUser"),
         BY_LINES),
    Case("a document in one line", answer({"value": PEOPLE}), Fails("LineNotAUser"), BY_LINES),
    Case("a document in many lines", answer(json.dumps({"value": PEOPLE}, indent=1).encode()),
         Fails("AnswerInvalidJSON"), BY_LINES),
    Case("a list in many lines", answer(b"[\n" + b",\n".join(_LINES) + b"\n]"),
         Fails("AnswerInvalidJSON"), BY_LINES),
    Case("lines where a document is expected", answer(WHOLE), Fails("AnswerInvalidJSON"),
         {"http": {"path": "/users", "items": None}}),
    Case("two documents in one line", answer(_LINES[0] + _LINES[1] + b"\n" + _LINES[2]),
         Fails("AnswerInvalidJSON"), BY_LINES),
    Case("a document in two lines", answer(WHOLE + b'{"id":\n"x"}\n'), Fails("AnswerInvalidJSON"),
         BY_LINES),
    Case("lines with commas", answer(b",\n".join(_LINES)), Fails("AnswerInvalidJSON"), BY_LINES),
    Case("lines that end by carriage returns alone", answer(b"\r".join(_LINES)),
         Fails("AnswerInvalidJSON"), BY_LINES),
    Case("lines behind record separators", answer(b"".join(
        b"\x1e" + line + b"\n" for line in _LINES)), Fails("AnswerInvalidJSON"), BY_LINES),
    Case("events of a browser", answer(b"".join(b"data: " + line + b"\n\n" for line in _LINES)),
         Fails("AnswerInvalidJSON"), BY_LINES),
    Case("comma-separated values", answer(b"id,seen\nann,2026-11-05\n"),
         Fails("AnswerInvalidJSON"), BY_LINES),
    Case("a sign-in page where lines are expected", answer(b"<!DOCTYPE html>\n<html>"),
         Fails("AnswerNotJSON"), BY_LINES),
    Case("a line that is nested too deeply", answer(WHOLE + b"[" * 100_000),
         Fails("AnswerInvalidJSON"), BY_LINES),
    Case("a line of 7 MB", answer(WHOLE + b'{"id": "x", "name": "' + b"x" * (7 << 20) + b'"}\n'),
         Complete(2), BY_LINES),
    Case("a line without end", lambda _: _endless(), Fails("PollTooLarge"), BY_LINES),
    Case("a line with half an emoji", answer(WHOLE + b'{"id": "x", "name": "\\ud83d"}\n'),
         Complete(2), BY_LINES),
    Case("a line in Latin-1", answer(WHOLE + b'{"id": "x", "name": "\xe9"}\n'), Complete(2),
         BY_LINES),
    Case("an id in Latin-1 in a line", answer(
        WHOLE + b'{"id": "\xe9", "seen": "2026-11-05T10:00:00Z"}\n'), AtLeast(2, "IdUnreadable"),
        BY_LINES),
    Case("a line with two ids", answer(WHOLE + b'{"id": "x", "id": "y", "seen": null}\n'),
         AtLeast(2, "AnswerAmbiguous"), BY_LINES),
    Case("a line that comes twice", answer(WHOLE + _LINES[0]), AtLeast(2, "RowsRepeated"),
         BY_LINES),
    Case("lines and a header that says more", answer(WHOLE, headers={"X-Total-Count": "9"}),
         AtLeast(2, "ListCut"), BY_LINES),
    Case("an id that is a list in a line", answer(WHOLE + b'{"id": [1], "seen": null}\n'),
         Fails("IdInvalid"), BY_LINES),
]  # fmt: skip


def _endless() -> Iterable[bytes]:
    yield answer(b"", headers={"Content-Length": None, "Transfer-Encoding": "chunked"})
    while True:
        yield b"10000\r\n" + b"x" * 0x10000 + b"\r\n"


CASES = [*WRITTEN, *CUT, *MIXED]
