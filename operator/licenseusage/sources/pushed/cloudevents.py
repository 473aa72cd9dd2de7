"""What a request to the intake says: CloudEvents 1.0 over HTTP, in the form of docs/push.md.

Structured mode, one event or a batch, and binary mode. No message quotes anything that was sent:
an event's place, the member and the fix have to do, since any value may be somebody's id.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NoReturn, TypeVar
from urllib.parse import unquote

import msgspec

from licenseusage.reasons import Reason

_T = TypeVar("_T")

ACTIVITY = "dev.licenseusage.activity"
HEARTBEAT = "dev.licenseusage.heartbeat"
STRUCTURED = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"
BINARY = "application/json"
MEDIA_TYPES = (STRUCTURED, BATCH, BINARY)

_LONGEST_ID = 1024
_LONGEST_PRODUCER = 256
_SINCE_MS = 631_152_000_000  # 1990: no product's activity is older
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_TIME = re.compile(
    r"(\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:)(\d\d)(\.\d{1,9})?\d*([Zz]|[+-]\d\d:\d\d)", re.ASCII
)
_PRODUCER = re.compile(r"[!-~]+")
_BROKEN = re.compile("[\ud800-\udfff\ufdd0\x00]")


class BadPushError(ValueError):
    """A request that is not in the form; the text names place, member and fix, and no value.

    Attributes:
        reason: ``PushInvalid`` for the request as a whole, ``EventInvalid`` for an event of it.
    """

    def __init__(self, reason: Reason, text: str) -> None:
        """Keep the reason and the text."""
        super().__init__(text)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Activity:
    """One activity: who (as sent), and when (ms since the epoch)."""

    user: str
    at_ms: int


@dataclass(frozen=True, slots=True)
class Pushed:
    """What a request says.

    Attributes:
        producer: The attribute ``source`` of all its events; empty: it has none.
        activities: In the order in which they were sent.
        through_ms: The greatest heartbeat: whatever was recorded before it has been sent; None:
            there is none.
    """

    producer: str
    activities: tuple[Activity, ...]
    through_ms: int | None = None


class _Data(msgspec.Struct):
    user: str | int | None = None
    through: str | None = msgspec.field(default=None, name="completeThrough")


class _Event(msgspec.Struct):
    specversion: str
    id: str
    source: str
    type: str
    time: str | None = None
    data: _Data | None = None


_event = msgspec.json.Decoder(_Event)
_batch = msgspec.json.Decoder(list[_Event])
_data = msgspec.json.Decoder(_Data)


def read(media_type: str, headers: Mapping[str, str], body: bytes, most: int) -> Pushed:
    """Read a request.

    Args:
        media_type: One of `MEDIA_TYPES`, without parameters.
        headers: Of the request, with names in lower case; asked for in binary mode only.
        body: Not encoded.
        most: So many events may be in a batch.

    Raises:
        BadPushError: It is not in the form; nothing of it may be used.
    """
    match media_type:
        case "application/cloudevents-batch+json":
            events = _decoded(_batch.decode, body)
        case "application/cloudevents+json":
            events = [_decoded(_event.decode, body)]
        case _:
            events = [_binary(headers, body)]
    if len(events) > most:
        raise BadPushError(
            Reason.PUSH_TOO_LARGE, f"the batch has {len(events)} events, at most {most} may be sent"
        )
    return _pushed(events)


def _decoded(decode: Callable[[bytes], _T], body: bytes) -> _T:
    try:
        return decode(body)
    except msgspec.ValidationError as error:
        # Its text names types, members and the place, and no value.
        raise BadPushError(Reason.EVENT_INVALID, _placed(str(error))) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise BadPushError(Reason.PUSH_INVALID, "the body is not JSON in UTF-8") from None


def _binary(headers: Mapping[str, str], body: bytes) -> _Event:
    attributes = {}
    for name in ("specversion", "id", "source", "type"):
        value = headers.get(f"ce-{name}")
        if value is None:
            raise BadPushError(
                Reason.PUSH_INVALID,
                f"header ce-{name} is missing: with {BINARY} the attributes are headers (binary "
                f"mode); else send {STRUCTURED} or {BATCH}",
            )
        attributes[name] = unquote(value)
    return _Event(**attributes, time=headers.get("ce-time"), data=_decoded(_data.decode, body))


def _placed(text: str) -> str:
    """Return a decoder's text with the number of the event, counted from 1."""
    match = re.search(r" - at `\$(?:\[(\d+)\])?\.?(.*)`$", text)
    if match is None:
        return f"the body: {text[0].lower()}{text[1:]}"
    words = text[: match.start()]
    number = f"event {int(match[1]) + 1}" if match[1] else "the event"
    member = f", {match[2]}" if match[2] else ""
    return f"{number}{member}: {words[0].lower()}{words[1:]}"


def _pushed(events: list[_Event]) -> Pushed:
    producers = {event.source for event in events}
    if len(producers) > 1:
        raise BadPushError(
            Reason.PUSH_INVALID,
            f"the events have {len(producers)} different values of source: send those of each "
            "producer in requests of their own",
        )
    activities, through_ms = [], None
    for number, event in enumerate(events, start=1):
        _check(number, event)
        if event.type == HEARTBEAT:
            at_ms = _heartbeat(number, event)
            through_ms = at_ms if through_ms is None else max(through_ms, at_ms)
        else:
            activities.append(_activity(number, event))
    return Pushed(next(iter(producers), ""), tuple(activities), through_ms)


def _check(number: int, event: _Event) -> None:
    if event.specversion != "1.0":
        _refuse(number, "specversion must be 1.0")
    if not event.id:
        _refuse(number, "id is empty: give each event an id of its own")
    if len(event.source) > _LONGEST_PRODUCER or not _PRODUCER.fullmatch(event.source):
        _refuse(
            number,
            f"source must be a URI or a path such as /shop/web-0, at most {_LONGEST_PRODUCER} "
            "characters of ASCII without spaces",
        )
    if event.type not in (ACTIVITY, HEARTBEAT):
        _refuse(number, f"type must be {ACTIVITY} or {HEARTBEAT}")


def _heartbeat(number: int, event: _Event) -> int:
    if event.data is None or event.data.through is None:
        _refuse(number, "data.completeThrough is missing: the time before which all was sent")
    return _time(number, "data.completeThrough", event.data.through)


def _activity(number: int, event: _Event) -> Activity:
    if event.data is None or event.data.user is None or event.data.user == "":
        _refuse(number, "data.user is missing: the permanent id of the user, a text or an integer")
    user = str(event.data.user)
    if len(user) > _LONGEST_ID:
        _refuse(number, f"data.user is longer than {_LONGEST_ID} characters")
    if _BROKEN.search(user):
        _refuse(number, "data.user has broken letters")
    if event.time is None:
        _refuse(number, "time is missing: when the user was active")
    return Activity(user, _time(number, "time", event.time))


def _time(number: int, member: str, text: str) -> int:
    match = _TIME.fullmatch(text)
    if match is None:
        _refuse(number, f"{member} must be RFC 3339 with an offset, such as 2026-01-31T12:00:00Z")
    minute, second, part, zone = match.groups()
    leap = second == "60"
    iso = f"{minute}{'59' if leap else second}{(part or '')[:7]}{zone.upper()}"
    try:
        at = datetime.fromisoformat(iso.replace("t", "T"))
    except ValueError:
        _refuse(number, f"{member} is no time that exists")
    at_ms = (at - _EPOCH) // _MILLISECOND
    if leap:
        at_ms = at_ms // 1000 * 1000 + 999
    if at_ms < _SINCE_MS:
        _refuse(number, f"{member} is before 1990, which no activity is: see the producer's clock")
    return at_ms


def _refuse(number: int, text: str) -> NoReturn:
    raise BadPushError(Reason.EVENT_INVALID, f"event {number}: {text}")
