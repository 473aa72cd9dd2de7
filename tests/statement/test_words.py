"""The comparison with the entitlement, and what is billed: only what is proved."""

from dataclasses import replace

import pytest

from licenseusage.reports.content import Kind, Uncertainty
from licenseusage.statement.cycles import chains_of
from licenseusage.statement.words import (
    Over,
    coverage_words,
    number,
    over,
    over_words,
    span_words,
    to_bill,
)
from tests.statement.bookkeeping import Bookkeeper, given, licence, signed


def cycle(low, high, maximum=500, kind=Kind.FINAL, licensed=True, **changes):
    book = Bookkeeper()
    day = 3 if kind is Kind.INTERIM else 30
    book.sign(book.content(kind, 0, low, high, day, **changes))
    licenses = given(licence(maximum=maximum)) if licensed else ()
    (chain,) = chains_of(signed(*book.tokens), licenses)
    return chain.cycles[0]


@pytest.mark.parametrize(
    ("low", "high", "words", "compared"),
    [
        (398, 398, "not over; 102 left", Over(0, 0)),
        (500, 500, "not over; 0 left", Over(0, 0)),
        (501, 501, "over by 1", Over(1, 1)),
        (1812, 1812, "over by 1,312", Over(1312, 1312)),
        (412, 419, "not over; at least 81 left", Over(0, 0)),
        (499, 507, "not proved to be over; by 7 at most", Over(0, 7)),
        (514, 519, "over by 14 at least, 19 at most", Over(14, 19)),
        (514, None, "over by 14 at least", Over(14, None)),
        (412, None, "not proved to be over; there is no upper bound", Over(0, None)),
        (None, 419, "not over; at least 81 left", Over(0, 0)),
        (None, 519, "not proved to be over; by 19 at most", Over(0, 19)),
        (None, None, "not known: nothing is proved", None),
    ],
)
def test_a_final_is_compared_with_the_entitlement(low, high, words, compared):
    ended = cycle(low, high)
    assert (over_words(ended), over(ended)) == (words, compared)


@pytest.mark.parametrize(
    ("low", "words"),
    [(412, "not over so far, as far as is proved"), (600, "over by 100 at least so far")],
)
def test_a_running_cycle_is_compared_so_far(low, words):
    assert over_words(cycle(low, None, kind=Kind.INTERIM)) == words


def test_an_estimate_proves_nothing():
    estimated = cycle(900, None, accuracy="Estimate")
    assert over_words(estimated) == "not known: nothing is proved"
    assert to_bill(estimated) is None
    assert number(estimated.content) == "~900"


@pytest.mark.parametrize(
    ("reasons", "text"),
    [((), "none seen so far"), ((Uncertainty("UnprovedCounts", 0),), "unknown so far")],
)
def test_a_product_that_names_nobody_has_seen_neither_somebody_nor_nobody(reasons, text):
    running = cycle(None, None, kind=Kind.INTERIM, accuracy="Unknown", uncertainty=reasons)
    assert number(running.content) == text


def test_without_a_maximum_or_a_licence_there_is_no_comparison():
    assert over_words(cycle(9, 9, maximum=None)) == "no maximum is agreed"
    assert over_words(cycle(9, 9, licensed=False)) == (
        "entitlement not known: licence lic-1 is not here"
    )


def test_the_lower_bound_of_a_final_is_billed():
    assert to_bill(cycle(412, 419)) == 412
    assert to_bill(cycle(412, None)) == 412
    assert to_bill(cycle(0, 0)) == 0
    assert to_bill(cycle(412, 419, licensed=False)) == 412


@pytest.mark.parametrize(("low", "high"), [(None, 7), (None, None)])
def test_where_nothing_is_proved_there_is_nothing_to_bill(low, high):
    assert to_bill(cycle(low, high)) is None


def test_a_running_cycle_is_not_billed():
    assert to_bill(cycle(412, None, kind=Kind.INTERIM)) is None


@pytest.mark.parametrize("purpose", ["NonProduction", "Standby"])
def test_users_that_are_not_of_production_are_not_billed(purpose):
    assert to_bill(cycle(9, 9, purpose=purpose)) is None
    book = Bookkeeper()
    book.final(0, 9, 9)
    (chain,) = chains_of(signed(*book.tokens), given(licence(purpose=purpose)))
    assert to_bill(chain.cycles[0]) is None


def test_the_observed_part_is_rounded_down():
    content = cycle(9, 9).content

    def observed(seconds):
        return coverage_words(
            replace(content, coverage=replace(content.coverage, observed_seconds=seconds))
        )

    whole = 30 * 86400
    assert (observed(whole), observed(whole - 1), observed(0)) == ("100 %", "99.9 %", "0 %")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (59, "59 s"), (5400, "1 h 30 min"), (91801, "1 d 1 h"), (2592000, "30 d")],
)
def test_a_span_names_its_two_largest_parts(seconds, words):
    assert span_words(seconds) == words
