"""Numbers and event logs over HTTP are recorded and replayed as lists are."""

import json
from datetime import timedelta
from typing import Any

import pytest

from tests.sources.eventlog import EventLog, as_written
from tests.sources.product import answer
from tests.sources.test_captures import (
    CANARY,
    PEOPLE,
    capture,
    headers,
    must_give_the_same,
    record,
    replay,
)
from tests.sources.test_source_check import now

__all__ = ["capture"]

PLACE = {name: PEOPLE[name] for name in ("name", "pods", "auth")}
MONTH = {"type": "Rolling", "days": 30}
STATED = PLACE | {"http": {"path": "/s"}, "count": {"value": "active.users"}, "window": MONTH}
GAUGE = PLACE | {
    "prometheus": {"path": "/metrics", "metric": "users_active", "matchLabels": {"period": "30d"}},
    "window": MONTH,
}
TEXT = (
    f"# HELP users_active {CANARY}\n# TYPE users_active gauge\n"
    f'users_active{{period="30d",host="{CANARY}"}} 41\n'
    f'users_active{{period="1d",host="{CANARY}"}} 7\n'
    f'another{{user="{CANARY}"}} 3\n'
)


def metrics(text: str):
    return lambda _: answer(text.encode(), headers={**headers(), "Content-Type": "text/plain"})


def test_a_number_in_an_answer_is_kept_alone(run, file, serve, capture):
    body = {"active": {"users": 41, "names": [CANARY]}, "licence": CANARY}
    respond = lambda _: answer(body, headers=headers())  # noqa: E731
    recorded = record(run, file, serve, capture, STATED, respond)
    assert recorded.code == 0, recorded.err
    facts = must_give_the_same(recorded, replay(run, file, capture, STATED))
    assert facts["number"] == 41
    assert CANARY not in capture.read_text()


@pytest.mark.parametrize("end", ["", "# EOF\n"], ids=["Prometheus text", "OpenMetrics"])
def test_the_series_of_one_metric_are_kept_without_other_labels(run, file, serve, capture, end):
    recorded = record(run, file, serve, capture, GAUGE, metrics(TEXT + end))
    assert recorded.code == 0, recorded.err
    facts = must_give_the_same(recorded, replay(run, file, capture, GAUGE))
    assert facts["number"] == 41
    text = capture.read_text()
    assert CANARY not in text
    assert "other-" in text


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("another 3\n", "MetricNotFound"),
        (TEXT.replace("30d", "90d"), "MetricNotFound"),
        (TEXT.replace("41", "NaN"), "CountInvalid"),
        (TEXT.replace('"1d"', '"30d",a="b"'), "MetricAmbiguous"),
        (TEXT.replace("gauge", "counter"), "MetricNotAGauge"),
    ],
)
def test_a_number_that_cannot_be_used_is_recorded_with_its_reason(
    run, file, serve, capture, text, reason
):
    recorded = record(run, file, serve, capture, GAUGE, metrics(text))
    replayed = replay(run, file, capture, GAUGE)
    facts = must_give_the_same(recorded, replayed)
    assert facts["failure"]["reason"] == reason


def test_what_stands_in_place_of_a_number_is_not_kept(run, file, serve, capture):
    respond = lambda _: answer({"active": {"users": CANARY}}, headers=headers())  # noqa: E731
    recorded = record(run, file, serve, capture, STATED, respond)
    facts = must_give_the_same(recorded, replay(run, file, capture, STATED))
    assert facts["failure"]["reason"] == "CountInvalid"
    assert CANARY not in capture.read_text()


def events(**more: Any) -> dict[str, Any]:
    pages = {"type": "Offset", "offsetParam": "first", "limitParam": "max", "size": 10}
    return as_written(http={"pagination": pages}, **more).to_object() | PLACE


def product(kept: EventLog):
    def respond(asked):
        query = "&".join(f"{name}={value}" for name, value in asked.query)
        return answer(kept.respond(f"{asked.path}?{query}"), headers=headers())

    return respond


def log(**more: Any) -> EventLog:
    made = EventLog(**more)
    first = now() - timedelta(days=40)
    for number in range(50):
        stamp = first + timedelta(hours=19 * number)
        made.write(int(stamp.timestamp() * 1000), f"{CANARY}-{number % 7}")
    return made


def test_events_are_kept_by_time_and_person_without_their_names(run, file, serve, capture):
    recorded = record(run, file, serve, capture, events(), product(log()))
    assert recorded.code == 0, recorded.err
    facts = must_give_the_same(recorded, replay(run, file, capture, events()))
    assert facts["usersCounted"] == 7
    assert facts["complete"]
    assert CANARY not in capture.read_text()


def test_what_the_product_says_of_its_log_is_kept_as_far_as_the_source_names_it(
    run, file, serve, capture
):
    kept = log(settings={"on": True, "types": ["LOGIN", CANARY], "days": 900_000, "to": CANARY})
    source = events(
        events={
            "order": "NewestFirst",
            "id": "id",
            "settings": {
                "path": "/settings",
                "recording": "on && contains(types, 'LOGIN')",
                "retentionSeconds": "days",
            },
        }
    )
    recorded = record(run, file, serve, capture, source, product(kept))
    assert recorded.code == 0, recorded.err
    must_give_the_same(recorded, replay(run, file, capture, source))
    text = capture.read_text()
    assert CANARY not in text
    assert "LOGIN" in text


def test_a_log_that_is_switched_off_is_recorded_with_its_reason(run, file, serve, capture):
    source = events(
        events={"order": "NewestFirst", "settings": {"path": "/settings", "recording": "on"}}
    )
    recorded = record(run, file, serve, capture, source, product(log(settings={"on": False})))
    assert capture.exists(), recorded.err
    replayed = replay(run, file, capture, source)
    facts = must_give_the_same(recorded, replayed, until_now=("lost", "note"))
    assert facts["failure"]["reason"] == "EventsNotRecorded"
    assert json.loads(replayed.out)["lost"][0]["reason"] == "EventsNotRecorded"


def test_a_number_is_not_replayed_from_the_capture_of_another_metric(run, file, serve, capture):
    assert record(run, file, serve, capture, GAUGE, metrics(TEXT)).code == 0
    other = GAUGE | {"prometheus": GAUGE["prometheus"] | {"metric": "users_total"}}
    done = replay(run, file, capture, other)
    assert (done.code, "prometheus differ" in done.err) == (3, True)


def test_a_capture_says_what_it_was_read_for(run, file, serve, capture):
    assert record(run, file, serve, capture, GAUGE, metrics(TEXT)).code == 0
    assert set(json.loads(capture.read_text())["reads"]) == {"http", "prometheus", "count.value"}
