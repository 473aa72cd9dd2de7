"""The only module that knows SQLite: file, lock, pragmas, creation, errors.

The rest of the ledger is SQLAlchemy Core that PostgreSQL understands as well.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from sqlalchemy import Engine, create_engine, event, insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.engine import make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, DatabaseError, DBAPIError
from sqlalchemy.pool import ConnectionPoolEntry, StaticPool

from licenseusage import __version__
from licenseusage.errors import Stalled, Waiting
from licenseusage.ledger.storage import schema
from licenseusage.ledger.storage.copying import (
    APPLICATION_ID,
    lock_of,
    log_of,
    make_durable,
    refuse_strangers,
)
from licenseusage.ledger.storage.faults import Corrupt, explained, unusable
from licenseusage.ledger.storage.migrations import bring_up_to_date
from licenseusage.reasons import Reason

_BUSY_MS = 10_000
_BESIDE_BUSY_MS = 60_000  # a poll of a million users is written in less
_LOCK_POLL_SECONDS = 0.2

upsert = sqlite_insert


class Database:
    """An open ledger file and the lock on it.

    Attributes:
        engine: One connection, held open; transactions begin IMMEDIATE.
    """

    def __init__(self, engine: Engine, path: Path, lock: IO[str] | None) -> None:
        """Hold what ``open_database`` made; no lock: see ``open_beside``."""
        self.engine = engine
        self._path = path
        self._lock = lock

    def close(self) -> None:
        """Close the file, then release the lock."""
        self.engine.dispose()
        if self._lock is not None:
            self._lock.close()

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Turn the driver's errors into ours.

        Raises:
            UsageError: See `faults.explained`.
        """
        try:
            yield
        except DBAPIError as error:
            raise explained(error, self._path) from error


def open_database(url: str, *, now_ms: int, ledger_id: str, lock_wait_seconds: float) -> Database:
    """Open or create the ledger that ``url`` names; see ``Ledger.open`` for the errors."""
    path = path_of(url)
    lock = hold(path, lock_wait_seconds)
    try:
        _refuse_unfinished_restore(path)
        if not path.exists():
            _refuse_leftovers(path)
            _create(path, now_ms, ledger_id)
        refuse_strangers(path)
        engine = open_engine(path)
        try:
            _check(engine, path)
        except BaseException:
            engine.dispose()
            raise
    except OSError as error:
        lock.close()
        raise unusable(error, path) from None
    except BaseException:
        lock.close()
        raise
    return Database(engine, path, lock)


def open_beside(url: str) -> Database:
    """Open the ledger that ``url`` names for short transactions beside an operator that uses it.

    What is deleted is overwritten in the file. Nothing is created, checked as a whole or upgraded.

    Raises:
        Stalled: ``LedgerCorrupt``; ``LedgerSchemaUnsupported``: of another version.
        Retryable: It cannot be read.
    """
    path = path_of(url)
    _refuse_unfinished_restore(path)
    refuse_strangers(path)
    try:
        lock = hold(path)  # nobody uses it: then nobody shall begin to read it as a dead file
    except Waiting:
        lock = None
    database = Database(open_engine(path, busy_ms=_BESIDE_BUSY_MS, secure_delete="ON"), path, lock)
    try:
        _refuse_another_schema(database, path)
    except BaseException:
        database.close()
        raise
    return database


def _refuse_another_schema(database: Database, path: Path) -> None:
    with database.errors(), database.engine.connect() as connection:
        version = connection.exec_driver_sql("SELECT schema_version FROM ledger").scalar_one()
    if version != schema.VERSION:
        raise Stalled(
            Reason.LEDGER_SCHEMA_UNSUPPORTED,
            f"The ledger {path} has schema {version}, and licenseusage {__version__} writes "
            f"schema {schema.VERSION}. Start the operator of this version first. Nothing was "
            f"changed.",
        )


def forget_log(database: Database) -> bool:
    """Write the log into the file and empty it; False: a reader or writer is in the way."""
    raw = database.engine.raw_connection()
    try:
        cursor = raw.cursor()
        cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (busy, *_), *_ = cursor.fetchall()
        return not busy
    finally:
        raw.close()


def restoring(path: Path) -> Path:
    """Return the file that exists while a restore is under way (`snapshot.restore`)."""
    return path.with_name(path.name + ".restoring")


def path_of(url: str) -> Path:
    """Return the file that an address names.

    Raises:
        Stalled: ``SettingsInvalid``.
    """
    try:
        parsed = make_url(url)
    except ArgumentError:
        parsed = None
    if parsed is None or parsed.drivername not in {"sqlite", "sqlite+pysqlite"}:
        raise Stalled(
            Reason.SETTINGS_INVALID,
            "LICENSEUSAGE_DATABASE_URL names no supported store; use "
            "sqlite:////var/lib/licenseusage/ledger.db.",
        )
    if not parsed.database or not Path(parsed.database).is_absolute():
        raise Stalled(
            Reason.SETTINGS_INVALID,
            f"LICENSEUSAGE_DATABASE_URL={url!r} needs an absolute path (four slashes), as in "
            f"sqlite:////var/lib/licenseusage/ledger.db.",
        )
    path = Path(parsed.database)
    if not path.parent.is_dir():
        raise Stalled(
            Reason.SETTINGS_INVALID,
            f"The folder of the ledger, {path.parent}, does not exist: is its volume mounted, and "
            f"is LICENSEUSAGE_DATABASE_URL right?",
        )
    return path


def hold(path: Path, wait_seconds: float = 0.0) -> IO[str]:
    """Take the exclusive lock; the kernel releases it when the process ends, however it ends.

    Raises:
        Waiting: ``LedgerLocked``: another process has it.
        Retryable: The lock's file cannot be made.
    """
    deadline = time.monotonic() + wait_seconds
    try:
        lock = lock_of(path).open("a")
    except OSError as error:
        raise unusable(error, path, f"The folder of the ledger {path}") from None
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            if time.monotonic() < deadline:
                time.sleep(_LOCK_POLL_SECONDS)
                continue
            lock.close()
            raise Waiting(
                Reason.LEDGER_LOCKED,
                f"Another process uses the ledger {path}. Only one may write it: stop the other "
                f"one (a former pod that is still terminating?), or wait for it.",
            ) from None
        return lock


def _refuse_unfinished_restore(path: Path) -> None:
    """A restore that was cut short may have left the file without its log, or none at all."""
    if restoring(path).exists():
        raise Stalled(
            Reason.LEDGER_CORRUPT,
            f"The ledger {path} cannot be used: its restore was cut short, {restoring(path).name} "
            f"is still there. Run it again: licenseusage ledger restore BACKUP {path}",
        )


def _refuse_leftovers(path: Path) -> None:
    """A write-ahead log without its ledger is a lost ledger, not a first start."""
    log = log_of(path)
    if log.exists() and log.stat().st_size:
        raise Corrupt(path, f"{log.name} exists, but the ledger itself is missing")


def _create(path: Path, now_ms: int, ledger_id: str) -> None:
    """Create the ledger beside its place and rename it: a half-made one is never taken for one."""
    unfinished = path.with_name(path.name + ".creating")
    with suppress(FileNotFoundError):
        unfinished.unlink()
    # Pseudonyms and tokens are nobody else's business, whatever the umask; SQLite's log follows.
    os.close(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    engine = create_engine(f"sqlite:///{unfinished}")
    try:
        with engine.begin() as connection:
            connection.exec_driver_sql(f"PRAGMA application_id = {APPLICATION_ID}")
            schema.metadata.create_all(connection)
            connection.execute(
                insert(schema.ledger).values(
                    id=1,
                    schema_version=schema.VERSION,
                    written_by=__version__,
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
    make_durable(path.parent)


def open_engine(path: Path, *, busy_ms: int = _BUSY_MS, secure_delete: str = "FAST") -> Engine:
    """Return an engine of one connection that is careful about the disk.

    Args:
        path: The ledger; the caller has the lock.
        busy_ms: How long to wait for another process that writes.
        secure_delete: ``FAST`` overwrites deleted rows where their page is written anyway, ``ON``
            everywhere.
    """
    engine = create_engine(
        f"sqlite:///{path}", poolclass=StaticPool, connect_args={"check_same_thread": False}
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
        connection.isolation_level = None  # SQLAlchemy's BEGIN below, not the driver's
        cursor = connection.cursor()
        for pragma in (
            f"busy_timeout = {busy_ms}",
            f"secure_delete = {secure_delete}",
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
    """Refuse a file that is damaged or of a newer version; bring an older one up to date."""
    try:
        with engine.connect() as connection:
            verdict = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar_one()
        if verdict != "ok":
            raise Corrupt(path, str(verdict))
        bring_up_to_date(engine, path)
    except DatabaseError as error:
        raise explained(error, path) from error
