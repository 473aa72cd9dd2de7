"""Rendering the pages: templates, filters, and the policy that fits them.

HTML by Jinja2 with autoescape, no script and nothing loaded from anywhere: the policy sent with
each page allows the one inline style sheet, by its digest, and nothing else. A page with a form
allows that its form is sent to this receiver.
"""

import hashlib
from base64 import b64encode
from datetime import UTC, datetime
from importlib.resources import files

from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

import licenseusage
from licenseusage.reasons.book import meaning
from licenseusage.receiver.access import Refusal


class Pages:
    """The templates, and the policy that fits them."""

    def __init__(self) -> None:
        """Read the templates."""
        style = files("licenseusage.receiver").joinpath("templates/style.css").read_text("utf-8")
        digest = b64encode(hashlib.sha256(style.encode()).digest()).decode()
        self._policy = (
            f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; "
            "base-uri 'none'; form-action {}; frame-ancestors 'none'"
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
        return HTMLResponse(
            text, status, headers={"content-security-policy": self._policy.format("'none'")}
        )

    def form(self, name: str, status: int = 200, **context: object) -> HTMLResponse:
        """Return a page with a form, which may be sent to this receiver and nowhere else.

        The browser names the page's origin with it, so that a form of another site can be told
        from ours (``access.cross_site``); to other sites it names nothing.
        """
        response = self.page(name, status, **context)
        response.headers["content-security-policy"] = self._policy.format("'self'")
        response.headers["referrer-policy"] = "same-origin"
        return response

    def refusal(self, refusal: Refusal) -> HTMLResponse:
        """Return the answer to a visitor who may not see a page."""
        response = self.page("message.html", refusal.status, title=refusal.title, text=refusal.text)
        response.headers.update(refusal.headers)
        return response


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
