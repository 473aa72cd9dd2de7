"""Who polls next, in loop time: each poll here lasts as long as it is told to."""

import asyncio

import pytest

from licenseusage.controller.effects.turns import Turns
from licenseusage.controller.rules.key import Key

pytestmark = [pytest.mark.looptime(start=0)]


class Polls:
    """Polls that run for a time and note when each of them began."""

    def __init__(self, size):
        self.turns, self.began, self.tasks = Turns(size), [], []

    def ask(self, namespace, name, seconds, *, quick):
        self.tasks.append(asyncio.create_task(self._poll(Key(namespace, name), seconds, quick)))
        return self.tasks[-1]

    async def _poll(self, key, seconds, quick):
        async with self.turns.place(key, quick=quick):
            self.began.append((asyncio.get_running_loop().time(), key))
            await asyncio.sleep(seconds)

    def start_of(self, namespace, name):
        return next((at for at, key in self.began if key == (namespace, name)), None)

    async def all(self):
        await asyncio.gather(*self.tasks, return_exceptions=True)


async def test_eight_that_hang_in_one_namespace_leave_places_for_another_from_the_first_moment():
    polls = Polls(4)
    for at in range(8):
        polls.ask("bad", f"hangs-{at}", 300, quick=False)
    for at in range(20):
        await asyncio.sleep(60)
        polls.ask("good", f"poll-{at}", 1, quick=at > 0)
    await polls.all()
    assert [polls.start_of("good", f"poll-{at}") for at in range(20)] == [
        pytest.approx(60 * (at + 1)) for at in range(20)
    ]


async def test_what_hangs_in_many_namespaces_leaves_a_place_for_what_is_quick():
    polls = Polls(4)
    for at in range(8):
        polls.ask(f"bad-{at}", "hangs", 300, quick=False)
    await asyncio.sleep(10)
    polls.ask("good", "shop", 1, quick=True)
    await polls.all()
    assert polls.start_of("good", "shop") == pytest.approx(10)


async def test_quick_ones_that_turn_slow_all_at_once_leave_a_place_for_another_namespace():
    polls = Polls(4)
    for at in range(8):
        polls.ask("bad", f"hangs-{at}", 300, quick=True)
    await asyncio.sleep(1)
    polls.ask("good", "shop", 1, quick=True)
    await polls.all()
    assert polls.start_of("good", "shop") == pytest.approx(1)


async def test_namespaces_take_turns_however_many_wait_in_one():
    polls = Polls(2)
    for at in range(6):
        polls.ask("many", f"shop-{at}", 10, quick=True)
    await asyncio.sleep(1)
    for at in range(2):
        polls.ask("few", f"shop-{at}", 10, quick=True)
    await polls.all()
    assert polls.start_of("few", "shop-0") == pytest.approx(1)
    assert polls.start_of("few", "shop-1") == pytest.approx(11)


async def test_a_slow_source_delays_its_own_object_before_others_of_its_namespace():
    polls = Polls(4)
    polls.ask("one", "slow", 300, quick=False)
    await asyncio.sleep(0)
    second = polls.ask("one", "slow", 300, quick=False)
    polls.ask("one", "other", 1, quick=False)
    await asyncio.sleep(10)
    assert polls.start_of("one", "other") == 0
    assert len(polls.began) == 2, "a second poll of the slow object waits for its first"
    await second
    assert polls.began[-1][0] == pytest.approx(300)


async def test_one_place_serves_everybody_in_turn():
    polls = Polls(1)
    for namespace in ("a", "a", "b"):
        polls.ask(namespace, "shop", 10, quick=False)
        await asyncio.sleep(0)
    await polls.all()
    assert [key.namespace for _, key in polls.began] == ["a", "b", "a"]


async def test_a_poll_that_is_cancelled_while_it_waits_or_runs_leaves_its_place():
    polls = Polls(1)
    first = polls.ask("a", "first", 1000, quick=True)
    await asyncio.sleep(1)
    second = polls.ask("a", "second", 1000, quick=True)
    await asyncio.sleep(1)
    second.cancel()
    first.cancel()
    polls.ask("b", "third", 1, quick=True)
    await polls.all()
    assert polls.start_of("b", "third") == pytest.approx(2)
