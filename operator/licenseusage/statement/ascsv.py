"""Cycles as CSV (RFC 4180), one a row: for spreadsheets, which must not run what names contain."""

import csv
import io
from collections.abc import Iterable

from licenseusage.statement.cycles import ReportedChain, ReportedCycle
from licenseusage.statement.tabular import Value, facts

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
# The same signs as East Asian keyboards type them.
_FULL_WIDTH = ("\uff1d", "\uff0b", "\uff0d", "\uff20")


def as_csv(cycles: Iterable[tuple[ReportedChain, ReportedCycle]]) -> str:
    """Return one header and one row for each cycle; an unknown value is an empty cell."""
    rows = [facts(chain, cycle) for chain, cycle in cycles]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    if rows:
        writer.writerow(rows[0])
    writer.writerows([cell(value) for value in row.values()] for row in rows)
    return text.getvalue()


def cell(value: Value) -> str:
    """Return a cell that no spreadsheet takes for a formula.

    A text that begins as a formula gets an apostrophe before it (OWASP, CSV injection). Leading
    blanks do not protect: some programs cut them.
    """
    if value is None or isinstance(value, int):
        return "" if value is None else str(value)
    begins = value.lstrip(" ").startswith(_FORMULA + _FULL_WIDTH)
    return f"'{value}" if begins else value
