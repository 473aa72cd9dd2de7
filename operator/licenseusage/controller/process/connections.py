"""Bounds of the intake's connections: nobody keeps others, or the operator, from being served.

aiohttp bounds neither how many connections there are nor how long a request may take to arrive.
Here a protocol stands before each of its own: it counts connections by address, and ends those on
which no request was answered for a while.
"""

import asyncio
from collections import Counter
from typing import Any
from weakref import WeakKeyDictionary

from aiohttp import web

MOST = 512
MOST_OF_ONE_ADDRESS = 64
QUIET_SECONDS = 60.0
"""Longer than a request may take to arrive, to be recorded and to be answered."""


class Connections:
    """Makes the protocol of each connection."""

    def __init__(self, server: web.Server) -> None:
        """Serve with ``server``."""
        self._server = server
        self.of_address: Counter[str] = Counter()
        self.bounded: WeakKeyDictionary[asyncio.BaseTransport, _Bounded] = WeakKeyDictionary()

    def __call__(self) -> asyncio.Protocol:
        """Return the protocol of a new connection."""
        return _Bounded(self, self._server)

    def answered(self, transport: asyncio.BaseTransport | None) -> None:
        """Note that a request was answered: the next one has its time again."""
        bounded = None if transport is None else self.bounded.get(transport)
        if bounded is not None:
            bounded.wait()


class _Bounded(asyncio.Protocol):
    """A connection within the bounds; everything else is the server's."""

    def __init__(self, connections: Connections, server: web.Server) -> None:
        self._connections, self._server = connections, server
        self._inner: Any = None  # aiohttp's protocol; None: refused
        self._address = ""
        self._transport: asyncio.Transport | None = None
        self._quiet: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection, or end it at once."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - TCP or TLS
        peer = transport.get_extra_info("peername")
        self._address = str(peer[0]) if peer else ""
        counts = self._connections.of_address
        if counts.total() >= MOST or counts[self._address] >= MOST_OF_ONE_ADDRESS:
            transport.abort()
            return
        counts[self._address] += 1
        self._transport, self._inner = transport, self._server()
        self._connections.bounded[transport] = self
        self.wait()
        self._inner.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        """Pass it on."""
        if self._inner is not None:
            self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        """Pass it on."""
        return None if self._inner is None else self._inner.eof_received()

    def pause_writing(self) -> None:
        """Pass it on."""
        if self._inner is not None:
            self._inner.pause_writing()

    def resume_writing(self) -> None:
        """Pass it on."""
        if self._inner is not None:
            self._inner.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        if self._quiet is not None:
            self._quiet.cancel()
        if self._inner is None:
            return
        counts = self._connections.of_address
        counts[self._address] -= 1
        if counts[self._address] <= 0:
            del counts[self._address]
        self._inner.connection_lost(exc)

    def wait(self) -> None:
        """Give the next request its time."""
        if self._quiet is not None:
            self._quiet.cancel()
        assert self._transport is not None  # noqa: S101 - since connection_made
        loop = asyncio.get_running_loop()
        self._quiet = loop.call_later(QUIET_SECONDS, self._transport.abort)
