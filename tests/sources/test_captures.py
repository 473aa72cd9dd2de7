"""``source check --record`` and ``--replay``: what a capture holds, and what it must not."""

import gzip
import json
from datetime import timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from tests.sources.product import answer
from tests.sources.test_source_check import OTHER, ago, now

CANARY = "canary-7c1d"
TOKEN = f"{CANARY}-token"
SECRET = ("--secret", f"meter/token={TOKEN}")
PEOPLE = OTHER | {
    "pods": {"selector": {"matchLabels": {"app": "x"}}, "port": 1, "scheme": "HTTP"},
    "auth": {"header": {"secretRef": {"name": "meter", "key": "token"}}},
    "guarantees": {"removal": "Never", "ids": "Stable"},
}


def person(number: int, **more: Any) -> dict[str, Any]:
    return {
        "id": f"{CANARY}-{number:03}",
        "mail": f"{CANARY}@example.org",
        "seen": ago(days=number % 40, minutes=1),
        "profile": {"name": f"{CANARY} Smith"},
        **more,
    }


def headers() -> dict[str, str]:
    date = format_datetime(now(), usegmt=True)
    return {"Date": date, "Set-Cookie": f"s={CANARY}", "Server": CANARY}


@pytest.fixture
def capture(tmp_path) -> Path:
    return tmp_path / "people.capture.json"


def record(run, file, serve, capture, source, respond, *more):
    product = serve(respond)
    url = f"http://127.0.0.1:{product.port}"
    asked = ("source", "check", file(source), "--url", url, *SECRET, "-o", "json")
    return run(*asked, "--record", capture, *more)


def replay(run, file, capture, source, *more):
    return run("source", "check", file(source), "--replay", capture, "-o", "json", *more)


NOT_SAME = (
    "asOfTime", "bytes", "seconds", "examples", "clockSkewSeconds", "notes", "requests",
)  # fmt: skip


def must_give_the_same(recorded, replayed, *, until_now=()) -> dict[str, Any]:
    """Both told the same, but for what always differs and the members that end at the time."""
    one, other = json.loads(recorded.out), json.loads(replayed.out)
    for name in (*NOT_SAME, *until_now):
        one.pop(name), other.pop(name)
    assert one == other
    return one


def by_offset(rows):
    def respond(asked):
        at, limit = int(asked.param("offset")), int(asked.param("limit"))
        page = {"rows": rows[at : at + limit], "total": len(rows)}
        return answer({"data": page}, headers=headers())

    return respond


def by_cursor(rows):
    def respond(asked):
        after = asked.param("after") or ""
        left = [row for row in rows if row["id"] > after]
        page, more = left[:20], left[20:]
        following = page[-1]["id"] if more else None
        return answer({"rows": page, "next": following, "note": CANARY}, headers=headers())

    return respond


def by_link(rows):
    def respond(asked):
        at = int(asked.param("at") or "0")
        more = at + 20 < len(rows)
        link = {"Link": f'<https://{CANARY}.org/people?at={at + 20}&k={CANARY}>; rel="next"'}
        return answer(rows[at : at + 20], headers={**headers(), **(link if more else {})})

    return respond


def by_header(rows):
    def respond(asked):
        at = int((asked.param("after") or f"{CANARY}-0").removeprefix(f"{CANARY}-"))
        following = f"{CANARY}-{at + 20}" if at + 20 < len(rows) else None
        named = {"X-Next-Cursor": following, "X-Other": CANARY}
        return answer(rows[at : at + 20], headers={**headers(), **named})

    return respond


def in_lines(rows):
    return lambda _: answer(
        b"".join(json.dumps(row).encode() + b"\n" for row in rows), headers=headers()
    )


OFFSET = {"type": "Offset", "offsetParam": "offset", "limitParam": "limit", "size": 20}
KINDS = {
    "one page": ({"path": "/people"}, {}, lambda rows: lambda _: answer(rows, headers=headers())),
    "offset": (
        {"path": "/people", "items": "data.rows", "pagination": {**OFFSET, "total": "data.total"}},
        {"order": "ImmutableKey"},
        by_offset,
    ),
    "cursor": (
        {
            "path": "/people",
            "items": "rows",
            "pagination": {"type": "Cursor", "params": [{"name": "after", "path": "next"}]},
        },
        {"order": "KeyCursor"},
        by_cursor,
    ),
    "link": ({"path": "/people", "pagination": {"type": "Next"}}, {}, by_link),
    "cursor in a header": (
        {
            "path": "/people",
            "pagination": {
                "type": "HeaderCursor",
                "header": "x-next-cursor",
                "cursorParam": "after",
            },
        },
        {},
        by_header,
    ),
    "lines": ({"path": "/people", "format": "NDJSON"}, {}, in_lines),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_replay_gives_what_was_recorded_and_the_file_names_nobody(
    run,
    file,
    serve,
    capture,
    kind,
):
    http, guarantees, respond = KINDS[kind]
    source = PEOPLE | {"http": http, "guarantees": {**PEOPLE["guarantees"], **guarantees}}
    source["users"] = {**source["users"], "excludeIds": [f"{CANARY}-003"]}
    rows = [*(person(n) for n in range(50)), person(99, seen=None)]
    recorded = record(run, file, serve, capture, source, respond(rows))
    assert (recorded.code, recorded.err) == (0, "")
    assert CANARY not in capture.read_text()
    assert "127.0.0.1" not in capture.read_text()
    replayed = replay(run, file, capture, source)
    assert (replayed.code, replayed.err) == (0, "")
    facts = must_give_the_same(recorded, replayed)
    assert (facts["usersListed"], facts["skipped"]["ExcludedId"]) == (51, 1)
    assert facts["lastActivities"]["never"] == 1
    assert replay(run, file, capture, source).out == replayed.out


def test_a_token_from_another_server_is_not_in_the_file(run, file, serve, capture):
    given = {"access_token": TOKEN, "token_type": "Bearer", "expires_in": 60}
    issuer = f"http://127.0.0.1:{serve(answer(given)).port}"
    product = serve(lambda _: answer([person(1)], headers=headers()))
    oauth2 = {"tokenPath": "/token", "endpoint": "idp", "secretRef": {"name": "client"}}
    source = PEOPLE | {"auth": {"oauth2": oauth2}}
    client = ("--secret", "client/client_id=meter", "--secret", f"client/client_secret={TOKEN}")
    asked = ("--url", f"http://127.0.0.1:{product.port}", "--token-url", issuer, *client)
    recorded = run("source", "check", file(source), *asked, "-o", "json", "--record", capture)
    assert recorded.code == 0
    assert product.requests[0].headers["authorization"] == f"Bearer {TOKEN}"
    must_give_the_same(recorded, replay(run, file, capture, source))
    assert CANARY not in capture.read_text()


@pytest.mark.parametrize("packed", [False, True])
def test_an_answer_beyond_the_limit_is_neither_kept_nor_unpacked(run, file, serve, capture, packed):
    body = json.dumps([person(n) for n in range(400)]).encode()
    sent = gzip.compress(body) if packed else body
    encoding = {"Content-Encoding": "gzip"} if packed else {}
    respond = lambda _: answer(sent, headers={**headers(), **encoding})  # noqa: E731
    limit = ("--poll-bytes", 30_000)
    done = record(run, file, serve, capture, PEOPLE, respond, *limit)
    assert (done.code, capture.exists()) == (1, False)
    assert json.loads(done.out)["failure"]["reason"] == "PollTooLarge"
    assert "CaptureNotMade" in done.err


def test_a_compressed_answer_is_recorded_as_what_it_says(run, file, serve, capture):
    sent = gzip.compress(json.dumps([person(1)]).encode())
    packed = {**headers(), "Content-Encoding": "gzip"}
    recorded = record(run, file, serve, capture, PEOPLE, lambda _: answer(sent, headers=packed))
    must_give_the_same(recorded, replay(run, file, capture, PEOPLE))


def test_both_passes_of_a_closing_poll_are_recorded(run, file, serve, capture):
    source = PEOPLE | {"http": {"path": "/people", "pagination": {"type": "Next"}}}
    respond = by_link([person(n) for n in range(50)])
    recorded = record(run, file, serve, capture, source, respond, "--closing")
    facts = must_give_the_same(recorded, replay(run, file, capture, source))
    assert (facts["complete"], facts["pages"]) == (True, 6)


def test_a_list_without_times_is_recorded_too(run, file, serve, capture):
    source = PEOPLE | {"users": {"id": "id"}, "window": {"type": "Rolling", "days": 7}}
    rows = [person(n) for n in range(5)]
    recorded = record(run, file, serve, capture, source, lambda _: answer(rows, headers=headers()))
    facts = must_give_the_same(recorded, replay(run, file, capture, source))
    assert (facts["usersCounted"], CANARY in capture.read_text()) == (5, False)
    assert ago(minutes=1)[:10] not in json.loads(capture.read_text())["answers"][0]["body"]


def test_what_says_that_there_is_more_stays_without_its_value(run, file, serve, capture):
    source = PEOPLE | {"http": {"path": "/people", "items": "rows"}}
    links = {"links": {"next": f"https://x/?after={CANARY}"}, "nextOffset": 918273645, "total": 9}
    page = {"rows": [person(1)], **links}
    recorded = record(run, file, serve, capture, source, lambda _: answer(page, headers=headers()))
    facts = must_give_the_same(recorded, replay(run, file, capture, source))
    assert facts["complete"] is False
    assert CANARY not in capture.read_text()
    assert "918273645" not in capture.read_text()


def test_ids_keep_their_kind(run, file, serve, capture):
    uuid = "2f1c8a70-6a52-4b1e-9a37-0d5a3c7e1f44"
    source = PEOPLE | {"guarantees": {"removal": "Never"}}
    rows = [person(1, id=uuid), person(2, id=918273645)]
    recorded = record(run, file, serve, capture, source, lambda _: answer(rows, headers=headers()))
    must_give_the_same(recorded, replay(run, file, capture, source))
    assert uuid[4:12] not in capture.read_text()
    assert "918273645" not in capture.read_text()


def test_what_a_condition_reads_stays_only_if_the_condition_names_it(
    run,
    file,
    serve,
    capture,
):
    users = {**PEOPLE["users"], "exclude": "kind == 'bot'"}
    rows = [person(1, kind="bot"), person(2, kind=f"{CANARY}-staff")]
    source = PEOPLE | {"users": users}
    recorded = record(run, file, serve, capture, source, lambda _: answer(rows, headers=headers()))
    facts = must_give_the_same(recorded, replay(run, file, capture, source))
    assert facts["skipped"] == {"Excluded": 1}
    assert CANARY not in capture.read_text()


def test_answers_that_say_something_else_without_names_are_not_recorded(
    run,
    file,
    serve,
    capture,
):
    users = {**PEOPLE["users"], "exclude": f"id == '{CANARY}-001'"}
    rows = [person(1), person(2)]
    respond = lambda _: answer(rows, headers=headers())  # noqa: E731
    done = record(run, file, serve, capture, PEOPLE | {"users": users}, respond)
    assert (done.code, "CaptureNotMade" in done.err, capture.exists()) == (1, True, False)
    assert json.loads(done.out)["skipped"] == {"Excluded": 1}


def test_a_failure_for_what_the_answers_hold_is_recorded(run, file, serve, capture):
    ahead = (now() + timedelta(hours=5)).strftime("%Y-%m-%dT%H:%M:%SZ")
    rows = [person(1, seen=ahead)]
    recorded = record(run, file, serve, capture, PEOPLE, lambda _: answer(rows, headers=headers()))
    replayed = replay(run, file, capture, PEOPLE)
    assert (recorded.code, replayed.code) == (1, 1)
    assert json.loads(replayed.out)["failure"]["reason"] == "StampInFuture"


def test_a_text_in_place_of_a_time_is_kept_as_its_shape(run, file, serve, capture):
    rows = [person(1, seen=f"{CANARY} 2026")]
    recorded = record(run, file, serve, capture, PEOPLE, lambda _: answer(rows, headers=headers()))
    replayed = replay(run, file, capture, PEOPLE)
    assert json.loads(recorded.out)["failure"]["reason"] == "TimestampInvalid"
    assert json.loads(replayed.out)["failure"]["reason"] == "TimestampInvalid"
    assert CANARY not in capture.read_text()


def test_without_an_answer_there_is_no_capture(run, file, serve, capture):
    refused = answer(b"", "401 Unauthorized")
    done = record(run, file, serve, capture, PEOPLE, lambda _: refused)
    assert (done.code, capture.exists()) == (1, False)
    assert "CaptureNotMade: Source other: there was no answer to record (Unauthorized)" in done.err


UNSUPPORTED = {
    "an id of an expression": (
        {"http": {"path": "/u"}, "users": {"id": "ids[0]", "lastActive": {"path": "seen"}}},
        "users.id (ids[0])",
    ),
    "a condition of whole items": (
        {
            "http": {"path": "/u"},
            "users": {**OTHER["users"], "exclude": "starts_with(login, 'svc-')"},
        },
        "users.exclude (starts_with(login, 'svc-'))",
    ),
    "events": ({}, "users.id (join('', [a, b]))"),
}


@pytest.mark.parametrize("kind", UNSUPPORTED)
def test_what_cannot_be_recorded_is_named_before_anything_is_asked(
    run,
    file,
    serve,
    capture,
    kind,
):
    asked = []
    product = serve(lambda request: asked.append(request) or answer([]))
    if kind == "events":
        source: dict[str, Any] = {
            "name": "events",
            "preset": "OpenCloudEvents",
            "pods": {"selector": {"matchLabels": {"app": "x"}}},
            "users": {"id": "join('', [a, b])"},
        }
        url = f"nats://127.0.0.1:{product.port}"
    else:
        left = {name: PEOPLE[name] for name in ("name", "pods")}
        source, url = left | UNSUPPORTED[kind][0], f"http://127.0.0.1:{product.port}"
    done = run("source", "check", file(source), "--url", url, "--record", capture)
    assert done.code == 1
    assert "CaptureNotMade" in done.err
    assert UNSUPPORTED[kind][1] in done.err
    assert (asked, capture.exists()) == ([], False)


@pytest.fixture
def made(run, file, serve, capture) -> Path:
    respond = lambda _: answer([person(1), person(2)], headers=headers())  # noqa: E731
    assert record(run, file, serve, capture, PEOPLE, respond).code == 0
    return capture


CHANGES = {
    "cut": (lambda text: text[: len(text) // 2], "is not JSON: it was cut off"),
    "edited": (lambda text: text.replace("-user-", "-abuser-", 1), "its digest differs"),
    "another version": (lambda text: text.replace("capture/v1", "capture/v9"), "capture/v9"),
    "something else": (lambda _: "{}", "no capture"),
    "a member more": (lambda text: text.replace("{", '{"x": 1,', 1), "was changed"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_capture_that_was_changed_is_refused(run, file, made, change):
    edit, told = CHANGES[change]
    made.write_text(edit(made.read_text()))
    done = replay(run, file, made, PEOPLE)
    assert (done.code, done.out) == (3, "")
    assert "CaptureInvalid" in done.err
    assert told in done.err


def test_a_source_that_reads_other_members_is_refused(run, file, made):
    users = {**PEOPLE["users"], "lastActive": {"path": "lastSeen"}}
    done = replay(run, file, made, PEOPLE | {"users": users})
    assert (done.code, "users.lastActive.path differ" in done.err) == (3, True)


def test_a_kind_that_no_capture_holds_is_not_replayed(run, file, made):
    left = {name: PEOPLE[name] for name in ("name", "pods")}
    done = replay(run, file, made, left | UNSUPPORTED["an id of an expression"][0])
    assert (done.code, "No capture is of such a source" in done.err) == (3, True)


def test_a_corrected_guarantee_or_time_zone_is_tried_on_the_same_capture(
    run,
    file,
    made,
):
    source = PEOPLE | {"guarantees": {"removal": "Unknown", "ids": "Stable"}}
    facts = json.loads(replay(run, file, made, source).out)
    assert facts["accuracyAtBest"]["accuracy"] != "Exact"


def test_a_capture_is_never_overwritten(run, file, serve, made):
    before = made.read_bytes()
    done = record(run, file, serve, made, PEOPLE, lambda _: answer([], headers=headers()))
    assert (done.code, "FileExists" in done.err) == (3, True)
    assert made.read_bytes() == before


@pytest.mark.parametrize(
    "option",
    [
        ("--url", "http://h:1"),
        SECRET,
        ("--record", "x"),
        ("--cycle-start", "2026-01-01"),
        ("--closing",),
    ],
)
def test_a_replay_asks_nobody(run, file, made, option):
    done = replay(run, file, made, PEOPLE, *option)
    assert (done.code, "a replay asks nobody" in done.err) == (2, True)


def test_there_must_be_an_address_or_a_capture(run, file, tmp_path):
    done = run("source", "check", file(PEOPLE), *SECRET)
    assert (done.code, "or --replay" in done.err) == (2, True)
    done = run("source", "check", file(PEOPLE), "--replay", tmp_path / "nowhere")
    assert (done.code, "FileUnreadable" in done.err) == (3, True)
