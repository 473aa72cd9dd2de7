"""What an administrator's deeds take away, and what the judge asks for no more after them."""

import shutil
from types import SimpleNamespace

import pytest

from tests.ledger import book
from tests.ledger.conftest import END, HOUR_MS, MINUTE_MS, START
from trials.kills import aftermath, stage
from trials.kills.deeds import Administrator
from trials.kills.journal import Committed

NOW_MS = END + HOUR_MS


@pytest.fixture
def path(tmp_path):
    return tmp_path / "ledger.db"


@pytest.fixture
def administrator(path, monkeypatch):
    """Somebody whose newest backup lacks the final that was signed since; nothing shows it."""
    monkeypatch.setattr(stage, "objects", lambda *_: [])
    with book.opened(path) as ledger:
        book.begin(ledger)
        book.count(ledger, START + HOUR_MS, "ada", "bob")
        book.interim(ledger, 0, START + 2 * HOUR_MS)
    backup = path.with_name("backup.db")
    shutil.copy(path, backup)
    with book.opened(path) as ledger:
        book.count(ledger, END + 2 * MINUTE_MS, "ada", "bob", "eve")
        book.final(ledger)
    vendor = SimpleNamespace(stored=list)
    somebody = Administrator(None, vendor, (), path, Committed())
    somebody._backups.append(backup)
    return somebody


def final_of(path):
    ((cycle, token),) = aftermath.signed_finals(path).items()
    return cycle, token


def test_what_a_restore_replaced_stands_as_it_can_be_merged(administrator, path):
    cycle, token = final_of(path)
    assert administrator._restore(NOW_MS)
    committed = administrator._committed
    assert (committed.given_up, committed.settled) == ({}, {cycle})
    assert committed.replaced == {token}


def test_a_loss_of_everything_takes_the_ledgers_that_restores_had_replaced(administrator, path):
    cycle, token = final_of(path)
    administrator._restore(NOW_MS)
    administrator._committed.decided[cycle] = ["whatever was decided"]
    assert administrator._lose()
    assert token in administrator._committed.given_up
    assert cycle not in administrator._committed.decided


def test_what_the_vendor_holds_is_never_given_up(administrator, path):
    cycle, token = final_of(path)
    administrator._restore(NOW_MS)
    administrator._committed.decided[cycle] = ["what was decided"]
    administrator._vendor.stored = lambda: [SimpleNamespace(token=token)]
    assert administrator._lose()
    assert token not in administrator._committed.given_up
    assert cycle in administrator._committed.decided
