"""Kinds of brokers, for tests of what is the same whichever is read: its servers and its users.

The users are ``product`` (everything), ``meter`` (what is documented), ``stranger`` (another log)
and ``looker`` (may see that there is a log, not what is in it).
"""

import asyncio
import ssl
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from hack.brokers import Server
from hack.nats import NatsServer
from hack.redis import RedisServer
from licenseusage.sources.definition.model import EffectiveSource
from licenseusage.sources.definition.presets import effective
from licenseusage.sources.poll import Credentials, PollLimits, PollResult, Target
from tests.controller.stage import Authority
from tests.sources import broker, redisproduct
from tests.sources.broker import STREAM, Broker, ago, message
from tests.sources.redisproduct import KEY, Stream, event

PASSWORDS = {"product": "p", "meter": "s3cret", "stranger": "s", "looker": "l"}


class Kind(Protocol):
    """A kind of broker.

    Attributes:
        name: Also of the Secret that its source names.
        scheme: How it is asked without TLS.
        rights: What a message names where they lack.
        missing: What it says of a log that is not there.
        unpresented: What may be said where no certificate was presented.
    """

    name: str
    scheme: Any
    rights: str
    missing: str
    unpresented: set[str]

    def server(self, folder: Path, *, guarded: bool = False, tls: "Tls | None" = None) -> Server:
        """Make a server, guarded by users and their passwords."""

    def write(self, server: Server, *, guarded: bool = False, tls: "Tls | None" = None) -> None:
        """Have the product make its log and write of person ``a``."""

    def reader(self, server: Server) -> broker.Reader:
        """Return who polls it."""

    def source(self, **fields: Any) -> EffectiveSource:
        """Return a source that reads it."""


@dataclass(frozen=True, slots=True)
class Tls:
    """A server's certificate, and whether it verifies its clients'."""

    authority: Authority
    verified: bool = False


class Nats:
    """NATS JetStream."""

    name, scheme = "nats", "NATS"
    rights = f"$JS.API.CONSUMER.*.{STREAM}.>"
    missing = f"there is no stream {STREAM} at 127.0.0.1:"
    unpresented = frozenset({"ClientCertificateRefused", "TLSFailed", "Unreachable"})

    def __init__(self, program: Path) -> None:
        self._program = program

    def server(self, folder: Path, *, guarded: bool = False, tls: Tls | None = None) -> NatsServer:
        config: dict[str, Any] = {"authorization": {"users": _nats_users()}} if guarded else {}
        if tls is not None:
            files = {"cert_file": tls.authority.cert_file, "key_file": tls.authority.key_file}
            if tls.verified:
                files["ca_file"] = tls.authority.ca_file
            names = {name: str(path) for name, path in files.items()}
            config["tls"] = names | ({"verify": True} if tls.verified else {})
        return NatsServer(folder, program=self._program, **config)

    def write(self, server: Server, *, guarded: bool = False, tls: Tls | None = None) -> None:
        connect = {"user": "product", "password": PASSWORDS["product"]} if guarded else {}
        if tls is not None:
            context = ssl.create_default_context(cafile=str(tls.authority.ca_file))
            context.load_cert_chain(tls.authority.cert_file, tls.authority.key_file)
            connect["tls"] = context
        product = Broker(server, **connect)
        product.create()
        product.publish(message("a", ago(5)))

    def reader(self, server: Server) -> broker.Reader:
        return broker.Reader(server)

    def source(self, **fields: Any) -> EffectiveSource:
        return effective(broker.source(**fields))


class Redis:
    """Redis Streams."""

    name, scheme = "redis", "REDIS"
    rights = f"ACL SETUSER NAME %R~{KEY} +xinfo|stream +xrange +xrevrange +time +info +select"
    missing = f"there is no stream {KEY} at 127.0.0.1:"
    unpresented = frozenset({"ClientCertificateRefused", "ConnectionLost"})

    def __init__(self, program: Path) -> None:
        self._program = program

    def server(self, folder: Path, *, guarded: bool = False, tls: Tls | None = None) -> RedisServer:
        lines = None
        if tls is not None:
            lines = [
                f"tls-cert-file {tls.authority.cert_file}",
                f"tls-key-file {tls.authority.key_file}",
                f"tls-ca-cert-file {tls.authority.ca_file}",
                f"tls-auth-clients {'yes' if tls.verified else 'no'}",
            ]
        users = _redis_users() if guarded else ()
        return RedisServer(folder, *users, program=self._program, tls=lines)

    def write(self, server: Server, *, guarded: bool = False, tls: Tls | None = None) -> None:
        connect = {"username": "product", "password": PASSWORDS["product"]} if guarded else {}
        if tls is not None:
            connect |= {
                "ssl": True,
                "ssl_ca_certs": str(tls.authority.ca_file),
                "ssl_certfile": str(tls.authority.cert_file),
                "ssl_keyfile": str(tls.authority.key_file),
            }
        Stream(server, **connect).add(event("a", ago(5)))

    def reader(self, server: Server) -> broker.Reader:
        return redisproduct.Reader(server)

    def source(self, **fields: Any) -> EffectiveSource:
        return effective(redisproduct.stream_source(**fields))


def _nats_users() -> list[dict[str, Any]]:
    asks = [
        f"$JS.API.STREAM.INFO.{STREAM}",
        f"$JS.API.CONSUMER.*.{STREAM}.>",
        f"$JS.API.CONSUMER.MSG.NEXT.{STREAM}.>",
    ]
    permissions = {
        "meter": {"publish": asks, "subscribe": ["_INBOX.>"]},
        "stranger": {"publish": ["x"], "subscribe": [">"]},
        "looker": {"publish": asks[:1], "subscribe": [">"]},
    }
    return [
        {"user": name, "password": password}
        | ({"permissions": permissions[name]} if name in permissions else {})
        for name, password in PASSWORDS.items()
    ]


def _redis_users() -> list[str]:
    rights = "+xinfo|stream +xrange +xrevrange +time +info +select"
    permissions = {
        "product": "~* &* +@all",
        "meter": f"%R~{KEY} -@all {rights}",
        "stranger": f"%R~other -@all {rights}",
        "looker": f"%R~{KEY} -@all +info +time +xinfo|stream",
    }
    users = [f"user {name} on >{PASSWORDS[name]} {may}" for name, may in permissions.items()]
    return ["user default on >boss ~* &* +@all", *users]


def as_(kind: Kind, user: str, password: str) -> dict[str, Any]:
    """What a poll is given to sign in."""
    source = kind.source(auth={"basic": {"secretRef": {"name": kind.name}}})
    return {"source": source, "credentials": Credentials(user, password)}


def tls_target(server: Server, authority: Authority | None, name: str | None = None) -> Target:
    """A server that is asked by TLS, trusting an authority, under a name of its certificate."""
    pem = authority.ca_file.read_text() if authority else None
    return Target("127.0.0.1", server.port, "TLS", "pod-0", pem, name)


def against(
    handler: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
    reader: type[broker.Reader],
    scheme: Any,
    ca_pem: str | None = None,
    **request: Any,
) -> PollResult:
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
        return reader(target).poll(**{"limits": limits, "targets": (target,)} | request)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(5)
