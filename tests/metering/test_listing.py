"""Lists that forget users after a while: proof ranges, and what a changed value says."""

from dataclasses import replace

import pytest

from licenseusage.metering.cycles import CYCLE_BIT, DAY_MS, Cycle
from licenseusage.metering.facts import ImpossibleStampError, Row
from licenseusage.metering.listing import Shown, listing_proofs
from licenseusage.metering.polled import Polled
from licenseusage.metering.proofs import Proof, Proofs
from licenseusage.metering.properties import Properties

CYCLE = Cycle(0, 100 * DAY_MS, 102 * DAY_MS)
START, END = CYCLE.start_ms, CYCLE.end_ms
DECLARED = Properties(ids_stable=True, lag_ms=10, granularity_ms=1)
A = b"a"
IN_DAY_0 = 1 << CYCLE_BIT | 1


def made(
    polled: Polled,
    *rows: tuple,
    kept: int | None = None,
    previous: Shown | None = None,
    **declared,
) -> Proofs:
    listed = [Row(A, *row) if len(row) == 2 else Row(A, *row, None) for row in rows]
    properties = replace(DECLARED, **declared)
    return listing_proofs(CYCLE, properties, polled, listed, kept_ms=kept, previous=previous)


def complete(began: int, took: int = 0) -> Polled:
    return Polled(began, began + took, complete=True)


def ranges(facts: Proofs, window: int = CYCLE_BIT) -> list[tuple[int, int, set]]:
    records = facts.proofs.get(window, ())
    return [(one.start_ms, one.end_ms, set(one.possible)) for one in records]


def test_the_proof_range_goes_from_what_is_kept_to_what_must_be_visible():
    found = made(complete(START + 100, 20), (START + 5,), kept=50)
    assert ranges(found) == [(START + 70, START + 90, {A})]
    assert found.sure == {A: IN_DAY_0}


def test_a_list_that_never_forgets_covers_the_cycle_from_its_start():
    assert ranges(made(complete(START + 100, 20))) == [(START, START + 90, set())]
    assert ranges(made(complete(END + 10))) == [(START, END, set())]


def test_a_list_that_forgets_at_once_proves_nothing():
    assert made(complete(START + 100), kept=0).proofs == {}


def test_a_poll_that_was_not_complete_names_people_only():
    found = made(Polled(START + 100, START + 120, complete=False), (START + 5,), kept=50)
    assert found == Proofs({A: IN_DAY_0})


@pytest.mark.parametrize(
    ("value", "declared", "sure", "possible"),
    [
        (START - 1, {}, False, False),
        (START, {}, True, True),
        (END - 1, {}, True, True),
        (END, {}, False, True),
        (START - 1, {"hidden_ms": 1}, False, True),
        (START - 2, {"hidden_ms": 1}, False, False),
        (START - 1, {"granularity_ms": 2}, False, True),
        (END - 1, {"granularity_ms": 2}, False, True),
        (END - 2, {"granularity_ms": 2}, True, True),
        (START, {"skew_ms": 1}, False, True),
        (START + 1, {"skew_ms": 1}, True, True),
        (END - 1, {"skew_ms": 1}, False, True),
        (START - 1, {"skew_ms": 1}, False, True),
        (START - 2, {"skew_ms": 1}, False, False),
    ],
)
def test_who_is_sure_and_who_is_possible(value, declared, sure, possible):
    found = made(complete(END + 100), (value,), **declared)
    assert (A in found.sure) is sure
    assert ranges(found) == [(START, END, {A} if possible else set())]


def test_created_after_the_end_is_ruled_out():
    assert ranges(made(complete(END + 100), (END, END))) == [(START, END, set())]
    assert ranges(made(complete(END + 100), (END, END - 1))) == [(START, END, {A})]
    assert ranges(made(complete(END + 100), (END, END), skew_ms=1)) == [(START, END, {A})]


def test_a_row_that_proves_activity_is_possible_whatever_its_creation_says():
    assert ranges(made(complete(END + 100), (START, END))) == [(START, END, {A})]


def test_a_value_that_starts_as_the_creation_is_possible_only():
    for row in ((START + 5, START + 5), (START + 5,), (START + 5, START + 3)):
        found = made(complete(END + 100), row, initial_created=True, created_tolerance_ms=2)
        assert found.sure == {}
        assert ranges(found) == [(START, END, {A})]
    far = made(
        complete(END + 100), (START + 5, START + 2), initial_created=True, created_tolerance_ms=2
    )
    assert far.sure == {A: IN_DAY_0}


def test_what_was_read_by_the_end_of_the_poll_had_happened_by_then():
    coarse = made(Polled(END - 50, END - 10, complete=False), (END - 50,), granularity_ms=1000)
    assert coarse.sure == {A: 1 << CYCLE_BIT | 2}
    late = made(Polled(END - 50, END, complete=False), (END - 50,), granularity_ms=1000)
    assert late.sure == {}


def test_a_stamp_in_the_future_fails_the_poll():
    with pytest.raises(ImpossibleStampError) as refused:
        made(complete(START + 100), (START + 107,), skew_ms=2)
    assert refused.value.ahead_ms == 5
    assert made(complete(START + 100), (START + 102,), skew_ms=2)


def test_unstable_ids_have_no_general_form():
    with pytest.raises(ValueError, match="no general form"):
        made(complete(START + 100), (START + 5,), ids_stable=False)


class TestMemory:
    """A value that changed since an earlier poll: activity since that began, less the lag."""

    SHOWN = Shown(complete(START + 110, 5), {A: {START - 500}})

    def test_a_changed_coarse_value_proves_more(self):
        row, coarse = (START - 300,), {"granularity_ms": 1000, "kept": None}
        after = complete(START + 200)
        assert made(after, row, previous=None, **coarse).sure == {}
        assert made(after, row, previous=self.SHOWN, **coarse).sure == {A: IN_DAY_0}
        same = Shown(self.SHOWN.polled, {A: {START - 300}})
        assert made(after, row, previous=same, **coarse).sure == {}

    def test_only_since_the_earlier_poll_began_less_the_lag(self):
        row, coarse = (START - 300,), {"granularity_ms": 1000}
        for began, proves in ((START + 10, True), (START + 9, False)):
            shown = Shown(complete(began), self.SHOWN.values)
            found = made(complete(START + 200), row, previous=shown, **coarse)
            assert (A in found.sure) is proves

    def test_an_earlier_poll_must_have_ended_before(self):
        row, coarse = (START - 300,), {"granularity_ms": 1000}
        assert made(complete(START + 115), row, previous=self.SHOWN, **coarse).sure == {}
        assert made(complete(START + 116), row, previous=self.SHOWN, **coarse).sure

    def test_a_user_who_was_not_shown_proves_nothing_more(self):
        row, coarse = (START - 300,), {"granularity_ms": 1000}
        shown = Shown(self.SHOWN.polled, {b"b": {START - 500}})
        assert made(complete(START + 200), row, previous=shown, **coarse).sure == {}

    def test_a_change_to_a_value_before_the_earlier_poll_refutes_the_lag(self):
        found = made(complete(START + 200), (START + 50,), previous=self.SHOWN)
        assert found.refuted
        assert found.sure == {}
        assert ranges(found) == [(START, START + 190, {A})]
        fine = made(complete(START + 200), (START + 100,), previous=self.SHOWN)
        assert not fine.refuted

    def test_one_refuted_row_is_enough(self):
        found = made(complete(START + 200), (START + 50,), (START + 150,), previous=self.SHOWN)
        assert found.refuted


def test_several_rows_of_a_user_are_one_user():
    found = made(complete(END + 100), (START + 5,), (START + DAY_MS + 5,))
    assert found.sure == {A: 1 << CYCLE_BIT | 3}
    assert found.proofs[0] == frozenset([Proof(START, START + DAY_MS, frozenset([A]))])
