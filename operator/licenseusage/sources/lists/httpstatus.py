"""The meaning of an answer's status, before any of its content is read."""

import re
from http.client import HTTPResponse
from urllib.parse import urlsplit

from licenseusage.reasons import Reason
from licenseusage.sources.definition.model import BasicAuth, Cursor, EffectiveSource, Offset
from licenseusage.sources.failures import PollError

_OK = 200
_LABEL = "[a-z0-9_](?:[-a-z0-9_]{0,61}[a-z0-9])?"
_HOST = re.compile(rf"(?=.{{1,253}}\Z)(?:{_LABEL}\.)*{_LABEL}|[0-9a-f:.]{{2,45}}")
"""A DNS name, or an IP address; what else a product writes into ``Location`` is not shown."""
_PLAIN = re.compile(r"[A-Za-z][A-Za-z_.-]{0,23}\d{0,2}", re.ASCII)
_SEGMENTS_SHOWN = 8


def refuse_status(
    response: HTTPResponse, source: EffectiveSource, told_seconds: int | None = None
) -> None:
    """Refuse every status but 200; the declared type does not matter, the content is checked.

    Args:
        response: Its head.
        source: What was asked for.
        told_seconds: How long it asks to wait, where that was too long; None: it does not say.

    Raises:
        PollError: With the status and the fix; never with anything of the content.
    """
    status = response.status
    path = source.http.path
    if status == _OK:
        return
    seen = f"{source.http.method} {path} answered with HTTP {status}"
    reason, fix, stalls = _meaning(status, source)
    if reason is Reason.REDIRECTED:
        host, leads_to = _place(response.headers.get("location", ""), path)
        seen += f" (to {host or ''}{leads_to})" if host or leads_to else ""
        if leads_to.rstrip("/") == path.rstrip("/") and leads_to != path:
            fix = f"Set http.path to {leads_to}: redirects are not followed."
    if status in (429, 503) and told_seconds is not None:
        seen += f" and asks to wait {told_seconds} s, for which the poll has no time left"
    raise PollError(reason, f"{seen}. {fix}", stalls=stalls)


def _place(location: str, path: str) -> tuple[str | None, str]:
    """Return the host and the path of a ``Location`` as far as they may be shown.

    A path may hold what tells a session: shown are plain words, and what was asked for.
    """
    try:
        parts = urlsplit(location)
        host = parts.hostname
    except ValueError:  # it is no URL
        return None, ""
    if host is not None and not _HOST.fullmatch(host):
        host = None
    asked = set(path.split("/"))
    segments = parts.path.split("/")
    shown = [
        segment if segment in asked or _PLAIN.fullmatch(segment) else "…"
        for segment in segments[:_SEGMENTS_SHOWN]
    ]
    more = ["…"] if len(segments) > _SEGMENTS_SHOWN else []
    return host, "/".join(shown + more)


def _meaning(status: int, source: EffectiveSource) -> tuple[Reason, str, bool]:
    if status == 204:
        return Reason.ANSWER_EMPTY, "It has no data; that is not the same as nobody.", False
    if 300 <= status < 400:
        fix = "Redirects are not followed. Check the credentials, pods.scheme and http.path."
        return Reason.REDIRECTED, fix, True
    if status == 401:
        if source.auth is None:
            return Reason.UNAUTHORIZED, "It wants credentials: give them in auth.", True
        return Reason.UNAUTHORIZED, f"Check {_secret(source)}: wrong, expired or revoked.", True
    if status == 403:
        fix = f"The account of {_secret(source)} may not list users: give it that right."
        return Reason.ACCESS_DENIED, fix, True
    if status == 404:
        return Reason.PATH_NOT_FOUND, "Check http.path, pods.port and the product's version.", True
    if status == 429:
        return Reason.TOO_MANY_REQUESTS, _fewer_requests(source), False
    if status >= 500:
        likely = f" {source.when_500}" if status == 500 and source.when_500 else ""
        return Reason.SERVER_ERROR, f"See the product's log; it is asked again.{likely}", False
    if status == 400 and source.pods is not None and source.pods.scheme == "HTTP":
        fix = (
            "Check http.path and http.query; a port that speaks TLS answers so to "
            "plain HTTP: then set pods.scheme to HTTPS."
        )
        return Reason.UNEXPECTED_STATUS, fix, True
    return Reason.UNEXPECTED_STATUS, "Check http.path and http.query.", 400 <= status


def _fewer_requests(source: EffectiveSource) -> str:
    match source.http.pagination:
        case Offset():
            pages = "Ask for larger pages (http.pagination.size)"
        case Cursor():
            pages = "Ask for larger pages (in http.query)"
        case _:
            return "Raise intervalMinutes, or the product's limit."
    return f"{pages}, so that a list takes fewer requests, or raise the product's limit."


def _secret(source: EffectiveSource) -> str:
    if source.auth is None:
        return "the request (auth is not set)"
    if isinstance(source.auth, BasicAuth):
        return f"Secret {source.auth.secret_name}"
    return f"Secret {source.auth.secret.name}"
