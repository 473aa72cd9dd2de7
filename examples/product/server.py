"""The product's HTTP server; ``active_users`` is all that metering asks of it.

``GET /.well-known/active-users?after=<id>&limit=<n>`` answers, to whoever holds the bearer token::

    {"users": [{"id": "…", "lastActive": "2026-11-22T10:00:00Z"}, {"id": "…", "lastActive": null}],
     "next": "<the last id of this page>"}            # null on the last page

Ids ascend by code point, every account is listed (also the deactivated), and the ``Date`` header
tells the clock that the stamps were made with. Nobody is removed before the cycle in which she was
active has been closed. That is the preset ``Standard``.
"""

import hmac
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from email.utils import formatdate

from aiohttp import web

from examples.product.store import Store
from licenseusage.clock import Clock

PAGE_LIMIT = 1000
"""The largest page, in users; also the size of a page if none is asked for."""

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def application(store: Store, clock: Clock, token: str) -> web.Application:
    """Return the server's routes.

    Args:
        store: The database, shared with the other replicas.
        clock: Makes the stamps and the ``Date`` header.
        token: The bearer token that the list of users asks for; not empty.
    """
    if not token:
        raise ValueError("the bearer token is empty: everybody would be let in")

    async def active_users(request: web.Request) -> web.Response:
        offered = request.headers.get("Authorization", "")
        if not hmac.compare_digest(offered.encode(), f"Bearer {token}".encode()):
            return web.Response(status=401, headers={"WWW-Authenticate": "Bearer"})
        limit = _limit(request.query.get("limit"))
        # One row more than the page holds tells whether another page follows.
        rows = store.page(request.query.get("after", ""), limit + 1)
        page = rows[:limit]
        return _json(
            {
                "users": [{"id": user, "lastActive": _rfc3339(at)} for user, at in page],
                "next": page[-1][0] if len(rows) > limit else None,
            }
        )

    async def login(request: web.Request) -> web.Response:
        """Sign in (the sample knows no passwords); answers the stamp that was recorded."""
        try:
            user = (await request.json())["user"]
        except (ValueError, TypeError, KeyError):
            raise web.HTTPBadRequest(text='expected {"user": "<id>"}\n') from None
        now = clock.now_ms() // 1000
        if not isinstance(user, str) or not store.record_activity(user, now):
            return web.Response(status=403)
        return _json({"user": user, "lastActive": _rfc3339(now)})

    async def health(_: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    @web.middleware
    async def date(request: web.Request, handler: _Handler) -> web.StreamResponse:
        try:
            response = await handler(request)
        except web.HTTPException as error:
            error.headers["Date"] = formatdate(clock.now_ms() // 1000, usegmt=True)
            raise
        response.headers["Date"] = formatdate(clock.now_ms() // 1000, usegmt=True)
        return response

    app = web.Application(middlewares=[date])
    app.router.add_get("/.well-known/active-users", active_users)
    app.router.add_post("/login", login)
    app.router.add_get("/healthz", health)
    return app


def _limit(text: str | None) -> int:
    """Return the page size asked for, at most ``PAGE_LIMIT``; anything but 1, 2, … is a 400."""
    if text is None:
        return PAGE_LIMIT
    if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text) > 0):
        raise web.HTTPBadRequest(text="limit must be a whole number of 1 or more\n")
    return min(int(text), PAGE_LIMIT)


def _rfc3339(at: int | None) -> str | None:
    return None if at is None else datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _json(document: object) -> web.Response:
    body = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
    return web.Response(body=body, content_type="application/json")
