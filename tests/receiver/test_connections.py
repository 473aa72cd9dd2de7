"""How long a connection may say nothing, and how many one client may hold: on a real server."""

import asyncio
import socket
import threading
from contextlib import ExitStack, contextmanager

import pytest
import uvicorn

from licenseusage.receiver.connections import Connection, ConnectionLimits, Loop
from tests.receiver.tls import write_certificate

REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
HELD = b"GET /held HTTP/1.1\r\nHost: x\r\n\r\n"


class Served:
    """A server with an application that answers ``/`` at once, and ``/held`` when told to."""

    def __init__(self, limits: ConnectionLimits, **config) -> None:
        self.release = threading.Event()
        self.held = threading.Semaphore(0)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=100)
        self.port = self._listener.getsockname()[1]
        self.server = uvicorn.Server(
            uvicorn.Config(
                self._answer,
                http=Connection.within(limits),
                limit_concurrency=limits.together,
                interface="asgi3",
                lifespan="off",
                ws="none",
                log_config=None,
                **config,
            )
        )
        self._thread = threading.Thread(
            target=self.server.run, kwargs={"sockets": [self._listener]}
        )
        self._thread.start()

    async def _answer(self, scope, receive, send):
        if scope["path"] == "/held":
            self.held.release()
            await asyncio.to_thread(self.release.wait, 30)
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    def stop(self):
        self.release.set()
        self.server.should_exit = True
        self._thread.join(30)
        assert not self._thread.is_alive()


@contextmanager
def served(limits, **config):
    server = Served(limits, **config)
    try:
        yield server
    finally:
        server.stop()


def connect(server, source="127.0.0.1"):
    address = ("127.0.0.1", server.port)
    return socket.create_connection(address, timeout=20, source_address=(source, 0))


def answered(client, request=REQUEST):
    """Whether a request is answered by the application; False: it was cut, or refused."""
    try:
        client.sendall(request)
        return client.recv(1000).startswith(b"HTTP/1.1 204")
    except (ConnectionResetError, BrokenPipeError):
        return False


def closed(client):
    try:
        return client.recv(1000) == b""
    except ConnectionResetError:
        return True


@pytest.mark.parametrize("begun", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: x\r\n"])
def test_a_head_that_does_not_come_is_given_up(begun):
    with served(ConnectionLimits(50, 50, head_seconds=0.2)) as server, connect(server) as client:
        client.sendall(begun)
        assert closed(client)


def test_a_head_that_comes_drop_by_drop_is_given_up_all_the_same():
    with served(ConnectionLimits(50, 50, head_seconds=0.2)) as server, connect(server) as client:
        client.settimeout(0.02)
        for _ in range(1000):
            try:
                client.sendall(b"G")
                if client.recv(10) == b"":
                    break
            except TimeoutError:
                continue
            except (ConnectionResetError, BrokenPipeError):
                break
        else:
            pytest.fail("it goes on")


def test_a_handshake_that_does_not_come_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr("licenseusage.receiver.connections.HEAD_SECONDS", 0.2)
    certificate, private = write_certificate(tmp_path)
    tls = {
        "ssl_certfile": str(certificate),
        "ssl_keyfile": str(private),
        "loop": f"{Loop.__module__}:{Loop.__qualname__}",
    }
    with served(ConnectionLimits(50, 50), **tls) as server, connect(server) as client:
        client.sendall(b"\x16\x03\x01")
        assert closed(client)


def test_the_next_head_on_a_connection_has_its_own_time():
    with (
        served(ConnectionLimits(50, 50, head_seconds=0.3), timeout_keep_alive=30) as server,
        connect(server) as client,
    ):
        assert answered(client)
        client.sendall(b"GET / HT")
        assert closed(client)


def test_a_body_that_nobody_waits_for_does_not_hold_a_connection():
    with (
        served(ConnectionLimits(50, 50, head_seconds=0.2), timeout_keep_alive=30) as server,
        connect(server) as client,
    ):
        assert answered(client, b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 999999\r\n\r\nabc")
        assert closed(client)


def test_an_answer_that_takes_longer_than_a_head_may_is_given():
    with served(ConnectionLimits(50, 50, head_seconds=0.2)) as server, connect(server) as client:
        client.sendall(HELD)
        server.held.acquire(timeout=20)
        with connect(server) as other:
            assert closed(other)  # by then a head's time is over
        server.release.set()
        assert client.recv(1000).startswith(b"HTTP/1.1 204")


def test_connections_that_wait_make_room_for_those_that_ask():
    with served(ConnectionLimits(6, 6)) as server, ExitStack() as idle:
        waiting = [idle.enter_context(connect(server)) for _ in range(20)]
        with connect(server) as client:
            assert answered(client)
        assert closed(waiting[0])


def test_the_client_that_holds_most_makes_room_and_not_another():
    with served(ConnectionLimits(6, 6)) as server, ExitStack() as idle:
        quiet = idle.enter_context(connect(server, "127.0.0.2"))
        assert answered(quiet)  # the server has seen it, and it waits longest
        for _ in range(20):
            idle.enter_context(connect(server))
        with connect(server, "127.0.0.3") as client:
            assert answered(client)
        assert answered(quiet)


def test_a_client_may_hold_so_many_and_its_requests_under_way_are_not_cut_for_its_next():
    with served(ConnectionLimits(50, 3)) as server, ExitStack() as held:
        under_way = [held.enter_context(connect(server)) for _ in range(3)]
        for client in under_way:
            client.sendall(HELD)
            assert server.held.acquire(timeout=20)
        with connect(server) as refused:
            assert not answered(refused)
        with connect(server, "127.0.0.2") as other:
            assert answered(other)
        server.release.set()
        assert all(client.recv(1000).startswith(b"HTTP/1.1 204") for client in under_way)
