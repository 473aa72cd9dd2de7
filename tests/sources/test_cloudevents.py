"""What a request to the intake says (`sources.pushed`): its form, its times, no word of an id."""

import json
from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from licenseusage.metering.cycles import Terms
from licenseusage.metering.pseudonym import Pseudonymiser
from licenseusage.reasons import Reason
from licenseusage.sources.pushed.cloudevents import (
    BATCH,
    BINARY,
    STRUCTURED,
    Activity,
    BadPushError,
    Pushed,
    read,
)
from licenseusage.sources.pushed.naming import named
from tests.controller.intakedesk import pushed
from tests.properties import examples

AT = "2026-11-12T09:30:00Z"
AT_MS = int(datetime(2026, 11, 12, 9, 30, tzinfo=UTC).timestamp()) * 1000
EVENT = {
    "specversion": "1.0",
    "id": "1",
    "source": "/shop",
    "type": "dev.licenseusage.activity",
    "time": AT,
    "data": {"user": "ada"},
}
HEARTBEAT = {
    **{name: EVENT[name] for name in ("specversion", "id", "source")},
    "type": "dev.licenseusage.heartbeat",
    "data": {"completeThrough": AT},
}


def of(*events) -> Pushed:
    return read(BATCH, {}, json.dumps(events).encode(), 100)


def refused(body, media_type=BATCH, headers=None) -> BadPushError:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    with pytest.raises(BadPushError) as caught:
        read(media_type, headers or {}, raw, 3)
    return caught.value


def test_a_batch_a_single_event_and_binary_mode_say_the_same():
    expected = Pushed("/shop", (Activity("ada", AT_MS),))
    assert of(EVENT) == expected
    assert read(STRUCTURED, {}, json.dumps(EVENT).encode(), 1) == expected
    headers = {f"ce-{name}": EVENT[name] for name in ("specversion", "id", "type", "time")}
    headers["ce-source"] = "%2Fshop"
    assert read(BINARY, headers, b'{"user": "ada"}', 1) == expected


def test_an_empty_batch_is_a_request_without_events():
    assert of() == Pushed("", ())


def test_of_several_heartbeats_the_greatest_counts():
    later = HEARTBEAT | {"data": {"completeThrough": "2026-11-12T09:31:00Z"}}
    assert of(later, EVENT, HEARTBEAT).through_ms == AT_MS + 60_000


def test_an_integer_is_the_text_of_it():
    assert of(EVENT | {"data": {"user": 4711}}).activities[0].user == "4711"


def test_attributes_and_data_that_nobody_asks_for_are_passed_over():
    assert of(EVENT | {"subject": "x", "traceparent": "y", "data": {"user": "ada", "more": [1]}})


@pytest.mark.parametrize(
    ("text", "at_ms"),
    [
        ("2026-11-12T09:30:00.123456789Z", AT_MS + 123),
        ("2026-11-12t09:30:00z", AT_MS),
        ("2026-11-12T10:30:00+01:00", AT_MS),
        ("2026-11-12T09:29:60Z", AT_MS - 1),
    ],
)
def test_times_are_read_as_rfc_3339_writes_them(text, at_ms):
    assert of(EVENT | {"time": text}).activities[0].at_ms == at_ms


WRONG = {
    "not JSON": (b"[{", "the body is not JSON"),
    "not UTF-8": (b'[{"id": "\xff"}]', "the body is not JSON"),
    "half a surrogate": (b'[{"id": "\\ud800"}]', "the body is not JSON"),
    "deep": (b'[{"x":' + b"[" * 100_000, "the body is not JSON"),
    "an object for a batch": (EVENT, "the body: expected `array`, got `object`"),
    "another version": ([EVENT | {"specversion": "0.3"}], "event 1: specversion must be 1.0"),
    "no id": ([{n: v for n, v in EVENT.items() if n != "id"}], "missing required field `id`"),
    "an empty id": ([EVENT | {"id": ""}], "event 1: id is empty"),
    "a source with a space": ([EVENT | {"source": "my shop"}], "event 1: source must be"),
    "a long source": ([EVENT | {"source": "/" * 300}], "event 1: source must be"),
    "another type": ([EVENT | {"type": "com.example.login"}], "event 1: type must be"),
    "no user": ([EVENT | {"data": {}}], "event 1: data.user is missing"),
    "an empty user": ([EVENT | {"data": {"user": ""}}], "event 1: data.user is missing"),
    "no data": ([EVENT | {"data": None}], "event 1: data.user is missing"),
    "a user that is true": ([EVENT | {"data": {"user": True}}], "event 1, data.user: expected"),
    "a user that is a number": ([EVENT | {"data": {"user": 1.5}}], "event 1, data.user: expected"),
    "a user that is an object": ([EVENT | {"data": {"user": {}}}], "event 1, data.user: expected"),
    "a long user": ([EVENT | {"data": {"user": "x" * 2000}}], "longer than 1024"),
    "a user with a zero": ([EVENT | {"data": {"user": "a\0"}}], "broken letters"),
    "no time": ([EVENT | {"time": None}], "event 1: time is missing"),
    "a day": ([EVENT | {"time": "2026-11-12"}], "event 1: time must be RFC 3339"),
    "no zone": ([EVENT | {"time": "2026-11-12T09:30:00"}], "event 1: time must be RFC 3339"),
    "a number as time": ([EVENT | {"time": 1762939800}], "event 1, time: expected"),
    "a 31st of February": ([EVENT | {"time": "2026-02-31T00:00:00Z"}], "no time that exists"),
    "the epoch": ([EVENT | {"time": "1970-01-01T00:00:00Z"}], "before 1990"),
    "a heartbeat without a time": ([HEARTBEAT | {"data": {}}], "data.completeThrough is missing"),
    "two producers": ([EVENT, EVENT | {"source": "/b"}], "2 different values of source"),
    "the second of two": ([EVENT, EVENT | {"time": "x"}], "event 2: time must be"),
    "too many": ([EVENT] * 4, "4 events, at most 3"),
}


@pytest.mark.parametrize(("body", "says"), WRONG.values(), ids=WRONG)
def test_what_is_not_in_the_form_is_refused_with_its_place(body, says):
    assert says in str(refused(body))


def test_binary_mode_without_an_attribute_says_which():
    error = refused(b"{}", BINARY, {"ce-id": "1", "ce-specversion": "1.0"})
    assert (error.reason, str(error)[:27]) == (Reason.PUSH_INVALID, "header ce-source is missing")


texts = st.text(max_size=20)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
members = st.sampled_from([*EVENT, "data"])


def outcome(body: bytes, media_type: str) -> Pushed | BadPushError:
    headers = {f"ce-{name}": EVENT[name] for name in ("specversion", "id", "source", "type")}
    try:
        return read(media_type, headers, body, 10)
    except BadPushError as error:
        return error


@examples(300)
@given(st.lists(st.dictionaries(members, values, max_size=3), max_size=3))
def test_anything_sent_is_read_or_refused_and_quoted_nowhere(changes):
    secret = "person-0815"
    events = [EVENT | {"data": {"user": secret}} | change for change in changes]
    result = outcome(json.dumps(events).encode(), BATCH)
    if isinstance(result, BadPushError):
        assert secret not in str(result)
        assert len(str(result)) < 300
    else:
        assert len(result.activities) <= len(events)


@examples(300)
@given(st.binary(max_size=200), st.sampled_from([BATCH, STRUCTURED, BINARY]))
def test_any_bytes_are_read_or_refused(body, media_type):
    result = outcome(body, media_type)
    if isinstance(result, BadPushError):
        assert result.reason in (Reason.PUSH_INVALID, Reason.EVENT_INVALID)


CYCLE = Terms(date(2026, 11, 1), length_days=30).cycle(0)


def test_ids_become_pseudonyms_of_their_cycle_and_the_rest_is_told_apart():
    source = pushed(users={"normalize": ["Trim", "Lowercase"], "excludeIds": ["bot"]})
    sent = [
        *(Activity("Ada ", AT_MS), Activity("ada", AT_MS), Activity("BOT", AT_MS)),
        *(Activity(" ", AT_MS), Activity("eve", CYCLE.end_ms), Activity("eve", CYCLE.start_ms)),
    ]
    result = named(source, sent, [CYCLE], lambda cycle: Pseudonymiser(b"k" * 32, "shop", 0))
    events = result.events[CYCLE]
    assert (len(events), len({event.user for event in events})) == (3, 2)
    assert (result.outside, result.excluded) == (1, 2)
    assert b"ada" not in b"".join(event.user for event in events)
