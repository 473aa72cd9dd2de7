"""Tempting claims and the counterexample that broke each: MEASUREMENT §9, for lists with times.

Times are the oracle's ticks: the cycle is [30, 54), its days are 6 ticks long.
"""

from dataclasses import replace

import pytest

from licenseusage.metering.bounds import Accuracy
from licenseusage.metering.combine import Combine, Store, evaluate, evaluate_facts
from licenseusage.metering.cycles import CYCLE_BIT, DAY_MS
from licenseusage.metering.facts import Facts, ImpossibleStampError, Row, list_facts, merge
from licenseusage.metering.properties import Guarantee
from tests.metering import translate
from tests.metering.oracle.bounds import ListSpec, Poll


def poll(start: int, *rows: tuple, end: int | None = None, complete: bool = True) -> Poll:
    """Rows are (name, value) or (name, value, created)."""
    listed = tuple(row if len(row) == 3 else (*row, None) for row in rows)
    return Poll(start, start if end is None else end, complete, listed)


def facts(polls: list[Poll], spec: ListSpec | None = None) -> Facts:
    joined = Facts()
    for each in polls:
        joined = merge(joined, translate.facts(spec or ListSpec(), each))
    return joined


def stated(polls: list[Poll], spec: ListSpec | None = None, window: int = CYCLE_BIT) -> tuple:
    declared = translate.properties(spec or ListSpec())
    bounds = evaluate_facts(facts(polls, spec), declared, window)
    return bounds.lower, bounds.upper, bounds.accuracy


def test_union_of_values_is_no_lower_bound_where_ids_are_renamed():
    polls = [poll(40, ("bob", 35)), poll(56, ("robert", 35))]
    assert stated(polls)[0] == 2  # one person
    assert stated(polls, ListSpec(id_stable=False)) == (1, 1, Accuracy.EXACT)


def test_union_of_values_is_no_lower_bound_where_names_are_swapped():
    polls = [poll(40, ("bob", 35), ("robert", 10)), poll(56, ("robert", 35), ("bob", 10))]
    # One person was active. That bob's value went back shows that something is false.
    assert stated(polls) == (1, None, Accuracy.LOWER_BOUND)
    assert stated(polls, ListSpec(id_stable=False)) == (1, 1, Accuracy.EXACT)


def test_skewed_stamps_are_sure_only_well_inside_the_window():
    polls = [poll(56, ("a", 30), ("b", 53), ("c", 40))]
    assert stated(polls, ListSpec(skew=1)) == (1, 3, Accuracy.BOUNDED)


def test_a_value_that_starts_as_the_creation_time_is_no_activity():
    signed_up = poll(56, ("a", 40, 40))
    assert stated([signed_up])[0] == 1  # wrong if the product sets it at creation
    declared = ListSpec(initial_created=True)
    assert stated([signed_up], declared) == (0, 1, Accuracy.UPPER_BOUND)


def test_created_equal_to_last_activity_does_not_prove_inactivity():
    """Created at 40, active at 42 within the throttle: the value stays 40."""
    declared = ListSpec(initial_created=True, hidden=4)
    assert stated([poll(56, ("a", 40, 40))], declared) == (0, 1, Accuracy.UPPER_BOUND)


def test_an_unknown_creation_time_guards_the_row_too():
    declared = ListSpec(initial_created=True)
    assert stated([poll(56, ("a", 40, None))], declared) == (0, 1, Accuracy.UPPER_BOUND)


def test_activity_after_the_start_of_the_last_poll_before_the_end_may_be_missing():
    """Row read at 52, activity at 53 unseen although the poll ended at 58."""
    assert stated([poll(51, ("a", 10), end=58)]) == (0, None, Accuracy.UNKNOWN)


def test_overwritten_across_the_end_is_a_candidate_not_a_loss():
    polls = [poll(51, ("a", 10)), poll(56, ("a", 55))]
    assert stated(polls) == (0, 1, Accuracy.UPPER_BOUND)


def test_a_gap_inside_the_cycle_loses_nobody():
    polls = [poll(31, ("a", 10)), poll(56, ("a", 50), ("b", 31))]
    assert stated(polls) == (2, 2, Accuracy.EXACT)


def test_installed_after_the_end_is_still_exact():
    assert stated([poll(55, ("a", 30), ("b", 29))]) == (1, 1, Accuracy.EXACT)


def test_users_created_after_the_end_are_ruled_out():
    assert stated([poll(56, ("a", 55, 54))]) == (0, 0, Accuracy.EXACT)
    assert stated([poll(56, ("a", 55, 53))]) == (0, 1, Accuracy.UPPER_BOUND)


def test_the_first_poll_after_the_end_closes_nothing_before_the_lag_is_over():
    early, declared = poll(55, ("a", 10)), ListSpec(lag=5)
    assert stated([early], declared) == (0, None, Accuracy.UNKNOWN)
    assert stated([early, poll(59, ("a", 53))], declared) == (1, 1, Accuracy.EXACT)


def test_clock_skew_delays_the_closing_poll_and_widens_its_end():
    declared = ListSpec(poll_skew=2)
    assert stated([poll(55, ("a", 40))], declared) == (1, None, Accuracy.LOWER_BOUND)
    assert stated([poll(56, ("a", 40))], declared) == (1, 1, Accuracy.EXACT)


def test_a_throttled_product_hides_activity_after_the_start():
    declared = ListSpec(hidden=4)
    assert stated([poll(56, ("a", 29))], declared) == (0, 1, Accuracy.UPPER_BOUND)
    assert stated([poll(56, ("a", 25))], declared) == (0, 0, Accuracy.EXACT)


def test_unordered_writes_go_back_and_count_as_hidden():
    """Activity 29 is written at 34, activity 31 at once: the value ends as 29."""
    wrong = ListSpec(lag=5)
    assert stated([poll(60, ("a", 29))], wrong) == (0, 0, Accuracy.EXACT)  # truth 1
    assert stated([poll(60, ("a", 29))], ListSpec(lag=5, hidden=5))[1] == 1


@pytest.mark.parametrize("kept", [0, 12])
def test_dense_polls_do_not_make_deletions_harmless(kept: int):
    """Somebody may be created, used and removed between two polls one tick apart."""
    polls = [poll(start, ("a", 31)) for start in range(31, 60)]
    assert stated(polls, ListSpec(kept=kept)) == (1, None, Accuracy.LOWER_BOUND)


def test_absence_proves_nothing_where_users_are_removed_and_ids_reused():
    declared = ListSpec(kept=0, id_reuse=True)
    assert stated([poll(56)], declared) == (0, None, Accuracy.UNKNOWN)


def test_rows_of_a_failed_poll_count_and_prove_nothing_else():
    assert stated([poll(40, ("a", 35), complete=False)]) == (1, None, Accuracy.LOWER_BOUND)
    assert stated([poll(56, ("a", 35), complete=False)]) == (1, None, Accuracy.LOWER_BOUND)


def test_a_stamp_in_the_future_fails_the_whole_poll():
    with pytest.raises(ImpossibleStampError) as refused:
        facts([poll(45, ("b", 40), ("a", 80))])
    assert refused.value.ahead_ms == 35 * translate.TICK_MS


def test_a_stamp_within_the_clock_skew_is_no_future():
    assert stated([poll(45, ("a", 47))], ListSpec(poll_skew=2))[0] == 1


def test_a_coarse_value_is_cut_by_the_end_of_the_poll():
    """The unit [50, 60) straddles the end at 54: a poll at 53 proves activity before it."""
    coarse = ListSpec(granularity=10)
    assert stated([poll(56, ("a", 50))], coarse) == (0, 1, Accuracy.UPPER_BOUND)
    assert stated([poll(53, ("a", 50)), poll(56, ("a", 50))], coarse) == (1, 1, Accuracy.EXACT)


def test_a_coarse_value_can_prove_the_cycle_without_proving_a_day():
    found = facts([poll(56, ("a", 34))], ListSpec(granularity=4))  # days 0 and 1
    assert found.sure == {translate.user("a"): 1 << CYCLE_BIT}
    assert found.maybe == {translate.user("a"): 0b11}


def test_two_key_domains_are_never_united():
    one = Store("key-1", facts([poll(56, ("a", 40))]), translate.properties(ListSpec()))
    two = Store("key-2", facts([poll(56, ("b", 40))]), translate.properties(ListSpec()))
    bounds = evaluate([one, two])
    assert (bounds.lower, bounds.upper) == (1, 2)  # one person, or two


def test_merged_maybe_is_the_intersection_of_closed_polls_only():
    user = translate.user("a")
    tight = facts([poll(55, ("a", 10))])  # a is inactive
    wide = facts([poll(58, ("a", 57))])  # a is overwritten
    unclosed = facts([poll(50, ("a", 10))])
    assert wide.maybe[user] >> CYCLE_BIT & 1
    assert not merge(wide, tight).maybe.get(user, 0) >> CYCLE_BIT & 1  # with OR: too wide
    assert merge(wide, unclosed).maybe[user] >> CYCLE_BIT & 1  # with AND alone: lost


def test_zero_is_stated_only_where_it_is_proved():
    assert stated([]) == (0, None, Accuracy.UNKNOWN)
    assert stated([poll(45)]) == (0, None, Accuracy.UNKNOWN)
    assert stated([poll(56, ("a", 10))]) == (0, 0, Accuracy.EXACT)


def test_days_after_an_outage_are_bounded_where_a_later_day_hides_them():
    """Down from 31 to 47; a was active at 33 and 44, b at 40."""
    polls = [poll(30, ("a", 5), ("b", 5)), poll(48, ("a", 44), ("b", 40))]
    assert [stated(polls, window=day) for day in (0, 1, 2, CYCLE_BIT)] == [
        (0, 2, Accuracy.UPPER_BOUND),
        (1, 2, Accuracy.BOUNDED),
        (1, 1, Accuracy.EXACT),
        (2, None, Accuracy.LOWER_BOUND),
    ]


def test_a_user_seen_active_and_missing_at_the_close_refutes_what_is_declared():
    """He was removed, or he is the other one now: whichever it is, one of them was active."""
    polls = [poll(24, ("a", None)), poll(40, ("a", 35)), poll(56, ("b", 40))]
    gone = facts(polls)
    left = translate.judged(ListSpec(), gone, roster_gap_ms=4 * DAY_MS)
    assert left.refuted == {Guarantee.REMOVAL_NEVER}
    bounds = evaluate_facts(gone, left, cycle=translate.CYCLE)
    assert (bounds.lower, bounds.upper) == (1, 2)
    forgets = translate.properties(ListSpec(kept=0))
    assert evaluate_facts(gone, forgets).accuracy is Accuracy.LOWER_BOUND


def test_activity_shown_after_the_closing_poll_refutes_the_lag():
    late = facts([poll(55, ("a", 10)), poll(58, ("a", 53))])
    left = translate.judged(ListSpec(), late)
    assert left.refuted == {Guarantee.SHOWN}
    bounds = evaluate_facts(late, left)
    assert (bounds.lower, bounds.upper) == (1, None)


def test_somebody_whose_value_went_back_counts_no_more_and_nobody_is_ruled_out():
    """The product was restored from a backup: others may have been active since, unseen."""
    restored = facts([poll(40, ("a", 35), ("b", 39)), poll(56, ("a", 10), ("b", 39))])
    left = translate.judged(ListSpec(), restored)
    assert left.refuted == {Guarantee.SHOWN}
    bounds = evaluate_facts(restored, left)
    assert (bounds.lower, bounds.upper) == (1, None)


def test_fewer_possible_users_than_proved_ones_rule_nobody_out_with_unstable_ids_either():
    polls = [poll(40, ("a", 35), ("b", 35)), poll(56, ("c", 40))]
    assert stated(polls, ListSpec(id_stable=False)) == (2, None, Accuracy.LOWER_BOUND)


def test_what_one_store_refutes_takes_the_upper_bound_of_all_away():
    refuted = [poll(40, ("a", 35), ("b", 35)), poll(56, ("c", 40))]
    unstable, stable = ListSpec(id_stable=False), ListSpec()
    many = [poll(56, *((name, 40) for name in "defgh"))]
    bounds = evaluate(
        [
            Store("one", facts(refuted, unstable), translate.properties(unstable)),
            Store("two", facts(many), translate.properties(stable)),
        ]
    )
    assert (bounds.lower, bounds.upper) == (5, None)


def test_unstable_ids_have_no_upper_bound_once_users_may_be_removed():
    unstable = facts([poll(56, ("a", 40))], ListSpec(id_stable=False))
    forgets = translate.properties(ListSpec(id_stable=False, kept=0))
    assert evaluate_facts(unstable, forgets).accuracy is Accuracy.LOWER_BOUND


class TestRepeatedUsers:
    """Pages overlap by a row, and several accounts may share a normalised id: one user."""

    rows = (("a", 40), ("a", 40), ("a", 55))

    def test_counts_once(self):
        assert stated([poll(56, *self.rows)]) == (1, 1, Accuracy.EXACT)

    def test_counts_once_with_unstable_ids(self):
        unstable = ListSpec(id_stable=False)
        assert stated([poll(56, *self.rows)], unstable) == (1, 1, Accuracy.EXACT)

    def test_is_not_maybe_where_it_is_sure(self):
        found = translate.facts(ListSpec(), poll(56, *self.rows))
        day = 1 << 1
        assert found.sure[translate.user("a")] == 1 << CYCLE_BIT | day
        assert found.maybe[translate.user("a")] == 0b1101  # every day but that one

    def test_is_maybe_wherever_one_of_its_rows_is(self):
        rows = (("a", 57, 0), ("a", 35, 35))
        found = facts([poll(58, *rows)], ListSpec(initial_created=True))
        assert found.maybe[translate.user("a")] == 1 << CYCLE_BIT | 0b1111


def test_a_value_near_the_creation_time_is_guarded_within_the_tolerance():
    declared = replace(
        translate.properties(ListSpec(initial_created=True)), created_tolerance_ms=1000
    )

    def value_after_creation(ms: int) -> Facts:
        created = 40 * translate.TICK_MS
        row = Row(translate.user("a"), created + ms, created)
        at = 60 * translate.TICK_MS
        return list_facts(
            translate.CYCLE,
            declared,
            started_ms=at,
            ended_ms=at,
            clock_skew_ms=0,
            complete=True,
            rows=[row],
        )

    assert not value_after_creation(1000).sure
    assert not value_after_creation(-1000).sure
    assert value_after_creation(1001).sure


def test_windows_closed_before_are_not_written_again():
    """The earliest closing poll is the tightest; later ones would write every later user."""
    later = poll(58, ("a", 57), ("b", 40))
    again = translate.facts(ListSpec(), later, already_closed=1 << CYCLE_BIT | 0b0011)
    assert again.closed == 0b1100
    assert again.maybe == {translate.user("a"): 0b1100}
    assert again.ended == 1 << CYCLE_BIT | 0b1111
    assert again.sure == {translate.user("b"): 1 << CYCLE_BIT | 0b0010}


class TestSame:
    """Sources of the same activity: sure is the union, possible the intersection."""

    declared = translate.properties(ListSpec())

    def both(self, one: list[Poll], two: list[Poll]) -> tuple:
        stores = [Store("one", facts(polls), self.declared) for polls in (one, two)]
        bounds = evaluate(stores, Combine.SAME)
        return bounds.lower, bounds.upper, bounds.accuracy

    def test_each_rules_people_out_for_the_other(self):
        wide = [poll(58, ("a", 57), ("b", 40))]
        tight = [poll(55, ("a", 10), ("b", 40))]
        assert self.both(wide, tight) == (1, 1, Accuracy.EXACT)

    def test_one_that_proves_is_enough(self):
        assert self.both([poll(55, ("b", 40))], [poll(40, ("b", 39))]) == (1, 1, Accuracy.EXACT)
        assert self.both([poll(40, ("b", 39))], []) == (1, None, Accuracy.LOWER_BOUND)

    def test_one_that_rules_out_whom_the_other_saw_leaves_those_who_are_possible_in_both(self):
        """Perhaps c is b: one person; or the two observe different things: then nobody is out."""
        both = self.both([poll(55, ("b", 40))], [poll(40, ("c", 39), ("b", 38))])
        assert both == (1, None, Accuracy.LOWER_BOUND)
