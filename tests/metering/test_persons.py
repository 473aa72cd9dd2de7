"""What a store says about one person, and whether the person counts."""

import pytest

from licenseusage.metering.combine import Combine
from licenseusage.metering.cycles import CYCLE_MASK
from licenseusage.metering.persons import WORDS, Evidence, Standing, Trace, standing, trace

SURE = Evidence(sure=1 | CYCLE_MASK, kept=True, possible=True)
RULED_OUT = Evidence(listed=True, ever=True, inactive=True, possible=False)


@pytest.mark.parametrize(
    ("evidence", "word"),
    [
        (SURE, Trace.ACTIVE),
        (Evidence(sure=1, kept=False, doubted=True), Trace.DOUBTED),
        (Evidence(maybe=CYCLE_MASK, possible=True), Trace.POSSIBLE),
        (Evidence(closing=True), Trace.POSSIBLE),
        (RULED_OUT, Trace.INACTIVE),
        (Evidence(ever=True, possible=True), Trace.LEFT),
        (Evidence(ever=True, listed=True), Trace.NO_ACTIVITY),
        (Evidence(listed=True), Trace.EXCLUDED),
        (Evidence(), Trace.NOT_IN_DATA),
        (Evidence(read=False), Trace.NOT_READ),
        (Evidence(ids_stable=False, read=False), Trace.IDS_UNSTABLE),
    ],
)
def test_each_kind_of_evidence_has_its_own_word(evidence, word):
    assert trace(evidence) is word


def test_every_word_is_explained():
    assert WORDS.keys() == set(Trace)


def test_an_excluded_id_says_so_although_it_is_on_the_list():
    assert trace(Evidence(listed=True), excluded_id=True) is Trace.EXCLUDED_ID


def test_activity_that_was_counted_before_somebody_was_excluded_still_counts():
    assert trace(SURE, excluded_id=True) is Trace.ACTIVE


@pytest.mark.parametrize("combine", Combine)
def test_somebody_sure_in_one_store_counts(combine):
    assert standing([[SURE, Evidence()]], combine) is Standing.COUNTED


def test_an_observer_of_the_same_activity_rules_a_person_out():
    stores = [Evidence(maybe=CYCLE_MASK, possible=True), RULED_OUT]
    assert standing([stores], Combine.UNION) is Standing.POSSIBLE
    assert standing([stores], Combine.SAME) is Standing.NOT_COUNTED


def test_a_person_whom_observers_contradict_does_not_count():
    assert standing([[SURE, RULED_OUT]], Combine.SAME) is not Standing.COUNTED


def test_whoever_one_observer_doubts_counts_in_none():
    doubts = Evidence(doubted=True)
    assert standing([[SURE, doubts]], Combine.SAME) is not Standing.COUNTED
    assert standing([[SURE, doubts]], Combine.UNION) is Standing.COUNTED


def test_without_proof_of_absence_a_person_is_not_ruled_out():
    assert standing([[Evidence(listed=True, ever=True)]], Combine.UNION) is Standing.OPEN
    assert standing([], Combine.UNION) is Standing.OPEN


def test_each_identity_domain_speaks_for_itself():
    assert standing([[RULED_OUT], [SURE]], Combine.UNION) is Standing.COUNTED
    assert standing([[RULED_OUT], [Evidence()]], Combine.UNION) is Standing.OPEN
    assert standing([[RULED_OUT], [RULED_OUT]], Combine.UNION) is Standing.NOT_COUNTED
