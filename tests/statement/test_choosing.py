"""Which cycles a statement is about."""

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from licenseusage.errors import Stalled
from licenseusage.statement.choosing import Newest, Numbered, choose, quarter, year
from licenseusage.statement.cycles import chains_of
from tests.delivery.people import key
from tests.statement.bookkeeping import Bookkeeper, signed


def book(finals, running=None, **identity):
    made = Bookkeeper(**identity)
    for index in finals:
        made.final(index, 9, 9)
    if running is not None:
        made.interim(running, 4, 2)
    return made


def chains(*books):
    return chains_of([report for made in books for report in signed(*made.tokens)])


def indices(chosen):
    return [[cycle.index for cycle in section.cycles] for section in chosen]


def test_a_cycle_by_its_number_with_those_before_it():
    (section,) = choose(chains(book(range(5), 5)), Numbered(3))
    assert [cycle.index for cycle in section.cycles] == [3]
    assert [cycle.index for cycle in section.earlier] == [2, 1, 0]


def test_thirteen_earlier_cycles_are_shown():
    (section,) = choose(chains(book(range(20))), Numbered(19))
    assert [cycle.index for cycle in section.earlier] == list(range(18, 5, -1))


def test_the_newest_finished_and_the_running_cycle():
    given_chains = chains(book(range(5), 5))
    assert indices(choose(given_chains, Newest(finished=True))) == [[4]]
    assert indices(choose(given_chains, Newest(finished=False))) == [[5]]


def test_of_several_chains_the_newest_cycle_and_what_overlaps_it():
    old, renewed, long_gone = (
        book([0, 1, 2, 3]),
        book([2, 3], key=key("new")),
        book([0], subscription="sub-0"),
    )
    chosen = choose(chains(old, renewed, long_gone), Newest(finished=True))
    assert indices(chosen) == [[3], [3]]


def test_a_quarter_holds_the_cycles_whose_last_day_is_in_it():
    # Cycles of 30 days from 2026-01-01: the third ends with 2026-03-31, the first day after is
    # of the next quarter.
    given_chains = chains(book(range(8)))
    assert indices(choose(given_chains, quarter("2026Q1"))) == [[0, 1, 2]]
    assert indices(choose(given_chains, quarter("2026Q2"))) == [[3, 4, 5]]
    assert indices(choose(given_chains, year("2026"))) == [[0, 1, 2, 3, 4, 5, 6, 7]]


@for_all(st.integers(0, 200), st.integers(2026, 2042))
def test_each_cycle_belongs_to_one_quarter_of_one_year(index, number):
    given_chains = chains(book([index]))
    end_s = given_chains[0].cycles[0].end_s
    quarters = [quarter(f"{number}Q{part}") for part in (1, 2, 3, 4)]
    whole = year(str(number))
    inside = [period.start_s < end_s <= period.end_s for period in quarters]
    assert sum(inside) == (whole.start_s < end_s <= whole.end_s)
    assert quarters[0].start_s == whole.start_s
    assert quarters[3].end_s == whole.end_s


@pytest.mark.parametrize("text", ["2026", "2026Q5", "26Q1", "Q1", "2026Q1 ", ""])
def test_other_words_are_no_quarter(text):
    with pytest.raises(ValueError, match="2026Q4"):
        quarter(text)


@pytest.mark.parametrize("text", ["26", "2026Q1", "last", ""])
def test_other_words_are_no_year(text):
    with pytest.raises(ValueError, match="2026"):
        year(text)


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        (Numbered(9), "collab/production has no cycle 9"),
        (Newest(finished=False), "has no running cycle"),
        (quarter("2031Q1"), "has no cycle whose last day is in 2031Q1"),
        (year("2031"), "has no cycle whose last day is in 2031"),
    ],
)
def test_a_cycle_that_does_not_exist_is_refused_with_those_that_do(choice, words):
    with pytest.raises(Stalled, match=words) as caught:
        choose(chains(book([0, 1])), choice)
    assert caught.value.reason == "NoSuchCycle"
    assert "0 (2026-01-01 to 2026-01-30, final), 1 (2026-01-31 to" in caught.value.message


def test_of_several_chains_each_lists_its_own():
    two = chains(book([0]), book([1], key=key("new")))
    with pytest.raises(Stalled) as caught:
        choose(two, Numbered(9))
    for chain in two:
        assert f"chain {chain.id[:8]}: " in caught.value.message
