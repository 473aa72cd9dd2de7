"""``report export --directory``: a folder for whoever carries bundles away, run again and again."""

import errno
import os
import sqlite3
import subprocess
import time
from contextlib import closing
from pathlib import Path

import pytest

from licenseusage.cli import exporting, written
from licenseusage.reports.bundle import read_lines
from licenseusage.reports.keyring import KeyRing
from licenseusage.reports.report import read_report
from tests.ledger import book
from tests.ledger.conftest import CYCLE, HOUR_MS, START

LATER = CYCLE.end_ms + 6 * HOUR_MS


@pytest.fixture
def ledger(tmp_path, monkeypatch):
    """A ledger in which an enrolment and an interim wait."""
    path = tmp_path / "ledger" / "ledger.sqlite"
    path.parent.mkdir()
    with book.opened(path) as opened:
        book.begin(opened)
        book.count(opened, START + HOUR_MS, "ada", "bob")
        book.interim(opened, 0, START + 2 * HOUR_MS)
    monkeypatch.setenv("LICENSEUSAGE_DATABASE_URL", f"sqlite:///{path}")
    monkeypatch.setattr(exporting, "key_ring", lambda settings: KeyRing(book.KEY))
    return path


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "exports").mkdir()
    return tmp_path / "exports"


@pytest.fixture
def keep(run, folder, monkeypatch):
    """One run of the CronJob's command, each a second after the last."""
    seconds = iter(range(1000))

    def keep():
        at = time.gmtime(CYCLE.end_ms // 1000 + next(seconds))
        monkeypatch.setattr(exporting, "show_time", lambda _: time.strftime("%FT%TZ", at))
        return run("report", "export", "--directory", folder)

    return keep


def names(folder):
    return sorted(os.listdir(folder))


def close_the_cycle(path):
    with book.opened(path) as opened:
        book.count(opened, CYCLE.end_ms + 120_000, "ada", "bob", "eve")
        book.final(opened)


def accept(path):
    with book.opened(path) as opened:
        book.accept_all(opened, LATER)


def test_what_waits_is_written_under_a_name_with_the_date(keep, ledger, folder):
    done = keep()
    (name,) = names(folder)
    assert name == f"2026-11-05T000000Z-sub-1-{book.CHAIN.key_chain_id[:8]}.usage-bundle"
    assert (done.code, done.err) == (0, "")
    assert done.out == (
        f"wrote {folder / name}: 1 report (0 of ended cycles; signed since 2026-11-01) and 1 key "
        f"statement of subscription sub-1 for vendor.example\n"
    )


def test_the_same_documents_are_not_written_again(keep, ledger, folder):
    keep()
    before = names(folder)
    done = keep()
    assert names(folder) == before
    assert done.out == f"kept {folder / before[0]}: it holds what waits\n"


def test_a_file_that_was_carried_away_is_written_again_until_it_is_receipted(keep, ledger, folder):
    keep()
    (folder / names(folder)[0]).unlink()
    keep()
    assert len(names(folder)) == 1


def test_a_new_document_makes_a_new_file_with_everything_that_waits(keep, ledger, folder):
    keep()
    close_the_cycle(ledger)
    keep()
    newest = read_lines((folder / names(folder)[-1]).read_text())
    assert [read_report(token).content.kind.value for token in newest.reports] == [
        "interim",
        "final",
    ]
    assert len(names(folder)) == 2


def test_a_file_stays_until_every_document_in_it_is_receipted(keep, ledger, folder):
    keep()
    close_the_cycle(ledger)
    keep()
    with closing(sqlite3.connect(ledger)) as database, database:
        database.execute("update outbox set state = 'Accepted' where kind != 'Final'")
    done = keep()
    assert len([line for line in done.out.splitlines() if line.startswith("removed")]) == 1
    assert len(names(folder)) == 1
    accept(ledger)
    done = keep()
    assert names(folder) == []
    assert "the vendor has signed for every document in it" in done.out
    assert done.out.endswith("nothing waits: nothing to write\n")


def test_a_refusal_that_nobody_signed_is_no_receipt(keep, ledger, folder):
    keep()
    with closing(sqlite3.connect(ledger)) as database, database:
        database.execute("update outbox set state = 'Rejected', receipt = null")
    keep()
    assert len(names(folder)) == 1


def test_a_document_that_the_ledger_does_not_hold_keeps_its_file(keep, ledger, folder):
    keep()
    accept(ledger)
    with closing(sqlite3.connect(ledger)) as database, database:
        database.execute("delete from outbox where kind = 'Interim'")
    keep()
    assert len(names(folder)) == 1


def test_files_of_others_are_left_alone(keep, ledger, folder):
    (folder / "notes.txt").write_text("ours")
    (folder / "damaged.usage-bundle").write_text("not a bundle\n")
    (folder / "folder.usage-bundle").mkdir()
    done = keep()
    assert {"notes.txt", "damaged.usage-bundle", "folder.usage-bundle"} < set(names(folder))
    assert "note: damaged.usage-bundle is damaged and is left alone" in done.err
    assert "note: folder.usage-bundle cannot be read" in done.err


@pytest.mark.parametrize(
    ("code", "fix"),
    [(errno.ENOSPC, "free space on the volume"), (errno.EROFS, "mount it writable")],
)
def test_a_volume_that_is_full_or_read_only_is_an_error_and_nothing_is_half_written(
    keep, ledger, folder, monkeypatch, code, fix
):
    keep()
    before = {name: (folder / name).read_bytes() for name in names(folder)}
    close_the_cycle(ledger)

    def fails(path, content):
        path.write_bytes(content[: len(content) // 2])
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(written, "_write_new", fails)
    done = keep()
    assert done.code == 3
    assert done.err.startswith(f"error: NotWritable: {folder}/2026-11-05T000001Z-sub-1-")
    assert fix in done.err
    assert {name: (folder / name).read_bytes() for name in names(folder)} == before


@pytest.mark.skipif(os.geteuid() != 0, reason="needs the right to mount")
@pytest.mark.parametrize(
    ("option", "words"), [("size=4k", "No space left on device"), ("ro", "Read-only file system")]
)
def test_a_real_volume_that_is_full_or_read_only(keep, ledger, folder, option, words):
    mount = ["mount", "-t", "tmpfs", "-o", option, "tmpfs", folder]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount")
    try:
        if option != "ro":
            (folder / "others").write_bytes(bytes(4096))
        before = names(folder)
        done = keep()
        assert done.code == 3
        assert words in done.err
        assert names(folder) == before
    finally:
        subprocess.run(["umount", folder], check=True)


def test_room_that_receipts_make_is_used_at_once(keep, ledger, folder, monkeypatch):
    """What is receipted goes first, so that a full volume mends itself."""
    keep()
    accept(ledger)
    close_the_cycle(ledger)
    whole, former = written._write_new, names(folder)[0]

    def full_while_the_former_is_there(path, content):
        if (folder / former).exists():
            raise OSError(errno.ENOSPC, "full")
        whole(path, content)

    monkeypatch.setattr(written, "_write_new", full_while_the_former_is_there)
    assert keep().code == 0
    assert len(names(folder)) == 1
    assert former not in names(folder)


def test_what_a_killed_run_left_is_removed_after_an_hour(keep, ledger, folder):
    for name, age in ((".old.usage-bundle.aa.part", 7200), (".new.usage-bundle.bb.part", 60)):
        (folder / name).write_text("half")
        then = time.time() - age
        os.utime(folder / name, (then, then))
    keep()
    assert ".new.usage-bundle.bb.part" in names(folder)
    assert ".old.usage-bundle.aa.part" not in names(folder)


def test_two_runs_at_once_leave_whole_files_only(ledger, folder, run):
    from threading import Thread

    from licenseusage.cli.exportfolder import keep_folder
    from licenseusage.ledger.documents.exporting import settled

    bundles = exporting._from_ledger(exporting.Wanted(), 2**20).bundles

    def once():
        keep_folder(folder, bundles, lambda asked: settled(ledger, asked), "2026-11-05T000000Z")

    runs = [Thread(target=once) for _ in range(8)]
    for one in runs:
        one.start()
    for one in runs:
        one.join()
    (name,) = names(folder)
    assert read_lines((folder / name).read_text()).content


def test_a_folder_that_is_not_mounted_is_named(run, ledger, tmp_path):
    done = run("report", "export", "--directory", tmp_path / "none")
    assert done.code == 3
    assert "--directory names a folder that exists: mount the volume there" in done.err


def test_a_folder_holds_everything_that_waits_and_no_choice_of_it(run, ledger, folder):
    assert run("report", "export", "--directory", folder, "--all").code == 2
    assert run("report", "export", "opencloud", "--directory", folder).code == 2


def test_before_the_first_licence_there_is_nothing_and_that_is_fine(run, ledger, folder):
    ledger.unlink()
    with book.opened(Path(ledger)):
        pass
    done = run("report", "export", "--directory", folder)
    assert (done.code, done.out) == (0, "nothing waits: nothing to write\n")
    assert "nothing was signed yet" in done.err
