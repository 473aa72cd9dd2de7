"""The sample product in this process: a store of known people and a server on a loopback port."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from aiohttp import web

from examples.product.server import application
from examples.product.store import Store, User

TOKEN = "reader"


class SettableClock:
    """A clock that stands still at ``seconds`` until it is set."""

    def __init__(self, seconds: int) -> None:
        self.seconds = seconds

    def now_ms(self) -> int:
        return self.seconds * 1000 + 250


@pytest.fixture
def clock() -> SettableClock:
    return SettableClock(1_800_000_000)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "people.db")


@pytest.fixture
async def client(store: Store, clock: SettableClock) -> AsyncIterator[httpx.AsyncClient]:
    """A client of one replica, with the bearer token."""
    store.add([User("B"), User("a", 1_799_999_000), User("b", None, True), User("é", 0)])
    runner = web.AppRunner(application(store, clock, TOKEN))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with httpx.AsyncClient(base_url=url, headers=headers, trust_env=False) as client:
        yield client
    await runner.cleanup()
