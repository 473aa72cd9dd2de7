"""When silence becomes the finding ``ReportOverdue`` (REPORT_FORMAT §6 rule 5)."""

from dataclasses import replace
from datetime import date

import pytest

from licenseusage.reports.overdue import overdue_at_s
from licenseusage.reports.terms import CycleTerms
from tests.receiver.people import ANCHOR, CYCLE, DAY, TERMS

OPTIONAL = replace(TERMS, interim="Optional")
MONTHLY = replace(OPTIONAL, cycle=CycleTerms(date(2026, 1, 1), length_months=1))


@pytest.mark.parametrize(
    ("terms", "received", "final", "expected"),
    [
        (TERMS, None, None, ANCHOR + 3 * DAY),
        (TERMS, ANCHOR + 10 * DAY, None, ANCHOR + 13 * DAY),
        (TERMS, ANCHOR + 40 * DAY, 0, ANCHOR + 43 * DAY),
        (replace(TERMS, interval_hours=1), ANCHOR, None, ANCHOR + DAY + 7200),
        (OPTIONAL, None, None, ANCHOR + CYCLE + 3 * DAY),
        (OPTIONAL, ANCHOR + 10 * DAY, None, ANCHOR + CYCLE + 3 * DAY),
        (OPTIONAL, ANCHOR + CYCLE, 0, ANCHOR + 2 * CYCLE + 3 * DAY),
        (MONTHLY, ANCHOR + 31 * DAY, 0, ANCHOR + (31 + 28 + 3) * DAY),
        (MONTHLY, None, None, ANCHOR + (31 + 3) * DAY),
    ],
)
def test_overdue(terms, received, final, expected):
    assert (
        overdue_at_s(terms, enrolled_s=ANCHOR, last_received_s=received, last_final=final)
        == expected
    )
