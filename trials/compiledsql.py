"""Statements are compiled once for all ledgers that a process opens.

SQLAlchemy keeps what it has compiled per engine. The operator opens one ledger; tests and simulated
histories open thousands, and half of their processor time was the compilation of the same
statements.
"""

from sqlalchemy import Connection, Engine, event, util
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite

_STATEMENTS = 2000
"""How many are kept; the operator and the receiver have some hundreds."""

_compiled: util.LRUCache[object, object] = util.LRUCache(_STATEMENTS)


def share_compiled_sql() -> None:
    """From now on, all SQLite engines of this process share one cache; again is harmless."""
    if event.contains(Engine, "engine_connect", _share):
        return
    # A cached statement is found by its dialect, too: those of SQLite are all alike here.
    setattr(SQLiteDialect_pysqlite, "__eq__", lambda left, right: type(left) is type(right))  # noqa: B010
    setattr(SQLiteDialect_pysqlite, "__hash__", lambda dialect: hash(type(dialect)))  # noqa: B010
    event.listen(Engine, "engine_connect", _share)


def _share(connection: Connection) -> None:
    connection.execution_options(compiled_cache=_compiled)
