"""A disk that is full, read-only or somebody else's: all or nothing, and it goes on afterwards."""

import errno
import os
import pickle
import resource
import tempfile
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from licenseusage.errors import Retryable, UsageError
from licenseusage.ledger.ledger import Ledger
from licenseusage.ledger.records import MeterKey
from licenseusage.ledger.storage.faults import unusable
from tests.ledger.conftest import CYCLE, HOUR_MS, START, TERMS, declared, poll

NOBODY = 65_534


def lower(ledger: Ledger) -> int:
    return ledger.statement(1, CYCLE, sources=[declared()]).bounds.lower


@contextmanager
def no_room(ledger: Ledger) -> Iterator[None]:
    """SQLite's own limit of pages: the database refuses to grow, as on a full disk."""
    limit = "PRAGMA max_page_count = {}"
    with ledger._database.engine.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        before = connection.exec_driver_sql("PRAGMA max_page_count").scalar_one()
        connection.exec_driver_sql(limit.format(pages))
    yield
    with ledger._database.engine.connect() as connection:
        connection.exec_driver_sql(limit.format(before))


@contextmanager
def refused_by_the_kernel(path: Path) -> Iterator[None]:
    """No file of this process may grow beyond the ledger's log: the write itself fails."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    size = path.with_name(path.name + "-wal").stat().st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("fault", ["pages", "kernel"])
def test_a_poll_that_finds_no_room_is_not_recorded_by_half_and_is_once_there_is(
    ledger, path, fault
):
    ledger.record_poll(poll(START + HOUR_MS, {"ada": START}), START + HOUR_MS)
    before = path.with_name("ledger.db-wal").read_bytes()
    many = {"ada": START} | {f"user-{number}": START for number in range(5000)}
    second = poll(START + 2 * HOUR_MS, many)
    told = []
    with no_room(ledger) if fault == "pages" else refused_by_the_kernel(path):
        for _ in range(3):
            with pytest.raises(Retryable) as refused:
                ledger.record_poll(second, START + 2 * HOUR_MS)
            told.append((refused.value.reason, refused.value.message))
            assert lower(ledger) == 1
    assert len(set(told)) == 1, "a text that changes would be written to the status each time"
    assert path.with_name("ledger.db-wal").read_bytes()[: len(before)] == before
    ledger.record_poll(second, START + 2 * HOUR_MS)
    assert lower(ledger) == 5001


def test_a_full_disk_is_said_with_what_to_do(ledger, path):
    many = {"ada": START} | {f"user-{number}": START for number in range(5000)}
    with no_room(ledger), pytest.raises(Retryable) as refused:
        ledger.record_poll(poll(START + HOUR_MS, many), START + HOUR_MS)
    assert refused.value.reason == "LedgerDiskFull"
    assert str(path) in refused.value.message
    assert "Free space" in refused.value.message


def test_what_was_recorded_before_a_full_disk_survives_a_kill_in_it(path):
    def child() -> None:
        with_ledger = Ledger.open(f"sqlite:///{path}", now_ms=START, ledger_id="x")
        meter = with_ledger.ensure_meter(MeterKey("default", "opencloud", "opencloud"), START)
        with_ledger.keep_terms(meter.id, TERMS, START)
        with_ledger.record_poll(poll(START + HOUR_MS, {"ada": START}), START + HOUR_MS)
        with refused_by_the_kernel(path):
            many = {"ada": START} | {f"user-{number}": START for number in range(5000)}
            with pytest.raises(Retryable):
                with_ledger.record_poll(poll(START + 2 * HOUR_MS, many), START + 2 * HOUR_MS)
            os._exit(9)

    pid = os.fork()
    if pid == 0:
        child()
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 9
    with Ledger.open(f"sqlite:///{path}", now_ms=START, ledger_id="y") as ledger:
        assert lower(ledger) == 1


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (errno.EROFS, "LedgerReadOnly"),
        (errno.ENOSPC, "LedgerDiskFull"),
        (errno.EDQUOT, "LedgerDiskFull"),
        (errno.EACCES, "LedgerUnavailable"),
        (errno.EIO, "LedgerUnavailable"),
    ],
)
def test_every_refusal_of_the_file_system_has_a_reason(path, number, reason):
    error = unusable(OSError(number, os.strerror(number)), path)
    assert (type(error), error.reason) == (Retryable, reason)
    assert str(path) in error.message


class TestPermissions:
    """Nobody's file is anybody else's: who owns it and who asked is in the message."""

    @pytest.fixture
    def theirs(self) -> Iterator[Path]:
        """A ledger that an ordinary user can reach; pytest's own folders are closed to others."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "ledger.db"
            Ledger.open(f"sqlite:///{path}", now_ms=START, ledger_id="x").close()
            for one, mode in ((path.parent, 0o777), (path, 0o666), (lock_file(path), 0o666)):
                one.chmod(mode)
            yield path

    def test_an_ordinary_user_may_open_it(self, theirs):
        assert refusal(theirs) is None

    def test_a_file_that_may_not_be_read(self, theirs):
        theirs.chmod(0o000)
        reason, message = refusal(theirs)
        assert reason == "LedgerUnavailable"
        assert "mode 0000" in message
        assert f"uid {NOBODY if os.geteuid() == 0 else os.geteuid()}" in message

    def test_a_file_that_may_not_be_written(self, theirs):
        theirs.chmod(0o444)
        reason, message = refusal(theirs)
        assert reason == "LedgerReadOnly"
        assert "mode 0444" in message

    def test_a_folder_that_may_not_be_written(self, theirs):
        lock_file(theirs).unlink()
        theirs.parent.chmod(0o555)
        reason, message = refusal(theirs)
        theirs.parent.chmod(0o777)
        assert reason == "LedgerUnavailable"
        assert "its folder belongs to" in message
        assert "mode 0555" in message


def lock_file(path: Path) -> Path:
    return path.with_name(path.name + ".lock")


def refusal(path: Path) -> tuple[str, str] | None:
    """Why the ledger cannot be opened and written by an ordinary user; None: it can."""

    def work() -> tuple[str, str] | None:
        try:
            with Ledger.open(f"sqlite:///{path}", now_ms=START, ledger_id="x") as ledger:
                ledger.ensure_meter(MeterKey("a", "b", "c"), START)
        except UsageError as error:
            return error.reason, error.message
        return None

    return as_ordinary_user(work)


def as_ordinary_user(work: Callable[[], Any]) -> Any:
    """Run in a child without root's rights, to which no permission would apply."""
    source, sink = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            if os.geteuid() == 0:
                os.setgroups([])
                os.setgid(NOBODY)
                os.setuid(NOBODY)
            os.write(sink, pickle.dumps(work()))
            os._exit(0)
        except BaseException:
            traceback.print_exc()
        os._exit(1)
    os.close(sink)
    with os.fdopen(source, "rb") as answer:
        told = answer.read()
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    return pickle.loads(told)
