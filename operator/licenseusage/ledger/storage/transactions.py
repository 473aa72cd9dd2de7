"""Transactions of the open ledger, and how a function of a transaction becomes a method of it.

The ledger's work is written as functions whose first argument is the connection of an open
transaction, so that one may call another within the same transaction. `reads` and `writes` make a
method of such a function: its signature and its docstring stand once, with the function.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from inspect import signature
from typing import Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection, bindparam, update

from licenseusage.ledger.storage.database import Database
from licenseusage.ledger.storage.schema import ledger

_RAISE = (
    update(ledger)
    .where(ledger.c.clock_high_water_ms < bindparam("now_ms"))
    .values(clock_high_water_ms=bindparam("now_ms"))
)

P = ParamSpec("P")
R = TypeVar("R")


class Transactions:
    """The open file: reads are snapshots, writes are transactions, both one at a time.

    Any thread may call. Every call raises ``Retryable`` (``LedgerDiskFull``, ``LedgerReadOnly``, or
    for an I/O error ``LedgerUnavailable``) or ``Stalled`` (``LedgerCorrupt``) and then has changed
    nothing; after a ``Retryable`` the next call may succeed.
    """

    def __init__(self, database: Database) -> None:
        """Serve an open file."""
        self._database = database
        self._one_at_a_time = threading.RLock()

    @contextmanager
    def _write(self, now_ms: int) -> Iterator[Connection]:
        """Begin a transaction, which also makes ``now_ms`` durable."""
        with (
            self._one_at_a_time,
            self._database.errors(),
            self._database.engine.begin() as connection,
        ):
            yield connection
            raise_high_water(connection, now_ms)

    @contextmanager
    def _read(self) -> Iterator[Connection]:
        """Begin a snapshot."""
        with (
            self._one_at_a_time,
            self._database.errors(),
            self._database.engine.connect() as connection,
        ):
            yield connection


def reads(
    function: Callable[Concatenate[Connection, P], R],
) -> Callable[Concatenate[Transactions, P], R]:
    """Return the method that calls ``function`` with a snapshot."""

    @wraps(function)
    def method(self: Transactions, /, *args: P.args, **kwargs: P.kwargs) -> R:
        with self._read() as connection:
            return function(connection, *args, **kwargs)

    return method


def writes(
    function: Callable[Concatenate[Connection, P], R],
) -> Callable[Concatenate[Transactions, P], R]:
    """Return the method that calls ``function`` with a transaction.

    Args:
        function: Has a parameter ``now_ms``: the time, which the transaction makes durable.
    """
    position = [*signature(function).parameters].index("now_ms") - 1  # after the connection

    @wraps(function)
    def method(self: Transactions, /, *args: P.args, **kwargs: P.kwargs) -> R:
        now_ms = kwargs["now_ms"] if "now_ms" in kwargs else args[position]
        assert isinstance(now_ms, int)  # noqa: S101 - for the type checker: `function` says so
        with self._write(now_ms) as connection:
            return function(connection, *args, **kwargs)

    return method


def raise_high_water(connection: Connection, now_ms: int) -> None:
    """Remember ``now_ms`` as durable, unless a later time is."""
    connection.execute(_RAISE, {"now_ms": now_ms})
