"""A report's number in words: what its sender's status says, as far as the report knows it."""

from dataclasses import replace

import pytest

from licenseusage.reports.content import Gap, ReportCoverage, Uncertainty
from licenseusage.reports.inwords import count_text, in_words
from licenseusage.reports.report import read_report
from tests.reports.conformance import TOKENS

FINAL = read_report(TOKENS["report-2-final"]).content


def said(low, high, accuracy, *reasons, gaps=()):
    return in_words(
        replace(
            FINAL,
            active_users=low,
            active_users_upper_bound=high,
            accuracy=accuracy,
            uncertainty=reasons,
            coverage=ReportCoverage(0, gaps),
        )
    )


@pytest.mark.parametrize(
    ("words", "report"),
    [
        ("412", (412, 412, "Exact")),
        ("at least 412, at most 414", (412, 414, "Bounded")),
        (
            "at least 412, at most 414: 2 people were removed before it could be ruled out that "
            "they were active",
            (412, 414, "Bounded", Uncertainty("RemovedUsers", 2)),
        ),
        (
            "at least 412: this product forgets removed users",
            (412, None, "LowerBound", Uncertainty("RemovedUsers", 0)),
        ),
        (
            "at most 7: the product may hide activity after the time it shows; this concerns 7 "
            "people",
            (None, 7, "UpperBound", Uncertainty("HiddenActivity", 7)),
        ),
        ("about 400, an estimate: nothing is proved", (400, None, "Estimate")),
        (
            "unknown: the product's answers contradict a guarantee that is declared of it",
            (None, None, "Unknown", Uncertainty("GuaranteeRefuted", 0)),
        ),
    ],
)
def test_every_accuracy_has_its_words(words, report):
    assert said(*report) == words


def test_a_reason_of_another_version_is_named():
    assert said(4, 5, "Bounded", Uncertainty("MoonPhase", 1)).endswith(
        "at most 5: MoonPhase; this concerns 1 person"
    )
    assert said(4, None, "LowerBound", Uncertainty("MoonPhase", 0)) == "at least 4: MoonPhase"


def test_the_gap_at_the_cycles_end_is_said_with_its_times():
    end = FINAL.cycle.end_s
    gap = Gap(end - 3000, end, "NoReadyPods")
    reason = Uncertainty("BoundaryGap", 3)
    assert said(4, 7, "Bounded", reason, gaps=(gap,)) == (
        "at least 4, at most 7: nothing could be read between 23:10 and 00:00 around the cycle's "
        "end; 3 people signed in again since"
    )
    earlier = Gap(end - 9000, end - 8000, "NoReadyPods")
    assert "23:10" not in said(4, 7, "Bounded", reason, gaps=(earlier,))


def test_a_running_cycle_is_so_far():
    assert in_words(read_report(TOKENS["report-1-interim"]).content).endswith("so far")


RUNNING = replace(
    read_report(TOKENS["report-1-interim"]).content,
    active_users=None,
    active_users_upper_bound=None,
    accuracy="Unknown",
    uncertainty=(),
)
NUMBERS_ONLY = (Uncertainty("UnprovedCounts", 0),)


@pytest.mark.parametrize(
    ("text", "changes"),
    [
        ("none seen so far", {}),
        ("unknown so far", {"uncertainty": NUMBERS_ONLY}),
        (
            "~400 so far",
            {"uncertainty": NUMBERS_ONLY, "active_users": 400, "accuracy": "Estimate"},
        ),
        (
            "7 so far",
            {"uncertainty": NUMBERS_ONLY, "active_users": 7, "accuracy": "LowerBound"},
        ),
    ],
)
def test_nobody_is_said_to_be_unseen_by_a_product_that_names_nobody(text, changes):
    running = replace(RUNNING, **changes)
    assert (count_text(running), in_words(running)) == (text, text)


def test_a_column_shows_a_range_where_words_explain_it():
    ended = replace(FINAL, active_users=4, active_users_upper_bound=5, accuracy="Bounded")
    assert count_text(ended) == "4\u20135"
    assert in_words(ended).startswith("at least 4, at most 5")
