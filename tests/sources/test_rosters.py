"""Sources whose users may be removed: everybody listed is told to the ledger, as pseudonyms."""

from dataclasses import replace

import pytest

from licenseusage.metering.bounds import Accuracy
from licenseusage.metering.combine import Store
from licenseusage.metering.cycles import CYCLE_BIT, DAY_MS, Cycle
from licenseusage.metering.facts import Facts, merge
from licenseusage.metering.packing import unpacked
from licenseusage.metering.pseudonym import Pseudonymiser
from licenseusage.sources.poll import CycleRequest, PollResult
from licenseusage.sources.support import supported
from tests.sources.product import CYCLE, NOW_MS, USERS, FixedClock, answer, at, poll, source

COMING = Cycle(6, CYCLE.end_ms, CYCLE.end_ms + 30 * DAY_MS)
ONCE = {"removal": "ListedOnce", "ids": "Stable"}
NAMES = ("ann", "bob", "old", "new", "out")


def read(product, *requests: CycleRequest, **fields) -> PollResult:
    wanted = requests or (CycleRequest(CYCLE, roster=True),)
    guarantees = ONCE | fields.pop("guarantees", {})
    clock = fields.pop("clock", FixedClock())
    asked = source(guarantees=guarantees, **fields)
    return poll(product.port, asked, cycles=wanted, clock=clock)


def names(users: bytes, cycle: Cycle = CYCLE) -> set[str]:
    """Who is behind packed pseudonyms."""
    known = Pseudonymiser(b"k" * 32, "app", cycle.start_ms // 1000)
    back = {known(name): name for name in NAMES}
    return {back[user] for user in unpacked(users)}


def late() -> FixedClock:
    return FixedClock(CYCLE.end_ms + 3_600_000)


@pytest.fixture
def product(serve):
    return serve(lambda _: answer({"value": USERS}, headers={"Date": None}))


SKEW = {"clockSkewSeconds": 1}


def test_everybody_listed_is_on_the_roster_whenever_they_were_active(product):
    facts = read(product, guarantees=SKEW).facts[CYCLE.index]
    assert names(facts.roster.before) == set(NAMES)
    assert (facts.roster.open, facts.roster.inactive, facts.roster.open_at_ms) == (b"", b"", None)
    assert facts.roster.runs == ((NOW_MS + 1000, NOW_MS - 1000),)
    assert not facts.closed


def test_a_closing_poll_rules_out_those_who_were_not_active(product):
    facts = read(product, guarantees=SKEW, clock=late()).facts[CYCLE.index]
    assert names(facts.roster.open) == {"ann", "bob"}
    assert names(facts.roster.inactive) == {"old", "new", "out"}
    assert facts.roster.before == b""
    assert facts.roster.open_at_ms == late().at_ms - 1000


def test_ids_that_may_be_given_away_rule_out_only_those_with_a_time(product):
    reused = SKEW | {"idReuse": "Possible"}
    facts = read(product, guarantees=reused, clock=late()).facts[CYCLE.index]
    assert names(facts.roster.inactive) == {"old"}


def test_the_coming_cycle_is_listed_under_its_own_pseudonyms_and_counts_nobody(product):
    requests = CycleRequest(CYCLE, roster=True), CycleRequest(COMING, roster=True, coming=True)
    result = read(product, *requests, guarantees=SKEW)
    assert names(result.facts[COMING.index].roster.start, COMING) == set(NAMES)
    assert names(result.facts[CYCLE.index].roster.before) == set(NAMES)
    assert not result.facts[COMING.index].sure
    assert result.counted == 2
    assert result.skipped == {"NeverActive": 2, "OutsideCycle": 1}


def test_a_roster_is_made_if_asked_for_whatever_is_declared_about_removal(product):
    assert read(product, CycleRequest(CYCLE), guarantees=SKEW).facts[CYCLE.index].roster is None
    for removal in ("Never", "ListedOnce", "Unknown"):
        found = read(product, guarantees=SKEW | {"removal": removal}).facts[CYCLE.index]
        assert names(found.roster.before) == set(NAMES)


def test_of_ids_that_change_only_how_many_are_listed_is_known(product):
    found = read(product, guarantees=SKEW | {"ids": "Renamable"}).facts[CYCLE.index]
    assert (found.roster, found.listed) == (None, len(NAMES))


def test_a_request_that_names_the_cycle_has_no_list_from_before_it(product):
    filtered = {"query": [{"name": "since", "value": "{{cycle.start}}"}]}
    requests = CycleRequest(CYCLE, roster=True), CycleRequest(COMING, roster=True, coming=True)
    result = read(product, *requests, guarantees=SKEW, http=filtered)
    assert list(result.facts) == [CYCLE.index]
    roster = result.facts[CYCLE.index].roster
    assert (names(roster.last), roster.start, roster.runs) == (set(NAMES), b"", ())
    asked = source(guarantees=ONCE, http=filtered)
    assert supported(asked, result).accuracy is Accuracy.LOWER_BOUND


def test_excluded_users_are_listed_and_nothing_else(product):
    users = {"id": "id", "lastActive": {"path": "seen"}, "excludeIds": ["out", "ann"]}
    facts = read(product, guarantees=SKEW, users=users).facts[CYCLE.index]
    assert names(facts.roster.before) == {"bob", "new", "old"}
    assert names(facts.roster.last) == set(NAMES)
    closing = read(product, guarantees=SKEW, users=users, clock=late()).facts[CYCLE.index].roster
    assert names(closing.last) == set(NAMES)
    assert (names(closing.open), names(closing.inactive)) == ({"bob"}, {"new", "old"})
    assert names(closing.quiet) == {"out"}  # ann was active lately


def test_a_wrong_time_of_an_excluded_user_is_no_fault_of_the_list(serve):
    rows = [{"id": "ann", "seen": "yesterday"}, {"id": "bob", "seen": "2026-11-05T00:00:00Z"}]
    half = serve(lambda _: answer({"value": rows}, headers={"Date": None}))
    users = {"id": "id", "lastActive": {"path": "seen"}, "exclude": "id == 'ann'"}
    result = read(half, guarantees=SKEW, users=users, clock=late())
    roster = result.facts[CYCLE.index].roster
    assert result.failure is None
    assert (names(roster.last), roster.quiet) == ({"ann", "bob"}, b"")


def test_an_incomplete_poll_names_nobody_as_listed(serve):
    half = serve(
        lambda _: answer(b'{"value": [{"id": "ann", "seen": null}', headers={"Date": None})
    )
    result = read(half, guarantees=SKEW, clock=late())
    assert result.failure is not None
    roster = result.facts[CYCLE.index].roster
    assert roster is None or (roster.before, roster.open, roster.runs) == (b"", b"", ())


def test_polls_from_before_the_start_until_after_the_end_bound_the_number(serve):
    """One of three is removed on the third day, before anything could rule that person out."""
    shown = {"value": USERS[:2]}
    product = serve(lambda _: answer(shown, headers={"Date": None}))
    declared = source(guarantees=ONCE | SKEW).properties
    cycle = Cycle(5, CYCLE.start_ms, CYCLE.end_ms)
    times = range(cycle.start_ms - 3_600_000, cycle.end_ms, DAY_MS // 2)
    joined = Facts()
    for at_ms in times:
        shown["value"] = [
            {"id": "ann", "seen": None},
            {"id": "bob", "seen": "2026-10-01T00:00:00Z"},
            *([{"id": "old", "seen": None}] if at_ms < times[5] else []),
        ]
        result = read(
            product, CycleRequest(cycle, roster=True), guarantees=SKEW, clock=FixedClock(at_ms)
        )
        joined = merge(joined, result.facts[cycle.index])
    shown["value"] = [{"id": "ann", "seen": at("05T10:00:00")}, *shown["value"][1:]]
    result = read(product, guarantees=SKEW, clock=late())
    joined = merge(joined, result.facts[cycle.index])
    known = Store("", joined, declared, cycle).known(CYCLE_BIT)
    assert names(b"".join(known.sure)) == {"ann"}
    assert names(b"".join(known.possible)) == {"ann", "old"}
    assert names(b"".join(known.vanished)) == {"old"}


def test_what_a_source_that_removes_users_can_support(product):
    result = read(product, guarantees=SKEW)
    promised = source(guarantees=ONCE | SKEW)
    best = supported(promised, result)
    assert best.accuracy is Accuracy.EXACT
    assert "at least daily" in best.why
    renamed = supported(promised, replace(result, ids_stable=False))
    assert renamed.accuracy is Accuracy.LOWER_BOUND
    unknown = supported(source(guarantees={"removal": "Unknown"}), result)
    assert unknown.accuracy is Accuracy.LOWER_BOUND
