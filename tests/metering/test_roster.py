"""Rosters: who was ever listed, which polls make one whole, and what it proves."""

from dataclasses import replace

import pytest

from licenseusage.metering.combine import Store
from licenseusage.metering.cycles import CYCLE_BIT, CYCLE_MASK, DAY_MS, Cycle, Segment
from licenseusage.metering.facts import Facts
from licenseusage.metering.known import Known
from licenseusage.metering.packing import packed, unpacked
from licenseusage.metering.polled import Polled
from licenseusage.metering.properties import Guarantee, Properties, Removal
from licenseusage.metering.refuting import Seen, refuted_by, seen_in
from licenseusage.metering.roster import (
    HOUR_MS,
    Listed,
    Missing,
    Roster,
    Run,
    joined_runs,
    known_by_roster,
    merge_rosters,
    missing,
    roster_of,
)

CYCLE = Cycle(0, 100 * DAY_MS, 104 * DAY_MS)
START, END = CYCLE.start_ms, CYCLE.end_ms
LAG = 60_000
DECLARED = Properties(removal=Removal.LISTED_ONCE, ids_stable=True, lag_ms=LAG)


def user(name: str) -> bytes:
    return name.encode().ljust(16, b".")


def users(names: str) -> bytes:
    return packed(map(user, names))


def named(found: bytes) -> str:
    return "".join(one.decode().rstrip(".") for one in unpacked(found))


def poll(at: int, *, complete: bool = True, took: int = 1000) -> Polled:
    return Polled(at, at + took, complete)


def made(
    at: int,
    never: str = "",
    early: str = "",
    later: tuple = (),
    *,
    aside: str = "",
    quiet: str = "",
    properties: Properties = DECLARED,
    complete: bool = True,
    took: int = 1000,
) -> Roster:
    """A roster of one poll; ``later`` are (name, value, created)."""
    rows = [(user(name), value, created) for name, value, created in later]
    apart = [user(name) for name in aside], [user(name) for name in quiet]
    listed = Listed(map(user, never), map(user, early), rows, None, *apart)
    return roster_of(CYCLE, properties, poll(at, complete=complete, took=took), listed)


def test_packed_users_are_sorted_and_distinct():
    assert named(packed(map(user, "cabac"))) == "abc"
    assert packed([]) == b""
    assert list(unpacked(b"")) == []
    assert [len(one) for one in unpacked(users("ab"))] == [16, 16]


class TestOnePoll:
    def test_before_the_end_everybody_is_listed_and_nobody_ruled_out(self):
        found = made(START, "a", "b", (("c", START, None), ("a", START, None)))
        assert named(found.before) == "abc"
        assert found == Roster(
            before=users("abc"),
            last_at_ms=START,
            last=users("abc"),
            runs=(Run(START + 1000, START),),
        )

    def test_read_by_the_start_it_is_the_list_that_the_cycle_begins_with(self):
        found = made(START - 1000, "a")
        assert (named(found.start), found.start_at_ms, found.before) == ("a", START - 1000, b"")
        assert (found.last, found.last_at_ms) == (found.start, found.start_at_ms)

    def test_an_excluded_user_is_listed_and_nothing_else(self):
        running = made(START, "a", aside="b", quiet="c")
        assert (named(running.before), named(running.last)) == ("a", "abc")
        late = made(END + HOUR_MS, "a", aside="b", quiet="c")
        assert (named(late.inactive), named(late.open)) == ("a", "")
        assert (named(late.quiet), named(late.last)) == ("c", "abc")
        reused = replace(DECLARED, id_reuse=True)
        assert made(END + HOUR_MS, quiet="c", properties=reused).quiet == b""

    def test_of_a_segment_only_who_is_listed_is_known(self):
        part = Segment(CYCLE, START + DAY_MS, END)
        listed = Listed([user("a")], [user("b")], [], None, [user("c")], [user("d")])
        found = roster_of(part, DECLARED, poll(END + HOUR_MS), listed)
        assert found == Roster(last_at_ms=END + HOUR_MS, last=users("abcd"))
        assert roster_of(part, DECLARED, poll(END, complete=False), listed) == Roster()

    def test_a_list_of_those_active_only_cannot_have_been_read_before_the_start(self):
        listed = Listed([user("a")], (), ())
        found = roster_of(CYCLE, DECLARED, poll(START + 5), listed, whole=False)
        assert (named(found.before), found.runs) == ("a", ())

    def test_a_poll_before_the_lag_is_over_closes_nothing(self):
        assert made(END + LAG - 1, "a").open_at_ms is None
        assert made(END + LAG, "a").open_at_ms == END + LAG

    def test_a_closing_poll_tells_who_may_have_been_active(self):
        late = END + HOUR_MS
        found = made(late, "a", "b", (("c", END - 1000, None), ("d", END, None)))
        assert (named(found.open), named(found.inactive), found.before) == ("cd", "ab", b"")
        assert (found.open_at_ms, found.runs) == (late, (Run(late + 1000, late),))

    def test_somebody_created_after_the_end_is_ruled_out(self):
        late = END + HOUR_MS
        rows = (("a", END + 5, END), ("b", END + 5, END - 1), ("c", END + 5, None))
        found = made(late, later=rows)
        assert (named(found.open), named(found.inactive)) == ("bc", "a")

    def test_creation_times_are_as_wrong_as_any_stamp(self):
        late, skewed = END + HOUR_MS, replace(DECLARED, skew_ms=10)
        found = made(late, later=(("a", END + 50, END + 10), ("b", END + 50, END + 9)))
        assert named(found.open) == ""
        rows = (("a", END + 50, END + 10), ("b", END + 50, END + 9))
        found = made(late, later=rows, properties=skewed)
        assert (named(found.open), named(found.inactive)) == ("b", "a")

    def test_a_row_that_proves_activity_is_never_ruled_out_by_its_creation(self):
        late = END + HOUR_MS
        inside = (
            ("a", START, END),
            ("b", END - 1000, END),
            ("c", START - 1, END),
            ("d", END - 999, END),
        )
        found = made(late, later=inside)
        assert (named(found.open), named(found.inactive)) == ("ab", "cd")

    def test_a_row_that_may_lie_outside_is_ruled_out_by_its_creation(self):
        skewed = replace(DECLARED, skew_ms=10)
        inside = (("a", START + 10, END + 10), ("b", START + 9, END + 10))
        found = made(END + HOUR_MS, later=inside, properties=skewed)
        assert (named(found.open), named(found.inactive)) == ("a", "b")

    def test_an_id_that_may_be_given_away_proves_only_what_its_holder_did(self):
        late, reused = END + HOUR_MS, replace(DECLARED, id_reuse=True)
        rows = (("c", END + 5, END),)
        found = made(late, "a", "b", rows, properties=reused)
        assert (named(found.open), named(found.inactive)) == ("ac", "b")

    def test_all_rows_of_a_user_must_rule_him_out(self):
        late, reused = END + HOUR_MS, replace(DECLARED, id_reuse=True)
        rows = (("a", END - 5000, None), ("b", END + 5, END), ("b", END + 5, None))
        found = made(late, "a", "b", rows)
        assert (named(found.open), named(found.inactive)) == ("ab", "")
        found = made(late, "a", "a", properties=reused)
        assert (named(found.open), named(found.inactive)) == ("a", "")

    def test_a_poll_that_was_not_complete_lists_nobody_and_may_rule_out(self):
        assert made(START, "a", "b", complete=False) == Roster()
        late = made(END + HOUR_MS, "a", "b", (("c", END, None),), complete=False)
        assert late == Roster(inactive=users("ab"))

    def test_a_poll_that_takes_longer_than_gaps_that_are_joined_is_no_run(self):
        assert made(START, "a", took=HOUR_MS).runs == (Run(START + HOUR_MS, START),)
        long = made(START, "a", took=HOUR_MS + 1)
        assert (named(long.before), long.runs) == ("a", ())


class TestRuns:
    def test_polls_no_further_apart_than_the_gap_are_one(self):
        first, second = Run(100, 90), Run(150, 140)
        assert joined_runs([second, first], 60) == (Run(100, 140),)
        assert joined_runs([second, first], 59) == (first, second)

    def test_a_run_within_another_changes_nothing(self):
        assert joined_runs([Run(0, 100), Run(50, 60)], 10) == (Run(0, 100),)
        assert joined_runs([Run(0, 100), Run(50, 160)], 10) == (Run(0, 160),)

    def test_runs_join_through_a_third(self):
        runs = [Run(0, 10), Run(40, 50), Run(20, 30)]
        assert joined_runs(runs, 10) == (Run(0, 50),)
        assert joined_runs(runs[:2], 10) == (Run(0, 10), Run(40, 50))
        assert joined_runs([], 10) == ()


class TestMissing:
    """A chain of complete polls from before the start until the closing poll, no gap too long."""

    def test_nothing_is_missing_if_polls_follow_from_before_the_start(self):
        assert missing(100, 200, [Run(100, 90), Run(150, 140), Run(210, 200)], 70) is None

    def test_without_a_closing_poll(self):
        assert missing(100, None, [Run(100, 90)], 70) is Missing.NOT_CLOSED

    def test_without_a_poll_that_ended_by_the_start(self):
        assert missing(100, 200, [Run(101, 90), Run(210, 200)], 500) is Missing.NOT_AT_START
        assert missing(100, 200, [], 70) is Missing.NOT_AT_START

    def test_with_polls_too_far_apart(self):
        runs = [Run(100, 90), Run(150, 140), Run(210, 200)]
        assert missing(100, 200, runs, 60) is Missing.GAP
        assert missing(100, 201, runs, 70) is Missing.GAP

    def test_the_last_run_before_the_start_counts(self):
        runs = [Run(0, 10), Run(100, 90), Run(150, 200)]
        assert missing(100, 200, runs, 60) is None


class TestJoin:
    def test_nothing_is_neutral(self):
        one = made(START, "a")
        assert merge_rosters(None, None) is None
        assert merge_rosters(one, None) == merge_rosters(None, one) == one

    def test_lists_are_united_and_runs_joined(self):
        joined = merge_rosters(made(START, "ab"), made(START + HOUR_MS, "bc"))
        assert joined == Roster(
            before=users("abc"),
            last_at_ms=START + HOUR_MS,
            last=users("bc"),
            runs=(Run(START + 1000, START), Run(START + HOUR_MS + 1000, START + HOUR_MS)),
        )
        near = merge_rosters(made(START, "ab"), made(START + HOUR_MS - 1000, "bc"))
        assert near.runs == (Run(START + 1000, START + HOUR_MS - 1000),)

    def test_the_earliest_closing_poll_counts(self):
        first = made(END + HOUR_MS, "a", later=(("b", END, None),))
        second = made(END + 2 * HOUR_MS, "b", later=(("c", END, None),))
        for joined in (merge_rosters(first, second), merge_rosters(second, first)):
            assert (joined.open_at_ms, named(joined.open)) == (END + HOUR_MS, "b")
            assert named(joined.inactive) == "ab"

    def test_the_same_lists_stay_as_they_are(self):
        one = made(START, "ab")
        assert merge_rosters(one, made(START + 5, "ab")).before == one.before
        assert merge_rosters(Roster(), Roster()) == Roster()

    def test_two_that_began_at_the_same_time_are_united(self):
        first = made(END + HOUR_MS, later=(("a", END, None),))
        second = made(END + HOUR_MS, later=(("b", END, None),))
        assert named(merge_rosters(first, second).open) == "ab"


class TestWhatItProves:
    WHOLE = Roster(
        before=users("abcd"),
        open_at_ms=END + HOUR_MS,
        open=users("b"),
        inactive=users("c"),
        idle_at_ms=END + HOUR_MS,
        idle=users("c"),
        runs=(Run(START, END + HOUR_MS),),
    )

    def known(self, sure: str, roster: Roster | None = WHOLE, **declared) -> Known:
        properties = replace(DECLARED, **declared)
        return known_by_roster(CYCLE, properties, set(map(user, sure)), roster)

    def test_those_listed_and_not_ruled_out_are_possible_the_others_vanished(self):
        found = self.known("a")
        assert found.possible == set(map(user, "abd"))
        assert found.vanished == {user("d")}
        assert not found.refuted

    def test_of_a_day_or_of_no_cycle_a_roster_proves_nothing(self):
        facts = Facts(sure={user("a"): CYCLE_MASK | 1}, roster=self.WHOLE)
        whole = Store("", facts, DECLARED, CYCLE)
        assert whole.known(CYCLE_BIT) == self.known("a")
        assert whole.known(0) == Known({user("a")})
        assert replace(whole, cycle=None).known(CYCLE_BIT) == Known({user("a")})

    def test_without_a_roster_only_those_seen_active_are_known(self):
        assert self.known("a", None) == Known({user("a")})

    @pytest.mark.parametrize(
        "lacking",
        [
            {"open_at_ms": None, "open": b""},
            {"runs": ()},
            {"runs": (Run(START + 1, END + HOUR_MS),)},
            {"runs": (Run(START, END + HOUR_MS - 1),)},
        ],
    )
    def test_a_roster_that_is_not_whole_gives_no_upper_bound(self, lacking):
        assert self.known("a", replace(self.WHOLE, **lacking)) == Known({user("a")})

    def test_the_gap_is_a_setting(self):
        apart = replace(self.WHOLE, runs=(Run(START, START), Run(END, END + HOUR_MS)))
        assert self.known("a", apart).possible is None
        assert self.known("a", apart, roster_gap_ms=4 * DAY_MS).possible is not None
        assert self.known("a", apart, roster_gap_ms=4 * DAY_MS - 1).possible is None

    def test_somebody_seen_active_and_never_listed_takes_the_upper_bound_away(self):
        assert self.known("ae").possible is None
        assert self.known("b").possible is not None

    def test_somebody_seen_active_and_ruled_out_counts_no_more(self):
        for roster in (self.WHOLE, replace(self.WHOLE, runs=())):
            found = self.known("ac", roster)
            assert (found.sure, found.doubted) == ({user("a")}, {user("c")})
        assert user("c") in self.known("c").possible

    def test_of_a_list_that_lost_somebody_those_count_whom_it_lists_now(self):
        lost = {"removal": Removal.NEVER, "refuted": frozenset({Guarantee.REMOVAL_NEVER})}
        newest = replace(self.WHOLE, last_at_ms=END + HOUR_MS, last=users("bcx"))
        found = self.known("abc", newest, **lost)
        assert found.sure == {user("b")}  # c is shown without activity now
        assert found.possible == set(map(user, "abcd"))
        assert found.vanished == set(map(user, "acd"))
        assert found.doubted == set(map(user, "acd"))
        assert self.known("a", None, **lost).sure == set()

    def test_of_a_list_that_loses_nobody_those_excluded_since_are_possible(self):
        never = replace(DECLARED, removal=Removal.NEVER)
        facts = Facts({user("a"): CYCLE_MASK}, closed=CYCLE_MASK, roster=self.WHOLE)
        store = Store("", facts, never, CYCLE)
        assert store.known(CYCLE_BIT).possible == set(map(user, "ad"))
        assert store.known(CYCLE_BIT).vanished == {user("d")}
        with_days = replace(facts, closed=CYCLE_MASK | 1)
        assert Store("", with_days, never, CYCLE).known(0).possible is None


class TestRefuting:
    """What facts say against what is declared, in numbers."""

    NEVER = replace(DECLARED, removal=Removal.NEVER)

    def seen(self, *polls: Roster, sure: str = "", properties: Properties = NEVER) -> Seen:
        roster = None
        for each in polls:
            roster = merge_rosters(roster, each)
        facts = Facts({user(name): CYCLE_MASK for name in sure}, roster=roster)
        return seen_in(CYCLE, properties, facts)

    def test_somebody_is_missing_whom_an_earlier_poll_listed(self):
        assert self.seen(made(START, "ab"), made(START + HOUR_MS, "bc")) == Seen(ever=3, lost=1)
        assert self.seen(made(START, "ab"), made(START + HOUR_MS, "abc")).lost == 0

    def test_whoever_left_before_the_cycle_is_no_matter_of_it(self):
        day = [made(START - hour * HOUR_MS, names) for hour, names in ((20, "ab"), (1, "b"))]
        assert self.seen(*day, made(START, "b")).lost == 0
        assert self.seen(*day, made(START, "c")).lost == 1

    def test_somebody_excluded_is_not_missing(self):
        assert self.seen(made(START, "ab"), made(START + 5, "b", aside="a")).lost == 0
        assert self.seen(made(START, "ab"), made(END + HOUR_MS, "b", quiet="a"), sure="a").lost == 0

    def test_somebody_proved_active_is_missing_at_the_close(self):
        assert self.seen(made(START, "b"), made(START + 5, "b"), sure="a").lost == 0
        assert self.seen(made(START, "b"), made(END + HOUR_MS, "b"), sure="a").lost == 1

    def test_somebody_is_shown_without_activity_that_was_proved(self):
        found = self.seen(made(START, "ab"), made(END + HOUR_MS, "ab"), sure="a")
        assert (found.lost, found.back) == (0, 1)

    def test_somebody_active_was_in_no_list_though_all_were_read(self):
        polls = made(START - 5000, "a"), made(START + HOUR_MS - 9000, "a"), made(END + LAG, "a")
        near = replace(DECLARED, roster_gap_ms=5 * DAY_MS)
        assert self.seen(*polls, sure="e", properties=near).unlisted == 1
        assert self.seen(*polls[1:], sure="e", properties=near).unlisted == 0

    def test_each_guarantee_is_refuted_by_what_it_promises(self):
        lost = refuted_by(self.NEVER, Seen(ever=591, lost=192))
        assert lost == {
            Guarantee.REMOVAL_NEVER: "the list lost 192 of 591 users; removal: Never says it loses "
            "nobody. Judged as ListedOnce. If users were deleted, declare that; if the account "
            "sees less, restore its rights; if ids can change, declare ids: Renamable"
        }
        assert refuted_by(DECLARED, Seen(ever=591, lost=192)) == {}
        assert refuted_by(DECLARED, Seen(unlisted=1)).keys() == {Guarantee.LISTED_ONCE}
        assert refuted_by(self.NEVER, Seen(unlisted=1)) == {}
        assert refuted_by(self.NEVER, Seen(back=1)).keys() == {Guarantee.SHOWN}
        assert refuted_by(DECLARED, Seen(late=True)).keys() == {Guarantee.SHOWN}
        assert refuted_by(self.NEVER, Seen()) == {}

    def test_what_is_refuted_already_is_not_found_again(self):
        known = replace(self.NEVER, refuted=frozenset({Guarantee.REMOVAL_NEVER}))
        assert refuted_by(known, Seen(ever=3, lost=2)) == {}
        assert refuted_by(known, Seen(unlisted=1)).keys() == {Guarantee.LISTED_ONCE}

    def test_the_advice_fits_the_cause(self):
        log = Properties(removal=Removal.NEVER, log=True, ids_stable=True, lag_ms=5000)
        (words,) = refuted_by(log, Seen(late=True)).values()
        assert "stretch of the log" in words
        assert "lagSeconds: 5 says" in words
        hidden = replace(DECLARED, hidden_ms=3_600_000)
        (words,) = refuted_by(hidden, Seen(back=2)).values()
        assert "2 users were seen active, and were shown later" in words
        assert "lagSeconds: 60 and hiddenSeconds: 3600 say" in words
        assert "restored from a backup" in words
