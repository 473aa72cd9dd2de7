"""Which cycles get a record, and when clocks have stepped."""

from datetime import date

from licenseusage.controller.clockwatch import Reading, step_between, step_since_restart
from licenseusage.controller.closing import Counted, missing_cycles, next_close_ms
from licenseusage.ledger.records import Meter, MeterKey
from licenseusage.metering.cycles import DAY_MS, Cycle, Terms, first_grid

TERMS = Terms(date(2026, 1, 1), length_days=10)
METER = Meter(1, MeterKey("n", "u", "p"), (first_grid(TERMS),))
START = TERMS.cycle(0).start_ms


def test_a_meter_begins_with_the_running_cycle():
    assert missing_cycles(METER, None, START + 25 * DAY_MS) == (TERMS.cycle(2),)


def test_cycles_that_went_by_unseen_get_a_record_in_order():
    found = missing_cycles(METER, TERMS.cycle(1), START + 45 * DAY_MS)
    assert found == (TERMS.cycle(2), TERMS.cycle(3), TERMS.cycle(4))


def test_the_running_cycle_is_not_missing_twice():
    assert missing_cycles(METER, TERMS.cycle(2), START + 29 * DAY_MS) == ()


def test_before_the_anchor_and_without_terms_there_is_no_cycle():
    assert missing_cycles(METER, None, START - 1) == ()
    assert missing_cycles(Meter(1, METER.key), None, START) == ()


def test_a_running_cycle_is_looked_at_when_it_ends():
    cycle = Cycle(0, START, START + DAY_MS)
    assert next_close_ms(cycle, Counted(), START + 1) == cycle.end_ms
    late = next_close_ms(cycle, Counted(), cycle.end_ms + DAY_MS * 3)
    assert late == cycle.end_ms + DAY_MS * 3 + 30_000


def test_only_a_set_clock_is_a_step():
    before = Reading(1_000_000, 5_000)
    assert step_between(before, Reading(1_010_000, 15_100)) is None
    assert step_between(before, Reading(1_070_000, 15_000)) == 60_000
    assert step_between(before, Reading(950_000, 15_000)) == -60_000


def test_a_clock_behind_the_ledger_was_set_back_while_away():
    assert step_since_restart(1_000_000, 1_000_000 + DAY_MS) is None
    assert step_since_restart(1_000_000, 990_000) == -10_000
