"""Which conditions hold: kstatus's three, the details, and when a transition time moves."""

import pytest

from licenseusage.controller.rules.conditions import (
    Findings,
    SourceHealth,
    Status,
    Underway,
    Verdict,
    conditions,
)
from licenseusage.errors import Consequence, Failure

NOW = 1_780_000_000_000
MINUTE = 60_000


def healthy(name="list", **kwargs):
    return SourceHealth(name, NOW - MINUTE, 15 * MINUTE, **kwargs)


def shown(found, previous=(), now=NOW):
    return {c["type"]: c for c in conditions(found, previous, 3, now)}


def test_a_healthy_object_is_ready_and_shows_neither_reconciling_nor_stalled():
    seen = shown(Findings("p", sources=[healthy()]))
    assert seen["Ready"]["status"] == "True"
    assert seen["Collected"]["status"] == "True"
    assert set(seen) == {"Ready", "Collected"}


def test_before_the_first_poll_an_object_is_reconciling_and_not_ready():
    seen = shown(Findings("p", sources=[SourceHealth("list", None, MINUTE)]))
    assert seen["Ready"]["status"] == "False"
    assert seen["Reconciling"]["status"] == "True"
    assert seen["Collected"]["status"] == "Unknown"


TIMEOUT = Failure("Timeout", "slow")


def last_seen(minutes_ago, **kwargs):
    last_success_ms = None if minutes_ago is None else NOW - minutes_ago * MINUTE
    return SourceHealth("list", last_success_ms, 15 * MINUTE, **kwargs)


def test_a_failure_that_may_pass_is_told_at_once_and_takes_ready_away_after_two_intervals():
    within = shown(Findings("p", sources=[last_seen(30, problem=TIMEOUT)]))
    assert within["Collected"]["status"] == "False"
    assert within["Collected"]["reason"] == "Timeout"
    assert within["Ready"]["status"] == "True"
    assert not {"Stalled", "Reconciling"} & set(within)  # kstatus would blink with them

    after = shown(Findings("p", sources=[last_seen(31, problem=TIMEOUT)]))
    assert after["Ready"]["status"] == "False"
    assert after["Ready"]["reason"] == "Timeout"
    assert after["Reconciling"]["reason"] == "ProgressingWithRetry"
    assert "Stalled" not in after


def test_two_intervals_are_effective_ones():
    slow = SourceHealth("list", NOW - 300 * MINUTE, 200 * MINUTE, problem=TIMEOUT)
    assert shown(Findings("p", sources=[slow]))["Ready"]["status"] == "True"


def test_a_source_that_never_succeeded_is_not_ready_at_its_first_failure():
    seen = shown(Findings("p", sources=[last_seen(None, problem=TIMEOUT)]))
    assert (seen["Ready"]["status"], seen["Ready"]["reason"]) == ("False", "Timeout")


def test_a_changed_definition_that_has_not_worked_yet_is_not_ready():
    seen = shown(Findings("p", sources=[last_seen(1, problem=TIMEOUT, proven=False)]))
    assert (seen["Ready"]["status"], seen["Ready"]["reason"]) == ("False", "Timeout")


def test_what_the_operator_itself_could_not_do_takes_ready_away_at_once():
    full = Failure("LedgerDiskFull", "no room", ours=True)
    seen = shown(Findings("p", sources=[last_seen(1, problem=full)]))
    assert (seen["Ready"]["status"], seen["Ready"]["reason"]) == ("False", "LedgerDiskFull")


def test_a_failure_that_may_pass_hides_no_other_source():
    old = SourceHealth("b", NOW - 31 * MINUTE, 15 * MINUTE)
    seen = shown(Findings("p", sources=[last_seen(1, problem=TIMEOUT), old]))
    assert seen["Collected"]["reason"] == "Timeout"
    assert (seen["Ready"]["status"], seen["Ready"]["reason"]) == ("False", "Stale")


def test_ready_keeps_its_transition_time_over_a_rollout():
    first = conditions(Findings("p", sources=[last_seen(1)]), [], 1, NOW)
    gone = conditions(Findings("p", sources=[last_seen(2, problem=TIMEOUT)]), first, 1, NOW + 1)
    again = conditions(Findings("p", sources=[last_seen(0)]), gone, 1, NOW + 2)
    assert first[0] == gone[0] == again[0]


def test_a_failure_for_a_person_is_stalled_and_not_reconciling():
    problem = Failure("SecretNotFound", "create it", Consequence.NEEDS_A_PERSON)
    seen = shown(Findings("p", sources=[healthy(problem=problem)]))
    assert seen["Stalled"]["reason"] == seen["Ready"]["reason"] == "SecretNotFound"
    assert "create it" in seen["Stalled"]["message"]
    assert "Reconciling" not in seen


def test_the_source_that_needs_a_person_is_named_first():
    sources = [
        healthy("a", problem=Failure("Timeout", "Source a: slow")),
        healthy(
            "b", problem=Failure("UnknownPreset", "Source b: which", Consequence.NEEDS_A_PERSON)
        ),
    ]
    seen = shown(Findings("p", sources=sources))
    assert seen["Collected"]["reason"] == "UnknownPreset"
    assert seen["Collected"]["message"] == "Source b: which (1 more sources fail.)"
    assert "1 more" in seen["Collected"]["message"]


def test_a_success_two_intervals_old_is_stale():
    old = SourceHealth("list", NOW - 31 * MINUTE, 15 * MINUTE)
    seen = shown(Findings("p", sources=[old]))
    assert seen["Ready"]["reason"] == "Stale"
    assert shown(Findings("p", sources=[SourceHealth("l", NOW - 30 * MINUTE, 15 * MINUTE)]))[
        "Ready"
    ]["status"] == ("True")


@pytest.mark.parametrize(
    ("underway", "why"),
    [
        (None, "The operator was stopped or is busy"),
        (Underway.RUNS, "A poll is running and has not ended"),
        (Underway.WAITS, "A poll waits for a free worker"),
    ],
)
def test_a_stale_number_says_how_old_it_is_how_often_it_is_due_and_why(underway, why):
    ended = 20_000 * 86_400_000
    old = SourceHealth("list", ended, 15 * MINUTE, underway=underway)
    seen = {
        one["type"]: one
        for one in conditions(Findings("p", sources=[old]), [], 1, ended + 31 * MINUTE)
    }
    message = seen["Collected"]["message"]
    assert message.startswith(
        "The last complete poll of source list ended on 2024-10-04 at 00:00 UTC; one is due every "
        "15 minutes. "
    )
    assert why in message


def test_a_bad_licence_makes_ready_false_while_collection_goes_on():
    licensed = Verdict(Status.FALSE, "LicenseExpired", "expired", needs_a_person=True)
    seen = shown(Findings("p", sources=[healthy()], licensed=licensed))
    assert seen["Ready"]["reason"] == "LicenseExpired"
    assert seen["Stalled"]["reason"] == "LicenseExpired"
    assert seen["Collected"]["status"] == "True"


def test_a_vendors_outage_and_an_overage_never_make_ready_false():
    seen = shown(
        Findings(
            "p",
            sources=[healthy()],
            licensed=Verdict(Status.TRUE, "LicenseValid", "ok"),
            reported=Verdict(Status.FALSE, "VendorUnavailable", "503"),
            within_entitlement=Verdict(Status.FALSE, "MaximumExceeded", "600 of 500"),
        )
    )
    assert seen["Ready"]["status"] == "True"
    assert seen["Reported"]["status"] == "False"
    assert seen["WithinEntitlement"]["status"] == "False"
    assert not {"Stalled", "Reconciling"} & set(seen)


def test_an_invalid_spec_is_stalled():
    problem = Failure("InvalidSpec", "spec.x", Consequence.NEEDS_A_PERSON)
    seen = shown(Findings("p", spec=problem))
    assert seen["Stalled"]["reason"] == seen["Ready"]["reason"] == "InvalidSpec"


def test_a_transition_time_moves_only_when_the_status_does():
    first = conditions(Findings("p", sources=[healthy()]), [], 1, NOW)
    again = shown(Findings("p", sources=[healthy()]), first, NOW + MINUTE)
    assert again["Ready"]["lastTransitionTime"] == first[0]["lastTransitionTime"]
    bad = Findings("p", sources=[healthy(problem=TIMEOUT)])
    failed = shown(bad, first, NOW + 35 * MINUTE)
    assert failed["Ready"]["lastTransitionTime"] != first[0]["lastTransitionTime"]


def test_a_long_message_is_cut_to_what_a_condition_takes():
    seen = shown(Findings("p", sources=[healthy(problem=Failure("X", "y" * 5000))]))
    assert len(seen["Collected"]["message"]) <= 1024
