"""Which files are generated, and what is in them."""

import re
from pathlib import Path
from typing import Any

import yaml

from hack.marks import between
from hack.monitoring.dashboard import dashboard

ROOT = Path(__file__).resolve().parents[2]
COMPONENTS = ROOT / "manifests" / "components"
CHART = ROOT / "charts" / "licenseusage"
RULES = COMPONENTS / "monitoring" / "rules.yaml"
PAGE = ROOT / "docs" / "monitoring.md"

_RULE_HEAD = """\
# Made by `make generate` from rules.yaml: do not edit.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: licenseusage
  namespace: licenseusage-system
  labels:
    app.kubernetes.io/name: licenseusage
    app.kubernetes.io/component: metrics
spec:
"""
_COPY_HEAD = (
    "# Made by `make generate` from manifests/components/monitoring/rules.yaml: do not edit.\n"
)
_BEGIN = "<!-- Made by `make generate` from the rules: do not edit from here -->\n"
_END = "<!-- to here -->\n"


def written() -> dict[Path, str]:
    """Return each generated file's text.

    Raises:
        NoMarksError: docs/monitoring.md lacks the marks.
    """
    rules = re.sub(r"\A(#.*\n)+", "", RULES.read_text("utf-8"))
    indented = "".join(
        f"  {line}" if line.strip() else line for line in rules.splitlines(keepends=True)
    )
    shown = dashboard()
    return {
        COMPONENTS / "monitoring" / "prometheusrule.yaml": _RULE_HEAD + indented,
        COMPONENTS / "monitoring-plain" / "rules.yaml": _COPY_HEAD + rules,
        CHART / "files" / "rules.yaml": _COPY_HEAD + rules,
        COMPONENTS / "dashboard" / "licenseusage.json": shown,
        CHART / "files" / "dashboard.json": shown,
        PAGE: _with_table(PAGE.read_text("utf-8")),
    }


def alerts() -> list[dict[str, Any]]:
    """Return the alert rules, in the order of the file."""
    groups = yaml.safe_load(RULES.read_text("utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"] if "alert" in rule]


def _with_table(page: str) -> str:
    return between(page, _BEGIN, _END, f"\n{_table()}\n", name="docs/monitoring.md")


def _table() -> str:
    lines = ["| alert | severity | says |", "|---|---|---|"]
    for rule in alerts():
        name, summary = rule["alert"], rule["annotations"]["summary"]
        plain = re.sub(r"\{\{ \$labels\.\w+ \}\}/\{\{ \$labels\.name \}\}:? ?", "", summary)
        plain = re.sub(r"\{\{ \$labels\.(\w+) \}\}", r"*\1*", plain)
        plain = re.sub(r"\{\{ \$value.*? \}\}", "*some time*", plain)
        severity = rule["labels"]["severity"]
        lines.append(f"| [{name}](runbooks/{name}.md) | {severity} | {plain} |")
    return "".join(f"{line}\n" for line in lines)
