"""Polls of an event log over HTTP, of a product on a socket."""

from typing import Any

import msgspec
import pytest

from licenseusage.errors import Stalled
from licenseusage.metering.cycles import CYCLE_MASK, DAY_MS
from licenseusage.metering.events import LogState, united
from licenseusage.sources.definition.presets import effective
from licenseusage.sources.poll import CycleRequest, PollLimits
from tests.sources.eventlog import LAG_MS, EventLog, as_written, product, source
from tests.sources.product import CYCLE, NOW_MS, FixedClock, Product, answer, poll
from tests.sources.product import source as listed

HOUR_MS = 3_600_000
BEFORE = CYCLE.start_ms - HOUR_MS
SETTINGS = {"path": "/settings", "recording": "on", "retentionSeconds": "keep"}


def in_cycle(hours: float) -> int:
    return NOW_MS - int(hours * HOUR_MS)


class Reading:
    """Polls one product again and again, and remembers as the ledger does."""

    def __init__(self, serve: Any, log: EventLog, read: Any = None) -> None:
        self.log, self.source = log, read or source()
        self.product: Product = serve(product(log))
        self.clock = FixedClock()
        self.state: LogState | None = None
        self.users: set[bytes] = set()
        self.closed = False

    def poll(self, **more: Any) -> Any:
        result = poll(
            self.product.port,
            self.source,
            cycles=(CycleRequest(CYCLE, log=self.state),),
            clock=self.clock,
            **more,
        )
        for facts in result.facts.values():
            self.users |= set(facts.sure)
        reading = result.readings.get(CYCLE.index)
        if reading is not None:
            held = self.state or LogState(reading.after)
            self.state = LogState(
                reading.after,
                united([*held.ranges, *reading.ranges]),
                (*held.holes, *reading.holes),
                reading.behind,
            )
        return result

    @property
    def lost(self) -> list[str]:
        return [hole.reason for hole in self.state.holes] if self.state else []

    def later(self, hours: float) -> None:
        self.clock.at_ms += int(hours * HOUR_MS)


def filled(*stamps: int, newest_first: bool = True, **more: Any) -> EventLog:
    log = EventLog(newest_first, **more)
    log.write(BEFORE, "before")
    for number, stamp in enumerate(stamps):
        log.write(stamp, f"user-{number}")
    return log


def declared(form: str = "ms", pages: str = "Offset", **more: Any) -> Any:
    """A source whose clock is declared: the answers' Date stands, and later polls are later."""
    return source(form, pages, guarantees={"clockSkewSeconds": 1}, **more)


# -- what counts --


def test_each_person_counts_once_however_many_events_there_are(serve):
    log = filled()
    for hours in range(1, 40):
        log.write(in_cycle(hours), f"user-{hours % 3}")
    result = Reading(serve, log).poll()
    assert result.failure is None
    assert result.complete
    assert result.counted == 3
    assert result.users_listed == 40
    assert result.skipped == {"OutsideCycle": 1}


def test_events_outside_the_range_that_came_along_prove_nothing(serve):
    reading = Reading(serve, filled(NOW_MS - 1_000), source("day"))
    reading.poll()
    (known,) = reading.state.ranges
    assert known.end_ms <= NOW_MS - LAG_MS
    assert len(reading.users) == 1  # seen, and true by itself


def test_an_event_that_nobody_caused_or_that_is_excluded_is_no_person(serve):
    log = filled(in_cycle(1))
    log.held[50] = (in_cycle(2), None)
    log.held[51] = (in_cycle(3), "robot")
    read = source(users={"exclude": "user == 'robot'"})
    result = Reading(serve, log, read).poll()
    assert result.counted == 1
    assert result.skipped == {"OutsideCycle": 1, "NoId": 1, "ExcludedEvent": 1}


def test_the_next_poll_asks_for_what_is_new_and_the_event_it_remembers(serve):
    reading = Reading(serve, filled(*map(in_cycle, range(1, 60))), declared())
    reading.poll()
    asked = len(reading.log.asked)
    reading.log.write(reading.clock.at_ms + 1000, "new")
    reading.later(1)
    result = reading.poll()
    assert result.complete
    assert len(reading.users) == 60
    assert len(reading.log.asked) - asked <= 2
    assert int(reading.log.asked[-1]["start"]) >= NOW_MS - 2 * HOUR_MS


@pytest.mark.parametrize("newest_first", [True, False])
def test_a_log_longer_than_a_poll_is_read_in_portions(serve, newest_first):
    order = {"order": "NewestFirst" if newest_first else "OldestFirst"}
    log = filled(*map(in_cycle, range(1, 200)), newest_first=newest_first)
    reading = Reading(serve, log, source(events=order))
    limits = PollLimits(request_seconds=5, poll_seconds=10, poll_pages=6)
    first = reading.poll(limits=limits)
    assert first.failure is None
    assert not first.complete
    assert first.incomplete.reason == "ReadingBehind"
    assert first.readings[CYCLE.index].further
    polls = 1
    while reading.state.behind:
        assert reading.poll(limits=limits).failure is None
        polls += 1
        assert polls < 20
    assert len(reading.users) == 199
    assert len(reading.state.ranges) == 1


def test_a_cycle_that_was_read_to_its_end_is_closed(serve):
    reading = Reading(serve, filled(in_cycle(1)), declared())
    reading.poll()
    reading.clock.at_ms = CYCLE.end_ms + 2 * LAG_MS
    result = reading.poll()
    facts = result.facts[CYCLE.index]
    assert facts.ended & CYCLE_MASK
    (known,) = reading.state.ranges
    assert known.start_ms < CYCLE.start_ms
    assert known.end_ms >= CYCLE.end_ms


def test_an_ended_cycle_that_is_known_needs_no_further_request(serve):
    reading = Reading(serve, filled(in_cycle(1)), declared())
    reading.clock.at_ms = CYCLE.end_ms + 2 * LAG_MS
    reading.poll()
    asked = len(reading.log.asked)
    assert reading.poll().complete
    assert len(reading.log.asked) == asked


@pytest.mark.parametrize(
    ("form", "pages"),
    [
        *(("day", "Offset"), ("second", "None"), ("text", "Cursor"), ("ms", "Next")),
        ("second", "HeaderCursor"),
    ],
)
def test_whatever_the_request_looks_like_the_number_is_the_same(serve, form, pages):
    log = filled(*map(in_cycle, range(1, 90)), size=40, exclusive=True)
    result = Reading(serve, log, source(form, pages)).poll()
    assert result.failure is None
    assert result.complete
    assert result.counted == 89


def test_a_log_that_can_only_be_asked_from_its_newest_event_on_is_read(serve):
    reading = Reading(serve, filled(*map(in_cycle, range(1, 90))), declared(edges=()))
    assert reading.poll().counted == 89
    reading.later(1)
    assert reading.poll().complete
    assert reading.lost == []


# -- what is lost --


def test_a_log_proves_nothing_about_the_time_before_its_oldest_event(serve):
    log = EventLog()
    log.write(in_cycle(30), "a")
    reading = Reading(serve, log)
    reading.poll()
    assert reading.lost == ["LogBegan"]
    (hole,) = reading.state.holes
    assert hole.end_ms == in_cycle(30) + LAG_MS + 1


def test_a_log_without_any_event_proves_nothing(serve):
    result = Reading(serve, EventLog()).poll()
    assert result.failure is None
    assert not result.complete
    assert result.incomplete.reason == "LogEmpty"
    assert result.readings == {}


def test_a_product_that_says_that_it_records_is_believed_from_then_on(serve):
    log = EventLog(settings={"on": True})
    reading = Reading(serve, log, declared(events={"settings": SETTINGS}))
    reading.poll()
    assert reading.lost == ["LogBegan"]
    reading.later(1)
    assert reading.poll().complete
    (known,) = reading.state.ranges
    assert known.end_ms - known.start_ms == HOUR_MS


def test_a_log_that_was_cleared_is_a_gap_from_the_last_reading_to_this_one(serve):
    reading = Reading(serve, filled(in_cycle(5), in_cycle(1)), declared())
    reading.poll()
    until_ms = reading.state.position.until_ms
    reading.log.held.clear()
    reading.log.write(reading.clock.at_ms + HOUR_MS, "after")
    reading.later(2)
    result = reading.poll()
    assert result.failure is None
    assert "LogWentBack" in result.hint
    (hole,) = reading.state.holes
    assert (hole.start_ms, hole.reason) == (until_ms, "LogWentBack")
    assert hole.end_ms >= reading.clock.at_ms
    reading.later(1)
    reading.poll()
    assert reading.lost == ["LogWentBack"]  # from then on it is known again
    assert reading.state.ranges[-1].end_ms == reading.clock.at_ms - LAG_MS - 1000


def test_what_a_cleared_log_holds_again_counts_although_its_time_is_a_gap(serve):
    reading = Reading(serve, filled(in_cycle(1)), declared())
    reading.poll()
    reading.later(1)
    reading.log.held.clear()
    reading.log.write(reading.clock.at_ms - 1, "right before the poll that notices")
    reading.poll()
    assert reading.lost == ["LogWentBack"]
    assert len(reading.users) == 1
    reading.later(1)
    reading.poll()
    assert len(reading.users) == 2


@pytest.mark.parametrize(
    ("status", "fix"),
    [
        ("403 Forbidden", "may not read events.settings.path: give it that right"),
        ("404 Not Found", "Check events.settings.path, pods.port and the product's version"),
    ],
)
def test_settings_that_cannot_be_asked_for_are_named_by_their_own_path(serve, status, fix):
    refusing = serve(lambda asked: answer({}, status if asked.path == "/settings" else "200 OK"))
    failure = poll(refusing.port, declared(events={"settings": SETTINGS})).failure
    assert f"GET /settings answered with HTTP {status[:3]}" in failure.message
    assert fix in failure.message


def test_what_was_written_between_two_losses_counts(serve):
    log = filled(in_cycle(1), settings={"on": True})
    reading = Reading(serve, log, declared(events={"settings": SETTINGS}))
    reading.poll()
    reading.later(1)
    log.held.clear()
    log.write(reading.clock.at_ms - LAG_MS - 500, "too new for the poll that notices")
    reading.poll()
    log.settings["on"] = False
    reading.clock.at_ms += 700
    reading.poll()
    log.settings["on"] = True
    reading.later(1)
    reading.poll()
    assert reading.lost == ["LogWentBack", "EventsNotRecorded", "EventsNotRecorded"]
    assert len(reading.users) == 2


def test_what_was_recorded_before_it_was_switched_off_counts(serve):
    log = filled(in_cycle(1), settings={"on": True})
    reading = Reading(serve, log, declared(events={"settings": SETTINGS}))
    reading.poll()
    log.write(reading.clock.at_ms + 1, "right before it was switched off")
    log.settings["on"] = False
    reading.later(1)
    reading.poll()
    log.settings["on"] = True
    reading.later(1)
    reading.poll()
    assert len(reading.users) == 2


def test_events_that_expired_before_they_were_read_are_a_gap(serve):
    reading = Reading(serve, filled(in_cycle(1)), declared(events={"retentionDays": 2}))
    reading.poll()
    assert reading.lost == ["LogExpired"]
    reading.log.write(NOW_MS + HOUR_MS, "later")
    reading.later(24 * 5)
    reading.log.held = {99: (reading.clock.at_ms - HOUR_MS, "newer")}
    result = reading.poll()
    assert result.failure is None
    # Whether the log was kept since the oldest event could be there is not known either.
    assert reading.lost[1:] == ["LogExpired", "LogBegan"]
    assert "it keeps them for 48 h" in result.hint


def test_a_retention_that_the_product_shortened_is_seen(serve):
    log = filled(in_cycle(20), in_cycle(1), settings={"on": True, "keep": 40 * 86_400})
    reading = Reading(serve, log, declared(events={"settings": SETTINGS}))
    reading.poll()
    assert reading.lost == []
    log.settings["keep"] = HOUR_MS // 1000
    log.held.clear()
    reading.later(10)
    log.write(reading.clock.at_ms - 1000, "new")
    reading.poll()
    assert "LogExpired" in reading.lost
    assert "LogWentBack" not in reading.lost  # the remembered event had to expire


def test_a_log_that_is_switched_off_is_a_failure_and_a_gap_until_it_is_on_again(serve):
    log = filled(in_cycle(1), settings={"on": True, "keep": 0})
    reading = Reading(serve, log, declared(events={"settings": SETTINGS}))
    reading.poll()
    until_ms = reading.state.position.until_ms
    log.settings["on"] = False
    reading.later(1)
    for _ in range(2):
        failed = reading.poll().failure
        assert failed.reason == "EventsNotRecorded"
        assert failed.needs_a_person
        assert reading.lost == ["EventsNotRecorded"]
    log.settings["on"] = True
    reading.later(1)
    on_ms = reading.clock.at_ms
    assert reading.poll().failure is None
    assert reading.state.holes[0].start_ms == until_ms
    assert max(hole.end_ms for hole in reading.state.holes) >= on_ms
    reading.later(1)
    reading.poll()
    assert reading.state.ranges[-1].end_ms == reading.clock.at_ms - LAG_MS - 1000


def test_an_event_that_comes_later_than_the_declared_lag_is_told(serve):
    reading = Reading(serve, filled(in_cycle(5)), declared())
    reading.poll()
    reading.log.write(in_cycle(1), "late")
    reading.log.write(NOW_MS, "new")
    reading.later(1)
    result = reading.poll()
    assert len(reading.users) == 3
    assert "1 event was stored up to" in result.hint
    assert "later than guarantees.lagSeconds" in result.hint


def test_an_event_whose_user_cannot_be_read_is_a_gap_of_its_own_time(serve):
    log = filled(in_cycle(5), in_cycle(1))
    log.held[60] = (in_cycle(3), ["no", "id"])
    reading = Reading(serve, log)
    result = reading.poll()
    assert result.failure is None
    assert reading.lost == ["EventsUnreadable"]
    assert reading.state.holes[0].start_ms == in_cycle(3)
    assert len(reading.state.ranges) == 2


# -- what fails --


def rows(*stamps: Any) -> list[dict[str, Any]]:
    return [{"id": n, "user": f"u{n}", "at": stamp} for n, stamp in enumerate(stamps)]


HOSTILE = {
    "oldest first": ({"items": rows(in_cycle(3), in_cycle(2))}, "OrderViolated"),
    "an event without a time": ({"items": rows(in_cycle(1), None)}, "TimestampInvalid"),
    "a time that is none": ({"items": rows("yesterday")}, "TimestampInvalid"),
    "a time that means never": ({"items": rows(0)}, "TimestampInvalid"),
    "no list": ({"items": {"a": 1}}, "ItemsNotAList"),
    "no items": ({}, "ItemsNotAList"),
    "an error with status 200": ({"error": "denied"}, "ItemsNotAList"),
    "a list of texts": ({"items": ["a"]}, "TimestampInvalid"),
    "HTML": (b"<!doctype html><html>sign in</html>", "AnswerNotJSON"),
    "nothing": (b"", "AnswerEmpty"),
    "cut JSON": (b'{"items": [', "AnswerInvalidJSON"),
    "an event of tomorrow": ({"items": rows(NOW_MS + DAY_MS)}, "StampInFuture"),
    "the same page for ever": ({"items": rows(*map(in_cycle, range(1, 11)))}, "PagingIgnored"),
    "one time for all": ({"items": rows(*[in_cycle(1)] * 10)}, "EventsTied"),
    "no user at all": ({"items": [{"id": 1, "at": in_cycle(1)}]}, "IdMissing"),
    "ids of another type": ({"items": [{"user": [], "at": in_cycle(1)}]}, "EventsUnreadable"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_answer_has_a_reason_and_proves_nothing(serve, case):
    body, reason = HOSTILE[case]
    result = poll(serve(answer(body)).port, source())
    assert result.failure is not None
    assert result.failure.reason == reason
    assert not result.complete
    for reading in result.readings.values():
        assert reading.behind
        assert all(known.start_ms > min(map(in_cycle, range(1, 11))) for known in reading.ranges)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"on": True, "keep": "long"}, "a text instead of a number of seconds"),
        ({"on": True, "keep": -1}, "a number instead of a number of seconds"),
        ({"on": True, "keep": [1]}, "a list instead of a number of seconds"),
        (b"<html>", "an HTML or XML page"),
    ],
)
def test_settings_that_cannot_be_read_fail_the_poll(serve, settings, says):
    log = filled(in_cycle(1))
    read = source(events={"settings": SETTINGS})
    respond = product(log)
    made = serve(lambda asked: answer(settings) if asked.path == "/settings" else respond(asked))
    result = poll(made.port, read)
    assert result.failure is not None
    assert says in result.failure.message
    assert result.counted == 0


def test_what_is_not_true_is_off(serve):
    for value in (None, "true", 1, []):
        log = filled(in_cycle(1), settings={"on": value})
        result = Reading(serve, log, source(events={"settings": SETTINGS})).poll()
        assert result.failure.reason == "EventsNotRecorded"


def test_ids_that_may_change_fail_a_log(serve):
    read = source(guarantees={"ids": "Unknown", "removal": None})
    result = Reading(serve, filled(in_cycle(1)), read).poll()
    assert result.failure.reason == "IdsNotStable"
    assert result.readings == {}


# -- its definition --

REFUSED = [
    ({"events": {"order": None}}, "events.order is missing"),
    ({"events": {"settings": {}}}, "events.settings.path is missing"),
    ({"events": {"settings": {"path": "/s"}}}, "neither recording nor retentionSeconds"),
    ({"events": {"settings": {"path": "s", "recording": "on"}}}, "must begin with '/'"),
    ({"events": {"id": "["}}, "events.id: "),
    ({"guarantees": {"removal": "Never"}}, "guarantees.removal is about lists of users"),
    ({"users": {"lastActive": {"path": "x"}, "time": None}}, "createdAt are for listed users"),
    ({"http": {"query": [{"name": "a", "value": "{{cycle.start}}"}]}}, "is not a template of an"),
    ({"http": {"format": "NDJSON", "items": None}}, "NDJSON is for lists of users"),
]


@pytest.mark.parametrize(("fields", "says"), REFUSED)
def test_a_definition_that_cannot_be_used_names_field_and_fix(fields, says):
    with pytest.raises(Stalled, match=r"^Source people: ") as caught:
        effective(as_written(**fields))
    assert says in caught.value.message


@pytest.mark.parametrize(
    ("form", "pages", "edges", "order", "says"),
    [
        ("ms", "Offset", (), "OldestFirst", "must say from when on"),
        ("day", "Next", ("start", "end"), "NewestFirst", "{{range.end}} to the second"),
        ("ms", "Page", ("start",), "NewestFirst", "{{range.end}} to the second"),
        ("day", "None", ("start", "end"), "OldestFirst", "{{range.start}} to the second"),
    ],
)
def test_a_request_whose_pages_cannot_be_proved_is_refused(form, pages, edges, order, says):
    with pytest.raises(Stalled) as caught:
        source(form, pages, edges=edges, events={"order": order})
    assert says in caught.value.message


def test_lists_of_users_know_no_range():
    with pytest.raises(Stalled, match="is not a template of a list of users"):
        listed(http={"path": "/u", "query": [{"name": "a", "value": "{{range.start}}"}]})


def test_the_digest_of_a_log_is_of_its_order_and_settings_too():
    read = source()
    assert read.digest() != source(events={"retentionDays": 3}).digest()
    assert read.digest() == msgspec.structs.replace(read, name="other").digest()
