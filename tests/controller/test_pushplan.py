"""How a pushed source does, and whose activity it is for: the rules of the intake."""

from dataclasses import replace
from datetime import date

import pytest

from licenseusage.controller.rules.key import Key
from licenseusage.controller.rules.pushes import Caller, PushTarget, rivals, target_of
from licenseusage.controller.rules.pushplan import IntakeFacts, plan_push
from licenseusage.controller.rules.sourceplan import ObjectFacts
from licenseusage.controller.rules.subject import Subject
from licenseusage.errors import Failure
from licenseusage.ledger.documents.records import MeterFacts
from licenseusage.ledger.records import CycleRecord, CycleState, LastPolls, Meter, MeterKey
from licenseusage.metering.cycles import Terms, first_grid
from licenseusage.metering.stores import StoreKey
from licenseusage.reasons import Reason
from tests.controller.intakedesk import pushed

TERMS = Terms(date(2026, 11, 1), length_days=30)
CYCLE = TERMS.cycle(0)
MINUTE_MS = 60_000
NOW = CYCLE.start_ms + 86_400_000
TWO = pushed(("/a", "/b"), intervalMinutes=1)


def target(name="shop", namespace="shop", accounts=("shop",)) -> PushTarget:
    return PushTarget(
        key=Key(namespace, name),
        meter_id=1,
        product="shop",
        source=pushed(accounts=accounts),
        store=StoreKey("app", "d"),
        cycles=(CYCLE,),
        grids=(first_grid(TERMS),),
        interval_ms=MINUTE_MS,
        rules_digest="",
        key_id="k",
    )


def test_a_caller_pushes_to_the_source_of_its_own_namespace_that_names_it():
    mine = target()
    others = [target(namespace="other"), target(name="b", accounts=("b",))]
    assert target_of([*others, mine], Caller("shop", "shop")) is mine


@pytest.mark.parametrize("caller", [Caller("shop", "x"), Caller("x", "shop")])
def test_a_caller_that_nobody_names_pushes_to_nothing(caller):
    refused = target_of([target()], caller)
    assert isinstance(refused, Failure)
    assert refused.reason is Reason.NO_PUSH_SOURCE


def test_a_service_account_belongs_to_one_source():
    both = [target("a"), target("b", accounts=("shop", "more"))]
    refused = target_of(both, Caller("shop", "shop"))
    assert isinstance(refused, Failure)
    assert refused.reason is Reason.PUSH_AMBIGUOUS
    assert "a/app, b/app" in refused.message
    assert all(rivals(each, both) is not None for each in both)
    assert rivals(both[0], [both[0]]) is None


def test_a_cycle_that_has_begun_since_the_last_reconcile_is_counted():
    following = TERMS.cycle(1)
    assert target().cycles_at(following.start_ms + 1) == (CYCLE, following)
    assert target().cycles_at(following.start_ms - 1) == (CYCLE,)


def test_no_event_is_taken_of_a_cycle_that_has_not_begun():
    assert target().latest_ms(NOW) == NOW + 5000
    assert target().latest_ms(CYCLE.end_ms - 1000) == CYCLE.end_ms - 1


def facts(source, polls=None, heartbeats=None, records=()) -> ObjectFacts:
    meter = Meter(1, MeterKey("shop", "shop", "shop"), (first_grid(TERMS),))
    known = MeterFacts(
        meter=meter,
        clock_high_water_ms=NOW,
        cycles=tuple(records),
        unfinished=(CycleRecord(1, CYCLE, CycleState.OPEN),),
        states={},
        statuses={} if polls is None else {"app": polls},
        refuted=(),
        reports=(),
        statements={},
        chains={},
        route=None,
        heartbeats={} if heartbeats is None else {"app": heartbeats},
    )
    subject = Subject.__new__(Subject)
    object.__setattr__(subject, "key", Key("shop", "shop"))
    return ObjectFacts(
        subject=subject,
        product="shop",
        ledger=known,
        stores={"app": StoreKey("app", "d")},
        former={},
        rules_digest="sha256:r",
        key_id="k",
        roster_gap_ms=86_400_000,
        kept=5,
        requested=False,
        loop_s=0.0,
    )


ON = IntakeFacts(on=True)
PUSHED_NOW = LastPolls("app", last_attempt_ms=NOW, last_success_ms=NOW)


def problem(source, polls, heartbeats, intake=ON) -> Reason | None:
    planned = plan_push(facts(source, polls, heartbeats), source, intake, NOW)
    assert planned.poll is None
    found = planned.health.problem
    return None if found is None else found.reason


def test_a_source_whose_producers_have_told_lately_does_well():
    assert problem(TWO, PUSHED_NOW, {"/a": NOW, "/b": NOW - 90_000}) is None


def test_a_producer_that_is_silent_is_named_although_others_push():
    heartbeats = {"/a": NOW, "/b": NOW - 121_000}
    assert problem(TWO, PUSHED_NOW, heartbeats) is Reason.PRODUCER_SILENT
    planned = plan_push(facts(TWO, PUSHED_NOW, heartbeats), TWO, ON, NOW)
    assert planned.health.problem is not None
    assert "producer /b is silent since" in planned.health.problem.message
    assert not planned.health.passes(NOW)


def test_a_producer_that_never_told_is_named():
    planned = plan_push(facts(TWO, PUSHED_NOW, {"/a": NOW}), TWO, ON, NOW)
    assert planned.health.problem is not None
    assert "producer /b has sent no heartbeat yet" in planned.health.problem.message


def test_a_source_that_nobody_pushes_to_says_who_should():
    assert problem(TWO, None, None) is Reason.NOTHING_PUSHED
    alone = pushed(producers=(), intervalMinutes=1)
    assert problem(alone, replace(PUSHED_NOW, last_success_ms=NOW - 121_000), None) is (
        Reason.NOTHING_PUSHED
    )


def test_without_declared_producers_it_says_that_silence_proves_nothing():
    alone = pushed(producers=(), intervalMinutes=1)
    planned = plan_push(facts(alone, PUSHED_NOW), alone, ON, NOW)
    assert planned.health.problem is None
    assert "lower bound" in (planned.health.hint or "")


def test_what_the_intake_knows_goes_first():
    refused = Failure(Reason.PUSH_REFUSED, "x")
    seen = IntakeFacts(on=True, problem=refused)
    assert problem(TWO, PUSHED_NOW, {"/a": NOW, "/b": NOW}, seen) is Reason.PUSH_REFUSED
    assert problem(TWO, PUSHED_NOW, None, IntakeFacts(on=False)) is Reason.INTAKE_OFF


def test_the_intake_is_told_which_cycles_still_count():
    wiped = CycleRecord(1, TERMS.cycle(0), CycleState.FINAL)
    planned = plan_push(facts(TWO, PUSHED_NOW, records=[wiped]), TWO, ON, NOW)
    assert planned.pushed is not None
    assert planned.pushed.cycles == (CYCLE,)
    assert planned.pushed.ends_ms == CYCLE.end_ms
    without_key = replace(facts(TWO, PUSHED_NOW), key_id=None)
    assert plan_push(without_key, TWO, ON, NOW).pushed is None
