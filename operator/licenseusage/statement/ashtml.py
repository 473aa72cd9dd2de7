"""The statement as one HTML file: no script, nothing loaded, every value escaped.

Names and texts come from signed documents, which anybody may have signed who has a key: they are
treated as hostile. Jinja2 escapes each of them, and the file's own policy (Content-Security-Policy)
allows its one style sheet by digest, and no script, picture, font or request at all.
"""

import hashlib
from base64 import b64encode
from functools import cache
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from licenseusage.reasons.book import meaning
from licenseusage.reports.inwords import in_words
from licenseusage.statement import words
from licenseusage.statement.chart import chart_of, weeks_of
from licenseusage.statement.cycles import Checked, State
from licenseusage.statement.statement import Statement
from licenseusage.statement.zulu import zulu


def as_html(statement: Statement) -> str:
    """Return the whole file; the same statement gives the same text."""
    style = _style()
    digest = b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return (
        _environment()
        .get_template("statement.html")
        .render(
            statement=statement,
            style=Markup(style),  # noqa: S704 - a file of this package
            style_digest=digest,
        )
    )


def _plain_meaning(word: str) -> str:
    """Return what a reason means, without the marks of code in it."""
    return meaning(word).replace("`", "")


@cache
def _style() -> str:
    template = files(__package__) / "templates" / "statement.css"
    return template.read_text("utf-8")


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("licenseusage.statement"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "day": words.day,
        "minute": words.minute,
        "grouped": words.grouped,
        "number": words.number,
        "in_words": in_words,
        "span": words.span_words,
        "coverage": words.coverage_words,
        "zulu": zulu,
        "meaning": _plain_meaning,
    }
    environment.globals |= {
        "State": State,
        "VERIFIED": Checked.VERIFIED,
        "PRODUCTION": words.PRODUCTION,
        "chart_of": chart_of,
        "weeks_of": weeks_of,
        "days_of": words.days_of,
        "length_days": words.length_days,
        "entitled_words": words.entitled_words,
        "over": words.over,
        "over_words": words.over_words,
        "to_bill": words.to_bill,
        "simulated": words.simulated,
        "elapsed_seconds": words.elapsed_seconds,
    }
    return environment
