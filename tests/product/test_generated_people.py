"""The generated people are as many as the truth says, and the truth is kept apart from them."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from examples.product.generate import MONITOR, Truth, counts, generate
from examples.product.store import Store

START, DAY = 1_796_083_200, 86_400
END, NOW = START + 30 * DAY, START + 30 * DAY - 60


def everybody(store: Store) -> dict[str, int | None]:
    return dict(store.page("", 1_000_000))


@pytest.fixture
def truth(store: Store) -> Truth:
    return generate(store, start=START, end=END, now=NOW, people=20_000)


def test_about_three_in_a_hundred_are_active_in_the_cycle(truth: Truth) -> None:
    assert 500 < len(truth.active) < 700


def test_the_truth_is_the_people_whose_stamp_lies_in_the_cycle(truth: Truth, store: Store) -> None:
    stamped = {u for u, at in everybody(store).items() if at is not None and START <= at < END}
    assert truth.active == {user for user in stamped if counts(user)}
    assert len(stamped) - len(truth.active) == truth.bots > 1


def test_the_cycles_first_second_counts_and_the_one_before_does_not(
    truth: Truth, store: Store
) -> None:
    edge = {at: user for user, at in everybody(store).items() if at in (START, START - 1)}
    assert edge[START] in truth.active
    assert edge[START - 1] not in truth.active


def test_nobody_is_active_in_the_future(truth: Truth, store: Store) -> None:
    assert max(at for at in everybody(store).values() if at is not None) < NOW


def test_some_were_active_in_the_last_cycle_only(truth: Truth, store: Store) -> None:
    before = [u for u, at in everybody(store).items() if at and START - 30 * DAY <= at < START]
    assert len(before) == truth.last_cycle_only > 300


def test_the_provisioned_are_all_but_the_bots(truth: Truth, store: Store) -> None:
    assert truth.provisioned == 20_000
    assert len(everybody(store)) == truth.provisioned + truth.bots


def test_the_same_seed_gives_the_same_people(truth: Truth, tmp_path: Path) -> None:
    again = generate(Store(tmp_path / "b.db"), start=START, end=END, now=NOW, people=20_000)
    assert again == truth


@pytest.mark.parametrize(
    ("user", "at", "noted"),
    [
        ("a", START, True),
        ("a", END - 1, True),
        ("a", END, False),
        ("a", START - 1, False),
        ("bot-1", START, False),
        (MONITOR, START, False),
    ],
)
def test_an_activity_is_noted_in_the_half_open_cycle_for_people_only(
    user: str, at: int, noted: bool
) -> None:
    truth = Truth(START, END)
    truth.note(user, at)
    assert (user in truth.active) is noted


def test_the_command_writes_the_truth_without_ids(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "examples.product", "generate", "--people", "200"]
    command += ["--database", str(tmp_path / "p.db"), "--truth", str(tmp_path / "truth.json")]
    subprocess.run([*command, "--cycle-start", "2026-11-01"], check=True, capture_output=True)
    numbers = json.loads((tmp_path / "truth.json").read_text())
    assert numbers["cycleStart"] == 1_793_491_200
    assert numbers["provisionedUsers"] == 200
    assert set(map(type, numbers.values())) == {int}
