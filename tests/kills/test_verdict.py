"""What the judge of a run of kills asks of a status: which cycles are amended, and which final."""

from types import SimpleNamespace

import pytest

from licenseusage.reports.content import Kind
from licenseusage.reports.names import digest
from licenseusage.reports.receipt import Sent
from tests.delivery.people import reports
from trials.kills import verdict
from trials.kills.journal import DECIDED, SIGNED, Committed


def report(sequence, kind, index, users):
    content = SimpleNamespace(
        kind=kind,
        cycle=SimpleNamespace(index=index),
        active_users=users,
        active_users_upper_bound=users,
    )
    return SimpleNamespace(envelope=SimpleNamespace(sequence=sequence), content=content)


REPORTS = (
    report(1, Kind.FINAL, 0, 4),
    report(2, Kind.FINAL, 1, 6),
    report(3, Kind.AMENDMENT, 0, 5),
)


def said(*states):
    shown = [
        {"index": 0, "activeUsers": 5, "activeUsersUpperBound": 5, "state": states[0]},
        {"index": 1, "activeUsers": 6, "activeUsersUpperBound": 6, "state": states[1]},
    ]
    return list(verdict._status(SimpleNamespace(status={"history": shown}), REPORTS))


def test_a_cycle_with_an_amendment_is_amended_and_every_other_one_is_final():
    assert said("Amended", "Final") == []


@pytest.mark.parametrize(
    ("states", "wrong"),
    [(("Final", "Final"), 0), (("Amended", "Amended"), 1), (("Closing", "Final"), 0)],
)
def test_any_other_state_is_noticed(states, wrong):
    (violation,) = said(*states)
    assert f"the status says {states[wrong]} for cycle {wrong}" in violation


FIRST, OTHER = (reports(1, contract)[0] for contract in ("lic-2", "lic-3"))


def signed(*tokens, there, given_up=(), adopted=True, replaced=(), aside=()):
    """What the judge says of one position, by which tokens were committed for it."""
    committed = Committed()
    for token in tokens:
        committed.add(SIGNED, ["0001", token])
    jti = Sent.from_token(FIRST).subject.jti
    committed.signed = {jti: committed.signed["0001"]}
    committed.give_up(dict(given_up), [])
    committed.replaced = set(replaced)
    chains = frozenset({Sent.from_token(FIRST).chain_id}) if adopted else frozenset()
    stored = [SimpleNamespace(token=there)] if there else []
    digests = frozenset(map(digest, aside))
    evidence = SimpleNamespace(stored=stored, adopted=chains, set_aside=digests)
    return verdict._signed_once(evidence, committed)


def test_a_position_has_one_token_and_the_vendor_has_it():
    assert signed(FIRST, there=FIRST) == []
    assert len(signed(FIRST, OTHER, there=FIRST)) == 1
    assert len(signed(FIRST, there=OTHER)) == 1
    assert len(signed(FIRST, there=None)) == 1


def test_a_token_that_is_lost_for_good_gives_way_to_another_one():
    assert signed(FIRST, OTHER, there=OTHER, given_up={FIRST: False}, adopted=False) == []
    assert signed(FIRST, there=None, given_up={FIRST: False}) == []
    assert signed(FIRST, there=FIRST, given_up={FIRST: True}, adopted=False) == []


def test_a_token_that_an_object_shows_gives_way_by_consent_only():
    assert signed(FIRST, OTHER, there=OTHER, given_up={FIRST: True}) == []
    (violation,) = signed(FIRST, OTHER, there=OTHER, given_up={FIRST: True}, adopted=False)
    assert "nobody has consented" in violation


def test_what_a_restore_took_away_and_a_person_went_on_without_gives_way():
    assert signed(FIRST, OTHER, there=OTHER, replaced=[FIRST], aside=[FIRST]) == []


@pytest.mark.parametrize(("replaced", "aside"), [([FIRST], []), ([], [FIRST]), ([FIRST], [OTHER])])
def test_nothing_gives_way_to_a_restore_or_to_a_consent_alone(replaced, aside):
    assert len(signed(FIRST, OTHER, there=OTHER, replaced=replaced, aside=aside)) == 2


def test_what_the_vendor_holds_gives_way_to_nothing():
    assert len(signed(FIRST, OTHER, there=FIRST, replaced=[FIRST], aside=[FIRST])) == 1


def test_a_consent_is_remembered_when_the_ledger_that_says_so_is_lost():
    committed = Committed(
        signed={Sent.from_token(FIRST).subject.jti: [FIRST, OTHER]}, replaced={FIRST}
    )
    committed.set_aside.add(digest(FIRST))
    evidence = SimpleNamespace(
        stored=[SimpleNamespace(token=OTHER)], adopted=frozenset(), set_aside=frozenset()
    )
    assert verdict._signed_once(evidence, committed) == []


def final(sequence, at_s):
    cycle = SimpleNamespace(index=sequence, start_s=60 * sequence)
    content = SimpleNamespace(
        kind=Kind.FINAL, cycle=cycle, active_users=1, active_users_upper_bound=2
    )
    envelope = SimpleNamespace(sequence=sequence, issued_at_s=at_s)
    return SimpleNamespace(envelope=envelope, content=content)


@pytest.mark.parametrize(("decided_s", "dated_s"), [(900, 900), (700, 800)])
@pytest.mark.parametrize("off", [-1, 0, 1])
def test_a_final_is_dated_with_its_decision_or_with_the_report_in_front_of_it(
    decided_s, dated_s, off
):
    committed = Committed()
    committed.add(DECIDED, ["alpha", 120_000, 1000 * decided_s, 1, 2])
    reports_ = (final(1, 800), final(2, dated_s + off))
    said = list(verdict._kept(SimpleNamespace(name="alpha"), reports_, committed))
    assert len(said) == (off != 0)


def test_a_cycle_whose_final_is_lost_is_not_held_to_what_was_decided_first():
    committed = Committed()
    committed.add(DECIDED, ["alpha", 0, 5, 1, 2])
    committed.add(DECIDED, ["alpha", 1, 5, 1, 2])
    committed.give_up({}, [("alpha", 0)])
    committed.add(DECIDED, ["alpha", 0, 9, 1, 3])
    assert set(committed.decided) == {("alpha", 1)}
