"""From a listing to facts: who is counted, who is skipped and why, and what is requested."""

from datetime import UTC, datetime
from typing import Any

import pytest

from licenseusage.metering.cycles import CYCLE_BIT, DAY_MS, Cycle
from licenseusage.metering.pseudonym import Pseudonymiser
from licenseusage.sources.definition.effective import effective_of
from licenseusage.sources.poll import CycleRequest
from tests.sources.product import (
    ADMIN,
    CYCLE,
    SECRET,
    USERS,
    FixedClock,
    answer,
    at,
    poll,
    source,
    written,
)

UUIDS = [f"0b5f6c9e-1d2c-4e2a-9a51-0000000000{n:02}" for n in range(3)]
ACTIVE = at("05T10:00:00")


def people(serve, rows, read=None, **more):
    return poll(serve(answer({"value": rows})).port, read, **more)


def users(**fields: Any) -> Any:
    return source(users={"id": "id", "lastActive": {"path": "seen"}, **fields})


def names(result, index=CYCLE.index):
    return set(result.facts[index].sure)


def pseudonyms(*ids, cycle=CYCLE):
    made = Pseudonymiser(b"k" * 32, "app", cycle.start_ms // 1000)
    return {made(one) for one in ids}


def test_those_active_in_the_cycle_are_counted_under_pseudonyms(serve):
    result = people(serve, USERS)
    assert (result.failure, result.complete, result.incomplete) == (None, True, None)
    assert (result.users_listed, result.provisioned, result.counted) == (5, 5, 2)
    assert result.skipped == {"NeverActive": 2, "OutsideCycle": 1}
    assert names(result) == pseudonyms("ann", "bob")
    assert (result.pages, result.ids, result.target) == (1, (), "pod-0")


def test_a_stamp_in_the_last_instant_before_the_cycle_is_kept_for_its_granule(serve):
    start = datetime.fromtimestamp(CYCLE.start_ms / 1000, UTC)
    assert f"{start:%Y-%m-%d}" == "2026-11-01"
    after = CYCLE.end_ms + 3_600_000  # a closing poll, one hour after the end
    clock = FixedClock(after)
    date = {"Date": "Tue, 01 Dec 2026 01:00:00 GMT"}
    rows = [
        {"id": "before", "seen": "2026-10-31T23:59:59.000Z"},
        {"id": "straddles", "seen": "2026-10-31T23:59:59.001Z"},
        {"id": "inside", "seen": "2026-11-01T00:00:00Z"},
        {"id": "later", "seen": "2026-12-01T00:30:00Z"},
    ]
    product = serve(answer({"value": rows}, headers=date))
    result = poll(product.port, clock=clock)
    facts = result.facts[CYCLE.index]
    assert set(facts.sure) == pseudonyms("inside")
    assert set(facts.maybe) == pseudonyms("straddles", "later")
    assert facts.closed >> CYCLE_BIT & 1


def test_reasons_for_skipping_are_counted(serve):
    read = users(exclude="kind == 'bot'", excludeIds=["me", "7"], createdAt={"path": "made"})
    rows = [
        {"id": "bot", "seen": ACTIVE, "kind": "bot"},
        {"id": "me", "seen": ACTIVE},
        {"id": 7, "seen": ACTIVE},
        {"seen": None},
        {"id": "", "seen": "2026-01-01T00:00:00Z"},
        {"id": "never"},
        {"id": "zero", "seen": 0},
        {"id": "fresh", "seen": ACTIVE, "made": ACTIVE},
        {"id": "old", "seen": "2026-10-01T00:00:00Z", "made": "2026-10-01T00:00:00Z"},
        {"id": "real", "seen": ACTIVE, "made": "2026-10-01T00:00:00Z"},
    ]
    result = people(serve, rows, read)
    assert result.failure is None
    assert result.skipped == {
        "Excluded": 1,
        "ExcludedId": 2,
        "NoId": 2,
        "NeverActive": 2,
        "OnlyCreated": 1,
        "OutsideCycle": 1,
    }
    assert names(result) == pseudonyms("real")
    assert (result.users_listed, result.provisioned) == (10, 7)


def test_the_creation_guard_has_a_tolerance(serve):
    rows = [
        {"id": "same", "seen": at("05T10:00:01"), "made": at("05T10:00:00.5")},
        {"id": "used", "seen": at("05T10:00:03"), "made": at("05T10:00:00")},
        {"id": "unknown", "seen": at("05T10:00:03"), "made": None},
    ]
    read = users(createdAt={"path": "made", "toleranceSeconds": 1})
    assert names(people(serve, rows, read)) == pseudonyms("used")


def test_ids_are_normalised_before_they_are_compared(serve):
    rows = [
        {"id": " Ann@Example.org", "seen": ACTIVE},
        {"id": "ann@example.org ", "seen": ACTIVE},
        {"id": "ME@example.org", "seen": ACTIVE},
        {"id": "  ", "seen": None},
    ]
    read = users(normalize=["Trim", "Lowercase"], excludeIds=["me@Example.org"])
    result = people(serve, rows, read)
    assert names(result) == pseudonyms("ann@example.org")
    assert result.skipped == {"ExcludedId": 1, "NoId": 1}


def test_integer_ids_are_written_in_decimal(serve):
    rows = [{"id": 42, "seen": ACTIVE}, {"id": "42", "seen": ACTIVE}]
    assert names(people(serve, rows)) == pseudonyms("42")


@pytest.mark.parametrize(
    ("declared", "ids", "stable"),
    [
        ("Unknown", UUIDS, True),
        ("Unknown", [1, 2, 3], True),
        ("Unknown", [UUIDS[0].upper(), UUIDS[1].replace("-", ""), 3], True),
        ("Unknown", [*UUIDS, "bob"], False),
        ("Unknown", ["1", "2"], False),
        ("Stable", ["bob"], True),
        ("Renamable", UUIDS, False),
    ],
)
def test_undeclared_ids_are_stable_if_they_are_uuids_or_integers(serve, declared, ids, stable):
    read = source(guarantees={"removal": "Never", "ids": declared})
    result = people(serve, [{"id": one, "seen": ACTIVE} for one in ids], read)
    assert (result.ids_stable, result.counted) == (stable, len(ids))
    assert bool(result.facts[CYCLE.index].sure) is stable


def test_an_hour_that_happens_twice_is_uncertain_by_that_hour(serve):
    day = Cycle(9, CYCLE.start_ms - 7 * DAY_MS, CYCLE.start_ms - 6 * DAY_MS)  # 2026-10-25
    # On the Azores 00:30 came twice that day: 00:30Z by summer time and 01:30Z by winter time.
    naive = {"path": "seen", "format": "%Y-%m-%d %H:%M:%S", "naiveTimezone": "Atlantic/Azores"}
    rows = [
        {"id": "twice", "seen": "2026-10-25 00:30:00"},
        {"id": "once", "seen": "2026-10-25 09:00:00"},
    ]
    read = users(lastActive=naive)
    whole = people(serve, rows, read, cycles=(CycleRequest(day),)).facts[9]
    assert set(whole.sure) == pseudonyms("twice", "once", cycle=day)
    ends_between = Cycle(9, day.start_ms - DAY_MS, day.start_ms + 3_600_000)
    part = people(serve, rows, read, cycles=(CycleRequest(ends_between),)).facts[9]
    assert set(part.maybe) == pseudonyms("twice", "once", cycle=ends_between)
    assert not part.sure


def test_day_granularity_counts_days_and_is_unsure_of_straddled_ends(serve):
    read = source(users={"id": "id", "lastActive": {"path": "seen", "format": "%Y-%m-%d"}})
    rows = [
        {"id": "first", "seen": "2026-11-01"},
        {"id": "today", "seen": "2026-11-20"},
        {"id": "before", "seen": "2026-10-31"},
    ]
    result = people(serve, rows, read)
    assert names(result) == pseudonyms("first", "today")


# -- the request --


def test_the_request_is_as_written_with_credentials_in_their_header(serve):
    product = serve(answer({"value": USERS}))
    read = source(
        http={
            "query": [{"name": "a", "value": "x y&z"}, {"name": "a", "value": "2"}],
            "headers": [{"name": "X-Org", "value": "acme"}, {"name": "Accept", "value": "text/x"}],
        }
    )
    assert poll(product.port, read).failure is None
    (asked,) = product.requests
    assert (asked.method, asked.path) == ("GET", "/users")
    assert asked.query == [("a", "x y&z"), ("a", "2")]
    assert asked.headers["authorization"] == f"Bearer {SECRET}"
    assert (asked.headers["x-org"], asked.headers["accept"]) == ("acme", "text/x")
    assert asked.headers["user-agent"].startswith("licenseusage/")
    assert "cookie" not in asked.headers


def test_basic_credentials_are_sent_as_utf8(serve):
    from base64 import b64decode

    product = serve(answer({"value": USERS}))
    poll(product.port, source(auth={"basic": {"secretRef": {"name": "m"}}, "header": None}))
    kind, _, value = product.requests[0].headers["authorization"].partition(" ")
    assert (kind, b64decode(value).decode()) == ("Basic", f"{ADMIN}:{SECRET}")


def test_without_auth_nothing_secret_is_sent(serve, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("NETRC", "/dev/null")
    product = serve(answer({"value": USERS}))
    assert poll(product.port, source(auth=None), credentials=None).failure is None
    assert "authorization" not in product.requests[0].headers


def test_cookies_are_not_kept_between_pages(serve):
    def respond(request):
        body = {"value": USERS[:1], "next": None if request.param("after") else "2"}
        return answer(body, headers={"Set-Cookie": "session=1; Path=/"})

    cursor = {"type": "Cursor", "params": [{"name": "after", "path": "next"}]}
    product = serve(respond)
    poll(product.port, source(http={"pagination": cursor}))
    assert [request.headers.get("cookie") for request in product.requests] == [None, None]


def test_a_paging_parameter_replaces_one_of_the_query(serve):
    offsets = {
        "type": "Offset",
        "offsetParam": "from",
        "limitParam": "limit",
        "size": 9,
        "total": "n",
    }
    product = serve(answer({"value": USERS, "n": 5}))
    query = [{"name": "limit", "value": "1"}, {"name": "x", "value": "1"}]
    poll(product.port, source(http={"query": query, "pagination": offsets}))
    assert product.requests[0].query == [("x", "1"), ("from", "0"), ("limit", "9")]


def test_the_body_of_a_preset_is_posted_as_json(serve):
    product = serve(answer({"value": USERS}))
    preset = {"http": {"method": "POST", "body": '{"since": "{{cycle.start}}"}'}}
    read = effective_of(written(), preset)
    assert poll(product.port, read).counted == 2
    (asked,) = product.requests
    assert (asked.method, asked.headers["content-type"]) == ("POST", "application/json")
    assert asked.body == b'{"since": "2026-11-01T00:00:00Z"}'


def test_templates_are_encoded_for_where_they_stand(serve):
    product = serve(answer({"value": USERS}))
    forms = ["date", "epoch", "epochMillis", "dayBefore"]
    query = [{"name": form, "value": f"{{{{cycle.start.{form}}}}}"} for form in forms]
    query += [{"name": "q", "value": 'last_seen_after:"{{cycle.start}}" x:{{ cycle.end }}'}]
    poll(product.port, source(http={"path": "/since/{{cycle.start}}/users", "query": query}))
    (asked,) = product.requests
    assert asked.path == "/since/2026-11-01T00%3A00%3A00Z/users"
    assert dict(asked.query) == {
        "date": "2026-11-01",
        "epoch": "1793491200",
        "epochMillis": "1793491200000",
        "dayBefore": "2026-10-31",
        "q": 'last_seen_after:"2026-11-01T00:00:00Z" x:2026-12-01T00:00:00Z',
    }


def test_a_request_that_names_the_cycle_is_sent_for_each_cycle(serve):
    before = Cycle(4, CYCLE.start_ms - 30 * DAY_MS, CYCLE.start_ms)
    ended = {row["id"]: row for row in USERS}

    def respond(request):
        since = request.param("since")
        rows = [row for row in ended.values() if (row.get("seen") or "") >= since]
        return answer({"value": rows})

    product = serve(respond)
    read = source(http={"query": [{"name": "since", "value": "{{cycle.start.date}}"}]})
    result = poll(product.port, read, cycles=(CycleRequest(before), CycleRequest(CYCLE)))
    assert [request.param("since") for request in product.requests] == ["2026-10-02", "2026-11-01"]
    assert names(result, 4) == pseudonyms("old", cycle=before)
    assert names(result, 5) == pseudonyms("ann", "bob")
    assert (result.complete, result.provisioned, result.users_listed) == (True, None, 2)
    assert result.pages == 2


def test_an_empty_answer_to_a_filtered_request_is_complete(serve):
    read = source(http={"query": [{"name": "since", "value": "{{cycle.start}}"}]})
    result = people(serve, [], read)
    assert (result.complete, result.counted) == (True, 0)


@pytest.mark.parametrize(
    ("value", "guarantees"),
    [("{{cycle.end}}", {}), ("{{cycle.start}}", {"hiddenSeconds": 3600})],
)
def test_a_filter_that_may_hide_active_users_proves_nothing(serve, value, guarantees):
    read = source(
        http={"query": [{"name": "t", "value": value}]},
        guarantees={"removal": "Never", "ids": "Stable", **guarantees},
    )
    result = people(serve, USERS, read)
    assert result.incomplete is not None
    assert result.incomplete.reason == "FilteredByProduct"
    assert result.counted == 2


def test_no_id_appears_in_any_result_unless_asked_for(serve):
    rows = [{"id": f"leaky-{n}", "seen": ACTIVE, "mail": "leak@example.org"} for n in range(20)]
    assert "leak" not in repr(people(serve, rows))
    shown = people(serve, rows, show_ids=True)
    assert shown.ids == tuple(f"leaky-{n}" for n in range(20))
    assert "leak" not in repr(shown)  # not even then in a log of the result
