"""The forecast in the status of an object whose cycles pass, by the operator's own code."""

import dataclasses

import pytest

from licenseusage.controller.rules.key import Key
from licenseusage.controller.rules.resources import USAGES
from trials.soak.cluster import OBJECTS
from trials.soak.drawing import draw
from trials.soak.history import History, quiet
from trials.soak.kinds.drawing import LISTS
from trials.soak.people import HOUR_MS
from trials.soak.timeline import Timeline


@pytest.fixture
def plan():
    """A licensed object with one source, whose polls succeed; nothing goes wrong."""
    for number in range(200):
        plan = draw(f"forecast {number}", 4, (LISTS,))
        usage = plan.usages[0]
        short = usage.terms[0][1].length_days in range(4, 8)
        alone = len(usage.terms) == len(usage.shops) == 1
        if short and alone and usage.licensed and not plan.kills:
            usage.shops = {
                name: dataclasses.replace(shop, lies=(), faults=())
                for name, shop in usage.shops.items()
            }
            return dataclasses.replace(plan, usages=[usage], events=[], spread_seconds=0)
    raise AssertionError


def statuses(plan, folder):
    """Return the status of the object, every twelve hours of the plan."""
    quiet()
    key = Key(OBJECTS, plan.usages[0].name)
    loop = Timeline()

    async def days():
        history, seen = History(plan, loop, folder), []
        try:
            history._install()
            await history._start()
            for at_ms in range(plan.start_ms + HOUR_MS, plan.end_ms, 12 * HOUR_MS):
                history.process.look(key)
                await history._until(at_ms)
                seen.append(
                    history.cluster.objects[USAGES.plural, key.namespace, key.name]["status"]
                )
        finally:
            await history.process.stop()
            history.arrivals.close()
            history.vendor.close()
        return seen

    try:
        return loop.run_until_complete(days())
    finally:
        loop.close()


def test_from_the_second_cycle_on_a_forecast_is_shown(plan, tmp_path):
    seen = statuses(plan, tmp_path)
    first = [status for status in seen if not status.get("history") and "forecast" in status]
    assert first
    for status in first:
        assert status["forecast"] == {"basis": "no forecast yet: this is the first cycle"}
    made = [s for s in seen if "activeUsers" in s.get("forecast", {})]
    assert made
    for status in made:
        foreseen = status["forecast"]
        assert status["activeUsers"] <= foreseen["low"] <= foreseen["activeUsers"]
        assert foreseen["activeUsers"] <= foreseen["high"]
        assert status["history"]
