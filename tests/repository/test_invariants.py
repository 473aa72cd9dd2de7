"""The list of broken invariants fits the sources: each edit is possible, each test is there."""

from pathlib import Path

import pytest

from trials.invariants.breakages import BREAKAGES

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("one", BREAKAGES, ids=lambda one: one.how)
def test_what_is_broken_occurs_once_and_its_tests_exist(one):
    assert (ROOT / one.file).read_text().count(one.right) == 1
    assert one.right != one.wrong
    assert all((ROOT / "tests" / test.partition("::")[0]).is_file() for test in one.tests)


def test_every_invariant_of_number_and_reports_is_broken_at_least_twice():
    numbers = [one.invariant[0] for one in BREAKAGES]
    assert all(numbers.count(number) >= 2 for number in "123468")
