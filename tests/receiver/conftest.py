"""A receiver over a database file of its own, and a customer that it knows."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.receiver.people import RECEIPT_KEY, VENDOR_KEYS, Customer, FixedClock, Receiver


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock()


@pytest.fixture
def start(tmp_path: Path, clock: FixedClock) -> Iterator[Callable[..., Receiver]]:
    """Start a receiver on this test's database; twice gives two processes' worth on one file."""
    running: list[Receiver] = []

    def run(**changes: Any) -> Receiver:
        url = f"sqlite:///{tmp_path / 'receiver.sqlite'}"
        running.append(Receiver(url, changes.pop("clock", clock), **changes))
        return running[-1]

    yield run
    for receiver in running:
        receiver.close()


@pytest.fixture
def receiver(start: Callable[..., Receiver]) -> Receiver:
    return start()


@pytest.fixture
def customer(receiver: Receiver) -> Customer:
    """An enrolled installation."""
    known = Customer()
    assert receiver.put_key(known.enrolment).status_code == 201
    return known


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    folder = tmp_path / "keys"
    folder.mkdir()
    (folder / "jwks.json").write_text(VENDOR_KEYS.to_jwks())
    (folder / "receipt.jwk").write_text(RECEIPT_KEY.to_jwk())
    return folder
