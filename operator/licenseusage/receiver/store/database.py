"""Opening the database, and its two kinds of transaction."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import (
    Connection,
    Engine,
    create_engine,
    event,
    func,
    insert,
    inspect,
    make_url,
    select,
    text,
)
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry

from licenseusage.errors import Retryable, Stalled
from licenseusage.reasons import Reason
from licenseusage.receiver.store.schema import SCHEMA_VERSION, metadata, schema_version
from licenseusage.receiver.store.upgrading import OLDEST, upgrade
from licenseusage.receiver.store.views import Views
from licenseusage.receiver.store.writing import Writing

BUSY_SECONDS = 10
"""How long a transaction waits for another process's lock before it gives up (SQLite)."""


class ReceiverDatabase:
    """The receiver's database.

    A write is one transaction that holds the database's (SQLite) or the chain's (PostgreSQL) lock
    from its first read on: what was read is still true when it commits (REPORT_FORMAT §12).
    """

    def __init__(self, engine: Engine) -> None:
        """Use ``open`` instead, which checks the schema."""
        self._engine = engine

    @classmethod
    def open(cls, url: str) -> "ReceiverDatabase":
        """Open ``sqlite:///FILE`` or ``postgresql+psycopg://…``; tables are made if absent.

        Raises:
            Stalled: ``SettingsInvalid``: the address is not one of a database this build can use;
                ``SchemaUnsupported``: the tables were made by another version.
            Retryable: ``DatabaseUnavailable``: it does not answer, or its file cannot be written.
        """
        engine = _engine(url)
        try:
            with engine.connect() as connection, _writing(connection).begin():
                version = _version(connection)
                if version is None:
                    metadata.create_all(connection)
                    connection.execute(insert(schema_version).values(version=SCHEMA_VERSION))
                elif OLDEST <= version < SCHEMA_VERSION:
                    metadata.create_all(connection)
                    upgrade(connection, version)
                    version = SCHEMA_VERSION
        except SQLAlchemyError as error:
            engine.dispose()
            raise Retryable(Reason.DATABASE_UNAVAILABLE, _unavailable(error)) from None
        if version not in (None, SCHEMA_VERSION):
            engine.dispose()
            raise Stalled(
                Reason.SCHEMA_UNSUPPORTED,
                f"The receiver's database has schema version {version}, this build reads "
                f"{SCHEMA_VERSION}. Run the build that wrote it, or give another --database-url.",
            )
        return cls(engine)

    @contextmanager
    def write(self) -> Iterator[Writing]:
        """One transaction that commits at the end of the block, or not at all.

        Raises:
            Retryable: ``DatabaseUnavailable``: disk full, file gone, locked for too long, …;
                nothing was stored.
        """
        try:
            with self._engine.connect() as connection:
                with _writing(connection).begin():
                    yield Writing(connection)
        except SQLAlchemyError as error:
            raise Retryable(Reason.DATABASE_UNAVAILABLE, _unavailable(error)) from error

    @contextmanager
    def read(self) -> Iterator[Views]:
        """A consistent snapshot of the stored rows.

        Raises:
            Retryable: ``DatabaseUnavailable``.
        """
        try:
            with self._engine.connect() as connection, connection.begin():
                yield Views(connection)
        except SQLAlchemyError as error:
            raise Retryable(Reason.DATABASE_UNAVAILABLE, _unavailable(error)) from error

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()


def _version(connection: Connection) -> int | None:
    """Return the schema's version; None: the database is new."""
    if not inspect(connection).has_table(schema_version.name):
        return None
    newest: int | None = connection.execute(select(func.max(schema_version.c.version))).scalar()
    return newest


def _writing(connection: Connection) -> Connection:
    """Return the connection for a transaction that holds the write lock from its beginning on."""
    return connection.execution_options(licenseusage_writes=True)


def _engine(url: str) -> Engine:
    try:
        parsed = make_url(url)
        backend = parsed.get_backend_name()
        if backend == "sqlite":
            return _sqlite(parsed)
        if backend == "postgresql":
            return create_engine(
                parsed,
                pool_pre_ping=True,
                isolation_level="READ COMMITTED",
                hide_parameters=True,  # a failure's text must not hold a customer's document
            )
    except (ArgumentError, NoSuchModuleError, ModuleNotFoundError) as error:
        # The address may hold a password: it is not repeated.
        raise Stalled(
            Reason.SETTINGS_INVALID, f"--database-url cannot be used ({type(error).__name__})."
        ) from None
    raise Stalled(
        Reason.SETTINGS_INVALID,
        f"--database-url names {backend!r}; use sqlite:///FILE or postgresql+psycopg://….",
    )


def _sqlite(url: URL) -> Engine:
    if url.database:
        _make_private(Path(url.database))
    engine = create_engine(url, connect_args={"timeout": BUSY_SECONDS}, hide_parameters=True)

    # The driver must not begin transactions by itself: it would begin them without the write lock.
    # https://docs.sqlalchemy.org/en/21/dialects/sqlite.html#pysqlite-serializable
    @event.listens_for(engine, "connect")
    def _connect(connection: object, _: ConnectionPoolEntry) -> None:
        connection.isolation_level = None  # type: ignore[attr-defined]
        cursor = connection.cursor()  # type: ignore[attr-defined]
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
        writes = connection.get_execution_options().get("licenseusage_writes", False)
        connection.execute(text("BEGIN IMMEDIATE" if writes else "BEGIN"))

    return engine


def _make_private(path: Path) -> None:
    """Create the file readable by its owner only: it holds every customer's reports."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError as error:
        raise Retryable(
            Reason.DATABASE_UNAVAILABLE,
            f"The receiver's database {path} cannot be opened ({error.strerror}). "
            "Give --database-url a file in a folder that exists and can be written.",
        ) from None


def _unavailable(error: SQLAlchemyError) -> str:
    # Only the driver's own words: SQLAlchemy's text repeats statements and values.
    seen = getattr(error, "orig", None) or type(error).__name__
    return f"The receiver's database did not store or answer ({seen}). Check disk and database."
