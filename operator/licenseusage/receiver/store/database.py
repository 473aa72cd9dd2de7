"""Opening the database, and its two kinds of transaction."""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from sqlalchemy import Connection, Engine, func, insert, inspect, select
from sqlalchemy.exc import SQLAlchemyError

from licenseusage.errors import Retryable, Stalled, UsageError
from licenseusage.reasons import Reason
from licenseusage.receiver.store.address import DatabaseAddress
from licenseusage.receiver.store.engines import engine_for, to_read, to_write
from licenseusage.receiver.store.failures import passes, stale, unavailable
from licenseusage.receiver.store.holds import Hold
from licenseusage.receiver.store.schema import SCHEMA_VERSION, metadata, schema_version
from licenseusage.receiver.store.upgrading import OLDEST, upgrade
from licenseusage.receiver.store.views import Views
from licenseusage.receiver.store.writing import Writing

Result = TypeVar("Result")

_WAITS_SECONDS = (0.02, 0.1, 0.5)
"""The longest waits before a transaction is tried again: so that two do not meet again."""


class ReceiverDatabase:
    """The receiver's database; may be used from several threads, and by several processes.

    A write is one transaction that holds the database's (SQLite) or the chain's (PostgreSQL) lock
    from its first read on: what was read is still true when it commits (REPORT_FORMAT §12).
    """

    def __init__(
        self, engine: Engine, address: DatabaseAddress, wait: Callable[[float], None]
    ) -> None:
        """Use ``open`` instead, which checks the schema."""
        self._engine = engine
        self._address = address
        self._wait = wait

    @classmethod
    def open(
        cls,
        address: str | DatabaseAddress,
        *,
        jitter: Callable[[], float] = random.random,
        sleep: Callable[[float], None] = time.sleep,
    ) -> "ReceiverDatabase":
        """Open ``sqlite:///FILE`` or ``postgresql://…``; tables are made if absent.

        Args:
            address: Where it is; as text it never changes.
            jitter: A number from 0 to 1: which part of a wait is waited before another attempt.
            sleep: Waits for seconds.

        Raises:
            Stalled: ``SettingsInvalid``: the address is not one of a database this build can use;
                ``SchemaUnsupported``: the tables were made by another version.
            Retryable: ``DatabaseUnavailable``: it does not answer, or its file cannot be written.
        """
        if isinstance(address, str):
            address = DatabaseAddress(address)
        database = cls(engine_for(address), address, lambda longest: sleep(longest * jitter()))
        try:
            with database._failures():
                version = database._attempts(database._ready)
            database._check(version, Stalled)
        except BaseException:
            database.close()
            raise
        return database

    def write(self, work: Callable[[Writing], Result], hold: Hold) -> Result:
        """Do ``work`` in one transaction that commits at its end, or not at all; return its result.

        It is done again, from its beginning, where the transaction lost its connection or a race:
        also after a commit whose outcome is unknown. So it must change nothing but the database,
        and find out for itself what is there already.

        Args:
            work: Gets the transaction.
            hold: What nobody else changes meanwhile.

        Raises:
            Retryable: ``DatabaseUnavailable``: disk full, file gone, locked for too long, …;
                nothing was stored, unless the connection was lost right after the commit.
                ``SchemaUnsupported``: a later version has changed the tables since this one began.
        """

        def once() -> Result:
            with self._engine.connect() as connection, to_write(connection, hold).begin():
                self._check(_version(connection), Retryable)
                return work(Writing(connection))

        with self._failures():
            return self._attempts(once)

    @contextmanager
    def read(self) -> Iterator[Views]:
        """A consistent snapshot of the stored rows.

        Raises:
            Retryable: ``DatabaseUnavailable``.
        """
        with self._failures(), self._attempts(self._began) as connection:
            yield Views(connection)

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    def _began(self) -> Connection:
        """Return a connection within a transaction: one from the pool may have been lost."""
        connection = self._engine.connect()
        try:
            to_read(connection).begin()
        except BaseException:
            connection.close()
            raise
        return connection

    def _attempts(self, work: Callable[[], Result]) -> Result:
        for longest in _WAITS_SECONDS:
            try:
                return work()
            except SQLAlchemyError as error:
                if stale(error):
                    self._engine.dispose()
                elif not passes(error):
                    raise
            self._wait(longest)
        return work()

    @contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except SQLAlchemyError as error:
            # Without the driver's error as its cause: its text may repeat what was to be stored.
            raise unavailable(error, self._engine.url) from None

    def _ready(self) -> int:
        """Make the tables, or lead them on; return their version."""
        with self._engine.connect() as connection, to_write(connection, Hold.schema()).begin():
            if not inspect(connection).has_table(schema_version.name):
                metadata.create_all(connection)
                connection.execute(insert(schema_version).values(version=SCHEMA_VERSION))
            version = _version(connection)
            if OLDEST <= version < SCHEMA_VERSION:
                metadata.create_all(connection)
                upgrade(connection, version)
                return SCHEMA_VERSION
            return version

    def _check(self, version: int, error: type[UsageError]) -> None:
        if version != SCHEMA_VERSION:
            raise error(
                Reason.SCHEMA_UNSUPPORTED,
                f"The receiver's database has schema version {version}, this build reads "
                f"{SCHEMA_VERSION}. Run the build that wrote it, or give another --database-url.",
            )


def _version(connection: Connection) -> int:
    """Return the schema's version; 0: it has none."""
    newest: int | None = connection.execute(select(func.max(schema_version.c.version))).scalar()
    return newest or 0
