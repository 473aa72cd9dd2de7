"""The pods of a simulated product: its HTTP answers, page by page, with faults.

The operator's own code asks: ``sources.collect`` with its pager, decoder and tally. Only the HTTP
session is replaced, and the process that a worker would be.
"""

import json
import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import formatdate
from typing import cast

from licenseusage.clock import Clock
from licenseusage.metering.cycles import Cycle
from licenseusage.reasons import Reason
from licenseusage.sources.clockskew import skew_ms
from licenseusage.sources.definition.model import EffectiveSource, Pair
from licenseusage.sources.failures import PollError
from licenseusage.sources.lists.collect import Collection
from licenseusage.sources.lists.fetch import Session
from licenseusage.sources.lists.said import NOTHING, in_headers
from licenseusage.sources.poll import PollRequest, PollResult, Target
from trials.soak.heard import Heard
from trials.soak.lies import GROUP, Lie, Told, tell
from trials.soak.need import need
from trials.soak.people import SECOND_MS, Shown, Store
from trials.soak.tally import Tally
from trials.soak.timeline import World

FAULTS = (
    "refused", "timeout", "error500", "throttled", "unauthorized", "signInPage", "cutOff",
    "notJson", "emptyList", "noDate", "cached", "clockFarOff", "hangs",
    "stuckPage", "cutOffLater", "hangsLater",
)  # fmt: skip
"""Ways in which a poll fails; the last three after pages that were good."""
_LATER = ("stuckPage", "cutOffLater", "hangsLater")


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
    """

    store: Store
    paging: Paging
    slowness_ms: int
    faults: tuple[Fault, ...] = ()
    face: Face = Face()
    lies: tuple[Lie, ...] = ()

    def answer(
        self, query: Mapping[str, str], at_ms: int
    ) -> tuple[dict[str, object], Told, list[Shown]]:
        """Return a page as it is at an instant: the document, what it is cut from, its rows."""
        cursor = self.paging.kind == "KeyCursor"
        answer = tell(self.lies, self.store, at_ms, next_is_cursor=cursor)
        rows, beside = answer.rows, {**self.face.beside(len(answer.rows)), **answer.beside}
        match self.paging.kind:
            case "KeyCursor":
                rows = sorted((r for r in rows if r.id > query.get("after", "")), key=_by_id)
                more = rows[self.paging.size - 1].id if len(rows) > self.paging.size else None
                rows, beside = rows[: self.paging.size], {**beside, "next": more}
            case "Moving":
                rows = sorted(rows, key=_by_stamp)
            case "NewestFirst":
                rows = sorted(rows, key=_by_stamp, reverse=True)
        if "limit" in query:
            rows = rows[_first(query) :][: int(query["limit"])]
        return {self.face.items: [self.face.item(row) for row in rows], **beside}, answer, rows

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


class Pods:
    """What `sources.fetch.Session` is to a poll: one request after the other, and their clock.

    Attributes:
        skew_ms: The largest clock difference that any answer allows for.
        bytes: Content received.
        extent: What the head of the last answer says of the size of the list.
        started_ms: Just before the first request.
        fault: What goes wrong with this poll; None: nothing.
        heard: What was read, for who judges.
    """

    def __init__(
        self,
        shop: Shop,
        source: EffectiveSource,
        random_: random.Random,
        clock: PollClock,
        true_ms: int,
        longest_s: float,
    ) -> None:
        """Answer from ``true_ms`` on, for ``longest_s`` seconds at most."""
        self._longest_ms = round(longest_s * SECOND_MS)
        self._shop, self._source, self._random = shop, source, random_
        self._clock, self._true_ms = clock, true_ms
        self._pages = 0
        self.skew_ms = self.bytes = 0
        self.extent = NOTHING
        self.started_ms: int | None = None
        self.heard = Heard(true_ms + clock.passed_ms)
        self.fault = shop.fault(random_, true_ms)
        quick = random_.random() < 0.5
        self._most_ms = min(shop.slowness_ms, 50) if quick else shop.slowness_ms

    def __enter__(self) -> "Pods":
        """Return itself."""
        return self

    def __exit__(self, *error: object) -> None:
        """There is nothing to close."""

    @contextmanager
    def get(self, query: tuple[Pair, ...], _cycle: Cycle) -> Iterator[Iterator[bytes]]:
        """Answer one request; time passes before the list is looked at, and after."""
        sent_ms = self._clock.now_ms()
        self.started_ms = sent_ms if self.started_ms is None else self.started_ms
        self._pages += 1
        self._pass_time()
        later = self.fault in _LATER and self._pages == 1
        fault = None if later else self.fault
        self._refuse(fault)
        asked = dict(query)
        if fault == "stuckPage":  # whatever page is asked for, the first one comes
            asked = {name: value for name, value in asked.items() if name == "limit"}
        date: str | None = formatdate(self._true_now_ms // 1000, usegmt=True)
        if fault == "noDate":
            date = None
        elif fault == "clockFarOff":
            date = formatdate(self._true_now_ms // 1000 - 700, usegmt=True)
        skew = skew_ms(
            date,
            "3" if fault == "cached" else None,
            sent_ms=sent_ms,
            received_ms=self._clock.now_ms(),
            declared_s=self._source.guarantees.clock_skew_seconds,
        )
        self.skew_ms = max(self.skew_ms, skew)
        document: dict[str, object] = {self._shop.face.items: []}
        if fault != "emptyList":
            document, answer, rows = self._shop.answer(asked, self._true_now_ms)
            self.extent = in_headers(answer.headers)
            self.heard.page(rows, answer, begins="after" not in asked and not _first(asked))
        yield self._content(json.dumps(document).encode(), fault)
        self._pass_time()

    def _content(self, body: bytes, fault: str | None) -> Iterator[bytes]:
        if fault == "notJson":
            body = body[: len(body) // 2]
        if fault == "signInPage":
            body = b"<html>Who are you?</html>"
        if fault in ("hangs", "hangsLater"):  # byte after byte, as slowly as it may
            yield body[: len(body) // 2]
            self._clock.passed_ms = max(self._clock.passed_ms, self._longest_ms)
            raise PollError(Reason.POLL_TIMEOUT, "the poll's time is over.")
        if fault in ("cutOff", "cutOffLater"):
            yield body[: len(body) // 2]
            raise PollError(Reason.ANSWER_TRUNCATED, "the connection was closed.")
        self.bytes += len(body)
        yield body

    def _refuse(self, fault: str | None) -> None:
        match fault:
            case "refused":
                raise PollError(Reason.UNREACHABLE, "no connection.")
            case "timeout":
                self._clock.passed_ms += 30 * SECOND_MS
                raise PollError(Reason.REQUEST_TIMEOUT, "no answer in time.")
            case "error500":
                raise PollError(Reason.SERVER_ERROR, "answered with HTTP 500.")
            case "throttled":
                raise PollError(Reason.TOO_MANY_REQUESTS, "answered with HTTP 429.")
            case "unauthorized":
                raise PollError(Reason.UNAUTHORIZED, "answered with HTTP 401.", stalls=True)

    def _pass_time(self) -> None:
        self._clock.passed_ms += self._random.randint(0, self._most_ms)

    @property
    def _true_now_ms(self) -> int:
        return self._true_ms + self._clock.passed_ms


class _Collection(Collection):
    """A poll of simulated pods.

    Attributes:
        pods: Those that were asked, each with its own trouble.
    """

    def __init__(self, request: PollRequest, clock: Clock, made: Callable[[], Pods]) -> None:
        super().__init__(request, clock)
        self._made = made
        self.pods: list[Pods] = []

    def _open(self, _target: Target) -> Session:
        self.pods.append(self._made())
        return cast(Session, self.pods[-1])

    @property
    def used(self) -> Pods:
        """The pod whose rows count."""
        assert self._asked is not None  # noqa: S101
        return cast(Pods, self._asked.session)


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
        heard: Callable[[tuple[str, str], PollResult, Heard], None],
    ) -> None:
        """Take the products, by product id and source; ``heard`` is told what each poll read."""
        self._world, self._clock, self._shops = world, clock, shops
        self._random, self._tally, self._boundary = random_, tally, boundary
        self._heard = heard

    async def poll(self, request: PollRequest, _look: object) -> PollResult:
        """Perform one poll; its result comes when the simulated poll ends."""
        self._boundary("poll begins")
        clock, true_ms = PollClock(self._clock), self._world.now_ms()
        shop = self._shops[request.product, request.source.name]
        longest_s = request.limits.poll_seconds
        poll = _Collection(
            request,
            clock,
            lambda: Pods(shop, request.source, self._random, clock, true_ms, longest_s),
        )
        result = poll.perform()
        heard, asked = poll.used.heard, (request.product, request.source.name)
        heard.ended_ms = true_ms + clock.passed_ms
        heard.whole = result.complete
        self._heard(asked, result, heard)
        seen = f"poll of {request.product} at {true_ms}"
        need(
            not (heard.evident and result.complete),
            f"{seen}: an answer that shows that it is not whole is taken for complete",
        )
        for lie in shop.lies:
            self._tally.lies[lie.kind] += lie.now(true_ms)
        for pod in poll.pods:
            if pod.fault is not None:
                self._tally.faults[f"poll {pod.fault}"] += 1
        if len(poll.pods) > 1 and result.failure is None:
            self._tally.faults["one pod of several"] += 1
        outcome = "failed" if result.failure else "complete" if result.complete else "incomplete"
        self._tally.polls[outcome] += 1
        await self._world.until(true_ms + clock.passed_ms)
        self._boundary("poll ended")
        return result


def _first(query: Mapping[str, str]) -> int:
    return int(query.get("offset", "0"))


def _by_id(row: Shown) -> str:
    return row.id


def _by_stamp(row: Shown) -> tuple[bool, int, str]:
    return row.stamp_ms is not None, row.stamp_ms or 0, row.id
