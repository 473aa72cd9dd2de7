"""Which cycles get a record, and when clocks have stepped."""

import asyncio
from datetime import date

import pytest

from licenseusage.controller.rules.clockwatch import ClockReading, step_between, step_since_restart
from licenseusage.controller.rules.ends import Counted, missing_cycles, next_close_ms
from licenseusage.controller.steps.closing import close, interim
from licenseusage.ledger.records import Meter, MeterKey
from licenseusage.metering.cycles import DAY_MS, Cycle, Terms, first_grid
from licenseusage.reports.report import read_report
from tests.ledger import book
from tests.ledger.conftest import CYCLE, HOUR_MS, declared, failed
from tests.ledger.conftest import START as START_MS

TERMS = Terms(date(2026, 1, 1), length_days=10)
METER = Meter(1, MeterKey("n", "u", "p"), (first_grid(TERMS),))
START = TERMS.cycle(0).start_ms


def test_a_meter_begins_with_the_running_cycle():
    assert missing_cycles(METER, (), START + 25 * DAY_MS) == (TERMS.cycle(2),)


def test_cycles_that_went_by_unseen_get_a_record_in_order():
    found = missing_cycles(METER, [TERMS.cycle(1)], START + 45 * DAY_MS)
    assert found == (TERMS.cycle(2), TERMS.cycle(3), TERMS.cycle(4))


def test_the_running_cycle_is_not_missing_twice():
    assert missing_cycles(METER, [TERMS.cycle(2)], START + 29 * DAY_MS) == ()


def test_before_the_anchor_and_without_terms_there_is_no_cycle():
    assert missing_cycles(METER, (), START - 1) == ()
    assert missing_cycles(Meter(1, METER.key), (), START) == ()


def test_a_running_cycle_is_looked_at_when_it_ends():
    cycle = Cycle(0, START, START + DAY_MS)
    assert next_close_ms(cycle, Counted(), START + 1) == cycle.end_ms
    late = next_close_ms(cycle, Counted(), cycle.end_ms + DAY_MS * 3)
    assert late == cycle.end_ms + DAY_MS * 3 + 30_000


class Interrupted:
    """The ledger's thread, which does something for another task after a number of works."""

    def __init__(self, ledger, after, interruption):
        self.ledger, self.left, self.interruption = ledger, after, interruption

    async def do(self, work):
        result = work(self.ledger)
        self.left -= 1
        if self.left == 0:
            self.interruption(self.ledger)
        return result


@pytest.mark.parametrize("works", [1, 2, 3, 4])
def test_a_final_holds_what_was_committed_before_it_was_decided(tmp_path, works):
    """A poll may be committed between any two works: then it is in the decision, or after it."""
    with book.opened(tmp_path / "ledger.sqlite") as ledger:
        book.begin(ledger)
        record = ledger.ensure_cycle(1, CYCLE, START_MS)
        at_ms = CYCLE.end_ms + 2 * HOUR_MS
        before = []

        def poll(_):
            before.append(ledger.cycles(1, 1)[0].intent is None)
            book.count(ledger, at_ms - 1000, "ada", "ben")

        ledger.record_poll(failed(at_ms - 60_000), at_ms)
        statuses = ledger.source_statuses(1)
        counted = Counted(declared=(declared(),), grace_ms=HOUR_MS, statuses=statuses)
        books = Interrupted(ledger, works, poll)
        closing = close(
            books,
            record,
            counted,
            at_ms,
            rules_digest=book.RULES,
            issuer=book.ISSUER,
            first_delay_ms=lambda: 0,
        )
        assert asyncio.run(closing)
        (final,) = [item for item in ledger.reports(1) if item.kind == "Final"]
        users = read_report(final.token).content.active_users
        assert (users or 0) == (2 if before == [True] else 0)


@pytest.mark.parametrize("works", [1, 2, 3])
def test_an_interim_counts_nobody_whom_a_poll_named_after_its_time(tmp_path, works):
    """A poll may be committed between any two works: the time that is stated then holds it."""
    with book.opened(tmp_path / "ledger.sqlite") as ledger:
        book.begin(ledger)
        ledger.ensure_cycle(1, CYCLE, START_MS)
        at_ms = START_MS + 2 * HOUR_MS
        book.count(ledger, at_ms - HOUR_MS, "ada")
        counted = Counted(declared=(declared(),), statuses=ledger.source_statuses(1))

        def poll(_):
            book.count(ledger, at_ms - 10_000, "ada", "ben")

        books = Interrupted(ledger, works, poll)
        when = {"since_ms": START_MS, "now_ms": at_ms, "first_delay_ms": 0}
        asyncio.run(interim(books, 1, CYCLE, counted, book.ISSUER, **when))
        (made,) = [item for item in ledger.reports(1) if item.kind == "Interim"]
        said = read_report(made.token).content
        assert said.active_users == (1 if said.cycle.as_of_s * 1000 < at_ms - 10_000 else 2)


def test_only_a_set_clock_is_a_step():
    before = ClockReading(1_000_000, 5_000)
    assert step_between(before, ClockReading(1_010_000, 15_100)) is None
    assert step_between(before, ClockReading(1_070_000, 15_000)) == 60_000
    assert step_between(before, ClockReading(950_000, 15_000)) == -60_000


def test_a_clock_behind_the_ledger_was_set_back_while_away():
    assert step_since_restart(1_000_000, 1_000_000 + DAY_MS) is None
    assert step_since_restart(1_000_000, 990_000) == -10_000
    assert step_since_restart(1_000_000, 990_000) == -10_000


def test_a_cycle_between_two_that_are_known_gets_a_record():
    """Reports that came back after a loss were about the first ones only."""
    known = [TERMS.cycle(4), TERMS.cycle(1)]
    found = missing_cycles(METER, known, START + 45 * DAY_MS)
    assert found == (TERMS.cycle(2), TERMS.cycle(3))
