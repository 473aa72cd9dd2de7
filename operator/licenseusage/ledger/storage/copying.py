"""Copying a ledger while it is in use, and reading one without writing beside it."""

import fcntl
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import Connection, create_engine
from sqlalchemy.pool import StaticPool

from licenseusage.ledger.storage.faults import Corrupt, explained, unusable

Progress = Callable[[int, int], None]
"""Called with how much is done and how much there is."""

APPLICATION_ID = 0x4C555347  # "LUSG": says in the file's header whose it is
_HEADER_BYTES = 100
_PAGES_AT_ONCE = 512
_BUSY_SECONDS = 10.0


def nothing_to_tell(done: int, total: int) -> None:
    """Report no progress."""


def lock_of(path: Path) -> Path:
    """Return the file whose lock an operator holds while it uses the ledger."""
    return path.with_name(path.name + ".lock")


def log_of(path: Path) -> Path:
    """Return the write-ahead log of a ledger; its content is committed, too."""
    return path.with_name(path.name + "-wal")


def refuse_strangers(path: Path) -> None:
    """Look at the header before SQLite does: opening an empty file would make it a database.

    Raises:
        Stalled: ``LedgerCorrupt``: it is no ledger.
        Retryable: It cannot be read.
    """
    try:
        with path.open("rb") as file:
            header = file.read(_HEADER_BYTES)
    except OSError as error:
        raise unusable(error, path) from None
    if len(header) < _HEADER_BYTES:
        raise Corrupt(path, f"it has {len(header)} bytes")
    owner = int.from_bytes(header[68:72], "big")
    if not header.startswith(b"SQLite format 3\0") or owner != APPLICATION_ID:
        raise Corrupt(path, "it is the file of another program")


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """Read a snapshot of a ledger, even while it is written; this writes nothing.

    One transaction: everything read belongs to one moment.

    Raises:
        Stalled: ``LedgerCorrupt``.
        Retryable: It cannot be read.
    """
    refuse_strangers(path)
    with _undisturbed(path) as still:
        # A file that nobody has open is read without the shared-memory file that SQLite would make.
        asked = "mode=ro&immutable=1" if still else "mode=ro"
        uri = f"file:{quote(str(path))}?{asked}"
        try:
            with closing(sqlite3.connect(uri, uri=True, timeout=_BUSY_SECONDS)) as connection:
                connection.isolation_level = None
                connection.execute("BEGIN")
                connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
                yield connection
        except sqlite3.Error as error:
            raise explained(error, path) from error


@contextmanager
def connected(raw: sqlite3.Connection) -> Iterator[Connection]:
    """Read through SQLAlchemy over a connection that is open already (`reading`)."""
    engine = create_engine(
        "sqlite://", creator=lambda: raw, poolclass=StaticPool, pool_reset_on_return=None
    )
    with engine.connect() as connection:
        yield connection


def copy_into(
    source: sqlite3.Connection, target: Path, progress: Progress = nothing_to_tell
) -> None:
    """Copy a database into a new file beside nothing else (no log), durable when this returns.

    Args:
        source: An open connection; in a transaction the copy is of that moment.
        target: Made anew, for its owner only; an older one is replaced.
        progress: Hears of pages.

    Raises:
        sqlite3.Error: The copy failed; the target is gone.
        OSError: Likewise.
    """
    with suppress(FileNotFoundError):
        target.unlink()
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        with closing(sqlite3.connect(target)) as copy:
            source.backup(
                copy,
                pages=_PAGES_AT_ONCE,
                progress=lambda _, left, total: progress(total - left, total),
            )
            # Else the copy would need a log of its own beside it to be opened.
            copy.execute("PRAGMA journal_mode = DELETE")
        make_durable(target)
    except BaseException:
        for left_over in (target, log_of(target), target.with_name(target.name + "-journal")):
            with suppress(FileNotFoundError):
                left_over.unlink()
        raise


def make_durable(path: Path) -> None:
    """Flush a file, or the names in a folder, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _undisturbed(path: Path) -> Iterator[bool]:
    """Whether the ledger is locked against writers, and its log is empty."""
    log = log_of(path)
    try:
        lock = lock_of(path).open("rb")
    except OSError:
        # Never opened by an operator, at least not here: a copy.
        yield not log.exists() or not log.stat().st_size
        return
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            yield False
            return
        yield not log.exists() or not log.stat().st_size
