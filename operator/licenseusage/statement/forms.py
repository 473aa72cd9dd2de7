"""The forms of a statement: for people, for spreadsheets, for programs."""

import json
from enum import StrEnum

from licenseusage.statement.ascsv import as_csv
from licenseusage.statement.ashtml import as_html
from licenseusage.statement.asjson import as_json
from licenseusage.statement.statement import Statement


class Form(StrEnum):
    """The forms, by the endings of their files."""

    HTML = "html"
    CSV = "csv"
    JSON = "json"


def text_of(statement: Statement, form: Form) -> str:
    """Return the whole file."""
    match form:
        case Form.HTML:
            return as_html(statement)
        case Form.CSV:
            return as_csv(
                (section.chain, cycle) for section in statement.sections for cycle in section.cycles
            )
        case Form.JSON:
            return json.dumps(as_json(statement), ensure_ascii=False, indent=2) + "\n"
