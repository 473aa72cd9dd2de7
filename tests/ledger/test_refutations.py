"""What a product's answers refute of what is declared: found by a poll, kept until it changes."""

from dataclasses import replace

import pytest

from licenseusage.metering.cycles import DAY_MS
from licenseusage.metering.properties import Guarantee, Removal
from licenseusage.metering.stores import StoreKey
from tests.ledger.conftest import (
    CYCLE,
    END,
    GRAPH,
    HOUR_MS,
    KEPT,
    LISTED_ONCE,
    MINUTE_MS,
    START,
    TERMS,
    declared,
    poll,
)

BEFORE, CLOSING = START - 10 * MINUTE_MS, END + 2 * MINUTE_MS
DAILY = tuple(range(START + 20 * HOUR_MS, END, 20 * HOUR_MS))
FOLLOWING = TERMS.cycle(1)
LAST = END - HOUR_MS
"""Activity that no poll before the closing one has seen."""


def listed(at, active=None, idle=(), *, excluded=(), **more):
    """A poll of a list; ``excluded`` are on it and do not count."""
    return poll(at, active or {}, idle=tuple(idle), excluded=tuple(excluded), **more)


def record(ledger, *polls):
    return [ledger.record_poll(each, each.ended_ms) for each in polls]


def stated(ledger, cycle=CYCLE, source=None, **more):
    asked = {"sources": [source or declared()], "as_of_ms": cycle.end_ms} | more
    return ledger.statement(1, cycle, **asked)


def bounds(ledger, cycle=CYCLE, **more):
    found = stated(ledger, cycle, **more).bounds
    return found.lower, found.upper


def refuted(ledger):
    return [one.guarantee for one in ledger.refuted(1)]


def month(people, cycle=CYCLE, **more):
    """Complete lists of the same idle people, from before a cycle's start until its end."""
    times = (cycle.start_ms - 10 * MINUTE_MS, *(at - START + cycle.start_ms for at in DAILY))
    return [listed(at, idle=people, cycles=(cycle,), **more) for at in times]


def test_one_erased_account_costs_a_width_of_one(ledger):
    record(ledger, *month(("ada", "ben", "cleo"))[:2])
    record(ledger, *(listed(at, idle=("ben", "cleo")) for at in DAILY[1:]))
    record(ledger, listed(CLOSING, {"ben": LAST}, ("cleo",)))
    assert bounds(ledger) == (1, 2)
    assert stated(ledger).words == (
        "at least 1, at most 2: 1 person was removed before it could be ruled out that they were "
        "active"
    )
    assert stated(ledger).assumptions == ("RemovalListedOnce", "IdsNotReused", "NothingHidden")


def test_an_erased_account_that_was_active_may_be_another_one_now(ledger):
    record(ledger, *month(("ben",))[:1])
    record(ledger, listed(DAILY[0], {"ada": START, "ben": START}))
    record(ledger, *(listed(at, {"ben": START}) for at in (*DAILY[1:], CLOSING)))
    assert bounds(ledger) == (1, 2)


def test_a_list_that_fell_to_a_half_is_bounded_by_those_listed_and_those_who_left(ledger):
    """591 users, 182 of them active; the last list has 399, and 126 of the active."""
    people = [f"user-{n}" for n in range(591)]
    active = dict.fromkeys(people[:182], START + HOUR_MS)
    record(ledger, listed(BEFORE, idle=people))
    record(ledger, *(listed(at, active, people[182:]) for at in DAILY))
    kept = dict.fromkeys(people[:126], START + HOUR_MS)
    half = [listed(at, kept, people[182 : 182 + 273]) for at in (CLOSING, CLOSING + MINUTE_MS)]
    assert record(ledger, *half) == [False, True]
    assert bounds(ledger) == (126, 126 + 192)
    (found,) = ledger.refuted(1)
    assert found.words.startswith("the list lost 192 of 591 users; removal: Never says it loses")


def test_in_mid_cycle_those_count_who_are_listed_now(ledger):
    both = {"ada": START, "ben": START}
    record(ledger, listed(START + HOUR_MS, both))
    assert stated(ledger, as_of_ms=None).active_text == "2 so far"
    record(ledger, listed(START + 2 * HOUR_MS, {"ben": START}))
    assert stated(ledger, as_of_ms=None).active_text == "1 so far"
    record(ledger, listed(START + 3 * HOUR_MS, both))  # the account sees everybody again
    assert stated(ledger, as_of_ms=None).active_text == "2 so far"
    assert refuted(ledger) == [Guarantee.REMOVAL_NEVER]


def test_whoever_is_excluded_is_listed_all_the_same(ledger):
    """A counted user stays counted; one who was never active is ruled out by his own row."""
    record(ledger, *month(("ben", "cleo"))[:1])
    record(ledger, listed(DAILY[0], {"ada": START}, ("ben", "cleo")))
    record(ledger, *(listed(at, excluded=("ada", "ben"), idle=("cleo",)) for at in DAILY[1:]))
    record(ledger, listed(CLOSING, idle=("cleo",), excluded=("ada", "ben")))
    assert bounds(ledger) == (1, 1)
    assert refuted(ledger) == []


def test_somebody_excluded_who_was_active_lately_may_have_been_so_before(ledger):
    record(ledger, *month(("ada", "ben")))
    record(ledger, listed(CLOSING, idle=("ben",), excluded_lately=("ada",)))
    assert bounds(ledger) == (0, 1)
    assert refuted(ledger) == []


def test_refuted_once_it_carries_nothing_in_later_cycles_either(ledger):
    record(ledger, *month(("ada", "ben"))[:2], listed(DAILY[1], idle=("ben",)))
    record(ledger, listed(CLOSING, idle=("ben",)))
    record(ledger, *month(("ben",), FOLLOWING))
    end = FOLLOWING.end_ms
    record(ledger, listed(end + 2 * MINUTE_MS, idle=("ben",), cycles=(FOLLOWING,)))
    found = stated(ledger, FOLLOWING)
    assert (found.bounds.lower, found.bounds.upper) == (0, 0)  # by the roster, which is whole
    assert "RemovalNever" not in found.assumptions
    assert "the list lost 1 of 2 users" in found.refuted[0]


def test_until_the_source_is_declared_otherwise(ledger):
    first = {"declaration": "one"}
    record(ledger, *month(("ada", "ben"), **first)[:2], listed(DAILY[1], idle=("ben",), **first))
    assert refuted(ledger) == [Guarantee.REMOVAL_NEVER]
    one, two = (replace(declared(), declaration=each) for each in ("one", "two"))
    assert "RemovalNever" not in stated(ledger, source=one).assumptions
    assert "RemovalNever" in stated(ledger, source=two).assumptions
    record(ledger, listed(DAILY[2], idle=("ben",), declaration="two"))
    assert [one.declaration for one in ledger.refuted(1)] == ["two"]  # ada is still missing
    record(ledger, listed(DAILY[3], idle=("ada", "ben"), declaration="three"))
    assert refuted(ledger) == []
    record(ledger, listed(DAILY[3] + HOUR_MS, idle=("ada", "ben"), **first))
    assert refuted(ledger) == [], "declared anew it is believed anew"


def test_another_list_is_not_held_against_the_former_one(ledger):
    record(ledger, listed(BEFORE, idle=("ada", "ben"), listing="users"))
    record(ledger, listed(START + HOUR_MS, idle=("ben",), listing="active users"))
    assert refuted(ledger) == []


def test_a_source_that_is_gone_counts_only_what_it_was_believed_before(ledger):
    record(ledger, listed(START + HOUR_MS, {"ada": START, "ben": START}))
    record(ledger, listed(START + 2 * HOUR_MS, {"ben": START}))
    assert ledger.statement(1, CYCLE, sources=(), as_of_ms=END).bounds.lower == 1


class TestClosing:
    """A poll that would close a cycle and contradicts what is declared decides nothing."""

    def month(self, ledger):
        record(ledger, *month(("ada", "ben")))

    def test_it_names_people_and_is_repeated(self, ledger):
        self.month(ledger)
        assert record(ledger, listed(CLOSING, {"ben": LAST})) == [False]
        state = ledger.store_states(1, CYCLE)[GRAPH]
        assert (state.doubted, state.closed & 1 << 62, state.ended & 1 << 62) == (True, 0, 0)
        assert refuted(ledger) == []
        assert stated(ledger).bounds.lower == 1

    def test_a_repetition_that_lists_everybody_decides_and_nothing_is_refuted(self, ledger):
        self.month(ledger)
        record(ledger, listed(CLOSING, {"ben": LAST}))
        whole = listed(CLOSING + MINUTE_MS, {"ben": LAST}, ("ada",))
        assert record(ledger, whole) == [True]
        assert bounds(ledger) == (1, 1)
        assert refuted(ledger) == []
        assert not ledger.store_states(1, CYCLE)[GRAPH].doubted

    def test_one_that_contradicts_as_well_decides(self, ledger):
        self.month(ledger)
        half = [listed(at, {"ben": LAST}) for at in (CLOSING, CLOSING + MINUTE_MS)]
        assert record(ledger, *half) == [False, True]
        assert bounds(ledger) == (1, 2)
        assert refuted(ledger) == [Guarantee.REMOVAL_NEVER]

    def test_the_running_cycle_waits_for_the_repetition_too(self, ledger):
        self.month(ledger)
        record(ledger, listed(END - MINUTE_MS, idle=("ada", "ben"), cycles=(FOLLOWING,)))
        record(ledger, listed(CLOSING, idle=("ben",), cycles=(CYCLE, FOLLOWING)))
        assert refuted(ledger) == []

    def test_where_it_is_refuted_already_there_is_nothing_to_repeat(self, ledger):
        self.month(ledger)
        record(ledger, listed(DAILY[-1] + HOUR_MS, idle=("ben",)))
        assert record(ledger, listed(CLOSING, idle=("ben",))) == [True]


class TestLater:
    """What a later look brings back makes less possible: an amendment."""

    def test_users_who_are_listed_again_are_ruled_out_or_proved(self, ledger):
        people = ("ada", "ben", "cleo", "dan")
        record(ledger, *month(people))
        half = [listed(at, idle=("ben",)) for at in (CLOSING, CLOSING + MINUTE_MS)]
        record(ledger, *half)
        assert bounds(ledger) == (0, 3)
        record(ledger, listed(CLOSING + DAY_MS, {"ada": LAST, "dan": END + 1}, people[1:3]))
        assert bounds(ledger) == (1, 2)  # dan signed in again since

    def test_a_value_that_is_back_counts_again_but_rules_nobody_out(self, ledger):
        record(ledger, *month(("ada",))[:1], listed(DAILY[0], {"ada": START}))
        record(ledger, *(listed(at, idle=("ada",)) for at in (CLOSING, CLOSING + MINUTE_MS)))
        assert bounds(ledger) == (0, None)
        record(ledger, listed(CLOSING + DAY_MS, {"ada": START}))
        assert bounds(ledger) == (1, None)
        assert refuted(ledger) == [Guarantee.SHOWN]

    def test_two_later_looks_at_the_same_people_both_count(self, ledger):
        """Who is listed is the same; who was active is not."""
        people = ("ada", "ben", "cleo")
        record(ledger, *month(people))
        record(ledger, *(listed(at, idle=("ben",)) for at in (CLOSING, CLOSING + MINUTE_MS)))
        one, two = {"ada": END + 1, "cleo": END + 1}, {"ada": END + 1}
        record(ledger, listed(CLOSING + DAY_MS, one, ("ben",)))
        assert bounds(ledger) == (0, 2)
        record(ledger, listed(CLOSING + 2 * DAY_MS, two, ("ben", "cleo")))
        assert bounds(ledger) == (0, 1)


class TestUnstableIds:
    """Ids that may change are only counted: a list that shrinks has lost somebody."""

    LOOSE = replace(KEPT, ids_stable=False)

    def test_fewer_users_than_before_refute_that_nobody_is_lost(self, ledger):
        both = {"properties": self.LOOSE}
        record(ledger, listed(START + HOUR_MS, {"ada": START}, ("ben",), **both))
        record(ledger, listed(START + 2 * HOUR_MS, {"eve": START}, ("zoe",), **both))
        assert refuted(ledger) == []
        closing = [listed(at, {"eve": START}, **both) for at in (CLOSING, CLOSING + MINUTE_MS)]
        record(ledger, *closing)
        (found,) = ledger.refuted(1)
        assert found.words.startswith("the list lost 1 of 2 users")
        assert bounds(ledger, source=declared(properties=self.LOOSE)) == (1, None)


@pytest.mark.parametrize("removal", [Removal.NEVER, Removal.LISTED_ONCE])
def test_a_window_of_two_hours_around_the_start_costs_no_upper_bound(ledger, removal):
    """Polls of the last day before a cycle list people for it: one of them is enough."""
    kind = replace(KEPT if removal is Removal.NEVER else LISTED_ONCE, roster_gap_ms=DAY_MS)
    more = {"properties": kind}
    record(ledger, listed(START - 2 * HOUR_MS, idle=("ada", "gone"), **more))
    record(ledger, listed(START - HOUR_MS - 1, idle=("ada", "ben"), **more))
    record(ledger, *(listed(at, idle=("ada", "ben"), **more) for at in (START + HOUR_MS, *DAILY)))
    record(ledger, listed(CLOSING, {"ada": LAST}, ("ben",), **more))
    assert bounds(ledger, source=declared(properties=kind)) == (1, 1)


def test_a_gap_in_which_people_may_have_come_and_gone_leaves_no_upper_bound(ledger):
    """The same answers, whether nobody or a thousand were created, used and removed meanwhile."""
    gap = {"properties": LISTED_ONCE}
    record(ledger, listed(BEFORE, idle=("ada",), **gap), listed(DAILY[0], idle=("ada",), **gap))
    record(ledger, listed(DAILY[2] + 5 * HOUR_MS, idle=("ada",), **gap))
    record(ledger, listed(CLOSING - 10 * MINUTE_MS, idle=("ada",), **gap))
    record(ledger, listed(CLOSING, {"ada": START}, **gap))
    found = stated(ledger, source=declared(properties=LISTED_ONCE))
    assert (found.bounds.lower, found.bounds.upper) == (1, None)
    assert found.unbounded == ("RosterGap",)


def test_one_source_refutes_nothing_of_another(ledger):
    other = StoreKey("other", "domain")
    record(ledger, *month(("ada", "ben"))[:2], listed(DAILY[1], idle=("ben",)))
    found = stated(ledger, source=declared(other), sources=[declared(other)])
    assert found.refuted == ()
    assert [one.source for one in ledger.refuted(1)] == ["graph"]
