"""What answers as each preset expects it, and the source that reads it."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from trials.months.population import Population
from trials.months.scenario import Scenario
from trials.soak.answering import Fault
from trials.soak.listing import Face, Paging, Shop
from trials.soak.people import Shown

CREDENTIALS = "meter"
GROUP = "external"
_PAGE = 40


def shop_of(
    scenario: Scenario, population: Population, spans: list[tuple[int, int]]
) -> tuple[Shop, dict[str, Any]]:
    """Return the product and its source, as a person writes it."""
    faults = tuple(Fault(first, last, "refused", 1.0) for first, last in spans)
    paging, face = {
        "OpenCloud": (Paging("OnePage", 0), Face("value", _graph)),
        "JupyterHub": (Paging("Offset", 0), Face("items", _hub, _hub_total)),
        "Standard": (Paging("KeyCursor", _PAGE), Face("users", _standard)),
    }[scenario.preset]
    shop = Shop(population.store, paging, 400, faults, face)
    auth = {
        "OpenCloud": {"basic": {"secretRef": {"name": CREDENTIALS}}},
        "JupyterHub": {"header": {"secretRef": {"name": CREDENTIALS, "key": "token"}}},
        "Standard": {"header": {"secretRef": {"name": CREDENTIALS, "key": "token"}}},
    }[scenario.preset]
    source: dict[str, Any] = {
        "name": "product",
        "preset": scenario.preset,
        "pods": {"selector": {"matchLabels": {"app": "months"}}, "port": "http", "scheme": "HTTP"},
        "auth": auth,
        "guarantees": {"removal": scenario.removal},
    }
    if scenario.preset == "JupyterHub":  # several pages of so few
        source["http"] = {"pagination": {"type": "Offset", "size": _PAGE}}
    if scenario.excluded:
        source["users"] = {"exclude": f"group == '{GROUP}'"}
    return shop, source


def _graph(row: Shown) -> dict[str, object]:
    seen = {} if row.stamp_ms is None else {"lastSuccessfulSignInDateTime": _text(row.stamp_ms)}
    return {"id": str(UUID(int=row.key)), "signInActivity": seen, "group": _group(row)}


def _hub(row: Shown) -> dict[str, object]:
    seen = None if row.stamp_ms is None else _text(row.stamp_ms)
    return {"name": row.id, "last_activity": seen, "group": _group(row)}


def _hub_total(listed: int) -> dict[str, object]:
    return {"_pagination": {"total": listed}}


def _standard(row: Shown) -> dict[str, object]:
    seen = None if row.stamp_ms is None else _text(row.stamp_ms)
    return {"id": row.id, "lastActive": seen, "group": _group(row)}


def _group(row: Shown) -> str:
    return GROUP if row.excluded else "staff"


def _text(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
