"""A real NATS server with JetStream for tests: found or built, started, never left behind."""

from hack.nats.program import find
from hack.nats.server import NatsServer

__all__ = ["NatsServer", "find"]
