"""``python -m hack.redis``: look for a Redis server for the tests."""

import sys

from hack.programs import prepare
from hack.redis.program import find

if __name__ == "__main__":
    sys.exit(prepare("redis-server", find))
