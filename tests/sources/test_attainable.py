"""The best class of a number, or of a list without times, follows from what is declared of it.

The table is that of MEASUREMENT §5 and §4, written down here once more.
"""

from typing import Any

import pytest

from licenseusage.api.source import Source
from licenseusage.errors import Failure
from licenseusage.metering.bounds import Accuracy
from licenseusage.sources.definition.attainable import attainable
from licenseusage.sources.definition.model import EffectiveSource
from licenseusage.sources.definition.presets import effective
from licenseusage.sources.definition.windowed import list_reaches, number_reaches
from licenseusage.sources.poll import PollResult
from licenseusage.sources.support import supported

PODS = {"selector": {"matchLabels": {"app": "x"}}, "port": 80, "scheme": "HTTP"}
PROMISED = {"removal": "Never", "completeness": "Complete"}
MONTH = {"type": "Rolling", "days": 30}
WEEK = {"type": "Rolling", "days": 7}
LONG = {"type": "Rolling", "days": 40}
TO_DATE = {"type": "CalendarMonthToDate"}
SQL_MONTH = {"type": "RollingCalendarMonth"}
ASKED = {"type": "Cycle"}


def number(
    window: dict[str, Any], guarantees: dict[str, Any] | None = None, **count: Any
) -> EffectiveSource:
    query = [{"name": edge, "value": f"{{{{cycle.{edge}}}}}"} for edge in ("start", "end")]
    http: dict[str, Any] = {"path": "/n"} | ({"query": query} if window is ASKED else {})
    given = {"name": "n", "pods": PODS, "http": http, "window": window}
    given |= {"count": {"value": "n", **count}, "guarantees": guarantees or {}}
    return effective(Source.model_validate(given))


def listed(window: dict[str, Any], removal: str, **guarantees: Any) -> EffectiveSource:
    given = {"name": "l", "pods": PODS, "http": {"path": "/l"}, "window": window}
    given |= {"users": {"id": "id"}}
    given |= {"guarantees": {"removal": removal, "ids": "Stable", **guarantees}}
    return effective(Source.model_validate(given))


NUMBERS = {
    "a week": (number(WEEK), Accuracy.LOWER_BOUND),
    "a week, of all who stay": (number(WEEK, PROMISED), Accuracy.BOUNDED),
    "a month": (number(MONTH), Accuracy.ESTIMATE),
    "a month, of all who stay": (number(MONTH, PROMISED), Accuracy.UPPER_BOUND),
    "a month, of those who stay": (number(MONTH, {"removal": "Never"}), Accuracy.ESTIMATE),
    "more than the cycle": (number(LONG), Accuracy.UNKNOWN),
    "more than the cycle, of all who stay": (number(LONG, PROMISED), Accuracy.UPPER_BOUND),
    "a month as SQL has it": (number(SQL_MONTH), Accuracy.ESTIMATE),
    "the month so far": (number(TO_DATE), Accuracy.LOWER_BOUND),
    "the month so far, of all who stay": (number(TO_DATE, PROMISED), Accuracy.LOWER_BOUND),
    "the cycle": (number(ASKED), Accuracy.LOWER_BOUND),
    "the cycle, of all who stay": (number(ASKED, PROMISED), Accuracy.EXACT),
    "the cycle, with programs": (number(ASKED, PROMISED, ownAccounts=2), Accuracy.BOUNDED),
    "the cycle, with activity that is not recorded": (
        number(ASKED, PROMISED | {"hiddenSeconds": 60}),
        Accuracy.LOWER_BOUND,
    ),
    "an estimate of a month": (number(MONTH, precision="Estimated"), Accuracy.ESTIMATE),
    "an estimate of a week": (number(WEEK, precision="Estimated"), Accuracy.UNKNOWN),
}


@pytest.mark.parametrize(("source", "best"), NUMBERS.values(), ids=NUMBERS)
def test_a_number_reaches_what_its_window_and_guarantees_allow(source, best):
    reached = attainable(source)
    assert reached.best is best
    begins = {"Exact", "A range", "At least", "At most", "An estimate", "No number"}
    assert any(reached.words[0].startswith(begin) for begin in begins)
    assert all(word.endswith(".") for word in reached.words)


LISTS = {
    "a week": (listed(WEEK, "Never"), Accuracy.EXACT),
    "a week, who may leave": (listed(WEEK, "Unknown"), Accuracy.LOWER_BOUND),
    "a day": (listed({"type": "Rolling", "days": 1}, "Never"), Accuracy.LOWER_BOUND),
    "a month": (listed(MONTH, "Never"), Accuracy.BOUNDED),
    "a month, who may leave": (listed(MONTH, "Unknown"), Accuracy.UNKNOWN),
    "29 days, and a list of the day before": (
        listed({"type": "Rolling", "days": 29}, "Unknown", ageSeconds=86_400),
        Accuracy.UNKNOWN,
    ),
    "the month so far": (listed(TO_DATE, "Never"), Accuracy.LOWER_BOUND),
}


@pytest.mark.parametrize(("source", "best"), LISTS.values(), ids=LISTS)
def test_a_list_without_times_reaches_what_its_window_and_guarantees_allow(source, best):
    assert attainable(source).best is best


@pytest.mark.parametrize(
    ("days", "best"),
    [(7, Accuracy.UNKNOWN), (30, Accuracy.ESTIMATE), (61, Accuracy.LOWER_BOUND)],
)
def test_what_a_number_reaches_depends_on_the_cycles_length(days, best):
    assert number_reaches(number(MONTH), days) is best


def test_what_other_cycles_get_is_said_where_it_differs():
    words = attainable(number(MONTH)).words
    assert "In a cycle of 7 days: no number." in words
    assert "In a cycle of 61 days: at least." in words
    assert not any("In a cycle" in word for word in attainable(number(ASKED)).words)


def test_a_cap_is_said():
    (word,) = [w for w in attainable(number(MONTH, saturatesAt=50)).words if "50" in w]
    assert word == (
        "A number that has reached 50 (count.saturatesAt) is neither an upper bound nor an "
        "estimate."
    )


ANY_WINDOW = {f"number: {name}": each for name, each in NUMBERS.items()} | {
    f"list: {name}": each for name, each in LISTS.items()
}
HEALED = Failure("CannotOverlap", "pages cannot prove themselves")
CUT = Failure("RowsRepeated", "somebody took another's place")


@pytest.mark.parametrize(("source", "best"), ANY_WINDOW.values(), ids=ANY_WINDOW)
def test_a_check_promises_what_a_cycle_of_its_length_can_hold(source, best):
    """`source check` says it for the cycle that it was asked for, of one poll."""
    assert supported(source, PollResult(0, 0, complete=True)).accuracy is best
    reaches = number_reaches if source.states_number else list_reaches
    for days in (7, 61):
        seen = supported(source, PollResult(0, 0, complete=True), days)
        assert seen.accuracy is reaches(source, days)
        assert not seen.why.startswith(("Exact", "At", "A range", "An", "No number"))
    assert supported(source, PollResult(0, 0, failure=CUT)).accuracy is Accuracy.UNKNOWN


@pytest.mark.parametrize(("source", "best"), LISTS.values(), ids=LISTS)
def test_a_list_without_times_that_is_cut_is_a_lower_bound_and_no_more(source, best):
    assert supported(source, PollResult(0, 0, incomplete=CUT)).accuracy is Accuracy.LOWER_BOUND
    assert supported(source, PollResult(0, 0, incomplete=HEALED)).accuracy is best
