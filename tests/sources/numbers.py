"""Sources that read a number, and a product's metrics."""

from typing import Any

from licenseusage.sources.definition.model import EffectiveSource
from tests.sources.product import KNOWN_CLOCK, answer, source

MONTH: dict[str, Any] = {"type": "Rolling", "days": 30}
NO_PEOPLE: dict[str, Any] = {"users": None, "guarantees": KNOWN_CLOCK | {"ids": None}}
GAUGE: dict[str, Any] = NO_PEOPLE | {
    "http": None,
    "prometheus": {"path": "/metrics", "metric": "users_active"},
    "window": MONTH,
}
"""Fields of a source that reads a gauge."""
STATED: dict[str, Any] = NO_PEOPLE | {
    "http": {"path": "/stats", "items": None},
    "count": {"value": "active.users"},
    "window": MONTH,
}
"""Fields of a source that reads a number in a JSON answer."""

TYPE = "# TYPE users_active gauge\n"


def gauge(**fields: Any) -> EffectiveSource:
    """That source, with other fields."""
    return source(**_with(GAUGE, fields))


def stated(**fields: Any) -> EffectiveSource:
    """That source, with other fields."""
    return source(**_with(STATED, fields))


def _with(given: dict[str, Any], fields: dict[str, Any]) -> dict[str, Any]:
    made = dict(given)
    for name, value in fields.items():
        below = made.get(name)
        made[name] = {**below, **value} if isinstance(below, dict) and value else value
    return made


def metrics(*lines: str, **more: Any) -> bytes:
    """A whole answer in Prometheus text."""
    text = "".join(f"{line}\n" for line in lines)
    return answer(text.encode(), headers={"Content-Type": "text/plain; version=0.0.4"}, **more)


def open_metrics(*lines: str) -> bytes:
    """A whole answer in OpenMetrics, with its end."""
    return metrics(*lines, "# EOF")
