"""A real product: what the preset Keycloak says of a realm is who signed in to the product."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from licenseusage.errors import Stalled
from licenseusage.sources.definition.presets import presets
from licenseusage.sources.poll import PollResult
from tests.e2e.conftest import Counting
from tests.e2e.loopback import client
from tests.e2e.products import keycloak
from tests.e2e.products.fixtures import installed
from tests.e2e.products.keycloak import REALM, Keycloak
from tests.e2e.reading import SECRET, read, read_on

pytestmark = pytest.mark.products

TOKEN_PATH = f"/realms/{REALM}/protocol/openid-connect/token"
EVENTS_PATH = f"/admin/realms/{REALM}/events"
MINUTE_MS = 60_000
TEAM = [f"user-{number:02d}" for number in range(24)]  # more than one page
PEOPLE = ("ada", "bob", "cyd", "dan", "eve", "fay", "gus", "hal", "ivy", *TEAM)
ACTIVE = ("ada", "bob", "cyd", "eve", "ivy", *TEAM)
"""ada signed in by the form, bob by a program of the product, cyd to the wiki and then, without a
password, to the product. eve has been deleted since, and ivy came just after the cycle began. dan
came before that and has renewed his tokens since, fay forgot her password, gus used the wiki only,
and hal has never been there."""


def cycle_start_ms() -> int:
    """When the cycle of `read` began."""
    start = datetime.now(UTC).date() - timedelta(days=10)
    return int(datetime(start.year, start.month, start.day, tzinfo=UTC).timestamp() * 1000)


def source(size: int = 500, **fields: Any) -> dict[str, Any]:
    return {
        "preset": "Keycloak",
        "auth": oauth2(),
        "http": {"path": EVENTS_PATH, "pagination": {"size": size}},
        "events": {"settings": {"path": f"{EVENTS_PATH}/config"}},
        "users": {"exclude": "clientId != 'app'"},
        "guarantees": {"clockSkewSeconds": 5},
        **fields,
    }


def oauth2(**fields: Any) -> dict[str, Any]:
    return {"oauth2": {"tokenPath": TOKEN_PATH, "secretRef": {"name": SECRET}, **fields}}


def as_client(name: str, secret: str = "") -> dict[str, str]:
    return {"client_id": name, "client_secret": secret or f"{name}-secret"}


@dataclass(frozen=True, slots=True)
class Realm:
    """A server, asked as a site asks it."""

    server: Keycloak

    def asked(
        self, size: int = 500, *, secret: dict[str, str] | None = None, **fields: Any
    ) -> PollResult:
        return read(source(size, **fields), self.server.port, secret or as_client("meter"))

    def asked_twice(self, between: Callable[[], None]) -> tuple[PollResult, PollResult]:
        return read_on(source(), self.server.port, as_client("meter"), between)

    def ids(self, *names: str) -> set[str]:
        return {self.server.ids[name] for name in names}

    @contextmanager
    def changed(self, path: str, **members: Any) -> Iterator[None]:
        """Change what the administrators' API shows at a path, for a while."""
        before = self.server.call("GET", path)
        self.server.call("PUT", path, before | members)
        try:
            yield
        finally:
            self.server.call("PUT", path, before)


@pytest.fixture(scope="module")
def realm() -> Iterator[Realm]:
    """Thirty-three people, and two programs beside the operator."""
    with keycloak.running(installed(keycloak.INSTALLATION)) as server:
        server.create(*PEOPLE)
        for name in ("ada", "eve", "ivy"):
            server.sign_in(name)
        server.open(server.sign_in("cyd", "wiki"))
        server.sign_in("gus", "wiki")
        for name in ("bob", *TEAM):
            server.sign_in_by_password(name)
        dans = server.sign_in_by_password("dan")
        assert server.submit(server.browser(), "fay", "forgotten").status_code == 200
        server.token("robot")
        server.call("DELETE", f"/users/{server.ids['eve']}")
        start_ms = cycle_start_ms()
        edges = {"ivy": start_ms + 6_000, "dan": start_ms - 5 * MINUTE_MS}
        server.happened(edges, others_ago_ms=10 * MINUTE_MS)
        server.refresh(dans)
        yield Realm(server)


@pytest.mark.parametrize(("size", "pages"), [(10, 4), (500, 1)])
def test_the_number_is_who_signed_in_to_the_product(realm: Realm, size: int, pages: int) -> None:
    result = realm.asked(size)
    assert (result.failure, result.incomplete, result.complete) == (None, None, True)
    assert set(result.ids) == realm.ids(*ACTIVE)
    assert result.counted == len(ACTIVE)
    # cyd's and gus's sign-ins to the wiki, and dan's. Neither programs nor failures are asked for.
    assert result.skipped == {"ExcludedEvent": 2, "OutsideCycle": 1}
    assert _lost(result) == []
    assert result.pages == pages


def test_every_sign_in_of_the_realm_counts_unless_the_products_clients_are_named(
    realm: Realm,
) -> None:
    result = realm.asked(users={"exclude": "clientId == 'nothing'"})
    assert set(result.ids) == realm.ids(*ACTIVE, "gus")


def test_renewals_of_tokens_count_too_where_the_site_asks_for_them(realm: Realm) -> None:
    """As the preset's page says."""
    types = ("LOGIN", "REFRESH_TOKEN")
    days = presets()["Keycloak"].source["http"]["query"][1:]
    saved = [f"contains(enabledEventTypes, '{each}')" for each in types]
    settings = {"path": f"{EVENTS_PATH}/config", "recording": " && ".join(saved)}
    realm.server.happened({}, others_ago_ms=2 * MINUTE_MS)  # dan's renewal was just now
    result = realm.asked(
        http={"path": EVENTS_PATH, "query": [{"name": "type", "value": t} for t in types] + days},
        events={"settings": settings},
    )
    assert set(result.ids) == realm.ids(*ACTIVE, "dan")


def test_an_event_is_in_the_log_when_the_sign_in_is_answered(realm: Realm) -> None:
    realm.server.sign_in_by_password("ada")
    newest = realm.server.call("GET", "/events?type=LOGIN&max=1")[0]
    assert {newest["userId"]} == realm.ids("ada")
    assert (
        time.time_ns() // 1_000_000 - newest["time"]
        < presets()["Keycloak"].source["guarantees"]["lagSeconds"] * 1000
    )


# -- a premise that does not hold --


def test_without_a_date_header_the_clocks_must_be_declared(realm: Realm) -> None:
    with client(realm.server.port) as anybody:
        assert "date" not in anybody.get(TOKEN_PATH).headers
    with pytest.raises(Stalled, match=r"guarantees\.clockSkewSeconds is missing"):
        realm.asked(guarantees={})


@pytest.mark.parametrize(
    "config", [{"eventsEnabled": False}, {"enabledEventTypes": ["LOGOUT", "LOGIN_ERROR"]}]
)
def test_a_realm_that_saves_no_sign_ins_gives_no_number(
    realm: Realm, config: dict[str, Any]
) -> None:
    with realm.changed("/events/config", **config):
        reason, message = _failure(realm.asked())
    assert reason == "EventsNotRecorded"
    assert "User events settings" in message


@pytest.mark.controlplane
def test_what_was_counted_stays_when_an_administrator_switches_events_off(
    realm: Realm, counting: Counting
) -> None:
    users = len(realm.asked().ids)
    counted = counting(source(), realm.server.port, as_client("meter"))
    before = counted.status()
    assert (before["activeUsers"], before["accuracy"]) == (users, "LowerBound")  # so far
    with realm.changed("/events/config", eventsEnabled=False):
        counted.collect_now()
        after = counted.await_status(lambda status: _reason(status) == "EventsNotRecorded")
    assert after["activeUsers"] == users
    assert "EventsNotRecorded" in {gap["reason"] for gap in after["coverage"]["gaps"]}


def test_events_that_expired_before_the_first_reading_are_a_gap(realm: Realm) -> None:
    with realm.changed("/events/config", eventsExpiration=7 * 86_400):
        result = realm.asked()
    assert "LogExpired" in _lost(result)
    # ivy's is older, and may be there or not.
    assert realm.ids(*ACTIVE) - set(result.ids) <= realm.ids("ivy")


def test_who_is_impersonated_counts_once_the_administrator_opens_the_product(realm: Realm) -> None:
    browser = realm.server.impersonate("fay")
    realm.server.happened({}, others_ago_ms=2 * MINUTE_MS)
    assert realm.ids("fay").isdisjoint(realm.asked().ids)
    realm.server.open(browser)
    realm.server.happened({}, others_ago_ms=2 * MINUTE_MS)
    assert realm.ids("fay") <= set(realm.asked().ids)


# -- the token --


@pytest.mark.parametrize(
    ("client_id", "code", "fix"),
    [
        ("nobody", "invalid_client", "Check client_id and client_secret in Secret meter"),
        ("meter", "unauthorized_client", "Check client_secret in Secret meter"),
        ("app", "unauthorized_client", "permit this client the grant client_credentials"),
    ],
    ids=["unknown", "another secret", "no service account"],
)
def test_a_client_that_gets_no_token(realm: Realm, client_id: str, code: str, fix: str) -> None:
    reason, message = _failure(realm.asked(secret=as_client(client_id, "wrong")))
    assert reason == "SignInRefused"
    assert f"({code})" in message
    assert fix in message


def test_a_scope_that_the_client_does_not_have(realm: Realm) -> None:
    reason, message = _failure(realm.asked(auth=oauth2(scopes=["events"])))
    assert reason == "SignInRefused"
    assert "(invalid_scope). Correct auth.oauth2.scopes" in message


def test_a_token_path_of_a_realm_that_does_not_exist(realm: Realm) -> None:
    path = TOKEN_PATH.replace(REALM, "other")
    reason, message = _failure(realm.asked(auth=oauth2(tokenPath=path)))
    assert reason == "SignInUnusable"
    assert "HTTP 404. Check auth.oauth2.tokenPath" in message


def test_a_client_without_the_role_may_not_read(realm: Realm) -> None:
    reason, message = _failure(realm.asked(secret=as_client("robot")))
    assert reason == "AccessDenied"
    assert f"GET {EVENTS_PATH}/config answered with HTTP 403" in message
    assert "may not read events.settings.path" in message


def test_a_token_is_kept_for_the_next_poll(realm: Realm) -> None:
    before = realm.server.tokens_of("meter")
    first, second = realm.asked_twice(lambda: None)
    assert (first.failure, second.failure) == (None, None)
    assert realm.server.tokens_of("meter") == before + 1


def test_a_token_that_has_expired_is_not_sent(realm: Realm) -> None:
    server, seconds = realm.server, 3
    before = server.tokens_of("meter")
    lifespan = {"access.token.lifespan": str(seconds)}
    with realm.changed(server.client_path("meter"), attributes=lifespan):
        results = realm.asked_twice(lambda: server.outlive(seconds))
    assert [result.failure for result in results] == [None, None]
    assert server.tokens_of("meter") == before + 2


def test_a_token_that_was_revoked_is_replaced_by_one_more(realm: Realm) -> None:
    before = realm.server.tokens_of("meter")
    results = realm.asked_twice(realm.server.revoke_tokens)
    assert [result.failure for result in results] == [None, None]
    assert realm.server.tokens_of("meter") == before + 2


def test_a_client_that_is_disabled_is_named_also_while_its_token_lasts(realm: Realm) -> None:
    path = realm.server.client_path("meter")
    with realm.changed(path):
        first, second = realm.asked_twice(lambda: realm.server.change(path, enabled=False))
    assert first.failure is None
    reason, message = _failure(second)
    assert reason == "SignInRefused"
    assert "(invalid_client)" in message


# -- the last test of the log: it is empty afterwards --


def test_an_administrator_who_clears_the_log_makes_a_gap(realm: Realm) -> None:
    server = realm.server

    def cleared() -> None:
        server.call("DELETE", "/events")
        server.sign_in_by_password("hal")
        server.happened({}, others_ago_ms=2 * MINUTE_MS)

    first, second = realm.asked_twice(cleared)
    assert realm.ids(*ACTIVE) <= set(first.ids)
    assert _lost(first) == []
    assert _lost(second) == ["LogWentBack"]
    assert set(second.ids) == realm.ids("hal")


def _lost(result: PollResult) -> list[str]:
    (reading,) = result.readings.values()
    return [hole.reason for hole in reading.holes]


def _reason(status: dict[str, Any]) -> str:
    (collected,) = [each for each in status["conditions"] if each["type"] == "Collected"]
    return str(collected["reason"])


def _failure(result: PollResult) -> tuple[str, str]:
    assert result.failure is not None
    assert result.failure.needs_a_person
    return str(result.failure.reason), result.failure.message


def test_the_preset_was_verified_with_the_version_that_runs_here() -> None:
    preset = presets()["Keycloak"]
    assert (preset.verified, preset.version) == ("Live", keycloak.VERSION)
