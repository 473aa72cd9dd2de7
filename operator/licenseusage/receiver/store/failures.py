"""What a failure of the database means: whether it passes, and what people are told.

The codes are PostgreSQL's: https://www.postgresql.org/docs/current/errcodes-appendix.html
"""

from collections.abc import Mapping

from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from licenseusage.errors import Retryable
from licenseusage.reasons import Reason

_AGAIN = {"40001", "40P01"}
"""Serialisation failure and deadlock: the transaction did nothing, and may well do it next time."""
_READ_ONLY = "25006"
_GRANT = (
    "Make the user owner of the database (CREATE DATABASE … OWNER …), or GRANT it CREATE and USAGE "
    "on the schema public and all rights on its tables."
)
_FIXES: Mapping[str, str] = {
    "28P01": "Correct user and password in --database-url, or the file that holds them.",
    "28000": "Correct user and password in --database-url, or the server's pg_hba.conf.",
    "3D000": "Create the database, or correct its name in --database-url.",
    "42501": _GRANT,
    _READ_ONLY: "Let --database-url name the primary: a standby, or a database that is set to "
    "read-only, stores nothing.",
    "53100": "Give the database server more disk.",
    "53300": "Raise the server's max_connections, or put a pooler before it.",
    "55P03": "Another process holds the lock: look into pg_stat_activity on the server.",
    "57014": "The server is too slow or too busy: look into its load, its disk and its locks.",
}
_SAID: Mapping[str, str] = {
    # Where a connection fails there is no code, but what libpq says.
    "certificate": "The server's certificate does not fit: correct sslrootcert (PGSSLROOTCERT), or "
    "the host in --database-url.",
    "SSL": "Correct sslmode (PGSSLMODE), or the server's TLS.",
    "password authentication failed": _FIXES["28P01"],
    "no password supplied": _FIXES["28P01"],
    "pg_hba.conf": _FIXES["28000"],
    "too many": _FIXES["53300"],
    "disk": "Give the database more disk.",
}
_CHECK = "Check disk and database."
_VALUES = ("22", "23")
"""Classes of codes whose texts repeat what was to be stored."""


def passes(error: SQLAlchemyError) -> bool:
    """Whether the transaction should be tried again at once: it lost its connection or a race."""
    if not isinstance(error, DBAPIError):
        return False
    return error.connection_invalidated or code_of(error) in _AGAIN


def stale(error: SQLAlchemyError) -> bool:
    """Whether the connections should be made anew: they reach a server that writes nothing."""
    return code_of(error) == _READ_ONLY


def code_of(error: SQLAlchemyError) -> str:
    """Return PostgreSQL's code of five characters; empty: it gave none."""
    return getattr(getattr(error, "orig", None), "sqlstate", None) or ""


def unavailable(error: SQLAlchemyError, url: URL) -> Retryable:
    """Return what the caller raises: which database, what was seen, and what helps."""
    seen = _seen(error)
    fix = _FIXES.get(code_of(error)) or next(
        (fix for words, fix in _SAID.items() if words in seen), _CHECK
    )
    return Retryable(
        Reason.DATABASE_UNAVAILABLE,
        f"The receiver's database {_named(url)} did not store or answer ({seen}). {fix}",
    )


def _seen(error: SQLAlchemyError) -> str:
    """Return the driver's own words: SQLAlchemy's text repeats statements and values."""
    original, code = getattr(error, "orig", None), code_of(error)
    if original is None:
        return type(error).__name__
    diagnosed = getattr(original, "diag", None)  # psycopg's; sqlite3 has none
    if diagnosed is not None and code.startswith(_VALUES):
        return f"{type(original).__name__} {code} {diagnosed.constraint_name or ''}".strip()
    # Only the first line of the server's: further ones repeat values, too.
    words = None if diagnosed is None else diagnosed.message_primary
    return " ".join(str(words or original).split())


def _named(url: URL) -> str:
    if url.host is None:
        return str(url.database)
    port = "" if url.port is None else f":{url.port}"
    return f"{url.database or url.username} at {url.host}{port}"
