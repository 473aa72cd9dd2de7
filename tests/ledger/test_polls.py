"""What a poll leaves behind."""

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from licenseusage.errors import Consequence, Failure, Stalled
from licenseusage.metering.bounds import Accuracy, Bounds
from licenseusage.metering.combine import Combine
from licenseusage.metering.coverage import Gap
from licenseusage.metering.cycles import CYCLE_BIT, DAY_MS
from licenseusage.metering.properties import Removal
from licenseusage.metering.stores import StoreKey
from licenseusage.reasons import Reason
from tests.ledger.book import begin, opened
from tests.ledger.conftest import (
    CYCLE,
    END,
    GRAPH,
    HOUR_MS,
    INTERVAL_MS,
    KEPT,
    MINUTE_MS,
    START,
    TERMS,
    declared,
    failed,
    poll,
)
from tests.properties import examples

CLOSING = END + 2 * MINUTE_MS
HALF = INTERVAL_MS // 2


def stated(ledger, *, sources=None, as_of_ms=None):
    return ledger.statement(1, CYCLE, sources=sources or [declared()], as_of_ms=as_of_ms)


def every(minutes: int, first: int, last: int, active: dict[str, int]) -> list:
    step = minutes * MINUTE_MS
    return [
        poll(at, {n: ms for n, ms in active.items() if ms <= at}) for at in range(first, last, step)
    ]


def test_while_the_cycle_runs_the_number_is_so_far_as_of_the_polls_end(ledger):
    ledger.record_poll(poll(START + HOUR_MS + 1, {"ada": START, "ben": START + HOUR_MS}), START)
    found = stated(ledger)
    assert found.active_text == "2 so far"
    assert found.bounds.accuracy is Accuracy.LOWER_BOUND
    assert found.as_of_ms == START + HOUR_MS + 3000  # the end, plus the skew, rounded up
    assert found.daily == (2,)
    assert found.provisioned == 100


def unchanged(at_ms, active):
    """A poll whose product said that its list has not changed since these were active."""
    return replace(poll(at_ms, active, complete=False), incomplete="ListUnchanged")


def test_a_list_that_is_unchanged_moves_the_time_and_neither_number_nor_bound(ledger):
    active = {"ada": START, "ben": START + HOUR_MS}
    ledger.record_poll(poll(START + 2 * HOUR_MS, active), START)
    ledger.record_poll(unchanged(START + 3 * HOUR_MS, active), START)
    found = stated(ledger)
    assert (found.active_text, found.bounds.upper) == ("2 so far", None)
    assert found.as_of_ms == START + 3 * HOUR_MS + 2000


def test_a_list_that_is_unchanged_after_the_end_closes_nothing(ledger):
    active = {"ada": START}
    ledger.record_poll(poll(START + HOUR_MS, active), START)
    ledger.record_poll(unchanged(CLOSING, active), CLOSING)
    found = stated(ledger, as_of_ms=END)
    assert (found.bounds.lower, found.bounds.upper) == (1, None)
    ledger.record_poll(poll(CLOSING + HOUR_MS, active), CLOSING)
    assert stated(ledger, as_of_ms=END).bounds == Bounds(1, 1)


def cut(at_ms, active, **kwargs):
    """A poll that ended on a page in the middle: it named these, and failed."""
    return replace(
        poll(at_ms, active, complete=False, **kwargs), failure=failed(at_ms).failure, complete=False
    )


class TestLostKey:
    """Another pseudonym key within a cycle: an administrator's word, and a domain of its own."""

    BEFORE, AFTER = GRAPH, StoreKey("graph", "under the new key")

    def changed(self, ledger, *names, replaced="f" * 32):
        ledger.record_poll(poll(START, {"ada": START, "ben": START}), START)
        found = poll(CLOSING, dict.fromkeys(names, START), store=self.AFTER)
        anew = replace(found, pseudonym_key_id="e" * 32, replaced_key_id=replaced)
        ledger.record_poll(anew, CLOSING)
        return stated(ledger, sources=[declared(self.AFTER)], as_of_ms=END)

    @pytest.mark.parametrize(("names", "least"), [("a", 2), ("abc", 3)])
    def test_the_larger_number_is_the_least_and_there_is_no_most(self, ledger, names, least):
        found = self.changed(ledger, *names)
        assert (found.bounds.lower, found.bounds.upper) == (least, None)

    @pytest.mark.parametrize("replaced", [None, "d" * 32])
    def test_without_the_word_or_of_another_key_it_is_refused(self, ledger, replaced):
        with pytest.raises(Stalled, match=f"keys new pseudonym --replaces {'f' * 32}") as caught:
            self.changed(ledger, "a", replaced=replaced)
        assert caught.value.reason == "PseudonymKeyChanged"

    def test_a_key_that_changed_with_the_cycle_does_not_hold_up_the_next_one(self, ledger):
        following = TERMS.cycle(1)
        ledger.record_poll(poll(START, {"ada": START}), START)
        found = poll(CLOSING, {"ben": CLOSING}, cycles=(CYCLE, following), store=self.AFTER)
        ledger.record_poll(replace(found, pseudonym_key_id="e" * 32), CLOSING)
        after = ledger.statement(1, following, sources=[declared(self.AFTER)])
        assert after.active_text == "1 so far"
        before = stated(ledger, sources=[declared(self.AFTER)], as_of_ms=END)
        assert (before.bounds.lower, before.bounds.upper) == (1, None)

    def test_from_then_on_the_former_key_is_the_wrong_one(self, ledger):
        self.changed(ledger, "a")
        with pytest.raises(Stalled, match="the Secret now holds"):
            ledger.record_poll(poll(CLOSING, {"ada": START}), CLOSING)


class TestAsOf:
    """A running number is true as of the last poll that read everything it could."""

    LATER = START + 2 * HOUR_MS

    def seen_by_a_cut_poll(self, ledger):
        ledger.record_poll(poll(START, {"ada": START}), START)
        before = stated(ledger)
        ledger.record_poll(
            cut(self.LATER, {"ada": START, "ben": self.LATER - 1000, "cem": START + HOUR_MS}),
            self.LATER,
        )
        return before

    def test_a_failed_poll_moves_neither_the_time_nor_the_number(self, ledger):
        before = self.seen_by_a_cut_poll(ledger)
        after = stated(ledger)
        assert after.as_of_ms == before.as_of_ms == START + 2000
        assert (after.active_text, after.daily) == ("1 so far", (1,))

    def test_whom_it_named_counts_with_the_next_success(self, ledger):
        self.seen_by_a_cut_poll(ledger)
        again = self.LATER + HOUR_MS
        ledger.record_poll(poll(again, {"ada": START}), again)  # lists the others no more
        found = stated(ledger)
        assert found.as_of_ms == again + 2000
        assert (found.active_text, found.daily) == ("3 so far", (3,))
        # A later cut poll takes nobody away whom an earlier one had named.
        last = again + HOUR_MS
        ledger.record_poll(cut(last, {"dan": last - 1000}), last)
        assert stated(ledger).active_text == "3 so far"

    def test_whom_it_named_counts_at_a_later_time_that_is_asked_for(self, ledger):
        self.seen_by_a_cut_poll(ledger)
        assert stated(ledger, as_of_ms=self.LATER + 2000).bounds.lower == 3
        assert stated(ledger, as_of_ms=self.LATER - 2000).bounds.lower == 1

    def test_a_success_of_another_source_settles_it(self, ledger):
        other = StoreKey("log", "domain")
        sources = [declared(), declared(other)]
        self.seen_by_a_cut_poll(ledger)
        after = self.LATER + MINUTE_MS
        ledger.record_poll(poll(after, {}, store=other), after)
        assert stated(ledger, sources=sources).bounds.lower == 3
        last = after + MINUTE_MS
        ledger.record_poll(cut(last, {"dan": last - 1000}), last)
        assert stated(ledger, sources=sources).bounds.lower == 3

    def test_numbers_of_unstable_ids_wait_as_well(self, ledger):
        unstable = replace(KEPT, ids_stable=False)
        sources = [declared(properties=unstable)]
        ledger.record_poll(poll(START, {"a": START}, properties=unstable), START)
        found = cut(self.LATER, {"x": START, "y": self.LATER - 1}, properties=unstable)
        ledger.record_poll(found, self.LATER)
        assert stated(ledger, sources=sources).bounds.lower == 1
        assert stated(ledger, sources=sources, as_of_ms=self.LATER + 2000).bounds.lower == 2

    @given(
        people=st.lists(st.integers(0, 300), min_size=1, max_size=6),
        steps=st.lists(st.tuples(st.integers(1, 60), st.booleans(), st.integers(0, 63))),
    )
    @examples(40)
    def test_the_number_is_never_above_the_truth_at_its_time_and_never_falls(self, people, steps):
        """``people``: minute of each one's activity; steps: minutes on, whole, whom a cut names."""
        at, highest = START, 0
        with TemporaryDirectory() as folder, opened(Path(folder) / "ledger.db") as ledger:
            begin(ledger)
            for minutes, whole, named in steps:
                at += minutes * MINUTE_MS
                known = {
                    f"u{n}": START + minute * MINUTE_MS
                    for n, minute in enumerate(people)
                    if START + minute * MINUTE_MS <= at and (whole or named >> n & 1)
                }
                ledger.record_poll(poll(at, known) if whole else cut(at, known), at)
                found = stated(ledger)
                truth = sum(START + minute * MINUTE_MS < found.as_of_ms for minute in people)
                assert highest <= found.bounds.lower <= truth
                highest = found.bounds.lower


def test_no_upper_bound_is_said_of_a_part_of_the_cycle(ledger):
    ledger.record_poll(poll(CLOSING, {"ada": START}), CLOSING)
    assert stated(ledger, as_of_ms=END - 1000).bounds.upper is None


def test_users_provisioned_are_those_of_one_source_or_of_equal_ones(ledger):
    other = StoreKey("log", "domain")
    for store, count in ((GRAPH, 100), (other, 120)):
        record = replace(poll(START, {}, store=store), provisioned=count)
        ledger.record_poll(record, START)
    sources = [declared(), declared(other)]
    assert stated(ledger).provisioned == 100
    assert stated(ledger, sources=sources).provisioned is None  # nobody knows the overlap
    same = ledger.statement(1, CYCLE, sources=sources, combine=Combine.SAME)
    assert same.provisioned == 120


def test_nobody_yet_is_unknown_without_a_count(ledger):
    ledger.record_poll(poll(START + HOUR_MS, {}), START + HOUR_MS)
    found = stated(ledger)
    assert found.active_text == "none seen so far"
    assert (found.bounds.active_users, found.bounds.accuracy) == (None, Accuracy.UNKNOWN)


def test_without_any_poll_the_statement_is_about_no_time(ledger):
    found = stated(ledger)
    assert found.as_of_ms == START
    assert found.daily == ()
    assert found.coverage.observed_seconds == 0
    assert found.coverage.gaps == ()


def test_a_closing_poll_of_every_source_makes_the_number_exact(ledger):
    ledger.record_poll(poll(CLOSING, {"ada": START, "ben": END - 1000}), CLOSING)
    found = stated(ledger, as_of_ms=END)
    assert found.words == "2"
    assert found.bounds.accuracy is Accuracy.EXACT
    assert ledger.store_states(1, CYCLE)[GRAPH].closed >> CYCLE_BIT & 1


def test_a_poll_near_the_boundary_makes_facts_for_both_cycles(ledger):
    both = poll(CLOSING, {"ada": END - 1000, "ben": END + 1000}, cycles=(CYCLE, TERMS.cycle(1)))
    ledger.record_poll(both, CLOSING)
    assert stated(ledger, as_of_ms=END).words == "at least 1, at most 2: " + (
        "their activity right before the cycle's end was overwritten; "
        "1 person signed in again since"
    )
    after = ledger.statement(1, TERMS.cycle(1), sources=[declared()])
    assert after.active_text == "1 so far"


def test_people_named_by_a_failed_poll_count_and_close_nothing(ledger):
    partial = replace(
        poll(CLOSING, {"ada": START}, complete=False), failure=failed(CLOSING).failure
    )
    ledger.record_poll(partial, CLOSING)
    found = stated(ledger, as_of_ms=END)
    assert found.words == "at least 1: nothing could be read completely after the cycle's end"
    assert found.coverage.observed_seconds == 0


def test_users_that_may_be_removed_are_said(ledger):
    forgets = replace(KEPT, removal=Removal.UNKNOWN)
    ledger.record_poll(poll(CLOSING, {"ada": START}, properties=forgets), CLOSING)
    found = stated(ledger, sources=[declared(properties=forgets)], as_of_ms=END)
    assert found.words == "at least 1: this product forgets removed users"
    assert found.unbounded == ("RemovedUsers",)
    assert ledger.store_states(1, CYCLE)[GRAPH].ended >> CYCLE_BIT & 1


def test_what_is_refuted_is_named_and_what_does_not_rest_on_it_is_stated(ledger):
    ledger.record_poll(poll(START + HOUR_MS, {"ada": START}), START + HOUR_MS)
    for at in (CLOSING, CLOSING + MINUTE_MS):
        ledger.record_poll(poll(at, {"ben": START}), at)
    found = stated(ledger, as_of_ms=END)
    assert found.active_text == "≥1"
    assert found.unbounded == ("RosterMissing",)
    assert found.refuted[0].startswith(
        "source graph: the list lost 1 of 1 users; removal: Never says it loses nobody."
    )
    assert "RemovalNever" not in found.assumptions


def test_later_polls_of_closed_windows_write_no_more_users(ledger):
    ledger.record_poll(poll(CLOSING, {"ada": START}), CLOSING)
    closed = ledger.store_states(1, CYCLE)[GRAPH].closed
    late = CLOSING + HOUR_MS
    ledger.record_poll(poll(late, {"ada": START, "ben": late}, already_closed=closed), late)
    assert stated(ledger, as_of_ms=END).words == "1"


def test_another_pseudonym_key_within_a_cycle_is_refused(ledger):
    ledger.record_poll(poll(START + HOUR_MS, {"ada": START}), START + HOUR_MS)
    other = replace(poll(START + 2 * HOUR_MS, {"ada": START}), pseudonym_key_id="0" * 32)
    with pytest.raises(Stalled, match="people would count twice") as refused:
        ledger.record_poll(other, START + 2 * HOUR_MS)
    assert refused.value.reason == "PseudonymKeyChanged"
    assert stated(ledger).active_text == "1 so far"


@pytest.mark.parametrize("consequence", Consequence)
def test_a_failure_keeps_its_consequence(path, consequence):
    failure = Failure(Reason.UNAUTHORIZED, "refused", consequence)
    with opened(path) as ledger:
        begin(ledger)
        ledger.record_poll(replace(failed(START), failure=failure), START)
    with opened(path) as ledger:
        assert ledger.source_statuses(1)["graph"].failure == failure
        ledger.record_poll(poll(START + HOUR_MS, {}), START + HOUR_MS)
        assert ledger.source_statuses(1)["graph"].failure is None


def test_changes_of_the_rules_are_counted_per_cycle(ledger):
    for number, digest in enumerate(["one", "one", "two", "one"]):
        at = START + number * HOUR_MS
        ledger.record_poll(replace(poll(at, {}), rules_digest=digest), at)
    (record,) = ledger.cycles(1)
    assert (record.rules_digest, record.rules_changes) == ("one", 2)


class TestCoverage:
    """A span between two successes is observed if they are at most two intervals apart."""

    def test_polls_in_time_leave_no_gap(self, ledger):
        for each in every(15, START, START + 4 * HOUR_MS, {}):
            ledger.record_poll(each, each.ended_ms)
        found = stated(ledger).coverage
        assert found.gaps == ()
        assert found.observed_seconds == (3 * 60 + 45) * 60 + 2

    def test_a_gap_has_the_reason_of_the_failure(self, ledger):
        ledger.record_poll(poll(START, {}), START)
        ledger.record_poll(failed(START + HOUR_MS), START + HOUR_MS)
        ledger.record_poll(poll(START + 2 * HOUR_MS, {}), START + 2 * HOUR_MS)
        found = stated(ledger).coverage
        first = START // 1000
        assert found.gaps == (Gap(first + 1, first + 7200, "EndpointUnreachable"),)
        assert found.observed_seconds + 7199 == stated(ledger).as_of_ms // 1000 - first

    def test_the_time_before_the_first_poll_and_of_an_absent_operator_are_gaps(self, ledger):
        for at in (START + HOUR_MS, START + 5 * HOUR_MS):
            ledger.record_poll(poll(at, {}), at)
        reasons = [gap.reason for gap in stated(ledger).coverage.gaps]
        assert reasons == ["BeforeFirstPoll", "NoPoll"]

    def test_with_several_sources_observed_means_by_all_of_them(self, ledger):
        other = StoreKey("log", "domain")
        for each in every(15, START, START + 2 * HOUR_MS, {}):
            ledger.record_poll(each, each.ended_ms)
        ledger.record_poll(poll(START + HOUR_MS, {}, store=other), START + HOUR_MS)
        found = stated(ledger, sources=[declared(), declared(other)]).coverage
        assert found.gaps[0] == Gap(START // 1000, START // 1000 + 3600, "BeforeFirstPoll")

    def test_a_gap_at_the_end_is_told_with_its_times(self, ledger):
        ledger.record_poll(poll(END - 50 * MINUTE_MS, {"ada": START}), END)
        late = END + 100 * MINUTE_MS
        ledger.record_poll(poll(late, {"ada": START, "ben": END + MINUTE_MS}), late)
        assert stated(ledger, as_of_ms=END).words == (
            "at least 1, at most 2: nothing could be read between 23:10 and 01:40 around the "
            "cycle's end; 1 person signed in again since"
        )


class TestDays:
    """A day is known if a poll succeeded within two intervals after its end; null is never 0."""

    def test_a_day_without_a_poll_after_it_is_not_known(self, ledger):
        for at in (
            START + DAY_MS + INTERVAL_MS,
            START + 3 * DAY_MS + HALF,
            START + 3 * DAY_MS + HOUR_MS,
        ):
            ledger.record_poll(
                poll(
                    at,
                    {"ada": START, "ben": START + 2 * DAY_MS}
                    if at > START + 2 * DAY_MS
                    else {"ada": START},
                ),
                at,
            )
        assert stated(ledger).daily == (1, None, 1, 0)

    def test_a_failed_poll_makes_no_day_known(self, ledger):
        at = START + DAY_MS + HALF
        partial = replace(poll(at, {"ada": START}), failure=failed(at).failure)
        ledger.record_poll(partial, at)
        assert stated(ledger, as_of_ms=at + 2000).daily == (None, 0)

    def test_a_day_of_a_list_that_lost_somebody_counts_those_still_listed(self, ledger):
        ledger.record_poll(poll(START + HOUR_MS, {"ada": START, "ben": START}), START)
        at = START + DAY_MS + HALF
        ledger.record_poll(poll(at, {"ben": START}), at)  # where is ada?
        assert stated(ledger).daily == (1, 0)
        assert stated(ledger).active_text == "1 so far"
        assert "the list lost 1 of 2 users" in stated(ledger).refuted[0]

    def test_a_day_on_which_a_value_went_back_is_not_known(self, ledger):
        ledger.record_poll(poll(START + HOUR_MS, {"ada": START, "ben": START}), START)
        at = START + DAY_MS + HALF
        ledger.record_poll(poll(at, {"ben": START, "ada": START - DAY_MS}), at)
        assert stated(ledger).daily == (None, 0)
        assert stated(ledger).active_text == "2 so far"
        assert "came to be shown" in stated(ledger).refuted[0]

    def test_the_running_day_is_so_far(self, ledger):
        at = START + DAY_MS + HOUR_MS
        ledger.record_poll(poll(at, {"ada": START + DAY_MS}), at)
        assert stated(ledger).daily == (None, 1)

    def test_every_source_must_have_been_read(self, ledger):
        other = StoreKey("log", "domain")
        at = START + DAY_MS + HALF
        ledger.record_poll(poll(at, {"ada": START}), at)
        ledger.record_poll(poll(at + HOUR_MS, {}, store=other), at)
        found = stated(ledger, sources=[declared(), declared(other)])
        assert found.daily == (None, 0)

    def test_a_final_statement_has_every_day(self, ledger):
        ledger.record_poll(poll(CLOSING, {"ada": END - DAY_MS}), CLOSING)
        assert stated(ledger, as_of_ms=END).daily == (None, None, None, 1)


class TestSourceStatus:
    """The figures are those of the last success; failures are counted in a row."""

    def test_a_success(self, ledger):
        ledger.record_poll(poll(START + HOUR_MS, {"ada": START}), START + HOUR_MS)
        status = ledger.source_statuses(1)["graph"]
        assert (status.last_success_ms, status.last_duration_ms) == (START + HOUR_MS + 1000, 1000)
        assert (status.listed, status.provisioned, status.failures) == (1, 100, 0)
        assert status.last_complete_duration_ms == 1000

    def test_failures_keep_the_figures_and_count(self, ledger):
        ledger.record_poll(poll(START, {"ada": START}), START)
        for number in (1, 2):
            ledger.record_poll(failed(START + number * HOUR_MS), START + number * HOUR_MS)
        status = ledger.source_statuses(1)["graph"]
        assert (status.listed, status.failures) == (1, 2)
        assert status.failing_since_ms == START + HOUR_MS
        assert status.last_attempt_ms == START + 2 * HOUR_MS
        assert status.failure.reason == "EndpointUnreachable"

    def test_a_success_ends_the_failures(self, ledger):
        ledger.record_poll(failed(START), START)
        ledger.record_poll(poll(START + HOUR_MS, {}), START + HOUR_MS)
        status = ledger.source_statuses(1)["graph"]
        assert (status.failure, status.failures, status.failing_since_ms) == (None, 0, None)


def test_the_clocks_high_water_never_falls(ledger):
    ledger.record_poll(poll(START + HOUR_MS, {}), START + HOUR_MS)
    ledger.record_poll(failed(START), START)
    assert ledger.clock_high_water_ms() == START + HOUR_MS


def test_clock_steps_are_counted_in_the_running_cycle(ledger):
    ledger.ensure_cycle(1, CYCLE, START)
    ledger.record_clock_step(-7_500, START)
    ledger.record_clock_step(3_000, START)
    (record,) = ledger.cycles(1)
    assert (record.backward_steps, record.forward_steps) == (1, 1)
    assert record.largest_step_seconds == 8
