"""When an interim may be made: the vendor judges the order of a chain (REPORT_FORMAT §6)."""

from datetime import date

from licenseusage.controller.rules.ends import Counted, interim_plan
from licenseusage.ledger.records import (
    CycleRecord,
    CycleState,
)
from licenseusage.metering.cycles import Terms
from licenseusage.metering.stores import StoreState

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
