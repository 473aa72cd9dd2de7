"""A product that answers as it is told, down to the bytes, and sources that read it."""

import json
import socket
import threading
from collections.abc import Callable, Iterable
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from licenseusage.api.source import Source
from licenseusage.metering.cycles import DAY_MS, Cycle
from licenseusage.sources.definition.model import EffectiveSource
from licenseusage.sources.definition.presets import effective
from licenseusage.sources.poll import (
    Credentials,
    CycleRequest,
    PollLimits,
    PollRequest,
    PollResult,
    Target,
)
from licenseusage.sources.workers.kinds import collect

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
NOW_MS = int(NOW.timestamp()) * 1000
CYCLE = Cycle(5, NOW_MS // DAY_MS * DAY_MS - 19 * DAY_MS, NOW_MS // DAY_MS * DAY_MS + 11 * DAY_MS)
DATE = format_datetime(NOW, usegmt=True)
SECRET = "s3cr3t-T0ken-äöü"
ADMIN = "admin-of-the-meter"


@dataclass
class FixedClock:
    """A clock that stands, or runs by ``step_ms`` at each look."""

    at_ms: int = NOW_MS
    step_ms: int = 0

    def now_ms(self) -> int:
        self.at_ms += self.step_ms
        return self.at_ms


@dataclass
class Request:
    method: str
    path: str
    query: list[tuple[str, str]]
    headers: dict[str, str]
    body: bytes

    def param(self, name: str) -> str | None:
        return dict(self.query).get(name)


Answer = bytes | Iterable[bytes]


def answer(
    body: Any = b"",
    status: str = "200 OK",
    *,
    headers: dict[str, str | None] | None = None,
    length: int | None = None,
) -> bytes:
    """A whole HTTP answer; a body that is not bytes becomes JSON, a header of None is left out."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    all_headers: dict[str, str | None] = {
        "Date": DATE,
        "Content-Type": "application/json",
        "Content-Length": str(len(content) if length is None else length),
    } | (headers or {})
    lines = [f"{name}: {value}" for name, value in all_headers.items() if value is not None]
    return "\r\n".join([f"HTTP/1.1 {status}", *lines, "", ""]).encode() + content


@dataclass
class Product:
    """A server on a free port; ``respond`` makes the bytes of each answer."""

    respond: Callable[[Request], Answer]
    requests: list[Request] = field(default_factory=list)
    wrap: Callable[[socket.socket], socket.socket] = lambda plain: plain

    def __post_init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=50)
        self.port: int = self._listener.getsockname()[1]
        self.stopped = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self.stopped.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with suppress(OSError, ValueError), closing(self.wrap(connection)) as wrapped:
            stream = wrapped.makefile("rb")
            while (request := self._read(stream)) is not None:
                self.requests.append(request)
                made = self.respond(request)
                for part in [made] if isinstance(made, bytes) else made:
                    wrapped.sendall(part)
                if not isinstance(made, bytes):
                    return

    @staticmethod
    def _read(stream: Any) -> Request | None:
        line = stream.readline().decode()
        if not line.strip():
            return None
        method, target, _ = line.split()
        headers = {}
        while (header := stream.readline().decode("utf-8").strip()) != "":
            name, _, value = header.partition(":")
            headers[name.lower()] = value.strip()
        parts = urlsplit(target)
        body = stream.read(int(headers.get("content-length", 0)))
        return Request(
            method, parts.path, parse_qsl(parts.query, keep_blank_values=True), headers, body
        )


def source(**fields: Any) -> EffectiveSource:
    """A source of users in ``{"value": [{"id", "seen"}]}``; fields as a user would write them."""
    return effective(written(**fields))


def written(**fields: Any) -> Source:
    """That source as a user would write it."""
    given: dict[str, Any] = {
        "name": "people",
        "pods": {"selector": {"matchLabels": {"app": "x"}}, "port": 80, "scheme": "HTTP"},
        "auth": {"header": {"prefix": "Bearer ", "secretRef": {"name": "meter", "key": "token"}}},
        "http": {"path": "/users", "items": "value"},
        "users": {"id": "id", "lastActive": {"path": "seen"}},
        "guarantees": {"removal": "Never", "ids": "Stable"},
    }
    for name, value in fields.items():
        merged = isinstance(value, dict) and isinstance(given.get(name), dict)
        given[name] = {**given[name], **value} if merged else value
    return Source.model_validate(given)


KNOWN_CLOCK = {"clockSkewSeconds": 5}
"""Guarantees of a source whose clock is declared, so that no answer's ``Date`` has to show it."""


def targets(*products: Product) -> tuple[Target, ...]:
    """The pods of a poll, by the order of their names."""
    ports = [product.port for product in products]
    return tuple(Target("127.0.0.1", port, label=f"pod-{n}") for n, port in enumerate(ports))


def request(port: int, read: EffectiveSource | None = None, **more: Any) -> PollRequest:
    """A poll of a product on this machine."""
    asked: dict[str, Any] = {
        "source": read or source(),
        "targets": (Target("127.0.0.1", port, label="pod-0"),),
        "product": "app",
        "pseudonym_key": b"k" * 32,
        "cycles": (CycleRequest(CYCLE),),
        "credentials": Credentials(ADMIN, SECRET, f"Bearer {SECRET}"),
        "limits": PollLimits(request_seconds=5, poll_seconds=10),
    }
    return PollRequest(**(asked | more))


def poll(port: int, read: EffectiveSource | None = None, **more: Any) -> PollResult:
    """Perform a poll in this process, by a clock that stands at NOW."""
    clock, look = more.pop("clock", FixedClock()), more.pop("look", None)
    return collect(request(port, read, **more), clock, look=look)


def at(text: str) -> str:
    """A stamp of November 2026, by day and time."""
    return f"2026-11-{text}Z"


USERS = [
    {"id": "ann", "seen": at("05T10:00:00")},
    {"id": "bob", "seen": at("19T23:59:59.5")},
    {"id": "old", "seen": "2026-10-31T23:59:58Z"},
    {"id": "new", "seen": None},
    {"id": "out"},
]
"""ann and bob were active in the cycle, old before it; the others never."""
