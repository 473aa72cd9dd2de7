"""Answers reduced to what a source reads of them, without anything that names somebody."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

import msgspec

from licenseusage.errors import Stalled
from licenseusage.reasons import Reason
from licenseusage.sources.captures.anonymous import Anonymous, literals
from licenseusage.sources.captures.wires import Answer
from licenseusage.sources.definition.expressions import (
    Json,
    Path,
    expression,
    predicate,
    walk,
)
from licenseusage.sources.definition.logs import LogSettings
from licenseusage.sources.definition.model import EffectiveSource
from licenseusage.sources.definition.paging import NEXT, TOTAL
from licenseusage.sources.failures import PollError
from licenseusage.sources.http.body import decoded as decompressed
from licenseusage.sources.http.said import (
    MEMBERS,
    NEXT_HEADERS,
    NUMBER,
    RANGE_TOTAL,
    TOTAL_HEADERS,
    TOTALS,
    next_links,
    on_the_way,
)
from licenseusage.sources.mending import NO_JSON, decoded

_AS_THEY_ARE = ("date", "age")
NO_FILE = " No file was written."
_BOM = b"\xef\xbb\xbf"
_NAME = re.compile(r'"((?:[^"\\]|\\.)*)"|([A-Za-z_]\w*)')
"""Of a member, in an expression; of a function as well, which does no harm."""


class Shape:
    """Where the members stand that a list or an event log over HTTP reads, all by plain paths.

    Attributes:
        items: The list; None where there are lines.
        values: What paging reads of a page, by name.
        conditions: What ``users.exclude`` reads of an item.
        own: What tells an event from others; None: nothing of its own.
    """

    def __init__(self, source: EffectiveSource) -> None:
        """Find the members.

        Raises:
            Stalled: ``CaptureNotMade``: this kind of source, or one of its expressions, cannot be
                anonymised; it is named.
        """
        users, http = source.users, source.http
        self._source = source
        self.lines = http.format == "NDJSON"
        self.items = plain(source, "http.items", http.items) if http.items else ()
        self.id = plain(source, "users.id", users.id)
        times = {"users.lastActive.path": users.last_active.path} if users.timed else {}
        if users.created_at is not None:
            times["users.createdAt.path"] = users.created_at.path
        self.times = [plain(source, name, path) for name, path in times.items()]
        self.values = {
            name: plain(source, f"http.pagination ({name})", path)
            for name, path in http.pagination.values.items()
        }
        conditions = predicate(users.exclude).paths if users.exclude is not None else ()
        if conditions is None:
            raise not_made(source, f"users.exclude ({users.exclude}) reads whole items")
        log = source.http_log
        own = None if log is None or log.id is None else plain(source, "events.id", log.id)
        self.own = None if own in (self.id, *self.times) else own
        read = (self.id, *self.times, self.own)
        self.conditions = [path for path in conditions if path not in read]
        self._told = None if log is None or log.settings is None else Told(source, log.settings)
        self._objects = on_the_way((self.items, *self.values.values()))

    def anonymised(
        self, answers: Sequence[Answer], key: bytes, most_bytes: int
    ) -> tuple[tuple[Answer, ...], tuple[str, ...]]:
        """Return the answers without what names people, and ``excludeIds`` as they are in them.

        Args:
            answers: In the order in which they were given.
            key: Random, and thrown away afterwards.
            most_bytes: Of one answer, decompressed.

        Raises:
            Stalled: ``CaptureNotMade``: an answer is not JSON, or too large, or holds no list.
        """
        pages = answers if self._told is None else answers[1:]
        documents = [self._documents(answer, most_bytes) for answer in pages]
        ids = (row_id for parts in documents for row_id in self._ids(self._rows(parts)))
        names = Anonymous(self._source.users, key, ids)
        made = [] if self._told is None else [self._told.reduced(answers[0], most_bytes)]
        for place, (answer, parts) in enumerate(zip(pages, documents, strict=True)):
            onward = Onward(self._source, place)
            headers = tuple(onward.headers(answer.headers))
            made.append(replace(answer, headers=headers, body=self._reduced(parts, names, onward)))
        return tuple(made), names.excluded(self._source.users.exclude_ids)

    def _documents(self, answer: Answer, most_bytes: int) -> list[Json]:
        """Return the documents of an answer: one, or one for each line."""
        whole = whole_body(self._source, answer, most_bytes)
        parts = [line for line in whole.split(b"\n") if line.strip()] if self.lines else [whole]
        return [document_of(self._source, part) for part in parts]

    def _rows(self, documents: Sequence[Json]) -> list[Json]:
        """Return the items of an answer."""
        if self.lines:
            return list(documents)
        items = walk(documents[0], self.items)
        if not isinstance(items, list):
            raise not_made(self._source, "http.items gives no list")
        return items

    def _ids(self, rows: Sequence[Json]) -> Iterator[Json]:
        """Yield the ids of items, as shown."""
        return (walk(row, self.id) for row in rows)

    def _reduced(self, documents: Sequence[Json], names: Anonymous, onward: "Onward") -> bytes:
        """Return the body of an answer with only the members that are read, anonymised."""
        rows = [self._row(row, names) for row in self._rows(documents)]
        if self.lines:
            return b"".join(msgspec.json.encode(row) + b"\n" for row in rows)
        if not self.items:
            return msgspec.json.encode(rows)
        page: dict[str, Any] = {}
        for path in self._objects:
            inside = walk(documents[0], path)
            if isinstance(inside, Mapping):
                for name, value in inside.items():
                    if name in MEMBERS:
                        put(page, (*path, name), _bare(name, value))
        for name, path in self.values.items():
            value = walk(documents[0], path)
            bare = _bare(name, value) if name == TOTAL else onward.value(name, value)
            put(page, path, bare)
        put(page, self.items, rows)
        return msgspec.json.encode(page)

    def _row(self, row: Json, names: Anonymous) -> Json:
        if not isinstance(row, dict):
            return None
        made: dict[str, Any] = {}
        for path in self.conditions:
            put(made, path, names.condition(walk(row, path)))
        for path in self.times:
            put(made, path, names.time(walk(row, path)))
        if self.own is not None:
            put(made, self.own, names.token(walk(row, self.own)))
        put(made, self.id, names.id(walk(row, self.id)))
        return made


class Told:
    """What is read of an answer that says how a log is kept: members that the source names."""

    def __init__(self, source: EffectiveSource, settings: LogSettings) -> None:
        """Find their names."""
        self._source = source
        read = " ".join(filter(None, (settings.recording, settings.retention_seconds)))
        self._texts = set(literals(read))
        self._names = {quoted or bare for quoted, bare in _NAME.findall(read)}

    def reduced(self, answer: Answer, most_bytes: int) -> Answer:
        """Return the answer with only these members; texts stay if the source names them."""
        document = document_of(self._source, whole_body(self._source, answer, most_bytes))
        headers = tuple(Onward(self._source, 0).headers(answer.headers))
        return replace(answer, headers=headers, body=msgspec.json.encode(self._bare(document)))

    def _bare(self, value: Json) -> Json:
        match value:
            case None | bool() | int() | float():
                return value
            case str():
                return value if value in self._texts else "other"
            case list():
                return list(map(self._bare, value))
            case dict():
                kept = (name for name in value if name in self._names)
                return {name: self._bare(value[name]) for name in kept}


class Onward:
    """The way from one answer to the next: its place in the capture, and no address."""

    def __init__(self, source: EffectiveSource, place: int) -> None:
        """Prepare for the answer at a place, from 0."""
        self._asked, self._place = [name for name, _ in source.http.query], place
        named = source.http.pagination.cursor_header
        self._cursors = {*NEXT_HEADERS, *(() if named is None else (named.lower(),))}

    def value(self, name: str, shown: Json) -> Json:
        """Return the replacement of a cursor, or of the address of the next page."""
        if shown in (None, ""):
            return shown
        return self._reference(str(shown)) if name == NEXT else f"page-{self._place + 1}"

    def headers(self, given: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
        """Return those headers that are read, without what they should not say."""
        made = []
        for name, value in given:
            lower = name.lower()
            if lower in _AS_THEY_ARE:
                made.append((name, value))
            elif lower == "link":
                links = dict.fromkeys(next_links(value))
                made += [(name, f'<{self._reference(link)}>; rel="next"') for link in links]
            elif lower in self._cursors and value.strip():
                made.append((name, f"page-{self._place + 1}"))
            elif lower in TOTAL_HEADERS and NUMBER.fullmatch(value):
                made.append((name, value))
            elif lower == "content-range" and (total := RANGE_TOTAL.search(value)):
                made.append((name, f"items */{total[1]}"))
        return made

    def _reference(self, link: str) -> str:
        """Return a reference with the names of the source's own query, as far as the link has."""
        there = {name for name, _ in parse_qsl(urlsplit(link).query, keep_blank_values=True)}
        kept = [f"{quote(name)}=" for name in dict.fromkeys(self._asked) if name in there]
        return "?" + "&".join((*kept, f"page={self._place + 1}"))


def whole_body(source: EffectiveSource, answer: Answer, most_bytes: int) -> bytes:
    """Return the content of an answer, decompressed.

    Raises:
        Stalled: ``CaptureNotMade``: it cannot be, or is then larger than ``most_bytes``.
    """
    encoding = dict((name.lower(), value) for name, value in answer.headers)
    try:
        body = bytearray()
        for step in decompressed([answer.body], encoding.get("content-encoding")):
            body += step
            if len(body) > most_bytes:
                raise not_made(source, "an answer is larger than the poll's limit")
    except PollError as error:
        raise not_made(source, error.failure.message) from None
    return bytes(body).removeprefix(_BOM)


def document_of(source: EffectiveSource, body: bytes) -> Json:
    """Return a decoded document; raises ``CaptureNotMade`` if it is none."""
    try:
        return decoded(msgspec.json.decode, body)
    except (*NO_JSON, RecursionError):
        raise not_made(source, "an answer is not JSON") from None


def not_made(source: EffectiveSource, why: str) -> Stalled:
    """Say why a source's answers are not recorded."""
    return Stalled(Reason.CAPTURE_NOT_MADE, f"Source {source.name}: {why}.{NO_FILE}")


def plain(source: EffectiveSource, field: str, text: str) -> Path:
    """Return the path of an expression; raises ``CaptureNotMade`` if it is more than a path."""
    path = expression(text).path
    if path is None:
        raise not_made(
            source,
            f"{field} ({text}) is no plain path of members, and it is not known which others to "
            "leave out",
        )
    return path


def put(into: dict[str, Any], path: Path, value: Json) -> None:
    """Put a value at a path; nothing at all where there is none, or no object on the way."""
    if value is None:
        return
    for name in path[:-1]:
        into = into.setdefault(name, {})
        if not isinstance(into, dict):
            return
    into[path[-1]] = value


def _bare(name: str, value: Json) -> Json:
    """Return what a member says of a list's size, without addresses and cursors."""
    match value:
        case dict():
            return {
                inner: _bare(inner, member) for inner, member in value.items() if inner in MEMBERS
            }
        case list():
            return [
                {"rel": "next"}
                for link in value
                if isinstance(link, dict) and "next" in (link.get("rel"), link.get("relation"))
            ]
        case None | bool() | "":
            return value
        case int() if name in TOTALS:
            return value
        case str() if name in TOTALS and NUMBER.fullmatch(value):
            return value
    return "more" if value else None
