"""The server's connections: how long one may say nothing, and how many one client may hold.

A *waiting* connection has no request under way: its request's head has not arrived yet, or its last
answer is complete. It is closed after ``HEAD_SECONDS``, and earlier if its place is needed: when
there are too many connections, one that waits makes room, the longest waiting one of the client
that holds most. So connections that say nothing cost nobody else an answer.
"""

import asyncio
import resource
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, ClassVar

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_SECONDS = 10.0
"""From the connection, or the last answer, to a request's complete head; also for a handshake."""


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """How many connections there may be.

    Attributes:
        together: Of all clients.
        client: Of one address.
        head_seconds: See ``HEAD_SECONDS``.
    """

    together: int
    client: int
    head_seconds: float = HEAD_SECONDS


class Connection(H11Protocol):
    """One client's connection, within limits."""

    limits: ClassVar[ConnectionLimits]

    @classmethod
    def within(cls, limits: ConnectionLimits) -> type["Connection"]:
        """Return the class for a server with these limits."""
        return type("LimitedConnection", (cls,), {"limits": limits})

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a head; make room before, if there are too many."""
        self._deadline: asyncio.TimerHandle | None = None
        self.waiting_since = self.loop.time()
        super().connection_made(transport)
        mine = [connection for connection in self._others() if connection.address == self.address]
        if len(mine) >= self.limits.client and not _make_room(mine):
            self._drop()
            return
        if len(self.connections) >= self.limits.together:
            counts = Counter(connection.address for connection in self._others())
            most = max(counts.values(), default=0)
            _make_room(
                [connection for connection in self._others() if counts[connection.address] == most]
            ) or _make_room(self._others())
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._stop_waiting()
        super().connection_lost(exc)

    def handle_events(self) -> None:
        """Take the data that arrived; an incomplete request is not waited for any longer."""
        before = self.cycle
        super().handle_events()
        if self.cycle is not before:
            self._stop_waiting()
            if self.waiting:  # it has been answered within this very call
                self._await_head()

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        super().on_response_complete()
        if self.waiting and not self.transport.is_closing():
            self._await_head()

    def send_400_response(self, msg: str) -> None:
        """Refuse data that is not HTTP; an interrupted request is not answered a second time."""
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            super().send_400_response(msg)
        else:
            self.transport.close()

    @property
    def address(self) -> str:
        """The client's address, without its port."""
        return self.client[0] if self.client else ""

    @property
    def waiting(self) -> bool:
        """Whether no request is under way."""
        return self.cycle is None or self.cycle.response_complete

    def _others(self) -> list["Connection"]:
        return [
            connection
            for connection in self.connections
            if isinstance(connection, Connection) and connection is not self
        ]

    def _await_head(self) -> None:
        self._stop_waiting()
        self.waiting_since = self.loop.time()
        self._deadline = self.loop.call_later(self.limits.head_seconds, self._drop)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _drop(self) -> None:
        """Close the connection at once, without waiting for an idle client to agree."""
        self._stop_waiting()
        self.connections.discard(self)
        if not self.transport.is_closing():
            self.transport.abort()

    def _unsupported_upgrade_warning(self) -> None:
        """Say nothing: who asks for another protocol is answered in this one."""


def _make_room(among: list[Connection]) -> bool:
    """Drop the longest waiting one; False: none of them waits."""
    waiting = [connection for connection in among if connection.waiting]
    if not waiting:
        return False
    min(waiting, key=lambda connection: connection.waiting_since)._drop()
    return True


class Loop(asyncio.SelectorEventLoop):
    """An event loop whose servers give up on handshakes in time as well."""

    async def create_server(self, *arguments: Any, **more: Any) -> asyncio.Server:  # noqa: ANN401 - those of the loop
        """Make a server; see ``asyncio.loop.create_server``."""
        if more.get("ssl") is not None:
            more |= {"ssl_handshake_timeout": HEAD_SECONDS, "ssl_shutdown_timeout": HEAD_SECONDS}
        return await super().create_server(*arguments, **more)


def allow_open_files() -> None:
    """Raise the limit of open files as far as the system lets us: handshakes need places too."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
