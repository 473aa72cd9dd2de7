"""What a source declares, as the assumptions that a report names."""

from dataclasses import replace

import pytest

from licenseusage.metering.cycles import DAY_MS, Cycle
from licenseusage.metering.facts import Row, latest_value_ms, list_facts
from licenseusage.metering.properties import Guarantee, Properties, Removal
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


@pytest.mark.parametrize("properties", [NEVER, ONCE, Properties(ids_stable=True)])
def test_every_list_with_stable_ids_has_a_roster_if_one_is_asked_for(properties):
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
    assert found(properties, everybody) is not None
    assert found(properties, None) is None
    assert found(replace(properties, ids_stable=False), everybody) is None


class TestRefuted:
    """A refuted property carries nothing; what is left of the declaration does."""

    def without(self, properties, *guarantees):
        return replace(properties, refuted=frozenset(guarantees))

    def test_a_list_that_lost_somebody_is_one_that_lists_everybody_once(self):
        left = self.without(NEVER, Guarantee.REMOVAL_NEVER)
        assert (left.believed, left.keeps_users, left.keeps_roster) == (
            Removal.LISTED_ONCE,
            False,
            True,
        )
        assert left.loses_users
        # Not on ids: those count only who were listed together.
        assert left.assumptions() == ("RemovalListedOnce", "IdsNotReused", "NothingHidden")

    def test_one_that_did_not_list_somebody_even_once_promises_nothing(self):
        left = self.without(ONCE, Guarantee.LISTED_ONCE)
        assert (left.believed, left.keeps_roster, left.loses_users) == (
            Removal.UNKNOWN,
            False,
            False,
        )
        both = self.without(NEVER, Guarantee.REMOVAL_NEVER, Guarantee.LISTED_ONCE)
        assert (both.believed, both.loses_users) == (Removal.UNKNOWN, True)

    @pytest.mark.parametrize("properties", [NEVER, ONCE, replace(NEVER, log=True)])
    def test_activity_that_does_not_stay_shown_rules_nobody_out(self, properties):
        left = self.without(properties, Guarantee.SHOWN)
        assert not left.keeps_users
        assert not left.keeps_roster
        # A list that loses nobody may have named somebody twice.
        listed = properties.removal is Removal.NEVER and not properties.log
        assert left.assumptions() == (() if listed else ("IdsStable",))
        assert left.loses_users == listed

    def test_what_is_not_declared_cannot_be_missing(self):
        assert not self.without(ONCE, Guarantee.REMOVAL_NEVER).loses_users
        assert self.without(ONCE, Guarantee.REMOVAL_NEVER).keeps_roster


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
        refuted=frozenset(),
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
