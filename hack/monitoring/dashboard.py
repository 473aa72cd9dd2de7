"""The Grafana dashboard: its panels as a table of queries, and the JSON that follows."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

_OBJECT = 'usage_namespace=~"$usage_namespace", name=~"$name"'
_BY = "max by (usage_namespace, name"
_WIDTH: Final = 24
_SOURCE = {"type": "prometheus", "uid": "${datasource}"}
_SCHEMA: Final = 39


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel.

    Attributes:
        title: What it is called.
        text: What it shows and what is unusual in it.
        queries: Legend -> query.
        kind: Grafana's name of its type.
        unit: Grafana's name of the unit.
        width: Of 24.
        height: In Grafana's rows.
    """

    title: str
    text: str
    queries: dict[str, str]
    kind: str = "timeseries"
    unit: str = "short"
    width: int = 12
    height: int = 8


NAMED = "{{usage_namespace}}/{{name}}"

ROWS: Final[dict[str, Sequence[Panel]]] = {
    "At a glance": (
        Panel(
            "Operator",
            "The version that is scraped. Nothing here means that nobody is counted.",
            {"{{version}}": "max by (version) (licenseusage_build_info)"},
            kind="stat",
            width=4,
            height=4,
        ),
        Panel(
            "Ready",
            "LicenseUsages whose condition Ready is True.",
            {"ready": 'count(licenseusage_condition{type="Ready", status="True"})'},
            kind="stat",
            width=4,
            height=4,
        ),
        Panel(
            "Not ready",
            "LicenseUsages whose condition Ready is not True.",
            {
                "not ready": 'count(licenseusage_condition{type="Ready", status!="True"}) or '
                "vector(0)"
            },
            kind="stat",
            width=4,
            height=4,
        ),
        Panel(
            "Licence ends first",
            "Time until the first licence of all expires.",
            {"left": "min(licenseusage_license_expiry_timestamp_seconds) - time()"},
            kind="stat",
            unit="s",
            width=4,
            height=4,
        ),
        Panel(
            "Ledger's volume, free",
            "A full volume stops counting.",
            {
                "free": "min(licenseusage_ledger_volume_available_bytes / "
                "licenseusage_ledger_volume_size_bytes)"
            },
            kind="stat",
            unit="percentunit",
            width=4,
            height=4,
        ),
        Panel(
            "Defects in a day",
            "Failures that nobody foresaw; the log has the word defect.",
            {"defects": "sum(increase(licenseusage_reconcile_errors_total[1d]))"},
            kind="stat",
            width=4,
            height=4,
        ),
    ),
    "Users": (
        Panel(
            "Active users of the running cycle",
            "The lower bound is proved. The upper bound is missing where nothing limits it.",
            {
                f"{NAMED} {{{{bound}}}}": f"{_BY}, bound) (licenseusage_active_users{{{_OBJECT}}})",
                f"{NAMED} paid for": f"{_BY}) (licenseusage_maximum_active_users{{{_OBJECT}}})",
            },
            width=16,
        ),
        Panel(
            "Part of what is paid for",
            "By the proved number. Above 100 % nothing is blocked.",
            {
                NAMED: f'{_BY}) (licenseusage_active_users{{{_OBJECT}, bound="lower"}}) '
                f"/ ({_BY}) (licenseusage_maximum_active_users{{{_OBJECT}}}) > 0)"
            },
            kind="bargauge",
            unit="percentunit",
            width=8,
        ),
        Panel(
            "Thresholds reached",
            "1: the running cycle has reached this part of the maximum.",
            {
                f"{NAMED} {{{{percent}}}} %": f"{_BY}, percent) "
                f"(licenseusage_threshold_reached{{{_OBJECT}}})"
            },
            width=8,
        ),
        Panel(
            "Forecast of the running cycle",
            "From the growth of earlier cycles; nothing is proved.",
            {
                f"{NAMED} {{{{bound}}}}": f"{_BY}, bound) "
                f"(licenseusage_forecast_active_users{{{_OBJECT}}})"
            },
            width=8,
        ),
        Panel(
            "Accounts in the product",
            "How many users the product lists, active or not.",
            {NAMED: f"{_BY}) (licenseusage_provisioned_users{{{_OBJECT}}})"},
            width=8,
        ),
    ),
    "Collection": (
        Panel(
            "Age of the last success, by source",
            "Above the interval: polls fail, or the product is slow. The condition says why.",
            {
                f"{NAMED} {{{{source}}}}": f"{_BY}, source) "
                f"(licenseusage_collection_age_seconds{{{_OBJECT}}})"
            },
            unit="s",
        ),
        Panel(
            "Polls, by result",
            "Per second. Partial: not everything could be read.",
            {
                "{{result}} {{reason}}": "sum by (result, reason) "
                "(rate(licenseusage_collections_total[$__rate_interval]))"
            },
            unit="ops",
        ),
        Panel(
            "Duration of polls",
            "Half of them, and 95 of 100, take at most this.",
            {
                "p50": "histogram_quantile(0.5, sum by (le) "
                "(rate(licenseusage_collection_duration_seconds_bucket[$__rate_interval])))",
                "p95": "histogram_quantile(0.95, sum by (le) "
                "(rate(licenseusage_collection_duration_seconds_bucket[$__rate_interval])))",
            },
            unit="s",
            width=8,
        ),
        Panel(
            "Bytes that products did not send again",
            "Lists that had not changed (http.validator: ETag).",
            {"saved": "sum(rate(licenseusage_collection_saved_bytes_total[$__rate_interval]))"},
            unit="Bps",
            width=8,
        ),
        Panel(
            "Pushed requests and events",
            "Empty while no product pushes.",
            {
                "requests {{result}} {{reason}}": "sum by (result, reason) "
                "(rate(licenseusage_push_requests_total[$__rate_interval]))",
                "events {{result}}": "sum by (result) "
                "(rate(licenseusage_push_events_total[$__rate_interval]))",
            },
            unit="ops",
            width=8,
        ),
        Panel(
            "Refuted guarantees",
            "Above 0: the product's answers contradict what the source declares.",
            {NAMED: f"{_BY}) (licenseusage_guarantees_refuted{{{_OBJECT}}})"},
        ),
        Panel(
            "End of the running cycle",
            "Time until the cycle ends.",
            {NAMED: f"{_BY}) (licenseusage_cycle_end_timestamp_seconds{{{_OBJECT}}}) - time()"},
            unit="s",
        ),
    ),
    "Reports": (
        Panel(
            "Reports, by delivery state",
            "Pending for long, Rejected and Conflict need a look.",
            {f"{NAMED} {{{{state}}}}": f"{_BY}, state) (licenseusage_outbox_reports{{{_OBJECT}}})"},
        ),
        Panel(
            "Age of the oldest report without a receipt",
            "Above a day: ReportNotAccepted.",
            {NAMED: f"{_BY}) (licenseusage_outbox_oldest_age_seconds{{{_OBJECT}}})"},
            unit="s",
        ),
        Panel(
            "Deliveries, by result",
            "Per second.",
            {
                "{{result}}": "sum by (result) "
                "(rate(licenseusage_deliveries_total[$__rate_interval]))"
            },
            unit="ops",
            width=8,
        ),
        Panel(
            "Export and approval, time left",
            "Below 0: late. Empty where nothing waits for a person.",
            {
                f"{NAMED} export": f"{_BY}) "
                f"(licenseusage_export_due_timestamp_seconds{{{_OBJECT}}}) - time()",
                f"{NAMED} approval": f"{_BY}) "
                f"(licenseusage_approval_due_timestamp_seconds{{{_OBJECT}}}) - time()",
            },
            unit="s",
            width=8,
        ),
        Panel(
            "Licence, time left",
            "Below 0: expired. Counting and reporting go on under the last terms.",
            {
                NAMED: f"{_BY}) (licenseusage_license_expiry_timestamp_seconds{{{_OBJECT}}}) "
                "- time()"
            },
            unit="s",
            width=8,
        ),
    ),
    "The operator": (
        Panel(
            "Conditions that are not True",
            "Reasons are words of docs/reasons.md. Stalled and Reconciling are wrong when True.",
            {
                f"{NAMED} {{{{type}}}}={{{{status}}}} {{{{reason}}}}": f"{_BY}, type, status, "
                f"reason) (licenseusage_condition{{{_OBJECT}, "
                'type!~"Stalled|Reconciling", status!="True"})',
                f"{NAMED} {{{{type}}}} {{{{reason}}}}": f"{_BY}, type, reason) "
                f"(licenseusage_condition{{{_OBJECT}, "
                'type=~"Stalled|Reconciling", status="True"})',
            },
        ),
        Panel(
            "Looks at objects",
            "Per second. An idle object is looked at once an hour.",
            {"looks": "sum(rate(licenseusage_reconciles_total[$__rate_interval]))"},
            unit="ops",
            width=6,
        ),
        Panel(
            "Size of the ledger",
            "And what is left on its volume.",
            {
                "ledger": "max(licenseusage_ledger_size_bytes)",
                "left": "min(licenseusage_ledger_volume_available_bytes)",
            },
            unit="bytes",
            width=6,
        ),
    ),
}
"""Row -> its panels."""


def queries() -> list[str]:
    """Return each query of the dashboard."""
    return [
        query for panels in ROWS.values() for panel in panels for query in panel.queries.values()
    ]


def dashboard() -> str:
    """Return the dashboard as JSON."""
    panels: list[dict[str, Any]] = []
    top = 0
    for title, row in ROWS.items():
        place = {"x": 0, "y": top, "w": _WIDTH, "h": 1}
        panels.append(
            {
                "id": len(panels) + 1,
                "type": "row",
                "title": title,
                "gridPos": place,
                "collapsed": False,
            }
        )
        top, left, tallest = top + 1, 0, 0
        for panel in row:
            if left + panel.width > _WIDTH:
                top, left, tallest = top + tallest, 0, 0
            place = {"x": left, "y": top, "w": panel.width, "h": panel.height}
            panels.append(_panel(panel, len(panels) + 1, place))
            left, tallest = left + panel.width, max(tallest, panel.height)
        top += tallest
    whole = {
        "uid": "licenseusage",
        "title": "LicenseUsage",
        "description": "Active users, their collection and reports. docs/metrics.md explains each "
        "metric.",
        "tags": ["licenseusage"],
        "schemaVersion": _SCHEMA,
        "version": 1,
        "editable": True,
        "refresh": "1m",
        "time": {"from": "now-7d", "to": "now"},
        "timezone": "utc",
        "templating": {"list": _variables()},
        "annotations": {"list": []},
        "links": [],
        "panels": panels,
    }
    return json.dumps(whole, indent=2, ensure_ascii=False) + "\n"


def _panel(panel: Panel, number: int, place: dict[str, int]) -> dict[str, Any]:
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.text,
        "datasource": _SOURCE,
        "gridPos": place,
        "fieldConfig": {"defaults": {"unit": panel.unit}, "overrides": []},
        "options": {},
        "targets": [
            {
                "refId": chr(ord("A") + position),
                "datasource": _SOURCE,
                "expr": query,
                "legendFormat": legend,
            }
            for position, (legend, query) in enumerate(panel.queries.items())
        ],
    }


def _variables() -> list[dict[str, Any]]:
    return [
        {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus"},
        _choice("usage_namespace", "label_values(licenseusage_condition, usage_namespace)"),
        _choice(
            "name",
            'label_values(licenseusage_condition{usage_namespace=~"$usage_namespace"}, name)',
        ),
    ]


def _choice(name: str, query: str) -> dict[str, Any]:
    return {
        "name": name,
        "type": "query",
        "datasource": _SOURCE,
        "query": {"query": query, "refId": name},
        "definition": query,
        "refresh": 2,
        "sort": 1,
        "includeAll": True,
        "multi": True,
        "allValue": ".*",
        "current": {"text": "All", "value": "$__all"},
    }
