"""The meaning of an answer's status, before any of its content is read."""

import re
from http.client import HTTPResponse
from urllib.parse import urlsplit

from licenseusage.reasons import Reason
from licenseusage.sources.definition.auth import BasicAuth, HeaderAuth, Login, OAuth2
from licenseusage.sources.definition.model import EffectiveSource
from licenseusage.sources.definition.paging import Numbered
from licenseusage.sources.failures import PollError
from licenseusage.sources.http.asking import Ask, Link
from licenseusage.sources.http.signin.exchange import proxy_refused

_OK = 200
NOT_MODIFIED = 304
_LABEL = "[a-z0-9_](?:[-a-z0-9_]{0,61}[a-z0-9])?"
_HOST = re.compile(rf"(?=.{{1,253}}\Z)(?:{_LABEL}\.)*{_LABEL}|[0-9a-f:.]{{2,45}}")
"""A DNS name, or an IP address; what else a product writes into ``Location`` is not shown."""
_PLAIN = re.compile(r"[A-Za-z][A-Za-z_.-]{0,23}\d{0,2}", re.ASCII)
_SEGMENTS_SHOWN = 8


def refuse_status(
    response: HTTPResponse,
    source: EffectiveSource,
    told_seconds: int | None = None,
    *,
    asked: Ask = (),
) -> None:
    """Refuse every status but 200; the declared type does not matter, the content is checked.

    Args:
        response: Its head.
        source: What was asked for.
        told_seconds: How long it asks to wait, where that was too long; None: it does not say.
        asked: Which page; an address is shown only if it is the source's own.

    Raises:
        PollError: With the status and the fix; never with anything of the content.
    """
    status = response.status
    path, field = source.http.path, "http.path"
    if isinstance(asked, Link) and asked.field is not None:
        path, field = asked.target, asked.field
    if status == _OK:
        return
    seen = f"{source.http.method} {path} answered with HTTP {status}"
    if status == 407:
        raise proxy_refused(seen)
    reason, fix, stalls = _meaning(status, source, field)
    if status in (401, 403):
        fix += _challenged(response.headers.get_all("www-authenticate", []), source)
    if reason is Reason.REDIRECTED:
        host, leads_to = _place(response.headers.get("location", ""), path)
        seen += f" (to {host or ''}{leads_to})" if host or leads_to else ""
        if leads_to.rstrip("/") == path.rstrip("/") and leads_to != path:
            fix = f"Set {field} to {leads_to}: redirects are not followed."
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


def _meaning(status: int, source: EffectiveSource, field: str) -> tuple[Reason, str, bool]:
    if status == 204:
        return Reason.ANSWER_EMPTY, "It has no data; that is not the same as nobody.", False
    if status == NOT_MODIFIED:
        fix = (
            "It was not asked whether the list has changed, so there is nothing that could be "
            "unchanged. A proxy or cache answers for the product: ask the product itself, or "
            "switch its cache off for this path."
        )
        return Reason.UNASKED_NOT_MODIFIED, fix, True
    if 300 <= status < 400:
        fix = f"Redirects are not followed. Check the credentials, pods.scheme and {field}."
        return Reason.REDIRECTED, fix, True
    if status == 401:
        if source.auth is None:
            return Reason.UNAUTHORIZED, "It wants credentials: give them in auth.", True
        if isinstance(source.auth, OAuth2):
            fix = (
                "It refuses an access token that was just issued. Check auth.oauth2.audience and "
                "scopes, and whether the product trusts that issuer."
            )
            return Reason.UNAUTHORIZED, fix, True
        if isinstance(source.auth, Login):
            fix = (
                "It refuses what the login has just given. Check auth.login.token (path, header "
                "and prefix; without it the cookies are sent)."
            )
            return Reason.UNAUTHORIZED, fix, True
        return Reason.UNAUTHORIZED, f"Check {_secret(source)}: wrong, expired or revoked.", True
    if status == 403:
        what = "list users"
        if source.states_number:
            what = "read the number"
        elif source.http_log is not None:
            what = "read the events" if field == "http.path" else f"read {field}"
        fix = f"The account of {_secret(source)} may not {what}: give it that right."
        return Reason.ACCESS_DENIED, fix, True
    if status == 404:
        fix = f"Check {field}, pods.port and the product's version."
        if isinstance(source.http.pagination, Numbered) and source.http.pagination.total is None:
            fix += (
                " If that is how the product answers for the page after the last one, declare "
                "http.pagination.total."
            )
        return Reason.PATH_NOT_FOUND, fix, True
    if status == 429:
        return Reason.TOO_MANY_REQUESTS, _fewer_requests(source), False
    if status >= 500:
        likely = f" {source.when_500}" if status == 500 and source.when_500 else ""
        return Reason.SERVER_ERROR, f"See the product's log; it is asked again.{likely}", False
    if status == 400:
        fix = (
            "Check http.path and http.query. A product that answers to certain names only "
            "(ALLOWED_HOSTS) answers so to others: then set pods.hostHeader."
        )
        if source.pods is not None and source.pods.scheme == "HTTP":
            fix += (
                " A port that speaks TLS answers so to plain HTTP: then set pods.scheme to HTTPS."
            )
        return Reason.UNEXPECTED_STATUS, fix, True
    return Reason.UNEXPECTED_STATUS, "Check http.path and http.query.", 400 <= status


def _challenged(challenges: list[str], source: EffectiveSource) -> str:
    """Return what the header ``WWW-Authenticate`` adds; only words that are known are shown."""
    text = " ".join(challenges).lower()
    if "insufficient_scope" in text:  # RFC 6750 §3.1
        return " It says that the token lacks a scope (insufficient_scope)."
    schemes = {challenge.split(" ")[0].lower() for challenge in challenges}
    if schemes == {"basic"} and isinstance(source.auth, HeaderAuth):
        return " It asks for a user and a password: use auth.basic."
    if schemes == {"bearer"} and isinstance(source.auth, BasicAuth):
        return " It asks for a bearer token: use auth.header, or auth.oauth2."
    if schemes and schemes <= {"negotiate", "ntlm", "digest"}:
        return " It asks for Kerberos, NTLM or Digest, which the operator does not speak."
    return ""


def _fewer_requests(source: EffectiveSource) -> str:
    where = source.http.pagination.larger
    if where is None:
        return "Raise intervalMinutes, or the product's limit."
    return (
        f"Ask for larger pages ({where}), so that a list takes fewer requests, or raise the "
        "product's limit."
    )


def _secret(source: EffectiveSource) -> str:
    if source.auth is None:
        return "the request (auth is not set)"
    return f"Secret {source.auth.secret_name}"
