"""Logs of NATS and Redis are recorded and replayed as lists are."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from licenseusage.errors import Stalled
from licenseusage.metering.cycles import DAY_MS
from licenseusage.sources.captures.brokerlogs import LogReplayer, RecordedLog
from licenseusage.sources.captures.messages import MessageShape
from licenseusage.sources.definition.presets import effective
from licenseusage.sources.logs.numbered import StreamState
from licenseusage.sources.logs.session import Asked
from licenseusage.sources.poll import CycleRequest
from licenseusage.sources.whereabouts import Whereabouts
from tests.sources import redisproduct as redis
from tests.sources.broker import STREAM, Broker, ago, message, now_ms, person, source, today
from tests.sources.brokerkinds import Nats, Redis
from tests.sources.product import request
from tests.sources.redisproduct import Stream, event, stream_source
from tests.sources.test_captures import CANARY, must_give_the_same

PODS = {"selector": {"matchLabels": {"app": "x"}}}
OF_NATS: dict[str, Any] = {"name": "events", "preset": "OpenCloudEvents", "pods": PODS}
OF_REDIS = stream_source(**redis.DURABLE).to_object()


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    return tmp_path / "events.capture.json"


@pytest.fixture
def nats(nats_program: Path, tmp_path: Path) -> Any:
    with Nats(nats_program).server(tmp_path / "nats") as server:
        product = Broker(server)  # type: ignore[arg-type]
        product.create()
        yield product


@pytest.fixture
def stream(redis_program: Path, tmp_path: Path) -> Any:
    with Redis(redis_program).server(tmp_path / "redis") as server:
        yield Stream(server)  # type: ignore[arg-type]


def both(run: Any, file: Any, capture: Path, source: Any, url: str) -> dict[str, Any]:
    """Record and replay; return what both have given."""
    checked = ("source", "check", file(source))
    recorded = run(*checked, "--url", url, "--record", capture, "-o", "json")
    assert capture.exists(), recorded.err
    return must_give_the_same(recorded, run(*checked, "--replay", capture, "-o", "json"))


def opencloud(product: Broker) -> None:
    """Write what the preset of OpenCloud has to tell apart."""
    product.publish(
        message("ann", ago(60)),
        message("ann", ago(50), "events.ItemTrashed", Note=CANARY),
        message("bob", ago(40), "events.BytesReceived"),
        message("robot", ago(30), user_type=3),
        message("visitor", ago(25), impersonated=1),
        message("zoe", ago(20), f"events.{CANARY}"),
        message(None, ago(10)),
        b"no JSON " + CANARY.encode(),
    )


def test_a_stream_of_nats_is_kept_without_names_and_gives_the_same(run, file, nats, capture):
    opencloud(nats)
    facts = both(run, file, capture, OF_NATS, f"nats://127.0.0.1:{nats.server.port}")
    assert (facts["eventsRead"], facts["usersCounted"]) == (6, 2)
    assert facts["skipped"] == {"ExcludedEvent": 2, "NoId": 1, "OtherType": 1, "Unreadable": 1}
    assert {loss["reason"] for loss in facts["lost"]} == {"StreamBegan", "EventsUnreadable"}
    text = capture.read_text()
    assert CANARY not in text
    for name in ("ann", "bob", "robot", "zoe"):
        assert person(name) not in text


def test_a_hole_of_a_stream_of_nats_is_replayed(run, file, nats, capture):
    nats.publish(*(message(name, ago(30)) for name in "abcd"))
    nats.erase(1, 3)
    facts = both(run, file, capture, OF_NATS, f"nats://127.0.0.1:{nats.server.port}")
    assert facts["usersCounted"] == 2
    reasons = {loss["reason"] for loss in facts["lost"]}
    # Two losses within the clocks' difference are one gap, under the first one's name.
    assert "StreamPurged" in reasons
    assert reasons <= {"StreamPurged", "MessagesDeleted"}


@pytest.mark.parametrize("field", ["event", None])
def test_a_stream_of_redis_is_kept_without_names_and_gives_the_same(
    run, file, stream, capture, field
):
    source = json.loads(json.dumps(OF_REDIS))
    if field is None:
        source["redis"].pop("field")
        fields = {"kind": "login", "user": f"{CANARY}-a", "note": CANARY}
        stream.add(*({**fields, "at": str(ago(30))} for _ in range(3)))
        source["users"]["time"] = {"path": "entryTime", "format": "EpochMillis"}
        source["guarantees"]["ids"] = "Stable"
    else:
        stream.add(*(event(name, ago(30), note=CANARY) for name in "aab"))
        stream.add(event("c", ago(20), CANARY))
    facts = both(run, file, capture, source, f"redis://127.0.0.1:{stream.server.port}")
    assert facts["usersCounted"] == (2 if field else 1)
    text = capture.read_text()
    assert CANARY not in text
    assert person("a") not in text


def test_a_log_from_the_future_is_recorded_with_its_reason(run, file, nats, capture):
    nats.publish(message("a", now_ms() + 86_400_000))
    facts = both(run, file, capture, OF_NATS, f"nats://127.0.0.1:{nats.server.port}")
    assert facts["failure"]["reason"] == "StampInFuture"


def test_a_capture_of_a_log_that_was_edited_or_is_of_other_types_is_refused(
    run, file, stream, capture
):
    stream.add(event("a", ago(30)))
    both(run, file, capture, OF_REDIS, f"redis://127.0.0.1:{stream.server.port}")
    other = OF_REDIS | {"redis": OF_REDIS["redis"] | {"types": ["logout"]}}
    done = run("source", "check", file(other), "--replay", capture)
    assert (done.code, "redis differ" in done.err) == (3, True)
    capture.write_text(capture.read_text().replace('"atMs": 1', '"atMs": 2'))
    done = run("source", "check", file(OF_REDIS), "--replay", capture)
    assert (done.code, "was changed after it was written" in done.err) == (3, True)


def test_a_server_that_is_not_there_gives_no_file(run, file, capture):
    asked = ("source", "check", file(OF_NATS), "--url", "nats://127.0.0.1:1")
    done = run(*asked, "--record", capture)
    assert (done.code, capture.exists()) == (3, False)
    assert "there was no answer to record (Unreachable)" in done.err


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"redis": {"typePath": "kinds[0]"}}, "redis.typePath (kinds[0])"),
        ({"redis": {"payloadPath": "a[0]"}}, "redis.payloadPath (a[0])"),
        ({"users": {"id": "join('', [a, b])"}}, "users.id (join('', [a, b]))"),
        ({"users": {"time": {"path": "max(times)"}}}, "users.time.path (max(times))"),
        ({"users": {"exclude": "length(names) > `1`"}}, "users.exclude (length(names) > `1`)"),
    ],
)
def test_an_expression_that_cannot_be_anonymised_is_named(changes, named):
    given = json.loads(json.dumps(OF_REDIS))
    for part, fields in changes.items():
        given[part] |= fields
    with pytest.raises(Stalled, match="No file was written") as refused:
        MessageShape(effective(type(stream_source()).model_validate(given)))
    assert named in refused.value.message


def test_who_is_named_by_the_exclusion_itself_stays_so_that_the_replay_excludes_him(
    run, file, nats, capture
):
    restart = {"id": {"idp": "x", "opaque_id": "postprocessing-restart"}}
    nats.publish(
        message("a", ago(30)),
        message("a", ago(20), "events.BytesReceived", ExecutingUser=restart),
    )
    facts = both(run, file, capture, OF_NATS, f"nats://127.0.0.1:{nats.server.port}")
    assert facts["skipped"] == {"ExcludedEvent": 1}


def test_nobody_is_connected_to_in_a_replay(nats, capture, run, file):
    nats.publish(message("a", ago(30)))
    both(run, file, capture, OF_NATS, f"nats://127.0.0.1:{nats.server.port}")
    nats.server.stop(kill=True)
    done = run("source", "check", file(OF_NATS), "--replay", capture, "-o", "json")
    assert (done.code, json.loads(done.out)["usersCounted"]) == (0, 1)


def test_a_log_that_was_read_from_the_message_before_is_replayed_from_there():
    """Whether that one was there decides whether events right after it may be lost."""
    cycle, read = today(), effective(source())
    at = cycle.start_ms - DAY_MS
    state = StreamState("2026-10-01T00:00:00Z", at, 3, at, 5, at, punctured=True)
    asked = Asked(STREAM, state, cycle.start_ms + 1, 1000)
    replayer = LogReplayer(RecordedLog(asked, preceding=5, ended=True))

    async def reading() -> Any:
        given = request(1, read, cycles=(CycleRequest(cycle),))
        target = given.targets[0]
        async with replayer.opened(given, target, Whereabouts(given, None), replayer) as session:
            trail = session.trail(await session.state(), given.cycles[0])
            assert [batch async for batch in session.read(trail)] == []
            return trail.reading(ahead_ms=0, ended=session.ended)

    assert "MessagesDeleted" in {hole.reason for hole in asyncio.run(reading()).holes}
