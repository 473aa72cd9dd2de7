"""A small product on loopback that keeps the Standard convention, and misbehaves when told to."""

import json
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

TOKEN = "sample-token-9f2c"


def stamp(at_s: float) -> str:
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Product:
    """Users with their last activity (epoch seconds of the simulated clock, or None)."""

    def __init__(self, offset_seconds: int = 0) -> None:
        self.users: dict[str, float | None] = {}
        self.offset = offset_seconds
        self.fault: Callable[[BaseHTTPRequestHandler], bool] | None = None
        self.requests = 0
        product = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def date_time_string(self, timestamp=None):
                return formatdate(time.time() + product.offset, usegmt=True)

            def do_GET(self):
                product.requests += 1
                if product.fault is not None and product.fault(self):
                    return
                if self.headers.get("Authorization") != f"Bearer {TOKEN}":
                    reply(self, 401, b'{"error": "who are you"}')
                    return
                query = parse_qs(urlsplit(self.path).query)
                after = query.get("after", [""])[0]
                limit = int(query.get("limit", ["1000"])[0])
                ids = sorted(user for user in product.users if user > after)
                page = ids[:limit]
                users = [
                    {
                        "id": u,
                        "lastActive": None if product.users[u] is None else stamp(product.users[u]),
                    }
                    for u in page
                ]
                last = page[-1] if len(ids) > limit else None
                reply(self, 200, json.dumps({"users": users, "next": last}).encode())

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_):
                pass

        self._server = Server(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), daemon=True
        )
        self._thread.start()

    def now(self) -> float:
        return time.time() + self.offset

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def reply(handler, status, body, content="application/json", length=None):
    handler.send_response(status)
    handler.send_header("Content-Type", content)
    handler.send_header("Content-Length", str(len(body) if length is None else length))
    handler.end_headers()
    handler.wfile.write(body)


def answers(status: int, body: bytes, content: str = "application/json"):
    """A fault: always this answer."""

    def fault(handler) -> bool:
        reply(handler, status, body, content)
        return True

    return fault


def truncated(handler) -> bool:
    """A fault: the connection ends in the middle of the body."""
    reply(handler, 200, b'{"users": [{"id": "a', length=10_000)
    handler.close_connection = True
    return True


def looping(handler) -> bool:
    """A fault: every page names the same next page."""
    reply(handler, 200, b'{"users": [{"id": "a", "lastActive": null}], "next": "a"}')
    return True


def slow(handler) -> bool:
    """A fault: no answer for longer than any request limit of the tests."""
    time.sleep(20)
    return False


def enormous(handler) -> bool:
    """A fault: more bytes than a poll may read."""
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    part = b" " * 65_000
    try:
        handler.wfile.write(b'b\r\n{"users": [\r\n')
        for _ in range(4000):
            handler.wfile.write(b"%x\r\n%b\r\n" % (len(part), part))
    except OSError:
        pass
    handler.close_connection = True
    return True
