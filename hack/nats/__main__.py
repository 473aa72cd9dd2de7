"""``python -m hack.nats``: have a NATS server for the tests, built the first time."""

import sys

from hack.nats.program import find
from hack.programs import prepare

if __name__ == "__main__":
    sys.exit(prepare("nats-server", find))
