"""A product that asks for patience gets it, as long as the poll's time allows."""

import time

import pytest

from licenseusage.sources.http.patience import pause_seconds, told_seconds
from licenseusage.sources.poll import PollLimits
from licenseusage.sources.workers.workers import Workers
from tests.sources.product import (
    DATE,
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

OFFSETS = {"type": "Offset", "offsetParam": "offset", "limitParam": "count", "size": 15}
PAGED = source(
    http={"path": "/api/v1/users.list", "pagination": OFFSETS | {"total": "total"}},
    guarantees=KNOWN_CLOCK | {"order": "ImmutableKey"},
)
ROWS = [{"id": f"u{n:03}", "seen": at(f"{n % 19 + 1:02}T10:00:00")} for n in range(40)]
LIMITED = "429 Too Many Requests"


def limiter(*refusals):
    """A product with 40 users that refuses pages once: offsets, and its answers."""
    left = dict(refusals)

    def respond(asked):
        offset = int(asked.param("offset"))
        if offset in left:
            return left.pop(offset)
        return answer({"value": ROWS[offset : offset + 15], "total": 40})

    return respond


def refused(status=LIMITED, **headers):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return answer({"error": "too many requests"}, status, headers=named)


def offsets(product):
    return [one.param("offset") for one in product.requests]


@pytest.mark.parametrize("status", [LIMITED, "503 Service Unavailable"])
def test_a_refusal_in_mid_list_is_waited_for_and_the_same_page_asked_for_again(serve, status):
    product = serve(limiter((14, refused(status, Retry_After="1"))))
    began = time.monotonic()
    result = poll(product.port, PAGED)
    assert (result.failure, result.complete, result.users_listed) == (None, True, 40)
    assert offsets(product) == ["0", "14", "14", "28"]
    assert time.monotonic() - began >= 1


def test_a_date_is_waited_for_by_the_products_own_clock(serve):
    soon = "Fri, 20 Nov 2026 12:00:01 GMT"
    product = serve(limiter((0, refused(Retry_After=soon, Date=DATE))))
    assert poll(product.port, PAGED).complete


async def test_a_worker_waits_as_well(serve):
    product = serve(limiter((28, refused(Retry_After="1"))))
    async with Workers(1) as workers:
        result = await workers.poll(request(product.port, PAGED))
    assert (result.failure, result.users_listed) == (None, 40)


def test_a_wait_longer_than_the_polls_time_names_the_page_size_and_not_the_interval(serve):
    product = serve(limiter((28, refused(Retry_After="3600"))))
    result = poll(product.port, PAGED)
    assert result.failure is not None
    assert (result.failure.reason, result.failure.needs_a_person) == ("TooManyRequests", False)
    assert "asks to wait 3600 s" in result.failure.message
    assert "Ask for larger pages (http.pagination.size)" in result.failure.message
    assert "intervalMinutes" not in result.failure.message
    assert result.seconds < 5


def test_who_says_no_time_is_not_waited_for(serve):
    product = serve(limiter((14, refused())))
    result = poll(product.port, PAGED)
    assert result.failure is not None
    assert result.failure.reason == "TooManyRequests"
    assert "larger pages" in result.failure.message
    assert len(product.requests) == 2


def test_a_list_of_one_answer_has_no_pages_to_make_larger(serve):
    result = poll(serve(refused()).port)
    assert result.failure is not None
    assert "Raise intervalMinutes" in result.failure.message


def test_a_pod_that_is_not_available_is_waited_for_only_where_no_other_is_left(serve):
    away, good = serve(refused("503 Service Unavailable", Retry_After="5")), serve(limiter())
    result = poll(0, PAGED, targets=targets(away, good))
    assert (result.failure, result.target, len(away.requests)) == (None, "pod-1", 1)
    assert result.seconds < 4


def test_a_poll_begins_before_the_first_refusal(serve):
    """Whatever happened while it was waiting may or may not be in the list."""
    clock = FixedClock()
    whole = answer({"value": USERS})

    def respond(_):
        if len(product.requests) == 1:
            return refused(Retry_After="1")
        clock.at_ms += 1000
        return whole

    product = serve(respond)
    result = poll(product.port, source(guarantees=KNOWN_CLOCK), clock=clock)
    assert (result.failure, result.started_ms, result.ended_ms) == (None, NOW_MS, NOW_MS + 1000)


@pytest.mark.parametrize(
    ("told", "waits", "left", "seconds"),
    [
        (10, 0, 300, 10),
        (0, 0, 300, 1),  # at once would be a storm
        (1, 4, 300, 16),  # refused again and again: each time longer
        (10, 0, 10, None),
        (3600, 0, 300, None),
        (None, 0, 300, None),
    ],
)
def test_how_long_a_page_is_waited_for(told, waits, left, seconds):
    assert pause_seconds(429, told, waits, left, others=False) == seconds


def test_other_statuses_are_not_waited_for():
    for status in (200, 401, 404, 500, 502):
        assert pause_seconds(status, 1, 0, 300, others=False) is None
    assert pause_seconds(503, 1, 0, 300, others=True) is None
    assert pause_seconds(429, 1, 0, 300, others=True) == 1


def test_retry_after_is_read_against_the_date_of_its_own_answer():
    later = "Fri, 20 Nov 2026 12:02:00 GMT"
    assert told_seconds(later, "Fri, 20 Nov 2026 12:00:00 GMT", now_s=0) == 120
    assert told_seconds("7", None, now_s=0) == 7
    assert told_seconds(None, DATE, now_s=0) is None
    assert told_seconds("soon", "yesterday", now_s=0) is None


def test_the_time_a_poll_may_take_bounds_all_its_waits(serve):
    product = serve(refused(Retry_After="1"))
    result = poll(product.port, PAGED, limits=PollLimits(request_seconds=5, poll_seconds=3))
    assert result.failure is not None
    assert result.failure.reason == "TooManyRequests"
    assert len(product.requests) == 2
