"""``source check --watch`` of event logs: what came, and what was lost, between two looks."""

import itertools
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from licenseusage.cli.source_watch_logs import Look, WatchedLog
from licenseusage.clock import SystemClock
from licenseusage.sources.workers.kinds import collect
from tests.sources import redisproduct as redis
from tests.sources.broker import Broker, message, now_ms, person
from tests.sources.brokerkinds import Kind, Nats, Redis
from tests.sources.eventlog import EventLog, as_written
from tests.sources.product import answer
from tests.sources.redisproduct import Stream, event
from tests.sources.test_captures import headers
from tests.sources.test_source_check import now

PODS = {"selector": {"matchLabels": {"app": "x"}}}


@dataclass
class Watch:
    """Looks at a log of a broker as the command does, one look at a time."""

    kind: Kind
    reader: Any
    seen: WatchedLog = field(init=False)

    def __post_init__(self) -> None:
        self.seen = WatchedLog(self.reader.request["source"])

    def look(self) -> Look:
        self.result = collect(self.seen.following(self.reader.made(advise=True)), SystemClock())
        assert self.result.failure is None
        return self.seen.see(self.result)

    @property
    def facts(self) -> dict[str, Any]:
        return self.seen.facts(self.result)


@dataclass
class Product:
    """A product that writes to its log, whatever kind that is."""

    log: Any

    def act(self, *names: str) -> None:
        if isinstance(self.log, Broker):
            self.log.publish(*(message(name, now_ms()) for name in names))
        else:
            self.log.add(*(event(name, now_ms()) for name in names))

    def lose(self) -> None:
        """Forget everything before it can be read."""
        if isinstance(self.log, Broker):
            self.log.purge()
        else:
            self.log.do("XTRIM", redis.KEY, "MAXLEN", "0")


@pytest.fixture(params=[Nats, Redis], ids=lambda kind: kind.name)
def watched(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """A log of each kind of broker, and a watch over it."""
    kind = request.param(request.getfixturevalue(f"{request.param.name}_program"))
    with kind.server(tmp_path / kind.name) as server:
        if kind.name == "nats":
            log: Any = Broker(server)
            log.create()
        else:
            log = Stream(server)
        yield Product(log), Watch(kind, kind.reader(server))


def test_each_look_reads_on_and_tells_what_came(watched):
    product, watch = watched
    product.act("a", "b")
    begun = watch.look()
    assert (begun.first, watch.facts["eventsRead"], watch.facts["moves"]) == (True, 2, None)
    product.act("b", "c")
    moved = watch.look()
    assert watch.facts["eventsRead"] == 2
    assert watch.facts["moves"]["position"]
    assert watch.facts["moves"]["appeared"]["users"] == len(moved.appeared) == 1
    assert watch.facts["position"]["place"].split()[0] in ("sequence", "entry")
    still = watch.look()
    assert (watch.facts["eventsRead"], still.moved, still.appeared) == (0, False, frozenset())
    assert not watch.seen.denied
    assert watch.seen.notes() == []


def test_events_that_are_lost_between_two_looks_make_the_watch_fail(watched):
    product, watch = watched
    product.act("a")
    assert watch.look().first
    product.act("b")
    product.lose()
    product.act("c")
    lost = watch.look()
    assert watch.seen.denied
    assert {hole.reason for hole in lost.lost} <= {"StreamPurged", "StreamLimited"}
    assert [loss["reason"] for loss in watch.facts["lost"]] == [hole.reason for hole in lost.lost]
    assert watch.seen.notes()[0].startswith("events were lost between two looks (Stream")
    assert lost.hint is not None


def test_who_has_an_event_with_each_look_may_be_the_reader(watched):
    product, watch = watched
    for names in ("ab", "ac", "ad"):
        product.act(*names)
        watch.look()
    (note,) = watch.seen.notes()
    assert note.startswith("1 users had events in each look.")


def test_a_log_to_which_nothing_comes_says_what_to_try(watched):
    product, watch = watched
    product.act("a")
    watch.look()
    watch.look()
    (note,) = watch.seen.notes()
    assert note.startswith("no event came between two looks.")


SOURCES = {
    "nats": {"name": "events", "preset": "OpenCloudEvents", "pods": PODS},
    "redis": redis.stream_source(**redis.DURABLE).to_object(),
}


def test_the_command_watches_the_log_of_a_broker(run, file, watched):
    product, watch = watched
    product.act("a", "b")
    kind, port = watch.kind, watch.reader.server.port
    done = run(
        *("source", "check", file(SOURCES[kind.name]), "--url", f"{kind.name}://127.0.0.1:{port}"),
        *("--watch", "--every", 0, "--times", 2),
    )
    assert (done.code, done.err) == (0, "")
    assert "2 events read, 2 users counted" in done.out
    assert "0 events read" in done.out
    assert "note: Source events: no event came between two looks." in done.out
    assert person("a") not in done.out


# -- over HTTP --


FIRST_LOOK = 3
"""Requests of the first look: two for the log, one for an event from before the cycle."""


def http_log(serve: Any, log: EventLog, second_look: Callable[[], bytes | None]) -> str:
    """Serve a log; something happens to it just before the second look at it."""
    asked_times = itertools.count()

    def respond(asked: Any) -> bytes:
        if next(asked_times) == FIRST_LOOK and (instead := second_look()) is not None:
            return instead
        query = "&".join(f"{name}={value}" for name, value in asked.query)
        return answer(log.respond(f"{asked.path}?{query}"), headers=headers())

    return f"http://127.0.0.1:{serve(respond).port}"


def kept() -> EventLog:
    log = EventLog()
    log.write(ms(days=40), "before")
    log.write(ms(hours=3), "leaky-a")
    return log


def ms(**ago: float) -> int:
    return int((now() - timedelta(**ago)).timestamp() * 1000)


def watch_http(run: Any, file: Any, url: str, times: int) -> Any:
    source = as_written(pages="None").to_object() | {"name": "events"}
    asked = ("source", "check", file(source), "--url", url, "--watch", "--every", 0)
    asked += ("--secret", "meter/token=t")
    return run(*asked, "--times", times, "-o", "json")


def test_a_log_over_http_is_watched_from_look_to_look(run, file, serve):
    log = kept()

    def act() -> None:
        log.write(ms(minutes=2), "leaky-b")

    url = http_log(serve, log, act)
    done = watch_http(run, file, url, 2)
    assert (done.code, done.err) == (0, "")
    first, second = json.loads(done.out)["polls"]
    assert (first["moves"], first["lost"], first["complete"]) == (None, [], True)
    assert second["moves"]["position"]
    assert second["moves"]["appeared"]["users"] == 1
    assert second["position"]["place"] is None
    assert second["position"]["newestEventTime"] > first["position"]["newestEventTime"]
    assert "leaky" not in done.out


def test_a_log_over_http_that_was_cleared_between_two_looks_is_exit_code_1(run, file, serve):
    log = kept()
    url = http_log(serve, log, log.held.clear)
    done = watch_http(run, file, url, 2)
    facts = json.loads(done.out)
    assert done.code == 1
    assert {loss["reason"] for loss in facts["polls"][1]["lost"]} == {"LogWentBack"}
    assert "events were lost between two looks (LogWentBack)" in facts["notes"][0]


def test_a_look_that_fails_is_told_and_read_on_from_later(run, file, serve):
    url = http_log(serve, kept(), lambda: answer(b"", "404 Not Found"))
    done = watch_http(run, file, url, 3)
    polls = json.loads(done.out)["polls"]
    assert [look["failure"] and look["failure"]["reason"] for look in polls] == [
        None,
        "PathNotFound",
        None,
    ]
    assert polls[2]["moves"] == {"position": False, "appeared": {"users": 0, "examples": []}}
    assert done.code == 1
