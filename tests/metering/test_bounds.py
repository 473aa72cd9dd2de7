"""The class of accuracy follows from the bounds and from nothing else (MEASUREMENT §2)."""

import pytest

from licenseusage.metering.bounds import Accuracy, Bounds


@pytest.mark.parametrize(
    ("bounds", "accuracy", "active", "upper"),
    [
        (Bounds(412, 412), Accuracy.EXACT, 412, 412),
        (Bounds(0, 0), Accuracy.EXACT, 0, 0),
        (Bounds(412, 419), Accuracy.BOUNDED, 412, 419),
        (Bounds(0, 419), Accuracy.UPPER_BOUND, None, 419),
        (Bounds(412, None), Accuracy.LOWER_BOUND, 412, None),
        (Bounds(0, None, 400), Accuracy.ESTIMATE, 400, None),
        (Bounds(0, None), Accuracy.UNKNOWN, None, None),
        (Bounds(5, 4), Accuracy.CONFLICT, None, None),
        (Bounds(4, 4, conflict=True), Accuracy.CONFLICT, None, None),
    ],
)
def test_the_class_decides_which_numbers_are_stated(bounds, accuracy, active, upper):
    assert bounds.accuracy is accuracy
    assert bounds.active_users == active
    assert bounds.active_users_upper_bound == upper


def test_a_conflict_is_stated_as_unknown():
    assert Bounds(5, 4).stated is Accuracy.UNKNOWN
    assert Bounds(5, 5).stated is Accuracy.EXACT


def test_while_the_window_runs_only_the_lower_bound_is_said():
    assert Bounds(5, 5).so_far() == Bounds(5, None)
    assert Bounds(0, 0).so_far().accuracy is Accuracy.UNKNOWN
    assert Bounds(5, 4, conflict=True).so_far().accuracy is Accuracy.CONFLICT
