"""Rows: ids, times and members of the wrong kind, and expressions that meet them."""

from typing import Any

from tests.sources.hostile.case import (
    ANN,
    BOB,
    LEAK,
    OLD,
    PEOPLE,
    WRITTEN,
    AtLeast,
    Case,
    Complete,
    Fails,
    text,
    users,
)
from tests.sources.product import answer, at

_DEEP: Any = "x"
for _ in range(900):
    _DEEP = [_DEEP]


def _row(**fields: Any) -> bytes:
    return users(ANN, OLD, {"id": LEAK, "seen": at("10T08:00:00"), **fields})


def _reads(**fields: Any) -> dict[str, Any]:
    """A source whose users are read so."""
    last_active = fields.pop("lastActive", {})
    return {"users": {"lastActive": {"path": "seen", **last_active}, **fields}}


_PAGED = {"type": "Offset", "offsetParam": "offset", "limitParam": "limit", "size": 5}

IDS = [
    Case("an id that is a list", _row(id=[LEAK]), Fails("IdInvalid")),
    Case("an id that is an object", _row(id={LEAK: 1}), Fails("IdInvalid")),
    Case("an id that is a fraction", _row(id=4.5), Fails("IdInvalid")),
    Case("an id that is true", _row(id=True), Fails("IdInvalid")),
    Case("an id in 900 lists", _row(id=_DEEP), Fails("IdInvalid")),
    Case("an active user without an id", _row(id=None), Fails("IdMissing")),
    Case("an active user with an empty id", _row(id=""), Fails("IdMissing")),
    Case("an active user whose id is white space", _row(id="  "), Fails("IdMissing"),
         _reads(normalize=["Trim"])),
    Case("an idle user without an id", users(*PEOPLE, {"seen": None}), Complete(2)),
    Case("an id that is a number and a text", users(ANN, {**BOB, "id": 1}, {**BOB, "id": "1"}),
         AtLeast(2, "RowsRepeated")),
    Case("one id twice", users(*PEOPLE, ANN), AtLeast(2, "RowsRepeated")),
    Case("one id 5,000 times", users(*[ANN] * 5000), AtLeast(1, "RowsRepeated")),
    Case("ids of 400 digits on pages", users(
        {**ANN, "id": 10**400}, {**BOB, "id": -(10**400)}, total=2), Complete(2),
        {"http": {"pagination": {**_PAGED, "total": "total"}}}),
    Case("an id in 900 lists on pages", _row(id=_DEEP), Fails("IdInvalid"),
         {"http": {"pagination": _PAGED}}),
    Case("ids of many kinds on pages by key", users({"id": [1]}, {"id": {"a": 1}}, {"id": True}),
         Fails("IdInvalid"), {"http": {"pagination": {
             "type": "Cursor", "params": [{"name": "after", "path": "next"}]}},
             "guarantees": {"order": "KeyCursor"}}),
    Case("ids that are objects on pages by key", users({"id": {"a": 1}}, {"id": {"a": 2}}),
         Fails("IdInvalid"), {"http": {"pagination": {
             "type": "Cursor", "params": [{"name": "after", "path": "next"}]}},
             "guarantees": {"order": "KeyCursor"}}),
    Case("two spellings of one letter", users(
        {**ANN, "id": "ren\u00e9"}, {**BOB, "id": "rene\u0301"}), Complete(2)),
    Case("two spellings of one letter, normalised", users(
        {**ANN, "id": "ren\u00e9"}, {**BOB, "id": "rene\u0301"}), Complete(1),
        _reads(normalize=["NFC"])),
    Case("letters that change their number when lowered", users(
        {**ANN, "id": "\u0130pek"}, {**BOB, "id": "ipek"}), Complete(2),
        _reads(normalize=["Trim", "Lowercase", "NFC"])),
]  # fmt: skip

_ORDERED = {"guarantees": {"order": "Activity"}, "http": {"pagination": _PAGED}}
_CREATED = _reads(createdAt={"path": "made"})

TIMES = [
    Case("a time that is a list", _row(seen=[1]), Fails("TimestampInvalid")),
    Case("a time that is an object", _row(seen={"date": 1}), Fails("TimestampInvalid")),
    Case("a time in 900 lists", _row(seen=_DEEP), Fails("TimestampInvalid")),
    Case("a time in 900 lists, with words for never", _row(seen=_DEEP), Fails("TimestampInvalid"),
         _reads(lastActive={"never": ["Never"]})),
    Case("a time that is true", _row(seen=True), Fails("TimestampInvalid")),
    Case("a time that is a word", _row(seen=LEAK), Fails("TimestampInvalid")),
    Case("a time of one letter", _row(seen="x"), Fails("TimestampInvalid")),
    Case("a time of a megabyte", _row(seen="2" * 1_000_000), Fails("TimestampInvalid")),
    Case("a time without a year", _row(seen="10 Nov 08:00"), Fails("TimestampInvalid")),
    Case("a day without a time", _row(seen="2026-11-10"), Fails("TimestampInvalid")),
    Case("the 31st of November", _row(seen="2026-11-31T08:00:00Z"), Fails("TimestampInvalid")),
    Case("a time at 25 o'clock", _row(seen=at("10T25:00:00")), Fails("TimestampInvalid")),
    Case("a zone of 99 hours", _row(seen="2026-11-10T08:00:00+99:00"), Fails("TimestampInvalid")),
    Case("digits of another script", _row(seen="\uff12\uff10\uff12\uff16-11-10T08:00:00Z"),
         Fails("TimestampInvalid")),
    Case("a time in the future", _row(seen=at("25T08:00:00")), Fails("StampInFuture")),
    Case("the end of time", _row(seen="9999-12-31T23:59:59.999Z"), Fails("StampInFuture")),
    Case("the end of time far in the west", _row(seen="9999-12-31T23:59:59-23:59"),
         Fails("StampInFuture")),
    Case("the end of time in a zone", _row(seen="9999-12-31T23:59:59"), Fails("StampInFuture"),
         _reads(lastActive={"naiveTimezone": "America/Los_Angeles"})),
    Case("the beginning of time far in the east", _row(seen="0001-01-01T00:00:00+23:59"),
         Complete(1)),
    Case("the beginning of time in a zone", _row(seen="0001-01-01T00:00:00"), Complete(1),
         _reads(lastActive={"naiveTimezone": "Asia/Tokyo"})),
    Case("seconds that are milliseconds", _row(seen=1_794_297_600_000), Fails("TimestampInvalid"),
         _reads(lastActive={"format": "EpochSeconds"})),
    Case("milliseconds that are seconds", users({"id": "a", "seen": 1_794_297_600}),
         AtLeast(0, "NobodyStamped"),
         _reads(lastActive={"format": "EpochMillis"})),
    Case("a text where a number is declared", _row(seen="soon"), Fails("TimestampInvalid"),
         _reads(lastActive={"format": "EpochMillis"})),
    Case("a number where a pattern is declared", _row(seen=5), Fails("TimestampInvalid"),
         _reads(lastActive={"format": "%d.%m.%Y %H:%M:%S"})),
    Case("a year of five digits by a pattern", _row(seen="10.11.20260 08:00:00"),
         Fails("TimestampInvalid"), _reads(lastActive={"format": "%d.%m.%Y %H:%M:%S"})),
    Case("a zone without an end by a pattern", _row(seen="10.11.2026 08:00:00 +99:99"),
         Fails("TimestampInvalid"), _reads(lastActive={"format": "%d.%m.%Y %H:%M:%S %z"})),
    Case("nobody's time", users({"id": "a"}, {"id": "b", "seen": None}),
         AtLeast(0, "NobodyStamped")),
    Case("the epoch for everybody", users({"id": "a", "seen": 0}, {"id": "b", "seen": 0}),
         AtLeast(0, "NobodyStamped")),
    Case("times out of the declared order", users(BOB, ANN), Fails("OrderViolated"), _ORDERED),
    Case("times of the wrong kind in a declared order", users(ANN, {**BOB, "seen": LEAK}),
         Fails("TimestampInvalid"), _ORDERED),
    Case("a creation that is a list", _row(made=[1]), Fails("TimestampInvalid"), _CREATED),
    Case("a creation that is an object", _row(made={"a": 1}), Fails("TimestampInvalid"), _CREATED),
    Case("a creation that is a word", _row(made=LEAK), Fails("TimestampInvalid"), _CREATED),
    Case("a creation that is true", _row(made=True), Fails("TimestampInvalid"), _CREATED),
    Case("a time and a creation of other kinds", _row(seen=[1], made=5), Fails("TimestampInvalid"),
         _CREATED),
    Case("a time and a creation that are objects", _row(seen={"a": 1}, made={"a": 1}),
         Fails("TimestampInvalid"), _CREATED),
    Case("a creation after the last activity", _row(made=at("15T08:00:00")), Complete(0), _CREATED),
    Case("a creation in 10,000 years", _row(made="9999-12-31T23:59:59Z"), Complete(0), _CREATED),
]  # fmt: skip

_GROUPS = {"users": {"exclude": "contains(groups, 'bots')"}}
_AGE = {"users": {"exclude": "age > `5`"}}

EXPRESSIONS = [
    Case("rows that are texts", users("ann", "bob"), AtLeast(0, "NobodyStamped")),
    Case("rows that are numbers", users(1, 2), AtLeast(0, "NobodyStamped")),
    Case("rows that are null", users(None, None), AtLeast(0, "NobodyStamped")),
    Case("rows that are lists", users([ANN], [BOB]), AtLeast(0, "NobodyStamped")),
    Case("a row that is null among others", users(*PEOPLE, None), Complete(2)),
    Case("a member declared as an object that is a text", _row(profile="x"), Fails("IdMissing"),
         _reads(id="profile.id")),
    Case("a list where contains() is asked", _row(groups=["bots"]), Fails("ExpressionFailed"),
         _GROUPS),
    Case("a number where contains() is asked", users({**ANN, "groups": 7}),
         Fails("ExpressionFailed"), _GROUPS),
    Case("a text compared with a number", _row(age="old"), Fails("ExpressionFailed"), _AGE),
    Case("a text ordered against nothing", users({**ANN, "age": "old"}),
         Complete(1), {"users": {"exclude": "age > other"}}),
    Case("a text ordered against a number of the row", users({**ANN, "age": "old", "other": 1}),
         Fails("ExpressionFailed"), {"users": {"exclude": "age > other"}}),
    Case("a text ordered against a number on pages", users({**ANN, "age": "old", "other": 1}),
         Fails("ExpressionFailed"), {"users": {"exclude": "age > other"},
                                     "http": {"pagination": _PAGED}}),
    Case("an object of users where a list is declared", users(x=1), AtLeast(0, "EmptyListing")),
    Case("values() of a text", users(), Fails("ExpressionFailed"),
         {"http": {"items": "values('a')"}}),
    Case("values() of an empty list", users(), AtLeast(0, "EmptyListing"),
         {"http": {"items": "values(value)"}}),
    Case("values() of a list, as PHP writes a map", users(*PEOPLE), Complete(2),
         {"http": {"items": "values(value)"}}),
    Case("all members of an empty list", users(), AtLeast(0, "EmptyListing"),
         {"http": {"items": "value.*"}}),
    Case("all members of a list", users(ANN), Fails("ItemsNotAList"),
         {"http": {"items": "value.*"}}),
    Case("values of a map", answer({"value": {"a": ANN, "b": BOB}}), Complete(2),
         {"http": {"items": "values(value)"}}),
    Case("sorted by what cannot be sorted", users({"id": "a", "seen": 1}, {"id": "b", "seen": "x"}),
         Fails("ExpressionFailed"), {"http": {"items": "sort_by(value, &seen)"}}),
    Case("every zeroth row", users(*PEOPLE), Fails("ExpressionFailed"),
         {"http": {"items": "value[::0]"}}),
    Case("a sum of texts", users(ANN), Fails("ExpressionFailed"),
         {"users": {"id": "to_string(sum([id]))"}}),
    Case("a mean of texts", users(ANN), Fails("ExpressionFailed"),
         {"users": {"id": "to_string(avg([id, id]))"}}),
    Case("an integer of 400 digits rounded", text(b'{"id": ' + b"9" * 400 + b'}'),
         Complete(1), {"users": {"id": "to_string(id)"}}),
    Case("the ceiling of an integer of 400 digits", users(
        {**ANN, "id": 10**400}), Complete(1), {"users": {"id": "to_string(ceil(id))"}}),
    Case("a number out of a text without end", users({**ANN, "id": "9" * 5000}),
         Fails("IdInvalid"), {"users": {"id": "to_number(id)"}}),
    Case("a row in 900 lists in whole items", users(ANN, {**OLD, "x": _DEEP}), Complete(1),
         {"users": {"id": "to_string(id)"}}),
    Case("an id made of 900 lists", users({**ANN, "id": _DEEP}), Complete(1),
         {"users": {"id": "to_string(id)"}}),
]  # fmt: skip

TWICE = [
    Case("a list that stands twice", answer(b'{"value": [], "value": [' + WRITTEN + b"]}"),
         AtLeast(1, "AnswerAmbiguous")),
    Case("an id that stands twice in a row", text(b'{"id": "bob", "id": "bea"}'),
         AtLeast(1, "AnswerAmbiguous")),
    Case("a time that stands twice in a row", text(
        b'{"id": "bob", "seen": null, "seen": "2026-11-19T23:59:59Z"}'),
        AtLeast(2, "AnswerAmbiguous")),
    Case("a member that nobody reads twice in a row", text(
        b'{"id": "bob", "a": 1, "a": 2, "seen": null, "b": {"id": 1, "seen": 2}}'), Complete(1)),
]  # fmt: skip

CASES = [*IDS, *TIMES, *EXPRESSIONS, *TWICE]
