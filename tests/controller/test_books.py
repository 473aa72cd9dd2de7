"""The ledger's thread: what cannot be opened is said by every call, and opened once it can be."""

from contextlib import suppress

import pytest

from licenseusage.controller.effects.books import Books
from licenseusage.errors import Retryable, Stalled
from licenseusage.ledger.ledger import Ledger
from licenseusage.ledger.records import MeterKey

NOW_MS = 1_780_000_000_000
SHOP = MeterKey("ns", "shop", "shop")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "ledger.db"


@pytest.fixture
async def books(path):
    books = Books(f"sqlite:///{path}", now_ms=lambda: NOW_MS, ledger_id="x")
    yield books
    await books.close()


def names(ledger):
    return [meter.key.name for meter in ledger.meters()]


async def test_work_begins_after_what_is_first(books):
    seen = []
    await books.open(lambda ledger: seen.append(names(ledger)))
    assert books.is_open
    await books.do(lambda ledger: ledger.ensure_meter(SHOP, NOW_MS))
    assert await books.do(names) == ["shop"]
    assert seen == [[]]


async def test_before_it_is_open_every_call_says_so(books):
    with pytest.raises(Retryable) as refused:
        await books.do(names)
    assert refused.value.reason == "LedgerUnavailable"
    with pytest.raises(Retryable):
        books.now_open()


async def test_why_it_cannot_be_opened_is_said_by_every_call_until_it_can(books, path):
    path.write_bytes(b"rubbish" * 100)
    with pytest.raises(Stalled):
        await books.open(names)
    for _ in range(2):
        with pytest.raises(Stalled) as refused:
            await books.do(names)
        assert refused.value.reason == "LedgerCorrupt"
    path.unlink()
    await books.open(names)
    assert await books.do(names) == []


async def test_what_fails_first_leaves_it_closed_and_unlocked(books, path):
    def fail(_):
        raise Retryable("LedgerDiskFull", "no room")

    with pytest.raises(Retryable):
        await books.open(fail)
    assert not books.is_open
    with pytest.raises(Retryable) as refused:
        await books.do(names)
    assert refused.value.reason == "LedgerDiskFull"
    Ledger.open(f"sqlite:///{path}", now_ms=NOW_MS, ledger_id="y").close()


async def test_a_ledger_found_damaged_is_let_go_of_so_that_it_can_be_restored(books, path):
    await books.open(names)
    await books.do(lambda ledger: ledger.ensure_meter(SHOP, NOW_MS))

    def damaged(_):
        raise Stalled("LedgerCorrupt", "a page is malformed")

    with pytest.raises(Stalled):
        await books.do(damaged)
    assert not books.is_open
    with pytest.raises(Stalled, match="a page is malformed"):
        await books.do(names)
    Ledger.open(f"sqlite:///{path}", now_ms=NOW_MS, ledger_id="y").close()  # no lock is held
    await books.open(names)
    assert await books.do(names) == ["shop"]


@pytest.mark.parametrize(
    "error",
    [Stalled("PseudonymKeyChanged", "x"), Retryable("LedgerDiskFull", "x"), ValueError("x")],
)
async def test_other_failures_leave_it_open(books, error):
    await books.open(names)

    def fail(_):
        raise error

    with suppress(type(error)):
        await books.do(fail)
    assert await books.do(names) == []
