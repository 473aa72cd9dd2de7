"""The join of facts is commutative, associative, idempotent and monotone, whatever the facts."""

from hypothesis import given
from hypothesis import strategies as st

from licenseusage.metering.combine import evaluate_facts
from licenseusage.metering.cycles import CYCLE_BIT, CYCLE_MASK
from licenseusage.metering.facts import Facts, join_maybe, merge
from licenseusage.metering.properties import Properties, Removal

USERS = [bytes([number]) * 16 for number in range(4)]
KEPT = Properties(removal=Removal.NEVER, ids_stable=True)
words = st.integers(0, 0b111).map(lambda days: days | CYCLE_MASK if days & 1 else days)
counts = st.dictionaries(st.sampled_from([0, 1, CYCLE_BIT]), st.integers(0, 9))


@st.composite
def facts(draw: st.DrawFn) -> Facts:
    """Facts as one poll makes them: maybe within closed, and never beside sure."""
    closed = draw(words)
    sure = draw(st.dictionaries(st.sampled_from(USERS), words.filter(bool)))
    maybe = draw(st.dictionaries(st.sampled_from(USERS), words))
    maybe = {user: bits & closed & ~sure.get(user, 0) for user, bits in maybe.items()}
    return Facts(
        sure,
        {user: bits for user, bits in maybe.items() if bits},
        closed,
        closed | draw(words),
        0,
        draw(counts),
        draw(counts),
    )


@given(facts())
def test_nothing_adds_nothing(a):
    assert merge(a, Facts()) == merge(Facts(), a) == a


@given(facts(), facts())
def test_merge_is_commutative(a, b):
    assert merge(a, b) == merge(b, a)


@given(facts(), facts(), facts())
def test_merge_is_associative(a, b, c):
    assert merge(merge(a, b), c) == merge(a, merge(b, c))


@given(facts(), facts())
def test_merge_is_idempotent(a, b):
    joined = merge(a, b)
    assert merge(joined, b) == merge(joined, joined) == joined
    assert merge(a, Facts()) == a


@given(facts(), facts())
def test_merge_forgets_nothing(a, b):
    joined = merge(a, b)
    for part in (a, b):
        assert part.closed & ~joined.closed == 0
        assert part.ended & ~joined.ended == 0
        assert part.refuted & ~joined.refuted == 0
        assert all(bits & ~joined.sure[user] == 0 for user, bits in part.sure.items())
        assert all(joined.low[window] >= count for window, count in part.low.items())
        assert all(joined.full[window] <= count for window, count in part.full.items())


@given(facts(), facts())
def test_bounds_never_widen_unless_a_property_is_refuted(a, b):
    before, after = evaluate_facts(a, KEPT), evaluate_facts(merge(a, b), KEPT)
    assert after.lower >= before.lower
    if before.upper is not None and not merge(a, b).refuted:
        assert after.upper is not None
        assert after.upper <= before.upper


@given(facts(), facts())
def test_evidence_outside_the_stated_interval_refutes_a_property(a, b):
    """Whoever is proved inactive by one side and active by the other refutes a property."""
    joined = merge(a, b)
    for window in (0, 1, 2, CYCLE_BIT):
        mask = 1 << window
        contradicted = any(
            one.closed & mask
            and other.sure.get(user, 0) & mask
            and not (one.sure.get(user, 0) | one.maybe.get(user, 0)) & mask
            for one, other in ((a, b), (b, a))
            for user in USERS
        )
        assert bool(joined.refuted & mask) == contradicted


def test_not_closed_yet_is_the_neutral_element_of_maybe():
    assert join_maybe(0b11, 0b11, 0b01, 0b01) == 0b11
    assert join_maybe(0b11, 0b11, 0b01, 0b11) == 0b01
    assert join_maybe(0b00, 0b00, 0b10, 0b11) == 0b10
