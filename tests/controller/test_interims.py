"""When an interim may be made: the vendor judges the order of a chain (REPORT_FORMAT §6)."""

from dataclasses import replace
from datetime import date

import pytest

from licenseusage.controller.rules.ends import Counted, interim_plan
from licenseusage.controller.rules.interims import interims_made, refused
from licenseusage.ledger.documents.records import Delivery
from licenseusage.ledger.records import (
    CycleRecord,
    CycleState,
)
from licenseusage.metering.cycles import Terms
from licenseusage.metering.stores import StoreState
from licenseusage.reports.overdue import overdue_at_s
from tests.controller.test_reported import item, told
from tests.receiver.people import ANCHOR, CYCLE, DAY
from tests.receiver.people import TERMS as LICENCE

TERMS = Terms(date(2026, 1, 1), length_days=7)
HOUR_MS = 3_600_000


def plan(*unfinished: int, chain_begun: bool):
    """The plan for the newest of some cycles that are not Final, an hour after its start."""
    records = [CycleRecord(1, TERMS.cycle(index), CycleState.CLOSING) for index in unfinished]
    running = records[-1]
    now_ms = running.cycle.start_ms + HOUR_MS
    return interim_plan(
        running,
        records,
        [StoreState(seen_until_ms=now_ms - 1000)],
        Counted(),
        interval_hours=24,
        chain_begun=chain_begun,
        since_ms=now_ms - HOUR_MS,
        now_ms=now_ms,
    )


def test_an_interim_may_overtake_the_final_of_the_cycle_before():
    assert plan(3, 4, chain_begun=True) is not None
    assert plan(4, chain_begun=False) is not None


def test_no_interim_overtakes_two_finals():
    assert plan(2, 3, 4, chain_begun=True) is None


def test_the_first_report_of_a_chain_is_about_its_first_cycle():
    # Else the vendor takes the running cycle for the first and rejects the final before it.
    assert plan(3, 4, chain_begun=False) is None


OPTIONAL = replace(LICENCE, interim="Optional")


@pytest.mark.parametrize(
    ("terms", "wanted", "made"),
    [
        (OPTIONAL, True, True),
        (OPTIONAL, False, False),
        (LICENCE, True, True),
        (LICENCE, False, True),
    ],
)
def test_they_are_left_out_only_where_the_licence_makes_them_optional(terms, wanted, made):
    assert interims_made(terms, wanted=wanted) is made


def test_a_licence_that_requires_them_refuses_the_wish_with_the_fix():
    verdict = refused(LICENCE, wanted=False)
    assert (verdict.status, verdict.reason) == ("False", "InterimsRequired")
    assert "requires interim reports every 24 h: they are made" in verdict.message
    assert refused(LICENCE, wanted=True) is None
    assert refused(OPTIONAL, wanted=False) is None


def test_the_refusal_is_shown_unless_there_is_something_worse():
    no = refused(LICENCE, wanted=False)
    late = {"reason": "Timeout", "message": "m", "first_failure_ms": 1}
    assert told(item(), interims_refused=no).reason == "InterimsRequired"
    assert told(interims_refused=no).reason == "InterimsRequired"
    assert told(item(1, Delivery.PENDING, **late), interims_refused=no).reason == "Timeout"


def test_a_vendor_of_optional_interims_misses_none():
    """A final of each cycle of 30 days, and nothing else: never overdue."""
    for index in range(12):
        ends = ANCHOR + (index + 1) * CYCLE
        received = {"last_received_s": ends + DAY, "last_final": index}
        due = overdue_at_s(OPTIONAL, enrolled_s=ANCHOR, **received)
        assert due > ends + CYCLE + DAY
