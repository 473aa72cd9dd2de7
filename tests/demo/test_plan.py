"""The demo's simulated time."""

import pytest

from hack.demo.plan import DAY, plan

MIDNIGHT = 1_795_392_000  # 2026-11-23T00:00:00Z


@pytest.mark.parametrize("now", [MIDNIGHT, MIDNIGHT + 0.9, MIDNIGHT + 1, MIDNIGHT + DAY - 0.1])
def test_the_cycle_ends_at_the_last_midnight_after_the_lead(now: float) -> None:
    when = plan(now, 75)
    assert when.end == MIDNIGHT
    assert when.end - (int(now) + when.offset_seconds) == 75


@pytest.mark.parametrize("now", [MIDNIGHT, MIDNIGHT + 1, MIDNIGHT + DAY - 1])
def test_the_clock_is_never_shifted_into_the_future(now: float) -> None:
    assert plan(now, 1).offset_seconds < 0


def test_the_cycle_is_thirty_days_from_its_anchor() -> None:
    when = plan(MIDNIGHT + 5, 75)
    assert (when.start % DAY, when.end - when.start) == (0, 30 * DAY)
    assert when.anchor.isoformat() == "2026-10-24"
