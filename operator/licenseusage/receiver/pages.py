"""The pages: installations and cycles, one page per chain, the API's reference, error classes.

HTML by Jinja2 with autoescape, no script and nothing loaded from anywhere: the policy sent with
each page allows the one inline style sheet, by its digest, and nothing else.
"""

import hashlib
import re
from base64 import b64encode
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any

from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

import licenseusage
from licenseusage.clock import Clock
from licenseusage.reasons.book import meaning
from licenseusage.receiver import documented, pageviews, problems
from licenseusage.receiver.access import Doorkeeper, Refusal
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
) -> APIRouter:
    """Return the routes of the pages; they read in at most ``threads`` threads."""
    router = APIRouter()
    show = _Pages()

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


class _Pages:
    """The templates, and the policy that fits them."""

    def __init__(self) -> None:
        style = files("licenseusage.receiver").joinpath("templates/style.css").read_text("utf-8")
        digest = b64encode(hashlib.sha256(style.encode()).digest()).decode()
        self._policy = (
            f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; "
            "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )
        self._templates = Environment(
            loader=PackageLoader("licenseusage.receiver"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.globals.update(
            style=Markup(style),  # noqa: S704 - our own file, not input
            version=licenseusage.__version__,
            meaning=meaning,
        )
        self._templates.filters.update(
            minute=_minute,
            day=_day,
            age=_age,
            grouped="{:,}".format,
            short=_short,
            code=_code,
        )

    def page(self, name: str, status: int = 200, **context: object) -> HTMLResponse:
        """Return a page."""
        text = self._templates.get_template(name).render(context)
        return HTMLResponse(text, status, headers={"content-security-policy": self._policy})

    def refusal(self, refusal: Refusal) -> HTMLResponse:
        """Return the answer to a visitor who may not see a page."""
        response = self.page("message.html", refusal.status, title=refusal.title, text=refusal.text)
        response.headers.update(refusal.headers)
        return response


def _positive(text: str | None) -> int | None:
    """Return a number from a page's address; anything else there is ignored."""
    number = int(text) if text is not None and _SMALL_NUMBER.fullmatch(text) else 0
    return number or None


def _minute(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _day(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d")


def _age(then_s: int, now_s: int) -> str:
    """Return a span as people say it; the future (clocks differ) is now."""
    seconds = max(0, now_s - then_s)
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit} ago"
    return "just now"


def _short(name: str) -> str:
    """Return the telling part of a digest, thumbprint URI or chain id."""
    return name.rsplit(":", 1)[-1][:12]


def _code(text: str) -> Markup:
    """Return text with its `quoted` parts set as code; everything else is escaped."""
    parts = enumerate(text.split("`"))
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if number % 2 else part for number, part in parts
    )
