"""How a statement follows from a cycle's stores and the counts of their users."""

from dataclasses import replace

import pytest

from licenseusage.metering.bounds import Accuracy, Bounds
from licenseusage.metering.combine import Combine
from licenseusage.metering.coverage import Interval, Observed
from licenseusage.metering.cycles import CYCLE_BIT, DAY_MS, Cycle
from licenseusage.metering.derivation import (
    DomainCount,
    Sight,
    by_domain,
    count_of_numbers,
    derive,
    read_until_ms,
    unbounded,
)
from licenseusage.metering.known import WindowCounts
from licenseusage.metering.properties import Guarantee, Properties, Removal
from licenseusage.metering.refuting import Refutation
from licenseusage.metering.roster import Missing
from licenseusage.metering.statement import Uncertainty
from licenseusage.metering.stores import (
    DeclaredSource,
    JudgedStore,
    RosterFindings,
    StoreKey,
    StoreState,
)

START = 20_000 * DAY_MS
CYCLE = Cycle(0, START, START + 4 * DAY_MS)
END = CYCLE.end_ms
WHOLE = 1 << CYCLE_BIT
ALL_DAYS = 0b1111
NEVER = Properties(removal=Removal.NEVER, ids_stable=True)
ONCE = replace(NEVER, removal=Removal.LISTED_ONCE)
UNKNOWN = replace(NEVER, removal=Removal.UNKNOWN)
RENAMED = replace(NEVER, ids_stable=False)
CLOSED = StoreState(closed=WHOLE, ended=WHOLE, followed=ALL_DAYS)
LIST, OTHER = StoreKey("list", "d"), StoreKey("other", "d")
SEEN = Sight([Observed([Interval(START, END, "")])], {})


def store(key=LIST, properties=NEVER, state=CLOSED, **options):
    return JudgedStore(key, state, properties, **options)


def source(key=LIST, properties=NEVER):
    return DeclaredSource(key, properties, 900_000)


def count(lower=2, upper=2, days=(1, 2, 0, 0), **options):
    return DomainCount(WindowCounts(lower, upper), days, **options)


def statement(stores, counts, *, sources=None, as_of_ms=END, combine=Combine.UNION, sight=SEEN):
    sources = [source(one.key) for one in stores] if sources is None else sources
    return derive(CYCLE, as_of_ms, stores, counts, sources, combine, sight)


class TestUntil:
    """Until when the number of a running cycle is."""

    def test_the_newest_poll_that_succeeded_in_whole_seconds(self):
        polled = [store(state=StoreState(read_until_ms=START + ms)) for ms in (5_000, 7_001, 6_999)]
        assert read_until_ms(CYCLE, polled) == START + 8_000

    def test_within_the_cycle(self):
        assert read_until_ms(CYCLE, []) == START
        assert read_until_ms(CYCLE, [store(state=None), store(state=StoreState())]) == START
        assert read_until_ms(CYCLE, [store(state=StoreState(read_until_ms=START - 9))]) == START
        assert read_until_ms(CYCLE, [store(state=StoreState(read_until_ms=END + 9))]) == END


class TestDomains:
    """Which stores are counted together."""

    def test_by_identity_domain_and_what_may_be_renamed_alone(self):
        apart, mixed = StoreKey("apart", "e"), StoreKey("mixed", "d")
        one, two, three = store(), store(apart), store(OTHER)
        alone = store(mixed, RENAMED)
        assert by_domain([one, two, alone, three]) == [[alone], [one, three], [two]]

    def test_numbers_of_single_polls_per_window(self):
        state = replace(CLOSED, low={CYCLE_BIT: 5, 1: 3}, full={CYCLE_BIT: 7})
        found = count_of_numbers(CYCLE, store(properties=RENAMED, state=state))
        assert found == DomainCount(WindowCounts(5, 7), (0, 3, 0, 0))

    def test_a_store_that_was_never_read_may_hold_anybody(self):
        assert count(2, 3).with_unread(Combine.UNION).cycle == WindowCounts(2, None)
        assert count(2, 3).with_unread(Combine.SAME).cycle == WindowCounts(2, 3)
        assert count(contradicted=True).with_unread(Combine.UNION).contradicted

    def test_whom_a_failed_poll_named_late_does_not_count_yet(self):
        found = count(5, None, (3, 2, 0, 0)).without({CYCLE_BIT: 2, 0: 1, 2: 1})
        assert (found.cycle, found.days) == (WindowCounts(3, None), (2, 2, 0, 0))
        assert count(1, None).without({CYCLE_BIT: 4}).cycle.lower == 0
        assert count(5, None).without({0: 1}).cycle.lower == 5
        assert count().without({}) == count()


class TestBounds:
    """Lower and upper bound."""

    def test_of_an_ended_cycle(self):
        assert statement([store()], [count(2, 3)]).bounds == Bounds(2, 3)

    def test_no_upper_bound_while_the_cycle_runs(self):
        found = statement([store()], [count(2, 3)], as_of_ms=END - 1000)
        assert found.bounds == Bounds(2, None)
        assert (found.unbounded, found.boundary_gap_ms) == ((), None)

    def test_why_there_is_no_upper_bound_is_a_question_of_an_ended_cycle(self):
        stores, counts = [store(properties=UNKNOWN)], [count(2, None)]
        assert statement(stores, counts).unbounded == ("RemovedUsers",)
        assert statement(stores, counts, as_of_ms=END - 1000).unbounded == ()

    def test_people_of_several_domains_may_be_the_same(self):
        stores = [store(), store(StoreKey("apart", "e"))]
        found = statement(stores, [count(2, 2), count(3, 3)])
        assert found.bounds == Bounds(3, 5)
        assert found.uncertainty == (Uncertainty("SeparateIdentities", 2),)

    def test_observers_of_the_same_people_rule_each_other_out(self):
        stores = [store(), store(StoreKey("apart", "e"))]
        found = statement(stores, [count(2, 4), count(3, 3)], combine=Combine.SAME)
        assert found.bounds.accuracy is Accuracy.EXACT

    def test_who_left_the_list_is_told_apart(self):
        tally = DomainCount(WindowCounts(2, 5, vanished=2), (0, 0, 0, 0))
        found = statement([store()], [tally])
        assert found.uncertainty == (Uncertainty("RemovedUsers", 2), Uncertainty("BoundaryGap", 1))

    def test_without_any_store_nothing_is_known(self):
        found = statement([], [])
        assert found.bounds.upper is None
        assert found.daily == (None,) * 4
        assert found.unbounded == ("NoClosingPoll",)


class TestDays:
    """Lower bounds per day: what no declared source followed is unknown, never 0."""

    def test_a_day_that_every_source_followed_may_be_0(self):
        assert statement([store()], [count()]).daily == (1, 2, 0, 0)

    def test_a_day_that_one_source_did_not_follow_is_unknown(self):
        one, other = store(), store(OTHER, state=replace(CLOSED, followed=0b0111))
        assert statement([one, other], [count()]).daily == (1, 2, 0, None)
        other = store(OTHER, state=None)
        assert statement([one, other], [count()]).daily == (None,) * 4

    def test_a_source_that_is_gone_hides_no_day(self):
        gone = store(OTHER, state=replace(CLOSED, followed=0), gone="SourceGone")
        assert statement([store(), gone], [count()], sources=[source()]).daily == (1, 2, 0, 0)

    def test_of_an_object_that_is_gone_each_store_counts(self):
        gone = store(state=replace(CLOSED, followed=0b0001), gone="ObjectGone")
        assert statement([gone], [count()], sources=[]).daily == (1, None, None, None)

    def test_a_refuted_day_is_unknown(self):
        broken = store(state=replace(CLOSED, refuted=0b0010))
        assert statement([broken], [count()]).daily == (1, None, 0, 0)
        gone = store(OTHER, state=replace(CLOSED, refuted=0b0001), gone="SourceGone")
        found = statement([broken, gone], [count()], sources=[source()])
        assert found.daily == (None, None, 0, 0)

    def test_observers_that_contradict_each_other_leave_no_day(self):
        found = statement([store()], [count(contradicted=True), count()])
        assert found.daily == (None,) * 4

    def test_of_several_domains_the_greater_number_is_proved(self):
        found = statement([store()], [count(days=(1, 5, 0, 0)), count(days=(3, 2, 0, 0))])
        assert found.daily == (3, 5, 0, 0)


class TestUnbounded:
    """Why an ended cycle has no upper bound."""

    OPEN = Bounds(1, None)

    def test_nothing_is_told_where_there_is_one(self):
        assert unbounded(Bounds(1, 2), [store(UNKNOWN)]) == ()

    @pytest.mark.parametrize(
        ("one", "reasons"),
        [
            (store(properties=UNKNOWN), ("RemovedUsers",)),
            (store(properties=ONCE, roster=RosterFindings(Missing.GAP)), ("RosterGap",)),
            (store(properties=UNKNOWN, roster=RosterFindings(Missing.GAP)), ("RemovedUsers",)),
            (store(properties=UNKNOWN, roster=RosterFindings(unlisted=True)), ("UnlistedUsers",)),
            (store(state=replace(CLOSED, redefinitions=1)), ("RulesChanged",)),
            (store(redefined=True), ("RulesChanged",)),
            (store(state=StoreState()), ("NoClosingPoll",)),
            (store(state=None), ("NoClosingPoll",)),
            (store(state=StoreState(ended=1)), ("NoClosingPoll",)),
            (store(state=StoreState(unproved="ListCut")), ("ListCut", "NoClosingPoll")),
            (store(state=replace(CLOSED, unproved="ListCut")), ()),
        ],
    )
    def test_reasons_of_one_store(self, one, reasons):
        assert unbounded(self.OPEN, [one]) == reasons

    def test_each_reason_once_in_a_fixed_order(self):
        stores = [
            store(properties=UNKNOWN, state=StoreState(unproved="ListCut")),
            store(OTHER, UNKNOWN, gone="SourceGone"),
            store(properties=ONCE, roster=RosterFindings(Missing.GAP), redefined=True),
        ]
        assert unbounded(self.OPEN, stores) == (
            "RosterGap",
            "RulesChanged",
            "RemovedUsers",
            "SourceGone",
            "ListCut",
            "NoClosingPoll",
        )

    def test_they_are_told_of_an_ended_cycle(self):
        found = statement([store(properties=UNKNOWN)], [count(2, None)])
        assert found.unbounded == ("RemovedUsers",)


class TestRest:
    """What else is stated."""

    def test_what_is_refuted_in_words_each_once(self):
        lost = Refutation("list", Guarantee.REMOVAL_NEVER, "", START, "the list lost 1 user.")
        one = store(refutations=(lost,))
        assert statement([one, one], [count()]).refuted == ("source list: the list lost 1 user.",)

    def test_observers_that_contradict_each_other_are_named(self):
        found = statement([store(), store(OTHER)], [count(), count(contradicted=True)])
        (words,) = found.refuted
        assert words.startswith("sources list, other: one saw somebody active")

    def test_users_listed_of_several_sources_only_where_they_list_the_same(self):
        stores, sight = [store(), store(OTHER)], replace(SEEN, provisioned={"list": 7, "other": 9})
        assert statement(stores, [count()], sight=sight).provisioned is None
        same = statement(stores, [count()], sight=sight, combine=Combine.SAME)
        assert same.provisioned == 9
        assert statement([store()], [count()], sight=sight).provisioned == 7
        assert statement([store()], [count()]).provisioned is None

    def test_assumptions_that_every_declared_source_shares(self):
        one, other = store(), store(OTHER, ONCE)
        assert statement([one], [count()]).assumptions == NEVER.assumptions()
        shared = statement([one, other], [count()]).assumptions
        assert shared == tuple(t for t in NEVER.assumptions() if t in ONCE.assumptions())
        assert "RemovalNever" not in shared
        gone = store(OTHER, UNKNOWN, gone="SourceGone")
        found = statement([one, gone], [count()], sources=[source()])
        assert found.assumptions == NEVER.assumptions()
        assert statement([gone], [count()], sources=[]).assumptions == ()

    def test_when_it_was_observed(self):
        seen = Sight(
            [Observed([Interval(START, END - 5000, ""), Interval(END + 5000, END + 6000, "X")])], {}
        )
        found = statement([store()], [count()], sight=seen)
        assert found.coverage.observed_seconds == 4 * 86_400 - 5
        assert found.boundary_gap_ms == (END - 5000, END + 5000)
