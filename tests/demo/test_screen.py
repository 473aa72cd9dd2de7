"""What the reader of the demo sees while it counts, with a terminal and without one."""

import io

import pytest
from rich.console import Console

from hack.demo import screen as screens
from hack.demo.plan import plan
from hack.demo.screen import Screen, overview, progress
from hack.demo.watching import NOTHING, Snapshot

MIDNIGHT = 1_795_392_000  # 2026-11-23T00:00:00Z
WHEN = plan(MIDNIGHT + 14 * 3600 + 38 * 60 - 75, 75)
COUNTED = Snapshot({"status": {"provisionedUsers": 100_000, "activeUsers": 3021}}, {}, {})


@pytest.fixture
def quiet(monkeypatch):
    """A screen without a terminal, and what it printed; its clock is moved by hand."""
    clock = [0.0]
    monkeypatch.setattr(screens.time, "monotonic", lambda: clock[0])
    screen = Screen()
    printed = io.StringIO()
    screen.console = Console(file=printed, width=200)
    return screen, printed, clock


def test_the_clock_is_explained_once_with_its_distance():
    assert "set back by 14 h 38 min" in WHEN.words
    assert "ends at 2026-11-23 00:00:00 UTC" in WHEN.words
    assert "AGE is real" in WHEN.words


def test_progress_says_how_many_are_provisioned_and_active():
    words = progress(COUNTED, WHEN, WHEN.end - 42, 7)
    assert words == (
        "the cycle ends in 42 s · 100,000 provisioned, 3,021 active · 7 sign-ins since the start"
    )
    assert "counting begins" in progress(NOTHING, WHEN, WHEN.end - 60, 0)
    assert "the cycle ended 3 s ago" in progress(COUNTED, WHEN, WHEN.end + 3, 9)


def test_without_a_terminal_a_line_comes_at_least_every_five_seconds(quiet):
    screen, printed, clock = quiet
    for second in range(1, 13):
        clock[0] = float(second)
        if second == 2:
            screen.event(MIDNIGHT, "something happened")
        screen.alive(MIDNIGHT + second, "moving")
    lines = printed.getvalue().splitlines()
    assert [line.split()[0] for line in lines] == ["00:00:00", "00:00:07", "00:00:12"]


def test_with_a_terminal_the_table_says_the_same_and_moves_by_itself():
    def drawn(at: float) -> str:
        told = io.StringIO()
        console = Console(file=told, width=200, get_time=lambda: at)
        console.print(overview(COUNTED, WHEN, WHEN.end - 42, 7))
        return told.getvalue()

    assert "3,021 active" in drawn(0.0)
