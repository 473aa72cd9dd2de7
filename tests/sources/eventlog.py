"""A product with an event log over HTTP, and who reads it as the ledger remembers."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from licenseusage.metering.cycles import DAY_MS, Cycle
from licenseusage.metering.events import LogState, Range, united
from licenseusage.sources.definition.model import EffectiveSource
from licenseusage.sources.definition.presets import effective
from licenseusage.sources.http.asking import Head, Link
from licenseusage.sources.http.fetch import Session
from licenseusage.sources.logs.ranged.collect import RangedCollection
from licenseusage.sources.poll import CycleRequest, PollResult
from tests.sources.product import CYCLE, FixedClock, Request, answer, request, written

MINUTE_MS = 60_000
LAG_MS = MINUTE_MS

FORMS = {"ms": ".epochMillis", "second": ".epoch", "text": "", "day": ".date"}
"""How the request may write its range."""

PAGES: dict[str, dict[str, Any]] = {
    "Offset": {"type": "Offset", "offsetParam": "first", "limitParam": "max", "size": 10},
    "None": {"type": "None"},
    "Page": {"type": "Page", "pageParam": "page", "sizeParam": "max", "size": 60, "first": 1},
    "Cursor": {"type": "Cursor", "params": [{"name": "after", "path": "next"}]},
    "HeaderCursor": {"type": "HeaderCursor", "header": "X-Next", "cursorParam": "after"},
    "Next": {"type": "Next", "path": "next"},
}


ENDS = ("start", "end")


def source(
    form: str = "ms",
    pages: str = "Offset",
    *,
    edges: tuple[str, ...] = ENDS,
    **fields: Any,
) -> EffectiveSource:
    """A source of events in ``{"items": [{"id", "user", "at"}]}``, as a user would write it."""
    return effective(as_written(form, pages, edges=edges, **fields))


def as_written(
    form: str = "ms",
    pages: str = "Offset",
    *,
    edges: tuple[str, ...] = ENDS,
    **fields: Any,
) -> Any:
    given: dict[str, Any] = {
        "http": {
            "path": "/events",
            "items": "items",
            "query": [
                {"name": name, "value": f"{{{{range.{name}{FORMS[form]}}}}}"} for name in edges
            ],
            "pagination": dict(PAGES[pages]),
        },
        "events": {"order": "NewestFirst", "id": "id"},
        "users": {
            "lastActive": None,
            "id": "user",
            "time": {"path": "at", "format": "EpochMillis", "granularity": "Millisecond"},
        },
        "guarantees": {"removal": None, "ids": "Stable", "lagSeconds": LAG_MS // 1000},
    }
    for name, value in fields.items():
        merged = isinstance(value, dict) and isinstance(given.get(name), dict)
        given[name] = {**given[name], **value} if merged else value
    return written(**given)


@dataclass
class EventLog:
    """The product: what it holds, and everything that was ever written to it.

    Attributes:
        newest_first: Of its answers.
        size: Of a page.
        exclusive: Ends of a range do not belong to it.
        held: id -> (stamp, user), as it is now.
        written: The same, of everything.
        before: Called before each answer.
        settings: The answer at ``/settings``.
        unstable: Events of one time come in another order in each answer.
    """

    newest_first: bool = True
    size: int = 10
    exclusive: bool = False
    held: dict[int, tuple[int, str]] = field(default_factory=dict)
    written: dict[int, tuple[int, str]] = field(default_factory=dict)
    before: Callable[[], None] = lambda: None
    settings: Any = None
    unstable: bool = False
    asked: list[dict[str, str]] = field(default_factory=list)
    _shuffled: int = 0

    def write(self, stamp_ms: int, user: str | None = None) -> int:
        number = len(self.written) + 1
        self.written[number] = self.held[number] = (stamp_ms, user or f"user-{number}")
        return number

    def respond(self, target: str) -> Any:
        """Answer a request; ``start`` and ``end`` bound the stamps as the product reads them."""
        parts = urlsplit(target)
        if parts.path == "/settings":
            return self.settings
        query = dict(parse_qsl(parts.query))
        self.asked.append(query)
        self.before()
        rows = self._rows(query)
        at = int(query.get("first", (int(query.get("page", 1)) - 1) * self.size))
        page = rows[at : at + min(self.size, int(query.get("max", self.size)))]
        more = at + len(page) < len(rows)
        return {
            "items": [{"id": number, "user": user, "at": stamp} for number, stamp, user in page],
            "next": f"{parts.path}?page=9" if more else None,
        }

    def _rows(self, query: dict[str, str]) -> list[tuple[int, int, str]]:
        start, end = _bound(query.get("start"), 0), _bound(query.get("end"), 2**62, last=True)
        if self.exclusive:
            start, end = start + 1, end - 1
        rows = [(n, s, u) for n, (s, u) in self.held.items() if start <= s <= end]
        self._shuffled += self.unstable
        turn = self._shuffled % 2 or -1
        rows.sort(key=lambda row: (row[1], turn * row[0]), reverse=self.newest_first)
        return rows


def _bound(text: str | None, default: int, *, last: bool = False) -> int:
    """Read a bound as a product does: a day as a whole one, here in a zone ahead of UTC."""
    if text is None:
        return default
    if text.isdecimal():
        return int(text) * (1000 if len(text) < 12 else 1)
    at = datetime.fromisoformat(text)
    if len(text) > 10:
        return int(at.timestamp() * 1000)
    start = int(at.replace(tzinfo=UTC).timestamp() * 1000) - 9 * 3_600_000
    return start + DAY_MS - 1 if last else start


class Served(Session):
    """A session with a product in this process, for tests that make many requests."""

    def __init__(self, log: EventLog, clock: FixedClock, skew_ms: int = 1000) -> None:
        self._log, self._clock = log, clock
        self.skew_ms, self.bytes, self.requests, self.started_ms = skew_ms, 0, 0, None
        self.head = Head()

    @property
    def time_left(self) -> float:
        return 1e9

    def __exit__(self, *error: object) -> None:
        pass

    @contextmanager
    def get(self, ask: Any, span: Any) -> Iterator[Iterator[bytes]]:
        self.started_ms = self.started_ms or self._clock.now_ms()
        source = self._source
        target = ask.target if isinstance(ask, Link) else self._target_of(ask, span)
        document = self._log.respond(target)
        self.head = Head("x", target, cursors=(_following(document) or "",))
        body = json.dumps(document).encode()
        self.requests += 1
        self.bytes += len(body)
        assert source is not None
        yield iter([body])


class _Simulated(RangedCollection):
    def __init__(self, log: EventLog, asked: Any, clock: FixedClock) -> None:
        super().__init__(asked, asked.source.http_log, clock)
        self._simulated = log

    def _open(self, _target: Any) -> Session:
        made = Served(self._simulated, self._clock)
        made._source = self._source
        return made


def poll_log(
    log: EventLog,
    read: EffectiveSource,
    clock: FixedClock,
    cycle: Cycle,
    state: LogState | None,
    **limits: Any,
) -> PollResult:
    """Poll a log that is in this process; it goes on from a state."""
    asked = request(1, read, cycles=(CycleRequest(cycle, log=state),))
    asked = replace(asked, limits=replace(asked.limits, poll_seconds=1, **limits))
    return _Simulated(log, asked, clock).perform()


@dataclass
class Ledger:
    """Reads a log poll by poll and remembers what the ledger does."""

    log: EventLog
    source: EffectiveSource
    clock: FixedClock = field(default_factory=FixedClock)
    cycle: Any = CYCLE
    state: LogState | None = None
    seen: set[bytes] = field(default_factory=set)
    limits: dict[str, Any] = field(default_factory=dict)

    def poll(self, *, recorded: bool = True) -> PollResult:
        result = poll_log(self.log, self.source, self.clock, self.cycle, self.state, **self.limits)
        if recorded:
            self.record(result)
        return result

    def record(self, result: PollResult) -> None:
        for facts in result.facts.values():
            self.seen |= {*facts.sure, *facts.maybe}
        reading = result.readings.get(self.cycle.index)
        if reading is None:
            return
        held = self.state or LogState(reading.after)
        assert reading.before == (self.state.position if self.state else None)
        self.state = LogState(
            reading.after,
            united([*held.ranges, *reading.ranges]),
            tuple(sorted({*held.holes, *reading.holes})),
            reading.behind,
        )

    @property
    def ranges(self) -> tuple[Range, ...]:
        return self.state.ranges if self.state else ()

    @property
    def lost(self) -> list[str]:
        return [hole.reason for hole in self.state.holes] if self.state else []

    def unseen(self, pseudonym: Callable[[str], bytes]) -> list[int]:
        """Events within what is known, in the cycle, whose users were never seen."""
        return [
            number
            for number, (stamp, user) in self.log.written.items()
            if self.cycle.start_ms <= stamp < self.cycle.end_ms
            and any(known.start_ms <= stamp < known.end_ms for known in self.ranges)
            and pseudonym(user) not in self.seen
        ]


def product(log: EventLog) -> Callable[[Request], bytes]:
    """The product as a server answers."""

    def respond(asked: Request) -> bytes:
        query = "&".join(f"{name}={value}" for name, value in asked.query)
        document = log.respond(f"{asked.path}?{query}")
        return answer(document, headers={"X-Next": _following(document)})

    return respond


def _following(document: Any) -> str | None:
    """What the product says of the next page, in a header as well."""
    return document.get("next") if isinstance(document, dict) else None
