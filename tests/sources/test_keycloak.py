"""Keycloak's user events as its source says that they are answered: the preset's number."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from hack.presets.example import example_source
from licenseusage.api.source import Source
from licenseusage.metering.cycles import DAY_MS
from licenseusage.sources.definition.presets import effective, presets
from licenseusage.sources.poll import Credentials
from tests.sources.product import CYCLE, NOW_MS, Request, answer, poll

HOUR_MS = 3_600_000
CONFIG: dict[str, Any] = {
    "eventsEnabled": True,
    "eventsExpiration": 40 * 86_400,
    "enabledEventTypes": ["LOGIN", "LOGOUT"],
    "adminEventsEnabled": False,
}


def uuid(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012d}"


Rows = list[dict[str, Any]]
Lie = Callable[[Rows, int], Rows]
"""What is answered instead of a page, whose first event has that number."""


class Keycloak:
    """Answers as RealmAdminResource.getEvents does: by days of its zone, a page of ``max``."""

    def __init__(self, *, versions_with_end_of_day: bool = True) -> None:
        self.events: list[dict[str, Any]] = []
        self.config = dict(CONFIG)
        self.end_of_day = versions_with_end_of_day
        self.lies: Lie = lambda page, _first: page
        self.asked: list[str] = []

    def event(self, at_ms: int, user: int | None, kind: str = "LOGIN", client: str = "app") -> None:
        shown = {"time": at_ms, "type": kind, "clientId": client, "realmId": "r", "details": {}}
        self.events.append(shown if user is None else shown | {"userId": uuid(user)})

    def respond(self, request: Request) -> bytes:
        self.asked.append(request.path)
        if request.path.endswith("/token"):
            return answer({"access_token": "t", "token_type": "Bearer", "expires_in": 60})
        if request.headers.get("authorization") != "Bearer t":
            return answer({"error": "unauthorized"}, "401 Unauthorized")
        if request.path.endswith("/events/config"):
            return answer(self.config)
        types = [value for name, value in request.query if name == "type"]
        start = _midnight(request.param("dateFrom"))
        end = _midnight(request.param("dateTo")) + (DAY_MS - 1 if self.end_of_day else 0)
        rows = [e for e in self.events if e["type"] in types and start <= e["time"] <= end]
        rows.sort(key=lambda row: -row["time"])
        first, most = int(request.param("first") or 0), int(request.param("max") or 100)
        return answer(self.lies(rows[first : first + most], first))


def _midnight(day: str | None) -> int:
    at = datetime.strptime(day or "", "%Y-%m-%d").replace(tzinfo=UTC)
    return int(at.timestamp() * 1000) - 9 * HOUR_MS  # the server is in Tokyo


def counted(serve: Any, keycloak: Keycloak, **fields: Any) -> Any:
    written = example_source(presets()["Keycloak"]) | fields
    source = effective(Source.model_validate(written))
    values = {"client_id": "meter", "client_secret": "secret"}
    return poll(serve(keycloak.respond).port, source, credentials=Credentials(values=values))


@pytest.mark.parametrize("end_of_day", [True, False])
def test_sign_ins_to_the_products_client_count_once_each_person(serve, end_of_day):
    keycloak = Keycloak(versions_with_end_of_day=end_of_day)
    keycloak.event(CYCLE.start_ms - HOUR_MS, 1)  # before the cycle
    keycloak.event(CYCLE.start_ms, 2)
    for number in range(1200):
        keycloak.event(NOW_MS - HOUR_MS - number * 60_000, 3 + number % 40)
    keycloak.event(NOW_MS - 2 * HOUR_MS, 900, client="other")
    keycloak.event(NOW_MS - 2 * HOUR_MS, 901, kind="CLIENT_LOGIN")
    keycloak.event(NOW_MS - 2 * HOUR_MS, 902, kind="LOGOUT")
    keycloak.event(NOW_MS - 2 * HOUR_MS, None)
    result = counted(serve, keycloak)
    assert result.failure is None
    assert result.complete
    assert result.counted == 41
    assert result.skipped["ExcludedEvent"] == 1
    assert keycloak.asked[:2] == [
        "/realms/app/protocol/openid-connect/token",
        "/admin/realms/app/events/config",
    ]
    assert [reading.holes for reading in result.readings.values()] == [()]


@pytest.mark.parametrize(
    "config", [{"eventsEnabled": False}, {"enabledEventTypes": ["LOGOUT"]}, {"eventsEnabled": None}]
)
def test_a_realm_that_saves_no_sign_ins_is_told_what_to_switch_on(serve, config):
    keycloak = Keycloak()
    keycloak.config |= config
    keycloak.event(NOW_MS - HOUR_MS, 1)
    failure = counted(serve, keycloak).failure
    assert failure.reason == "EventsNotRecorded"
    assert failure.needs_a_person
    assert "User events settings" in failure.message


def test_events_that_the_realm_keeps_too_short_are_a_gap(serve):
    keycloak = Keycloak()
    keycloak.config["eventsExpiration"] = 7 * 86_400
    keycloak.event(NOW_MS - HOUR_MS, 1)
    (reading,) = counted(serve, keycloak).readings.values()
    assert [hole.reason for hole in reading.holes] == ["LogExpired", "LogBegan"]
    assert reading.holes[0].end_ms >= NOW_MS - 7 * DAY_MS


def test_programs_do_not_count(serve):
    keycloak = Keycloak()
    keycloak.event(NOW_MS - HOUR_MS, 1)
    keycloak.event(NOW_MS - HOUR_MS, 2, kind="CLIENT_LOGIN")  # a service account's
    keycloak.event(NOW_MS - HOUR_MS, 3, kind="IMPERSONATE")
    keycloak.event(NOW_MS - HOUR_MS, 4)
    assert counted(serve, keycloak, users=BY_ID).counted == 1


BY_ID = {"exclude": "clientId != 'app'", "excludeIds": [uuid(4)]}


def test_who_was_deleted_since_counts_all_the_same(serve):
    """Events stay when their user goes: nothing else is asked of Keycloak."""
    keycloak = Keycloak()
    keycloak.event(NOW_MS - HOUR_MS, 1)
    assert counted(serve, keycloak).counted == 1
    assert {path.rsplit("/", 1)[1] for path in keycloak.asked} == {"token", "config", "events"}


LIES: dict[str, tuple[Lie, str]] = {
    "oldest first": (lambda page, _: page[::-1], "OrderViolated"),
    "a time in the future": (
        lambda page, _: [row | {"time": NOW_MS + 2 * DAY_MS} for row in page[:1]] + page[1:],
        "StampInFuture",
    ),
}


@pytest.mark.parametrize(("lie", "reason"), LIES.values(), ids=LIES)
def test_a_log_that_contradicts_itself_counts_nobody(serve, lie, reason):
    keycloak = Keycloak()
    for number in range(30):
        keycloak.event(NOW_MS - HOUR_MS - number * 60_000, number)
    keycloak.lies = lie
    result = counted(serve, keycloak)
    assert result.failure is not None
    assert (result.failure.reason, result.complete) == (reason, False)


def test_a_page_that_comes_again_and_again_proves_nothing(serve):
    keycloak = Keycloak()
    for number in range(1200):
        keycloak.event(NOW_MS - HOUR_MS - number * 60_000, number)
    newest = sorted(keycloak.events, key=lambda row: -row["time"])[:500]
    keycloak.lies = lambda _page, _first: newest
    result = counted(serve, keycloak)
    assert result.failure is not None
    assert (result.failure.reason, result.complete) == ("PagingIgnored", False)
