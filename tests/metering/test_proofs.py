"""Proof records: what they cover, who is possible, which of them say nothing new."""

import pytest

from licenseusage.metering.combine import ProofStore, evaluate
from licenseusage.metering.cycles import CYCLE_BIT, DAY_MS, Cycle
from licenseusage.metering.known import Known
from licenseusage.metering.proofs import (
    Proof,
    Proofs,
    covered_until,
    known_by_proofs,
    merge_proofs,
    possible_between,
    proved,
)

A, B, C = (name.encode() for name in "abc")
CYCLE = Cycle(0, 0, DAY_MS)


def proof(start: int, end: int, *users: bytes) -> Proof:
    return Proof(start, end, frozenset(users))


def test_a_record_beats_another_that_says_no_more():
    one = proof(10, 20, A)
    assert one.beats(proof(10, 20, A))
    assert one.beats(proof(11, 19, A, B))
    assert not one.beats(proof(9, 20, A))
    assert not one.beats(proof(10, 21, A))
    assert not one.beats(proof(10, 20))
    assert not one.beats(proof(10, 20, B))


def test_the_join_drops_what_is_beaten_and_keeps_the_rest():
    wide, narrow, other = proof(0, 20, A), proof(5, 10, A, B), proof(10, 30, B)
    a = Proofs({A: 1}, {0: frozenset([wide])})
    b = Proofs({A: 2, B: 4}, {0: frozenset([narrow, other]), 1: frozenset([narrow])})
    assert merge_proofs(a, b) == Proofs(
        {A: 3, B: 4}, {0: frozenset([wide, other]), 1: frozenset([narrow])}
    )
    assert merge_proofs(Proofs(), Proofs(refuted=True)).refuted
    assert merge_proofs(Proofs(refuted=True), Proofs()).refuted
    assert not merge_proofs(Proofs(), Proofs()).refuted


def test_a_proof_range_is_cut_to_the_windows_it_meets():
    windows = {CYCLE_BIT: (0, 100), 0: (0, 50), 1: (50, 100)}
    everybody = {CYCLE_BIT: [A, B], 0: [A], 1: [B]}
    assert proved(windows, 50, 200, everybody) == {
        CYCLE_BIT: frozenset([proof(50, 100, A, B)]),
        1: frozenset([proof(50, 100, B)]),
    }
    assert proved(windows, 49, 51, everybody)[0] == frozenset([proof(49, 50, A)])
    assert proved(windows, 60, 60, everybody) == {}
    assert proved(windows, 100, 120, everybody) == {}


def test_at_each_instant_those_are_possible_whom_no_record_rules_out():
    records = [proof(0, 60, A, B), proof(40, 100, B, C)]
    assert possible_between(records, 0, 100) == {A, B, C}
    assert possible_between(records, 40, 60) == {B}
    assert possible_between(records, 0, 40) == {A, B}
    assert possible_between(records, 60, 100) == {B, C}


def test_a_hole_leaves_nothing_proved():
    records = [proof(0, 40, A), proof(41, 100, A)]
    assert possible_between(records, 0, 100) is None
    assert possible_between(records, 0, 40) == {A}
    assert possible_between(records, 0, 41) is None
    assert possible_between(records, 1, 40) == {A}
    assert possible_between(records[1:], 40, 100) is None
    assert possible_between([], 0, 100) is None


def test_records_outside_the_span_say_nothing_of_it():
    records = [proof(0, 50, A), proof(50, 100, B)]
    assert possible_between(records, 50, 100) == {B}
    assert possible_between(records, 0, 50) == {A}


def test_covered_until_follows_records_without_a_hole():
    assert covered_until([proof(40, 60, A), proof(0, 40, B)], 0) == 60
    assert covered_until([proof(41, 60, A), proof(0, 40, B)], 0) == 40
    assert covered_until([proof(0, 40, A), proof(10, 20, B)], 0) == 40
    assert covered_until([proof(1, 40, A)], 0) is None
    assert covered_until([proof(-5, 0, A)], 0) is None
    assert covered_until([], 0) is None


def test_one_window_is_known_by_its_own_bit_and_records():
    facts = Proofs({A: 1, B: 1 << CYCLE_BIT}, {0: frozenset([proof(0, DAY_MS, A)])})
    assert known_by_proofs(facts, CYCLE, 0) == Known({A}, {A})
    assert known_by_proofs(facts, CYCLE) == Known({B}, None)


@pytest.mark.parametrize("refuted", [False, True])
def test_somebody_active_whom_the_records_rule_out_is_a_conflict(refuted: bool):
    records = {CYCLE_BIT: frozenset([proof(0, DAY_MS, A)])}
    sure = {B: 1 << CYCLE_BIT} if refuted else {A: 1 << CYCLE_BIT}
    assert evaluate([ProofStore("", Proofs(sure, records), CYCLE)]).conflict is refuted
    marked = ProofStore("", Proofs({}, records, refuted=refuted), CYCLE)
    assert evaluate([marked]).conflict is refuted
