"""WithinEntitlement, its thresholds and their events: pure tables, and one real cluster."""

import re

import pytest

from licenseusage.api.model import rfc3339
from licenseusage.controller.effects.metrics import Metrics
from licenseusage.controller.rules import entitlement
from licenseusage.controller.rules.conditions import Findings
from licenseusage.controller.rules.entitlement import (
    Entitled,
    thresholds_reached,
    within_entitlement,
)
from licenseusage.controller.rules.gauges import UsageGauges, gauges
from licenseusage.controller.rules.key import Key
from licenseusage.controller.rules.status import Ended, View, compose
from licenseusage.controller.rules.transitions import of_status
from licenseusage.ledger.records import CycleRecord, CycleState
from licenseusage.metering.bounds import Bounds
from licenseusage.metering.coverage import Coverage
from licenseusage.metering.cycles import DAY_MS, Cycle
from licenseusage.metering.forecast import Forecast, Lack
from licenseusage.metering.statement import CycleStatement

BEFORE, CYCLE, NEXT = (Cycle(n, n * DAY_MS, (n + 1) * DAY_MS) for n in range(3))
PERCENTS = (80, 90, 100)


def statement(lower, cycle=CYCLE, upper=None, as_of_ms=None, conflict=False):
    bounds = Bounds(lower, upper, conflict=conflict)
    return CycleStatement(cycle, as_of_ms or cycle.start_ms + 1000, bounds, (), Coverage(0, ()))


def entitled(maximum, lower, percents=PERCENTS, before=None, **more):
    known = None if lower is None else statement(lower, **more)
    return Entitled(maximum, known, percents, before)


def ended(lower, maximum, upper=None, **more):
    final = statement(lower, BEFORE, upper, BEFORE.end_ms, **more)
    return Ended(CycleRecord(1, BEFORE, CycleState.FINAL), final, maximum)


def status_of(seen, live=None, cycle=CYCLE):
    """Return the status that follows from what is entitled, and from the live one."""
    return compose(
        View(
            name="usage",
            generation=1,
            now_ms=cycle.start_ms + 5000,
            findings=Findings("shop", within_entitlement=within_entitlement(seen)),
            cycle=cycle,
            statement=seen.statement,
            informed=seen.statement is not None,
            maximum=seen.maximum,
            percents=seen.percents,
            thresholds=thresholds_reached(seen, live or {}, cycle.start_ms),
            previous=(live or {}).get("conditions") or (),
        )
    )


def events(*seen, cycle=CYCLE, live=None):
    """Return the reasons and notes of the events while these follow each other."""
    live, posted = live or {}, []
    for each in seen:
        after = status_of(each, live, cycle)
        posted += [(e.reason, e.note) for e in of_status(live, after) if e.action == "Count"]
        live = after
    return posted


# -- the condition


@pytest.mark.parametrize(
    ("maximum", "lower", "status", "reason"),
    [
        (500, None, "Unknown", "CountUnknown"),
        (500, 0, "True", "WithinMaximum"),
        (500, 399, "True", "WithinMaximum"),
        (500, 400, "True", "ThresholdReached"),
        (500, 499, "True", "ThresholdReached"),
        (500, 500, "True", "MaximumReached"),
        (500, 501, "False", "MaximumExceeded"),
        (0, 0, "True", "WithinMaximum"),
        (0, 1, "False", "MaximumExceeded"),
    ],
)
def test_within_entitlement_compares_what_is_proved(maximum, lower, status, reason):
    verdict = within_entitlement(entitled(maximum, lower))
    assert (verdict.status, verdict.reason) == (status, reason)


@pytest.mark.parametrize(
    ("lower", "message"),
    [
        (100, "100 of 500 users (20 %) have been seen active in this cycle so far."),
        (
            460,
            "460 of 500 users (92 %) have been seen active in this cycle so far: 90 % of what is "
            "paid for is reached.",
        ),
        (
            500,
            "All 500 users that are paid for have been active in this cycle; one more exceeds the "
            "maximum. Talk to the vendor in time.",
        ),
    ],
)
def test_the_message_says_how_much_of_what_is_paid_for_is_used(lower, message):
    assert within_entitlement(entitled(500, lower)).message == message


def test_without_thresholds_only_an_overage_is_no_good_news():
    assert within_entitlement(entitled(500, 499, percents=())).reason == "WithinMaximum"
    assert within_entitlement(entitled(500, 501, percents=())).reason == "MaximumExceeded"


def test_nothing_is_said_about_a_number_that_contradicts_itself():
    torn = entitled(500, 600, conflict=True)
    assert within_entitlement(torn).reason == "CountUnknown"
    assert thresholds_reached(torn, {}, CYCLE.start_ms) == ()


def test_an_ended_cycles_overage_is_said_in_the_next_one_too():
    day = rfc3339(BEFORE.end_ms)[:10]
    words = f"In the cycle that ended on {day} at least 512 were active, 500 were paid for."
    for lower in (None, 3, 450, 500, 501):
        assert within_entitlement(entitled(500, lower, before=ended(512, 500))).message.endswith(
            words
        )
    for other in (ended(500, 500), ended(512, None), ended(512, 500, conflict=True)):
        message = within_entitlement(entitled(500, None, before=other)).message
        assert "were paid for" not in message


def test_an_upper_bound_above_the_maximum_is_a_hint_and_no_overage():
    verdict = within_entitlement(entitled(500, 3, before=ended(490, 500, upper=510)))
    assert (verdict.status, verdict.reason) == ("True", "WithinMaximum")
    assert verdict.message.endswith(
        "at least 490 and at most 510 were active, 500 were paid for: it is not proved that more "
        "were active."
    )


@pytest.mark.parametrize("upper", [495, 500])
def test_an_upper_bound_within_the_maximum_is_no_hint(upper):
    assert (
        "ended on"
        not in within_entitlement(entitled(500, 3, before=ended(490, 500, upper=upper))).message
    )


def test_of_a_cycle_without_a_maximum_nothing_is_said():
    before = ended(490, None, upper=510)
    assert "ended on" not in within_entitlement(entitled(500, 3, before=before)).message


def test_a_part_is_rounded_down():
    assert "0 of 1000 users (0 %)" in within_entitlement(entitled(1000, 0)).message
    assert "999 of 1000 users (99 %)" in within_entitlement(entitled(1000, 999)).message


@pytest.mark.parametrize(
    ("maximum", "lower", "words"),
    [
        (575, 300, None),
        (574, 300, "may end above"),
        (540, 300, "may end above"),
        (539, 300, "probably ends above"),
        (500, 500, "probably ends above"),
    ],
)
def test_a_forecast_is_said_where_its_interval_goes_beyond_the_maximum(maximum, lower, words):
    seen = Entitled(maximum, statement(lower), (), forecast=Forecast(540, 505, 575, cycles=2))
    message = within_entitlement(seen).message
    assert ("are forecast" in message) is (words is not None)
    assert words is None or words in message


def test_without_a_maximum_the_condition_is_absent():
    assert within_entitlement(None) is None


# -- once per cycle


def test_each_threshold_is_one_event_however_often_it_is_looked_at():
    walk = [entitled(500, lower) for lower in (10, 400, 401, 401, 450, 499, 500, 500, 501, 502)]
    assert [reason for reason, _ in events(*walk)] == [
        "ThresholdReached",
        "ThresholdReached",
        "MaximumReached",
        "MaximumExceeded",
    ]


def test_the_event_names_threshold_number_and_maximum():
    assert events(entitled(500, 455)) == [
        (
            "ThresholdReached",
            "90 % of the 500 users that are paid for is reached: 455 have been seen active in the "
            f"cycle that began on {rfc3339(CYCLE.start_ms)[:10]}.",
        )
    ]


def test_of_several_that_are_reached_at_once_the_highest_is_told():
    assert [reason for reason, _ in events(entitled(500, 500))] == ["MaximumReached"]
    assert [reason for reason, _ in events(entitled(500, 900))] == ["MaximumExceeded"]


def test_a_threshold_above_the_maximum_is_told_when_it_is_reached():
    walk = [entitled(500, lower, percents=(110,)) for lower in (501, 549, 550, 560)]
    assert [(reason, note[:5]) for reason, note in events(*walk)] == [
        ("MaximumExceeded", "At le"),
        ("MaximumExceeded", "110 %"),
    ]


def test_a_restart_repeats_nothing_since_the_status_remembers():
    live = status_of(entitled(500, 455))
    assert [entry["percent"] for entry in live["thresholds"]] == [80, 90]
    assert events(entitled(500, None), entitled(500, 456), live=live) == []


def test_a_number_that_is_unknown_for_a_while_crosses_nothing_again():
    torn = entitled(500, 455, conflict=True)
    assert len(events(entitled(500, 455), torn, entitled(500, 10), entitled(500, 455))) == 1


def test_the_next_cycle_begins_with_no_threshold_reached():
    live = status_of(entitled(500, 455))
    after = status_of(entitled(500, 3, cycle=NEXT), live, NEXT)
    assert "thresholds" not in after
    assert len(events(entitled(500, 455, cycle=NEXT), live=live, cycle=NEXT)) == 1


def test_with_a_higher_maximum_what_is_not_reached_of_it_can_be_reached_again():
    before, after, later = entitled(500, 455), entitled(560, 455), entitled(560, 510)
    live = status_of(after, status_of(before))
    assert [entry["percent"] for entry in live["thresholds"]] == [80]
    told_again = events(before, after, later)
    assert [note[:4] for _, note in told_again] == ["90 %", "90 %"]


def test_with_a_lower_maximum_only_what_it_reaches_newly_is_told():
    assert [note[:4] for _, note in events(entitled(500, 410), entitled(450, 410))] == [
        "80 %",
        "90 %",
    ]


def test_a_threshold_that_is_reached_of_either_maximum_was_reached_when_it_was_first():
    live = status_of(entitled(500, 400))
    (first, *_) = thresholds_reached(entitled(400, 450), live, CYCLE.start_ms)
    assert (first.percent, first.users, first.maximum) == (80, 400, 500)


def test_without_a_maximum_or_a_cycle_no_threshold_is_reached():
    assert thresholds_reached(None, {}, CYCLE.start_ms) == ()
    assert thresholds_reached(entitled(500, 500), {}, None) == ()
    assert thresholds_reached(None, {}, None) == ()


def test_an_unknown_number_is_more_than_nothing_that_is_paid_for():
    assert entitlement.more_than_paid_for(entitled(500, None)) is None
    assert not entitled(0, None).reaches(80)


def test_people_are_warned_at_these_parts_of_the_maximum():
    assert entitlement.WARN_AT_PERCENT == (80, 90, 100)


def test_a_reached_threshold_says_when_and_by_whom_it_was_reached():
    (first, _) = status_of(entitled(500, 455))["thresholds"]
    assert first == {
        "percent": 80,
        "reachedTime": rfc3339(CYCLE.start_ms + 1000),
        "activeUsers": 455,
        "maximumActiveUsers": 500,
    }


# -- the metric


def test_the_metric_has_each_threshold_reached_or_not():
    seen = entitled(500, 455)
    view = View(
        name="usage",
        generation=1,
        now_ms=1,
        findings=Findings("shop"),
        percents=PERCENTS,
        thresholds=thresholds_reached(seen, {}, CYCLE.start_ms),
    )
    shown = gauges(view, ())
    assert shown.thresholds == {80: True, 90: True, 100: False}
    metrics = Metrics(lambda: 1.0)
    metrics.show(Key("shop", "usage"), UsageGauges(thresholds=shown.thresholds))
    text = metrics.text().decode()
    shown_percents = {
        percent: value
        for line in text.splitlines()
        if line.startswith("licenseusage_threshold_reached{")
        for percent, value in re.findall(r'percent="(\d+)".* (\S+)$', line)
    }
    assert shown_percents == {"80": "1.0", "90": "1.0", "100": "0.0"}


# -- the forecast


def test_a_forecast_above_the_maximum_is_said_in_time():
    likely = Forecast(540, 505, 575, cycles=2)
    seen = Entitled(500, statement(300), PERCENTS, forecast=likely)
    assert within_entitlement(seen).message.endswith(
        "The cycle probably ends above the maximum: about 540 are forecast, between 505 and 575."
    )
    possible = Entitled(560, statement(300), PERCENTS, forecast=likely)
    assert "The cycle may end above the maximum" in within_entitlement(possible).message


@pytest.mark.parametrize(("maximum", "lower"), [(600, 300), (500, 501)])
def test_a_forecast_within_the_maximum_or_an_overage_says_no_more(maximum, lower):
    seen = Entitled(maximum, statement(lower), PERCENTS, forecast=Forecast(540, 505, 575, 1))
    assert "forecast" not in within_entitlement(seen).message


def foreseen(what):
    view = View("usage", 1, 1, Findings("shop"), cycle=CYCLE, foreseen=what)
    return compose(view).get("forecast"), gauges(view, ()).forecast


def test_the_status_shows_the_forecast_its_interval_and_what_it_rests_on():
    shown, metric = foreseen(Forecast(540, 505, 575, cycles=2))
    assert (shown["low"], shown["activeUsers"], shown["high"]) == (505, 540, 575)
    assert shown["basis"].startswith("the growth of the last 2 cycles; nothing is proved.")
    assert metric == {"low": 505, "expected": 540, "high": 575}


def test_the_metric_of_the_forecast_has_its_three_numbers():
    metrics = Metrics(lambda: 1.0)
    metrics.show(Key("shop", "usage"), UsageGauges(forecast={"low": 5, "expected": 6, "high": 7}))
    labels = 'bound="expected",name="usage",usage_namespace="shop"'
    assert f"licenseusage_forecast_active_users{{{labels}}} 6.0" in metrics.text().decode()


@pytest.mark.parametrize("lack", Lack)
def test_without_a_forecast_the_status_says_why_and_has_no_number(lack):
    shown, metric = foreseen(lack)
    assert shown.keys() == {"basis"}
    assert shown["basis"].startswith("no forecast")
    assert metric == {}


def test_without_a_number_there_is_nothing_about_a_forecast():
    assert foreseen(None) == (None, {})
