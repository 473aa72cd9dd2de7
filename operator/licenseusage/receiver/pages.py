"""The pages: installations and cycles, one page per chain, the API's reference, error classes."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import HTMLResponse

from licenseusage.clock import Clock
from licenseusage.receiver import documented, pageviews, problems
from licenseusage.receiver.access import Doorkeeper
from licenseusage.receiver.rendering import Pages
from licenseusage.receiver.store import ReceiverDatabase
from licenseusage.reports.refused import MEANING

_CHAIN_ID = re.compile(r"[0-9a-f]{32}")
_SMALL_NUMBER = re.compile(r"[0-9]{1,9}")


def routes(
    store: ReceiverDatabase,
    clock: Clock,
    door: Doorkeeper,
    threads: CapacityLimiter,
    openapi: Callable[[], Mapping[str, Any]],
    show: Pages,
) -> APIRouter:
    """Return the routes of the pages; they read in at most ``threads`` threads."""
    router = APIRouter()

    def now_s() -> int:
        return clock.now_ms() // 1000

    @router.get("/", include_in_schema=False)
    async def installations(request: Request) -> Response:
        def gather() -> pageviews.Overview:
            with store.read() as views:
                return pageviews.overview(views, page=page or 1, now_s=now_s())

        page = _positive(request.query_params.get("page"))
        if refusal := door.refusal(request):
            return show.refusal(refusal)
        contents = await to_thread.run_sync(gather, limiter=threads)
        return show.page("overview.html", overview=contents, now_s=now_s())

    @router.get("/chains/{chain_id}", include_in_schema=False)
    async def chain(request: Request, chain_id: str) -> Response:
        def gather() -> pageviews.ChainPage | None:
            with store.read() as views:
                return pageviews.chain_page(views, chain_id, before=before, now_s=now_s())

        before = _positive(request.query_params.get("before"))
        if refusal := door.refusal(request):
            return show.refusal(refusal)
        known = _CHAIN_ID.fullmatch(chain_id)
        contents = await to_thread.run_sync(gather, limiter=threads) if known else None
        if contents is None:
            return show.page("message.html", 404, title="No such chain", text="Nothing is held.")
        return show.page("chain.html", page=contents, now_s=now_s())

    @router.get("/docs", include_in_schema=False)
    async def docs() -> Response:
        return show.page("docs.html", document=openapi(), classes=problems.CLASSES)

    @router.get(
        "/v1/problems/{error}",
        tags=["protocol"],
        summary="What an error class means",
        response_class=HTMLResponse,
        responses={404: documented.problem("There is no such class.")},
    )
    async def problem(error: str) -> Response:
        """Explain a problem's `type` to people."""
        if error not in problems.CLASSES:
            raise HTTPException(404)
        return show.page(
            "problem.html",
            error=error,
            meaning=problems.CLASSES[error],
            of_document=error in MEANING,
        )

    return router


def _positive(text: str | None) -> int | None:
    """Return a number from a page's address; anything else there is ignored."""
    number = int(text) if text is not None and _SMALL_NUMBER.fullmatch(text) else 0
    return number or None
