"""Serves a listing on two ports: ``python -m bench.server FORM USERS EVERY``; prints them.

The second port serves the later state of the same list. Without ``limit`` an answer has all users;
with it a page, found by ``after`` (the id before it) or ``offset`` (a multiple of the page), that
names the id to go on from.
"""

import asyncio
import json
import sys
from datetime import UTC, datetime
from email.utils import format_datetime
from urllib.parse import parse_qs, urlsplit

from bench.listing import PAGE_ROWS, Form, pages, user_id


class Listing:
    """All answers of one state, rendered before the first request."""

    def __init__(self, form: Form, count: int, active_every: int, *, later: bool) -> None:
        """Render ``count`` users, every so many of them active."""
        self._head = f'{{"{form.items}":['.encode()
        self._later = later
        self._pages = list(pages(form, count, datetime.now(UTC), later=later, every=active_every))

    def answer(self, target: str) -> list[bytes]:
        """Return the parts of an answer, head first; nothing is joined or copied."""
        query = {name: values[-1] for name, values in parse_qs(urlsplit(target).query).items()}
        if "limit" not in query:
            return self._framed(self._pages, b"]}")
        if "after" in query:
            number = (int(query["after"][:8], 16) + 1) // PAGE_ROWS
        else:
            number = int(query.get("offset", 0)) // PAGE_ROWS
        last = number + 1 >= len(self._pages)
        following = user_id((number + 1) * PAGE_ROWS - 1, later=self._later)
        named = json.dumps(None if last else following)
        return self._framed(self._pages[number : number + 1], f'],"next":{named}}}'.encode())

    def _framed(self, chosen: list[bytes], tail: bytes) -> list[bytes]:
        length = len(self._head) + sum(map(len, chosen)) + max(0, len(chosen) - 1) + len(tail)
        head = (
            f"HTTP/1.1 200 OK\r\nDate: {format_datetime(datetime.now(UTC), usegmt=True)}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
        )
        parts = [head.encode() + self._head]
        for number, page in enumerate(chosen):
            parts += [b",", page] if number else [page]
        return [*parts, tail]


async def serve(form: Form, count: int, active_every: int) -> None:
    """Serve until the process is ended."""
    ports = [
        await _port(Listing(form, count, active_every, later=later)) for later in (False, True)
    ]
    print(*ports, flush=True)
    await asyncio.Event().wait()


async def _port(listing: Listing) -> int:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while request := await reader.readuntil(b"\r\n\r\n"):
                for part in listing.answer(request.split(b" ", 2)[1].decode()):
                    writer.write(part)
                    await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port: int = server.sockets[0].getsockname()[1]
    return port


if __name__ == "__main__":
    asyncio.run(serve(Form(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
