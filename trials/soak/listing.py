"""The pods of a simulated product that lists its users: its pages, and the poll of them.

The operator's own code asks: ``sources.collect`` with its pager, decoder and tally. Only the HTTP
session is replaced, and the process that a worker would be.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import cast

from licenseusage.clock import Clock
from licenseusage.sources.http.fetch import Session
from licenseusage.sources.http.said import in_headers
from licenseusage.sources.lists.collect import Collection
from licenseusage.sources.poll import PollRequest, Target
from trials.soak.answering import Answering, Fault, Span, Visit, Visited
from trials.soak.heard import Heard
from trials.soak.lies import GROUP, Lie, Told, tell
from trials.soak.people import Shown, Store

CURSOR_HEADER = "X-Next-Cursor"


@dataclass(frozen=True, slots=True)
class Paging:
    """How a product pages its list.

    Attributes:
        kind: ``OnePage``, ``KeyCursor``, ``Offset`` (in the order of creation, pages overlap),
            ``Unsorted`` (the same, but nothing is promised, so pages do not overlap), ``Moving``
            (offsets by last activity, ascending), ``NewestFirst`` (descending, no promise),
            ``Numbered`` (in the order of creation, by number), ``Linked`` (the same, each page
            names the next one) or ``Headed`` (by key, the cursor is in a header).
        size: Rows of a page.
    """

    kind: str
    size: int


def _item(row: Shown) -> dict[str, object]:
    return {
        "id": row.id,
        "key": row.key,
        "last": row.stamp_ms,
        "created": row.created_ms,
        "group": GROUP if row.excluded else "staff",
    }


def _nothing(_listed: int) -> dict[str, object]:
    return {}


@dataclass(frozen=True, slots=True)
class Face:
    """How a product words its answers.

    Attributes:
        items: Member that holds the list.
        item: What it shows of one user.
        beside: Members beside the list, given how many users there are.
    """

    items: str = "users"
    item: Callable[[Shown], dict[str, object]] = _item
    beside: Callable[[int], dict[str, object]] = _nothing


@dataclass(slots=True)
class Shop:
    """What answers for one source.

    Attributes:
        slowness_ms: Greatest time that one page takes.
        faults: When it misbehaves.
        lies: When its answers are not true.
        evident: Each of these lies shows by itself, so that every bound is asked of it.
    """

    store: Store
    paging: Paging
    slowness_ms: int
    faults: tuple[Fault, ...] = ()
    face: Face = Face()
    lies: tuple[Lie, ...] = ()
    evident: bool = False

    def answer(
        self, query: Mapping[str, str], at_ms: int
    ) -> tuple[dict[str, object], Told, list[Shown]]:
        """Return a page as it is at an instant: the document, what it is cut from, its rows."""
        cursor = self.paging.kind == "KeyCursor"
        answer = tell(self.lies, self.store, at_ms, next_is_cursor=cursor)
        rows, beside = answer.rows, {**self.face.beside(len(answer.rows)), **answer.beside}
        match self.paging.kind:
            case "KeyCursor" | "Headed" as kind:
                rows = sorted((r for r in rows if r.id > query.get("after", "")), key=_by_id)
                more = rows[self.paging.size - 1].id if len(rows) > self.paging.size else None
                rows = rows[: self.paging.size]
                if kind == "KeyCursor":
                    beside = {**beside, "next": more}
                else:
                    answer.headers = (*answer.headers, (CURSOR_HEADER, more or ""))
            case "Linked":
                first = _first(query)
                following = f"https://app.example.org?offset={first + self.paging.size}"
                more = following if len(rows) > first + self.paging.size else None
                rows, beside = rows[first:][: self.paging.size], {**beside, "onward": more}
            case "Moving":
                rows = sorted(rows, key=_by_stamp)
            case "NewestFirst":
                rows = sorted(rows, key=_by_stamp, reverse=True)
        if "limit" in query:
            rows = rows[_first(query) :][: int(query["limit"])]
        return {self.face.items: [self.face.item(row) for row in rows], **beside}, answer, rows

    @property
    def deceives(self) -> bool:
        """As of `Product`: its lies may show, or not."""
        return bool(self.lies) and not self.evident

    def visited(self, request: PollRequest, visit: Visit) -> Visited:
        """As of `Product`."""
        poll = _Collection(request, visit.clock, lambda: _Pods(self, request, visit))
        result = poll.perform()
        heard = poll.used.heard
        heard.ended_ms = visit.true_now_ms
        heard.whole = result.complete
        faults = [f"poll {pod.fault}" for pod in poll.pods if pod.fault is not None]
        return Visited(result, faults, len(poll.pods), heard)


class _Pods(Answering):
    """One pod's answers to one poll.

    Attributes:
        heard: What was read, for who judges.
    """

    def __init__(self, shop: Shop, request: PollRequest, visit: Visit) -> None:
        super().__init__(shop, request.source, visit)
        self._shop = shop
        self.heard = Heard(visit.true_now_ms)

    def document(self, asked: Mapping[str, str], _span: Span, fault: str | None) -> object:
        """Return a page."""
        if fault == "emptyList":
            return {self._shop.face.items: []}
        document, answer, rows = self._shop.answer(asked, self._visit.true_now_ms)
        self.extent = in_headers(answer.headers)
        cursors = tuple(value for name, value in answer.headers if name == CURSOR_HEADER)
        self.head = self.head._replace(cursors=cursors)
        self.heard.page(rows, answer, begins="after" not in asked and not _first(asked))
        return document


class _Collection(Collection):
    """A poll of simulated pods.

    Attributes:
        pods: Those that were asked, each with its own trouble.
    """

    def __init__(self, request: PollRequest, clock: Clock, made: Callable[[], _Pods]) -> None:
        super().__init__(request, clock)
        self._made = made
        self.pods: list[_Pods] = []

    def _open(self, _target: Target) -> Session:
        self.pods.append(self._made())
        return cast(Session, self.pods[-1])

    @property
    def used(self) -> _Pods:
        """The pod whose rows count."""
        assert self._asked is not None  # noqa: S101
        return cast(_Pods, self._asked.session)


def _first(query: Mapping[str, str]) -> int:
    if "page" in query:
        return (int(query["page"]) - 1) * int(query["limit"])
    return int(query.get("offset", "0"))


def _by_id(row: Shown) -> str:
    return row.id


def _by_stamp(row: Shown) -> tuple[bool, int, str]:
    return row.stamp_ms is not None, row.stamp_ms or 0, row.id
