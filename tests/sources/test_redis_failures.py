"""Each way in which a Redis server cannot be read, beside those of every broker."""

import asyncio
import ssl

import pytest

from hack.controlplane.processes import free_port
from hack.redis import RedisServer
from licenseusage.sources.poll import PollLimits
from tests.sources.broker import ago
from tests.sources.brokerkinds import Redis, against, as_, tls_target
from tests.sources.redisproduct import KEY, Reader, Stream, event


@pytest.fixture
def kind(redis_program) -> Redis:
    return Redis(redis_program)


def test_a_server_with_a_password_only_has_the_user_default(kind, guarded):
    assert Reader(guarded).poll(**as_(kind, "default", "boss")).failure is None


def test_a_key_of_another_type_is_no_stream(redis_server):
    Stream(redis_server).do("SET", KEY, "x")
    failure = Reader(redis_server).poll().failure
    assert (failure.reason, failure.needs_a_person) == ("StreamNotALog", True)
    assert "is no stream. Correct redis.stream" in failure.message


def test_a_cluster_without_a_node_for_the_stream_is_told(redis_program, tmp_path):
    # Its second port is ten thousand above the first one, which may be too high for that.
    cluster = ("cluster-enabled yes", f"cluster-port {free_port()}")
    with RedisServer(tmp_path / "c", *cluster, program=redis_program) as server:
        failure = Reader(server).poll().failure
    assert failure.reason == "BrokerFailed"


def test_a_server_that_is_busy_is_told_in_time(redis_server):
    stream = Stream(redis_server)
    stream.add(event("a", ago(5)))
    stream.do("CLIENT", "PAUSE", 20_000)
    limits = PollLimits(request_seconds=0.3, poll_seconds=5, worker_bytes=0)
    failure = Reader(redis_server).poll(limits=limits).failure
    assert failure.reason == "RequestTimeout"
    assert "did not answer within 0.3 s" in failure.message


def answering(*answers: bytes):
    """Poll a server that sends these answers, one for each request, and then nothing."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in answers:
            if not await reader.read(65536):
                break
            writer.write(answer)
            await writer.drain()
        writer.close()

    return against(handler=handle, reader=Reader, scheme="REDIS")


def bulk(text: bytes) -> bytes:
    return b"$%d\r\n%b\r\n" % (len(text), text)


def array(*items: bytes) -> bytes:
    return b"*%d\r\n%b" % (len(items), b"".join(items))


PRIMARY = bulk(b"run_id:abc\r\nuptime_in_seconds:5\r\n") + bulk(b"role:master\r\n")
OLD = array(*map(bulk, (b"length", b"0", b"last-generated-id", b"1-1")))
BROKEN = array(
    *map(
        bulk,
        b"length many last-generated-id x entries-added 1 max-deleted-entry-id 0-0 "
        b"recorded-first-entry-id 0-0".split(),
    )
)
TIME = array(bulk(b"1796083200"), bulk(b"0"))


@pytest.mark.parametrize(
    "answers",
    [
        [b"HTTP/1.1 400 Bad Request\r\n\r\n"],
        [b"$-1\r\n$-1\r\n"],
        [b"+OK\r\n+OK\r\n"],
        [b"-ERR unknown command 'INFO'\r\n" * 2],
        [PRIMARY, OLD + TIME],
        [PRIMARY, BROKEN + TIME],
        [PRIMARY, array(bulk(b"length")) + TIME],
        [PRIMARY, b"$-1\r\n" + TIME],
    ],
)
def test_strange_answers_are_told_without_quoting_them(answers):
    failure = answering(*answers).failure
    assert failure.reason in {"NotRedis", "NotPrimary"}
    assert "127.0.0.1:" in failure.message


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"-LOADING Redis is loading the dataset in memory\r\n" * 2, "BrokerFailed"),
        (b"-ERR max number of clients reached\r\n" * 2, "BrokerFailed"),
        (b"-MOVED 1234 10.0.0.9:6379\r\n" * 2, "NotPrimary"),
        (b"-CLUSTERDOWN Hash slot not served\r\n" * 2, "BrokerFailed"),
        (b"-MASTERDOWN Link with MASTER is down\r\n" * 2, "BrokerFailed"),
        (b"", "ConnectionLost"),
    ],
)
def test_refusals_have_a_reason_each(answer, reason):
    failure = answering(answer).failure
    assert failure.reason == reason
    assert "10.0.0.9" not in failure.message


# -- TLS --


def test_no_password_is_sent_to_a_server_without_tls(kind, redis_server, authority):
    target = tls_target(redis_server, authority)
    failure = Reader(redis_server).poll(targets=(target,), **as_(kind, "meter", "s3cret")).failure
    assert failure.reason in {"TLSFailed", "Unreachable"}
    assert "s3cret" not in redis_server.log


def test_a_server_that_wants_tls_says_so(secured):
    failure = Reader(secured).poll().failure
    assert failure.reason == "ConnectionLost"
    assert "whether it wants TLS (pods.scheme)" in failure.message


def test_the_context_of_tls_is_ours():
    """redis-py takes no context, so it is put in its place; this fails if that place moves."""
    from redis.asyncio.connection import Connection

    assert callable(Connection._connection_arguments)
    assert ssl.create_default_context().check_hostname
