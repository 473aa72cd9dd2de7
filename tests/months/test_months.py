"""Ordinary months: what happens in every installation takes no number away."""

from pathlib import Path

import pytest

from licenseusage.metering.bounds import Accuracy
from trials.months.promises import broken
from trials.months.run import Final, Size, finals
from trials.months.scenario import OUTAGES, Scenario, scenarios
from trials.months.table import markdown, mean_width, shares

ROOT = Path(__file__).resolve().parents[2]
NONE, NIGHTLY = OUTAGES[:2]
SMALL = Size(months=2, people=20, interval_minutes=360, days=3)
HOURLY = Size(months=1, people=20, interval_minutes=60, days=3)
"""So often that what is before the start is read only if it is asked for."""


def test_calm_months_are_exact():
    found = finals(Scenario("OpenCloud", "ListedOnce"), SMALL)
    assert [final.accuracy for final in found] == [Accuracy.EXACT] * 2
    assert all(final.lower == final.truth > 5 for final in found)


@pytest.mark.parametrize(
    "scenario",
    [
        Scenario("OpenCloud", "Never", NONE, erased=1),
        Scenario("Standard", "Never", NIGHTLY, erased=1),
        Scenario("JupyterHub", "ListedOnce", NONE, erased=1),
        Scenario("OpenCloud", "Never", excluded=1),
    ],
    ids=lambda one: " ".join(one.words),
)
def test_an_erased_account_or_another_group_takes_no_number_away(scenario):
    assert not list(broken(scenario, finals(scenario, SMALL)))


def test_two_hours_away_every_night_take_no_upper_bound_away():
    scenario = Scenario("OpenCloud", "ListedOnce", NIGHTLY)
    assert not list(broken(scenario, finals(scenario, HOURLY)))


def test_months_without_a_bound_are_told():
    scenario = Scenario("OpenCloud", "ListedOnce", NIGHTLY)
    found = [Final(Accuracy.LOWER_BOUND, 3, None, 4), Final(Accuracy.UNKNOWN, None, None, 4)]
    unknown, unbounded = broken(scenario, found)
    assert "1 of 2 months are Unknown" in unknown
    assert "2 of 2 months have no upper bound" in unbounded


def test_the_table_has_a_row_for_each_installation():
    found = [Final(Accuracy.EXACT, 3, 3, 3), Final(Accuracy.BOUNDED, 3, 6, 4)]
    assert shares(found) == {Accuracy.EXACT: 0.5, Accuracy.BOUNDED: 0.5}
    assert mean_width(found) == 1.5
    *_, row = markdown({Scenario("OpenCloud", "Never", NIGHTLY, 1): found}).splitlines()
    assert row == (
        "| OpenCloud | Never | 22:00 to 24:00 every night | 1 | 0 | 50 % | 50 % | 0 % | 0 % | 1.5 |"
    )


def test_no_installation_is_listed_twice():
    words = [one.words for one in scenarios()]
    assert len(words) == len(set(words)) > 20


def test_the_documented_table_has_a_row_for_each_installation():
    text = (ROOT / "docs" / "measurement.md").read_text().partition("## 10. ")[2]
    rows = [line.strip("| ").split(" | ")[:5] for line in text.splitlines() if line[:1] == "|"]
    assert [tuple(row) for row in rows[2:]] == [one.words for one in scenarios()]
