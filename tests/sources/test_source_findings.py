"""What ``source check`` finds out about a source that answers well and counts wrongly."""

import json
import re
from datetime import timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from tests.sources.product import answer
from tests.sources.test_source_check import OTHER, ago, now

PLACE = {
    "name": "other",
    "pods": {"selector": {"matchLabels": {"app": "x"}}, "port": 1, "scheme": "HTTP"},
}
MONTH = {"type": "Rolling", "days": 30}
GAUGE = PLACE | {"prometheus": {"path": "/m", "metric": "users_active"}, "window": MONTH}
STATED = PLACE | {"http": {"path": "/s"}, "count": {"value": "active"}, "window": MONTH}
PEOPLE = OTHER | PLACE


def check(run, file, serve, source, body):
    content = body.encode() if isinstance(body, str) else body
    date = format_datetime(now(), usegmt=True)
    url = f"http://127.0.0.1:{serve(lambda _: answer(content, headers={'Date': date})).port}"
    done = run("source", "check", file(source), "--url", url)
    assert done.code == 0, done.err
    return done.out


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("license_seats", "is a limit"),
        ("app_max_users", "is a limit"),
        ("users_total", "counts accounts"),
        ("registered_users", "counts accounts"),
        ("climax", None),
        ("http_requests", None),
    ],
)
def test_a_gauge_beside_which_another_metric_states_the_same_is_doubted_by_its_name(
    run, file, serve, name, found
):
    text = f'# TYPE users_active gauge\nusers_active 250\n{name}{{plan="x"}} 250.0\n'
    shown = check(run, file, serve, GAUGE, text)
    assert "number   250" in shown
    assert (f"{name} states 250, too" in shown) == (found is not None)
    assert found is None or found in shown


def test_the_fix_of_a_saturated_gauge_is_named_and_ends_the_doubt(run, file, serve):
    text = "users_active 250\nlicense_seats 250\n"
    assert "declare count.saturatesAt 250" in check(run, file, serve, GAUGE, text)
    declared = GAUGE | {"count": {"saturatesAt": 250}}
    shown = check(run, file, serve, declared, text)
    assert "license_seats" not in shown
    assert "CountSaturated" in shown


@pytest.mark.parametrize(
    ("beside", "name"),
    [
        ({"licence": {"userLimit": 250}}, "licence.userLimit"),
        ({"usersTotal": 250}, "usersTotal"),
        ({"usersTotal": 251}, None),
        ({"limits": [250]}, None),
    ],
)
def test_a_number_in_an_answer_is_held_against_the_other_members(run, file, serve, beside, name):
    shown = check(run, file, serve, STATED, {"active": 250, **beside})
    assert ("states 250, too" in shown) == (name is not None)
    assert name is None or name in shown


def rows(*seen: str | None) -> list[dict[str, Any]]:
    return [{"id": f"u{number}", "seen": one} for number, one in enumerate(seen)]


@pytest.mark.parametrize(
    ("days", "users", "noted"), [(40, 5, True), (40, 4, False), (20, 5, False)]
)
def test_times_that_stand_still_are_those_of_a_directory_that_is_read_only(
    run, file, serve, days, users, noted
):
    """The cycle of a check began 29 days ago: who was active since is counted."""
    shown = check(run, file, serve, PEOPLE, rows(*[ago(days=days + 1, hours=1)] * users))
    assert ("a directory became read-only" in shown) == noted
    assert (f"{days + 1} days ago" in shown) == noted


def test_one_who_was_active_in_the_cycle_shows_that_times_are_written(run, file, serve):
    shown = check(run, file, serve, PEOPLE, rows(ago(hours=1), *[ago(days=60)] * 9))
    assert "read-only" not in shown


def test_a_list_in_which_nobody_has_a_time_names_the_read_only_directory(run, file, serve):
    shown = check(run, file, serve, PEOPLE, rows(*[None] * 9))
    assert "NobodyStamped" in shown
    assert "in a read-only directory: let it write there, or read its event log" in shown


def test_events_are_shown_by_day_with_the_first_of_each_decision_as_pseudonyms(run, file, serve):
    day = now().replace(hour=0, minute=0, second=0, microsecond=0)
    seen = [(1, "a"), (1, "b"), (1, "bot"), (2, "a"), (3, ""), (60, "c")]
    rows = [
        {"id": n, "user": user, "at": f"{day - timedelta(days=days):%Y-%m-%dT%H:%M:%SZ}"}
        for n, (days, user) in enumerate(seen)
    ]
    pages = {"type": "Offset", "offsetParam": "first", "limitParam": "max", "size": 50}
    source = PLACE | {
        "http": {"path": "/log", "pagination": pages},
        "events": {"order": "NewestFirst", "id": "id"},
        "users": {"id": "user", "time": {"path": "at"}, "exclude": "user == 'bot'"},
        "guarantees": {"ids": "Stable"},
    }
    date = {"Date": format_datetime(now(), usegmt=True)}
    page = lambda asked: answer(rows[int(asked.param("first")) :], headers=date)  # noqa: E731
    url = f"http://127.0.0.1:{serve(page).port}"
    asked = ("source", "check", file(source), "--url", url)
    done = run(*asked, "-o", "json")
    assert done.code == 0, done.err
    facts = json.loads(done.out)
    names = [f"{day - timedelta(days=days):%Y-%m-%d}" for days in (3, 2, 1)]
    assert facts["events"]["days"] == dict(zip(names, (1, 1, 3), strict=True))
    assert facts["events"]["beforeCycle"] == 1
    assert facts["lastActivities"] is None
    counts = {why: len(users) for why, users in facts["examples"].items()}
    assert counts == {"Counted": 3, "ExcludedEvent": 1, "NoId": 1, "OutsideCycle": 1}
    first, second, third = (one["user"] for one in facts["examples"]["Counted"])
    assert first not in {"a", "b", second}
    assert third in {first, second}
    shown = run(*asked).out
    assert "events:" in shown
    assert re.search(rf"^  {names[2]} +3  #{{40}}$", shown, re.M)
    assert "never" not in shown
    assert "Counted, for example:" in shown


def test_what_was_asked_for_is_shown_step_by_step_without_cursors(run, file, serve):
    """A cursor is often the id of the last user of a page."""
    people = [{"id": f"leaky-{n:02}", "seen": ago(days=1)} for n in range(40)]

    def respond(asked):
        left = [one for one in people if one["id"] > (asked.param("after") or "")]
        more = left[0]["id"] if len(left) > 1 else None
        date = {"Date": format_datetime(now(), usegmt=True)}
        return answer({"rows": left[:1], "next": more}, headers=date)

    http = {
        "path": "/people",
        "items": "rows",
        "query": [{"name": "kind", "value": "all"}, {"name": "since", "value": "{{cycle.start}}"}],
        "pagination": {"type": "Cursor", "params": [{"name": "after", "path": "next"}]},
    }
    url = f"http://127.0.0.1:{serve(respond).port}"
    asked = ("source", "check", file(PEOPLE | {"http": http}), "--url", url)
    shown = run(*asked).out
    assert "/people?kind=all&since=…\n" in shown
    assert "/people?kind=all&since=…&after=…\n" in shown
    assert "… and 28 more like these" in shown
    assert "leaky" not in shown
    first = json.loads(run(*asked, "-o", "json").out)["requests"][0]
    assert (first["status"], first["target"]) == (200, "/people?kind=all&since=…")
    assert first["bytes"] > 10


def test_an_answer_that_is_refused_is_among_what_was_asked_for(run, file, serve):
    url = f"http://127.0.0.1:{serve(lambda _: answer(b'', '403 Forbidden')).port}"
    done = run("source", "check", file(PEOPLE), "--url", url)
    assert done.code == 1
    assert re.search(r"^asked for:\n  403 +0 bytes .*/people$", done.out, re.M)
