"""What a source declares, as the assumptions that a report names."""

from dataclasses import replace

import pytest

from licenseusage.metering.cycles import DAY_MS, Cycle
from licenseusage.metering.facts import Row, latest_value_ms, list_facts
from licenseusage.metering.properties import Properties, Removal
from licenseusage.metering.roster import Listed

NEVER = Properties(removal=Removal.NEVER, ids_stable=True)
ONCE = replace(NEVER, removal=Removal.LISTED_ONCE)


@pytest.mark.parametrize(
    ("properties", "assumptions"),
    [
        (Properties(), ()),
        (Properties(ids_stable=True, hidden_ms=0), ("IdsStable",)),
        (NEVER, ("RemovalNever", "IdsStable", "IdsNotReused", "NothingHidden")),
        (replace(NEVER, id_reuse=True), ("RemovalNever", "IdsStable", "NothingHidden")),
        (replace(NEVER, hidden_ms=1), ("RemovalNever", "IdsStable", "IdsNotReused")),
        (replace(NEVER, ids_stable=False), ("RemovalNever", "IdsNotReused", "NothingHidden")),
        (ONCE, ("RemovalListedOnce", "IdsStable", "IdsNotReused", "NothingHidden")),
        (replace(ONCE, ids_stable=False), ()),
        (replace(NEVER, log=True), ("IdsStable", "IdsNotReused")),
    ],
)
def test_a_report_names_what_its_accuracy_rests_on_and_nothing_else(properties, assumptions):
    assert properties.assumptions() == assumptions


def test_the_latest_possible_value_is_the_polls_end_and_what_clocks_may_differ():
    skewed = replace(NEVER, skew_ms=7)
    assert latest_value_ms(skewed, ended_ms=1000, clock_skew_ms=50) == 1057


@pytest.mark.parametrize("properties", [NEVER, Properties(ids_stable=True)])
def test_only_a_source_that_lists_everybody_once_keeps_a_roster(properties):
    def found(properties, listed):
        return list_facts(
            Cycle(0, DAY_MS, 2 * DAY_MS),
            properties,
            started_ms=DAY_MS,
            ended_ms=DAY_MS,
            clock_skew_ms=0,
            complete=True,
            rows=[Row(b"a" * 16, DAY_MS, None)],
            listed=listed,
        ).roster

    everybody = Listed((), (), [(b"a" * 16, DAY_MS, None)])
    assert found(properties, everybody) is None
    assert found(ONCE, None) is None
    assert found(ONCE, everybody) is not None


def test_unless_declared_a_list_is_late_by_a_minute_and_promises_nothing():
    assert Properties() == Properties(
        granularity_ms=1000,
        skew_ms=0,
        lag_ms=60_000,
        hidden_ms=0,
        removal=Removal.UNKNOWN,
        ids_stable=False,
        id_reuse=False,
        initial_created=False,
        created_tolerance_ms=0,
        roster_gap_ms=DAY_MS,
        log=False,
    )


@pytest.mark.parametrize(
    "wrong",
    [
        {"granularity_ms": 0},
        {"skew_ms": -1},
        {"lag_ms": -1},
        {"hidden_ms": -1},
        {"created_tolerance_ms": -1},
    ],
)
def test_spans_that_no_rule_covers_are_refused(wrong):
    with pytest.raises(ValueError, match="must not be negative"):
        replace(NEVER, **wrong)
    assert replace(NEVER, granularity_ms=1, lag_ms=0).granularity_ms == 1
