"""Several ready pods serve one product: what one of them cannot answer, the next one is asked."""

import json

import pytest

from licenseusage.metering.cycles import DAY_MS, Cycle
from licenseusage.sources.poll import CycleRequest, PollLimits
from licenseusage.sources.workers.workers import Workers
from tests.sources.product import (
    CYCLE,
    KNOWN_CLOCK,
    NOW_MS,
    USERS,
    FixedClock,
    answer,
    at,
    poll,
    request,
    source,
    targets,
)

WHOLE = answer({"value": USERS})
CURSOR = {"type": "Cursor", "params": [{"name": "after", "path": "next"}]}
PAGED = source(http={"pagination": CURSOR})


def cut(_):
    body = json.dumps({"value": USERS}).encode()
    return [answer(body, length=len(body) + 10)]


def hanging(product):
    def hang(_):
        product.stopped.wait(20)
        yield b""

    product.respond = hang
    return product


FAULTS = {
    "5xx": answer(b"", "502 Bad Gateway"),
    "starting": answer(b"", "503 Service Unavailable"),
    "notYetMigrated": answer(b"", "404 Not Found"),
    "olderVersion": answer(b"", "405 Method Not Allowed"),
    "cut": cut,
    "cutWithoutLength": lambda _: [
        answer(b'{"value": [{"id": "ann"', headers={"Content-Length": None, "Connection": "close"})
    ],
    "noContent": answer(b"", "204 No Content"),
    "startingPage": answer(b"<html>starting</html>", headers={"Content-Type": "text/html"}),
    "errorWith200": answer({"error": "no database"}),
    "closed": lambda _: [b""],
    "noHTTP": lambda _: [b"SSH-2.0-OpenSSH_9\r\n\r\n"],
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_one_pod_cannot_answer_is_asked_of_the_next_within_the_poll(serve, fault):
    failing, good = serve(FAULTS[fault]), serve(WHOLE)
    result = poll(0, targets=targets(failing, good))
    assert (result.failure, result.complete, result.counted) == (None, True, 2)
    assert result.target == "pod-1"


def test_a_pod_that_hangs_leads_to_the_next(serve):
    slow, good = hanging(serve(b"")), serve(WHOLE)
    limits = PollLimits(request_seconds=0.3, poll_seconds=10)
    result = poll(0, targets=targets(slow, good), limits=limits)
    assert (result.failure, result.counted, result.target) == (None, 2, "pod-1")


def test_pods_that_hang_cost_their_silence_each_and_the_poll_ends_in_time(serve):
    slow = [hanging(serve(b"")) for _ in range(4)]
    limits = PollLimits(request_seconds=0.3, poll_seconds=0.8)
    result = poll(0, targets=targets(*slow), limits=limits)
    assert result.failure is not None
    assert result.failure.reason == "PollTimeout"
    assert "Before it pod-0 (RequestTimeout), pod-1 (RequestTimeout) did" in result.failure.message
    assert result.seconds < 3


def test_the_pod_that_failed_and_the_one_that_answered_are_said(serve):
    failing, good = serve(FAULTS["5xx"]), serve(WHOLE)
    (note,) = poll(0, targets=targets(failing, good)).notes
    assert note == (
        "Source people: pod-0 (ServerError) did not answer as it should; pod-1 did. See its log."
    )


def test_nothing_is_said_where_the_first_pod_answers(serve):
    first, second = serve(WHOLE), serve(FAULTS["5xx"])
    result = poll(0, targets=targets(first, second))
    assert (result.notes, result.target, second.requests) == ((), "pod-0", [])


def page(number, *users, following):
    rows = [{"id": user, "seen": at("05T10:00:00")} for user in users]
    return answer({"value": rows, "next": following, "page": number})


def test_a_list_is_read_anew_at_the_next_pod_never_put_together_of_two(serve):
    """Both lists are whole at one moment; first of one and last of the other are no list."""

    def first(asked_for):
        if asked_for.param("after"):
            return answer(b"", "500 Internal Server Error")
        return page(1, "ann", "bob", following="2")

    def second(asked_for):
        if asked_for.param("after"):
            return page(2, "dan", following=None)
        return page(1, "ann", "cid", following="2")

    failing, good = serve(first), serve(second)
    result = poll(0, PAGED, targets=targets(failing, good))
    assert [one.param("after") for one in good.requests] == [None, "2"]
    assert (result.failure, result.users_listed, result.counted) == (None, 3, 3)
    assert result.complete == poll(0, PAGED, targets=targets(good)).complete


def test_a_poll_begins_with_the_pod_whose_list_is_used(serve):
    """What must be visible in a list is judged by when that list was read."""
    clock = FixedClock()

    def late(_):
        clock.at_ms += 60_000
        return answer(b"", "500 Internal Server Error")

    failing, good = serve(late), serve(answer({"value": USERS}))
    read = source(guarantees=KNOWN_CLOCK)
    result = poll(0, read, targets=targets(failing, good), clock=clock)
    assert result.failure is None
    assert result.started_ms == NOW_MS + 60_000


def test_each_cycles_list_is_of_one_pod_where_the_request_names_the_cycle(serve):
    answers = iter([WHOLE, answer(b"", "500 Internal Server Error")])
    failing, good = serve(lambda _: next(answers)), serve(WHOLE)
    before = Cycle(4, CYCLE.start_ms - 30 * DAY_MS, CYCLE.start_ms)
    read = source(http={"query": [{"name": "since", "value": "{{cycle.start}}"}]})
    cycles = (CycleRequest(before), CycleRequest(CYCLE))
    result = poll(0, read, targets=targets(failing, good), cycles=cycles)
    assert (result.failure, len(good.requests)) == (None, 2)


REFUSALS = ["401 Unauthorized", "403 Forbidden", "302 Found", "429 Too Many Requests"]


@pytest.mark.parametrize("status", REFUSALS)
def test_who_refuses_the_account_or_has_had_enough_requests_is_not_gone_around(serve, status):
    refusing, other = serve(answer(b"", status)), serve(WHOLE)
    result = poll(0, targets=targets(refusing, other))
    assert result.failure is not None
    assert other.requests == []


def test_a_clock_that_is_wrong_is_not_gone_around(serve):
    """Users of that replica have its times in the list, whichever replica shows it."""
    wrong = serve(answer({"value": USERS}, headers={"Date": "Fri, 20 Nov 2026 11:00:00 GMT"}))
    other = serve(WHOLE)
    result = poll(0, targets=targets(wrong, other))
    assert result.failure is not None
    assert (result.failure.reason, other.requests) == ("ClockSkewTooLarge", [])


def test_where_no_pod_answers_their_number_and_the_last_failure_are_told(serve):
    products = serve(FAULTS["notYetMigrated"]), serve(FAULTS["5xx"])
    result = poll(0, targets=targets(*products))
    assert result.failure is not None
    assert (result.failure.reason, result.failure.needs_a_person) == ("ServerError", False)
    assert result.failure.message.startswith(
        "Source people: none of 2 ready pods answered as it should; the last, pod-1: GET /users "
        "answered with HTTP 502."
    )


def test_only_a_person_can_mend_what_every_pod_answers_alike(serve):
    products = [serve(FAULTS["notYetMigrated"]) for _ in range(2)]
    result = poll(0, targets=targets(*products))
    assert result.failure is not None
    assert (result.failure.reason, result.failure.needs_a_person) == ("PathNotFound", True)


def test_a_failure_that_stops_the_poll_names_the_pods_asked_before(serve):
    products = serve(FAULTS["5xx"]), serve(answer(b"", "401 Unauthorized"))
    result = poll(0, targets=targets(*products))
    assert result.failure is not None
    assert result.failure.message.startswith("Source people, pod-1:")
    assert "Before it pod-0 (ServerError) did not answer as it should." in result.failure.message


def test_whom_the_longest_list_named_counts_although_every_pod_failed(serve):
    def cut_later(asked_for):
        if asked_for.param("after"):
            return answer(b"", "500 Internal Server Error")
        return page(1, "ann", "bob", following="2")

    products = serve(cut_later), serve(FAULTS["5xx"])
    result = poll(0, PAGED, targets=targets(*products))
    assert result.failure is not None
    assert len(result.facts[CYCLE.index].sure) == 2
    assert not any(facts.closed for facts in result.facts.values())


def test_all_pods_together_keep_to_the_polls_bytes(serve):
    rows = [{"id": f"u{number}", "seen": None, "x": "y" * 900} for number in range(40)]
    body = json.dumps({"value": rows}).encode()
    failing = serve(lambda _: [answer(body, length=len(body) + 10)])
    good = serve(answer(body))
    limits = PollLimits(poll_bytes=int(len(body) * 1.5))
    result = poll(0, targets=targets(failing, good), limits=limits)
    assert result.failure is not None
    assert result.failure.reason == "PollTooLarge"


async def test_a_worker_asks_the_next_pod_as_well(serve):
    failing, good = serve(FAULTS["5xx"]), serve(WHOLE)
    read = source(guarantees=KNOWN_CLOCK)
    async with Workers(1) as workers:
        result = await workers.poll(request(0, read, targets=targets(failing, good)))
    assert (result.failure, result.counted, result.target) == (None, 2, "pod-1")


SAME = source(users={"acrossPods": "Same"}, guarantees=KNOWN_CLOCK)


def people(**seen):
    return answer({"value": [{"id": user, "seen": at_ and at(at_)} for user, at_ in seen.items()]})


def test_with_same_every_pod_is_asked_and_lists_that_agree_are_one(serve):
    pods = [serve(WHOLE) for _ in range(3)]
    result = poll(0, SAME, targets=targets(*pods))
    assert [len(pod.requests) for pod in pods] == [1, 1, 1]
    assert (result.failure, result.complete, result.counted, result.users_listed) == (
        None,
        True,
        2,
        5,
    )
    alone = poll(0, source(guarantees=KNOWN_CLOCK), targets=targets(pods[0]))
    assert result.facts == alone.facts


def test_pods_with_data_of_their_own_name_people_and_rule_nobody_out(serve):
    """The lists are as long as each other: only the people in them are others."""
    first, second = people(ann="05T10:00:00", bob=None), people(cid="06T10:00:00", dan=None)
    result = poll(0, SAME, targets=targets(serve(first), serve(second)))
    assert (result.failure, result.complete) == (None, False)
    assert result.incomplete.reason == "ListsDisagree"
    assert "pods pod-0 and pod-1 do not show the same list" in result.incomplete.message
    facts = result.facts[CYCLE.index]
    assert (len(facts.sure), facts.closed, facts.roster) == (2, 0, None)


@pytest.mark.parametrize("ahead", ["first", "second"])
def test_a_pod_that_is_behind_ends_the_proof_and_the_newer_time_counts(serve, ahead):
    old, new = people(ann="01T10:00:00"), people(ann="05T10:00:00")
    order = (new, old) if ahead == "first" else (old, new)
    result = poll(0, SAME, targets=targets(*map(serve, order)))
    assert result.incomplete.reason == "ListsDisagree"
    assert result.counted == 1


def test_lists_of_another_length_disagree(serve):
    first, second = people(ann="05T10:00:00"), people(ann="05T10:00:00", new=None)
    result = poll(0, SAME, targets=targets(serve(first), serve(second)))
    assert "1 users are listed by one, 2 by the other" in result.incomplete.message


def test_what_happens_while_pods_are_read_is_no_disagreement(serve):
    now = "20T11:59:59"
    first, second = people(ann="05T10:00:00"), people(ann=now)
    result = poll(0, SAME, targets=targets(serve(first), serve(second)))
    assert (result.failure, result.incomplete, result.complete) == (None, None, True)


@pytest.mark.parametrize("fault", FAULTS)
def test_with_same_a_pod_that_does_not_answer_fails_the_poll(serve, fault):
    good, failing = serve(WHOLE), serve(FAULTS[fault])
    result = poll(0, SAME, targets=targets(good, failing))
    assert result.failure is not None
    assert "pod-1" in result.failure.message
    assert (result.complete, len(result.facts[CYCLE.index].sure)) == (False, 2)


def test_a_stamp_in_the_future_at_any_pod_fails_the_poll(serve):
    result = poll(0, SAME, targets=targets(serve(WHOLE), serve(people(ann="29T10:00:00"))))
    assert result.failure.reason == "StampInFuture"


def test_with_same_a_poll_begins_with_its_first_pod(serve):
    clock = FixedClock()

    def late(_):
        clock.at_ms += 60_000
        return WHOLE

    result = poll(0, SAME, targets=targets(serve(late), serve(late)), clock=clock)
    assert (result.started_ms, result.ended_ms) == (NOW_MS, NOW_MS + 120_000)
