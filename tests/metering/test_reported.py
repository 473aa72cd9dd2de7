"""Statements never say less than reports whose facts were lost."""

from dataclasses import replace

import pytest

from licenseusage.metering.bounds import Accuracy, Bounds
from licenseusage.metering.coverage import Coverage, Interval, unobserved
from licenseusage.metering.cycles import DAY_MS, Cycle
from licenseusage.metering.reported import Proved, proved_by, raised
from licenseusage.metering.statement import CycleStatement, Uncertainty

CYCLE = Cycle(0, 0, 4 * DAY_MS)
PROVED = Proved(DAY_MS, 182, (182,))


def statement(lower, upper=None, *, daily=(), uncertainty=(), **bounds):
    parts = tuple(Uncertainty(reason, users) for reason, users in uncertainty)
    covered = Coverage(4 * 86400, ())
    made = CycleStatement(CYCLE, CYCLE.end_ms, Bounds(lower, upper, **bounds), daily, covered)
    return replace(made, uncertainty=parts)


@pytest.mark.parametrize(
    ("lower", "upper", "text"),
    [
        (173, 195, "182–195"),  # noqa: RUF001 - a range is written with an en dash
        (185, 195, "185–195"),  # noqa: RUF001
        (173, 182, "182"),
        (173, None, "≥182"),
        (0, None, "≥182"),
        (182, 182, "182"),
    ],
)
def test_the_lower_bound_is_that_of_the_reports_or_a_better_one(lower, upper, text):
    assert raised(statement(lower, upper), PROVED).active_text == text


def test_where_fewer_are_possible_what_was_reported_stands_without_an_upper_bound():
    said = raised(statement(100, 120), PROVED)
    assert (said.bounds, said.unbounded) == (Bounds(182, None), ("GuaranteeRefuted",))
    assert "more people were reported" in said.refuted[0]
    assert said.words == (
        "at least 182: the product's answers contradict a guarantee that is declared of it"
    )


def test_facts_that_contradict_each_other_take_nothing_back():
    said = raised(statement(0, None, conflict=True), PROVED)
    assert said.bounds.accuracy is Accuracy.LOWER_BOUND


def test_what_is_still_uncertain_adds_up():
    parts = [("RemovedUsers", 10), ("BoundaryGap", 12)]
    said = raised(statement(173, 195, uncertainty=parts), PROVED)
    assert said.uncertainty == (Uncertainty("RemovedUsers", 10), Uncertainty("BoundaryGap", 3))
    assert raised(statement(173, 182, uncertainty=parts[:1]), PROVED).uncertainty == ()


def test_a_day_is_known_if_either_knows_it():
    said = raised(statement(173, daily=(170, None, 3)), Proved(2 * DAY_MS, 182, (180, 44)))
    assert said.daily == (180, 44, 3)


def test_reports_are_joined_in_any_order():
    later = Proved(3 * DAY_MS, 190, (181, None, 9))
    assert PROVED.joined(later) == later.joined(PROVED) == Proved(3 * DAY_MS, 190, (182, None, 9))
    assert Proved.load(later.dump()) == later


def test_what_a_report_without_a_number_proves():
    assert proved_by(statement(0, None, estimate=99)).lower == 0
    assert proved_by(statement(5, 3)).lower == 0


@pytest.mark.parametrize(
    ("seen", "parts"),
    [
        ([], ((10, 20),)),
        ([(0, 10), (20, 30)], ((10, 20),)),
        ([(12, 15)], ((10, 12), (15, 20))),
        ([(0, 12), (18, 30)], ((12, 18),)),
        ([(5, 25)], ()),
    ],
)
def test_the_parts_of_a_span_that_nobody_observed(seen, parts):
    assert unobserved((10, 20), [Interval(*each) for each in seen]) == parts


def test_what_a_report_with_a_number_proves():
    assert proved_by(statement(5, 9, daily=(3, None))) == Proved(CYCLE.end_ms, 5, (3, None))


def test_a_contradiction_stays_one_where_reports_prove_nobody():
    assert raised(statement(5, 3), Proved(DAY_MS, 0)).bounds.accuracy is Accuracy.CONFLICT
