"""What becomes of a statement when evidence arrives after it (MEASUREMENT §0, §2, §8)."""

from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from licenseusage.metering.amendment import (
    Narrowed,
    Refuted,
    due_ms,
    interval,
    judge,
    narrows,
)
from licenseusage.metering.bounds import Bounds
from licenseusage.metering.coverage import Coverage
from licenseusage.metering.cycles import DAY_MS, Terms
from licenseusage.metering.properties import Properties, Removal
from licenseusage.metering.statement import (
    NO_CLOSING_POLL,
    UNLISTED_USERS,
    CycleStatement,
    Uncertainty,
)

CYCLE = Terms(date(2026, 11, 11), length_days=30).cycle(0)
KEPT = Properties(removal=Removal.NEVER, ids_stable=True)
LISTED_ONCE = Properties(removal=Removal.LISTED_ONCE, ids_stable=True)
LEFT_OPEN = Bounds(412, None)
NOW = CYCLE.end_ms + 3 * DAY_MS


def said(bounds: Bounds, **details: object) -> CycleStatement:
    return CycleStatement(CYCLE, CYCLE.end_ms, bounds, (), Coverage(0, ()), **details)


def judged(before: Bounds, after: Bounds, properties: Properties = KEPT, **details: object):
    return judge(said(before), said(after, **details), {"graph": properties})


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (LEFT_OPEN, Bounds(412, 419)),
        (LEFT_OPEN, Bounds(413, None)),
        (LEFT_OPEN, Bounds(419, 419)),
        (Bounds(0, None), Bounds(0, 0)),
        (Bounds(0, None), Bounds(5, None)),
        (Bounds(0, None, 400), Bounds(1, 9)),
        (Bounds(412, 419), Bounds(412, 418)),
        (Bounds(412, 419), Bounds(413, 419)),
        (Bounds(0, 7), Bounds(0, 3)),
    ],
)
def test_less_than_was_stated_is_possible_now(before, after):
    verdict = judged(before, after)
    assert isinstance(verdict, Narrowed)
    assert verdict.statement.bounds == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (LEFT_OPEN, LEFT_OPEN),
        (Bounds(412, 412), Bounds(412, 412)),
        (Bounds(412, 419), Bounds(412, None)),  # a source is not declared any more, say
        (LEFT_OPEN, Bounds(400, None)),
        (Bounds(0, None), Bounds(0, None, 400)),  # an estimate proves nothing
    ],
)
def test_nothing_is_said_where_nothing_more_is_proved(before, after):
    assert judged(before, after) is None


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (Bounds(412, 412), Bounds(413, None)),
        (Bounds(412, 419), Bounds(420, 425)),
        (Bounds(412, 419), Bounds(400, 405)),
        (LEFT_OPEN, Bounds(400, 405)),
        (LEFT_OPEN, Bounds(412, 419, conflict=True)),
        (Bounds(412, 419), Bounds(413, 419, conflict=True)),
        (Bounds(0, 0), Bounds(1, 1)),
    ],
)
def test_evidence_outside_of_what_was_stated_refutes_a_property(before, after):
    verdict = judged(before, after)
    assert isinstance(verdict, Refuted)
    assert "source graph" in verdict.words
    assert said(before).active_text in verdict.words
    assert verdict.statement.refuted


def test_a_conflict_that_was_stated_as_unknown_stays():
    before = said(Bounds(5, 4, conflict=True))
    assert judge(before, said(Bounds(5, 9)), {"graph": KEPT}) is None


LATE_WORDS = (
    "source graph: activity came to be shown after the poll that closed the cycle, so lagSeconds: "
    "60 is too short, or the product's times are not in the zone that is declared"
)
TOLD = "source graph: what the facts name"


def test_what_came_to_be_shown_after_the_closing_poll_refutes_the_lag():
    found = Bounds(413, 412, conflict=True)
    words = judged(Bounds(412, 412), found, refuted=(TOLD,)).words
    assert words == (
        f"412 was stated, and by what is known now at least 413 were active: {LATE_WORDS}"
    )


def test_a_late_user_within_the_bounds_refutes_the_lag_as_well():
    for late in (413, 419):
        found = Bounds(late, 419, conflict=True)
        words = judged(Bounds(412, 419), found, refuted=(TOLD,)).words
        assert words == (
            "412\u2013419 was stated, and by what is known now the facts contradict each other: "
            + LATE_WORDS
        )


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (LEFT_OPEN, Bounds(413, 411, conflict=True)),  # its first closing poll
        (Bounds(412, 419), Bounds(412, 411, conflict=True)),  # nobody was added
    ],
)
def test_a_listing_that_misses_somebody_seen_before_is_told_by_the_facts(before, after):
    verdict = judged(before, after, refuted=(TOLD,))
    assert verdict.words.endswith(f": {TOLD}")
    assert verdict.statement.refuted == (TOLD,)


def test_where_the_facts_name_nothing_removal_and_ids_are_in_doubt():
    words = judged(LEFT_OPEN, Bounds(400, 405)).words
    assert words.endswith(
        "source graph: fewer are possible now than were proved active, so removal or ids is not "
        "what is declared"
    )


def test_somebody_active_in_no_list_refutes_that_everybody_is_listed_once():
    before, after = said(Bounds(4, 4)), said(Bounds(5, None), unbounded=(UNLISTED_USERS,))
    verdict = judge(before, after, {"graph": KEPT, "list": LISTED_ONCE})
    assert verdict.words.endswith(
        "source list: somebody was active who was in no complete list, so removal: ListedOnce is "
        "false (Unknown promises nothing)"
    )
    verdict = judge(before, after, {"graph": KEPT})
    assert "source graph: somebody was active" in verdict.words


def test_several_sources_are_named_with_their_lags():
    declared = {"graph": KEPT, "log": replace(KEPT, lag_ms=5000)}
    words = judge(said(Bounds(4, 4)), said(Bounds(5, 4)), declared).words
    assert "sources graph, log: activity came to be shown" in words
    assert "lagSeconds: 5, 60 is too short" in words


def test_the_words_tell_both_statements_and_what_is_still_not_known():
    after = Bounds(412, 419)
    verdict = judged(LEFT_OPEN, after, uncertainty=(Uncertainty("RemovedUsers", 7),))
    assert verdict.words.startswith("≥412 before, 412\u2013419 now: at least 412, at most 419: 7 ")
    assert judged(LEFT_OPEN, Bounds(412, 412)).words == "≥412 before, 412 now"


def test_what_is_not_about_the_cycles_users_stays_as_it_was():
    before = replace(said(LEFT_OPEN, unbounded=(NO_CLOSING_POLL,)), provisioned=900)
    verdict = judge(before, replace(said(Bounds(412, 412)), provisioned=1000), {"graph": KEPT})
    assert verdict.statement.provisioned == 900


def test_the_first_amendment_may_be_at_once_and_the_next_rests_a_day_unless_asked_for():
    assert due_ms(None, NOW, asked=False) == NOW
    assert due_ms(NOW - 1, NOW, asked=False) == NOW - 1 + DAY_MS
    assert due_ms(NOW - DAY_MS, NOW, asked=False) == NOW
    assert due_ms(NOW - 1, NOW, asked=True) == NOW
    assert due_ms(NOW, NOW, asked=False) == NOW + DAY_MS


def test_a_clock_that_was_set_back_does_not_put_amendments_off():
    assert due_ms(NOW + 30 * DAY_MS, NOW, asked=False) == NOW


counts = st.integers(0, 6)
bounds = st.builds(Bounds, counts, st.none() | counts, st.none() | counts, st.booleans())


@given(bounds, bounds)
def test_each_verdict_is_what_its_intervals_say(before, after):
    (low, high), (new_low, new_high) = interval(before), interval(after)
    verdict = judged(before, after)
    if isinstance(verdict, Narrowed):
        assert low <= new_low <= new_high <= high
        assert (low, high) != (new_low, new_high)
        # Said once, it is not said again.
        assert judge(verdict.statement, said(after), {"graph": KEPT}) is None
        assert not narrows(after, after)
    if isinstance(verdict, Refuted):
        assert not narrows(before, after)
