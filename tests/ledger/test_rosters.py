"""Sources whose users may be removed: what the ledger keeps of everybody listed."""

import sqlite3
from dataclasses import replace
from itertools import permutations

import pytest

from licenseusage.errors import Failure
from licenseusage.ledger.facts.rosters import IDLE
from licenseusage.metering.bounds import Accuracy
from licenseusage.metering.cycles import DAY_MS
from licenseusage.metering.facts import Facts
from licenseusage.metering.properties import Removal
from licenseusage.metering.stores import StoreKey
from tests.ledger.conftest import (
    CYCLE,
    END,
    GRAPH,
    HOUR_MS,
    LISTED_ONCE,
    MINUTE_MS,
    START,
    TERMS,
    declared,
    failed,
    poll,
    user,
)

BEFORE, CLOSING = START - 10 * MINUTE_MS, END + 2 * MINUTE_MS
CHANGE = START + DAY_MS + 5 * HOUR_MS
DAILY = range(START + 20 * HOUR_MS, END, 20 * HOUR_MS)


def listed(at: int, active: dict[str, int] | None = None, idle: tuple = (), **more):
    more = {"properties": LISTED_ONCE} | more
    return poll(at, active or {}, idle=idle, **more)


def record(ledger, *polls) -> None:
    for each in polls:
        ledger.record_poll(each, each.ended_ms)


def stated(ledger, **more):
    properties = more.pop("properties", LISTED_ONCE)
    asked = {"sources": [declared(properties=properties)], "as_of_ms": END} | more
    return ledger.statement(1, CYCLE, **asked)


def month(people: tuple, *, gone: dict[str, int] | None = None) -> list:
    """A poll before the start and one every 20 hours; whoever is ``gone`` is listed until then."""
    gone = gone or {}
    return [
        listed(at, idle=(*people, *(name for name, until in gone.items() if at < until)))
        for at in (BEFORE, *DAILY)
    ]


def test_everybody_still_listed_at_the_end_makes_it_exact(ledger):
    record(ledger, *month(("ada", "ben")), listed(CLOSING, {"ada": START + HOUR_MS}, ("ben",)))
    found = stated(ledger)
    assert (found.words, found.uncertainty, found.unbounded) == ("1", (), ())
    assert ledger.store_states(1, CYCLE)[GRAPH].ended >> 62 & 1


def test_those_removed_meanwhile_widen_the_upper_bound_and_are_said(ledger):
    gone = {"cleo": START + 2 * DAY_MS, "dan": START + DAY_MS}
    record(
        ledger,
        *month(("ada", "ben"), gone=gone),
        listed(CLOSING, {"ada": START + HOUR_MS}, ("ben",)),
    )
    found = stated(ledger)
    assert found.words == (
        "at least 1, at most 3: 2 people were removed before it could be ruled out that they were "
        "active"
    )
    assert [(why.reason, why.users) for why in found.uncertainty] == [("RemovedUsers", 2)]


def test_somebody_removed_after_he_was_seen_active_is_counted(ledger):
    seen = listed(START + HOUR_MS, {"cleo": START + MINUTE_MS}, ("ada",))
    polls = month(("ada",), gone={"cleo": START + DAY_MS})
    record(ledger, polls[0], seen, *polls[1:], listed(CLOSING, idle=("ada",)))
    assert stated(ledger).words == "1"


def test_removed_and_overwritten_are_told_apart(ledger):
    record(
        ledger,
        *month(("ada",), gone={"cleo": START + DAY_MS}),
        listed(CLOSING, {"ada": END + MINUTE_MS}),
    )
    found = stated(ledger)
    assert [(why.reason, why.users) for why in found.uncertainty] == [
        ("RemovedUsers", 1),
        ("BoundaryGap", 1),
    ]
    assert found.words == (
        "at most 2: 1 person was removed before it could be ruled out that they were active; "
        "nothing could be read between 08:00 and 00:02 around the cycle's end; 1 person signed in "
        "again since"
    )


def test_without_a_list_from_before_the_start_there_is_no_upper_bound(ledger):
    record(ledger, *month(("ada",))[1:], listed(CLOSING, {"ada": START + HOUR_MS}))
    found = stated(ledger)
    assert found.bounds.accuracy is Accuracy.LOWER_BOUND
    assert found.unbounded == ("RosterMissing",)
    assert found.words.startswith("at least 1: users may be removed, and nobody read the list")


def test_more_than_a_day_between_complete_polls_takes_the_upper_bound_away(ledger):
    polls = month(("ada",))
    polls[2] = replace(polls[2], facts={CYCLE: replace(polls[2].facts[CYCLE], roster=None)})
    record(ledger, *polls, listed(CLOSING, {"ada": START + HOUR_MS}))
    found = stated(ledger)
    assert found.unbounded == ("RosterGap",)
    wider = replace(LISTED_ONCE, roster_gap_ms=2 * DAY_MS)
    assert stated(ledger, properties=wider).words == "1"


def test_incomplete_polls_are_no_part_of_a_roster(ledger):
    partial = listed(BEFORE, idle=("ada",), complete=False)
    record(ledger, partial, *month(("ada",))[1:], listed(CLOSING, idle=("ada",)))
    assert stated(ledger).unbounded == ("RosterMissing",)


def test_somebody_seen_only_by_a_failed_poll_takes_the_upper_bound_away(ledger):
    cut = listed(START + HOUR_MS, {"eve": START}, complete=False)
    cut = replace(cut, failure=failed(START + HOUR_MS).failure)
    record(ledger, *month(("ada",)), cut)
    record(ledger, *(listed(at, idle=("ada",)) for at in (CLOSING, CLOSING + MINUTE_MS)))
    found = stated(ledger)
    assert found.unbounded == ("UnlistedUsers",)
    assert found.words == (
        "at least 1: somebody was seen who was gone before the list was read completely"
    )


def test_without_a_closing_poll_there_is_no_upper_bound(ledger):
    record(ledger, *month(("ada",)), listed(END + 1, {"ada": START + HOUR_MS}))
    assert stated(ledger).unbounded == ("NoClosingPoll",)


def test_while_the_cycle_runs_the_roster_says_nothing(ledger):
    record(ledger, *month(("ada",))[:3])
    found = ledger.statement(1, CYCLE, sources=[declared(properties=LISTED_ONCE)])
    assert found.active_text == "none seen so far"


def test_a_poll_before_the_start_lists_people_for_the_coming_cycle_only(ledger):
    following = TERMS.cycle(1)
    late = END - 10 * MINUTE_MS
    record(ledger, listed(late, {"ada": late}, ("ben",), cycles=(CYCLE, following)))
    assert [one.cycle for one in ledger.cycles(1)] == [CYCLE]
    polls = [
        listed(at, idle=("ada", "ben"), cycles=(following,))
        for at in range(END + HOUR_MS, following.end_ms, 20 * HOUR_MS)
    ]
    closing = following.end_ms + 2 * MINUTE_MS
    record(ledger, *polls, listed(closing, idle=("ada",), cycles=(following,)))
    found = ledger.statement(
        1, following, sources=[declared(properties=LISTED_ONCE)], as_of_ms=following.end_ms
    )
    assert (found.bounds.lower, found.bounds.upper) == (0, 1)  # ben may have been active


def test_reused_ids_leave_those_without_activity_possible(ledger):
    reused = replace(LISTED_ONCE, id_reuse=True)
    polls = [listed(at, idle=("ada",), properties=reused) for at in (BEFORE, *DAILY, CLOSING)]
    record(ledger, *polls)
    found = stated(ledger, properties=reused)
    assert (found.bounds.lower, found.bounds.upper) == (0, 1)


def test_a_later_closing_poll_counts_nobody_who_came_after_the_first(ledger):
    record(
        ledger,
        *month(("ada",)),
        listed(CLOSING, idle=("ada",)),
        listed(CLOSING + HOUR_MS, {"new": CLOSING}, ("ada",)),
    )
    assert stated(ledger).words == "0"


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_closing_polls_join_in_any_order_to_the_earliest(ledger, order):
    closings = [
        listed(CLOSING, {"ada": END + 1}, ("ben",)),
        listed(CLOSING + HOUR_MS, {"cleo": CLOSING, "ada": END + 1}, ("ben",)),
        listed(CLOSING + 2 * HOUR_MS, {"dan": CLOSING}, ("ben", "ada")),
    ]
    record(ledger, *month(("ben",)), *(closings[number] for number in order))
    # ada was possible at the first closing poll, and the third proves her inactive.
    assert stated(ledger).words == "0"


def test_who_is_idle_is_of_the_newest_poll_also_where_it_lists_the_same_people(ledger, path):
    people = ("ada", "ben")
    record(
        ledger,
        *month(people),
        listed(CLOSING, idle=people),
        listed(CLOSING + HOUR_MS, idle=people),
        listed(CLOSING + 2 * HOUR_MS, {"ada": CLOSING + HOUR_MS}, ("ben",)),
    )
    with sqlite3.connect(path) as connection:
        idle = connection.execute("select pseudonym from roster_users where word & ?", (IDLE,))
        assert idle.fetchall() == [(user("ben"),)]


def test_polls_recorded_twice_change_nothing(ledger):
    polls = [*month(("ada",), gone={"dan": START + DAY_MS}), listed(CLOSING, idle=("ada",))]
    record(ledger, *polls)
    before = stated(ledger).bounds
    record(ledger, *polls)
    assert stated(ledger).bounds == before
    assert (before.lower, before.upper) == (0, 1)


def test_a_value_that_went_back_counts_no_more_and_takes_the_upper_bound_away(ledger):
    seen = listed(START + HOUR_MS, {"ada": START + MINUTE_MS, "ben": START}, ("cleo",))
    polls = month(("ada", "ben", "cleo"))
    record(ledger, polls[0], seen, *polls[1:])
    for at in (CLOSING, CLOSING + MINUTE_MS):
        record(ledger, listed(at, {"ben": START}, ("ada", "cleo")))
    found = stated(ledger)
    assert (found.bounds.lower, found.bounds.upper) == (1, None)
    assert found.unbounded == ("ActivityLost",)
    assert found.refuted[0].startswith(
        "source graph: 1 user was seen active, and was shown later with an earlier last activity "
        "or none; lagSeconds: 60 says that this cannot be. No upper bound."
    )
    assert "RemovalListedOnce" not in found.assumptions


def test_no_upper_bound_once_removals_are_no_longer_declared_to_be_seen(ledger):
    record(ledger, *month(("ada",)), listed(CLOSING, idle=("ada",)))
    unknown = replace(LISTED_ONCE, removal=Removal.UNKNOWN)
    assert stated(ledger, properties=unknown).unbounded == ("RemovedUsers",)


def test_two_stores_are_united_and_vanish_only_where_nobody_saw_them(ledger):
    other = StoreKey("other", "domain")
    for store, active in ((GRAPH, {}), (other, {"dan": START + HOUR_MS})):
        for each in month(("ada",), gone={"dan": START + DAY_MS, "eve": START + DAY_MS}):
            record(ledger, replace(each, store=store))
        seen = listed(START + 2 * HOUR_MS, active, store=store)
        record(ledger, seen, listed(CLOSING, idle=("ada",), store=store))
    sources = [declared(properties=LISTED_ONCE), declared(other, LISTED_ONCE)]
    found = stated(ledger, sources=sources)
    assert (found.bounds.lower, found.bounds.upper) == (1, 2)
    assert [(why.reason, why.users) for why in found.uncertainty] == [("RemovedUsers", 1)]


def test_rosters_are_deleted_with_the_facts_and_those_of_no_cycle_after_a_week(ledger, path):
    following = TERMS.cycle(1)
    record(ledger, *month(("ada",)), listed(CLOSING, idle=("ada",)))
    record(ledger, listed(END - MINUTE_MS, idle=("ada",), cycles=(following,)))
    statement = stated(ledger)
    ledger.begin_close(1, CYCLE, reason="ClosingPolls", statement=statement, now_ms=CLOSING)
    ledger.close_cycle(1, CYCLE, CLOSING)

    def users() -> int:
        with sqlite3.connect(path) as connection:
            return connection.execute("select count(*) from roster_users").fetchone()[0]

    assert users() == 2
    assert ledger.delete_expired_facts(CLOSING + 6 * DAY_MS) == 0
    assert users() == 2
    assert ledger.delete_expired_facts(CLOSING + 13 * DAY_MS) == 1
    assert users() == 0


class TestSegments:
    """Who counts changed within the cycle: facts of before and after are not of one piece."""

    def changed(self, ledger, active, at=CHANGE + HOUR_MS, since=CHANGE, selection="two"):
        """A poll by another definition, which applies from ``since`` on."""
        record(ledger, poll(at, active, selection=selection, since=since))

    def test_a_changed_selection_leaves_a_lower_bound(self, ledger):
        record(ledger, poll(START + HOUR_MS, {"ada": START, "bot": START}, selection="one"))
        self.changed(ledger, {"ada": START, "eve": CHANGE})
        self.changed(ledger, {"ada": START, "eve": CHANGE}, at=CLOSING)
        found = ledger.statement(1, CYCLE, sources=[declared()], as_of_ms=END)
        assert found.words == (
            "at least 3: the definition of who counts changed before the cycle was closed, and "
            "what was counted before cannot be completed"
        )

    def test_a_new_definition_counts_nobody_for_the_time_before_it(self, ledger):
        record(ledger, poll(START + HOUR_MS, {"ada": START}, selection="one"))
        self.changed(ledger, {"ada": START, "bot": CHANGE - 2000, "eve": CHANGE})
        assert ledger.statement(1, CYCLE, sources=[declared()]).bounds.lower == 2
        assert ledger.store_states(1, CYCLE)[GRAPH].definition.since_ms == CHANGE

    def test_facts_that_are_not_of_the_segment_are_dropped(self, ledger):
        record(ledger, poll(START + HOUR_MS, {"ada": START}, selection="one"))
        self.changed(ledger, {"ada": START, "bot": START}, since=None)
        self.changed(ledger, {"ada": START, "bot": START}, since=None, at=CHANGE + 2 * HOUR_MS)
        assert ledger.statement(1, CYCLE, sources=[declared()]).bounds.lower == 1
        states = ledger.store_states(1, CYCLE)
        assert states[GRAPH].definition.since_ms == CHANGE + HOUR_MS

    def test_a_definition_that_comes_back_begins_anew(self, ledger):
        record(ledger, poll(START + HOUR_MS, {"ada": START}, selection="one"))
        self.changed(ledger, {"ada": START})
        back = CHANGE + 2 * HOUR_MS
        state = ledger.store_states(1, CYCLE)[GRAPH]
        assert state.definition.planned_ms("two", back) == CHANGE
        assert state.definition.planned_ms("one", back) == back
        self.changed(ledger, {"ben": back - 2000, "eve": back}, back, since=back, selection="one")
        found = ledger.statement(1, CYCLE, sources=[declared()], as_of_ms=END)
        assert (found.bounds.lower, found.bounds.upper) == (2, None)

    def test_a_definition_that_never_worked_leaves_no_segment(self, ledger):
        """A source is written by trial and error; what counts is the first one that works."""
        wrong = poll(START + HOUR_MS, {}, selection="one")
        failure = Failure("IdMissing", "no id")
        record(ledger, replace(wrong, facts={CYCLE: Facts()}, failure=failure))
        state = ledger.store_states(1, CYCLE)[GRAPH]
        assert state.definition.planned_ms("two", CHANGE) is None
        self.changed(ledger, {"ada": START}, since=None)
        self.changed(ledger, {"ada": START}, since=None, at=CLOSING)
        (record_,) = ledger.cycles(1)
        assert record_.rules_changes == 0
        assert ledger.statement(1, CYCLE, sources=[declared()], as_of_ms=END).bounds.lower == 1
        assert ledger.store_states(1, CYCLE)[GRAPH].definition.since_ms is None

    def test_a_store_begun_by_another_definition_may_say_since_when_it_counts(self, ledger):
        self.changed(ledger, {"ada": START, "eve": CHANGE})
        state = ledger.store_states(1, CYCLE)[GRAPH]
        assert (state.definition.digest, state.definition.since_ms) == ("two", CHANGE)
        assert state.definition.planned_ms("two", CLOSING) == CHANGE
        assert ledger.statement(1, CYCLE, sources=[declared()]).bounds.lower == 1

    def test_a_definition_changed_between_end_and_close_adds_nobody_and_closes_nothing(
        self, ledger
    ):
        record(ledger, poll(END - HOUR_MS, {"ada": START}, selection="one"))
        record(ledger, poll(CLOSING, {"ada": START, "bot": START}, selection="two"))
        other = replace(declared(), selection="two")
        found = ledger.statement(1, CYCLE, sources=[other], as_of_ms=END)
        assert found.words.startswith("at least 1: the definition of who counts changed before ")
        record(ledger, poll(CLOSING + HOUR_MS, {"ada": START}, selection="one"))
        found = ledger.statement(1, CYCLE, sources=[declared()], as_of_ms=END)
        assert found.words == "1"

    def test_the_same_selection_again_is_no_change(self, ledger):
        record(ledger, poll(START + HOUR_MS, {"ada": START}, selection="one"))
        record(ledger, poll(START + 2 * HOUR_MS, {"ada": START}))
        record(ledger, poll(CLOSING, {"ada": START}, selection="one"))
        found = ledger.statement(1, CYCLE, sources=[declared()], as_of_ms=END)
        assert found.words == "1"

    def test_a_selection_that_began_when_the_cycle_was_over_is_not_about_it(self, ledger):
        record(ledger, poll(CLOSING, {"ada": START}, selection="one"))
        record(ledger, poll(CLOSING + HOUR_MS, {"ada": START, "bot": START}, selection="two"))
        found = ledger.statement(1, CYCLE, sources=[declared()], as_of_ms=END)
        assert found.words == "1"
