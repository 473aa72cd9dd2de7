"""What stores prove together: users that can be told apart, and numbers that cannot."""

import pytest

from licenseusage.metering.bounds import Bounds
from licenseusage.metering.known import (
    Known,
    Overlap,
    WindowCounts,
    across,
    bounds_of,
    intersected,
    tallied,
    united,
)

A, B, C, D = b"a", b"b", b"c", b"d"


def test_separate_stores_are_united_user_by_user():
    both = united([Known({A}, {A, B}), Known({B}, {B, C})])
    assert both == Known({A, B}, {A, B, C})
    assert tallied(both) == WindowCounts(2, 3)


@pytest.mark.parametrize("order", [1, -1])
def test_a_store_without_proof_takes_the_upper_bound_of_all_away(order: int):
    stores = [Known({A}, {A, B}), Known({C})][::order]
    assert tallied(united(stores)) == WindowCounts(2, None)


def test_no_store_at_all_proves_nothing():
    assert united([]) == Known(set())
    assert intersected([]) == Known(set())
    assert tallied(united([])) == WindowCounts(0, None)


def test_observers_of_the_same_activity_rule_people_out_for_each_other():
    both = intersected([Known({A}, {A, B, C}), Known({B}, {A, B, D})])
    assert both == Known({A, B}, {A, B})
    assert intersected([Known({A}), Known(set(), {A, B})]) == Known({A}, {A, B})
    assert intersected([Known({A}), Known({B})]) == Known({A, B})


def test_somebody_seen_by_one_and_ruled_out_by_another_counts_no_more_and_nobody_is_ruled_out():
    assert intersected([Known({A, C}, {A, C}), Known({B, C}, {B, C})]) == Known({C})
    assert intersected([Known({A}, {A, B}), Known({B}, {A, B})]) == Known({A, B}, {A, B})


def test_of_a_day_only_the_upper_bound_is_taken_away():
    stores = [Known({A, C}, {A, C}), Known({B, C}, {B, C})]
    assert intersected(stores, whole=False) == Known({A, B, C})


def test_whom_one_observer_no_longer_lets_count_another_ones_proof_does_not_bring_back():
    doubting = Known({A}, doubted={B})
    assert intersected([doubting, Known({B, C})]) == Known({A, C})
    assert united([doubting, Known({B, C})]).sure == {A, B, C}  # a store of its own


@pytest.mark.parametrize("together", [united, intersected])
def test_a_conflict_of_one_store_is_one_of_all(together):
    assert together([Known({A}, {A}), Known(set(), {A}, conflict=True)]).refuted
    assert together([Known({A}, {A}), Known({B}, {A})]).refuted
    assert not together([Known({A}, {A, B}), Known({B}, {A, B})]).refuted


def test_the_vanished_are_counted_unless_somebody_saw_them_active():
    gone = Known({A}, {A, B, C}, vanished={B, C})
    assert tallied(gone) == WindowCounts(1, 3, vanished=2)
    assert tallied(united([gone, Known({B}, {B, D})])) == WindowCounts(2, 4, vanished=1)
    assert tallied(united([gone, Known({B})])) == WindowCounts(2, None)
    assert tallied(intersected([gone, Known({A}, {A, B})])) == WindowCounts(1, 2, vanished=1)
    assert tallied(intersected([gone, Known({A})])) == WindowCounts(1, 3, vanished=2)


def test_nothing_known_of_people_in_common_gives_the_greatest_and_the_sum():
    assert across([WindowCounts(3, 5), WindowCounts(7, 7)]) == WindowCounts(7, 12)
    assert across([WindowCounts(3, 5), WindowCounts(7, None)]) == WindowCounts(7, None)
    assert across([WindowCounts(3, 5, conflict=True), WindowCounts(7, 7)]).conflict
    assert across([]) == WindowCounts(0, None)


def test_disjoint_shards_are_added_and_one_without_upper_bound_removes_that_of_all():
    assert across([WindowCounts(3, 5), WindowCounts(7, 8)], Overlap.DISJOINT) == WindowCounts(
        10, 13
    )
    assert across([WindowCounts(3, 5), WindowCounts(7, None)], Overlap.DISJOINT) == WindowCounts(
        10, None
    )


def test_the_same_number_told_twice_has_the_greatest_lower_and_the_least_upper_bound():
    assert across(
        [WindowCounts(3, 8), WindowCounts(5, 9), WindowCounts(4, None)], Overlap.SAME
    ) == WindowCounts(5, 8)
    assert across([WindowCounts(3, None), WindowCounts(5, None)], Overlap.SAME) == WindowCounts(
        5, None
    )
    assert across([WindowCounts(3, 4), WindowCounts(5, 9)], Overlap.SAME).conflict
    assert not across([WindowCounts(3, 5), WindowCounts(5, 9)], Overlap.SAME).conflict


def test_estimates_are_added_only_where_nobody_counts_twice():
    guesses = [WindowCounts(0, None, estimate=3), WindowCounts(0, None, estimate=5)]
    assert across(guesses).estimate is None
    assert across(guesses[:1]).estimate == 3
    assert across(guesses, Overlap.DISJOINT).estimate == 8
    assert across(guesses, Overlap.SAME).estimate == 5
    assert across([*guesses, WindowCounts(1, None)], Overlap.DISJOINT).estimate is None
    assert across([*guesses, WindowCounts(1, None)], Overlap.SAME).estimate == 5


def test_the_vanished_of_several_tallies_are_added_where_there_is_an_upper_bound():
    tallies = [WindowCounts(1, 3, vanished=2), WindowCounts(4, 5, vanished=1)]
    assert across(tallies).vanished == 3
    assert across([*tallies, WindowCounts(1, None)]).vanished == 0


def test_a_tally_is_stated_as_it_is():
    assert bounds_of(WindowCounts(1, 3, vanished=2, estimate=4)) == Bounds(1, 3, 4)
    assert bounds_of(WindowCounts(1, None, conflict=True)) == Bounds(1, None, None, conflict=True)
