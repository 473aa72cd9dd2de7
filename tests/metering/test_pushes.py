"""Chains of a producer's requests, and what heartbeats prove (`metering.pushes`)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from licenseusage.metering.events import Range
from licenseusage.metering.pushes import (
    Chain,
    PushRefusedError,
    claimed,
    continued,
    covers,
    heard_until_ms,
    shared,
)
from licenseusage.reasons import Reason

BEGUN = continued(None, None, "r1", None)


def refused(*arguments) -> Reason:
    with pytest.raises(PushRefusedError) as caught:
        continued(*arguments)
    return caught.value.reason


def test_the_first_heartbeat_of_a_chain_proves_nothing_of_the_time_before():
    assert claimed(continued(None, None, "r1", 100)) is None


def test_a_heartbeat_proves_what_lies_since_the_first_one_of_its_chain():
    chain = continued(continued(BEGUN, "r1", "r2", 100), "r2", "r3", 250)
    assert claimed(chain) == Range(100, 250)


def test_a_request_with_the_newest_receipt_goes_on():
    assert continued(BEGUN, "r1", "r2", None) == Chain("r2", "r1")


def test_a_request_whose_answer_was_lost_comes_again_under_the_receipt_before():
    answered = continued(continued(BEGUN, "r1", "r2", 100), "r2", "lost", 200)
    again = continued(answered, "r2", "r3", 200)
    assert claimed(again) == Range(100, 200)


@pytest.mark.parametrize(
    ("chain", "receipt"),
    [
        pytest.param(None, "r1", id="a ledger that never heard of the producer"),
        pytest.param(BEGUN, "r7", id="a ledger that was restored from a backup"),
        pytest.param(Chain("r5", "r4"), "r2", id="two processes under one name"),
    ],
)
def test_a_receipt_that_is_not_the_newest_one_is_refused(chain, receipt):
    assert refused(chain, receipt, "new", None) is Reason.PUSH_RECEIPT_UNKNOWN


def test_of_two_processes_under_one_name_the_second_one_is_refused():
    first = continued(BEGUN, "r1", "r2", None)
    second = continued(first, "r1", "r3", None)  # as if an answer had been lost
    assert refused(second, "r2", "r4", None) is Reason.PUSH_RECEIPT_UNKNOWN


def test_a_new_chain_leaves_the_time_between_unproved():
    chain = continued(Chain("r5", "r4", 100, 200), None, "r6", 300)
    assert claimed(chain) is None
    assert claimed(continued(chain, "r6", "r7", 400)) == Range(300, 400)


def test_a_heartbeat_that_goes_back_is_refused():
    with pytest.raises(PushRefusedError) as caught:
        continued(Chain("r2", "r1", 100, 200), "r2", "r3", 150)
    assert (caught.value.reason, caught.value.by_ms) == (Reason.HEARTBEAT_WENT_BACK, 50)


def test_neither_does_a_new_chain_begin_before_the_last_heartbeat():
    assert refused(Chain("r2", None, 100, 200), None, "r3", 150) is Reason.HEARTBEAT_WENT_BACK


def test_the_same_heartbeat_again_changes_nothing_but_the_receipt():
    chain = Chain("r2", "r1", 100, 200)
    assert continued(chain, "r2", "r3", 200) == Chain("r3", "r2", 100, 200)


def test_what_everybody_proved_is_proved():
    assert shared([[Range(0, 10), Range(20, 30)], [Range(5, 25)]]) == (Range(5, 10), Range(20, 25))


def test_nothing_is_proved_where_one_producer_proved_nothing():
    assert shared([[Range(0, 10)], []]) == ()
    assert shared([]) == ()


def test_everybody_has_told_up_to_the_slowest():
    assert heard_until_ms(["a", "b"], {"a": 100, "b": 70}) == 70
    assert heard_until_ms(["a", "b"], {"a": 100, "b": None}) is None
    assert heard_until_ms(["a", "b"], {"a": 100}) is None
    assert heard_until_ms([], {}) is None


ranges = st.lists(
    st.tuples(st.integers(0, 40), st.integers(1, 10)).map(lambda r: Range(r[0], r[0] + r[1])),
    max_size=5,
)


@given(st.lists(ranges, min_size=1, max_size=4), st.integers(0, 50))
def test_an_instant_is_shared_exactly_where_everybody_covers_it(of_all, at_ms):
    assert covers(shared(of_all), at_ms) == all(covers(known, at_ms) for known in of_all)
