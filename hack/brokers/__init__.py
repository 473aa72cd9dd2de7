"""What the real servers of event logs have in common: a process on loopback, found or left out."""

from hack.brokers.server import NOBODY, Server

__all__ = ["NOBODY", "Server"]
