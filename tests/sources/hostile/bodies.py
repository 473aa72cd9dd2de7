"""Bodies: what is no JSON, no list, or JSON that only just is."""

import gzip
import json
import zlib

from tests.sources.hostile.case import (
    ANN,
    BOB,
    LEAK,
    PEOPLE,
    AtLeast,
    Case,
    Complete,
    Fails,
    in_id,
    in_stamp,
    text,
    unmapped,
    users,
)
from tests.sources.product import answer

WHOLE = {"users": {"id": "to_string(id)"}}
"""An id that is more than a path: items are decoded as a whole then."""

_BODY = json.dumps({"value": PEOPLE}).encode()
_UTF8 = json.dumps({"value": [*PEOPLE, {"id": "åsa", "seen": None}]}, ensure_ascii=False)
_DEEP = b"[" * 100_000
_HTML = {"Content-Type": "text/html; charset=UTF-8"}
_LONG = b"9" * 400
_VERY_LONG = b"9" * 5000
_MANY = [{**ANN, "id": f"u{n}", "name": "x" * 40} for n in range(20_000)]


def _packed(how: str, data: bytes) -> bytes:
    return answer(data, headers={"Content-Encoding": how})


NOT_A_LIST = [
    Case("nothing at all", answer(b""), Fails("AnswerEmpty")),
    Case("white space", answer(b" \r\n\t\n"), Fails("AnswerEmpty")),
    Case("a byte order mark and nothing else", answer(b"\xef\xbb\xbf"), Fails("AnswerEmpty")),
    Case("zero bytes", answer(b"\0" * 1000), Fails("AnswerInvalidJSON")),
    Case("a sign-in page", answer(b"<html>sign in</html>"), Fails("AnswerNotJSON")),
    Case("a sign-in page called JSON", answer(b"<!DOCTYPE html>"), Fails("AnswerNotJSON")),
    Case("a sign-in page called HTML", answer(b" <p>", headers=_HTML), Fails("AnswerNotJSON")),
    Case("words called HTML", answer(b"sign in", headers=_HTML), Fails("AnswerInvalidJSON")),
    Case("an XML document", answer(b"<?xml version='1.0'?><u/>"), Fails("AnswerNotJSON")),
    Case("a page of 3 MB", answer(b"<p>" + b"x" * 3_000_000), Fails("AnswerNotJSON")),
    Case("plain words", answer(b"service unavailable"), Fails("AnswerInvalidJSON")),
    Case("YAML", answer(b"value:\n- id: ann\n"), Fails("AnswerInvalidJSON")),
    Case("an error with status 200", answer({"error": LEAK}), Fails("ItemsNotAList")),
    Case("a number", answer(b"-1"), Fails("ItemsNotAList")),
    Case("a text", answer(b'"leaky-id-4711"'), Fails("ItemsNotAList")),
    Case("null", answer(b"null"), Fails("ItemsNotAList")),
    Case("true", answer(b"true"), Fails("ItemsNotAList")),
    Case("a bare list where an object is declared", answer(PEOPLE), Fails("ItemsNotAList")),
    Case("a list that is an object", answer({"value": {"id": LEAK}}), Fails("ItemsNotAList")),
    Case("a list that is a text", answer({"value": LEAK}), Fails("ItemsNotAList")),
    Case("a list that is a number", answer({"value": 7}), Fails("ItemsNotAList")),
    Case("a list that is null", answer({"value": None}), Fails("ItemsNotAList")),
    Case("an object where a bare list is declared", answer({"value": PEOPLE}),
         Fails("ItemsNotAList"), {"http": {"items": None}}),
    Case("a list deeper than declared", answer({"a": []}), Fails("ItemsNotAList"),
         {"http": {"items": "a.b.c"}}),
    Case("an empty list", users(), AtLeast(0, "EmptyListing")),
    Case("two lists, one after the other", answer(_BODY + _BODY), Fails("AnswerInvalidJSON")),
    Case("a list and something after it", answer(_BODY + b"]"), Fails("AnswerInvalidJSON")),
    Case("one document a line", answer(b'{"id": 1}\n{"id": 2}\n'), Fails("AnswerInvalidJSON")),
]  # fmt: skip

BROKEN = [
    Case("cut in a text", answer(_BODY[:-30]), Fails("AnswerInvalidJSON")),
    Case("cut behind a row", answer(_BODY[: _BODY.index(b"}") + 1]), Fails("AnswerInvalidJSON")),
    Case("a comma too many", answer(b'{"value": [{"id": "a"},]}'), Fails("AnswerInvalidJSON")),
    Case("single quotes", answer(b"{'value': []}"), Fails("AnswerInvalidJSON")),
    Case("a comment", answer(b'{"value": [] /* none */}'), Fails("AnswerInvalidJSON")),
    Case("a callback around it", answer(b"f(" + _BODY + b")"), Fails("AnswerInvalidJSON")),
    Case("a guard before it", answer(b")]}'\n" + _BODY), Fails("AnswerInvalidJSON")),
    Case("NaN for a number", unmapped(b"NaN"), Fails("AnswerInvalidJSON")),
    Case("infinity for a number", unmapped(b"-Infinity"), Fails("AnswerInvalidJSON")),
    Case("a hexadecimal number", unmapped(b"0x1F"), Fails("AnswerInvalidJSON")),
    Case("a number with zeros in front", unmapped(b"007"), Fails("AnswerInvalidJSON")),
    Case("a line break inside a text", unmapped(b'"a\nb"'), Fails("AnswerInvalidJSON")),
    Case("an escape that does not exist", unmapped(b'"\\x41"'), Fails("AnswerInvalidJSON")),
    Case("half an escape", unmapped(b'"\\u00"'), Fails("AnswerInvalidJSON")),
    Case("100,000 lists in one another", answer(b'{"value": ' + _DEEP), Fails("AnswerInvalidJSON")),
    Case("as deep, and closed", answer(b'{"value": ' + _DEEP + b"]" * 100_000 + b"}"),
         Fails("AnswerInvalidJSON")),
    Case("UTF-16", answer('{"value": []}'.encode("utf-16")), Fails("AnswerInvalidJSON")),
    Case("UTF-32", answer('{"value": []}'.encode("utf-32")), Fails("AnswerInvalidJSON")),
]  # fmt: skip

TEXTS = [
    Case("a byte order mark", answer(b"\xef\xbb\xbf" + _BODY), Complete(2)),
    Case("letters beyond ASCII", answer(_UTF8.encode()), Complete(2)),
    Case("half an emoji in a name", unmapped(b'"Kai \\ud83d"'), Complete(2)),
    Case("half an emoji in a name of whole items", unmapped(b'"Kai \\ud83d"'), Complete(2), WHOLE),
    Case("half an emoji and a half after it", unmapped(b'"\\ud83d \\ude00"'), Complete(2)),
    Case("the halves of an emoji the wrong way round", unmapped(b'"\\ude00\\ud83d"'), Complete(2)),
    Case("half an emoji behind a backslash", unmapped(b'"\\\\\\ud83d"'), Complete(2)),
    Case("a backslash and letters like an escape", unmapped(b'"\\\\ud83d"'), Complete(2)),
    Case("a whole emoji, escaped", unmapped(b'"\\ud83d\\ude00"'), Complete(2)),
    Case("half an emoji in a member's name", unmapped(b'{"\\ud83d": 1}'), Complete(2)),
    Case("Latin-1 in a name", unmapped(b'"Andr\xe9"'), Complete(2)),
    Case("Latin-1 in a name of whole items", unmapped(b'"Andr\xe9"'), Complete(2), WHOLE),
    Case("Latin-1 in a member's name", unmapped(b'{"pr\xe9nom": 1}'), Complete(2)),
    Case("Latin-1 in a member's name of whole items", unmapped(b'{"pr\xe9nom": 1}'), Complete(2),
         WHOLE),
    Case("Latin-1 beside the list", answer(b'{"note": "caf\xe9", ' + _BODY[1:]), Complete(2)),
    Case("a name cut within a letter", unmapped(b'"caf\xc3"'), Complete(2), WHOLE),
    Case("surrogates written as UTF-8", unmapped(b'"\xed\xa0\xbd\xed\xb8\x80"'), Complete(2),
         WHOLE),
    Case("letters written too long", unmapped(b'"\xc0\xaf"'), Complete(2), WHOLE),
    Case("bytes that no text has", unmapped(b'"\xff\xfe"'), Complete(2), WHOLE),
    Case("a zero character in a name", unmapped(b'"a\\u0000b"'), Complete(2)),
    Case("a zero character in an id", in_id(b'"a\\u0000b"'), Complete(2)),
    Case("half an emoji in an id", in_id(b'"kai\\ud83d"'), AtLeast(1, "IdUnreadable")),
    Case("half an emoji in an id of whole items", in_id(b'"kai\\ud83d"'),
         AtLeast(1, "IdUnreadable"), WHOLE),
    Case("Latin-1 in an id", in_id(b'"andr\xe9"'), AtLeast(1, "IdUnreadable")),
    Case("Latin-1 in an id of whole items", in_id(b'"andr\xe9"'), AtLeast(1, "IdUnreadable"),
         WHOLE),
    Case("Latin-1 in an id and half an emoji in a name", text(
        b'{"id": "andr\xe9", "seen": "2026-11-19T23:59:59Z", "name": "\\ud83d"}'),
        AtLeast(1, "IdUnreadable")),
    Case("Latin-1 in the id of somebody never active", text(b'{"id": "andr\xe9"}'), Complete(1)),
    Case("Latin-1 in the id of somebody excluded", text(
        b'{"id": "andr\xe9", "seen": "2026-11-19T23:59:59Z", "bot": true}'), Complete(1),
        {"users": {"exclude": "bot"}}),
    Case("two ids broken alike", in_id(b'"\\ud83d"}, {"id": "\\ud83d"'),
         AtLeast(1, "IdUnreadable")),
    Case("half an emoji as a time", in_stamp(b'"2026-11-05T10:00:00\\ud83d"'),
         Fails("TimestampInvalid")),
    Case("Latin-1 as a time", in_stamp(b'"2026-11-05\xa010:00:00Z"'), Fails("TimestampInvalid")),
    Case("a JSON list called HTML", answer(_BODY, headers=_HTML), Complete(2)),
    Case("a JSON list called plain text", answer(_BODY, headers={"Content-Type": "text/plain"}),
         Complete(2)),
    Case("a JSON list called nothing", answer(_BODY, headers={"Content-Type": None}), Complete(2)),
    Case("a JSON list called Latin-1", answer(_UTF8.encode("latin-1"), headers={
        "Content-Type": "application/json; charset=iso-8859-1"}), Complete(2)),
]  # fmt: skip

NUMBERS = [
    Case("an unmapped integer of 400 digits", unmapped(_LONG), Complete(2)),
    Case("an unmapped integer of 400 digits in whole items", unmapped(_LONG), Complete(2), WHOLE),
    Case("an unmapped integer of 5000 digits", unmapped(_VERY_LONG), Complete(2)),
    Case("an unmapped integer of 5000 digits in whole items", unmapped(_VERY_LONG),
         Fails("AnswerInvalidJSON"), WHOLE),
    Case("an unmapped 1e400", unmapped(b"1e400"), Complete(2)),
    Case("an unmapped 1e400 in whole items", unmapped(b"1e400"), Fails("AnswerInvalidJSON"),
         WHOLE),
    Case("an id of 19 digits", in_id(b"9007199254740993001"), Complete(2)),
    Case("an id of 400 digits", in_id(_LONG), Complete(2)),
    Case("a negative id of 400 digits", in_id(b"-" + _LONG), Complete(2)),
    Case("an id of 5000 digits", in_id(_VERY_LONG), Fails("AnswerInvalidJSON")),
    Case("an id of a million digits", in_id(b"9" * 1_000_000), Fails("AnswerInvalidJSON")),
    Case("a time of 400 digits", in_stamp(_LONG), Fails("TimestampInvalid")),
    Case("a negative time of 400 digits", in_stamp(b"-" + _LONG), Complete(1)),
    Case("a time of 5000 digits", in_stamp(_VERY_LONG), Fails("AnswerInvalidJSON")),
    Case("a time of 1e300", in_stamp(b"1e300"), Fails("TimestampInvalid")),
    Case("a time of 1e400", in_stamp(b"1e400"), Fails("AnswerInvalidJSON")),
    Case("a time of -0.0", in_stamp(b"-0.0"), Complete(1)),
    Case("a time of 400 digits in seconds", in_stamp(_LONG), Fails("TimestampInvalid"),
         {"users": {"lastActive": {"path": "seen", "format": "EpochSeconds"}}}),
    Case("a time as a text of 400 digits in seconds", in_stamp(b'"' + _LONG + b'"'),
         Fails("TimestampInvalid"),
         {"users": {"lastActive": {"path": "seen", "format": "EpochSeconds"}}}),
]  # fmt: skip

PACKED = [
    Case("gzip that nobody asked for", _packed("gzip", gzip.compress(_BODY)), Complete(2)),
    Case("deflate that nobody asked for", _packed("deflate", zlib.compress(_BODY)), Complete(2)),
    Case("brotli", _packed("br", b"\x0b\x02\x80"), Fails("UnknownEncoding")),
    Case("two encodings", _packed("gzip, gzip", gzip.compress(_BODY)), Fails("UnknownEncoding")),
    Case("gzip that is none", _packed("gzip", _BODY), Fails("AnswerInvalidJSON")),
    Case("gzip that is cut", _packed("gzip", gzip.compress(_BODY)[:-9]), Fails("AnswerTruncated")),
    Case("gzip with a wrong checksum", _packed("gzip", gzip.compress(_BODY)[:-8] + b"\0" * 8),
         Fails("AnswerInvalidJSON")),
    Case("16 MB of zeros in 16 KB", _packed("gzip", gzip.compress(bytes(16 << 20))),
         Fails("PollTooLarge")),
    Case("gzip of nothing", _packed("gzip", gzip.compress(b"")), Fails("AnswerEmpty")),
]  # fmt: skip

LARGE = [
    Case("20,000 users in one answer", answer({"value": _MANY}), Complete(20_000)),
    Case("20,000 users, one with half an emoji in the name", answer(
        json.dumps({"value": [*_MANY[:-1], {**_MANY[-1], "name": "X"}]}).encode()
        .replace(b'"X"', b'"\\ud83d"')), Complete(20_000)),
    Case("20,000 users, one with Latin-1 in the id", answer(
        json.dumps({"value": [*_MANY[:-1], {**BOB, "id": "X"}]}).encode()
        .replace(b'"X"', b'"\xe9"')), AtLeast(19_999, "IdUnreadable")),
    Case("20,000 users, each with half an emoji", answer(
        json.dumps({"value": _MANY}).encode().replace(b"x" * 40, b"\\ud83d")), Complete(20_000)),
    Case("20,000 users, each with Latin-1, in whole items", answer(
        json.dumps({"value": _MANY}).encode().replace(b"x" * 40, b"\xe9\xe9")), Complete(20_000),
        WHOLE),
    Case("20,000 users behind a note in Latin-1", answer(
        b'{"note": "caf\xe9", ' + json.dumps({"value": _MANY}).encode()[1:]), Complete(20_000)),
    Case("20,000 users behind half an emoji", answer(
        b'{"note": "\\ud83d", ' + json.dumps({"value": _MANY}).encode()[1:]), Complete(20_000)),
    Case("20,000 users before a note in Latin-1", answer(
        json.dumps({"value": _MANY}).encode()[:-1] + b', "note": "caf\xe9"}'), Complete(20_000)),
    Case("20,000 users and garbage", answer(json.dumps({"value": _MANY}).encode()[:-2] + b"!]}"),
         Fails("AnswerInvalidJSON")),
    Case("20,000 users, cut", answer(json.dumps({"value": _MANY}).encode()[:-100]),
         Fails("AnswerInvalidJSON")),
    Case("an id of 2 MB", in_id(b'"' + b"i" * 2_000_000 + b'"'), Complete(2)),
    Case("a name of 2 MB", unmapped(b'"' + b"i" * 2_000_000 + b'"'), Complete(2)),
    Case("300,000 members in one row", unmapped(
        b"{" + b",".join(b'"%d":1' % n for n in range(300_000)) + b"}"), Complete(2)),
    Case("300,000 empty rows", answer(b'{"value": [' + b",".join([b"{}"] * 300_000) + b"]}"),
         AtLeast(0, "NobodyStamped")),
    Case("300,000 empty texts in place of rows", answer(
        b'{"value": [' + b'"",' * 300_000 + b'""]}'), AtLeast(0, "NobodyStamped")),
    Case("more bytes than a poll may read", answer(b'{"value": "' + b"x" * (9 << 20)),
         Fails("PollTooLarge")),
]  # fmt: skip

CASES = [*NOT_A_LIST, *BROKEN, *TEXTS, *NUMBERS, *PACKED, *LARGE]
