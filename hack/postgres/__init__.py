"""A real PostgreSQL server and a real PgBouncer for tests: found, started, never left behind."""

from hack.postgres.pooler import PgBouncerServer
from hack.postgres.program import find, find_pooler
from hack.postgres.server import PostgresServer

__all__ = ["PgBouncerServer", "PostgresServer", "find", "find_pooler"]
