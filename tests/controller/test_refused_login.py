"""A login that was refused is left alone for a while, unless something has changed."""

from dataclasses import replace
from datetime import date

import pytest

from licenseusage.controller.rules.declared import Declared
from licenseusage.controller.rules.key import Key
from licenseusage.controller.rules.polls import PollMemory
from licenseusage.controller.rules.sourcehealth import fingerprint_of
from licenseusage.controller.rules.sourceplan import ObjectFacts, SourceFacts, plan
from licenseusage.controller.rules.subject import Subject
from licenseusage.errors import Consequence, Failure
from licenseusage.ledger.documents.records import MeterFacts
from licenseusage.ledger.records import CycleRecord, CycleState, LastPolls, Meter, MeterKey
from licenseusage.metering.cycles import Terms
from licenseusage.metering.stores import StoreKey
from tests.sources.product import source

MINUTE = 60_000
CYCLE = Terms(date(2026, 11, 1), length_days=30).cycle(0)
NOW = CYCLE.end_ms + MINUTE  # polls are dense around the end
DECLARED = Declared("people", "app=x", source())
RAW = {"metadata": {"name": "shop", "namespace": "shop", "generation": 1}, "spec": {}}


def due(reason: str, minutes: int, *, requested: bool = False, **facts: object) -> bool:
    """Whether a source is polled so long after a failure with this reason."""
    failed_ms = NOW - minutes * MINUTE
    failure = Failure(reason, "m", Consequence.NEEDS_A_PERSON)
    polls = LastPolls("people", failed_ms, failed_ms + 100, failure=failure, failures=1)
    meter = Meter(1, MeterKey("shop", "shop", "app"))
    record = CycleRecord(1, CYCLE, CycleState.CLOSING)
    ledger = MeterFacts(
        meter, NOW, (record,), (record,), {}, {"people": polls}, (), (), {}, {}, None
    )
    of = ObjectFacts(
        subject=Subject.read(Key("shop", "shop"), RAW),
        product="app",
        ledger=ledger,
        stores={"people": StoreKey("people", "product")},
        former={},
        rules_digest="d",
        key_id="k",
        roster_gap_ms=24 * 60 * MINUTE,
        kept=3,
        requested=requested,
        loop_s=0.0,
    )
    memory = PollMemory(problem=failure, fingerprint=fingerprint_of(DECLARED))
    seen = SourceFacts(DECLARED, memory, None, None, credentials_changed=False)
    return plan(of, replace(seen, **facts), NOW).poll is not None


@pytest.mark.parametrize(("minutes", "polled"), [(1, False), (14, False), (16, True)])
def test_it_is_not_tried_for_15_minutes_even_around_a_cycles_end(minutes, polled):
    assert due("SignInRefused", minutes) is polled


def test_other_failures_are_tried_sooner():
    assert due("Unauthorized", 1)


def test_a_changed_secret_or_source_is_tried_at_once_and_so_is_a_request():
    assert due("SignInRefused", 1, credentials_changed=True)
    assert due("SignInRefused", 1, requested=True)
    assert due("SignInRefused", 1, declared=replace(DECLARED, selector="app=y"))
