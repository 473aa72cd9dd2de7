"""What answers one poll over HTTP: time that passes, clocks, faults; there is no network.

The operator's own collections ask. What stands here is the session that they ask by, for every kind
of source: a kind says what its product's document is, and nothing else.
"""

import json
import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Protocol
from urllib.parse import parse_qsl, urlsplit

from licenseusage.clock import Clock
from licenseusage.reasons import Reason
from licenseusage.sources.clockskew import skew_ms
from licenseusage.sources.definition.model import EffectiveSource
from licenseusage.sources.failures import PollError
from licenseusage.sources.http.asking import Ask, Head, Link
from licenseusage.sources.http.said import NOTHING, Said
from licenseusage.sources.poll import PollRequest, PollResult
from trials.soak.heard import Heard
from trials.soak.lies import Lie
from trials.soak.people import SECOND_MS, Store

FAULTS = (
    "refused", "timeout", "error500", "throttled", "unauthorized", "signInPage", "cutOff",
    "notJson", "emptyList", "noDate", "cached", "clockFarOff", "hangs",
    "stuckPage", "cutOffLater", "hangsLater",
)  # fmt: skip
"""Ways in which a poll fails; the last three after pages that were good."""
_LATER = ("stuckPage", "cutOffLater", "hangsLater")


class Span(Protocol):
    """What a request may name: a cycle, or a part of a log."""

    @property
    def start_ms(self) -> int:
        """Its beginning."""

    @property
    def end_ms(self) -> int:
        """Its end."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A time in which a product's answers are bad: ``kind`` of `FAULTS`, with a probability."""

    from_ms: int
    to_ms: int
    kind: str
    chance: float


def fault_at(faults: tuple[Fault, ...], random_: random.Random, at_ms: int) -> str | None:
    """What goes wrong with a request at an instant; None: nothing."""
    for fault in faults:
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


@dataclass(frozen=True, slots=True)
class Visit:
    """One poll, seen from the product.

    Attributes:
        clock: The worker's.
        true_ms: When it began.
        longest_s: How long it may take.
    """

    random: random.Random
    clock: PollClock
    true_ms: int
    longest_s: float

    @property
    def true_now_ms(self) -> int:
        """The true time."""
        return self.true_ms + self.clock.passed_ms


@dataclass(slots=True)
class Visited:
    """What came of one poll.

    Attributes:
        result: As the operator has it.
        faults: What went wrong with each pod that was asked, and otherwise.
        pods: How many were asked.
        heard: What was read of a list, for who judges; None: it is no list.
    """

    result: PollResult
    faults: list[str] = field(default_factory=list)
    pods: int = 1
    heard: Heard | None = None


class Product(Protocol):
    """What answers for one source.

    Attributes:
        store: Who does what: the truth.
        slowness_ms: Greatest time that one page takes.
        faults: When it misbehaves.
        lies: When its answers are not true.
    """

    store: Store
    slowness_ms: int
    faults: tuple[Fault, ...]
    lies: tuple[Lie, ...]

    @property
    def deceives(self) -> bool:
        """Whether something of its answers is untrue and may not show."""

    def visited(self, request: PollRequest, visit: Visit) -> Visited:
        """Answer a poll."""


class Answering:
    """What `sources.http.fetch.Session` is to a poll: one request after the other, and their clock.

    Attributes:
        skew_ms: The largest clock difference that any answer allows for.
        bytes: Content received.
        requests: How many were made.
        extent: What the head of the last answer says of the size of the list.
        head: As of the session that it is.
        started_ms: Just before the first request.
        ended_ms: Just after the last answer.
        fault: What goes wrong with this poll; None: nothing.
    """

    def __init__(self, product: Product, source: EffectiveSource, visit: Visit) -> None:
        """Answer from now on."""
        self._source, self._visit = source, visit
        self._longest_ms = round(visit.longest_s * SECOND_MS)
        self.skew_ms = self.bytes = self.requests = self.ended_ms = 0
        self.extent: Said = NOTHING
        self.head = Head()
        self.started_ms: int | None = None
        self.fault = fault_at(product.faults, visit.random, visit.true_ms)
        quick = visit.random.random() < 0.5
        self._most_ms = min(product.slowness_ms, 50) if quick else product.slowness_ms

    def __enter__(self) -> "Answering":
        """Return itself."""
        return self

    def __exit__(self, *error: object) -> None:
        """There is nothing to close."""

    def document(self, asked: Mapping[str, str], span: Span, fault: str | None) -> object:
        """Return what the product answers; text is sent as it is.

        Args:
            asked: The paging parameters.
            span: What the request names.
            fault: What goes wrong, as far as it is about the document.
        """
        raise NotImplementedError

    @property
    def time_left(self) -> float:
        """Seconds that the poll may still take."""
        return (self._longest_ms - self._visit.clock.passed_ms) / SECOND_MS

    @contextmanager
    def get(self, ask: Ask, span: Span) -> Iterator[Iterator[bytes]]:
        """Answer one request; time passes before the product looks, and after."""
        clock = self._visit.clock
        sent_ms = clock.now_ms()
        self.started_ms = sent_ms if self.started_ms is None else self.started_ms
        self.requests += 1
        self._pass_time()
        later = self.fault in _LATER and self.requests == 1
        fault = None if later else self.fault
        self._refuse(fault)
        asked = dict(parse_qsl(urlsplit(ask.target).query) if isinstance(ask, Link) else ask)
        self.head = Head("pod", ask.target if isinstance(ask, Link) else "/")
        if fault == "stuckPage":  # whatever page is asked for, the first one comes
            asked = {name: value for name, value in asked.items() if name == "limit"}
        date: str | None = formatdate(self._visit.true_now_ms // 1000, usegmt=True)
        if fault == "noDate":
            date = None
        elif fault == "clockFarOff":
            date = formatdate(self._visit.true_now_ms // 1000 - 700, usegmt=True)
        skew = skew_ms(
            date,
            "3" if fault == "cached" else None,
            sent_ms=sent_ms,
            received_ms=clock.now_ms(),
            declared_s=self._source.guarantees.clock_skew_seconds,
        )
        self.skew_ms = max(self.skew_ms, skew)
        document = self.document(asked, span, fault)
        body = document if isinstance(document, str) else json.dumps(document)
        yield self._content(body.encode(), fault)
        self._pass_time()
        self.ended_ms = clock.now_ms()

    def _content(self, body: bytes, fault: str | None) -> Iterator[bytes]:
        clock = self._visit.clock
        if fault == "notJson":
            body = body[: len(body) // 2]
        if fault == "signInPage":
            body = b"<html>Who are you?</html>"
        if fault in ("hangs", "hangsLater"):  # byte after byte, as slowly as it may
            yield body[: len(body) // 2]
            clock.passed_ms = max(clock.passed_ms, self._longest_ms)
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
                self._visit.clock.passed_ms += 30 * SECOND_MS
                raise PollError(Reason.REQUEST_TIMEOUT, "no answer in time.")
            case "error500":
                raise PollError(Reason.SERVER_ERROR, "answered with HTTP 500.")
            case "throttled":
                raise PollError(Reason.TOO_MANY_REQUESTS, "answered with HTTP 429.")
            case "unauthorized":
                raise PollError(Reason.UNAUTHORIZED, "answered with HTTP 401.", stalls=True)

    def _pass_time(self) -> None:
        self._visit.clock.passed_ms += self._visit.random.randint(0, self._most_ms)
