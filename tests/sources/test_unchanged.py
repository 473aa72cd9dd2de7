"""A product may say that its list has not changed (304); what that proves, and when it is asked."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from licenseusage.errors import Stalled
from licenseusage.metering.cycles import DAY_MS, Cycle
from licenseusage.sources.definition.effective import effective_of
from licenseusage.sources.definition.model import EffectiveSource
from licenseusage.sources.lists.memory import ListMemory
from licenseusage.sources.lists.unchanged import AnswerMemory, KeptAnswer
from licenseusage.sources.poll import Credentials, CycleRequest, PollResult
from licenseusage.sources.workers.kinds import collect
from tests.sources.product import (
    CYCLE,
    NOW_MS,
    USERS,
    Answer,
    FixedClock,
    Product,
    Request,
    answer,
    at,
    request,
    source,
    written,
)

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
EVE = {"id": "eve", "seen": at("20T11:00:00")}
BODY_BYTES = len(json.dumps({"value": USERS}))


@dataclass
class Wiki:
    """A product whose list has an ETag; ``lies`` says "not modified" whatever has changed."""

    users: list[dict[str, Any]] = field(default_factory=lambda: list(USERS))
    etag: str | None = '"1"'
    lies: bool = False

    def respond(self, asked: Request) -> Answer:
        wanted = asked.headers.get("if-none-match")
        if wanted is not None and (wanted == self.etag or self.lies):
            headers = {"ETag": wanted, "Content-Length": None}
            return answer(b"", "304 Not Modified", headers=headers)
        return answer({"value": self.users}, headers={"ETag": self.etag})

    def changes(self, etag: str = '"2"') -> None:
        self.users = [*self.users, EVE]
        self.etag = etag


@dataclass
class Worker:
    """One worker process, as far as it remembers lists; polls at times of one's choice."""

    product: Product
    memory: ListMemory = field(default_factory=ListMemory)
    read: EffectiveSource = field(
        default_factory=lambda: source(
            http={"validator": "ETag"}, guarantees={"clockSkewSeconds": 5}
        )
    )

    def poll(self, after_ms: int = 0, **more: Any) -> PollResult:
        asked = request(self.product.port, more.pop("read", self.read), **more)
        return collect(asked, FixedClock(NOW_MS + after_ms), self.memory)

    @property
    def asked(self) -> list[str | None]:
        """For which ETag each list so far was not wanted."""
        return [one.headers.get("if-none-match") for one in self.product.requests]


@pytest.fixture
def wiki() -> Wiki:
    return Wiki()


@pytest.fixture
def worker(wiki: Wiki) -> Iterator[Worker]:
    product = Product(wiki.respond)
    yield Worker(product)
    product.close()


def reason(result: PollResult) -> str | None:
    assert result.failure is None
    return None if result.incomplete is None else result.incomplete.reason


# -- what such an answer says --


def test_an_unchanged_list_counts_the_same_people_without_being_sent(worker: Worker) -> None:
    first, again = worker.poll(), worker.poll(15 * MINUTE_MS)
    assert worker.asked == [None, '"1"']
    assert again.failure is None
    assert (again.counted, again.users_listed, again.provisioned, again.skipped) == (
        first.counted,
        first.users_listed,
        first.provisioned,
        first.skipped,
    )
    assert again.facts[CYCLE.index].sure == first.facts[CYCLE.index].sure
    assert (first.bytes, first.saved_bytes) == (BODY_BYTES, 0)
    assert (again.bytes, again.saved_bytes) == (0, BODY_BYTES)
    assert again.started_ms == NOW_MS + 15 * MINUTE_MS


def test_an_unchanged_list_rules_nobody_out(worker: Worker) -> None:
    roster = (CycleRequest(CYCLE, roster=True),)
    first, again = worker.poll(cycles=roster), worker.poll(MINUTE_MS, cycles=roster)
    assert first.complete
    assert first.facts[CYCLE.index].closed
    assert first.facts[CYCLE.index].roster is not None
    assert reason(again) == "ListUnchanged"
    assert not again.complete
    proved = again.facts[CYCLE.index]
    assert (proved.closed, proved.ended, proved.maybe, proved.roster) == (0, 0, {}, None)
    assert again.hint == ""


def test_nobody_moved_in_a_list_that_is_unchanged(worker: Worker, wiki: Wiki) -> None:
    wiki.users.append({"id": "me", "seen": at("20T12:00:00")})
    assert worker.poll().moved
    assert worker.poll(MINUTE_MS).moved == ()


def test_a_changed_list_is_read_with_the_same_request(worker: Worker, wiki: Wiki) -> None:
    worker.poll()
    wiki.changes()
    result = worker.poll(MINUTE_MS)
    assert worker.asked == [None, '"1"']
    assert result.complete
    assert result.counted == 3
    worker.poll(2 * MINUTE_MS)
    assert worker.asked[-1] == '"2"'


def test_without_a_validator_nothing_is_asked_but_for_the_list(worker: Worker) -> None:
    for _ in range(2):
        assert worker.poll(read=source()).complete
    assert worker.asked == [None, None]


# -- when the whole list is read --


def test_the_whole_list_is_read_at_least_once_an_hour(worker: Worker) -> None:
    results = [worker.poll(minutes * MINUTE_MS) for minutes in range(0, 150, 15)]
    whole = [minutes for minutes, one in zip(range(0, 150, 15), results, strict=True) if one.bytes]
    assert whole == [0, 60, 120]
    assert [one.complete for one in results] == [bool(one.bytes) for one in results]


def test_the_first_poll_that_can_close_a_day_reads_the_whole_list(worker: Worker) -> None:
    midnight = CYCLE.start_ms + 20 * DAY_MS - NOW_MS
    worker.poll(midnight - 10 * MINUTE_MS)
    before = worker.poll(midnight + 30_000)  # what was done before midnight may be shown later
    after = worker.poll(midnight + 2 * MINUTE_MS)
    assert (reason(before), reason(after)) == ("ListUnchanged", None)
    assert after.facts[CYCLE.index].closed >> 19 & 1


def test_a_poll_that_writes_the_roster_of_the_coming_cycle_reads_the_whole_list(
    worker: Worker,
) -> None:
    worker.poll()
    coming = Cycle(CYCLE.index + 1, CYCLE.end_ms, CYCLE.end_ms + DAY_MS)
    cycles = (CycleRequest(CYCLE), CycleRequest(coming, roster=True, coming=True))
    assert worker.poll(MINUTE_MS, cycles=cycles).complete
    assert worker.asked == [None, None]


def test_a_list_read_before_all_of_a_day_had_to_be_shown_closes_no_day(worker: Worker) -> None:
    midnight = CYCLE.start_ms + 20 * DAY_MS - NOW_MS
    worker.poll(midnight + 30_000)
    after = worker.poll(midnight + 2 * MINUTE_MS)
    assert worker.asked == [None, None]
    assert after.facts[CYCLE.index].closed >> 19 & 1


def test_another_pod_is_asked_for_the_whole_list(worker: Worker, wiki: Wiki) -> None:
    worker.poll()
    other = Product(wiki.respond)
    try:
        assert Worker(other, worker.memory, worker.read).poll(MINUTE_MS).complete
        assert [one.headers.get("if-none-match") for one in other.requests] == [None]
    finally:
        other.close()


def test_a_closing_poll_reads_the_whole_list(worker: Worker) -> None:
    worker.poll()
    assert worker.poll(MINUTE_MS, closing=True).complete
    assert worker.asked == [None, None]


@pytest.mark.parametrize("before_end_ms", [HOUR_MS, MINUTE_MS, 0, -MINUTE_MS])
def test_from_the_last_hour_of_the_cycle_on_the_whole_list_is_read(
    worker: Worker, before_end_ms: int
) -> None:
    end = CYCLE.end_ms - NOW_MS
    worker.poll(end - before_end_ms - MINUTE_MS)
    worker.poll(end - before_end_ms)
    assert worker.asked == [None, None]


def test_a_clock_that_was_set_back_reads_the_whole_list(worker: Worker) -> None:
    worker.poll()
    worker.poll(-10 * MINUTE_MS)
    assert worker.asked == [None, None]


def test_another_worker_reads_the_whole_list(worker: Worker) -> None:
    worker.poll()
    Worker(worker.product, read=worker.read).poll(MINUTE_MS)
    assert worker.asked == [None, None]


OTHERS: dict[str, Callable[[Worker], dict[str, Any]]] = {
    "object": lambda _: {"subject": "other/usage"},
    "definition": lambda _: {
        "read": source(
            http={"validator": "ETag"},
            guarantees={"clockSkewSeconds": 5},
            users={"excludeIds": ["ann"]},
        )
    },
    "token": lambda _: {"credentials": Credentials("a", "b", "Bearer another")},
    "key": lambda _: {"pseudonym_key": b"o" * 32},
    "segment": lambda _: {"cycles": (CycleRequest(CYCLE, since_ms=CYCLE.start_ms + DAY_MS),)},
    "product": lambda _: {"product": "other"},
}


@pytest.mark.parametrize("other", OTHERS)
def test_what_was_read_is_of_one_object_definition_account_and_cycle(
    worker: Worker, other: str
) -> None:
    worker.poll()
    worker.poll(MINUTE_MS, **OTHERS[other](worker))
    assert worker.asked == [None, None]


def test_a_poll_that_was_not_complete_is_none_to_compare_with(worker: Worker, wiki: Wiki) -> None:
    wiki.users.append(dict(USERS[0]))  # a row that stands twice
    assert reason(worker.poll()) == "RowsRepeated"
    worker.poll(MINUTE_MS)
    assert worker.asked == [None, None]


# -- answers that lie --


def test_a_lie_costs_no_bound_and_is_over_within_the_hour(worker: Worker, wiki: Wiki) -> None:
    worker.poll()
    wiki.lies = True
    wiki.changes()
    lied = worker.poll(15 * MINUTE_MS)
    assert (lied.counted, lied.complete) == (2, False)
    found = worker.poll(61 * MINUTE_MS)
    assert (found.counted, found.complete) == (3, True)


def test_one_etag_for_two_lists_is_named_and_no_longer_used(worker: Worker, wiki: Wiki) -> None:
    worker.poll()
    wiki.changes(etag='"1"')
    assert reason(worker.poll(15 * MINUTE_MS)) == "ListUnchanged"
    found = worker.poll(61 * MINUTE_MS)
    later = worker.poll(62 * MINUTE_MS)
    for result in (found, later):
        assert (result.counted, result.complete) == (3, True)
        assert any("ETagUnreliable" in note and "http.validator" in note for note in result.notes)
    assert worker.asked[-1] is None


def test_an_answer_about_another_list_is_not_believed_and_asked_again(
    worker: Worker, wiki: Wiki
) -> None:
    worker.poll()
    wiki.changes()
    honest = wiki.respond

    def stale(asked: Request) -> Answer:
        if "if-none-match" in asked.headers:
            return answer(b"", "304 Not Modified", headers={"ETag": '"0"'})
        return honest(asked)

    worker.product.respond = stale
    result = worker.poll(MINUTE_MS)
    assert worker.asked == [None, '"1"', None]
    assert (result.counted, result.complete) == (3, True)
    assert any("ETagUnreliable" in note for note in result.notes)


@pytest.mark.parametrize("etag", [None, 'W/"1"'])
def test_a_list_without_a_strong_etag_is_read_and_a_note_says_so(
    worker: Worker, wiki: Wiki, etag: str | None
) -> None:
    wiki.etag = etag
    for minutes in range(2):
        result = worker.poll(minutes * MINUTE_MS)
        assert result.complete
        assert any("no strong ETag" in note for note in result.notes)
    assert worker.asked == [None, None]


def test_no_id_is_kept_of_a_list_that_may_be_unchanged(worker: Worker) -> None:
    worker.poll()
    kept = repr(vars(worker.memory.answers))
    assert "ann" not in kept
    assert "bob" not in kept


# -- for which lists --


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"http": {"pagination": {"type": "Next"}}}, "the list has pages"),
        (
            {"window": {"type": "Rolling", "days": 3}, "users": {"lastActive": None}},
            "not for window",
        ),
        (
            {
                "http": {"query": [{"name": "q", "value": "{{range.start}}{{range.end}}"}]},
                "users": {"lastActive": None, "time": {"path": "seen"}},
                "events": {"order": "NewestFirst"},
                "guarantees": {"removal": None},
            },
            "not for events",
        ),
        ({"users": {"acrossPods": "Same"}}, "which compares whole lists"),
    ],
)
def test_a_validator_is_refused_where_an_answer_that_is_repeated_may_be_false(
    fields: dict[str, Any], said: str
) -> None:
    http = {"validator": "ETag"} | fields.pop("http", {})
    with pytest.raises(Stalled, match=said) as refused:
        source(http=http, **fields)
    assert refused.value.reason == "InvalidSource"
    source(http=http | {"validator": "None"}, **fields)


def test_a_validator_goes_with_no_post() -> None:
    posted = {"http": {"method": "POST", "body": "{}", "validator": "ETag"}}
    with pytest.raises(Stalled, match="method is POST"):
        effective_of(written(), posted)


def test_a_validator_decides_nothing_about_who_counts() -> None:
    plain, with_one = source(), source(http={"validator": "ETag"})
    assert plain.selection == with_one.selection
    assert plain.declaration == with_one.declaration


# -- the memory --


def _answer_of(size: int) -> KeptAnswer:
    found = PollResult(0, 0)
    return KeptAnswer('"1"', b"d" * size, 0, found)


def test_of_too_many_lists_the_oldest_are_forgotten() -> None:
    memory = AnswerMemory(most_bytes=3000)
    for key in (b"a", b"b", b"c"):
        memory.keep(key, _answer_of(1))
    assert [memory.known(key) is not None for key in (b"a", b"b", b"c")] == [False, True, True]
