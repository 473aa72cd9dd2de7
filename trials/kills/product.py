"""Small products on loopback that keep the Standard convention, on a clock that can be moved."""

import json
import threading
import time
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Final, Self
from urllib.parse import parse_qs, urlsplit

from trials.kills.people import People

TOKEN: Final = "token-of-the-meter"  # noqa: S105 - of a product that exists for minutes


class Clock:
    """The machine's clock, shifted; the operator's is shifted alike for as long as it lives."""

    def __init__(self) -> None:
        """Not shifted yet."""
        self.offset = 0

    def now(self) -> float:
        """Return epoch seconds."""
        return time.time() + self.offset


class Product(AbstractContextManager["Product"]):
    """One product: its people, and a server of its own.

    Attributes:
        port: Where it listens, on 127.0.0.1.
        down: Whether it answers 503 to everybody.
    """

    def __init__(self, people: People, clock: Clock) -> None:
        """Listen at once."""
        self.people, self.clock, self.down = people, clock, False
        product = self

        class Handler(_Handler):
            served = product

        self._server = _Server(("127.0.0.1", 0), Handler)
        self.port = int(self._server.server_address[1])
        thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        thread.start()

    def __enter__(self) -> Self:
        """It listens already."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()

    def page(self, after: str, limit: int) -> dict[str, object]:
        """Return one page of the list of users."""
        shown = [
            person for person in self.people.listed(int(self.clock.now())) if person[0] > after
        ]
        page = shown[:limit]
        return {
            "users": [{"id": name, "lastActive": _rfc3339(at)} for name, at in page],
            "next": page[-1][0] if len(shown) > limit else None,
        }


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    served: Product

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def date_time_string(self, timestamp: float | None = None) -> str:
        """The product's own time, as its stamps."""
        return formatdate(self.served.clock.now() if timestamp is None else timestamp, usegmt=True)

    def do_GET(self) -> None:
        if self.served.down:
            self._answer(503, {"error": "being restarted"})
        elif self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self._answer(401, {"error": "who are you"})
        else:
            query = parse_qs(urlsplit(self.path).query)
            after, limit = query.get("after", [""])[0], int(query.get("limit", ["1000"])[0])
            self._answer(200, self.served.page(after, limit))

    def _answer(self, status: int, document: dict[str, object]) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: clients of this server are killed for a living."""


def _rfc3339(at: int | None) -> str | None:
    return None if at is None else datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
