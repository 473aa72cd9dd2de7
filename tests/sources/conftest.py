"""Products that misbehave on purpose, for the length of a test."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hack.nats import NatsServer
from tests.sources.broker import Broker
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
