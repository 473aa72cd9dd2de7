"""The product's database: who has an account, and when each was last active.

One SQLite file stands for the database that the replicas of a real product share. Only one rule
matters for metering: recording an activity overwrites the last one and never goes back in time.
"""

import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

_SCHEMA = """
CREATE TABLE IF NOT EXISTS users (
    id TEXT PRIMARY KEY COLLATE BINARY NOT NULL CHECK (id <> ''),
    last_active INTEGER,                          -- seconds since 1970-01-01T00:00:00Z; NULL: never
    deactivated INTEGER NOT NULL DEFAULT 0        -- may not sign in, stays listed
) STRICT, WITHOUT ROWID
"""


class User(NamedTuple):
    """One account.

    Attributes:
        id: Never empty, never given to somebody else later.
        last_active: Whole seconds since 1970-01-01T00:00:00Z; ``None`` if never active.
        deactivated: Whether an administrator has switched the account off.
    """

    id: str
    last_active: int | None = None
    deactivated: bool = False


class Store:
    """The accounts in one SQLite file, shared by any number of processes on one machine."""

    def __init__(self, path: Path) -> None:
        """Open the file at ``path``; it and its table are made if absent."""
        # Autocommit: each statement below is a transaction of its own.
        self._db = sqlite3.connect(path, isolation_level=None, timeout=10)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.execute(_SCHEMA)

    def close(self) -> None:
        """Release the file."""
        self._db.close()

    def add(self, users: Iterable[User]) -> None:
        """Add accounts in one transaction; an id that exists is an ``sqlite3.IntegrityError``."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            self._db.executemany("INSERT INTO users VALUES (?, ?, ?)", users)
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def record_activity(self, user_id: str, at: int) -> bool:
        """Note that ``user_id`` was active at ``at`` (seconds); ``False`` if she may not sign in.

        Replicas may write out of order: the latest activity wins, whoever writes last.
        """
        changed = self._db.execute(
            "UPDATE users SET last_active = max(coalesce(last_active, 0), ?)"
            " WHERE id = ? AND NOT deactivated",
            (at, user_id),
        )
        return changed.rowcount == 1

    def page(self, after: str, limit: int) -> list[tuple[str, int | None]]:
        """Return at most ``limit`` pairs of id and last activity, ids strictly after ``after``.

        SQLite compares text as UTF-8 octets, and that is the order of code points. Deactivated
        accounts are listed as well: whoever is switched off today was active yesterday.
        """
        rows = self._db.execute(
            "SELECT id, last_active FROM users WHERE id > ? ORDER BY id LIMIT ?", (after, limit)
        )
        return rows.fetchall()
