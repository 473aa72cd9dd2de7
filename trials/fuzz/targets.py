"""What is fuzzed: functions of bytes that raise nothing but a refusal with a name.

Raising anything else is a finding, and so is an answer that differs by how it came.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from email.message import Message as Headers
from http.client import HTTPResponse
from types import SimpleNamespace
from typing import cast

from licenseusage.api.source import Source
from licenseusage.errors import UsageError
from licenseusage.metering.cycles import DAY_MS, Cycle
from licenseusage.metering.pseudonym import Pseudonymiser
from licenseusage.sources.counts.exposition import Exposition, number_of
from licenseusage.sources.definition.expressions import Json
from licenseusage.sources.definition.model import EffectiveSource, Stamp
from licenseusage.sources.definition.numbers import Gauge
from licenseusage.sources.definition.presets import effective
from licenseusage.sources.definition.timestamps import BadStampError, reader
from licenseusage.sources.failures import PollError
from licenseusage.sources.http.asking import Head
from licenseusage.sources.http.httpstatus import refuse_status
from licenseusage.sources.lists.columns import Columns, ItemColumns
from licenseusage.sources.lists.decoder import PageDecoder
from licenseusage.sources.lists.lines import LineReader
from licenseusage.sources.lists.pages import PageReader
from licenseusage.sources.lists.paging.links import target_of
from licenseusage.sources.lists.refusals import bad_stamp
from licenseusage.sources.lists.tally import Tally
from licenseusage.sources.logs.messages import Message
from licenseusage.sources.logs.tally import MessageReader
from licenseusage.sources.poll import CycleRequest


class BrokenError(Exception):
    """A target contradicts itself; the text says how."""


Target = Callable[[bytes], None]
CYCLE = Cycle(5, 20_390 * DAY_MS, 20_420 * DAY_MS)
HORIZON_MS = CYCLE.start_ms - DAY_MS
_PIECE = 16


def lists(data: bytes) -> None:
    """A page of users: in pieces it is read as at once."""
    kind, body = data[:1], data[1:]
    source = _LISTS[kind[0] % len(_LISTS) if kind else 0]
    at_once = _read(source, PageReader(_decoder(source), _ignore), [body])
    small = PageReader(_decoder(source), _ignore, large_bytes=_PIECE, piece_bytes=_PIECE)
    in_pieces = _read(source, small, _pieces(body))
    if at_once is not None and in_pieces is not None:
        _hold(at_once == in_pieces, "a list that is read in pieces names other users")


def lines(data: bytes) -> None:
    """Lines of users: in pieces they are read as at once."""
    source = _LINES
    at_once = _read(source, LineReader(_decoder(source), _ignore), [data])
    small = LineReader(_decoder(source), _ignore, piece_bytes=_PIECE)
    in_pieces = _read(source, small, _pieces(data))
    _hold(at_once == in_pieces, "lines that are read in pieces name other users")


def metrics(data: bytes) -> None:
    """Metrics: a number of users is whole and not negative, however they arrive."""
    seen = []
    for pieces in ([data], _pieces(data)):
        exposition = Exposition(_GAUGE)
        try:
            for piece in pieces:
                exposition.feed(piece)
            number = number_of(exposition.finish(shows_end=True), _GAUGE)
        except PollError as error:
            seen.append(str(error.failure.reason))
        else:
            _hold(number >= 0, "a number of users is negative")
            seen.append(str(number))
    _hold(seen[0] == seen[1], f"metrics in pieces say {seen[1]} instead of {seen[0]}")


def times(data: bytes) -> None:
    """A time: what is recent is what is read at or after the horizon."""
    kind, text = data[:1], data[1:].decode("utf-8", "replace")
    read = _READERS[kind[0] % len(_READERS) if kind else 0]
    values: list[object] = [text]
    with suppress(ValueError, OverflowError):
        values.append(int(text))
    with suppress(ValueError, OverflowError):
        values.append(float(text))
    for value in values:
        try:
            instant = read.read(value)
            recent = read.recent([value], HORIZON_MS)
        except BadStampError:
            continue
        late = instant is not None and instant.at_ms + instant.unsure_ms >= HORIZON_MS
        _hold((recent.positions == [0]) == late, "a time is recent, or not, against its reading")
        if instant is not None and late:
            _hold(recent.at_ms == [instant.at_ms], "a recent time is another one when it is read")


def events(data: bytes) -> None:
    """A message of a log: it counts or not, or is no event."""
    kind, body = data[:1], data[1:]
    made = _EVENTS[kind[0] % len(_EVENTS) if kind else 0]
    message = Message(1, CYCLE.start_ms, body)
    try:
        counted = made.open(message.data)
        if counted is not None:
            made.who(counted.payload)
    except ValueError as error:
        if not type(error).__module__.startswith("licenseusage."):
            raise


def links(data: bytes) -> None:
    """A link to a next page or a redirect: only this server is asked, by a path that is one."""
    reference = data.decode("latin-1")
    try:
        target = target_of(reference, Head("shop.example:8080", "/api/users?a=1"), "/api/users?a=1")
    except PollError:
        pass
    else:
        _hold(target.startswith("/"), f"no path of this server: {target!r}")
        plain = target.isascii() and target.isprintable() and " " not in target
        _hold(plain, f"a path that HTTP does not allow: {target!r}")
    headers = Headers()
    with suppress(ValueError):
        headers["location"] = reference
    answer = cast(HTTPResponse, SimpleNamespace(status=302, headers=headers))
    try:
        refuse_status(answer, _LISTS[0])
        message = None
    except PollError as error:
        message = error.failure.message
    _hold(message is not None, "a redirect was followed")
    _hold(len(message or "") < 4096 and (message or "").isprintable(), repr(message))


TARGETS: dict[str, Target] = {
    "lists": lists,
    "lines": lines,
    "metrics": metrics,
    "times": times,
    "events": events,
    "links": links,
}


def _hold(holds: bool, words: str) -> None:
    """Raise `BrokenError` unless something holds."""
    if not holds:
        raise BrokenError(words)


def _read(
    source: EffectiveSource, page: PageReader | LineReader, pieces: Sequence[bytes]
) -> list[tuple[bytes, int]] | None:
    """Return whom a page names, and when they were active; None: it is refused."""
    tally = Tally(source, (CycleRequest(CYCLE),), lambda cycle: Pseudonymiser(_KEY, "app", 0))
    tally.start_page()

    def take(columns: Columns) -> None:
        try:
            tally.add(columns)
        except BadStampError as error:
            raise bad_stamp(source, error) from None

    page.sink = take
    try:
        for piece in pieces:
            page.feed(piece)
        page.finish()
    except UsageError:
        return None
    except PollError:
        return None
    users, values = tally.lately()
    return sorted(zip(users, values, strict=True))


def _ignore(columns: Columns) -> None:
    """Take nothing; a reader gets its sink later."""


def _pieces(data: bytes) -> list[bytes]:
    return [data[at : at + _PIECE] for at in range(0, len(data), _PIECE)] or [b""]


def _decoder(source: EffectiveSource) -> PageDecoder:
    return PageDecoder.of(source.http, ItemColumns(source.users, None))


def _listed(users: dict[str, Json], **http: Json) -> EffectiveSource:
    asked: dict[str, Json] = {
        "name": "people",
        "pods": {"selector": {"matchLabels": {"app": "x"}}, "port": 80},
        "http": {"path": "/users", "items": "value", **http},
        "users": {"id": "id", "lastActive": {"path": "seen"}, **users},
    }
    return effective(Source.model_validate(asked))


def _stamp(form: str, zone: str = "UTC") -> Stamp:
    return Stamp(path="seen", format=form, naive_timezone=zone, granularity_ms=1000)


def _event_source(encoding: str) -> EffectiveSource:
    asked = {
        "name": "people",
        "pods": {"selector": {"matchLabels": {"app": "x"}}, "port": 4222},
        "jetstream": {
            "stream": "events",
            "typePath": "type",
            "types": ["in"],
            "payloadPath": "data",
            "payloadEncoding": encoding,
        },
        "users": {"id": "user", "time": {"path": "at"}, "exclude": "user == 'bot'"},
    }
    return effective(Source.model_validate(asked))


_KEY = b"k" * 32
_LISTS = (
    _listed({}),
    _listed({"id": "a.b || id", "exclude": "contains(name, 'x')", "normalize": ["NFC"]}),
    _listed({"lastActive": {"path": "seen", "format": "EpochMillis"}}, items="data.users"),
    _listed({"createdAt": {"path": "made"}}, items="values(value)"),
)
_LINES = _listed({}, items=None, format="NDJSON")
_GAUGE = Gauge(metric="users_active", labels=(("period", "30d"),), reduce="One")
_READERS = tuple(
    map(
        reader,
        (
            _stamp("Auto"),
            _stamp("Auto", "Europe/Berlin"),
            *map(_stamp, ("EpochSeconds", "EpochMillis", "%Y-%m-%d %H:%M:%S", "%d.%m.%Y")),
        ),
    )
)
_EVENTS = tuple(MessageReader(_event_source(how)) for how in ("JSON", "Base64JSON", "JSONText"))
