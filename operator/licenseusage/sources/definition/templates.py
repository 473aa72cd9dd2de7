"""Cycle templates in requests: ``{{cycle.start}}`` and its family.

A value is encoded for where it stands: percent-encoded in a path, as JSON text in a body, plain in
a query (the HTTP client encodes queries as a whole).
"""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from urllib.parse import quote

from licenseusage.metering.cycles import Cycle
from licenseusage.sources.definition.model import DAY_MS

_TEMPLATE = re.compile(r"\{\{(.*?)\}\}")
_NAMES = {
    f"cycle.{edge}{form}"
    for edge in ("start", "end")
    for form in ("", ".date", ".epoch", ".epochMillis", ".dayBefore")
}


def check(text: str) -> None:
    """Refuse a template that does not exist.

    Raises:
        ValueError: Names it, and those that exist.
    """
    for name in _TEMPLATE.findall(text):
        if name.strip() not in _NAMES:
            raise ValueError(
                f"{{{{{name}}}}} is not a template; there are "
                + ", ".join(f"{{{{{known}}}}}" for known in sorted(_NAMES))
            )


def in_query(text: str, cycle: Cycle) -> str:
    """Fill the templates of a query value."""
    return _fill(text, cycle, str)


def in_path(text: str, cycle: Cycle) -> str:
    """Fill the templates of a path."""
    return _fill(text, cycle, lambda value: quote(value, safe=""))


def in_body(text: str, cycle: Cycle) -> str:
    """Fill the templates of a JSON body; they are inside JSON texts."""
    return _fill(text, cycle, lambda value: json.dumps(value)[1:-1])


def _fill(text: str, cycle: Cycle, encode: Callable[[str], str]) -> str:
    return _TEMPLATE.sub(lambda placeholder: encode(_value(placeholder[1].strip(), cycle)), text)


def _value(name: str, cycle: Cycle) -> str:
    _, edge, *forms = name.split(".")
    at_ms = cycle.start_ms if edge == "start" else cycle.end_ms
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
