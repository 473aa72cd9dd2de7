"""Each way in which a NATS server cannot be read: the reason, what was seen, and the fix."""

import asyncio
import json
import ssl
import threading
from pathlib import Path

import pytest

from hack.nats import NatsServer
from licenseusage.api.source import Source
from licenseusage.sources.definition.presets import effective
from licenseusage.sources.poll import Credentials, PollLimits, Target
from tests.controller.stage import Authority
from tests.sources.broker import STREAM, Broker, Reader, ago, message, source

USERS = {
    "users": [
        {"user": "product", "password": "p"},
        {
            "user": "meter",
            "password": "s3cret",
            "permissions": {
                "publish": [
                    f"$JS.API.STREAM.INFO.{STREAM}",
                    f"$JS.API.CONSUMER.*.{STREAM}.>",
                    f"$JS.API.CONSUMER.MSG.NEXT.{STREAM}.>",
                ],
                "subscribe": ["_INBOX.>"],
            },
        },
        {
            "user": "stranger",
            "password": "s",
            "permissions": {"publish": ["x"], "subscribe": [">"]},
        },
        {
            "user": "looker",
            "password": "l",
            "permissions": {"publish": [f"$JS.API.STREAM.INFO.{STREAM}"], "subscribe": [">"]},
        },
    ]
}
WITH_AUTH = effective(source(auth={"basic": {"secretRef": {"name": "nats"}}}))


def as_(user: str, password: str) -> dict:
    return {"source": WITH_AUTH, "credentials": Credentials(user, password)}


@pytest.fixture
def guarded(nats_program, tmp_path):
    with NatsServer(tmp_path / "guarded", program=nats_program, authorization=USERS) as server:
        broker = Broker(server, user="product", password="p")
        broker.create()
        broker.publish(message("a", ago(5)))
        yield server


def test_a_user_with_the_documented_rights_can_read(guarded):
    reader = Reader(guarded)
    result = reader.poll(**as_("meter", "s3cret"))
    assert result.failure is None
    assert reader.counted() == {"a"}


def test_a_wrong_password_names_the_secret_and_not_the_password(guarded):
    failure = Reader(guarded).poll(**as_("meter", "wrong-pass")).failure
    assert (failure.reason, failure.needs_a_person) == ("Unauthorized", True)
    assert "refuses the user or the password. Check Secret nats" in failure.message
    assert "wrong-pass" not in failure.message


def test_a_server_that_wants_a_password_says_where_to_give_it(guarded):
    failure = Reader(guarded).poll().failure
    assert (failure.reason, failure.needs_a_person) == ("Unauthorized", True)
    assert "give them in auth.basic" in failure.message


@pytest.mark.parametrize(("user", "password"), [("stranger", "s"), ("looker", "l")])
def test_missing_rights_are_named(guarded, user, password):
    failure = Reader(guarded).poll(**as_(user, password)).failure
    assert (failure.reason, failure.needs_a_person) == ("AccessDenied", True)
    assert f"$JS.API.CONSUMER.*.{STREAM}.>" in failure.message


def test_a_missing_stream_is_named(nats_server):
    failure = Reader(nats_server).poll().failure
    assert (failure.reason, failure.needs_a_person) == ("StreamNotFound", True)
    assert f"there is no stream {STREAM} at 127.0.0.1:" in failure.message


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


def test_nobody_listening_is_told_with_the_address(nats_server):
    reader = Reader(nats_server)
    nats_server.stop()
    result = reader.poll()
    assert result.failure.reason == "Unreachable"
    assert "connection refused" in result.failure.message
    assert "Source events, pod-0: 127.0.0.1:" in result.failure.message
    assert result.seconds < 3


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


def test_a_server_without_the_stream_leads_to_the_next(broker, nats_program, tmp_path):
    reader = Reader(broker.server)
    broker.publish(message("a", ago(5)))
    with NatsServer(tmp_path / "fresh", program=nats_program) as fresh:
        empty = Target("127.0.0.1", fresh.port, "NATS", "pod-fresh")
        result = reader.poll(targets=(empty, reader.target))
    assert (result.failure, result.target, result.users_listed) == (None, "pod-0", 1)
    assert result.notes == (
        "Source events: pod-fresh (StreamNotFound) did not answer as it should; pod-0 did. See its "
        "log.",
    )


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

    result = against(nonsense)
    assert result.failure is not None
    assert "127.0.0.1:" in result.failure.message
    assert result.seconds < 15


def against(handler, scheme="NATS", ca_pem=None, **request):
    """Poll a fake server that runs in a thread of its own."""
    started, port, loop = threading.Event(), [], asyncio.new_event_loop()

    def run() -> None:
        asyncio.set_event_loop(loop)
        server = loop.run_until_complete(asyncio.start_server(handler, "127.0.0.1", 0))
        port.append(server.sockets[0].getsockname()[1])
        started.set()
        loop.run_forever()
        server.close()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    started.wait()

    target = Target("127.0.0.1", port[0], scheme, "pod-0", ca_pem)
    limits = PollLimits(request_seconds=2, poll_seconds=10, worker_bytes=0)
    try:
        return Reader(target).poll(**{"limits": limits, "targets": (target,)} | request)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(5)


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
    failure = against(speaking(info)).failure
    assert (failure.reason, failure.needs_a_person) == ("ClockUnknown", True)
    assert "declare guarantees.clockSkewSeconds" in failure.message
    declared = effective(source(guarantees={"clockSkewSeconds": 2}))
    result = against(speaking(info), source=declared)
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
    failure = against(speaking(info)).failure
    assert failure.reason in {"NotNATS", "BrokerFailed"}
    assert "secret words" not in failure.message


# -- TLS --


@pytest.fixture(scope="module")
def authority(tmp_path_factory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def secured(nats_program, tmp_path, authority):
    tls = {"cert_file": str(authority.cert_file), "key_file": str(authority.key_file)}
    folder = tmp_path / "secured"
    with NatsServer(folder, program=nats_program, tls=tls, authorization=USERS) as server:
        context = ssl.create_default_context(cafile=str(authority.ca_file))
        broker = Broker(server, user="product", password="p", tls=context)
        broker.create()
        broker.publish(message("a", ago(5)))
        yield server


def tls_target(server, ca: Path | None, name: str | None = None) -> Target:
    pem = ca.read_text() if ca else None
    return Target("127.0.0.1", server.port, "TLS", "pod-0", pem, name)


def test_tls_with_the_authority_and_a_password_is_read(secured, authority):
    reader = Reader(secured)
    result = reader.poll(
        targets=(tls_target(secured, authority.ca_file),), **as_("meter", "s3cret")
    )
    assert result.failure is None
    assert reader.counted() == {"a"}


def test_an_unknown_authority_is_refused(secured):
    result = Reader(secured).poll(targets=(tls_target(secured, None),), **as_("meter", "s3cret"))
    assert (result.failure.reason, result.failure.needs_a_person) == ("CertificateInvalid", True)
    assert "pods.tls.caSecretRef" in result.failure.message


def test_another_name_in_the_certificate_is_refused(secured, authority):
    target = tls_target(secured, authority.ca_file, "nats.example.org")
    result = Reader(secured).poll(targets=(target,), **as_("meter", "s3cret"))
    assert result.failure.reason == "CertificateInvalid"
    assert "pods.tls.serverName" in result.failure.message


def test_a_broken_authority_is_told(secured):
    target = Target("127.0.0.1", secured.port, "TLS", "pod-0", "no pem", None)
    assert Reader(secured).poll(targets=(target,)).failure.reason == "CAInvalid"


def test_a_server_that_wants_tls_is_told_from_one_that_does_not(secured):
    failure = Reader(secured).poll(**as_("meter", "s3cret")).failure
    assert (failure.reason, failure.needs_a_person) == ("TLSFailed", True)
    assert "wants TLS. Set pods.scheme to TLS" in failure.message


def test_a_password_is_never_sent_in_clear_where_tls_is_asked_for(authority):
    """nats-py itself would send it if the server does not offer TLS."""
    seen = []

    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b'INFO {"version": "2.10.0", "auth_required": true}\r\n')
        await writer.drain()
        seen.append(await reader.read(1000))
        writer.close()

    pem = authority.ca_file.read_text()
    result = against(plain, scheme="TLS", ca_pem=pem, **as_("meter", "s3cret"))
    assert (result.failure.reason, result.failure.needs_a_person) == ("TLSFailed", True)
    assert "offers no TLS, so nothing secret was sent" in result.failure.message
    assert not any(b"s3cret" in one or b"meter" in one for one in seen)


def test_a_server_without_tls_is_refused_where_tls_is_asked_for(broker, authority):
    target = tls_target(broker.server, authority.ca_file)
    failure = Reader(broker.server).poll(targets=(target,)).failure
    assert (failure.reason, failure.needs_a_person) == ("TLSFailed", True)
