"""The condition ``CountedOnce``: when a cycle may be counted twice, and how to tell."""

from licenseusage.controller.rules.companions import counted_once
from licenseusage.controller.rules.conditions import Findings, Status, conditions
from licenseusage.controller.rules.transitions import Kind, of_status
from licenseusage.ledger.records import Companion, MeterKey
from licenseusage.metering.cycles import Cycle
from licenseusage.reasons import Reason

DAY_MS = 86_400_000
CYCLE = Cycle(3, 1_790_000_000_000, 1_790_000_000_000 + 30 * DAY_MS)


def companion(name="b", deleted_ms=None, namespace="x"):
    return Companion(MeterKey(namespace, name, "acme"), deleted_ms, CYCLE)


def deleted(name="old"):
    return companion(name, CYCLE.start_ms + DAY_MS)


def test_an_object_that_is_alone_shows_nothing():
    assert counted_once([]) is None


def test_of_two_that_exist_nobody_can_say_whether_they_are_one_installation():
    seen = counted_once([companion()])
    assert (seen.status, seen.reason) == (Status.UNKNOWN, Reason.COUNTED_ELSEWHERE)
    for words in ("x/b", "product acme", "Compare spec.sources", "never add", "is right"):
        assert words in seen.message


def test_one_that_was_deleted_in_a_common_cycle_makes_two_finals():
    seen = counted_once([deleted()])
    assert (seen.status, seen.reason) == (Status.FALSE, Reason.MOVED_IN_CYCLE)
    for words in ("x/old was deleted on 2026-09-2", "two finals", "do not add", "both numbers"):
        assert words in seen.message


def test_a_deleted_one_is_named_before_those_that_exist():
    assert counted_once([companion(), deleted()]).reason == Reason.MOVED_IN_CYCLE


def test_of_many_a_few_are_named_each_once():
    seen = counted_once([companion(f"b{number}") for number in (1, 1, 2, 3, 4)])
    assert "x/b1, x/b2, x/b3 and more" in seen.message
    assert "b4" not in seen.message


def conditions_of(companions, previous=()):
    found = Findings("acme", counted_once=counted_once(companions))
    return conditions(found, previous, 1, CYCLE.end_ms)


def test_it_changes_neither_ready_nor_stalled():
    without = {c["type"]: c["status"] for c in conditions_of([])}
    seen = {c["type"]: c["status"] for c in conditions_of([deleted()])}
    assert seen == {**without, "CountedOnce": "False"}


def test_a_move_is_an_event_and_a_second_installation_is_none():
    before = {"conditions": conditions_of([])}
    (event,) = of_status(before, {"conditions": conditions_of([deleted()])})
    assert (event.kind, event.reason) == (Kind.WARNING, "MovedInCycle")
    assert of_status(before, {"conditions": conditions_of([companion()])}) == []
