"""Who is called while a poll lasts: only who is there, as of a moment ago."""

import asyncio
from dataclasses import replace

import pytest

from licenseusage.errors import Failure
from licenseusage.sources.failures import PollError
from licenseusage.sources.poll import Credentials, Looked, PollLimits, Target
from licenseusage.sources.whereabouts import Whereabouts
from licenseusage.sources.workers.workers import Workers
from tests.sources.product import KNOWN_CLOCK, USERS, answer, at, poll, request, source

CURSOR = {"type": "Cursor", "params": [{"name": "after", "path": "next"}]}
PAGED = source(
    http={"pagination": CURSOR},
    guarantees=KNOWN_CLOCK,
)
TOKEN = Credentials(header_value="Bearer x")
ALWAYS = PollLimits(request_seconds=5, poll_seconds=10, look_seconds=0)
"""Each connection is preceded by a look."""


def target(product, name="pod-0"):
    return Target("127.0.0.1", product.port, label=name)


def there(*targets, credentials=TOKEN, **more):
    return Looked(targets, credentials, **more)


def pages(request_):
    """Two pages of one user each; the connection is closed after each."""
    number = int(request_.param("after") or 0)
    row = {"id": f"u{number}", "seen": at("05T10:00:00")}
    return [answer({"value": [row], "next": None if number else 1})]


class Time:
    def __init__(self):
        self.s = 0.0

    def __call__(self):
        return self.s


class Cluster:
    """Whoever looks sees what stands here, and is counted."""

    def __init__(self, *targets, **more):
        self.now, self.looks = there(*targets, **more), 0

    def __call__(self):
        self.looks += 1
        return self.now


def test_whether_anybody_else_is_selected_is_what_was_seen_last():
    one, two = Target("10.0.0.1", 80), Target("10.0.0.2", 80)
    cluster = Cluster(one, two, every_pod=True)
    seen = Whereabouts(request(0, targets=(one,), limits=ALWAYS, every_pod=True), cluster)
    assert seen.nobody_but({one})
    seen.confirm(one)
    assert not seen.nobody_but({one})
    assert seen.nobody_but({one, two})
    cluster.now = there(one, two)
    seen.confirm(one)
    assert not seen.nobody_but({one, two}), "a third one is not ready"


def test_what_was_just_seen_is_not_looked_at_again():
    time, first = Time(), Target("10.0.0.1", 80)
    cluster = Cluster(first)
    seen = Whereabouts(
        request(0, targets=(first,), limits=PollLimits(look_seconds=5)), cluster, time
    )
    assert seen.next() == first
    time.s = 4.9
    seen.confirm(first)
    assert cluster.looks == 0
    time.s = 5
    seen.confirm(first)
    time.s = 9
    seen.confirm(first)
    assert cluster.looks == 1


def test_a_pod_that_came_is_asked_and_one_that_was_asked_is_not_asked_twice():
    time, old, new = Time(), Target("10.0.0.1", 80), Target("10.0.0.2", 80)
    seen = Whereabouts(request(0, targets=(old,)), Cluster(old, new), time)
    assert (seen.next(), seen.others) == (old, False)
    time.s = 60
    assert (seen.next(), seen.next()) == (new, None)


def test_a_pod_whose_address_is_another_ones_now_is_not_called():
    time, old = Time(), Target("10.0.0.1", 80, label="pod-0")
    seen = Whereabouts(request(0, targets=(old,)), Cluster(replace(old, label="other-0")), time)
    seen.next()
    time.s = 60
    with pytest.raises(PollError) as caught:
        seen.confirm(old)
    assert caught.value.failure.reason == "PodGone"


def test_without_a_look_a_person_has_named_whom_to_call():
    time, named = Time(), Target("10.0.0.1", 80)
    seen = Whereabouts(request(0, targets=(named,)), None, time)
    time.s = 3600
    seen.confirm(seen.next())


def test_no_page_is_asked_of_an_address_whose_pod_is_gone(serve):
    product = serve(pages)
    cluster = Cluster()
    product.wrap = _then_gone(cluster, target(product))
    result = poll(0, PAGED, targets=(target(product),), limits=ALWAYS, look=cluster)
    assert result.failure is not None
    assert result.failure.reason == "PodGone"
    assert result.failure.message.startswith("Source people, pod-0: it has ended")
    assert len(product.requests) == 1


def _then_gone(cluster, seen):
    """The pod is there until the first connection is open."""
    cluster.now = there(seen)

    def accepted(plain):
        cluster.now = there()
        return plain

    return accepted


def test_the_list_is_read_anew_from_the_pod_that_came_instead(serve):
    old, new = serve(pages), serve(pages)
    cluster = Cluster()
    old.wrap = _then_gone(cluster, target(old))

    def look():
        looked = cluster()
        return looked if looked.targets else there(target(new, "pod-1"))

    result = poll(0, PAGED, targets=(target(old),), limits=ALWAYS, look=look)
    assert (result.failure, result.target, result.counted) == (None, "pod-1", 2)
    assert (len(old.requests), len(new.requests)) == (1, 2)


def test_the_next_pod_gets_the_credentials_of_now(serve):
    failing, good = serve(answer(b"", "500 Internal Server Error")), serve(answer({"value": USERS}))
    both = target(failing), target(good, "pod-1")
    cluster = Cluster(*both, credentials=Credentials(header_value="Bearer new"))
    given = Credentials(header_value="Bearer old")
    poll(0, targets=both, limits=ALWAYS, look=cluster, credentials=given)
    assert [one.headers["authorization"] for one in good.requests] == ["Bearer new"]


def test_where_it_cannot_be_found_out_nobody_is_called(serve):
    product = serve(pages)
    failure = Failure("APIUnavailable", "list pods: the API server does not answer.")
    cluster = Cluster(failure=failure)
    result = poll(0, PAGED, targets=(target(product),), limits=ALWAYS, look=cluster)
    assert result.failure is not None
    assert result.failure.reason == "APIUnavailable"
    assert product.requests == []


async def test_a_worker_asks_the_operator_where_the_source_is_now(serve):
    old, new = serve(answer(b"", "500 Internal Server Error")), serve(pages)
    looks = []

    async def look():
        looks.append(1)
        return there(target(old), target(new, "pod-1"))

    asked = request(0, PAGED, targets=(target(old),), limits=ALWAYS)
    async with Workers(1) as workers:
        for _ in range(2):
            result = await workers.poll(asked, look)
            assert (result.failure, result.target, result.counted) == (None, "pod-1", 2)
        assert len(workers.processes) == 1
    assert looks


async def test_a_look_that_takes_too_long_ends_the_poll_and_not_the_worker(serve, monkeypatch):
    monkeypatch.setattr("licenseusage.sources.workers.workers._LOOK_SECONDS", 0.05)
    product = serve(pages)
    asked = request(0, PAGED, targets=(target(product),), limits=ALWAYS)
    async with Workers(1) as workers:
        result = await workers.poll(asked, lambda: asyncio.Event().wait())
        assert result.failure is not None
        assert result.failure.reason == "APIUnavailable"
        assert (await workers.poll(asked)).counted == 2
        assert len(workers.processes) == 1
    assert len(product.requests) == 2


async def test_a_poll_whose_time_ends_while_it_looks_leaves_a_worker_that_works(serve):
    """The answer to its look is not taken for the next request."""
    product = serve(pages)
    asked = request(0, PAGED, targets=(target(product),), limits=replace(ALWAYS, poll_seconds=0.3))

    looks = []

    async def slow():
        looks.append(1)
        if len(looks) == 2:  # the one before the connection, when the poll's alarm is set
            await asyncio.sleep(0.6)
        return there(target(product))

    async with Workers(1) as workers:
        working = workers.processes
        result = await workers.poll(asked, slow)
        assert result.failure is not None
        assert result.failure.reason == "PollTimeout"
        assert (await workers.poll(replace(asked, limits=ALWAYS))).counted == 2
        assert workers.processes == working
