"""Templates in requests: ``{{cycle.start}}`` and its family; ``{{range.start}}`` for event logs.

A value is encoded for where it stands: percent-encoded in a path, as JSON text in a body, plain in
a query (the HTTP client encodes queries as a whole).
"""

import json
import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Literal, Protocol
from urllib.parse import quote

from licenseusage.sources.definition.model import DAY_MS

_TEMPLATE = re.compile(r"\{\{(.*?)\}\}")
_UNITS_MS = {"": 1000, ".date": DAY_MS, ".epoch": 1000, ".epochMillis": 1}
_FORMS = {"cycle": (*_UNITS_MS, ".dayBefore"), "range": tuple(_UNITS_MS)}

Kind = Literal["cycle", "range"]


class Span(Protocol):
    """What templates are filled from: a cycle, or the range that is asked of an event log."""

    @property
    def start_ms(self) -> int:
        """Its first millisecond, UTC."""

    @property
    def end_ms(self) -> int:
        """Its end, exclusive."""


def check(text: str, kind: Kind = "cycle") -> None:
    """Refuse a template that does not exist for lists of users, or for event logs.

    Raises:
        ValueError: Names it, and those that exist.
    """
    names = {f"{kind}.{edge}{form}" for edge in ("start", "end") for form in _FORMS[kind]}
    for name in _TEMPLATE.findall(text):
        if name.strip() not in names:
            raise ValueError(
                f"{{{{{name}}}}} is not a template {_OF[kind]}; there are "
                + ", ".join(f"{{{{{known}}}}}" for known in sorted(names))
            )


_OF = {"cycle": "of a list of users", "range": "of an event log"}


def unit_ms(texts: Iterable[str], edge: str) -> int | None:
    """Return the coarsest unit in which texts name the ``start`` or ``end`` of a range, in ms.

    None: they do not name it.
    """
    names = (name.strip() for text in texts for name in _TEMPLATE.findall(text))
    begins = f"range.{edge}"
    units = (_UNITS_MS[name.removeprefix(begins)] for name in names if name.startswith(begins))
    return max(units, default=None)


def in_query(text: str, span: Span) -> str:
    """Fill the templates of a query value."""
    return _fill(text, span, str)


def in_path(text: str, span: Span) -> str:
    """Fill the templates of a path."""
    return _fill(text, span, lambda value: quote(value, safe=""))


def in_body(text: str, span: Span) -> str:
    """Fill the templates of a JSON body; they are inside JSON texts."""
    return _fill(text, span, lambda value: json.dumps(value)[1:-1])


def _fill(text: str, span: Span, encode: Callable[[str], str]) -> str:
    return _TEMPLATE.sub(lambda placeholder: encode(_value(placeholder[1].strip(), span)), text)


def _value(name: str, span: Span) -> str:
    _, edge, *forms = name.split(".")
    at_ms = span.start_ms if edge == "start" else span.end_ms
    match forms:
        case ["epoch"]:
            return str(at_ms // 1000)
        case ["epochMillis"]:
            return str(at_ms)
        case ["date"]:
            return _at(at_ms).strftime("%Y-%m-%d")
        case ["dayBefore"]:
            return _at(at_ms - DAY_MS).strftime("%Y-%m-%d")
        case _:
            return _at(at_ms).strftime("%Y-%m-%dT%H:%M:%SZ")


def _at(at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms // 1000, UTC)
