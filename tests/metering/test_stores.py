"""What a store of facts proves, from its words, its declaration and what was refuted of it."""

from dataclasses import replace

import pytest

from licenseusage.metering.cycles import CYCLE_BIT, DAY_MS, Cycle
from licenseusage.metering.definitions import Definition
from licenseusage.metering.facts import Facts
from licenseusage.metering.properties import Guarantee, Properties, Removal
from licenseusage.metering.refuting import Refutation
from licenseusage.metering.roster import Missing
from licenseusage.metering.stores import (
    DeclaredSource,
    JudgedStore,
    RosterFindings,
    StoreKey,
    StoreState,
    standing,
    stores_of,
)

START = 20_000 * DAY_MS
CYCLE = Cycle(0, START, START + 4 * DAY_MS)
NEVER = Properties(removal=Removal.NEVER, ids_stable=True)
ONCE = replace(NEVER, removal=Removal.LISTED_ONCE)
UNKNOWN = replace(NEVER, removal=Removal.UNKNOWN)
LOG = replace(NEVER, log=True)
WHOLE = 1 << CYCLE_BIT
CLOSED = StoreState(closed=WHOLE, ended=WHOLE)
LIST, FORMER = StoreKey("list", "d"), StoreKey("list", "c")


def store(properties=NEVER, state=CLOSED, **options):
    return JudgedStore(LIST, state, properties, **options)


def source(key=LIST, properties=NEVER, **options):
    return DeclaredSource(key, properties, 900_000, **options)


def refuted(guarantee, declaration="", name="list"):
    return Refutation(name, guarantee, declaration, START, "words")


def judged(state=CLOSED, sources=(), against=(), key=LIST):
    (one,) = [
        found
        for found in stores_of({} if state is None else {key: state}, sources, against)
        if found.key == key
    ]
    return one


class TestProof:
    """Whether everybody active is among the users that a store leaves possible."""

    def test_a_closed_list_that_loses_nobody(self):
        assert store().proves
        assert not store(state=replace(CLOSED, closed=WHOLE - 1)).proves
        assert not store(UNKNOWN).proves
        assert not store(state=None).proves

    def test_not_with_activity_that_was_ruled_out_in_any_window(self):
        assert not store(state=replace(CLOSED, refuted=1)).proves

    def test_not_of_a_log_beside_which_another_one_was_seen(self):
        assert store(LOG).proves
        assert not store(replace(LOG, refuted=frozenset({Guarantee.ONE_LOG}))).proves

    def test_not_where_who_counts_changed_within_the_cycle(self):
        assert not store(state=replace(CLOSED, redefinitions=1)).proves
        assert not store(ONCE, replace(CLOSED, redefinitions=1), roster=RosterFindings()).proves

    def test_not_of_a_source_that_is_gone(self):
        assert not store(gone="SourceGone").proves

    def test_a_roster_that_lacks_nothing(self):
        assert store(ONCE, StoreState(), roster=RosterFindings()).proves
        assert not store(ONCE, StoreState()).proves
        assert not store(ONCE, roster=RosterFindings(gap=Missing.GAP)).proves
        assert not store(ONCE, roster=RosterFindings(unlisted=True)).proves

    def test_a_roster_takes_nothing_from_a_list_that_loses_nobody(self):
        assert store(roster=RosterFindings(gap=Missing.GAP, unlisted=True)).proves


class TestRoster:
    """Whose roster says who is possible, and what it lacks."""

    def test_only_of_a_list_that_may_lose_users(self):
        assert store(ONCE, roster=RosterFindings()).by_roster
        assert not store(ONCE).by_roster
        assert not store(NEVER, roster=RosterFindings()).by_roster

    def test_what_it_lacks_is_told_by_its_polls_first(self):
        assert store().lacks == ""
        assert store(roster=RosterFindings()).lacks == ""
        assert store(roster=RosterFindings(Missing.NOT_AT_START)).lacks == "RosterMissing"
        assert store(roster=RosterFindings(Missing.GAP, unlisted=True)).lacks == "RosterGap"
        assert store(roster=RosterFindings(unlisted=True)).lacks == "UnlistedUsers"

    def test_who_was_taken_back_does_not_count(self):
        assert store(roster=RosterFindings(back=True)).doubted
        assert not store(roster=RosterFindings(vanished=True)).doubted
        assert store(loses=True).doubted
        assert not store().doubted


class TestIds:
    """Ids that may be renamed: numbers of single polls."""

    def test_once_unstable_is_unstable_for_the_cycle(self):
        assert store().stable
        assert not store(replace(NEVER, ids_stable=False)).stable
        assert not store(state=replace(CLOSED, ids_stable=False)).stable
        assert store(state=None).stable

    def test_numbers_of_single_polls(self):
        state = replace(CLOSED, low={0: 2}, full={0: 3})
        assert store(state=state).numbers == Facts(low={0: 2}, full={0: 3})
        assert store(state=None).numbers == Facts()

    def test_a_change_within_the_cycle_leaves_no_upper_number(self):
        state = replace(CLOSED, low={0: 2}, full={0: 3}, redefinitions=1)
        assert store(state=state).numbers == Facts(low={0: 2})


@pytest.mark.parametrize(
    ("one", "reasons"),
    [
        (store(), []),
        (store(gone="SourceGone", state=replace(CLOSED, refuted=1)), ["SourceGone"]),
        (store(state=replace(CLOSED, refuted=1)), ["ActivityLost"]),
        (store(replace(NEVER, refuted=frozenset({Guarantee.SHOWN}))), ["ActivityLost"]),
        (store(replace(LOG, refuted=frozenset({Guarantee.ONE_LOG}))), ["SeveralLogs"]),
        (store(ONCE), ["RosterMissing"]),
        (store(ONCE, roster=RosterFindings()), []),
        (store(UNKNOWN), ["RemovedUsers"]),
        (store(UNKNOWN, roster=RosterFindings(Missing.GAP)), ["RemovedUsers"]),
        (store(UNKNOWN, roster=RosterFindings(unlisted=True)), []),
        (store(LOG), []),
        (store(LOG, replace(CLOSED, closed=0)), ["LogHole"]),
        (store(LOG, StoreState()), []),
        (store(LOG, StoreState(ended=1)), []),
        (store(NEVER, replace(CLOSED, closed=0)), []),
    ],
)
def test_why_a_store_gives_no_upper_bound(one, reasons):
    assert list(one.why_unproved()) == reasons


class TestDeclarations:
    """Every store of a cycle, with what its source declares now."""

    def test_stores_with_facts_come_first_then_sources_never_read(self):
        other = StoreKey("other", "d")
        found = stores_of({FORMER: CLOSED}, [source(), source(other)], ())
        assert [one.key for one in found] == [FORMER, LIST, other]
        assert [one.state for one in found] == [CLOSED, None, None]

    @pytest.mark.parametrize(
        ("sources", "reason"),
        [
            ([source()], None),
            ([], "ObjectGone"),
            ([source(StoreKey("other", "d"))], "SourceGone"),
            ([source(FORMER)], "RulesChanged"),
            ([source(FORMER, former=LIST)], "PseudonymKeyChanged"),
        ],
    )
    def test_why_no_source_is_declared(self, sources, reason):
        assert judged(sources=sources).gone == reason

    def test_what_is_declared_of_a_source(self):
        one = judged(sources=[source(properties=ONCE)])
        assert (one.properties, one.refutations, one.loses) == (ONCE, (), False)

    def test_nothing_is_declared_of_a_source_that_is_gone(self):
        assert judged().properties == Properties(ids_stable=True)

    def test_a_source_that_is_gone_has_lost_users_if_any_refutation_says_so(self):
        shown, lost = refuted(Guarantee.SHOWN), refuted(Guarantee.REMOVAL_NEVER)
        assert not judged(against=[shown]).loses
        assert judged(against=[shown, lost]).loses

    def test_a_store_without_a_poll_has_read_nothing(self):
        assert StoreState().ended == 0
        assert not RosterFindings().vanished

    def test_another_definition_than_the_facts_were_made_by(self):
        state = replace(CLOSED, definition=Definition("one"))
        assert judged(state, [source(selection="two")]).redefined
        assert not judged(state, [source(selection="one")]).redefined
        assert not judged(state, [source()]).redefined
        assert not judged(CLOSED, [source(selection="two")]).redefined
        assert not judged(None, [source(selection="two")]).redefined
        assert not judged(state).redefined

    def test_what_is_refuted_carries_nothing(self):
        lost = refuted(Guarantee.REMOVAL_NEVER)
        one = judged(sources=[source()], against=[lost])
        assert one.properties.refuted == {Guarantee.REMOVAL_NEVER}
        assert one.refutations == (lost,)
        assert one.loses

    def test_what_is_refuted_of_another_declaration_or_source_says_nothing(self):
        against = [
            refuted(Guarantee.REMOVAL_NEVER, "former"),
            refuted(Guarantee.REMOVAL_NEVER, name="other"),
        ]
        one = judged(sources=[source()], against=against)
        assert (one.properties, one.refutations, one.loses) == (NEVER, (), False)

    def test_several_logs_are_a_matter_of_the_pods_whatever_is_declared_since(self):
        seen = refuted(Guarantee.ONE_LOG, "former")
        one = judged(sources=[source(properties=LOG)], against=[seen])
        assert one.properties.refuted == {Guarantee.ONE_LOG}
        assert one.refutations == (seen,)
        assert judged(sources=[source()], against=[seen]).properties == NEVER, "it is a list now"
        other = refuted(Guarantee.ONE_LOG, name="other")
        assert judged(sources=[source(properties=LOG)], against=[other]).refutations == ()

    def test_a_source_that_is_gone_keeps_its_doubts(self):
        one = judged(against=[refuted(Guarantee.REMOVAL_NEVER, "any")])
        assert one.loses
        assert one.refutations == ()  # nobody can correct what is not declared any more
        assert not judged(against=[refuted(Guarantee.LISTED_ONCE, "any")]).loses

    def test_what_was_refuted_of_another_declaration_is_a_matter_of_the_past(self):
        lost = refuted(Guarantee.REMOVAL_NEVER, "d1")
        assert standing([lost], [source(declaration="d1")]) == (lost,)
        assert standing([lost], [source(declaration="d2")]) == ()
        assert standing([lost], [source(StoreKey("other", "d"), declaration="d1")]) == ()
