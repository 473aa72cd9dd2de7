"""A product that writes its events to a Redis stream."""

import json
from typing import Any

import redis

from hack.redis import RedisServer
from licenseusage.api.source import Source
from licenseusage.metering.cycles import Cycle
from licenseusage.sources.definition.presets import effective
from licenseusage.sources.poll import Target
from tests.sources.broker import Reader as LogReader
from tests.sources.broker import now_ms, person

KEY = "app:activity"
DURABLE: dict[str, Any] = {"guarantees": {"durability": "Durable"}}
"""As if the server had not been started for the test: then nobody knows what it has forgotten."""


def event(name: str | None, at_ms: int, kind: str = "login", **more: Any) -> dict[str, str]:
    """The fields of one entry: the event as JSON in the field ``event``."""
    told = {"kind": kind, "at": at_ms, "user": person(name) if name else None} | more
    return {"event": json.dumps(told)}


def stream_source(**changes: Any) -> Source:
    """A source that reads the product's stream."""
    given: dict[str, Any] = {
        "name": "events",
        "pods": {"selector": {"matchLabels": {"app": "x"}}, "port": 6379, "scheme": "REDIS"},
        "redis": {"stream": KEY, "field": "event", "typePath": "kind", "types": ["login"]},
        "users": {
            "id": "user",
            "time": {"path": "at", "format": "EpochMillis", "granularity": "Millisecond"},
        },
    }
    return Source.model_validate(given | changes)


class Stream:
    """What the product and its administrator do to the stream."""

    def __init__(self, server: RedisServer, key: str = KEY, **connect: Any) -> None:
        self.server, self.key = server, key
        self._connect = {"host": "127.0.0.1", "port": server.port, **connect}

    @property
    def client(self) -> redis.Redis:
        return redis.Redis(**self._connect)

    def add(self, *entries: dict[str, str], id: str = "*", **trim: Any) -> list[str]:
        """Add entries; return their ids."""
        with self.client as client:
            return [client.xadd(self.key, one, id=id, **trim).decode() for one in entries]

    def do(self, *command: Any) -> Any:
        with self.client as client:
            return client.execute_command(*command)


class Reader(LogReader):
    """Polls a stream as the operator does, and keeps what the ledger keeps."""

    def __init__(self, server: RedisServer, cycle: Cycle | None = None, **more: Any) -> None:
        super().__init__(server, cycle, source=effective(stream_source(**DURABLE)), **more)  # type: ignore[arg-type]
        self.target = Target("127.0.0.1", server.port, "REDIS", "pod-0")

    @property
    def lost(self) -> list[str]:
        return [hole.reason for hole in self.holes]

    def declare(self, **changes: Any) -> None:
        """Read by another source."""
        declared = {**DURABLE["guarantees"], **changes.pop("guarantees", {})}
        self.request["source"] = effective(stream_source(guarantees=declared, **changes))


def soon() -> int:
    return now_ms() - 5
