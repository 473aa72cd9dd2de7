"""Interims after a clock that was ahead: they go on at once, one for each slot."""

import asyncio

import pytest

from licenseusage.controller.rules.ends import Counted
from licenseusage.controller.steps.closing import interim
from licenseusage.reports.report import read_report
from tests.controller.test_history import Direct
from tests.ledger import book
from tests.ledger.conftest import CYCLE, DAY_MS, HOUR_MS, START, declared


class Operator:
    """Looks after one object whose list is read shortly before each look."""

    def __init__(self, ledger):
        self.ledger = ledger
        book.begin(ledger)
        ledger.ensure_cycle(1, CYCLE, START)

    def looks(self, at_ms):
        """Look once, by a clock that shows ``at_ms``; return the slots of all interims so far."""
        book.count(self.ledger, at_ms - 60_000, "ada")
        counted = Counted(declared=(declared(),), statuses=self.ledger.source_statuses(1))
        when = {"since_ms": START, "now_ms": at_ms, "first_delay_ms": 0}
        asyncio.run(interim(Direct(self.ledger), 1, CYCLE, counted, book.ISSUER, **when))
        signed = [read_report(item.token) for item in self.ledger.key_statements(book.CHAIN.id)]
        return [(1000 * each.envelope.issued_at_s - START) // DAY_MS for each in signed]


@pytest.fixture
def operator(tmp_path):
    with book.opened(tmp_path / "ledger.sqlite") as ledger:
        yield Operator(ledger)


def test_interims_go_on_at_once_when_a_clock_that_was_ahead_is_right(operator):
    assert operator.looks(START + HOUR_MS) == [0]
    assert operator.looks(START + 3 * DAY_MS + HOUR_MS) == [0, 3], "two days ahead, unnoticed"
    assert operator.looks(START + DAY_MS + HOUR_MS) == [0, 3, 1]
    assert operator.looks(START + DAY_MS + 2 * HOUR_MS) == [0, 3, 1], "one for each slot"
    assert operator.looks(START + 2 * DAY_MS + HOUR_MS) == [0, 3, 1, 2]


def test_a_slot_that_was_reported_before_is_not_reported_twice(operator):
    assert operator.looks(START + DAY_MS + HOUR_MS) == [1]
    assert operator.looks(START + 3 * DAY_MS + HOUR_MS) == [1, 3]
    assert operator.looks(START + DAY_MS + 2 * HOUR_MS) == [1, 3]
    assert operator.looks(START + 2 * DAY_MS + HOUR_MS) == [1, 3, 2]


def test_a_final_follows_an_interim_of_a_time_to_come(operator):
    assert operator.looks(START + 3 * DAY_MS + HOUR_MS) == [3]
    book.final(operator.ledger)
    newest = operator.ledger.key_statements(book.CHAIN.id)[-1]
    assert newest.kind == "Final"
