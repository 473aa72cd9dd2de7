"""Backups while the ledger is written, and restores that lose nothing and begin nothing anew."""

import os
import sqlite3
import threading
from contextlib import closing

import pytest

from licenseusage.errors import Retryable, Stalled, Waiting
from licenseusage.ledger.ledger import Ledger
from licenseusage.ledger.storage import copying, migrations, schema
from licenseusage.ledger.upkeep import snapshot
from licenseusage.ledger.upkeep.snapshot import MovedOn, backup, restore
from tests.ledger import book
from tests.ledger.conftest import CYCLE, HOUR_MS, START, TERMS, ledger_id

NOW = START + 30 * HOUR_MS


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    path = tmp_path_factory.mktemp("written") / "ledger.db"
    book.story(path)
    return path.read_bytes()


@pytest.fixture
def told(path, written):
    path.write_bytes(written)
    path.with_name("ledger.db.lock").touch()
    return path


@pytest.fixture
def target(path):
    return path.with_name("backup.db")


def names(path):
    return sorted(one.name for one in path.parent.iterdir())


def files(path):
    return {one.name: one.read_bytes() for one in path.parent.iterdir()}


class TestBackup:
    def test_is_the_same_ledger_in_one_file_for_its_owner_only(self, told, target):
        made = backup(told, target)
        assert made.size_bytes == target.stat().st_size
        assert made.identity.ledger_id == "ledger-1"
        assert made.identity.high_water_ms >= CYCLE.end_ms
        assert target.stat().st_mode & 0o077 == 0
        assert names(told) == ["backup.db", "ledger.db", "ledger.db.lock"]
        with book.opened(target) as copy:
            assert book.lower(copy) == 3
            assert len(copy.reports(1)) == 2

    def test_holds_what_is_committed_and_still_in_the_log(self, path, target):
        with book.opened(path) as ledger:
            book.begin(ledger)
            book.count(ledger, START + HOUR_MS, "ada", "bob")
            assert path.with_name("ledger.db-wal").stat().st_size
            backup(path, target)
        with book.opened(target) as copy:
            assert book.lower(copy) == 2

    def test_is_of_one_moment_while_the_operator_goes_on(self, path, target, monkeypatch):
        monkeypatch.setattr(copying, "_PAGES_AT_ONCE", 16)
        with book.opened(path) as ledger:
            book.begin(ledger)
            book.count(ledger, START + HOUR_MS, *(f"first-{n}" for n in range(20_000)))
            calls, written = [], threading.Event()

            def write() -> None:
                for number in range(20):
                    more = [f"{number}-{n}" for n in range(100)]
                    book.count(ledger, START + 2 * HOUR_MS, *more, complete=False)
                written.set()

            writer = threading.Thread(target=write)

            def progress(done: int, total: int) -> None:
                if not calls:  # the copy has begun: everything written now comes too late for it
                    writer.start()
                    assert written.wait(60)
                calls.append((done, total))

            backup(path, target, progress)
            writer.join()
            assert book.lower(ledger) == 22_000
        assert len(calls) > 1
        assert calls[-1][0] == calls[-1][1]
        with book.opened(target) as copy:
            assert book.lower(copy) == 20_000

    def test_is_never_made_over_a_file(self, told, target):
        target.write_text("precious")
        with pytest.raises(Stalled) as refused:
            backup(told, target)
        assert refused.value.reason == "FileExists"
        assert target.read_text() == "precious"

    def test_is_never_made_over_a_file_that_appears_meanwhile(self, told, target):
        with pytest.raises(Stalled) as refused:
            backup(told, target, lambda *_: target.write_text("precious"))
        assert refused.value.reason == "FileExists"
        assert target.read_text() == "precious"
        assert "backup.db.unfinished" not in names(told)

    def test_of_a_damaged_ledger_is_not_made(self, told, target):
        content = bytearray(told.read_bytes())
        content[3 * 4096 : 4 * 4096] = os.urandom(4096)
        told.write_bytes(content)
        with pytest.raises(Stalled) as refused:
            backup(told, target)
        assert refused.value.reason == "LedgerCorrupt"
        assert names(told) == ["ledger.db", "ledger.db.lock"]

    def test_without_room_leaves_nothing_behind(self, told, target, monkeypatch):
        def full(*_):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(snapshot, "copy_into", full)
        with pytest.raises(Retryable) as refused:
            backup(told, target)
        assert refused.value.reason == "LedgerDiskFull"
        assert not target.exists()

    def test_works_where_files_have_no_second_name(self, told, target, monkeypatch):
        def refuse(*_):
            raise PermissionError(1, "Operation not permitted")

        monkeypatch.setattr("pathlib.Path.hardlink_to", refuse)
        backup(told, target)
        assert names(told) == ["backup.db", "ledger.db", "ledger.db.lock"]


class TestRestore:
    def test_puts_the_backup_in_place_and_keeps_the_former_ledger_whole(self, told, target):
        backup(told, target)
        with book.opened(told) as ledger:
            book.count(
                ledger, TERMS.cycle(1).start_ms + 2 * HOUR_MS, "ada", "zoe", cycle=TERMS.cycle(1)
            )
        done = restore(target, told, now_ms=NOW)
        assert done.readable
        assert done.moved_on == ()
        with book.opened(told) as ledger:
            assert book.lower(ledger, TERMS.cycle(1)) == 1
        with book.opened(done.aside) as former:
            assert book.lower(former, TERMS.cycle(1)) == 2

    def test_keeps_what_the_former_ledger_had_only_in_its_log(self, path, target):
        with book.opened(path) as ledger:
            book.begin(ledger)
        backup(path, target)
        pid = os.fork()
        if pid == 0:
            with book.opened(path) as ledger:
                book.count(ledger, START + HOUR_MS, "ada")
                os._exit(9)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 9
        assert path.with_name("ledger.db-wal").stat().st_size
        done = restore(target, path, now_ms=NOW)
        assert not path.with_name("ledger.db-wal").exists(), "it would be applied to the wrong file"
        with book.opened(path) as ledger:
            assert book.lower(ledger) == 0
        with book.opened(done.aside) as former:
            assert book.lower(former) == 1

    def test_works_where_there_is_no_ledger(self, told, target, tmp_path):
        backup(told, target)
        (tmp_path / "new").mkdir()
        done = restore(target, tmp_path / "new" / "ledger.db", now_ms=NOW)
        assert done.aside is None
        with book.opened(done.path) as ledger:
            assert book.lower(ledger) == 3

    def test_works_over_a_damaged_ledger_and_says_that_it_could_not_compare(self, told, target):
        backup(told, target)
        told.write_bytes(b"rubbish" * 1000)
        done = restore(target, told, now_ms=NOW)
        assert not done.readable
        assert done.aside.read_bytes() == b"rubbish" * 1000
        with book.opened(told) as ledger:
            assert book.lower(ledger) == 3

    def test_stops_the_chains_that_went_on_after_the_backup(self, path, target):
        with book.opened(path) as ledger:
            book.begin(ledger)
            book.count(ledger, START + HOUR_MS, "ada")
        backup(path, target)
        with book.opened(path) as ledger:
            book.interim(ledger, 0, START + 2 * HOUR_MS)
        done = restore(target, path, now_ms=NOW)
        assert done.moved_on == (MovedOn(book.CHAIN.id, 0, 1),)
        with book.opened(path) as ledger:
            assert ledger.chain(book.CHAIN.id).stopped == "LocalHistoryLost"
            assert ledger.chain(book.CHAIN.key_chain_id).stopped is None
            book.interim(ledger, 1, START + 30 * HOUR_MS)
            assert ledger.reports(1) == (), "nothing new is signed"
        with closing(sqlite3.connect(path)) as database:
            assert database.execute("PRAGMA foreign_key_check").fetchall() == []

    def test_is_refused_while_an_operator_uses_the_ledger(self, told, target):
        backup(told, target)
        with book.opened(told):
            before = files(told)
            with pytest.raises(Waiting) as refused:
                restore(target, told, now_ms=NOW)
            assert refused.value.reason == "LedgerLocked"
            assert files(told) == before

    @pytest.mark.parametrize("fault", ["rubbish", "page", "newer", "missing", "itself"])
    def test_of_something_unusable_changes_nothing(self, told, target, fault):
        backup(told, target)
        match fault:
            case "rubbish":
                target.write_bytes(b"rubbish" * 1000)
            case "page":
                content = bytearray(target.read_bytes())
                content[3 * 4096 : 4 * 4096] = os.urandom(4096)
                target.write_bytes(content)
            case "newer":
                with closing(sqlite3.connect(target)) as newer, newer:
                    newer.execute("update ledger set schema_version = 99, written_by = '9.8.7'")
            case "missing":
                target.unlink()
            case "itself":
                target = told
        before = files(told)
        with pytest.raises((Stalled, Retryable)) as refused:
            restore(target, told, now_ms=NOW)
        assert files(told) == before
        expected = "LedgerUnavailable" if fault == "missing" else "BackupUnusable"
        assert refused.value.reason == expected
        assert str(target) in refused.value.message
        assert ("9.8.7" in refused.value.message) == (fault == "newer")

    def test_of_an_older_schema_is_upgraded_when_it_is_opened(self, told, target, monkeypatch):
        backup(told, target)
        monkeypatch.setattr(schema, "VERSION", schema.VERSION + 1)
        step = migrations.Step(schema.VERSION, lambda connection: None)
        monkeypatch.setattr(migrations, "STEPS", (*migrations.STEPS, step))
        restore(target, told, now_ms=NOW)
        with book.opened(told) as ledger:
            assert book.lower(ledger) == 3

    def test_twice_in_a_second_keeps_both_former_ledgers(self, told, target):
        backup(told, target)
        asides = {restore(target, told, now_ms=NOW).aside for _ in range(3)}
        assert len(asides) == 3
        assert all(one.exists() for one in asides)

    def test_cut_short_anywhere_is_a_refusal_or_a_whole_ledger_and_loses_no_fact(
        self, path, target, monkeypatch
    ):
        """Kill it after each call that changes the folder, with a former ledger that has a log."""
        with book.opened(path) as ledger:
            book.begin(ledger)
        backup(path, target)
        changes = ("copy_into", "_stop_chains", "make_durable", "_keep_aside", "log_of")
        outcomes = set()
        for name in (*changes, "os.replace"):
            for after in (1, 2, 3, 4):
                for one in path.parent.glob("ledger.db*"):
                    one.unlink()
                restore(target, path, now_ms=NOW)
                with book.opened(path) as ledger:
                    book.count(ledger, START + HOUR_MS, "ada")
                    log = path.with_name("ledger.db-wal").read_bytes()
                    held = path.read_bytes()
                path.write_bytes(held)
                path.with_name("ledger.db-wal").write_bytes(log)
                if not self.killed_in(name, after, target, path):
                    continue
                outcome = self.opened_after(path)
                outcomes.add(outcome)
                if outcome != "LedgerCorrupt":
                    continue
                restore(target, path, now_ms=NOW + 1000)
                first = min(path.parent.glob("ledger.db.before-restore-*Z"))
                with book.opened(first) as former:
                    assert book.lower(former) == 1, f"{name} {after}: a fact is lost"
                with book.opened(path) as ledger:
                    assert book.lower(ledger) == 0
        # Refused until it is run again; the backup; before its first step, what was there.
        assert outcomes == {"LedgerCorrupt", 0, 1}

    @staticmethod
    def opened_after(path):
        try:
            with book.opened(path) as ledger:
                return book.lower(ledger)
        except Stalled as error:
            return error.reason

    @staticmethod
    def killed_in(name, after, target, path) -> bool:
        """Restore in a child that ends without a word after the n-th call; whether it did."""
        pid = os.fork()
        if pid:
            return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 9
        calls = 0

        def wrap(call):
            def counted(*args, **kwargs):
                nonlocal calls
                result = call(*args, **kwargs)
                calls += 1
                if calls == after:
                    os._exit(9)
                return result

            return counted

        try:
            if name == "os.replace":
                os.replace = wrap(os.replace)
            else:
                setattr(snapshot, name, wrap(getattr(snapshot, name)))
            restore(target, path, now_ms=NOW)
        finally:
            os._exit(0)


def test_a_restored_ledger_is_opened_by_the_next_operator(told, target):
    backup(told, target)
    restore(target, told, now_ms=NOW)
    with Ledger.open(f"sqlite:///{told}", now_ms=NOW, ledger_id="new"):
        assert ledger_id(told) == "ledger-1"
