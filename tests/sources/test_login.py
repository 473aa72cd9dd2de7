"""A login before each poll: what is sent, what is kept, and every way to be turned away."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

import pytest

from licenseusage.api.source import Source
from licenseusage.sources.definition.model import EffectiveSource
from licenseusage.sources.definition.presets import effective
from licenseusage.sources.http.signin.memory import TokenMemory
from licenseusage.sources.poll import Credentials, PollLimits, Target
from licenseusage.sources.poll import credentials as credentials_of
from licenseusage.sources.workers.kinds import collect
from tests.sources.product import (
    ADMIN,
    KNOWN_CLOCK,
    SECRET,
    FixedClock,
    Request,
    answer,
    at,
    request,
    source,
    written,
)

PATH = "/api/v1/security/login"
CANARY = "canary-session-4711"
VALUES = {"username": ADMIN, "password": SECRET}
TOKEN = {"path": "access_token"}
FORM = {"path": "/login", "encoding": "Form"}
TURNED_AWAY = answer({"message": f"no {ADMIN} {SECRET}"}, "401 Unauthorized")
HTML = answer(b"<!doctype html><title>Sign in</title><form>")


def declared(**login: Any) -> EffectiveSource:
    auth = {"login": {"path": PATH, "secretRef": {"name": "meter"}, **login}}
    cursor = {"type": "Cursor", "params": [{"name": "after", "path": "next"}]}
    whole = written(guarantees=KNOWN_CLOCK, http={"pagination": cursor}).to_object()
    return effective(Source.model_validate(whole | {"auth": auth}))


@dataclass
class Site:
    """A product with sessions: as Superset (token), or as a site with cookies.

    Attributes:
        logins: Answers to logins, in place of the usual ones.
        away: How it turns somebody away who is not signed in.
    """

    by_cookie: bool = False
    logins: list[bytes] = field(default_factory=list)
    away: bytes = TURNED_AWAY
    good: set[str] = field(default_factory=set)
    attempts: int = 0
    pages: int = 0
    last: int = 1
    ends: Callable[["Site"], bool] = lambda _: False

    def __call__(self, asked: Request) -> bytes:
        if asked.method == "POST":
            return self.login()
        if self.ends(self):
            self.good.clear()
        sent = asked.headers.get("cookie" if self.by_cookie else "authorization", "")
        if sent not in self.good:
            return self.away
        self.pages += 1
        number = int(asked.param("after") or 0)
        row = {"id": f"u{number}", "seen": at("05T10:00:00")}
        return answer({"value": [row], "next": number + 1 if number < self.last else None})

    def login(self) -> bytes:
        self.attempts += 1
        if self.logins:
            return self.logins.pop(0)
        session = f"{CANARY}-{self.attempts}"
        if self.by_cookie:
            self.good.add(f"session={session}")
            cookie = f"session={session}; Path=/; HttpOnly; Secure; SameSite=Lax"
            return answer(b"", "303 See Other", headers={"Location": "/", "Set-Cookie": cookie})
        self.good.add(f"Bearer {session}")
        return answer({"access_token": session})


def read(product: Any, *, values: Any = VALUES, login: Any = None, **more: Any) -> Any:
    made = declared(**({"token": TOKEN} if login is None else login))
    given = Credentials(username=values.get("username"), values=values)
    tokens = more.pop("tokens", None)
    asked = request(product.port, made, credentials=given, **more)
    result = collect(asked, FixedClock(), tokens=tokens)
    for secret in (CANARY, SECRET, ADMIN):
        assert secret not in repr(result)
    return result


# -- what is sent --


def test_user_and_password_are_sent_as_json_and_the_token_with_each_page(serve):
    site = Site()
    product = serve(site)
    result = read(product)
    assert (result.failure, result.counted, site.attempts) == (None, 2, 1)
    first, *pages = product.requests
    assert (first.method, first.path) == ("POST", PATH)
    assert first.headers["content-type"] == "application/json"
    assert json.loads(first.body) == VALUES
    assert "authorization" not in first.headers
    assert {page.headers["authorization"] for page in pages} == {f"Bearer {CANARY}-1"}


def test_fields_are_of_the_secret_or_as_they_stand(serve):
    product = serve(Site())
    fields = [
        {"name": "user", "secretKey": "username"},
        {"name": "pw", "secretKey": "password"},
        {"name": "provider", "value": "db"},
    ]
    read(product, login={"token": TOKEN, "fields": fields})
    assert json.loads(product.requests[0].body) == {"user": ADMIN, "pw": SECRET, "provider": "db"}


def test_a_form_is_sent_encoded_and_its_cookies_come_back(serve):
    site = Site(by_cookie=True)
    product = serve(site)
    result = read(product, login=FORM)
    assert (result.failure, result.counted, site.attempts) == (None, 2, 1)
    first, *pages = product.requests
    assert first.headers["content-type"] == "application/x-www-form-urlencoded"
    assert dict(parse_qsl(first.body.decode())) == VALUES
    assert {page.headers["cookie"] for page in pages} == {f"session={CANARY}-1"}
    assert all("authorization" not in page.headers for page in pages)


def test_the_token_stands_in_the_declared_header(serve):
    site = Site()
    product = serve(site)
    read(product, login={"token": {"path": "access_token", "header": "X-Session"}})
    assert product.requests[1].headers["x-session"] == f"{CANARY}-1"
    read(product, login={"token": {"path": "access_token", "prefix": "Token "}})
    assert product.requests[-1].headers["authorization"] == f"Token {CANARY}-2"


def test_label_studio_exchanges_a_token_for_another_by_the_same_way(serve):
    site = Site(logins=[answer({"access": CANARY})], good={f"Bearer {CANARY}"})
    product = serve(site)
    fields = [{"name": "refresh", "secretKey": "token"}]
    login = {"path": "/api/token/refresh/", "fields": fields, "token": {"path": "access"}}
    assert read(product, login=login, values={"token": SECRET}).failure is None
    assert json.loads(product.requests[0].body) == {"refresh": SECRET}


def test_each_poll_signs_in_anew(serve):
    site, tokens = Site(), TokenMemory()
    product = serve(site)
    for _ in range(2):
        read(product, tokens=tokens)
    assert site.attempts == 2
    assert repr(tokens) == "TokenMemory(0)"


def test_the_keys_that_the_fields_name_are_read_of_the_secret():
    auth = declared(
        fields=[{"name": "a", "secretKey": "k"}, {"name": "b", "value": "x"}], token=TOKEN
    ).auth
    made = credentials_of(auth, {"k": b"v\n", "other": b"hush"}, "Secret s")
    assert made == Credentials(values={"k": "v"})


# -- a session that ends --


@pytest.mark.parametrize("by_cookie", [False, True])
def test_a_session_that_ends_in_the_middle_is_renewed_once(serve, by_cookie):
    ended = []
    site = Site(by_cookie=by_cookie)
    site.ends = lambda site: site.pages == 1 and not ended and not ended.append(1)
    result = read(serve(site), login=FORM if by_cookie else None)
    assert (result.failure, result.counted, site.attempts) == (None, 2, 2)


@pytest.mark.parametrize(
    "away",
    [
        answer(b"", "302 Found", headers={"Location": "/login"}),
        answer(b"", "303 See Other", headers={"Location": "/login"}),
        answer({}, "403 Forbidden"),
    ],
)
def test_a_cookie_that_ended_is_told_by_a_redirect_or_403_as_well(serve, away):
    ended = []
    site = Site(by_cookie=True, away=away)
    site.ends = lambda site: site.pages == 1 and not ended and not ended.append(1)
    result = read(serve(site), login=FORM)
    assert (result.failure, result.counted, site.attempts) == (None, 2, 2)


def test_sessions_that_serve_one_page_each_are_not_begun_for_every_page(serve):
    ended = []
    site = Site(last=9)
    site.ends = lambda site: site.pages > len(ended) and not ended.append(1)
    result = read(serve(site))
    assert result.failure.reason == "Unauthorized"
    assert (result.counted, site.attempts) == (2, 2)


def test_a_session_that_is_refused_at_once_is_not_begun_again(serve):
    site = Site(logins=[answer({"access_token": "of-nobody"})])
    result = read(serve(site))
    assert result.failure.reason == "Unauthorized"
    assert "auth.login.token" in result.failure.message
    assert site.attempts == 1


# -- turned away --

LOCKED = answer({"message": CANARY}, "423 Locked")
TO_SIGN_IN = answer(
    b"", "302 Found", headers={"Location": f"/signin?e={CANARY}", "Set-Cookie": f"s={CANARY}"}
)
REFUSED = {
    "401": TURNED_AWAY,
    "403": answer({}, "403 Forbidden"),
    "400": answer({"error": CANARY}, "400 Bad Request"),
    "422": answer({}, "422 Unprocessable Content"),
    "423": LOCKED,
    "200 with an error": answer({"error": f"wrong {CANARY}"}),
    "200 with an empty token": answer({"access_token": ""}),
    "200 with a token of null": answer({"access_token": None}),
    "200 with a token of two lines": answer({"access_token": "a\r\nX: b"}),
    "200 with a list": answer([{"access_token": CANARY}]),
    "200 with the sign-in page": HTML,
    "200 with nothing": answer(b""),
    "a redirect to sign in": TO_SIGN_IN,
}
NO_COOKIE = {
    "200 with an error and no cookie": answer({"error": CANARY}),
    "200 with the sign-in page and a cookie": answer(
        b" <html>", headers={"Set-Cookie": f"anon={CANARY}"}
    ),
    "a redirect without a cookie": answer(b"", "302 Found", headers={"Location": "/"}),
    "a redirect to sign in with a cookie": TO_SIGN_IN,
    "a cookie that is deleted": answer(
        b"", headers={"Set-Cookie": f"s={CANARY}; Path=/; Max-Age=0"}
    ),
    "an empty cookie": answer(b"", headers={"Set-Cookie": 's=""; Path=/'}),
    "a cookie that is none": answer(b"", headers={"Set-Cookie": f"{CANARY}"}),
    "401 with a cookie": answer(b"", "401 x", headers={"Set-Cookie": f"s={CANARY}"}),
}


@pytest.mark.parametrize("wrong", [*REFUSED, *NO_COOKIE])
def test_one_refused_login_ends_the_poll_whatever_the_pods(serve, wrong):
    by_cookie = wrong in NO_COOKIE
    turned_away = (NO_COOKIE if by_cookie else REFUSED)[wrong]
    site = Site(by_cookie=by_cookie, logins=[turned_away] * 9)
    pods = [serve(site), serve(site)]
    targets = tuple(Target("127.0.0.1", pod.port, label="pod-0") for pod in pods)
    result = read(pods[0], login=FORM if by_cookie else None, targets=targets)
    assert result.failure is not None
    assert (result.failure.reason, result.failure.needs_a_person) == ("SignInRefused", True)
    assert "Secret meter" in result.failure.message
    assert (site.attempts, site.pages, result.users_listed) == (1, 0, 0)


NO_LOGIN = {
    "404": (answer(b"", "404 Not Found"), "SignInUnusable", "auth.login.path"),
    "405": (answer(b"", "405 Method Not Allowed"), "SignInUnusable", "auth.login.path"),
    "407": (answer(b"", "407 x"), "ProxyAuthenticationRequired", "proxy"),
    "429": (answer(b"", "429 x"), "TooManyRequests", "limit"),
    "500": (answer(b"", "500 x"), "SignInUnavailable", "log"),
    "cut": (answer(b"{", length=9), "SignInUnavailable", "without a whole answer"),
}


@pytest.mark.parametrize("wrong", NO_LOGIN)
def test_a_login_that_does_not_work_is_named_and_not_tried_at_the_next_pod(serve, wrong):
    served, reason, fix = NO_LOGIN[wrong]
    site = Site()
    parts = [served] if wrong == "cut" else served
    pods = [serve(lambda _: (setattr(site, "attempts", site.attempts + 1), parts)[1])] * 2
    targets = tuple(Target("127.0.0.1", pods[0].port, label=name) for name in ("a", "b"))
    result = read(pods[0], targets=targets)
    assert result.failure.reason == reason, result.failure.message
    assert fix in result.failure.message
    assert site.attempts == 1


def test_the_next_pod_is_signed_in_at_anew_if_one_is_not_ready(serve):
    one, two = Site(logins=[answer(b"", "503 x")]), Site()
    pods = [serve(one), serve(two)]
    targets = tuple(Target("127.0.0.1", pod.port, label=f"pod-{pod.port}") for pod in pods)
    assert read(pods[0], targets=targets).counted == 2
    assert (one.attempts, two.attempts) == (1, 1)


def test_a_session_is_not_sent_to_another_pod(serve):
    def half(asked):
        return one(asked) if asked.method == "POST" else answer(b"", "503 x")

    one, two = Site(), Site()
    pods = [serve(half), serve(two)]
    targets = tuple(Target("127.0.0.1", pod.port, label=f"pod-{pod.port}") for pod in pods)
    assert read(pods[0], targets=targets).counted == 2
    sent = {asked.headers.get("authorization") for asked in pods[1].requests}
    assert (one.attempts, two.attempts) == (1, 1)
    assert sent == {None, f"Bearer {CANARY}-1"}


def test_redirects_are_not_followed_with_a_password(serve):
    elsewhere = serve(Site())
    to = {"Location": f"http://127.0.0.1:{elsewhere.port}{PATH}"}
    for status in ("307 Temporary Redirect", "308 Permanent Redirect", "302 Found"):
        result = read(serve(answer(b"", status, headers=to)))
        assert result.failure.reason == "SignInRefused"
    assert elsewhere.requests == []


def test_many_cookies_are_kept_in_bounds(serve):
    def cookies(count, size):
        lines = "".join(f"Set-Cookie: c{n}={'x' * size}\r\n" for n in range(count))
        head = answer(b"").split(b"\r\n\r\n")[0]
        return head + b"\r\n" + lines.encode() + b"\r\n"

    for count, size in ((21, 1), (3, 4000)):
        site = Site(by_cookie=True, logins=[cookies(count, size)])
        result = read(serve(site), login=FORM)
        assert result.failure.reason == "SignInUnusable"


def test_a_silent_login_ends_in_time(serve):
    product = serve(lambda _: [b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"])
    result = read(product, limits=PollLimits(request_seconds=0.3, poll_seconds=5))
    assert result.failure.reason == "SignInUnavailable"


# -- the declaration --


def test_it_is_no_part_of_the_definition():
    assert declared(token=TOKEN).selection == source(guarantees=KNOWN_CLOCK).selection
    assert declared(token=TOKEN).digest() == declared(path="/login").digest()


def test_the_account_that_signs_in_is_noticed_among_those_it_counts():
    assert (
        credentials_of(
            declared().auth, {"username": b"meter", "password": b"p"}, "Secret s"
        ).username
        == "meter"
    )
