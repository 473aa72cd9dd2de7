"""The component that turns the intake on: its port, its Service, and the one right it needs."""

import json
import time

import pytest

from tests.controller.pushing import Pusher, activity, pushed_usage, token_of
from tests.controller.stage import Operator, free_port, until
from tests.manifests.conftest import MANIFESTS
from tests.manifests.test_rendered import container, one, rules

FOLDER = "overlays/intake"
OPERATORS = "licenseusage-system"


@pytest.fixture(scope="module")
def rendered(kustomize):
    return kustomize(FOLDER)


def test_it_grants_tokenreviews_and_nothing_else(rendered, kustomize):
    known = [(o["kind"], o["metadata"]["name"]) for o in kustomize("base")]
    added = [o for o in rendered if (o["kind"], o["metadata"]["name"]) not in known]
    kinds = ["ClusterRole", "ClusterRoleBinding", "NetworkPolicy", "Service"]
    assert sorted(o["kind"] for o in added) == kinds
    assert rules(added, "ClusterRole", "licenseusage-intake") == {
        ("authentication.k8s.io/tokenreviews", "create", None)
    }
    (subject,) = one(added, "ClusterRoleBinding")["subjects"]
    assert (subject["namespace"], subject["name"]) == (OPERATORS, "licenseusage-operator")


def test_the_service_leads_to_the_port_that_the_setting_opens(rendered):
    operator = container(rendered)
    (port,) = [p for p in operator["ports"] if p["name"] == "intake"]
    values = {e["name"]: e.get("value") for e in operator["env"]}
    assert values["LICENSEUSAGE_INTAKE_ADDRESS"] == f":{port['containerPort']}"
    service = one(rendered, "Service")["spec"]
    assert service["ports"][0]["targetPort"] == "intake"
    labels = one(rendered, "Deployment")["spec"]["template"]["metadata"]["labels"]
    assert service["selector"].items() <= labels.items()


def test_only_labelled_namespaces_reach_the_intake_and_nothing_else_is_closed(rendered):
    policy = one(rendered, "NetworkPolicy")["spec"]
    assert policy["policyTypes"] == ["Ingress"], "what the operator calls is not touched"
    labels = one(rendered, "Deployment")["spec"]["template"]["metadata"]["labels"]
    assert policy["podSelector"]["matchLabels"].items() <= labels.items()
    allowed = {
        port["port"]: rule.get("from") for rule in policy["ingress"] for port in rule["ports"]
    }
    labelled = {"namespaceSelector": {"matchLabels": {"licenseusage.dev/intake": "true"}}}
    assert allowed.pop("intake") == [labelled]
    others = {port["name"] for port in container(rendered)["ports"]} - {"intake"}
    assert allowed == dict.fromkeys(others), "every other port is open to everybody, as before"


def test_the_intake_is_off_without_it(kustomize):
    operator = container(kustomize("base"))
    assert "LICENSEUSAGE_INTAKE_ADDRESS" not in {e["name"] for e in operator["env"]}
    assert "licenseusage-intake" not in {o["metadata"]["name"] for o in kustomize("base")}


@pytest.mark.controlplane
def test_a_push_needs_the_right_to_review_tokens(installed, tmp_path):
    cluster, port = installed.control_plane, free_port()
    cluster.kubectl("apply", "-f", str(MANIFESTS / "components/intake/rbac.yaml"))
    cluster.create_namespace("pushing")
    cluster.kubectl("create", "serviceaccount", "shop", "-n", "pushing")
    cluster.apply(pushed_usage("pushing"))
    operator = Operator(
        cluster,
        "pushing",
        tmp_path,
        kubeconfig=installed.operator_kubeconfig,
        operator_namespace=OPERATORS,
        intake_address=f"127.0.0.1:{port}",
    )
    # Its keys are the installation's, which other tests of this control plane have made.
    operator.start()
    try:
        client = Pusher(port, token_of(cluster, "pushing"))
        events = [activity("ada", time.time() - 60)]
        until(lambda: client.send(events).status in (200, 503), 60)
        cluster.kubectl("delete", "clusterrolebinding", "licenseusage-intake")
        refused = until(lambda: (a := another(client, cluster).send(events)).status == 503 and a)
        assert refused.body["error"] == "IntakeUnavailable"
        assert "manifests/components/intake" in refused.body["detail"]
        seen = installed_condition(cluster, "pushing")
        assert seen["reason"] == "IntakeUnavailable"
    finally:
        operator.stop()


def another(client, cluster):
    """The same client with a token that nobody has looked at yet."""
    client.token = token_of(cluster, "pushing")
    return client


def installed_condition(cluster, namespace):
    def shown():
        text = cluster.kubectl("get", "licenseusage/shop", "-n", namespace, "-o", "json").stdout
        conditions = json.loads(text).get("status", {}).get("conditions", ())
        ready = [c for c in conditions if c["type"] == "Ready"]
        return ready[0] if ready and ready[0]["reason"] == "IntakeUnavailable" else None

    return until(shown, 90)
