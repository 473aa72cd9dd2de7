"""A real Redis server for tests: found, started, never left behind."""

from hack.redis.program import find
from hack.redis.server import RedisServer

__all__ = ["RedisServer", "find"]
