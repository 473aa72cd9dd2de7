"""Each way in which a NATS server cannot be read, beside those of every broker."""

import asyncio
import json

import pytest

from hack.nats import NatsServer
from licenseusage.api.source import Source
from licenseusage.sources.definition.presets import effective
from licenseusage.sources.poll import Target
from tests.sources.broker import STREAM, Broker, Reader, ago, message, source
from tests.sources.brokerkinds import Nats, against, as_, tls_target


@pytest.fixture
def kind(nats_program) -> Nats:
    return Nats(nats_program)


def test_a_server_without_jetstream_says_so(nats_program, tmp_path):
    with NatsServer(tmp_path / "n", program=nats_program, jetstream=None) as server:
        failure = Reader(server).poll().failure
    assert failure.reason == "JetStreamUnavailable"
    assert "has no JetStream" in failure.message


def test_another_server_of_a_cluster_is_asked_if_one_has_no_jetstream(
    broker, nats_program, tmp_path
):
    broker.publish(message("a", ago(5)))
    with NatsServer(tmp_path / "without", program=nats_program, jetstream=None) as server:
        without = Target("127.0.0.1", server.port, "NATS", "pod-1")
        reader = Reader(broker.server)
        result = reader.poll(targets=(without, reader.target))
    assert (result.failure, result.target) == (None, "pod-0")


@pytest.mark.parametrize("retention", ["workqueue", "interest"])
def test_a_queue_is_no_log(nats_server, retention):
    Broker(nats_server).create(retention=retention)
    failure = Reader(nats_server).poll().failure
    assert (failure.reason, failure.needs_a_person) == ("StreamNotALog", True)
    assert f"retention {retention}" in failure.message


@pytest.mark.parametrize(
    ("place", "setting"),
    [
        ({"pods": {"selector": {}, "port": 4222, "scheme": "NATS"}}, "pods.port"),
        ({"service": {"name": "nats", "port": 4222, "scheme": "NATS"}}, "service.port"),
        ({"endpoint": "nats"}, "the endpoint's address"),
    ],
)
def test_the_setting_to_check_is_that_of_the_place_that_was_asked(nats_server, place, setting):
    reader = Reader(nats_server)
    nats_server.stop()
    asked = {"name": "events", "preset": "OpenCloudEvents"} | place
    reader.request["source"] = effective(Source.model_validate(asked))
    assert f"Check {setting}, NetworkPolicies" in reader.poll().failure.message


def test_the_addresses_of_an_endpoint_are_tried_one_after_the_other(broker):
    asked = {"name": "events", "preset": "OpenCloudEvents", "endpoint": "nats"}
    reader = Reader(broker.server, source=effective(Source.model_validate(asked)))
    broker.publish(message("a", ago(5)))
    dead = Target("127.0.0.1", 1, "NATS", "endpoint nats")
    assert reader.poll(targets=(dead, reader.target)).failure is None
    none = reader.poll(targets=(dead, dead))
    assert "none of 2 addresses answered" in none.failure.message


def test_another_pod_is_asked_if_one_cannot_be_reached(broker):
    reader = Reader(broker.server)
    broker.publish(message("a", ago(5)))
    dead = Target("127.0.0.1", 1, "NATS", "pod-dead")
    result = reader.poll(targets=(dead, reader.target))
    assert (result.failure, result.target) == (None, "pod-0")
    none = reader.poll(targets=(dead, dead))
    assert "none of 2 ready pods answered" in none.failure.message
    assert reader.poll(targets=()).failure.reason == "NoReadyPods"


def test_servers_that_each_keep_a_stream_of_their_own_are_refused(broker, nats_program, tmp_path):
    """Each of them is whole by itself, and neither knows the other's events."""
    reader = Reader(broker.server)
    broker.publish(message("a", ago(5)))
    with NatsServer(tmp_path / "second", program=nats_program) as second:
        other = Broker(second)
        other.create()
        other.publish(message("b", ago(5)))
        beside = Target("127.0.0.1", second.port, "NATS", "pod-1")
        result = reader.poll(targets=(reader.target, beside))
    failure = result.failure
    assert (failure.reason, failure.needs_a_person) == ("SeveralLogs", True)
    assert f"pod-0 and pod-1 each keep a log {STREAM} of their own" in failure.message
    assert (result.complete, result.facts, result.readings) == (False, {}, {})


def test_the_same_log_at_several_pods_is_one(broker):
    reader = Reader(broker.server)
    broker.publish(message("a", ago(5)))
    again = Target("127.0.0.1", broker.server.port, "NATS", "pod-1")
    result = reader.poll(targets=(reader.target, again))
    assert (result.failure, result.complete, result.counted) == (None, True, 1)


@pytest.mark.parametrize("beside", ["nobody", "silent", "fresh"])
def test_a_pod_that_keeps_no_log_is_no_witness(broker, nats_program, tmp_path, serve, beside):
    reader = Reader(broker.server)
    broker.publish(message("a", ago(5)))
    with NatsServer(tmp_path / "fresh", program=nats_program) as fresh:
        port = {"nobody": 1, "silent": serve(b"").port, "fresh": fresh.port}[beside]
        result = reader.poll(targets=(reader.target, Target("127.0.0.1", port, "NATS", "pod-1")))
    assert (result.failure, result.target, result.counted) == (None, "pod-0", 1)


def test_a_server_that_is_silent_leads_to_the_next(broker, serve):
    reader = Reader(broker.server)
    broker.publish(message("a", ago(5)))
    silent = serve(b"")
    held = Target("127.0.0.1", silent.port, "NATS", "pod-silent")
    result = reader.poll(targets=(held, reader.target))
    assert (result.failure, result.target) == (None, "pod-0")


def test_a_web_server_is_no_nats_server(serve):
    product = serve(b"{}")
    result = Reader(product).poll()
    assert result.failure.reason in {"Unreachable", "NotNATS"}
    assert "NATS" in result.failure.message
    assert result.seconds < 15


@pytest.mark.parametrize(
    "greeting",
    [b"INFO {}\r\n", b"HELLO\r\n", b"INFO not json\r\n", b"\x00" * 100, b"-ERR 'no'\r\n", b""],
)
def test_a_server_that_talks_nonsense_is_told_in_time(greeting):
    async def nonsense(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(greeting)
        await writer.drain()
        writer.close()

    result = against(nonsense, Reader, "NATS")
    assert result.failure is not None
    assert "127.0.0.1:" in result.failure.message
    assert result.seconds < 15


def speaking(info: dict):
    """A server that knows just enough of NATS to answer STREAM.INFO with ``info``."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b'INFO {"version": "2.9.10", "headers": true, "max_payload": 1048576}\r\n')
        inbox = b""
        while line := await reader.readline():
            if line.startswith(b"PING"):
                writer.write(b"PONG\r\n")
            elif line.startswith(b"SUB"):
                inbox = line.split()[-1]
            elif line.startswith((b"PUB", b"HPUB")):
                words = line.split()
                await reader.readexactly(int(words[-1]) + 2)
                body = json.dumps(info).encode()
                writer.write(b"MSG %b %b %d\r\n%b\r\n" % (words[2], inbox, len(body), body))
            await writer.drain()

    return handle


def test_a_server_that_does_not_tell_its_time_needs_a_declared_clock():
    """As nats-server before 2.10."""
    state = {
        "messages": 0,
        "first_seq": 0,
        "last_seq": 0,
        "first_ts": "0001-01-01T00:00:00Z",
        "last_ts": "0001-01-01T00:00:00Z",
    }
    info = {"created": "2026-01-01T00:00:00.123456789Z", "state": state, "config": {}}
    failure = against(speaking(info), Reader, "NATS").failure
    assert (failure.reason, failure.needs_a_person) == ("ClockUnknown", True)
    assert "declare guarantees.clockSkewSeconds" in failure.message
    declared = effective(source(guarantees={"clockSkewSeconds": 2}))
    result = against(speaking(info), Reader, "NATS", source=declared)
    assert (result.failure, result.complete, result.clock_skew_ms) == (None, True, 2000)


@pytest.mark.parametrize(
    "info",
    [
        {},
        [],
        {"state": "full"},
        {"created": "yesterday", "state": {}},
        {"error": {"code": 500, "err_code": 10008, "description": "secret words"}},
    ],
)
def test_strange_answers_about_the_stream_are_told_without_quoting_them(info):
    failure = against(speaking(info), Reader, "NATS").failure
    assert failure.reason in {"NotNATS", "BrokerFailed"}
    assert "secret words" not in failure.message


# -- TLS --


def test_a_broken_authority_is_told(secured):
    target = Target("127.0.0.1", secured.port, "TLS", "pod-0", "no pem", None)
    assert Reader(secured).poll(targets=(target,)).failure.reason == "CAInvalid"


def test_a_server_that_wants_tls_is_told_from_one_that_does_not(kind, secured):
    failure = Reader(secured).poll(**as_(kind, "meter", "s3cret")).failure
    assert (failure.reason, failure.needs_a_person) == ("TLSFailed", True)
    assert "wants TLS. Set pods.scheme to TLS" in failure.message


def test_a_password_is_never_sent_in_clear_where_tls_is_asked_for(kind, authority):
    """nats-py itself would send it if the server does not offer TLS."""
    seen = []

    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b'INFO {"version": "2.10.0", "auth_required": true}\r\n')
        await writer.drain()
        seen.append(await reader.read(1000))
        writer.close()

    pem = authority.ca_file.read_text()
    result = against(plain, Reader, "TLS", pem, **as_(kind, "meter", "s3cret"))
    assert (result.failure.reason, result.failure.needs_a_person) == ("TLSFailed", True)
    assert "offers no TLS, so nothing secret was sent" in result.failure.message
    assert not any(b"s3cret" in one or b"meter" in one for one in seen)


def test_a_server_without_tls_is_refused_where_tls_is_asked_for(broker, authority):
    target = tls_target(broker.server, authority)
    failure = Reader(broker.server).poll(targets=(target,)).failure
    assert (failure.reason, failure.needs_a_person) == ("TLSFailed", True)
