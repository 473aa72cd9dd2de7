"""The number in words, wherever a person reads (MEASUREMENT §0)."""

from dataclasses import replace
from datetime import date

import pytest

from licenseusage.metering.bounds import Bounds
from licenseusage.metering.coverage import Coverage
from licenseusage.metering.cycles import DAY_MS, Terms
from licenseusage.metering.properties import Properties, Removal
from licenseusage.metering.statement import (
    CycleStatement,
    Uncertainty,
    daily_series,
    uncertainty_of,
)

CYCLE = Terms(date(2026, 11, 11), length_days=30).cycle(0)
HOUR_MS = 3_600_000
GAP = (CYCLE.end_ms - 50 * 60_000, CYCLE.end_ms + 100 * 60_000)
STABLE = Properties(removal=Removal.NEVER, ids_stable=True)


def said(bounds: Bounds, *, as_of_ms: int = CYCLE.end_ms, **details: object) -> CycleStatement:
    return CycleStatement(CYCLE, as_of_ms, bounds, (), Coverage(0, ()), **details)


@pytest.mark.parametrize(
    ("bounds", "text"),
    [
        (Bounds(398, 398), "398"),
        (Bounds(0, 0), "0"),
        (Bounds(412, 419), "412\u2013419"),
        (Bounds(412, None), "≥412"),
        (Bounds(0, 419), "≤419"),
        (Bounds(0, None, 400), "~400"),
        (Bounds(0, None), "unknown"),
        (Bounds(5, 4, conflict=True), "unknown"),
    ],
)
def test_the_column_of_an_ended_cycle(bounds, text):
    assert said(bounds).active_text == text


@pytest.mark.parametrize(
    ("bounds", "text"),
    [
        (Bounds(412, None), "412 so far"),
        (Bounds(412, 412), "412 so far"),
        (Bounds(0, None), "none seen so far"),
        (Bounds(0, None, 400), "~400 so far"),
        (Bounds(5, 4, conflict=True), "unknown"),
    ],
)
def test_the_column_of_a_running_cycle(bounds, text):
    running = said(bounds, as_of_ms=CYCLE.end_ms - 1000)
    assert running.active_text == text
    assert running.running


@pytest.mark.parametrize(
    ("statement", "sentence"),
    [
        (said(Bounds(412, 412)), "412"),
        (
            said(
                Bounds(412, 419),
                uncertainty=(Uncertainty("BoundaryGap", 7),),
                boundary_gap_ms=GAP,
            ),
            "at least 412, at most 419: nothing could be read between 23:10 and 01:40 around the "
            "cycle's end; 7 people signed in again since",
        ),
        (
            said(Bounds(0, 1), uncertainty=(Uncertainty("BoundaryGap", 1),)),
            "at most 1: their activity right before the cycle's end was overwritten; "
            "1 person signed in again since",
        ),
        (
            said(Bounds(412, 413), uncertainty=(Uncertainty("RemovedUsers", 1),)),
            "at least 412, at most 413: 1 person was removed before it could be ruled out that "
            "they were active",
        ),
        (
            said(Bounds(412, 414), uncertainty=(Uncertainty("RemovedUsers", 2),)),
            "at least 412, at most 414: 2 people were removed before it could be ruled out that "
            "they were active",
        ),
        (
            said(Bounds(412, 419), uncertainty=(Uncertainty("HiddenActivity", 7),)),
            "at least 412, at most 419: the product may hide activity after the time it shows; "
            "this concerns 7 people",
        ),
        (
            said(Bounds(412, 419), uncertainty=(Uncertainty("SeparateIdentities", 7),)),
            "at least 412, at most 419: the sources' users cannot be compared, the same person "
            "may be in several of them",
        ),
        (
            said(Bounds(412, 419), uncertainty=(Uncertainty("UnstableIds", 7),)),
            "at least 412, at most 419: user ids may change, so that listings of different times "
            "cannot be united",
        ),
        (
            said(Bounds(412, None), unbounded=("RemovedUsers",)),
            "at least 412: this product forgets removed users",
        ),
        (
            said(Bounds(412, None), unbounded=("NoClosingPoll",)),
            "at least 412: nothing could be read completely after the cycle's end",
        ),
        (
            said(Bounds(0, None), unbounded=("RemovedUsers", "NoClosingPoll")),
            "unknown: this product forgets removed users",
        ),
        (
            said(Bounds(412, None), unbounded=("PseudonymKeyChanged", "NoClosingPoll")),
            "at least 412: the pseudonym key was lost and another one took its place in mid-cycle, "
            "so that people counted before cannot be recognised among those counted since",
        ),
        (
            said(Bounds(412, None), unbounded=("ObjectGone", "NoClosingPoll")),
            "at least 412: the LicenseUsage was deleted before the product could be read after the "
            "cycle's end",
        ),
        (said(Bounds(0, None)), "unknown: nothing was proved"),
        (
            said(Bounds(412, None), unbounded=("ListCut", "NoClosingPoll")),
            "at least 412: nothing could be read completely after the cycle's end (ListCut)",
        ),
        (
            said(Bounds(412, None), unbounded=("ListCut", "RemovedUsers")),
            "at least 412: this product forgets removed users",
        ),
        (said(Bounds(412, 414)), "at least 412, at most 414"),
        (
            said(Bounds(412, 414), uncertainty=(Uncertainty("MoonPhase", 2),)),
            "at least 412, at most 414: MoonPhase; this concerns 2 people",
        ),
        (
            said(Bounds(412, None), unbounded=("MoonPhase", "Tide")),
            "at least 412: MoonPhase, Tide",
        ),
        (said(Bounds(0, None, 400)), "about 400, an estimate: nothing is proved"),
        (said(Bounds(412, None), as_of_ms=CYCLE.end_ms - 1000), "412 so far"),
        (
            said(Bounds(5, 4, conflict=True), refuted=("source graph: gone",)),
            "unknown: source graph: gone",
        ),
        (said(Bounds(5, 4, conflict=True)), "unknown: the facts contradict each other"),
    ],
)
def test_the_sentence_says_why_something_is_not_known(statement, sentence):
    assert statement.words == sentence


def test_a_report_says_of_a_contradiction_that_a_guarantee_is_refuted():
    assert said(Bounds(5, 4, conflict=True)).no_bound == ("GuaranteeRefuted",)
    assert said(Bounds(5, None), unbounded=("RemovedUsers",)).no_bound == ("RemovedUsers",)
    assert said(Bounds(5, 5)).no_bound == ()


def test_activity_that_was_gone_later_rules_nobody_out():
    lost = said(Bounds(5, None), unbounded=("ActivityLost", "RemovedUsers"))
    assert lost.words == (
        "at least 5: activity that the product had shown was gone later, or it came to be shown "
        "too late"
    )


@pytest.mark.parametrize(
    ("properties", "domains", "reason"),
    [
        ([STABLE], 1, "BoundaryGap"),
        ([STABLE, STABLE], 2, "SeparateIdentities"),
        ([Properties(removal=Removal.NEVER, ids_stable=True, hidden_ms=1)], 1, "HiddenActivity"),
        ([STABLE, Properties(removal=Removal.NEVER)], 2, "UnstableIds"),
        (
            [STABLE, Properties(removal=Removal.NEVER, ids_stable=True, hidden_ms=1)],
            1,
            "HiddenActivity",
        ),
    ],
)
def test_uncertainty_has_a_reason_and_the_number_of_people(properties, domains, reason):
    assert uncertainty_of(Bounds(3, 5), properties, domains) == (Uncertainty(reason, 2),)
    assert uncertainty_of(Bounds(0, 5), properties, domains) == (Uncertainty(reason, 5),)


def test_those_who_had_left_the_listing_are_told_apart_from_the_others():
    assert uncertainty_of(Bounds(3, 8), [STABLE], 1, vanished=2) == (
        Uncertainty("RemovedUsers", 2),
        Uncertainty("BoundaryGap", 3),
    )
    assert uncertainty_of(Bounds(3, 8), [STABLE], 1, vanished=9) == (
        Uncertainty("RemovedUsers", 5),
    )


@pytest.mark.parametrize("bounds", [Bounds(5, 5), Bounds(5, None), Bounds(5, 4, conflict=True)])
def test_without_both_bounds_there_is_no_uncertainty_to_explain(bounds):
    assert uncertainty_of(bounds, [STABLE], 1) == ()


class TestDailySeries:
    """Days begun by asOf; an unknown day is null, the running one is so far."""

    counts = tuple(range(10, 40))

    def series(self, as_of_ms: int, known: int) -> tuple:
        return daily_series(CYCLE, as_of_ms, self.counts, known)

    def test_a_day_is_stated_once_it_has_begun(self):
        assert self.series(CYCLE.start_ms, 0) == ()
        assert self.series(CYCLE.start_ms + 1, 0) == (10,)
        assert self.series(CYCLE.start_ms + DAY_MS, 1) == (10,)
        assert self.series(CYCLE.start_ms + DAY_MS + 1, 1) == (10, 11)

    def test_an_ended_day_that_is_not_known_is_null(self):
        assert self.series(CYCLE.start_ms + 3 * DAY_MS + HOUR_MS, 0b101) == (10, None, 12, 13)

    def test_an_ended_cycle_has_all_its_days(self):
        assert self.series(CYCLE.end_ms, (1 << 30) - 1) == self.counts
        assert self.series(CYCLE.end_ms, 0) == (None,) * 30


def test_only_logs_are_uncertain_by_events_on_either_side_of_an_end():
    log, between = replace(STABLE, log=True), Bounds(1, 2)
    assert uncertainty_of(between, [log, log], 1) == (Uncertainty("StraddlingEvents", 1),)
    assert uncertainty_of(between, [log, STABLE], 1) == (Uncertainty("BoundaryGap", 1),)
    assert uncertainty_of(between, [], 1) == (Uncertainty("BoundaryGap", 1),)
