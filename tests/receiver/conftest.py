"""A receiver over a database file of its own, and a customer that it knows."""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import structlog

from hack.postgres import PostgresServer, find
from hack.programs import NoProgram
from licenseusage.receiver.store import ReceiverDatabase
from tests.receiver.people import RECEIPT_KEY, VENDOR_KEYS, Customer, FixedClock, Receiver

TEMPLATE = "receiver_template"
BOTH = {
    "test_chain", "test_effort", "test_evidence", "test_history", "test_licences", "test_pages",
    "test_races", "test_register",
}  # fmt: skip


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock()


@contextmanager
def postgres_server(**settings: str) -> Iterator[PostgresServer]:
    """Start a PostgreSQL server; skip where there is none (in CI that is a failure)."""
    try:
        find()
    except NoProgram as missing:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(missing))
    with (
        tempfile.TemporaryDirectory(prefix="licenseusage-postgres-") as folder,
        PostgresServer(Path(folder), **settings) as server,
    ):
        yield server


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A real PostgreSQL server of this worker's, with the receiver's tables as a template."""
    with postgres_server() as server:
        server.create(name=TEMPLATE)
        ReceiverDatabase.open(server.url(TEMPLATE)).close()
        yield server


@pytest.fixture
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """This test's own database, empty; modules in `BOTH` run their tests on both kinds."""
    if getattr(request, "param", "sqlite") == "sqlite":
        yield f"sqlite:///{tmp_path / 'receiver.sqlite'}"
        return
    server: PostgresServer = request.getfixturevalue("postgres")
    name = server.create(TEMPLATE)
    yield server.url(name)
    server.drop(name)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run the rules on SQLite and on PostgreSQL."""
    if "database_url" in metafunc.fixturenames and metafunc.module.__name__.split(".")[-1] in BOTH:
        metafunc.parametrize("database_url", ["sqlite", "postgres"], indirect=True)


@pytest.fixture
def start(database_url: str, clock: FixedClock) -> Iterator[Callable[..., Receiver]]:
    """Start a receiver on this test's database; twice gives two processes' worth on one."""
    running: list[Receiver] = []

    def run(**changes: Any) -> Receiver:
        running.append(Receiver(database_url, changes.pop("clock", clock), **changes))
        return running[-1]

    yield run
    for receiver in running:
        receiver.close()


@pytest.fixture
def logged() -> Iterator[list[Any]]:
    """Hear what is logged, however other tests of this process have set the log up."""
    with structlog.testing.capture_logs() as entries:
        yield entries


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
