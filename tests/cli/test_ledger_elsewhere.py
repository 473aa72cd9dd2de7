"""``kubectl licenseusage ledger …`` from where no ledger is: in the pod, whole or not at all.

The client's half is the product's; of ``kubectl exec`` a process on this machine is played, which
runs the same program beside the ledger and does to the streams what the test says.
"""

import json
import os

import pytest

from tests.cli.pods import kubectl_in, pod, showing
from tests.ledger import book
from tests.ledger.conftest import CYCLE, HOUR_MS
from trials import forked


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    path = tmp_path_factory.mktemp("written") / "ledger.sqlite"
    book.story(path)
    return path.read_bytes()


@pytest.fixture
def volume(tmp_path, written):
    """The pod's volume, with a ledger."""
    folder = tmp_path / "volume"
    folder.mkdir()
    (folder / "ledger.sqlite").write_bytes(written)
    return folder


@pytest.fixture
def kubectl(tmp_path, volume, monkeypatch):
    """A kubectl that runs the command beside the ledger; ``before`` and ``then`` are pipes."""

    (tmp_path / "bin").mkdir()

    def does(before="", then="", *pods):
        url = f"sqlite:///{volume}/ledger.sqlite"
        ours = forked.program(tmp_path / "bin" / "licenseusage")
        folder = kubectl_in(
            tmp_path,
            f'{showing(*pods)}echo "$@" > {tmp_path}/asked\nexec 3>&1\n'
            'while [ "$1" != licenseusage ]; do shift; done; shift\n'
            f'code=$({{ {{ {before} LICENSEUSAGE_DATABASE_URL={url} {ours} "$@" 4>&-; '
            f"echo $? >&4; }} {then} >&3; }} 4>&1)\n"
            '[ "$code" = 0 ] || echo "command terminated with exit code $code" >&2\nexit $code\n',
        )
        monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")

    does()
    return does


def left(folder):
    return sorted(name for name in os.listdir(folder) if not name.endswith(".lock"))


def here(tmp_path):
    return sorted(set(os.listdir(tmp_path)) - {"bin", "asked", "volume"})


class TestBackup:
    def test_one_command_brings_a_whole_backup_here_while_the_operator_works(
        self, run, kubectl, tmp_path, volume
    ):
        with book.opened(volume / "ledger.sqlite"):
            done = run("ledger", "backup", "-o", "laptop.sqlite", "--output", "json")
            assert left(volume) == ["ledger.sqlite", "ledger.sqlite-shm", "ledger.sqlite-wal"]
        assert (done.code, done.err) == (0, "")
        told, file = json.loads(done.out), tmp_path / "laptop.sqlite"
        assert (told["path"], told["ledgerId"]) == ("laptop.sqlite", "ledger-1")
        assert told["bytes"] == file.stat().st_size
        assert run("ledger", "check", file).code == 0
        assert file.stat().st_mode & 0o777 == 0o600

    def test_a_stream_that_is_cut_leaves_nothing(self, run, kubectl, tmp_path, volume):
        kubectl("", "| (head -c 50000; cat > /dev/null)")
        done = run("ledger", "backup", "-o", "laptop.sqlite")
        assert done.code == 3
        assert done.err.startswith("error: StreamCut: ")
        assert here(tmp_path) == []
        assert left(volume) == ["ledger.sqlite"]

    def test_a_file_that_exists_is_not_replaced_and_the_pod_not_asked(self, run, kubectl, tmp_path):
        (tmp_path / "laptop.sqlite").write_text("mine")
        done = run("ledger", "backup", "-o", "laptop.sqlite")
        assert done.code == 3
        assert done.err.startswith("error: FileExists: laptop.sqlite exists")
        assert (tmp_path / "laptop.sqlite").read_text() == "mine"
        assert not (tmp_path / "asked").exists()

    def test_a_folder_that_cannot_be_written_is_named_and_the_pod_not_asked(
        self, run, kubectl, tmp_path
    ):
        done = run("ledger", "backup", "-o", "nowhere/laptop.sqlite")
        assert done.code == 3
        assert done.err.startswith("error: NotWritable: nowhere/laptop.sqlite")
        assert not (tmp_path / "asked").exists()

    def test_a_failure_in_the_pod_is_told_here(self, run, kubectl, tmp_path, volume):
        (volume / "ledger.sqlite").write_bytes(b"no ledger" * 100)
        done = run("ledger", "backup", "-o", "laptop.sqlite")
        assert done.code == 3
        assert done.err.startswith("error: LedgerCorrupt: ")
        assert here(tmp_path) == []

    def test_the_target_is_named_once(self, run, kubectl):
        assert run("ledger", "backup").code == 2
        assert run("ledger", "backup", "a", "b", "-o", "c").code == 2


class TestInto:
    @pytest.fixture
    def backup(self, tmp_path, written, volume):
        """A backup here, after which the pod's ledger went on."""
        path = tmp_path / "backup.sqlite"
        path.write_bytes(written)
        with book.opened(volume / "ledger.sqlite") as opened:
            book.count(opened, CYCLE.start_ms + 40 * 24 * HOUR_MS, "zoe", cycle=book.TERMS.cycle(1))
        return path

    def test_restore_takes_a_file_from_here_and_merge_what_it_kept_aside(
        self, run, kubectl, backup, volume, tmp_path
    ):
        kubectl("", "", pod("licenseusage-maintenance", component="maintenance"))
        done = run("ledger", "restore", "backup.sqlite")
        assert (done.code, done.err) == (0, "")
        assert "from        the file that was sent" in done.out
        (aside,) = volume.glob("ledger.sqlite.before-restore-*")
        assert f"kubectl licenseusage ledger merge --in-pod {aside}" in done.out
        assert left(volume) == ["ledger.sqlite", aside.name]
        assert "pod/licenseusage-maintenance -c shell -i" in (tmp_path / "asked").read_text()
        done = run("ledger", "merge", "--in-pod", aside, "--output", "json")
        assert done.code == 0, done.err
        assert json.loads(done.out)["users"] == 1

    def test_an_input_that_is_cut_changes_nothing(self, run, kubectl, backup, volume):
        before = (volume / "ledger.sqlite").read_bytes()
        kubectl("head -c 50000 |")
        done = run("ledger", "merge", "backup.sqlite")
        assert done.code == 3
        assert "error: StreamCut: " in done.err
        assert (volume / "ledger.sqlite").read_bytes() == before
        assert left(volume) == ["ledger.sqlite"]

    def test_a_cut_after_the_file_was_sent_does_not_claim_that_nothing_was_done(
        self, run, kubectl, backup
    ):
        kubectl("", "| (cat > /dev/null)")
        done = run("ledger", "restore", "backup.sqlite")
        assert done.code == 3
        assert "not known" in done.err
        assert "nothing was changed" not in done.err

    def test_an_operator_that_uses_the_ledger_is_not_robbed_of_it(
        self, run, kubectl, backup, volume
    ):
        with book.opened(volume / "ledger.sqlite"):
            done = run("ledger", "restore", "backup.sqlite")
        assert done.code == 3
        assert done.err.startswith("error: LedgerLocked: ")
        assert left(volume) == ["ledger.sqlite"]

    def test_a_ledger_with_a_log_beside_it_is_not_sent_without_it(self, run, kubectl, backup):
        backup.with_name("backup.sqlite-wal").write_bytes(b"committed")
        done = run("ledger", "restore", "backup.sqlite")
        assert done.code == 3
        assert "licenseusage ledger backup backup.sqlite one-file.sqlite" in done.err

    def test_a_file_that_is_not_there_is_named(self, run, kubectl):
        done = run("ledger", "restore", "nowhere.sqlite")
        assert done.code == 3
        assert done.err.startswith("error: FileUnreadable: nowhere.sqlite")


def test_check_passes_its_output_and_its_exit_code_on(run, kubectl, volume):
    (volume / "ledger.sqlite").write_bytes(b"no ledger" * 100)
    done = run("ledger", "check", "--output", "json")
    assert done.code == 1
    assert json.loads(done.out)["ok"] is False
