"""Opening: created once, locked, and never begun anew over something that cannot be read."""

import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from licenseusage.errors import Stalled, Waiting
from licenseusage.ledger.ledger import Ledger
from licenseusage.ledger.records import MeterKey
from tests.ledger.conftest import START, ledger_id

HOLDER = """
import sys
from licenseusage.ledger.ledger import Ledger
ledger = Ledger.open(sys.argv[1], now_ms=1, ledger_id="other")
print("held", flush=True)
sys.stdin.read()
"""


def opened(path: Path, **options: float) -> Ledger:
    return Ledger.open(f"sqlite:///{path}", now_ms=START, ledger_id="ledger-1", **options)


def test_a_ledger_is_created_only_once(path):
    with opened(path) as ledger:
        ledger.ensure_meter(MeterKey("ns", "name", "product"), START)
    with Ledger.open(f"sqlite:///{path}", now_ms=START + 1, ledger_id="ledger-2") as ledger:
        assert ledger_id(path) == "ledger-1"
        assert [meter.key.name for meter in ledger.meters()] == ["name"]


def test_every_commit_is_on_the_disk(path):
    with opened(path) as ledger, ledger._database.engine.connect() as connection:
        modes = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    full = 2
    assert modes == {
        "journal_mode": "wal",
        "synchronous": full,
        "foreign_keys": 1,
        "busy_timeout": 10_000,
    }


@pytest.mark.parametrize("content", [b"", b"not a database, but long enough to be one" * 100])
def test_a_file_that_is_no_ledger_is_refused_and_left_alone(path, content):
    path.write_bytes(content)
    with pytest.raises(Stalled, match="Restore the file from a backup") as refused:
        opened(path)
    assert refused.value.reason == "LedgerCorrupt"
    assert path.read_bytes() == content


def test_the_database_of_another_program_is_refused(path):
    with sqlite3.connect(path) as other:
        other.execute("create table notes (text)")
    with pytest.raises(Stalled, match="another program") as refused:
        opened(path)
    assert refused.value.reason == "LedgerCorrupt"


def test_a_damaged_page_is_refused(path):
    opened(path).close()
    content = bytearray(path.read_bytes())
    content[4096:8192] = os.urandom(4096)
    path.write_bytes(content)
    with pytest.raises(Stalled) as refused:
        opened(path)
    assert refused.value.reason == "LedgerCorrupt"


@pytest.mark.parametrize("size", [50, 4096, 8192, 20_001])
def test_a_truncated_file_is_refused_and_left_alone(path, size):
    opened(path).close()
    short = path.read_bytes()[:size]
    path.write_bytes(short)
    with pytest.raises(Stalled, match="licenseusage ledger restore BACKUP") as refused:
        opened(path)
    assert refused.value.reason == "LedgerCorrupt"
    assert path.read_bytes() == short


def test_a_restore_that_was_cut_short_is_refused_until_it_is_run_again(path):
    opened(path).close()
    path.with_name("ledger.db.restoring").touch()
    with pytest.raises(Stalled, match="restore was cut short") as refused:
        opened(path)
    assert refused.value.reason == "LedgerCorrupt"


@pytest.mark.parametrize("umask", [0o000, 0o022])
def test_a_new_ledger_is_for_its_owner_only(path, umask):
    before = os.umask(umask)
    try:
        with opened(path):
            modes = {one.name: one.stat().st_mode & 0o077 for one in path.parent.glob("*db*")}
    finally:
        os.umask(before)
    assert {"ledger.db", "ledger.db-wal"} <= modes.keys()
    assert {name for name, mode in modes.items() if mode} <= {"ledger.db.lock"}


def test_a_log_without_its_ledger_is_a_loss_not_a_first_start(path):
    path.with_name("ledger.db-wal").write_bytes(b"committed pages")
    with pytest.raises(Stalled, match="the ledger itself is missing"):
        opened(path)
    assert not path.exists()


def test_a_creation_that_was_cut_short_is_made_again(path):
    path.with_name("ledger.db.creating").write_bytes(b"half a ledger")
    with opened(path) as ledger:
        assert ledger.meters() == ()


def test_a_refused_opening_releases_the_lock(path):
    path.write_bytes(b"")
    for _ in range(2):
        with pytest.raises(Stalled):
            opened(path)


@pytest.mark.parametrize(
    "url",
    ["postgresql://db/x", "sqlite://", "sqlite:///relative.db", "nonsense", "sqlite:///:memory:"],
)
def test_an_address_that_names_no_supported_store_is_refused(url):
    with pytest.raises(Stalled) as refused:
        Ledger.open(url, now_ms=START, ledger_id="x")
    assert refused.value.reason == "SettingsInvalid"


def test_a_missing_folder_is_said(tmp_path):
    with pytest.raises(Stalled, match="volume") as refused:
        opened(tmp_path / "missing" / "ledger.db")
    assert refused.value.reason == "SettingsInvalid"


class TestLock:
    """Two processes never write one ledger."""

    @pytest.fixture
    def holder(self, path):
        url = f"sqlite:///{path}"
        process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()
        process.wait()
        process.stdout.close()

    def test_a_second_process_is_told(self, path, holder):
        with pytest.raises(Waiting, match="Another process") as refused:
            opened(path)
        assert refused.value.reason == "LedgerLocked"

    def test_the_kernel_releases_the_lock_of_a_killed_process(self, path, holder):
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        with opened(path):
            assert ledger_id(path) == "other"

    def test_a_second_process_may_wait(self, path, holder):
        holder.stdin.close()  # it ends by itself while we wait
        with opened(path, lock_wait_seconds=30):
            assert ledger_id(path) == "other"
