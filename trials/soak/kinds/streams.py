"""Redis streams: a server that trims, forgets at a restart, and is followed by a replica.

The operator's own session and trail read; what stands here is the connection, and the answers of a
Redis server to the few commands that it gets.
"""

import asyncio
import json
import random
import threading
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

from licenseusage.reasons import Reason
from licenseusage.sources.failures import PollError
from licenseusage.sources.logs.collect import LogCollection
from licenseusage.sources.logs.redis.connection import RedisConnection
from licenseusage.sources.logs.redis.session import RedisSession, runs_of
from licenseusage.sources.logs.session import Session
from licenseusage.sources.poll import PollRequest, PollResult, Target
from trials.soak.answering import Fault, Visit, Visited, fault_at
from trials.soak.kinds.events import Written, events_of
from trials.soak.lies import Lie
from trials.soak.people import HOUR_MS, MINUTE_MS, SECOND_MS, Account, Names, Store, Traits, near

_NO_ENTRY = "0-0"
_REFUSALS = {
    "refused": (Reason.UNREACHABLE, False),
    "timeout": (Reason.REQUEST_TIMEOUT, False),
    "error500": (Reason.BROKER_FAILED, False),
    "unauthorized": (Reason.UNAUTHORIZED, True),
    "emptyList": (Reason.STREAM_NOT_FOUND, True),
    "cutOff": (Reason.CONNECTION_LOST, False),
}


class Event(NamedTuple):
    """What happens to the server.

    Attributes:
        at_ms: When.
        kind: ``restart`` (another run), ``forget`` (a restart before which the newest entries were
            not on the disk yet), ``failover`` (the other pod goes on, without the newest entries)
            or ``delete`` (XDEL of the newest entry).
        lost_ms: So old are the entries that are lost.
    """

    at_ms: int
    kind: str
    lost_ms: int


class Entry(NamedTuple):
    """An entry: its id, and what it tells."""

    ms: int
    number: int
    event: Written

    @property
    def id(self) -> str:
        """As Redis writes it."""
        return f"{self.ms}-{self.number}"


@dataclass(slots=True)
class Held:
    """A stream at an instant, at one pod.

    Attributes:
        entries: What it holds.
        added: Entries ever added.
        last: Id of the newest entry ever added.
        deleted: Greatest id that was removed by hand.
        run: Of the server.
        since_ms: When that run began.
    """

    entries: list[Entry]
    added: int
    last: str
    deleted: str
    run: str
    since_ms: int


@dataclass(slots=True)
class Stream:
    """A product that writes to a Redis stream, and the server that keeps it.

    Attributes:
        events: What is written, in order.
        happens: To the server, ascending.
        most: MAXLEN of the stream; None: it is never trimmed.
        pods: The second one is a replica.
        begun_ms: When the server was started first.
        apart: It is a primary as well, and the product writes to one of them each time.
    """

    store: Store
    slowness_ms: int
    events: list[Written]
    happens: tuple[Event, ...]
    most: int | None
    pods: int
    begun_ms: int
    apart: bool = False
    faults: tuple[Fault, ...] = ()
    lies: tuple[Lie, ...] = ()
    _deceived: bool = False

    @property
    def deceives(self) -> bool:
        """As of `Product`: what a server loses shows by its run, its counters or its ids.

        Of two primaries one may be silent, and then nothing shows that there are two.
        """
        return self._deceived or (self.apart and bool(self.faults))

    def visited(self, request: PollRequest, visit: Visit) -> Visited:
        """As of `Product`: the poll has a loop of its own, as in a worker's process."""
        self._deceived = self.deceives  # also when a history's end has mended the server
        poll = _Collection(self, request, visit)
        results: list[PollResult] = []
        thread = threading.Thread(target=lambda: results.append(poll.perform()))
        thread.start()
        thread.join()
        faults = [f"poll {fault}" for fault in poll.faults]
        if self.apart:
            faults.append("two primaries")
        return Visited(results[0], faults, max(1, poll.opened))

    def primary(self, at_ms: int) -> int:
        """Return the pod that is the primary."""
        turns = sum(e.kind == "failover" and e.at_ms <= at_ms for e in self.happens)
        return turns % 2 if self.pods > 1 else 0

    def kept_at(self, at_ms: int, pod: int) -> Held:
        """Return the stream as a pod holds it at an instant."""
        stream = Held([], 0, _NO_ENTRY, _NO_ENTRY, "run-0", self.begun_ms)
        happens, run = [e for e in self.happens if e.at_ms <= at_ms], 0
        for event in self.events:
            while happens and happens[0].at_ms < event.written_ms:
                run = self._happened(stream, happens.pop(0), run)
            if event.written_ms > at_ms:
                break
            if self.apart and event.number % 2 != pod:
                continue  # the product has written it to the other one
            self._add(stream, event)
        while happens:
            run = self._happened(stream, happens.pop(0), run)
        if pod != self.primary(at_ms):
            stream.run += "-other"
        return stream

    def _add(self, stream: Held, event: Written) -> None:
        last_ms, last_number = map(int, stream.last.split("-"))
        number = last_number + 1 if event.written_ms <= last_ms else 0
        entry = Entry(max(event.written_ms, last_ms), number, event)
        stream.entries.append(entry)
        stream.added, stream.last = stream.added + 1, entry.id
        if self.most is not None:
            del stream.entries[: -self.most]

    @staticmethod
    def _happened(stream: Held, happens: Event, run: int) -> int:
        if happens.kind == "delete":
            if stream.entries:
                stream.deleted = max(stream.deleted, stream.entries.pop().id, key=_key)
            return run
        if happens.kind in ("forget", "failover"):
            kept = [e for e in stream.entries if e.ms <= happens.at_ms - happens.lost_ms]
            lost = len(stream.entries) - len(kept)
            stream.entries, stream.added = kept, stream.added - lost
            if lost:
                stream.last = kept[-1].id if kept else _NO_ENTRY
        stream.run, stream.since_ms = f"run-{run + 1}", happens.at_ms
        return run + 1


class _Connection:
    """Answers the commands of a session, as Redis 7 does."""

    address = "10.1.2.1:6379"

    def __init__(self, stream: Stream, pod: int, visit: Visit) -> None:
        self._stream, self._pod, self._visit = stream, pod, visit

    async def ask(self, *commands: Sequence[str | int]) -> list[Any]:
        """Return the answers."""
        clock = self._visit.clock
        clock.passed_ms += self._visit.random.randint(0, min(self._stream.slowness_ms, 500))
        at_ms = self._visit.true_now_ms
        stream = self._stream.kept_at(at_ms, self._pod)
        return [self._answer(tuple(map(str, command)), stream, at_ms) for command in commands]

    def strange(self) -> PollError:
        """As of ``RedisConnection``."""
        return PollError(Reason.NOT_REDIS, "it does not answer as a Redis server.")

    def not_primary(self, why: str) -> PollError:
        """As of ``RedisConnection``."""
        return PollError(Reason.NOT_PRIMARY, f"it cannot answer: {why}.")

    def _answer(self, command: tuple[str, ...], stream: Held, at_ms: int) -> object:
        match command:
            case ("INFO", "server"):
                up_s = (at_ms - stream.since_ms) // SECOND_MS
                return f"run_id:{stream.run}\r\nuptime_in_seconds:{up_s}\r\n".encode()
            case ("INFO", "replication"):
                here = self._stream.apart or self._pod == self._stream.primary(at_ms)
                follows = any(
                    e.kind == "failover" and e.at_ms <= at_ms for e in self._stream.happens
                )
                before = "a" * 40 if follows and self._stream.pods > 1 else "0" * 40
                role = "master" if here else "slave"
                return f"role:{role}\r\nmaster_replid2:{before}\r\n".encode()
            case ("TIME",):
                return [str(at_ms // 1000).encode(), str(at_ms % 1000 * 1000).encode()]
            case ("XINFO", "STREAM", _) if not stream.added:
                raise PollError(Reason.STREAM_NOT_FOUND, "there is no stream.", stalls=True)
            case ("XINFO", "STREAM", _):
                return _described(stream)
            case ("XRANGE", _, start, _, "COUNT", most):
                first = _key(start)
                wanted = [e for e in stream.entries if (e.ms, e.number) >= first]
                return [_entry(e) for e in wanted[: int(most)]]
            case ("XREVRANGE", _, start, _, "COUNT", most):
                last = _key(start.removeprefix("("))
                wanted = [e for e in reversed(stream.entries) if (e.ms, e.number) < last]
                return [_entry(e) for e in wanted[: int(most)]]
        raise AssertionError(command)


class _Collection(LogCollection):
    """A poll of simulated pods.

    Attributes:
        faults: What went wrong with those that were asked.
        opened: How many were.
    """

    def __init__(self, stream: Stream, request: PollRequest, visit: Visit) -> None:
        super().__init__(request, visit.clock)
        self._stream, self._visit = stream, visit
        self.faults: list[str] = []
        self.opened = 0

    @asynccontextmanager
    async def _opened(self, target: Target) -> AsyncGenerator[Session, None]:
        visit, request = self._visit, self._request
        self.opened += 1
        fault = fault_at(self._stream.faults, visit.random, visit.true_now_ms)
        if fault in _REFUSALS:
            self.faults.append(fault)
            reason, stalls = _REFUSALS[fault]
            raise PollError(reason, "no stream can be read there.", stalls=stalls)
        pod = int(target.label.rpartition("-")[2] or 0)
        connection = cast(RedisConnection, _Connection(self._stream, pod, visit))
        yield RedisSession(
            connection, request.source, request.limits, visit.clock, 0, runs_of(request)
        )
        await asyncio.sleep(0)


def _described(stream: Held) -> list[Any]:
    first = stream.entries[0].id if stream.entries else _NO_ENTRY
    pairs = {
        "length": len(stream.entries),
        "entries-added": stream.added,
        "recorded-first-entry-id": first.encode(),
        "last-generated-id": stream.last.encode(),
        "max-deleted-entry-id": stream.deleted.encode(),
    }
    return [each for name, value in pairs.items() for each in (name.encode(), value)]


def _entry(entry: Entry) -> list[Any]:
    event = {"kind": "login", "at": entry.event.at_ms, "user": entry.event.user}
    return [entry.id.encode(), [b"event", json.dumps(event).encode()]]


def _key(text: str) -> tuple[int, int]:
    ms, _, number = text.partition("-")
    return int(ms), int(number or 0)


def draw_stream(
    random_: random.Random,
    traits: Traits,
    accounts: list[Account],
    boundaries: Sequence[int],
    pods: int,
) -> tuple[Stream, dict[str, Any]]:
    """Draw a stream and its source, but for what every source has."""
    durable = random_.random() < 0.5
    kinds = ["delete", "restart"] if durable else ["delete", "restart", "forget", "failover"]
    length_ms = boundaries[1] - boundaries[0]
    happens = []
    for _ in range(random_.choice((0, 1, 2, 4))):
        at_ms = near(random_, boundaries, random_.choice((MINUTE_MS, HOUR_MS, length_ms)))
        lost_ms = random_.choice((0, SECOND_MS, MINUTE_MS, HOUR_MS, 10**12))
        happens.append(Event(at_ms, random_.choice(kinds), lost_ms))
    events = events_of(accounts)
    stream = Stream(
        Store(traits, accounts, Names(1 + max(a.person for a in accounts))),
        random_.choice((5, 50, 500)),
        events=events,
        happens=tuple(sorted(happens)),
        most=random_.choice((None, None, 5, 20, 100)),
        pods=pods,
        begun_ms=boundaries[0] - random_.choice((-1, 1)) * random_.randrange(3 * length_ms),
        apart=pods > 1 and random_.random() < 0.25,
    )
    guarantees = {"lagSeconds": traits.lag_ms // SECOND_MS, "ids": "Stable"}
    if durable:
        guarantees["durability"] = "Durable"
    return stream, {
        "redis": {
            "stream": "app:activity",
            "field": "event",
            "typePath": "kind",
            "types": ["login"],
        },
        "users": {
            "id": "user",
            "time": {"path": "at", "format": "EpochMillis", "granularity": "Millisecond"},
        },
        "guarantees": guarantees,
    }
