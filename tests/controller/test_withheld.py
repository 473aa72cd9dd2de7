"""spec.privacy: what a report leaves out, and that nothing else changes."""

from dataclasses import replace

import pytest

from licenseusage.controller.rules.withheld import Withheld, withheld_before, withheld_by
from licenseusage.ledger.documents.closing import Signing
from licenseusage.reports.report import read_report
from tests.ledger import book
from tests.ledger.conftest import HOUR_MS, START, declared

BOTH, NEITHER = Withheld(daily=True, provisioned=True), Withheld()


def content(ledger, slot, withheld, now_ms):
    """Sign an interim under this choice; return what it states."""
    issuer = replace(book.ISSUER, withheld=withheld)
    statement = ledger.statement(1, book.CYCLE, sources=[declared()])
    signing = Signing(book.CHAIN, issuer.sign, now_ms)
    return read_report(ledger.add_interim(1, slot, statement, now_ms, signing).token).content


@pytest.fixture
def ledger(tmp_path):
    with book.opened(tmp_path / "ledger.db") as ledger:
        book.begin(ledger)
        book.count(ledger, START + HOUR_MS, "ada", "bob")
        yield ledger


@pytest.mark.parametrize(
    ("withheld", "daily", "provisioned"),
    [
        (NEITHER, (2,), 100),
        (Withheld(daily=True), None, 100),
        (Withheld(provisioned=True), (2,), None),
        (BOTH, None, None),
    ],
)
def test_a_report_leaves_out_what_is_withheld_and_nothing_else(
    ledger, withheld, daily, provisioned
):
    made = content(ledger, 1, withheld, START + 2 * HOUR_MS)
    assert (made.daily_active_users, made.provisioned_users) == (daily, provisioned)
    assert (made.active_users, made.accuracy) == (2, "LowerBound")


def test_a_change_of_mind_concerns_later_reports_and_is_no_change_of_the_rules(ledger):
    first = content(ledger, 1, NEITHER, START + 2 * HOUR_MS)
    second = content(ledger, 2, BOTH, START + 3 * HOUR_MS)
    assert (first.daily_active_users, second.daily_active_users) == ((2,), None)
    assert first.rules == second.rules
    assert second.rules.changes_in_cycle == 0


@pytest.mark.parametrize(
    ("spec", "withheld"),
    [
        ({}, NEITHER),
        ({"privacy": {}}, NEITHER),
        ({"privacy": {"dailyCounts": "Sent", "provisionedCount": "Sent"}}, NEITHER),
        ({"privacy": {"dailyCounts": "Withheld"}}, Withheld(daily=True)),
        ({"privacy": {"dailyFacts": "Dropped"}}, Withheld(daily=True)),
        ({"privacy": {"dailyFacts": "Kept"}}, NEITHER),
        ({"privacy": {"provisionedCount": "Withheld"}, "sources": 7}, Withheld(provisioned=True)),
    ],
)
def test_the_spec_says_what_is_withheld_even_if_it_is_invalid_otherwise(spec, withheld):
    assert withheld_by(spec) == withheld


@pytest.mark.parametrize("withheld", [NEITHER, BOTH, Withheld(daily=True)])
def test_a_deleted_object_keeps_back_what_its_newest_report_did(ledger, withheld):
    content(ledger, 1, NEITHER, START + 2 * HOUR_MS)
    content(ledger, 2, withheld, START + 3 * HOUR_MS)
    reports = ledger.reports(1)
    assert [report.sequence for report in reports] == [2, 1]
    assert withheld_before(reports) == withheld


def test_a_deleted_object_that_never_reported_keeps_back_everything():
    assert withheld_before(()) == BOTH
