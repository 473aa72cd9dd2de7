"""Connections to SQLite and to PostgreSQL, and how their transactions begin."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Dialect, Engine, create_engine, event, func, select, text
from sqlalchemy.engine import URL
from sqlalchemy.pool import ConnectionPoolEntry

from licenseusage.errors import Retryable, Stalled
from licenseusage.reasons import Reason
from licenseusage.receiver.store.address import DatabaseAddress
from licenseusage.receiver.store.holds import Hold

BUSY_SECONDS = 10
"""How long a transaction waits for another process's lock before it gives up."""
STATEMENT_SECONDS = 20
"""How long a PostgreSQL server may work on one statement: senders give up after 30 s in all."""
IDLE_SECONDS = 60
"""A process that is stopped inside a transaction (SIGSTOP) loses it then, and its locks."""
CONNECTIONS = 12
"""Per process: one for each request at work, and for the check of health."""
POOL_SECONDS = 10
"""How long a request waits for one of them."""
RENEWED_SECONDS = 1800
"""A connection is made anew after so long: with today's credentials, to today's primary."""
_CONNECTING = {
    "connect_timeout": 10,
    # A server whose machine is gone does not even refuse.
    "keepalives_idle": 20,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 1000 * STATEMENT_SECONDS,
    "application_name": "licenseusage-receiver",
}

_HOLD = "licenseusage_hold"


def engine_for(address: DatabaseAddress) -> Engine:
    """Return connections to a database; none is made yet.

    Raises:
        Stalled: ``SettingsInvalid``.
        Retryable: ``DatabaseUnavailable``: the file of SQLite cannot be made.
    """
    url = address.now()
    return _sqlite(url) if url.get_backend_name() == "sqlite" else _postgresql(url, address)


def to_write(connection: Connection, hold: Hold) -> Connection:
    """Return the connection for a transaction that holds ``hold`` from its beginning on.

    On PostgreSQL each statement sees what was committed before it, hence also what the former
    holder of the lock has written.
    """
    return connection.execution_options(**{_HOLD: hold})


def to_read(connection: Connection) -> Connection:
    """Return the connection for a transaction that sees one moment, whatever is written then."""
    if connection.dialect.name == "sqlite":
        return connection
    return connection.execution_options(isolation_level="REPEATABLE READ")


def hold_more(connection: Connection, number: int) -> None:
    """Wait for one more lock within a transaction that writes; see `holds`."""
    if connection.dialect.name != "sqlite":
        connection.execute(select(func.pg_advisory_xact_lock(number)))


def _postgresql(url: URL, address: DatabaseAddress) -> Engine:
    engine = create_engine(
        url,
        isolation_level="READ COMMITTED",
        hide_parameters=True,  # a failure's text must not hold a customer's document
        pool_size=CONNECTIONS,
        max_overflow=0,
        pool_timeout=POOL_SECONDS,
        pool_recycle=RENEWED_SECONDS,
        use_native_hstore=False,  # it would ask the server for a type that we have not
    )

    limits = {  # of a transaction: nothing is said to a session
        "lock_timeout": BUSY_SECONDS,
        "statement_timeout": STATEMENT_SECONDS,
        "idle_in_transaction_session_timeout": IDLE_SECONDS,
    }

    @event.listens_for(engine, "do_connect")
    def _connect(
        dialect: Dialect, _: ConnectionPoolEntry, __: Sequence[str], settings: dict[str, Any]
    ) -> None:
        try:
            current = dialect.create_connect_args(address.now())[1]
        except Stalled as unusable:
            raise Retryable(Reason.DATABASE_UNAVAILABLE, unusable.message) from None
        settings.clear()
        # Behind a pooler the next transaction may be another session's, which knows nothing of
        # statements that were prepared in this one.
        settings.update({**_CONNECTING, **current, "prepare_threshold": None})

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        hold: Hold | None = connection.get_execution_options().get(_HOLD)
        first = [func.set_config(name, f"{most}s", True) for name, most in limits.items()]
        if hold is None:
            first.append(func.set_config("transaction_read_only", "on", True))
        if hold is not None and hold.shared is not None:
            first.append(func.pg_advisory_xact_lock_shared(hold.shared))
        if hold is not None and hold.alone is not None:
            first.append(func.pg_advisory_xact_lock(hold.alone))
        connection.execute(select(*first))

    return engine


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
    def _begin(connection: Connection) -> None:
        writes = _HOLD in connection.get_execution_options()
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
