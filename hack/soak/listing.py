"""The pods of a simulated product: its HTTP answers, page by page, with faults.

The operator's own code asks: ``sources.collect`` with its session, pager, decoder and tally. Only
the connection is replaced, and the process that a worker would be.
"""

import json
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from email.utils import formatdate

import httpx

from hack.soak.people import SECOND_MS, Shown, Store
from hack.soak.tally import Tally
from hack.soak.timeline import World
from licenseusage.clock import Clock
from licenseusage.sources.collect import Collection
from licenseusage.sources.fetch import Session
from licenseusage.sources.poll import PollRequest, PollResult, Target

FAULTS = (
    "refused", "timeout", "error500", "throttled", "unauthorized", "signInPage", "cutOff",
    "notJson", "emptyList", "noDate", "cached", "clockFarOff", "stuckPage", "cutOffLater",
)  # fmt: skip
"""Ways in which a poll fails; the last two after pages that were good."""


@dataclass(frozen=True, slots=True)
class Paging:
    """How a product pages its list.

    Attributes:
        kind: ``OnePage``, ``KeyCursor``, ``Offset`` (in the order of creation, pages overlap),
            ``Unsorted`` (the same, but nothing is promised, so pages do not overlap), ``Moving``
            (offsets by last activity, ascending) or ``NewestFirst`` (descending, no promise).
        size: Rows of a page.
    """

    kind: str
    size: int


@dataclass(frozen=True, slots=True)
class Fault:
    """A time in which a product's answers are bad: ``kind`` of `FAULTS`, with a probability."""

    from_ms: int
    to_ms: int
    kind: str
    chance: float


@dataclass(slots=True)
class Shop:
    """What answers for one source.

    Attributes:
        slowness_ms: Greatest time that one page takes.
        faults: When it misbehaves.
    """

    store: Store
    paging: Paging
    slowness_ms: int
    faults: tuple[Fault, ...] = ()

    def fault(self, random_: random.Random, at_ms: int) -> str | None:
        """What goes wrong with a request at an instant; None: nothing."""
        for fault in self.faults:
            if fault.from_ms <= at_ms < fault.to_ms and random_.random() < fault.chance:
                return fault.kind
        return None


class PollClock:
    """The worker's clock during one poll: it runs ahead while pages are read."""

    def __init__(self, clock: Clock) -> None:
        """Begin with what the operator's clock shows."""
        self._began_ms = clock.now_ms()
        self.passed_ms = 0

    def now_ms(self) -> int:
        """What the clock shows, ms since the epoch."""
        return self._began_ms + self.passed_ms


class Pods(httpx.BaseTransport):
    """The connection to a product for the length of one poll."""

    def __init__(self, shop: Shop, random_: random.Random, clock: PollClock, true_ms: int) -> None:
        """Answer from ``true_ms`` on."""
        self._shop, self._random, self._clock, self._true_ms = shop, random_, clock, true_ms
        self._pages = 0
        self.fault = shop.fault(random_, true_ms)
        quick = random_.random() < 0.5
        self._most_ms = min(shop.slowness_ms, 50) if quick else shop.slowness_ms

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Answer one request; time passes before the list is looked at, and after."""
        self._clock.passed_ms += self._random.randint(0, self._most_ms)
        later = self.fault in ("stuckPage", "cutOffLater") and self._pages == 0
        response = self._good(request) if self.fault is None or later else self._bad(request)
        self._pages += 1
        self._clock.passed_ms += self._random.randint(0, self._most_ms)
        return response

    def _good(self, request: httpx.Request) -> httpx.Response:
        return self._response(json.dumps(self._page(dict(request.url.params))).encode())

    def _page(self, query: Mapping[str, str]) -> dict[str, object]:
        rows, paging = self._shop.store.rows(self._now_ms), self._shop.paging
        match paging.kind:
            case "OnePage":
                return {"users": [_item(row) for row in rows]}
            case "KeyCursor":
                rows = sorted((r for r in rows if r.id > query.get("after", "")), key=_by_id)
                page = rows[: paging.size]
                more = page[-1].id if len(rows) > len(page) else None
                return {"users": [_item(row) for row in page], "next": more}
            case "Moving":
                rows = sorted(rows, key=_by_stamp)
            case "NewestFirst":
                rows = sorted(rows, key=_by_stamp, reverse=True)
        first = int(query.get("offset", "0"))
        return {"users": [_item(row) for row in rows[first : first + int(query["limit"])]]}

    def _bad(self, request: httpx.Request) -> httpx.Response:
        match self.fault:
            case "refused":
                raise httpx.ConnectError("refused", request=request)
            case "timeout":
                self._clock.passed_ms += 30 * SECOND_MS
                raise httpx.ReadTimeout("too slow", request=request)
            case "error500":
                return httpx.Response(500, content=b"{}", headers=self._headers())
            case "throttled":
                return httpx.Response(429, content=b"{}", headers=self._headers())
            case "unauthorized":
                return httpx.Response(401, content=b"{}", headers=self._headers())
            case "signInPage":
                return self._response(b"<html>Who are you?</html>", "text/html")
            case "notJson":
                return self._response(b'{"users": [{"id": "us')
            case "emptyList":
                return self._response(b'{"users": []}')
            case "noDate":
                return self._good_with(date=None)
            case "cached":
                return self._good_with(age="3")
            case "clockFarOff":
                return self._good_with(date=formatdate(self._now_ms / 1000 - 400, usegmt=True))
            case "stuckPage":  # whatever page is asked for, the first one comes
                first = {k: v for k, v in request.url.params.items() if k == "limit"}
                return self._response(json.dumps(self._page(first)).encode())
        body = json.dumps(self._page(dict(request.url.params))).encode()
        cut = httpx.RemoteProtocolError(
            "peer closed connection without sending complete message body"
        )
        return httpx.Response(200, stream=_Cut(body[: len(body) // 2], cut), headers=self._headers())

    def _good_with(self, date: str | None = "", age: str | None = None) -> httpx.Response:
        body = json.dumps({"users": [_item(row) for row in self._shop.store.rows(self._now_ms)]})
        headers = self._headers()
        if date is None:
            del headers["date"]
        elif date:
            headers["date"] = date
        if age is not None:
            headers["age"] = age
        return httpx.Response(200, content=body.encode(), headers=headers)

    def _response(self, body: bytes, content_type: str = "application/json") -> httpx.Response:
        headers = {**self._headers(), "content-type": content_type}
        return httpx.Response(200, content=body, headers=headers)

    @property
    def _now_ms(self) -> int:
        return self._true_ms + self._clock.passed_ms

    def _headers(self) -> dict[str, str]:
        return {
            "date": formatdate(self._now_ms // 1000, usegmt=True),
            "content-type": "application/json",
        }


class _Cut(httpx.SyncByteStream):
    def __init__(self, begun: bytes, end: Exception) -> None:
        self._begun, self._end = begun, end

    def __iter__(self) -> Iterator[bytes]:
        yield self._begun
        raise self._end


class _Session(Session):
    """A session over another connection."""

    def through(self, pods: Pods) -> "_Session":
        client = httpx.Client(transport=pods, headers=self._client.headers, trust_env=False)
        self._client.close()
        self._client = client
        return self


class _Collection(Collection):
    """A poll of simulated pods."""

    def __init__(self, request: PollRequest, clock: Clock, pods: Pods) -> None:
        super().__init__(request, clock)
        self._pods = pods

    def _open(self, target: Target) -> Session:
        session = _Session(
            target,
            self._request.source,
            self._request.credentials,
            self._request.limits,
            self._clock,
            self._deadline,
        )
        return session.through(self._pods)


class SimulatedWorkers:
    """Performs polls as `sources.worker.Workers` does, in place and in simulated time."""

    def __init__(
        self,
        world: World,
        clock: Clock,
        shops: Mapping[tuple[str, str], Shop],
        random_: random.Random,
        tally: Tally,
        boundary: Callable[[str], None],
    ) -> None:
        """Take the products, by product id and source."""
        self._world, self._clock, self._shops = world, clock, shops
        self._random, self._tally, self._boundary = random_, tally, boundary

    async def poll(self, request: PollRequest) -> PollResult:
        """Perform one poll; its result comes when the simulated poll ends."""
        self._boundary("poll begins")
        clock, true_ms = PollClock(self._clock), self._world.now_ms()
        shop = self._shops[request.product, request.source.name]
        pods = Pods(shop, self._random, clock, true_ms)
        result = _Collection(request, clock, pods).perform()
        if pods.fault is not None:
            self._tally.faults[f"poll {pods.fault}"] += 1
        outcome = "failed" if result.failure else "complete" if result.complete else "incomplete"
        self._tally.polls[outcome] += 1
        await self._world.until(true_ms + clock.passed_ms)
        self._boundary("poll ended")
        return result


def _item(row: Shown) -> dict[str, object]:
    return {"id": row.id, "key": row.key, "last": row.stamp_ms, "created": row.created_ms}


def _by_id(row: Shown) -> str:
    return row.id


def _by_stamp(row: Shown) -> tuple[bool, int, str]:
    return row.stamp_ms is not None, row.stamp_ms or 0, row.id
