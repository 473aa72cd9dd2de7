"""The one place that knows SQLite: file, lock, pragmas, creation, what its errors mean.

The rest of the ledger is SQLAlchemy Core that PostgreSQL understands as well.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from sqlalchemy import Engine, create_engine, event, insert, select
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.engine import make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, DatabaseError, DBAPIError
from sqlalchemy.pool import ConnectionPoolEntry, StaticPool

from licenseusage.errors import Retryable, Stalled, UsageError, Waiting
from licenseusage.ledger import schema
from licenseusage.ledger.migrations import upgrade

APPLICATION_ID = 0x4C555347  # "LUSG": says in the file's header whose it is
_BUSY_MS = 10_000
_HEADER_SIZE = 100
_LOCK_POLL_SECONDS = 0.2
# Substrings of SQLite's messages that no retry will mend.
_CORRUPT = ("malformed", "not a database", "corrupt", "no such table", "no such column")

upsert = sqlite_insert


class Database:
    """An open ledger file and the lock on it.

    Attributes:
        engine: One connection, held open; transactions begin IMMEDIATE.
        fresh: This process created the file.
    """

    def __init__(self, engine: Engine, path: Path, lock: IO[str], *, fresh: bool) -> None:
        """Hold what ``open_database`` made."""
        self.engine = engine
        self.fresh = fresh
        self._path = path
        self._lock = lock

    def close(self) -> None:
        """Close the file, then release the lock."""
        self.engine.dispose()
        self._lock.close()

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Turn the driver's errors into ours.

        Raises:
            Stalled: ``LedgerCorrupt``.
            Retryable: ``LedgerUnavailable``: disk full, read-only, I/O error.
        """
        try:
            yield
        except DBAPIError as error:
            raise explained(error, self._path) from error


def open_database(url: str, *, now_ms: int, ledger_id: str, lock_wait_seconds: float) -> Database:
    """Open or create the ledger that ``url`` names; see ``Ledger.open`` for the errors."""
    path = _path(url)
    lock = _locked(path, lock_wait_seconds)
    try:
        fresh = not path.exists()
        if fresh:
            _refuse_leftovers(path)
            _create(path, now_ms, ledger_id)
        _refuse_strangers(path)
        engine = _engine(path)
        try:
            _check(engine, path)
            upgrade(engine)
        except BaseException:
            engine.dispose()
            raise
    except BaseException:
        lock.close()
        raise
    return Database(engine, path, lock, fresh=fresh)


def explained(error: DBAPIError, path: Path) -> UsageError:
    """Return what a driver's error means, without the statement: that could hold pseudonyms."""
    seen = str(error.orig)
    if any(text in seen for text in _CORRUPT):
        return _corrupt(path, seen)
    return Retryable(
        "LedgerUnavailable",
        f"The ledger {path} could not be read or written: {seen}. Nothing was changed. Check that "
        f"the volume is mounted, writable and not full.",
    )


def _path(url: str) -> Path:
    try:
        parsed = make_url(url)
    except ArgumentError:
        parsed = None
    if parsed is None or parsed.drivername not in {"sqlite", "sqlite+pysqlite"}:
        raise Stalled(
            "SettingsInvalid",
            "LICENSEUSAGE_DATABASE_URL names no supported store; use "
            "sqlite:////var/lib/licenseusage/ledger.db.",
        )
    if not parsed.database or not Path(parsed.database).is_absolute():
        raise Stalled(
            "SettingsInvalid",
            f"LICENSEUSAGE_DATABASE_URL={url!r} needs an absolute path (four slashes), as in "
            f"sqlite:////var/lib/licenseusage/ledger.db.",
        )
    return Path(parsed.database)


def _locked(path: Path, wait_seconds: float) -> IO[str]:
    """Take the exclusive lock; the kernel releases it when the process ends, however it ends."""
    deadline = time.monotonic() + wait_seconds
    try:
        lock = path.with_name(path.name + ".lock").open("a")
    except OSError as error:
        raise Retryable(
            "LedgerUnavailable",
            f"The folder of the ledger {path} cannot be used: {error.strerror}. Check that the "
            f"volume is mounted and writable.",
        ) from error
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            if time.monotonic() < deadline:
                time.sleep(_LOCK_POLL_SECONDS)
                continue
            lock.close()
            raise Waiting(
                "LedgerLocked",
                f"Another process uses the ledger {path}. Only one may write it: stop the other "
                f"one (a former pod that is still terminating?), or wait for it.",
                after_seconds=10,
            ) from None
        return lock


def _refuse_leftovers(path: Path) -> None:
    """A write-ahead log without its ledger is a lost ledger, not a first start."""
    log = path.with_name(path.name + "-wal")
    if log.exists() and log.stat().st_size:
        raise _corrupt(path, f"{log.name} exists, but the ledger itself is missing")


def _refuse_strangers(path: Path) -> None:
    """Look at the header before SQLite does: opening an empty file would make it a database."""
    try:
        with path.open("rb") as file:
            header = file.read(_HEADER_SIZE)
    except OSError as error:
        raise Retryable(
            "LedgerUnavailable", f"The ledger {path} cannot be opened: {error.strerror}."
        ) from error
    if len(header) < _HEADER_SIZE:
        raise _corrupt(path, f"it has {len(header)} bytes")
    owner = int.from_bytes(header[68:72], "big")
    if not header.startswith(b"SQLite format 3\0") or owner != APPLICATION_ID:
        raise _corrupt(path, "it is the file of another program")


def _create(path: Path, now_ms: int, ledger_id: str) -> None:
    """Create the ledger beside its place and rename it: a half-made one is never taken for one."""
    unfinished = path.with_name(path.name + ".creating")
    with suppress(FileNotFoundError):
        unfinished.unlink()
    engine = create_engine(f"sqlite:///{unfinished}")
    try:
        with engine.begin() as connection:
            connection.exec_driver_sql(f"PRAGMA application_id = {APPLICATION_ID}")
            schema.metadata.create_all(connection)
            connection.execute(
                insert(schema.ledger).values(
                    id=1,
                    schema_version=schema.VERSION,
                    ledger_id=ledger_id,
                    created_ms=now_ms,
                    clock_high_water_ms=now_ms,
                )
            )
    except DBAPIError as error:
        raise explained(error, path) from error
    finally:
        engine.dispose()
    unfinished.rename(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _engine(path: Path) -> Engine:
    engine = create_engine(
        f"sqlite:///{path}", poolclass=StaticPool, connect_args={"check_same_thread": False}
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
        connection.isolation_level = None  # SQLAlchemy's BEGIN below, not the driver's
        cursor = connection.cursor()
        for pragma in (
            f"busy_timeout = {_BUSY_MS}",
            "journal_mode = WAL",
            "synchronous = FULL",
            "foreign_keys = ON",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection: object) -> None:
        # Take the write lock at once: a transaction that reads first and writes later could fail.
        connection.exec_driver_sql("BEGIN IMMEDIATE")  # type: ignore[attr-defined]

    return engine


def _check(engine: Engine, path: Path) -> None:
    """Refuse a file that is damaged, or was written by a newer version."""
    try:
        with engine.connect() as connection:
            verdict = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar_one()
            if verdict != "ok":
                raise _corrupt(path, str(verdict))
            version = connection.execute(select(schema.ledger.c.schema_version)).scalar_one()
    except DatabaseError as error:
        raise explained(error, path) from error
    if version > schema.VERSION:
        raise Stalled(
            "LedgerSchemaUnsupported",
            f"The ledger {path} has schema version {version}, this program knows {schema.VERSION}. "
            f"Run the version that wrote it, or a newer one; nothing was changed.",
        )


def _corrupt(path: Path, seen: str) -> Stalled:
    return Stalled(
        "LedgerCorrupt",
        f"The ledger {path} cannot be read: {seen}. Nothing was changed and no new one was begun, "
        f"since that would count the cycle from zero. Restore the file from a backup.",
    )
