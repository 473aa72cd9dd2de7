"""``licenseusage ledger``: exit codes, both outputs, and what it says to do next."""

import json
import os
import pty
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest

from tests.ledger import book
from tests.ledger.conftest import CYCLE, HOUR_MS, START


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    path = tmp_path_factory.mktemp("written") / "ledger.sqlite"
    book.story(path)
    return path.read_bytes()


@pytest.fixture
def ledger(tmp_path, written):
    path = tmp_path / "ledger.sqlite"
    path.write_bytes(written)
    return path


@pytest.fixture
def backup(ledger, run):
    target = ledger.with_name("backup.sqlite")
    assert run("ledger", "backup", ledger, target).code == 0
    return target


def broken(path):
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("delete from outbox where kind = 'Interim'")


class TestCheck:
    def test_a_ledger_in_order_is_ok(self, run, ledger):
        done = run("ledger", "check", ledger)
        assert (done.code, done.err) == (0, "")
        lines = done.out.splitlines()
        assert lines[0].split() == ["CHECK", "RESULT", "WHAT"]
        assert lines[-1] == "OK"
        assert {line.split()[1] for line in lines[1:-1]} == {"ok"}

    def test_a_fault_is_named_and_is_exit_code_1(self, run, ledger):
        broken(ledger)
        done = run("ledger", "check", ledger)
        assert done.code == 1
        (line,) = [line for line in done.out.splitlines() if "FAILED" in line]
        assert line.startswith("chains")
        assert done.out.endswith("NOT OK\n")

    def test_as_json(self, run, ledger):
        told = json.loads(run("ledger", "check", ledger, "-o", "json").out)
        assert told["ok"] is True
        assert told["checks"][0] == {
            "check": "file",
            "result": "ok",
            "message": told["checks"][0]["message"],
        }
        broken(ledger)
        told = json.loads(run("ledger", "check", ledger, "-o", "json").out)
        assert told["ok"] is False
        assert [c["check"] for c in told["checks"] if c["result"] == "FAILED"] == ["chains"]

    def test_another_schema_cannot_be_determined(self, run, ledger):
        with closing(sqlite3.connect(ledger)) as newer, newer:
            newer.execute("update ledger set schema_version = 99, written_by = '9.8.7'")
        done = run("ledger", "check", ledger)
        assert done.code == 3
        assert done.out.endswith("NOT DETERMINED\n")
        assert "9.8.7" in done.out

    def test_a_missing_file_cannot_be_determined(self, run, tmp_path):
        done = run("ledger", "check", tmp_path / "nowhere.sqlite")
        assert (done.code, done.out) == (3, "")
        assert "nowhere.sqlite cannot be used: No such file or directory" in done.err

    def test_what_is_no_ledger_is_not_ok(self, run, tmp_path):
        (tmp_path / "notes.txt").write_text("notes " * 100)
        done = run("ledger", "check", tmp_path / "notes.txt")
        assert done.code == 1
        assert "the file of another program" in done.out


class TestBackup:
    def test_says_what_it_holds_and_until_when(self, run, ledger, tmp_path):
        done = run("ledger", "backup", ledger, tmp_path / "b.sqlite")
        assert (done.code, done.err) == (0, "")
        assert f"bytes   {(tmp_path / 'b.sqlite').stat().st_size}" in done.out
        assert "as of   2026-11-05T" in done.out
        told = run("ledger", "backup", ledger, tmp_path / "c.sqlite", "--output", "json")
        assert json.loads(told.out)["ledgerId"] == "ledger-1"

    def test_never_writes_over_a_file(self, run, ledger, backup):
        done = run("ledger", "backup", ledger, backup)
        assert (done.code, done.out) == (3, "")
        assert done.err.startswith("error: FileExists: ")

    def test_works_while_the_ledger_is_in_use(self, run, ledger, tmp_path):
        with book.opened(ledger):
            assert run("ledger", "backup", ledger, tmp_path / "b.sqlite").code == 0
        assert run("ledger", "check", tmp_path / "b.sqlite").code == 0


class TestRestore:
    def test_says_what_was_kept_and_that_reporting_goes_on(self, run, ledger, backup):
        done = run("ledger", "restore", backup, ledger)
        assert done.code == 0
        (aside,) = ledger.parent.glob("ledger.sqlite.before-restore-*")
        assert f"kept aside  {aside}" in done.out
        assert "reporting goes on" in done.out
        assert f"licenseusage ledger merge {aside} {ledger}" in done.out

    @pytest.mark.parametrize("output", ["table", "json"])
    def test_names_the_chains_that_are_stopped(self, run, ledger, tmp_path, output):
        older = tmp_path / "older.sqlite"
        with book.opened(older) as before:
            book.begin(before)
            book.count(before, START + HOUR_MS, "ada", "bob")
            book.interim(before, 0, START + 2 * HOUR_MS)
        shown = run("ledger", "restore", older, ledger, "--output", output).out
        if output == "json":
            told = json.loads(shown)
            assert told["stoppedChains"] == [{"id": book.CHAIN.id, "backup": 1, "former": 2}]
            assert told["formerReadable"] is True
        else:
            assert f"Chain {book.CHAIN.id} is stopped: report 2 was signed" in shown
        checked = run("ledger", "check", ledger)
        assert checked.code == 0
        assert f"stopped until a person decides: {book.CHAIN.id[:8]}" in checked.out

    def test_over_a_ledger_that_cannot_be_read_says_how_it_will_be_found_out(
        self, run, ledger, backup
    ):
        ledger.write_bytes(b"rubbish" * 100)
        done = run("ledger", "restore", backup, ledger)
        assert done.code == 0
        assert "cannot be read. The operator finds out from the UsageReports" in done.out
        assert "ledger merge" not in done.out

    def test_not_while_an_operator_uses_it(self, run, ledger, backup):
        with book.opened(ledger):
            done = run("ledger", "restore", backup, ledger)
        assert (done.code, done.out) == (3, "")
        assert done.err.startswith("error: LedgerLocked: ")
        assert "stop the other one" in done.err


class TestMerge:
    def test_brings_back_what_was_counted_since_the_backup(self, run, ledger, backup):
        with book.opened(ledger) as live:
            book.count(live, CYCLE.end_ms + 10 * HOUR_MS, "ada", "zoe", cycle=NEXT)
        assert run("ledger", "restore", backup, ledger).code == 0
        (aside,) = ledger.parent.glob("*before-restore-*Z")
        done = run("ledger", "merge", aside, ledger)
        assert done.code == 0
        assert "users of whom something was added  1" in done.out
        with book.opened(ledger) as restored:
            assert book.lower(restored, NEXT) == 2
        told = json.loads(run("ledger", "merge", aside, ledger, "-o", "json").out)
        assert (told["users"], told["cycles"], told["skipped"]) == (0, 2, [])

    def test_of_other_users_is_refused_with_the_reason(self, run, ledger, tmp_path):
        other = tmp_path / "other.sqlite"
        other.write_bytes(ledger.read_bytes())
        with closing(sqlite3.connect(other)) as database, database:
            database.execute("update cycles set pseudonym_key_id = ?", ("a" * 32,))
        done = run("ledger", "merge", other, ledger)
        assert (done.code, done.out) == (3, "")
        assert done.err.startswith("error: MergeRefused: ")
        assert "pseudonyms of another key" in done.err


NEXT = book.TERMS.cycle(1)


@pytest.mark.parametrize(
    ("words", "missing"),
    [
        (["check", "x", "y"], "y"),
        (["backup", "x"], "DEST"),
        (["restore"], "BACKUP"),
        (["merge"], "OTHER"),
        (["mend", "x"], "mend"),
    ],
)
def test_a_wrong_command_line_is_exit_code_2(run, words, missing):
    done = run("ledger", *words)
    assert done.code == 2
    assert missing in done.err


@pytest.mark.parametrize("command", ["check", "backup", "restore", "merge"])
def test_every_help_has_an_example(run, command):
    shown = run("ledger", command, "--help").out
    assert "Example" in shown
    assert f"licenseusage ledger {command} " in shown


def test_people_see_how_far_it_is_and_programs_do_not(tmp_path):
    path = tmp_path / "ledger.sqlite"
    with book.opened(path) as ledger:
        book.begin(ledger)
        book.count(ledger, START + HOUR_MS, *(f"user-{n}" for n in range(20_000)))
    words = ["ledger", "backup", str(path), str(tmp_path / "b.sqlite")]
    code = f"import sys; sys.argv = ['licenseusage', *{words}]; from licenseusage.cli import main"
    ours, theirs = pty.openpty()
    done = subprocess.run(
        [sys.executable, "-c", f"{code}; main()"], stdout=subprocess.PIPE, stderr=theirs, check=True
    )
    os.close(theirs)
    seen = os.read(ours, 100_000).decode()
    os.close(ours)
    assert "copying" in seen
    assert "100%" in seen
    assert b"copying" not in done.stdout


class TestEnrolment:
    def test_prints_the_statements_that_verify_the_reports_of_the_ledger(
        self, run, ledger, tmp_path
    ):
        statements = run("ledger", "enrolment", ledger)
        assert statements.code == 0
        (tmp_path / "enrolment.jwt").write_text(statements.out)
        (tmp_path / "jwks.json").write_text(book.VENDOR_KEYS.to_jwks())
        with closing(sqlite3.connect(ledger)) as database:
            tokens = database.execute("select token from outbox where kind in ('Interim','Final')")
            (tmp_path / "reports.jwt").write_text("\n".join(token for (token,) in tokens))
        done = run(
            *("report", "verify", "reports.jwt", "--vendor-keys", "jwks.json", "--complete"),
            *("--enrolment", "enrolment.jwt"),
        )
        assert done.code == 0, done.out
        assert done.out.endswith("OK\n")

    def test_a_ledger_without_one_says_when_it_is_made(self, run, tmp_path):
        path = tmp_path / "new.sqlite"
        with book.opened(path):
            pass
        done = run("ledger", "enrolment", path)
        assert done.code == 3
        assert done.err.startswith("error: NotEnrolled: ")
