"""Products that misbehave on purpose, for the length of a test."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

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
