"""Serves a rendered listing on a free port: ``python -m bench.server USERS``; prints the port.

``/users`` answers with all users at once; with ``limit`` it answers with a page, found by ``after``
(the id before it) or ``offset`` (a multiple of the page), and names the id to go on from.
"""

import asyncio
import json
import sys
from datetime import UTC, datetime
from email.utils import format_datetime
from urllib.parse import parse_qs, urlsplit

from bench.listing import PAGE_ROWS, pages, user_id

_HEAD, _TAIL = b'{"value":[', b'],"next":%b}'


class Listing:
    """All answers, rendered before the first request."""

    def __init__(self, count: int) -> None:
        """Render ``count`` users."""
        self._count = count
        self._pages = list(pages(count, datetime.now(UTC)))

    def answer(self, target: str) -> list[bytes]:
        """Return the parts of an answer, head first; nothing is joined or copied."""
        query = {name: values[-1] for name, values in parse_qs(urlsplit(target).query).items()}
        if "limit" not in query:
            return self._framed(self._pages, following=None)
        if "after" in query:
            number = (int(query["after"][:8], 16) + 1) // PAGE_ROWS
        else:
            number = int(query.get("offset", 0)) // PAGE_ROWS
        last = number + 1 >= len(self._pages)
        following = None if last else user_id((number + 1) * PAGE_ROWS - 1)
        return self._framed(self._pages[number : number + 1], following)

    @staticmethod
    def _framed(chosen: list[bytes], following: str | None) -> list[bytes]:
        tail = _TAIL % json.dumps(following).encode()
        length = len(_HEAD) + sum(map(len, chosen)) + max(0, len(chosen) - 1) + len(tail)
        head = (
            f"HTTP/1.1 200 OK\r\nDate: {format_datetime(datetime.now(UTC), usegmt=True)}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
        )
        parts = [head.encode() + _HEAD]
        for number, page in enumerate(chosen):
            parts += [b",", page] if number else [page]
        return [*parts, tail]


async def serve(count: int) -> None:
    """Serve until the process is ended."""
    listing = Listing(count)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while request := await reader.readuntil(b"\r\n\r\n"):
                for part in listing.answer(request.split(b" ", 2)[1].decode()):
                    writer.write(part)
                    await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
