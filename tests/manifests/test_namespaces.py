"""Rights in one namespace instead of the cluster's, and what a product's namespace grants."""

import json

import pytest

from hack.demo.children import Children
from hack.demo.stage import LICENSEUSAGE, await_http, free_ports
from tests.manifests.conftest import MANIFESTS, objects
from tests.manifests.sample import USAGE, deploy, start_product
from tests.manifests.test_rendered import one, rules

JOBS = ("export", "receipts", "statement")
OVERLAY = "overlays/single-namespace"
OURS = "opencloud"


def arguments(rendered, job):
    pod = one(rendered, "CronJob", job)["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    return pod["containers"][0]["args"]


@pytest.fixture(scope="module")
def alone(composed):
    return composed(*JOBS, "network-policy", "single-namespace", namespace="wiki")


def test_nothing_belongs_to_the_cluster_and_all_is_in_the_namespace(alone, kustomize):
    for rendered, namespace in ((alone, "wiki"), (kustomize(OVERLAY), OURS)):
        assert {item["metadata"].get("namespace") for item in rendered} == {namespace}
        kinds = {item["kind"] for item in rendered}
        assert not [kind for kind in kinds if kind.startswith("Cluster")]
        for binding in (item for item in rendered if item["kind"] == "RoleBinding"):
            assert binding["roleRef"]["kind"] == "Role"
            assert one(rendered, "Role", binding["roleRef"]["name"])
            assert [each["namespace"] for each in binding["subjects"]] == [namespace]


def test_the_rights_are_those_of_the_cluster_wide_installation(alone, kustomize):
    base = kustomize("base")
    everywhere = rules(base, "ClusterRole", "licenseusage-operator")
    cluster = ("namespaces", "get", "kube-system")
    assert cluster in everywhere
    assert rules(alone, "Role", "licenseusage-operator-watches") == everywhere - {cluster}
    for name in ("licenseusage-collector", "licenseusage-import", "licenseusage-approve"):
        assert rules(alone, "Role", name) == rules(base, "ClusterRole", name)
    own = rules(base, "Role", "licenseusage-operator")
    assert rules(alone, "Role", "licenseusage-operator") == own


def test_each_role_but_those_for_people_is_bound(alone):
    bound = {item["roleRef"]["name"] for item in alone if item["kind"] == "RoleBinding"}
    made = {item["metadata"]["name"] for item in alone if item["kind"] == "Role"}
    assert made - bound == {"licenseusage-approve"}


def test_operator_and_jobs_look_into_this_namespace_only(alone):
    (container,) = one(alone, "Deployment")["spec"]["template"]["spec"]["containers"]
    env = {each["name"]: each for each in container["env"]}
    own = {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}
    assert env["LICENSEUSAGE_NAMESPACES"]["valueFrom"] == own
    for job in ("licenseusage-statement", "licenseusage-receipts"):
        given = arguments(alone, job)
        assert "--namespace=$(LICENSEUSAGE_OPERATOR_NAMESPACE)" in given
        assert "--all-namespaces" not in given


def test_beside_the_intake_only_its_right_is_the_clusters(composed):
    rendered = composed("intake", "single-namespace", namespace="wiki")
    cluster = {item["metadata"]["name"] for item in rendered if "Cluster" in item["kind"]}
    assert cluster == {"licenseusage-intake"}
    (subject,) = one(rendered, "ClusterRoleBinding")["subjects"]
    assert subject["namespace"] == "wiki"


def test_a_products_namespace_grants_the_collector(composed):
    (binding,) = composed("product-namespace", namespace="wiki", base=None)
    assert binding["metadata"]["namespace"] == "wiki"
    assert binding["roleRef"]["name"] == "licenseusage-collector"
    (subject,) = binding["subjects"]
    assert (subject["namespace"], subject["name"]) == (
        "licenseusage-system",
        "licenseusage-operator",
    )


@pytest.mark.controlplane
def test_who_has_rights_in_the_namespace_only_installs_it_and_it_counts(
    installed, kustomize, tmp_path
):
    control_plane, user = installed.control_plane, "--as=tenant"
    granted = [
        rule for item in kustomize(OVERLAY) if item["kind"] == "Role" for rule in item["rules"]
    ]
    writes = ["get", "list", "create", "patch"]
    granted += [
        {"apiGroups": [group], "resources": resources, "verbs": writes}
        for group, resources in {
            "": ["serviceaccounts", "persistentvolumeclaims"],
            "apps": ["deployments"],
            "rbac.authorization.k8s.io": ["roles", "rolebindings"],
        }.items()
    ]
    with Children(tmp_path) as children:
        deploy(control_plane, OURS, start_product(children, tmp_path))
        role = {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "Role",
            "metadata": {"name": "tenant", "namespace": OURS},
            "rules": granted,
        }
        control_plane.apply(role)
        control_plane.kubectl(
            *("create", "rolebinding", "tenant", "-n", OURS, "--role=tenant", "--user=tenant")
        )
        said = control_plane.kubectl("apply", "-k", str(MANIFESTS / OVERLAY), user).stdout
        assert "deployment.apps/licenseusage-operator created" in said
        count(control_plane, children, tmp_path)


def count(control_plane, children, tmp_path):
    """Run the operator as its Deployment says, until its object has a number."""
    listed = control_plane.kubectl(
        "get", "deployment", "licenseusage-operator", "-n", OURS, "-o", "yaml"
    )
    (deployment,) = objects(listed.stdout)
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    (port,) = free_ports(1)
    kubeconfig = control_plane.kubeconfig_for(OURS, "licenseusage-operator")
    own = [e["name"] for e in container["env"] if "metadata.namespace" in json.dumps(e)]
    environment = (
        control_plane.environment(kubeconfig)
        | {each["name"]: each["value"] for each in container["env"] if "value" in each}
        | dict.fromkeys(own, OURS)
        | {
            "LICENSEUSAGE_DATABASE_URL": f"sqlite:///{tmp_path}/ledger.sqlite",
            "LICENSEUSAGE_HTTP_ADDRESS": f"127.0.0.1:{port}",
            "LICENSEUSAGE_DEV": "1",
        }
    )
    control_plane.apply({**USAGE, "metadata": {"name": "sample", "namespace": OURS}})
    children.start("operator", [LICENSEUSAGE, *container["args"]], environment)
    await_http(f"http://127.0.0.1:{port}/readyz", children)
    done = control_plane.kubectl(
        *("wait", "licenseusage/sample", "-n", OURS, "--for=condition=Ready", "--timeout=60s"),
        check=False,
        timeout_seconds=90,
    )
    assert done.returncode == 0, children.tail("operator", 40)
