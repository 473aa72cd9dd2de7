"""Authentication: every way in which a product, or who issues its tokens, turns us away."""

from collections.abc import Callable
from typing import Any

from licenseusage.sources.poll import Credentials
from tests.sources.hostile.case import ANN, BOB, LEAK, PEOPLE, Case, Complete, Fails
from tests.sources.product import ADMIN, SECRET, Answer, Request, answer

_BODY = {"value": PEOPLE}
_SIGN_IN = b"<!doctype html><html><title>Sign in</title><input type=password value=%b>"
_PAGE = _SIGN_IN % LEAK.encode()


def _away(status: str, challenge: str | None = None, body: Any = None, **more: str) -> bytes:
    headers: dict[str, str | None] = {"WWW-Authenticate": challenge, **more}
    shown = {"message": f"{LEAK} {SECRET}"} if body is None else body
    return answer(shown, status, headers={k.replace("_", "-"): v for k, v in headers.items()})


def _midway(last: bytes) -> Callable[[Request], Answer]:
    """One good page, and then this."""
    return lambda asked: last if asked.param("after") else answer({"value": [ANN], "next": "1"})


PAGED = {"http": {"pagination": {"type": "Cursor", "params": [{"name": "after", "path": "next"}]}}}

STATIC = [
    Case("401, nothing else", _away("401 Unauthorized"), Fails("Unauthorized")),
    Case("401, Basic wanted", _away("401 x", f'Basic realm="{LEAK}"'), Fails("Unauthorized")),
    Case("401, expired", _away("401 x", 'Bearer error="invalid_token"'), Fails("Unauthorized")),
    Case("401, Kerberos wanted", _away("401 x", "Negotiate"), Fails("Unauthorized")),
    Case("401, a challenge that leaks", _away("401 x", f"{LEAK} {SECRET}"), Fails("Unauthorized")),
    Case("401 with a list", _away("401 x", body=_BODY), Fails("Unauthorized")),
    Case("403, nothing else", _away("403 Forbidden"), Fails("AccessDenied")),
    Case(
        "403, a scope is missing",
        _away("403 x", 'Bearer error="insufficient_scope"'),
        Fails("AccessDenied"),
    ),
    Case("403 with a list", _away("403 x", body=_BODY), Fails("AccessDenied")),
    Case("407", _away("407 x", Proxy_Authenticate="Basic"), Fails("ProxyAuthenticationRequired")),
    Case("429, wait for an hour", _away("429 x", Retry_After="3600"), Fails("TooManyRequests")),
    Case("429, wait for nonsense", _away("429 x", Retry_After=LEAK), Fails("TooManyRequests")),
    Case("a sign-in page with 200", answer(_PAGE), Fails("AnswerNotJSON")),
    Case("a sign-in page with 401", _away("401 x", body=_PAGE), Fails("Unauthorized")),
    Case(
        "a redirect to sign in",
        _away("302 Found", Location=f"/login?next={LEAK}"),
        Fails("Redirected"),
    ),
    Case("an error with 200", answer({"error": LEAK}), Fails("ItemsNotAList")),
    Case("401 in the middle", _midway(_away("401 x")), Fails("Unauthorized"), PAGED),
    Case("403 in the middle", _midway(_away("403 x")), Fails("AccessDenied"), PAGED),
    Case("a sign-in page in the middle", _midway(answer(_PAGE)), Fails("AnswerNotJSON"), PAGED),
]


def _way(kind: str, **fields: Any) -> dict[str, Any]:
    given = {"secretRef": {"name": "meter"}, **fields}
    return {"auth": {"header": None, kind: given}}


TOKEN = f"{LEAK}-token"
CLIENT = {"credentials": Credentials(values={"client_id": ADMIN, "client_secret": SECRET})}
ACCOUNT = {"credentials": Credentials(ADMIN, values={"username": ADMIN, "password": SECRET})}
OAUTH2 = _way("oauth2", tokenPath="/oauth/token")
BY_TOKEN = _way("login", path="/login", token={"path": "token"})
BY_COOKIE = _way("login", path="/login", encoding="Form")
GOOD = answer({"access_token": TOKEN, "token_type": "bearer", "token": TOKEN, "expires_in": 60})
COOKIE = answer(b"", "303 x", headers={"Location": "/", "Set-Cookie": f"s={TOKEN}; HttpOnly"})


def _after(first: Answer, then: Answer) -> Callable[[Request], Answer]:
    """This for the POST that signs in, and that for the list."""
    return lambda asked: first if asked.method == "POST" else then


def _signing(
    name: str, first: Answer, expected: Any, read: dict[str, Any], then: Answer | None = None
) -> Case:
    asked = CLIENT if read is OAUTH2 else ACCOUNT
    shown = answer({"value": [ANN, BOB]}) if then is None else then
    return Case(name, _after(first, shown), expected, read, asked)


def _error(code: str, status: str = "400 x") -> bytes:
    return answer({"error": code, "error_description": f"{LEAK} {SECRET}"}, status)


SIGNED = [
    _signing("a token", GOOD, Complete(2), OAUTH2),
    _signing("a token that expires at once", answer(
        {"access_token": TOKEN, "expires_in": 0}), Complete(2), OAUTH2),
    _signing("a token that expired long ago", answer(
        {"access_token": TOKEN, "expires_in": -(10**12)}), Complete(2), OAUTH2),
    _signing("a token that expires soon", answer(
        {"access_token": TOKEN, "expires_in": "soon"}), Complete(2), OAUTH2),
    _signing("a token for ever", answer(
        {"access_token": TOKEN, "expires_in": 10**300}), Complete(2), OAUTH2),
    _signing("a client that is wrong", _error("invalid_client"), Fails("SignInRefused"), OAUTH2),
    _signing("a scope that is wrong", _error("invalid_scope"), Fails("SignInRefused"), OAUTH2),
    _signing("an error that leaks", _error(SECRET), Fails("SignInRefused"), OAUTH2),
    _signing("a token of another type", answer(
        {"access_token": TOKEN, "token_type": "mac"}), Fails("SignInUnusable"), OAUTH2),
    _signing("a page for a token", answer(_PAGE), Fails("SignInUnusable"), OAUTH2),
    _signing("megabytes for a token", answer(b" " * 9_000_000), Fails("SignInUnusable"), OAUTH2),
    _signing("brackets for a token", answer(b"[" * 60_000), Fails("SignInUnusable"), OAUTH2),
    _signing("a redirect for a token", _away("307 x", Location="/oauth/token"),
             Fails("SignInUnusable"), OAUTH2),
    _signing("no HTTP for a token", [b"x\r\n\r\n"], Fails("SignInUnavailable"), OAUTH2),
    _signing("half a token", [answer(b"{", length=90)], Fails("SignInUnavailable"), OAUTH2),
    _signing("a token that is refused", GOOD, Fails("Unauthorized"), OAUTH2, _away("401 x")),
    _signing("a token that may nothing", GOOD, Fails("AccessDenied"), OAUTH2, _away("403 x")),
    _signing("a login for a token", GOOD, Complete(2), BY_TOKEN),
    _signing("a login for a cookie", COOKIE, Complete(2), BY_COOKIE),
    _signing("a wrong password, 401", _away("401 x"), Fails("SignInRefused"), BY_TOKEN),
    _signing("a wrong password, 200", answer({"error": LEAK}), Fails("SignInRefused"), BY_TOKEN),
    _signing("a wrong password, a page", answer(_PAGE), Fails("SignInRefused"), BY_COOKIE),
    _signing("a wrong password, a redirect", _away(
        "302 x", Location=f"/signin?{LEAK}", Set_Cookie=f"s={TOKEN}"),
        Fails("SignInRefused"), BY_COOKIE),
    _signing("a locked account", _away("423 x"), Fails("SignInRefused"), BY_TOKEN),
    _signing("a login that fails", _away("500 x"), Fails("SignInUnavailable"), BY_TOKEN),
    _signing("a login that is not there", _away("404 x"), Fails("SignInUnusable"), BY_COOKIE),
    _signing("logins in excess", _away("429 x"), Fails("TooManyRequests"), BY_TOKEN),
    _signing("a session that is refused", COOKIE, Fails("Redirected"), BY_COOKIE,
             _away("302 x", Location="/login")),
    _signing("a session that shows a page", COOKIE, Fails("AnswerNotJSON"), BY_COOKIE,
             answer(_PAGE)),
]  # fmt: skip

CASES = [*STATIC, *SIGNED]
