"""The work queue, in loop time: adds while active, delays, failures."""

import asyncio

import pytest

from licenseusage.controller.effects.workqueue import WorkQueue

pytestmark = [pytest.mark.looptime(start=0)]


async def soon(queue):
    async with asyncio.timeout(1000):
        return await queue.get()


async def test_additions_of_a_waiting_key_are_one_piece_of_work():
    queue = WorkQueue()
    for _ in range(3):
        queue.add("a")
    assert await soon(queue) == "a"
    queue.done("a")
    assert len(queue) == 0


async def test_an_earlier_due_time_wins_over_a_later_one():
    queue = WorkQueue()
    queue.add("a", 100)
    queue.add("a", 5)
    queue.add("a", 50)
    await soon(queue)
    assert asyncio.get_running_loop().time() == pytest.approx(5)


async def test_an_addition_wakes_a_worker_that_waits_for_a_later_key():
    queue = WorkQueue()
    queue.add("late", 500)
    waiting = asyncio.create_task(soon(queue))
    await asyncio.sleep(1)
    queue.add("now")
    assert await waiting == "now"
    assert asyncio.get_running_loop().time() == pytest.approx(1)


async def test_a_key_is_never_given_to_two_workers():
    queue = WorkQueue()
    queue.add("a")
    assert await soon(queue) == "a"
    queue.add("a")
    second = asyncio.create_task(soon(queue))
    await asyncio.sleep(10)
    assert not second.done()
    queue.done("a")
    assert await second == "a"


async def test_an_active_key_does_not_hold_up_the_others():
    queue = WorkQueue()
    queue.add("slow")
    await soon(queue)
    queue.add("slow")
    queue.add("other", 1)
    assert await soon(queue) == "other"


async def test_failures_back_off_exponentially_up_to_the_cap_and_success_resets():
    queue = WorkQueue(first_seconds=1, cap_seconds=10)
    loop = asyncio.get_running_loop()
    waits = []
    queue.add("a")
    for _ in range(6):
        await soon(queue)
        before = loop.time()
        queue.done("a", failed=True)
        await soon(queue)
        waits.append(loop.time() - before)
        queue.add("a")
        queue._active.discard("a")
    assert waits == pytest.approx([1, 2, 4, 8, 10, 10])
    await soon(queue)
    queue.done("a")
    queue.add("a")
    await soon(queue)
    before = loop.time()
    queue.done("a", failed=True)
    await soon(queue)
    assert loop.time() - before == pytest.approx(1)


async def test_many_waiting_keys_cost_nothing_until_they_are_due():
    """What one turn looks at does not grow with what waits for later."""
    queue, hashed = WorkQueue(), []

    class Key(str):
        def __hash__(self):
            hashed.append(self)
            return super().__hash__()

    for number in range(2000):
        queue.add(Key(f"later-{number}"), 500 + number)
    queue.add("now")
    hashed.clear()
    queue.done(await soon(queue))
    assert len(hashed) < 20
    assert [await soon(queue) for _ in range(3)] == ["later-0", "later-1", "later-2"]


async def test_a_key_is_known_while_it_waits_or_is_worked_on():
    queue = WorkQueue()
    assert "a" not in queue
    queue.add("a", 100)
    assert "a" in queue
    await soon(queue)
    assert "a" in queue
    queue.done("a")
    assert "a" not in queue


async def test_overdue_is_the_wait_of_the_longest_waiting_due_key():
    queue = WorkQueue()
    queue.add("a")
    queue.add("later", 1000)
    await asyncio.sleep(30)
    assert queue.overdue_seconds() == pytest.approx(30)
    await soon(queue)
    assert queue.overdue_seconds() == 0
