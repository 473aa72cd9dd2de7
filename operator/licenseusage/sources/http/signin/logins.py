"""A login: its request, and what the answer means. Pure.

A product shows a wrong password in many ways: by 401, by a redirect to its sign-in page, by that
page itself, or by a message with status 200. Each is told by what is missing: the token, or a
cookie. Forms with a token against CSRF, which is read from a page first, are not supported.
"""

import json
import re
from collections.abc import Iterable
from urllib.parse import quote, urlencode, urlsplit

from licenseusage.reasons import Reason
from licenseusage.sources.definition.auth import Login
from licenseusage.sources.definition.expressions import expression
from licenseusage.sources.definition.interpreter import EvaluationError
from licenseusage.sources.failures import PollError
from licenseusage.sources.http.signin.exchange import Answered, Posted, members, unanswered
from licenseusage.sources.poll import Credentials

Signed = tuple[tuple[str, bytes], ...]
"""Headers that authenticate a request."""

_KEPT_IN_PATHS = "/%:@!$&'()*+,=-._~"
_MOST_COOKIES = 20
_MOST_COOKIE_BYTES = 8192
_COOKIE = re.compile(r"\s*([!#$%&'*+.^_`|~0-9A-Za-z-]+)\s*=\s*([\x21-\x3a\x3c-\x7e]*)\s*(?:;(.*))?")
_DELETED = re.compile(r"(?i)(?:^|;)\s*max-age\s*=\s*(?:-\d+|0+)\s*(?:;|$)")
_TOKEN = re.compile(r"[\x20-\x7e]{1,16384}")
_SIGN_IN = re.compile(r"(?i)log[-_]?(in|on)|sign[-_]?in|auth")
_TO_ANOTHER_PAGE = (302, 303)


def login_request(auth: Login, credentials: Credentials) -> Posted:
    """Return the request that signs in."""
    fields = {
        field.name: field.value
        if field.secret_key is None
        else credentials.values[field.secret_key]
        for field in auth.fields
    }
    if auth.form:
        kind, body = "application/x-www-form-urlencoded", urlencode(fields)
    else:
        kind, body = "application/json", json.dumps(fields)
    path = quote(auth.path, safe=_KEPT_IN_PATHS)
    return Posted(_what(auth), path, (("content-type", kind),), body.encode())


def session_of(auth: Login, answered: Answered) -> Signed:
    """Return the headers that authenticate the requests after a login.

    Raises:
        PollError: ``SignInRefused``, ``SignInUnusable``, ``SignInUnavailable``, or another reason
            that is named by the status.
    """
    status = answered.status
    seen = f"{_what(auth)} answered with HTTP {status}"
    if failure := unanswered(status, seen, elsewhere=False):
        raise failure
    if status in (404, 405):
        raise PollError(Reason.SIGN_IN_UNUSABLE, f"{seen}. Check auth.login.path.", stalls=True)
    if status == 423:
        raise _refused(auth, f"{seen}: the account is locked")
    if not 200 <= status < 300 and (auth.token is not None or status not in _TO_ANOTHER_PAGE):
        raise _refused(auth, seen)
    if auth.token is not None:
        return _with_token(auth, answered)
    if status in _TO_ANOTHER_PAGE and _leads_to_sign_in(answered.headers.get("location", "")):
        raise _refused(auth, f"{seen}, a redirect to a sign-in page")
    if status not in _TO_ANOTHER_PAGE and (answered.content or b"").lstrip().startswith(b"<"):
        raise _refused(auth, f"{_what(auth)} answered with a page again, as after a wrong password")
    cookies = _cookies(answered.headers.get_all("set-cookie", []))
    if not cookies:
        raise _refused(auth, f"{seen} and set no cookie")
    text = "; ".join(f"{name}={value}" for name, value in cookies.items())
    if len(cookies) > _MOST_COOKIES or len(text) > _MOST_COOKIE_BYTES:
        raise PollError(
            Reason.SIGN_IN_UNUSABLE,
            f"{_what(auth)} set more cookies than can be sent.",
            stalls=True,
        )
    return (("cookie", text.encode()),)


def _with_token(auth: Login, answered: Answered) -> Signed:
    wanted = auth.token
    assert wanted is not None  # noqa: S101
    shown = members(answered)
    if shown is None:
        raise _refused(
            auth, f"{_what(auth)} answered with something that is no JSON object, such as a page"
        )
    try:
        value = expression(wanted.path).search(shown)
    except EvaluationError:
        value = None
    if not isinstance(value, str) or not _TOKEN.fullmatch(value):
        raise _refused(auth, f"{_what(auth)} answered without a token at {wanted.path}")
    return ((wanted.header.lower(), f"{wanted.prefix}{value}".encode()),)


def _cookies(headers: Iterable[str]) -> dict[str, str]:
    """Return the cookies that are set; attributes do not matter for one server and one poll."""
    cookies: dict[str, str] = {}
    for header in headers:
        match = _COOKIE.fullmatch(header)
        if match is None:
            continue
        name, value, attributes = match[1], match[2], match[3] or ""
        cookies.pop(name, None)
        if value.strip('"') and not _DELETED.search(attributes):
            cookies[name] = value
    return cookies


def _leads_to_sign_in(location: str) -> bool:
    try:
        path = urlsplit(location).path
    except ValueError:
        return False
    return _SIGN_IN.search(path.rstrip("/").rpartition("/")[2]) is not None


def _refused(auth: Login, seen: str) -> PollError:
    more = ", and auth.login.token.path" if auth.token is not None else ""
    return PollError(
        Reason.SIGN_IN_REFUSED,
        f"{seen}. Check Secret {auth.secret_name}: wrong or expired, or the account is locked; "
        f"check auth.login.path and fields{more}.",
        stalls=True,
    )


def _what(auth: Login) -> str:
    return f"the login {auth.path}"
