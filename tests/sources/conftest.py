"""Products that misbehave on purpose, for the length of a test."""

import io
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from hack.brokers import Server
from hack.nats import NatsServer
from hack.redis import RedisServer
from licenseusage.cli import main
from tests.controller.stage import Authority
from tests.sources.broker import Broker
from tests.sources.brokerkinds import Kind, Tls
from tests.sources.product import Answer, Product, Request


@pytest.fixture
def serve() -> Iterator[Callable[..., Product]]:
    """Start products; they end with the test."""
    products: list[Product] = []

    def start(respond: Callable[[Request], Answer] | bytes, **more: Any) -> Product:
        made = (lambda _: respond) if isinstance(respond, bytes) else respond
        products.append(Product(made, **more))
        return products[-1]

    yield start
    for product in products:
        product.close()


@pytest.fixture
def nats_server(nats_program: Path, tmp_path: Path) -> Iterator[NatsServer]:
    """A NATS server with JetStream, without authentication, for the length of a test."""
    with NatsServer(tmp_path / "nats", program=nats_program) as server:
        yield server


@pytest.fixture
def broker(nats_server: NatsServer) -> Broker:
    """The product's side of that server, with its stream."""
    made = Broker(nats_server)
    made.create()
    return made


@pytest.fixture
def redis_server(redis_program: Path, tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis server without authentication, for the length of a test."""
    with RedisServer(tmp_path / "redis", program=redis_program) as server:
        yield server


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """A throw-away authority, and a certificate for 127.0.0.1."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def guarded(kind: Kind, tmp_path: Path) -> Iterator[Server]:
    """A server of the module's kind, with a log and the users of `brokerkinds`."""
    with kind.server(tmp_path / "guarded", guarded=True) as server:
        kind.write(server, guarded=True)
        yield server


@pytest.fixture
def secured(kind: Kind, tmp_path: Path, authority: Authority) -> Iterator[Server]:
    """The same, which speaks TLS."""
    tls = Tls(authority)
    with kind.server(tmp_path / "secured", guarded=True, tls=tls) as server:
        kind.write(server, guarded=True, tls=tls)
        yield server


@dataclass
class Done:
    """What a command has printed, and its exit code."""

    code: Any
    out: str
    err: str


@pytest.fixture
def run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Done]:
    """The command line, as users run it, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def run(*args: object, stdin: bytes = b"") -> Done:
        monkeypatch.setattr(sys, "argv", ["licenseusage", *map(str, args)])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        return Done(ended.value.code or 0, captured.out, captured.err)

    return run


@pytest.fixture
def file(tmp_path: Path) -> Callable[..., str]:
    """A file of YAML documents."""

    def write(*documents: Any) -> str:
        path = tmp_path / "usage.yaml"
        path.write_text(yaml.safe_dump_all(documents))
        return str(path)

    return write
