"""What a stated number may be, given the truth; time that jumps."""

import asyncio

import pytest

from trials.proof import contradiction
from trials.soak.timeline import StuckError, Timeline, World


@pytest.mark.parametrize(
    ("accuracy", "lower", "upper"),
    [
        ("Exact", 5, 5),
        ("Bounded", 4, 6),
        ("LowerBound", 3, None),
        ("UpperBound", None, 7),
        ("Unknown", None, None),
        ("Estimate", 9, None),
    ],
)
def test_a_number_that_holds_the_truth_holds(accuracy, lower, upper):
    assert contradiction(accuracy, lower, upper, 5) is None


@pytest.mark.parametrize(
    ("accuracy", "lower", "upper"),
    [
        ("Exact", 4, 4),
        ("Exact", 4, 6),
        ("Bounded", 6, 7),
        ("Bounded", 3, 4),
        ("LowerBound", 6, None),
        ("LowerBound", 0, None),
        ("UpperBound", None, 4),
        ("Unknown", 5, None),
        ("Estimate", 4, 6),
        ("Estimate", None, None),
        ("Bounded", 5, None),
        ("LowerBound", 3, 6),
    ],
)
def test_a_number_that_excludes_the_truth_or_its_class_is_contradicted(accuracy, lower, upper):
    assert "the truth is 5" in contradiction(accuracy, lower, upper, 5)


def test_zero_is_stated_only_when_proved():
    assert contradiction("Exact", 0, 0, 0) is None
    assert contradiction("LowerBound", 0, None, 0) is not None


def test_a_year_passes_at_once_and_in_order():
    loop = Timeline()
    world = World(loop, 1_000)

    async def two():
        seen = []
        async with asyncio.TaskGroup() as tasks:
            for days in (365, 1):
                tasks.create_task(wait(days, seen))
        return seen

    async def wait(days, seen):
        await world.until(1_000 + days * 86_400_000)
        seen.append((days, world.now_ms()))

    assert loop.run_until_complete(two()) == [(1, 86_401_000), (365, 365 * 86_400_000 + 1_000)]
    loop.close()


def test_waiting_for_what_cannot_come_is_no_endless_wait():
    loop = Timeline()
    with pytest.raises(StuckError):
        loop.run_until_complete(loop.create_future())
    loop.close()
