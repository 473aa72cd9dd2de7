"""OAuth 2 client credentials: from a Secret to a token, and what may go wrong on the way."""

import asyncio
import base64
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

import pytest

from licenseusage.api.source import Source
from licenseusage.sources.definition.model import EffectiveSource
from licenseusage.sources.definition.presets import effective
from licenseusage.sources.http.signin.memory import TokenMemory
from licenseusage.sources.http.signin.tokens import lifetime_seconds
from licenseusage.sources.poll import Credentials, PollLimits, Target
from licenseusage.sources.workers.frames import framed
from licenseusage.sources.workers.kinds import collect
from licenseusage.sources.workers.workers import Workers
from tests.sources.product import (
    KNOWN_CLOCK,
    SECRET,
    USERS,
    FixedClock,
    Request,
    answer,
    at,
    request,
    source,
    written,
)

CLIENT = "meter:client"
VALUES = {"client_id": CLIENT, "client_secret": SECRET}
CANARY = "t0ken-canary-4711"
PATH = "/oauth2/token"


def oauth2(**fields: Any) -> dict[str, Any]:
    return {"oauth2": {"tokenPath": PATH, "secretRef": {"name": "meter"}, **fields}}


def declared(paged: bool = False, **fields: Any) -> EffectiveSource:
    cursor = {"type": "Cursor", "params": [{"name": "after", "path": "next"}]}
    http = {"http": {"pagination": cursor}} if paged else {}
    whole = written(guarantees=KNOWN_CLOCK, **http).to_object() | {"auth": oauth2(**fields)}
    return effective(Source.model_validate(whole))


@dataclass
class Cloud:
    """A product that knows the tokens it has issued, two pages of users, and its own rules."""

    answers: list[Any] = field(default_factory=list)
    good: set[str] = field(default_factory=set)
    issued: int = 0
    pages: int = 0
    last: int = 1
    refuse: Callable[["Cloud"], bool] = lambda _: False
    extra: dict[str, Any] = field(default_factory=lambda: {"expires_in": 300})

    def __call__(self, asked: Request) -> bytes:
        if asked.path == PATH:
            return self.issue()
        if self.refuse(self):
            self.good.clear()
        sent = asked.headers.get("authorization", "").removeprefix("Bearer ")
        if sent not in self.good:
            return answer({}, "401 Unauthorized", headers={"WWW-Authenticate": "Bearer"})
        self.pages += 1
        number = int(asked.param("after") or 0)
        row = {"id": f"u{number}", "seen": at("05T10:00:00")}
        return answer({"value": [row], "next": number + 1 if number < self.last else None})

    def issue(self) -> bytes:
        self.issued += 1
        if self.answers:
            made = self.answers.pop(0)
            return made if isinstance(made, bytes) else answer(made)
        token = f"{CANARY}-{self.issued}"
        self.good.add(token)
        return answer({"access_token": token, "token_type": "Bearer", **self.extra})


@dataclass
class Hands:
    """A clock of seconds that is set by hand."""

    s: float = 1000.0

    def __call__(self) -> float:
        return self.s


@pytest.fixture
def hands() -> Hands:
    return Hands()


@pytest.fixture
def memory(hands: Hands) -> TokenMemory:
    return TokenMemory(hands)


def read(product: Any, memory: TokenMemory | None = None, paged: bool = True, **more: Any) -> Any:
    fields = more.pop("auth", {})
    values = more.pop("values", VALUES)
    asked = request(
        product.port, declared(paged, **fields), credentials=Credentials(values=values), **more
    )
    result = collect(asked, FixedClock(), tokens=memory)
    for secret in (CANARY, SECRET, CLIENT):
        assert secret not in repr(result)
    return result


def forms(product: Any) -> list[dict[str, str]]:
    return [dict(parse_qsl(asked.body.decode())) for asked in product.requests if asked.body]


# -- the request --


def test_a_token_is_requested_and_sent_with_each_page(serve):
    cloud = Cloud()
    product = serve(cloud)
    result = read(product)
    assert (result.failure, result.counted) == (None, 2)
    first, *pages = product.requests
    assert (first.method, first.path) == ("POST", PATH)
    assert first.headers["content-type"] == "application/x-www-form-urlencoded"
    assert {page.headers["authorization"] for page in pages} == {f"Bearer {CANARY}-1"}
    assert cloud.issued == 1


def test_client_id_and_secret_are_encoded_before_they_stand_in_the_header(serve):
    product = serve(Cloud())
    read(product)
    kind, _, pair = product.requests[0].headers["authorization"].partition(" ")
    assert kind == "Basic"
    assert base64.b64decode(pair) == b"meter%3Aclient:s3cr3t-T0ken-%C3%A4%C3%B6%C3%BC"
    assert forms(product) == [{"grant_type": "client_credentials"}]


def test_client_id_and_secret_stand_in_the_body_if_declared(serve):
    product = serve(Cloud())
    read(product, auth={"clientAuthentication": "ClientSecretPost"})
    assert "authorization" not in product.requests[0].headers
    assert forms(product) == [{"grant_type": "client_credentials", **VALUES}]


def test_scopes_and_audience_are_requested_if_declared(serve):
    product = serve(Cloud())
    read(product, auth={"scopes": ["users:read", "openid"], "audience": "urn:x"})
    assert forms(product) == [
        {"grant_type": "client_credentials", "scope": "users:read openid", "audience": "urn:x"}
    ]


def test_another_server_issues_the_token_and_only_it_gets_the_secret(serve):
    cloud = Cloud()
    product, issuer = serve(cloud), serve(lambda _: cloud.issue())
    result = read(
        product,
        auth={"endpoint": "idp"},
        issuers=(Target("127.0.0.1", issuer.port, label="endpoint idp"),),
    )
    assert (result.failure, result.counted) == (None, 2)
    assert [asked.method for asked in product.requests] == ["GET", "GET"]
    assert [asked.path for asked in issuer.requests] == [PATH]


# -- how long it is used --


def test_a_token_serves_many_polls_until_shortly_before_its_end(serve, memory, hands):
    cloud = Cloud()
    product = serve(cloud)
    for _ in range(3):
        read(product, memory)
        hands.s += 89
    assert cloud.issued == 1
    hands.s += 5  # 272 s: 30 s before the end
    read(product, memory)
    assert cloud.issued == 2


def test_a_token_that_is_too_old_in_the_middle_of_a_poll_is_renewed(serve, memory, hands):
    cloud = Cloud()

    def respond(asked):
        made = cloud(asked)
        hands.s += 200
        return made

    result = read(serve(respond), memory)
    assert (result.failure, result.counted, cloud.issued) == (None, 2, 2)


def test_another_object_or_secret_gets_another_token(serve, memory):
    cloud = Cloud()
    product = serve(cloud)
    read(product, memory, subject="a/x")
    read(product, memory, subject="b/x")
    read(product, memory, subject="a/x", values=VALUES | {"client_secret": "new"})
    read(product, memory, subject="a/x", auth={"scopes": ["other"]})
    assert cloud.issued == 4


def test_another_pod_or_place_gets_another_token(serve, memory):
    cloud = Cloud()
    for product in (serve(cloud), serve(cloud)):
        read(product, memory)
    assert cloud.issued == 2
    product, issuer = serve(cloud), serve(lambda _: cloud.issue())
    issuers = (Target("127.0.0.1", issuer.port),)
    for _ in range(2):
        read(product, memory, auth={"endpoint": "idp"}, issuers=issuers)
    read(product, memory, auth={"endpoint": "other"}, issuers=issuers)
    assert cloud.issued == 4


def test_the_memory_of_tokens_is_bounded_and_shows_none(serve, memory, monkeypatch):
    monkeypatch.setattr("licenseusage.sources.http.signin.memory.MOST_TOKENS", 2)
    product = serve(Cloud())
    for name in "abc":
        read(product, memory, subject=name)
    assert repr(memory) == "TokenMemory(2)"


def test_a_refused_token_is_renewed_once(serve, memory):
    cloud = Cloud()
    product = serve(cloud)
    read(product, memory)
    cloud.good.clear()
    result = read(product, memory)
    assert (result.failure, result.counted, cloud.issued) == (None, 2, 2)


def test_a_token_revoked_in_the_middle_of_a_list_is_renewed_and_the_page_asked_again(serve):
    cloud, revoked = Cloud(), []
    cloud.refuse = lambda cloud: cloud.pages == 1 and not revoked and not revoked.append(1)
    result = read(serve(cloud))
    assert (result.failure, result.counted, cloud.issued) == (None, 2, 2)


def test_a_product_whose_tokens_serve_one_page_each_is_not_asked_for_many(serve):
    cloud, revoked = Cloud(last=9), []
    cloud.refuse = lambda cloud: cloud.pages > len(revoked) and not revoked.append(1)
    result = read(serve(cloud))
    assert result.failure.reason == "Unauthorized"
    assert (result.counted, cloud.pages, cloud.issued) == (2, 2, 2)


def test_a_product_that_refuses_each_token_is_asked_for_two_at_most(serve, memory):
    cloud = Cloud()
    product = serve(cloud)
    read(product, memory)
    cloud.refuse = lambda _: True
    result = read(product, memory)
    assert result.failure.reason == "Unauthorized"
    assert "auth.oauth2.audience" in result.failure.message
    assert cloud.issued == 2
    read(product, memory)
    assert cloud.issued == 3  # what was refused is not remembered


@pytest.mark.parametrize(
    ("stated", "seconds"),
    [
        *((300, 300), (299.5, 299.5), ("300", 300), (10**30, 3600), ("9" * 18, 3600)),
        *((0, None), (-5, None), ("soon", None), ("", None), (None, None), (True, None)),
        *((float("nan"), None), (float("inf"), 3600), ([300], None), ("9" * 19, None)),
    ],
)
def test_a_lifetime_that_cannot_be_true_is_no_lifetime(stated, seconds):
    assert lifetime_seconds(stated) == seconds


@pytest.mark.parametrize("stated", [0, -1, "soon", None, False])
def test_a_token_without_a_lifetime_serves_one_poll(serve, memory, stated):
    cloud = Cloud(extra={"expires_in": stated})
    product = serve(cloud)
    for _ in range(2):
        assert read(product, memory).counted == 2
    assert cloud.issued == 2


def test_a_lifetime_of_a_second_does_not_flood_the_issuer(serve, memory, hands):
    cloud = Cloud(extra={"expires_in": 1})

    def respond(asked):
        hands.s += 10
        return cloud(asked)

    assert read(serve(respond), memory).counted == 2
    assert cloud.issued == 1


def test_a_token_is_kept_for_an_hour_at_most(serve, memory, hands):
    cloud = Cloud(extra={"expires_in": 10**9})
    product = serve(cloud)
    read(product, memory)
    hands.s += 3600
    read(product, memory)
    assert cloud.issued == 2


def test_a_worker_process_keeps_a_token_and_hands_none_back(serve):
    cloud = Cloud()
    product = serve(cloud)
    asked = request(
        product.port, declared(paged=True), credentials=Credentials(values=VALUES), subject="a/x"
    )

    async def twice():
        async with Workers(1) as workers:
            return [await workers.poll(asked) for _ in range(2)]

    results = asyncio.run(twice())
    assert [len(product.requests), cloud.issued] == [5, 1]
    assert CANARY not in repr(results)
    assert not any(CANARY.encode() in framed(result) for result in results)


# -- what an issuer may answer --

HTML = b"<!doctype html><title>Sign in</title>"
BAD = "400 Bad Request"


def error(code: str, status: str = BAD) -> bytes:
    return answer({"error": code, "error_description": f"{CANARY} {CLIENT}"}, status)


WRONG = {
    "a wrong secret": (error("invalid_client"), "SignInRefused", "Secret meter"),
    "a wrong secret, 401": (
        error("invalid_client", "401 Unauthorized"), "SignInRefused", "Secret meter",
    ),
    "401 without a word": (answer(b"", "401 Unauthorized"), "SignInRefused", "client_secret"),
    "403": (answer({}, "403 Forbidden"), "SignInRefused", "Secret meter"),
    "a grant that is not permitted": (
        error("unauthorized_client"), "SignInRefused", "service accounts",
    ),
    "another grant": (error("unsupported_grant_type"), "SignInRefused", "tokenPath"),
    "a wrong scope": (error("invalid_scope"), "SignInRefused", "auth.oauth2.scopes"),
    "a wrong audience": (error("invalid_target"), "SignInRefused", "auth.oauth2.audience"),
    "an unknown error": (error(CANARY), "SignInRefused", "Secret meter"),
    "an error that is no text": (answer({"error": {"a": 1}}, BAD), "SignInRefused", "HTTP 400"),
    "an error beside 200": (error("invalid_client", "200 OK"), "SignInUnusable", "access_token"),
    "HTML": (answer(HTML), "SignInUnusable", "page for people"),
    "HTML of an error": (answer(HTML, BAD), "SignInRefused", "HTTP 400"),
    "nothing": (answer(b""), "SignInUnusable", "JSON"),
    "a list": (answer([1]), "SignInUnusable", "JSON"),
    "deep JSON": (answer(b"[" * 60_000), "SignInUnusable", "JSON"),
    "not UTF-8": (answer(b'{"access_token": "\xff"}'), "SignInUnusable", "JSON"),
    "too much": (answer(b" " * 70_000 + b"{}"), "SignInUnusable", "JSON"),
    "compressed without being asked": (
        answer(b"xx", headers={"Content-Encoding": "br"}), "SignInUnusable", "JSON",
    ),
    "no token": (answer({"token_type": "Bearer"}), "SignInUnusable", "access_token"),
    "a token that is no text": (answer({"access_token": 5}), "SignInUnusable", "access_token"),
    "an empty token": (answer({"access_token": ""}), "SignInUnusable", "access_token"),
    "a token of two lines": (
        answer({"access_token": "a\r\nX-Evil: 1"}), "SignInUnusable", "access_token",
    ),
    "an endless token": (answer({"access_token": "a" * 20_000}), "SignInUnusable", "access_token"),
    "a DPoP token": (
        answer({"access_token": CANARY, "token_type": "DPoP"}), "SignInUnusable", "Bearer",
    ),
    "a type that is no text": (
        answer({"access_token": CANARY, "token_type": 1}), "SignInUnusable", "Bearer",
    ),
    "404": (answer(b"", "404 Not Found"), "SignInUnusable", "tokenPath"),
    "201": (answer({"access_token": CANARY}, "201 Created"), "SignInUnusable", "HTTP 201"),
    "407": (
        answer(b"", "407 Proxy Authentication Required"), "ProxyAuthenticationRequired", "proxy",
    ),
    "429": (answer(b"", "429 x", headers={"Retry-After": "9"}), "TooManyRequests", "limit"),
    "500": (answer(b"", "500 x"), "SignInUnavailable", "log"),
    "503": (answer(b"", "503 x"), "ServerError", "log"),
}  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_no_token_is_a_named_failure_and_nobody_is_asked(serve, memory, wrong):
    served, reason, fix = WRONG[wrong]
    cloud = Cloud(answers=[served, served])
    product = serve(cloud)
    result = read(product, memory)
    assert result.failure is not None
    assert result.failure.reason == reason, result.failure.message
    assert fix in result.failure.message
    assert PATH in result.failure.message
    assert result.failure.message.startswith("Source people, pod-0: ")
    assert (result.counted, result.users_listed, cloud.pages) == (0, 0, 0)
    assert not any(facts.closed or facts.ended or facts.sure for facts in result.facts.values())
    assert cloud.issued == 1
    read(product, memory)
    assert cloud.issued == 2  # nothing of it is remembered


def test_a_redirect_is_not_followed_with_the_secret(serve):
    elsewhere = serve(Cloud())
    to = {"Location": f"http://127.0.0.1:{elsewhere.port}{PATH}?{CANARY}"}
    for status in ("302 Found", "307 Temporary Redirect", "308 Permanent Redirect"):
        result = read(serve(answer(b"", status, headers=to)))
        assert result.failure.reason == "SignInUnusable"
        assert "Redirects are not followed" in result.failure.message
    assert elsewhere.requests == []


def test_a_silent_issuer_ends_the_poll_in_time(serve):
    product = serve(lambda _: [b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"])
    result = read(product, limits=PollLimits(request_seconds=1, poll_seconds=5))
    assert result.failure.reason == "SignInUnavailable"
    silent = serve(lambda _: _silent())
    result = read(silent, limits=PollLimits(request_seconds=0.2, poll_seconds=5))
    assert result.failure.reason == "SignInUnavailable"
    assert "sent nothing for 0.2 s" in result.failure.message


def _silent():
    time.sleep(0.6)
    yield b""


def test_an_issuer_that_is_not_there_is_named_and_no_pod_is_asked(serve):
    product = serve(Cloud())
    gone = serve(b"")
    gone.close()
    result = read(
        product,
        auth={"service": {"name": "idp", "port": 80, "scheme": "HTTP"}},
        issuers=(Target("127.0.0.1", gone.port),),
    )
    assert result.failure.reason == "SignInUnavailable"
    assert "of Service idp" in result.failure.message
    assert "auth.oauth2.service.port" in result.failure.message
    assert product.requests == []


def test_the_next_address_of_an_issuer_is_tried(serve):
    cloud = Cloud()
    product, issuer, gone = serve(cloud), serve(lambda _: cloud.issue()), serve(b"")
    gone.close()
    result = read(
        product,
        auth={"endpoint": "idp"},
        issuers=tuple(Target("127.0.0.1", server.port) for server in (gone, issuer)),
    )
    assert (result.failure, result.counted) == (None, 2)


def test_a_wrong_client_is_not_tried_at_the_next_pod(serve):
    cloud = Cloud(answers=[error("invalid_client")] * 3)
    pods = [serve(cloud), serve(cloud)]
    targets = tuple(Target("127.0.0.1", pod.port, label="pod") for pod in pods)
    assert read(pods[0], targets=targets).failure.reason == "SignInRefused"
    assert cloud.issued == 1


def test_a_replica_that_starts_is_no_reason_to_stop(serve):
    cloud = Cloud(answers=[answer(b"", "503 x")])
    pods = [serve(cloud), serve(cloud)]
    targets = tuple(Target("127.0.0.1", pod.port, label="pod") for pod in pods)
    assert read(pods[0], targets=targets).counted == 2


def test_json_numbers_of_any_size_are_read(serve):
    body = b'{"access_token": "x", "expires_in": ' + b"9" * 5000 + b"}"
    assert read(serve(answer(body))).failure.reason == "SignInUnusable"
    assert json.loads(b"1e999") == float("inf")


# -- the declaration --


def test_it_is_no_part_of_the_definition():
    usual = source(guarantees=KNOWN_CLOCK)
    assert declared().digest() == usual.digest()
    assert declared().selection == usual.selection


def test_users_are_counted_as_with_any_credentials(serve):
    product = serve(
        lambda asked: Cloud().issue() if asked.path == PATH else answer({"value": USERS})
    )
    assert read(product, paged=False).counted == 2
