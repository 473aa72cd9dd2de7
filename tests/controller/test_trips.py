"""How often one reconcile goes to the ledger's thread: it gathers once, decides, and performs."""

import asyncio
import dataclasses

import pytest

from licenseusage.controller.rules.key import Key
from licenseusage.controller.rules.resources import USAGES
from licenseusage.controller.steps.reconcile import reconcile
from licenseusage.ledger.records import CycleState
from trials.soak.drawing import draw
from trials.soak.history import OBJECTS, History, quiet
from trials.soak.kinds.drawing import LISTS
from trials.soak.people import DAY_MS, MINUTE_MS
from trials.soak.timeline import Timeline

IDLE, CLOSING = 4, 8


@pytest.fixture
def plan():
    """A licensed object with one source, whose polls succeed; nothing goes wrong.

    How often it is read and reported is given here: what is drawn changes with the drawing.
    """
    for number in range(200):
        plan = draw(f"trips {number}", 3, (LISTS,))
        usage = plan.usages[0]
        if usage.licensed and not plan.kills and len(usage.terms) == len(usage.shops) == 1:
            usage.shops = {
                name: dataclasses.replace(shop, lies=(), faults=())
                for name, shop in usage.shops.items()
            }
            usage.spec["sources"][0]["intervalMinutes"] = 15
            usage.interval_hours, usage.mode, usage.approval = 1, "Online", "Automatic"
            return dataclasses.replace(plan, usages=[usage], events=[], spread_seconds=0)
    raise AssertionError


class Trips:
    """Looks at an object by itself and counts the works of that look alone."""

    def __init__(self, history):
        self.history = history
        self.key = Key(OBJECTS, history.plan.usages[0].name)

    async def of_a_look(self):
        process, looking, count = self.history.process, asyncio.current_task(), 0
        books = process.surroundings.books
        do = books.do

        def counted(work):
            nonlocal count
            count += asyncio.current_task() is looking
            return do(work)

        books.do = counted
        try:
            await reconcile(process.surroundings, self.key)
        finally:
            del books.do
        return count

    async def writes_of_a_look(self):
        """Look; return what was written into the object's status."""
        kube, written = self.history.process.surroundings.kube, []
        apply_status = kube.apply_status

        async def kept(resource, namespace, name, kind, status):
            if resource == USAGES:
                written.append(status)
            return await apply_status(resource, namespace, name, kind, status)

        kube.apply_status = kept
        try:
            await reconcile(self.history.process.surroundings, self.key)
        finally:
            del kube.apply_status
        return written

    async def at(self, at_ms):
        """Let polls and deliveries until a time end; then count."""
        await self.history._until(at_ms)
        return await self.of_a_look()

    @property
    def cycles(self):
        ledger = self.history.process.ledger
        (meter,) = ledger.meters()
        return ledger.cycles(meter.id)


def play(plan, tmp_path, story):
    quiet()
    loop = Timeline()

    async def told():
        history = History(plan, loop, tmp_path)
        try:
            history._install()
            await history._start()
            await history._until(plan.start_ms + MINUTE_MS)
            history.process._queue.add = lambda *_: None  # from now on only the test looks
            return await story(Trips(history))
        finally:
            await history.process.stop()
            history.arrivals.close()
            history.vendor.close()

    try:
        return loop.run_until_complete(told())
    finally:
        loop.close()


def test_an_idle_reconcile_goes_to_the_ledger_at_most_four_times(plan, tmp_path):
    async def story(trips):
        start_ms = plan.start_ms
        return [await trips.at(start_ms + minute * MINUTE_MS) for minute in (5, 6, 7, 65, 66)]

    seen = play(plan, tmp_path, story)
    assert seen == [2, 1, 1, 2, 2], (
        "gather; state anew what a poll has changed; sign the interim that is due after an hour"
    )
    assert max(seen) <= IDLE


def test_a_reconcile_with_a_close_goes_to_the_ledger_at_most_eight_times(plan, tmp_path):
    async def story(trips):
        await trips.at(plan.start_ms + 5 * MINUTE_MS)
        end_ms = trips.cycles[0].cycle.end_ms
        seen = []
        for minutes in range(0, 3 * DAY_MS // MINUTE_MS, 10):
            open_ = sum(one.state is not CycleState.FINAL for one in trips.cycles)
            seen.append(await trips.at(end_ms + minutes * MINUTE_MS))
            if sum(one.state is not CycleState.FINAL for one in trips.cycles) < open_:
                return seen
        raise AssertionError("no cycle was closed")

    seen = play(plan, tmp_path, story)
    assert seen[0] == 4, "gather, begin the next cycle, mark the ended one, state"
    assert seen[-1] == 4, "gather, decide, close, state"
    assert max(seen) <= CLOSING


def test_a_poll_writes_the_status_once_and_no_time_that_passes_writes_it_again(plan, tmp_path):
    async def story(trips):
        seen = []
        for minute in range(2, 62):
            await trips.history._until(plan.start_ms + minute * MINUTE_MS)
            seen += await trips.writes_of_a_look()
            assert await trips.writes_of_a_look() == []
        return seen

    written = play(plan, tmp_path, story)
    said = [status["sources"][0] for status in written]
    reports = [status["lastReport"] for status in written]
    polls = {source["lastSuccessTime"] for source in said}
    assert len(polls) == 4
    assert len(written) == len(polls) + 2, "two interims were accepted a minute later"
    assert {source["intervalReason"] for source in said} == {"AsDeclared"}
    for earlier, later, before, after in zip(said, said[1:], reports, reports[1:], strict=False):
        assert later == earlier or later["lastSuccessTime"] != earlier["lastSuccessTime"]
        assert later != earlier or before != after
