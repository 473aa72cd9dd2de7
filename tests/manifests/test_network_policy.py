"""The component that closes the network: what stays open, also beside other components."""

import pytest

from tests.manifests.network import Pod, allowed
from tests.manifests.test_rendered import one

SYSTEM = "licenseusage-system"
PRODUCT = {"licenseusage.dev/product": "true"}
DNS = Pod("kube-system", {"k8s-app": "kube-dns"})
ANYWHERE = Pod("")
WIKI = Pod("wiki", {"app": "wiki"}, PRODUCT)
PROMETHEUS = Pod("monitoring", {}, {"licenseusage.dev/metrics": "true"})
PUSHER = Pod("documents", {}, {"licenseusage.dev/intake": "true"})
STRANGER = Pod("elsewhere", {"app": "wiki"})


def ours(component: str) -> Pod:
    labels = {"app.kubernetes.io/name": "licenseusage", "app.kubernetes.io/component": component}
    return Pod(SYSTEM, labels, ports={"http": 8080, "intake": 8081})


OPERATOR = ours("operator")
WORKERS = [OPERATOR, *(ours(job) for job in ("export", "receipts", "statement"))]


def policies(rendered):
    return [item for item in rendered if item["kind"] == "NetworkPolicy"]


@pytest.fixture(scope="module")
def closed(composed):
    return policies(composed("network-policy"))


@pytest.fixture(scope="module")
def with_intake(composed):
    return policies(composed("intake", "network-policy"))


@pytest.mark.parametrize("pod", WORKERS, ids=lambda p: p.labels["app.kubernetes.io/component"])
def test_whatever_works_reaches_names_the_api_server_and_the_vendor(pod, closed):
    for kind in ("UDP", "TCP"):
        assert allowed(closed, pod, DNS, 53, kind)
    for port in (443, 6443):
        assert allowed(closed, pod, ANYWHERE, port)
    for port in (80, 8080, 53, 2379, 10250):  # metadata services, the Internet, etcd, kubelets
        assert not allowed(closed, pod, ANYWHERE, port)
    assert not allowed(closed, pod, ANYWHERE, 443, "UDP")


def test_the_operator_reaches_products_in_labelled_namespaces_and_no_other_pod(closed):
    assert allowed(closed, OPERATOR, WIKI, 9200)
    assert not allowed(closed, OPERATOR, STRANGER, 9200)
    assert not allowed(closed, OPERATOR, Pod(SYSTEM, {"app": "wiki"}), 9200)
    for job in WORKERS[1:]:
        assert not allowed(closed, job, WIKI, 9200)


def test_only_who_collects_metrics_reaches_the_operator_and_nobody_its_jobs(closed):
    assert allowed(closed, PROMETHEUS, OPERATOR, 8080)
    assert not allowed(closed, PROMETHEUS, OPERATOR, 8081)
    assert not allowed(closed, STRANGER, OPERATOR, 8080)
    assert not allowed(closed, WIKI, OPERATOR, 8080)
    for job in WORKERS[1:]:
        assert not allowed(closed, PROMETHEUS, job, 8080)


def test_the_maintenance_pod_has_no_network(closed, kustomize):
    (pod,) = kustomize("maintenance")
    maintenance = Pod(SYSTEM, pod["metadata"]["labels"])
    for target, port in ((DNS, 53), (ANYWHERE, 443), (WIKI, 80)):
        assert not allowed(closed, maintenance, target, port)
    assert not allowed(closed, PROMETHEUS, maintenance, 8080)


def test_the_labels_are_those_of_the_pods(composed):
    rendered = composed("export", "receipts", "statement", "network-policy")
    made = [one(rendered, "Deployment")["spec"]["template"]["metadata"]["labels"]]
    for job in (item for item in rendered if item["kind"] == "CronJob"):
        template = job["spec"]["jobTemplate"]["spec"]["template"]
        made.append(template["metadata"]["labels"])
    by_component = {labels["app.kubernetes.io/component"]: labels for labels in made}
    assert by_component == {p.labels["app.kubernetes.io/component"]: p.labels for p in WORKERS}


def test_beside_it_the_intake_opens_its_own_port_only(with_intake):
    assert allowed(with_intake, PUSHER, OPERATOR, 8081)
    assert not allowed(with_intake, PUSHER, OPERATOR, 8080)
    assert not allowed(with_intake, STRANGER, OPERATOR, 8080)
    assert allowed(with_intake, PROMETHEUS, OPERATOR, 8080)


def test_without_it_nothing_that_the_operator_calls_is_closed(composed):
    open_ = policies(composed("intake"))
    assert allowed(open_, OPERATOR, STRANGER, 9200)
    assert allowed(open_, STRANGER, OPERATOR, 8080)


def test_in_one_namespace_the_operator_reaches_the_pods_beside_it(composed):
    rendered = composed("network-policy", "single-namespace", namespace="wiki")
    operator = Pod("wiki", OPERATOR.labels, ports=OPERATOR.ports)
    product = Pod("wiki", {"app": "wiki"})
    assert allowed(policies(rendered), operator, product, 9200)
    assert not allowed(policies(rendered), operator, STRANGER, 9200)
    assert allowed(policies(rendered), STRANGER, product, 80), "the product is as open as before"


def test_a_product_that_is_closed_by_default_lets_the_operator_in(composed, closed):
    rendered = composed("product-ingress", namespace="wiki", base=None)
    deny = {
        "metadata": {"namespace": "wiki"},
        "spec": {"podSelector": {}, "policyTypes": ["Ingress"]},
    }
    assert not allowed([*closed, deny], OPERATOR, WIKI, 9200)
    both = [*closed, deny, *rendered]
    assert allowed(both, OPERATOR, WIKI, 9200)
    assert not allowed(both, ours("export"), WIKI, 9200)
    assert not allowed(both, STRANGER, WIKI, 9200)
