"""Alerts, their pages, the dashboard, and the manifests and chart that bring them."""

import json
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from hack.monitoring.dashboard import queries
from hack.monitoring.written import RULES, alerts, written
from hack.programs import NoProgram
from hack.prometheus.program import located
from licenseusage.api.conditions import ConditionType
from licenseusage.controller.rules.metricbook import BOOK, Kind
from licenseusage.ledger.documents.records import Delivery
from licenseusage.reasons import Reason
from tests.manifests.alertcases import (
    HEALTHY,
    OF_OBJECTS,
    OF_THE_OPERATOR,
    OPERATORS,
    STEP_MINUTES,
    STEPS,
    Case,
)
from tests.manifests.conftest import ROOT, objects
from tests.manifests.helm import CHART, Helm
from tests.manifests.prometheus import programs
from tests.manifests.test_chart import by_name, the

RUNBOOKS = ROOT / "docs" / "runbooks"
OPERATORS_API = ("--api-versions", "monitoring.coreos.com/v1")
ALERTS = {rule["alert"]: rule for rule in alerts()}


@pytest.mark.parametrize("path", written(), ids=lambda path: path.name)
def test_what_is_generated_is_committed(path: Path) -> None:
    assert path.read_text("utf-8") == written()[path], "run: make generate"


# -- alerts


def test_each_alert_has_its_page_and_each_page_its_alert() -> None:
    assert {path.stem for path in RUNBOOKS.glob("*.md")} == set(ALERTS)
    for rule in alerts():
        page = ROOT / rule["annotations"]["runbook"]
        assert page == RUNBOOKS / f"{rule['alert']}.md"
        headings = re.findall(r"^#+ (.*)$", page.read_text("utf-8"), re.MULTILINE)
        assert headings == [
            rule["alert"],
            "What it means",
            "What to do",
            "When to ignore it",
        ]


def test_an_alert_names_only_labels_that_its_series_have() -> None:
    for rule in alerts():
        used = set(re.findall(r"\$labels\.(\w+)", json.dumps(rule["annotations"])))
        grouped = re.search(r"by \(([^)]*)\)", rule["expr"])
        assert used <= (set(grouped[1].split(", ")) if grouped else set()), rule["alert"]
        assert rule["labels"]["severity"] in ("critical", "warning", "info")


EXPRESSIONS = [
    *(
        rule["expr"]
        for group in yaml.safe_load(RULES.read_text())["groups"]
        for rule in group["rules"]
    ),
    *queries(),
]
VALUES = {"type": set(ConditionType), "state": set(Delivery), "reason": set(Reason)}


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_what_is_asked_for_exists(expression: str) -> None:
    """Metrics, their labels, and the words that labels may have."""
    families = {family.name: family for family in BOOK}
    families |= {f"{f.name}_bucket": f for f in BOOK if f.kind is Kind.HISTOGRAM}
    known = {label for family in BOOK for label in family.labels} | {"le"}
    asked = re.findall(r"\b(licenseusage_\w+)(?:\{([^}]*)\})?", expression)
    assert asked
    for name, matchers in asked:
        for label, operator, value in re.findall(r'(\w+)(=~|!~|!=|=)"([^"]*)"', matchers):
            assert label in families[name].labels, (name, label)
            if label in VALUES:
                for word in value.split("|") if "~" in operator else [value]:
                    assert any(re.fullmatch(word, each) for each in VALUES[label]), word
    for names in re.findall(r"\b(?:by|on) \(([^)]*)\)", expression):
        assert set(names.split(", ")) <= known


def promtool(
    folder: Path, rules: dict[str, Any], tests: Sequence[dict[str, Any]] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run tests on the rules; all cases if none are given."""
    (folder / "rules.yaml").write_text(json.dumps(rules))
    installations = (*([case] for case in OF_THE_OPERATOR), OF_OBJECTS)
    whole = {
        "rule_files": ["rules.yaml"],
        "evaluation_interval": f"{STEP_MINUTES}m",
        "tests": tests or [together(cases) for cases in installations],
    }
    (folder / "tests.yaml").write_text(json.dumps(whole))
    command = [str(programs().promtool), "test", "rules", str(folder / "tests.yaml")]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def together(cases: Sequence[Case]) -> dict[str, Any]:
    """The cases in one installation, as promtool has it: exactly these alerts fire."""
    series: dict[str, str] = {}
    wanted = []
    for number, case in enumerate(cases):
        mine = {**OPERATORS, **HEALTHY, **case.series}
        for name, values in mine.items():
            if name not in case.without:
                series[name.replace("{name}", f"object-{number}")] = values
        for fired in case.fires:
            alert, *labels = fired.split(" ")
            pairs = {"alertname": alert} | dict(label.split("=", 1) for label in labels)
            if case in OF_OBJECTS:
                pairs["name"] = f"object-{number}"
            wanted.append(",".join(f'{label}="{value}"' for label, value in pairs.items()))
    firing = "group by (alertname, name, days, reason) (ALERTS{alertstate='firing'})"
    samples = [{"labels": "{" + labels + "}", "value": 1} for labels in wanted]
    at = f"{STEPS * STEP_MINUTES}m"
    return {
        "name": ", ".join(case.title for case in cases),
        "interval": f"{STEP_MINUTES}m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [{"expr": firing, "eval_time": at, "exp_samples": samples}],
    }


CASES = (*OF_THE_OPERATOR, *OF_OBJECTS)


def test_every_alert_fires_on_its_series_and_is_quiet_on_others(tmp_path: Path) -> None:
    done = promtool(tmp_path, yaml.safe_load(RULES.read_text()))
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_has_a_case_in_which_it_fires() -> None:
    fired = {each.split(" ")[0] for case in CASES for each in case.fires}
    assert fired == set(ALERTS)
    assert len({case.title for case in CASES}) == len(CASES)


def test_the_cases_notice_alerts_that_do_not_fire(tmp_path: Path) -> None:
    rules = yaml.safe_load(RULES.read_text())
    for each in rules["groups"]:
        for rule in each["rules"]:
            rule["expr"] = "vector(1) > 1"
    done = promtool(tmp_path, rules)
    firing = [case for case in OF_THE_OPERATOR if case.fires]
    assert done.returncode != 0
    assert (done.stdout + done.stderr).count("got: nil") == len(firing) + 1


def test_the_words_of_every_alert_can_be_made(tmp_path: Path) -> None:
    """They are seen by expecting none: promtool then shows what it got."""
    installations = (*([case] for case in OF_THE_OPERATOR if case.fires), OF_OBJECTS)
    tests = []
    for cases in installations:
        names = {fired.split(" ")[0] for case in cases for fired in case.fires}
        whole = {**together(cases), "promql_expr_test": []}
        at = f"{STEPS * STEP_MINUTES}m"
        whole["alert_rule_test"] = [
            {"alertname": name, "eval_time": at, "exp_alerts": []} for name in sorted(names)
        ]
        tests.append(whole)
    done = promtool(tmp_path, yaml.safe_load(RULES.read_text()), tests)
    shown = done.stdout + done.stderr
    assert set(re.findall(r'alertname="(\w+)"', shown)) == set(ALERTS)
    assert "the licence expires in 6d 0h 0m 0s" in shown
    assert "shop/object-" in shown
    for broken in ("<error", "<no value>", "{{"):
        assert broken not in shown


def test_the_rules_and_the_queries_of_the_dashboard_are_in_order(tmp_path: Path) -> None:
    records = [
        {"record": f"query:{number}", "expr": executable(query)}
        for number, query in enumerate(queries())
    ]
    asked = tmp_path / "queries.yaml"
    asked.write_text(json.dumps({"groups": [{"name": "queries", "rules": records}]}))
    command = [str(programs().promtool), "check", "rules", str(RULES), str(asked)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"SUCCESS: {len(records)} rules found" in done.stdout


def executable(query: str) -> str:
    """A query of the dashboard as Grafana sends it, with All chosen."""
    for name, value in {"$usage_namespace": ".*", "$name": ".*", "$__rate_interval": "4m"}.items():
        query = query.replace(name, value)
    return query


def test_an_old_or_missing_prometheus_is_named(tmp_path: Path) -> None:
    for name in ("prometheus", "promtool"):
        (tmp_path / name).write_text("#!/bin/sh\necho prometheus, version 2.41.0")
        (tmp_path / name).chmod(0o755)
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(NoProgram, match="apt-get install prometheus"):
            located({"PATH": str(folder)})


# -- the dashboard


def test_the_panels_of_the_dashboard_fill_their_rows_and_do_not_overlap() -> None:
    shown = json.loads((CHART / "files" / "dashboard.json").read_text())
    taken: set[tuple[int, int]] = set()
    for panel in shown["panels"]:
        place = panel["gridPos"]
        cells = {
            (place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])
        }
        assert not taken & cells, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells
    assert len({panel["id"] for panel in shown["panels"]}) == len(shown["panels"])
    assert [len(panel["targets"]) for panel in shown["panels"] if panel["type"] != "row"]


# -- manifests and chart


@pytest.mark.parametrize("version", ["1.35", "1.36", "1.37"])
@pytest.mark.parametrize("component", ["monitoring", "monitoring-plain", "dashboard"])
def test_every_object_fits_the_schemas_of(version: str, component: str, kustomize: Any) -> None:
    checked = 0
    for item in kustomize(f"components/{component}"):
        if not item["apiVersion"].startswith("monitoring.coreos.com/"):
            kubernetes_validate.validate(item, version, strict=True)
            checked += 1
    assert checked == (2 if component == "monitoring-plain" else 1)


def test_the_scrapers_service_leads_to_the_operators_port(kustomize: Any) -> None:
    pod = the(kustomize("base"), "Deployment")["spec"]["template"]
    (container,) = pod["spec"]["containers"]
    for component in ("monitoring", "monitoring-plain"):
        service = the(kustomize(f"components/{component}"), "Service")
        assert service["spec"]["selector"].items() <= pod["metadata"]["labels"].items()
        (port,) = service["spec"]["ports"]
        assert {"name": port["targetPort"], "containerPort": port["port"]} in container["ports"]
    monitor = the(kustomize("components/monitoring"), "ServiceMonitor")
    (endpoint,) = monitor["spec"]["endpoints"]
    labels = service["metadata"]["labels"]
    assert monitor["spec"]["selector"]["matchLabels"].items() <= labels.items()
    assert endpoint["port"] == port["name"]
    annotations = service["metadata"]["annotations"]
    assert annotations["prometheus.io/port"] == str(port["port"])
    assert annotations["prometheus.io/path"] == endpoint["path"]


@pytest.mark.parametrize(
    ("values", "component"),
    [
        ({"enabled": True}, "monitoring"),
        ({"enabled": True, "operator": False}, "monitoring-plain"),
        ({"dashboard": True}, "dashboard"),
    ],
    ids=["monitoring", "monitoring-plain", "dashboard"],
)
def test_the_chart_has_the_component(
    values: Any, component: str, helm: Helm, kustomize: Any
) -> None:
    with_it = by_name(rendered(helm, values))
    without = by_name(helm.template({}))
    added = {name: item for name, item in with_it.items() if name not in without}
    assert unwrapped(added) == unwrapped(by_name(kustomize(f"components/{component}")))


def rendered(helm: Helm, values: dict[str, Any]) -> list[dict[str, Any]]:
    release = ("licenseusage", str(CHART), "--namespace", "licenseusage-system")
    given = ("--kube-version", "1.37.0", *helm.values({"monitoring": values}))
    done = helm.run("template", *release, *OPERATORS_API, *given)
    assert done.returncode == 0, done.stderr
    return objects(done.stdout)


def unwrapped(items: dict[Any, dict[str, Any]]) -> dict[Any, dict[str, Any]]:
    """Read the files in ConfigMaps: their comments and blank lines are no matter."""
    for item in items.values():
        for name, text in item.get("data", {}).items():
            item["data"][name] = yaml.safe_load(text)
    return items


def test_labels_and_the_address_of_the_pages_are_given_by_values(helm: Helm) -> None:
    values = {
        "enabled": True,
        "labels": {"release": "prometheus"},
        "runbooks": "https://wiki.example.org/runbooks/",
        "interval": "30s",
    }
    items = rendered(helm, values)
    for kind in ("ServiceMonitor", "PrometheusRule"):
        assert the(items, kind)["metadata"]["labels"]["release"] == "prometheus"
    assert the(items, "ServiceMonitor")["spec"]["endpoints"][0]["interval"] == "30s"
    groups = the(items, "PrometheusRule")["spec"]["groups"]
    shown = [rule for group in groups for rule in group["rules"] if "alert" in rule]
    assert len(shown) == len(alerts())
    for rule in shown:
        assert rule["annotations"]["runbook_url"] == (
            f"https://wiki.example.org/runbooks/{rule['alert']}.md"
        )


def test_the_chart_says_what_a_cluster_without_the_prometheus_operator_lacks(helm: Helm) -> None:
    done = helm.rendered({"monitoring": {"enabled": True}})
    assert done.returncode != 0
    assert "monitoring.operator=false" in done.stderr
    assert "--api-versions monitoring.coreos.com/v1" in done.stderr
    assert helm.rendered({"monitoring": {"enabled": True, "operator": False}}).returncode == 0


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"interval": "1h"}, "/monitoring/interval"),
        ({"runbooks": "docs"}, "/monitoring/runbooks"),
        ({"enable": True}, "enable"),
    ],
)
def test_a_wrong_value_is_refused_by_its_name(values: Any, named: str, helm: Helm) -> None:
    done = helm.rendered({"monitoring": values})
    assert done.returncode != 0
    assert named in done.stderr
