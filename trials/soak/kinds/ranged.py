"""Event logs over HTTP: all events between two times, page by page (source kind D).

Events expire, an administrator clears the log, and answers are cut into pages: what was lost must
not be taken for silence.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from licenseusage.sources.definition.logs import HttpLog
from licenseusage.sources.http.fetch import Session
from licenseusage.sources.logs.ranged.collect import RangedCollection
from licenseusage.sources.poll import PollRequest, Target
from trials.soak.answering import Answering, Fault, Span, Visit, Visited
from trials.soak.kinds.events import Written, events_of
from trials.soak.lies import Lie
from trials.soak.people import DAY_MS, SECOND_MS, Account, Names, Store, Traits, near

_PAGES: Mapping[str, dict[str, Any]] = {
    "Offset": {"type": "Offset", "offsetParam": "offset", "limitParam": "limit"},
    "Page": {"type": "Page", "pageParam": "page", "sizeParam": "limit", "first": 1},
    "Cursor": {"type": "Cursor", "params": [{"name": "after", "path": "next"}]},
    "None": {"type": "None"},
}
_FORMS = ("", ".epoch", ".epochMillis")
_GRANULARITIES = {1: "Millisecond", SECOND_MS: "Second"}


@dataclass(slots=True)
class Register:
    """A product that serves its log.

    Attributes:
        newest_first: Of its answers.
        size: Of a page.
        step_ms: Its times are whole steps of this.
        retention_ms: It forgets older events; None: none.
        cleared_ms: When somebody empties it.
    """

    store: Store
    slowness_ms: int
    events: list[Written]
    newest_first: bool
    size: int
    step_ms: int
    retention_ms: int | None
    cleared_ms: tuple[int, ...] = ()
    faults: tuple[Fault, ...] = ()
    lies: tuple[Lie, ...] = ()

    @property
    def deceives(self) -> bool:
        """As of `Product`: what is gone is not denied."""
        return False

    def visited(self, request: PollRequest, visit: Visit) -> Visited:
        """As of `Product`."""
        log = request.source.http_log
        assert log is not None  # noqa: S101
        poll = _Collection(self, request, log, visit)
        result = poll.perform()
        faults = [f"poll {pod.fault}" for pod in poll.asked if pod.fault is not None]
        return Visited(result, faults, len(poll.asked))

    def page(self, asked: Mapping[str, str], span: Span, at_ms: int) -> dict[str, object]:
        """Return a page of the events between two times, as it is at an instant."""
        rows = [
            (self._shown_ms(event), event)
            for event in self._kept(at_ms)
            if span.start_ms <= self._shown_ms(event) <= span.end_ms
        ]
        rows.sort(key=lambda row: (row[0], row[1].number), reverse=self.newest_first)
        size = min(self.size, int(asked.get("limit", self.size)))
        first = int(asked.get("offset", "0")) + size * (int(asked.get("page", "1")) - 1)
        page = rows[first : first + size]
        more = first + size < len(rows)
        items = [{"id": each.number, "user": each.user, "at": shown} for shown, each in page]
        return {"items": items, "next": f"{page[-1][1].number}" if more else None}

    def _shown_ms(self, event: Written) -> int:
        return event.at_ms - event.at_ms % self.step_ms

    def _kept(self, at_ms: int) -> list[Written]:
        cleared = max((c for c in self.cleared_ms if c <= at_ms), default=0)
        oldest = 0 if self.retention_ms is None else at_ms - self.retention_ms
        return [e for e in self.events if cleared < e.written_ms <= at_ms and e.at_ms >= oldest]


class _Served(Answering):
    """One pod's answers to one poll."""

    def __init__(self, register: Register, request: PollRequest, visit: Visit) -> None:
        super().__init__(register, request.source, visit)
        self._register = register

    def document(self, asked: Mapping[str, str], span: Span, fault: str | None) -> object:
        """Return a page."""
        if fault == "emptyList":
            return {"items": []}
        return self._register.page(asked, span, self._visit.true_now_ms)


class _Collection(RangedCollection):
    """A poll of simulated pods.

    Attributes:
        asked: Those that were asked.
    """

    def __init__(
        self, register: Register, request: PollRequest, log: HttpLog, visit: Visit
    ) -> None:
        super().__init__(request, log, visit.clock)
        self._register, self._visit = register, visit
        self.asked: list[_Served] = []

    def _open(self, _target: Target) -> Session:
        self.asked.append(_Served(self._register, self._request, self._visit))
        return cast(Session, self.asked[-1])


def draw_register(
    random_: random.Random, traits: Traits, accounts: list[Account], boundaries: Sequence[int]
) -> tuple[Register, dict[str, Any]]:
    """Draw a log over HTTP and its source, but for what every source has."""
    length_ms = boundaries[1] - boundaries[0]
    pages, newest = random_.choice(tuple(_PAGES)), random_.random() < 0.6
    days = random_.choice((None, None, -(-length_ms // DAY_MS), 2 * length_ms // DAY_MS))
    cleared = [near(random_, boundaries, length_ms) for _ in range(random_.choice((0, 0, 1, 2)))]
    register = Register(
        Store(traits, accounts, Names(1 + max(a.person for a in accounts))),
        random_.choice((5, 50, 500, 4000)),
        events=events_of(accounts),
        newest_first=newest,
        size=random_.choice((10, 12, 50)),
        step_ms=random_.choice((1, SECOND_MS)),
        retention_ms=None if days is None else days * DAY_MS,
        cleared_ms=tuple(sorted(cleared)),
    )
    form = random_.choice(_FORMS)
    pagination = dict(_PAGES[pages])
    if pages in ("Offset", "Page"):
        pagination["size"] = register.size
    query = [{"name": edge, "value": f"{{{{range.{edge}{form}}}}}"} for edge in ("start", "end")]
    if pages == "Offset" and newest and random_.random() < 0.3:
        query = query[: random_.choice((0, 1))]
    events: dict[str, Any] = {"order": "NewestFirst" if newest else "OldestFirst", "id": "id"}
    if days is not None:
        events["retentionDays"] = days
    source = {
        "http": {"path": "/events", "items": "items", "query": query, "pagination": pagination},
        "events": events,
        "users": {"id": "user", "time": _time(register)},
        "guarantees": {"lagSeconds": traits.lag_ms // SECOND_MS, "ids": "Stable"},
    }
    if not query:
        del source["http"]["query"]
    return register, source


def _time(register: Register) -> dict[str, str]:
    return {
        "path": "at",
        "format": "EpochMillis",
        "granularity": _GRANULARITIES[register.step_ms],
    }
