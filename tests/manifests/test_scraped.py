"""A real Prometheus scrapes the running operator: every query and every alert is answered."""

import pytest

from hack.monitoring.dashboard import queries
from hack.monitoring.written import RULES, alerts
from hack.prometheus import PrometheusServer
from licenseusage.controller.rules.metricbook import BOOK, Kind
from tests.controller.ages import DAY, NOW, Ages, day, licensed
from tests.controller.stage import create_pods, until
from tests.manifests.conftest import MANIFESTS
from tests.manifests.prometheus import programs
from tests.manifests.test_monitoring import executable

pytestmark = pytest.mark.controlplane

SCRAPERS = {"namespace": "licenseusage-system", "pod": "operator-0", "container": "operator"}
"""What service discovery says of the operator's pod."""

NOT_HERE = {
    "licenseusage_forecast_active_users": "there is no earlier cycle",
    "licenseusage_export_due_timestamp_seconds": "reports are sent",
    "licenseusage_approval_due_timestamp_seconds": "no report waits for a person",
    "licenseusage_outbox_oldest_age_seconds": "each report has its receipt",
    "licenseusage_push_requests_total": "nobody pushes",
    "licenseusage_push_events_total": "nobody pushes",
    'type=~"Stalled|Reconciling"': "nothing is wrong",
}
"""What queries ask for that this installation need not show, and why."""


def test_every_query_of_the_dashboard_and_every_alert_is_answered(
    crds, namespace, tmp_path, monkeypatch
):
    program = programs().server
    monkeypatch.setenv("KUBECONFIG", str(crds.kubeconfig))
    ages = Ages(crds, namespace, tmp_path)
    ages.product.users = {"ada": NOW - 60, "ben": None}
    create_pods(namespace, {"shop": (ages.product.port, True)})
    crds.apply(licensed(ages, anchor=day(NOW - DAY), at=NOW, days=30))
    operator = ages.travel(NOW)
    prometheus = PrometheusServer(
        tmp_path / "prometheus",
        targets=[f"127.0.0.1:{operator.port}"],
        rules=[RULES],
        labels=SCRAPERS,
        program=program,
    )
    try:
        operator.wait_condition("shop", "Ready", "True")
        with prometheus:
            look(prometheus)
    finally:
        ages.close()


def look(prometheus: PrometheusServer) -> None:
    def ask(query: str):
        return prometheus.ask("query", query=query)["result"]

    until(lambda: ask("rate(licenseusage_reconciles_total[1m])"))
    families = {f.name for f in BOOK if f.kind is not Kind.HISTOGRAM}
    shown = {series["metric"]["__name__"] for series in ask('{__name__=~"licenseusage_.+"}')}
    assert families - shown <= NOT_HERE.keys()
    (series,) = ask("licenseusage_maximum_active_users")
    assert series["metric"]["usage_namespace"] != series["metric"]["namespace"]
    for query in queries():
        absent = any(name in query for name in NOT_HERE)
        assert ask(executable(query)) or absent, query

    def evaluated():
        groups = prometheus.ask("rules")["groups"]
        rules = [rule for group in groups for rule in group["rules"]]
        return all(rule["health"] != "unknown" for rule in rules) and rules

    rules = until(evaluated)
    assert [rule for rule in rules if rule["health"] != "ok"] == []
    assert sum(rule["type"] == "alerting" for rule in rules) == len(alerts())
    assert {rule["name"] for rule in rules if rule.get("state") == "firing"} == set()
    # Quiet, and of an installation that has what it is about: the keys have no backup.
    assert {rule["name"] for rule in rules if rule.get("state") == "pending"} == {
        "KeysWithoutBackup"
    }


def test_a_cluster_without_the_prometheus_operator_says_what_is_missing(crds):
    crds.apply(
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "licenseusage-system"}}
    )
    done = crds.kubectl("apply", "-k", str(MANIFESTS / "components/monitoring"), check=False)
    assert done.returncode != 0
    assert (
        'no matches for kind "ServiceMonitor" in version "monitoring.coreos.com/v1"' in done.stderr
    )
    crds.kubectl("get", "service", "-n", "licenseusage-system", "licenseusage-metrics")
    for component in ("monitoring-plain", "dashboard"):
        crds.kubectl("apply", "-k", str(MANIFESTS / "components" / component))
