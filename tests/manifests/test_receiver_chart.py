"""The receiver's Helm chart: the same objects as the manifests, and the values that it refuses."""

import kubernetes_validate
import pytest
import yaml

from tests.manifests.conftest import MINORS
from tests.manifests.helm import CHART, RECEIVER, Helm
from tests.manifests.test_chart import by_name
from tests.manifests.test_rendered import container, one

NAMESPACE = "licenseusage-receiver"


def test_helm_finds_no_fault(helm: Helm) -> None:
    assert helm.run("lint", "--strict", str(RECEIVER)).returncode == 0


def test_the_chart_is_the_manifests(helm: Helm, kustomize) -> None:
    manifests = by_name(kustomize("receiver"))
    del manifests["Namespace", "", NAMESPACE]  # helm install --create-namespace
    assert by_name(helm.template({}, RECEIVER)) == manifests


POSTGRES = {
    "replicas": 2,
    "database": {
        "secret": "licenseusage-receiver-database",
        "caSecret": "licenseusage-receiver-database-ca",
    },
}


def test_the_chart_on_postgresql_is_the_manifests(helm: Helm, kustomize) -> None:
    manifests = by_name(kustomize("receiver-postgres"))
    del manifests["Namespace", "", NAMESPACE]
    assert by_name(helm.template(POSTGRES, RECEIVER)) == manifests


def test_both_charts_are_of_one_version() -> None:
    own, operators = (yaml.safe_load((c / "Chart.yaml").read_text()) for c in (RECEIVER, CHART))
    for key in ("version", "appVersion", "kubeVersion"):
        assert own[key] == operators[key]


def test_everything_can_be_named_and_placed(helm: Helm) -> None:
    given = {
        "nameOverride": "usage",
        "secrets": {"tls": "wildcard"},
        "hosts": ["usage.vendor.example", "usage.internal"],
        "service": {"type": "LoadBalancer"},
        "storage": {"existingClaim": "documents"},
        "fsGroup": None,
        "networkPolicy": {"enabled": False},
    }
    rendered = helm.template(given, RECEIVER)
    assert sorted(item["kind"] for item in rendered) == ["Deployment", "Service"]
    assert one(rendered, "Service")["spec"]["type"] == "LoadBalancer"
    pod = one(rendered, "Deployment", "usage")["spec"]["template"]["spec"]
    assert "fsGroup" not in pod["securityContext"]
    secrets = {v["name"]: v["secret"]["secretName"] for v in pod["volumes"] if "secret" in v}
    assert secrets == {"keys": "usage-keys", "tls": "wildcard", "pages": "usage-pages"}
    env = {each["name"]: each["value"] for each in container(rendered)["env"]}
    assert env["LICENSEUSAGE_RECEIVER_HOSTS"] == "usage.vendor.example usage.internal"


@pytest.mark.parametrize("version", MINORS)
def test_every_object_fits_the_schemas_of(version, helm: Helm) -> None:
    for item in helm.template({"service": {"type": "LoadBalancer"}, **POSTGRES}, RECEIVER):
        kubernetes_validate.validate(item, version, strict=True)


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"storage": {"size": "10 GB"}}, "/storage/size"),
        ({"service": {"type": "Ingress"}}, "/service/type"),
        ({"secrets": {"key": "mine"}}, "key"),
        ({"hosts": ["two names"]}, "/hosts/0"),
        ({"replicas": 2}, "more than one needs PostgreSQL (database.secret)"),
        ({"database": {"secret": "db"}}, "database.caSecret: sslMode verify-full needs"),
        ({"database": {"sslMode": "prefer"}}, "/database/sslMode"),
    ],
)
def test_a_wrong_value_is_refused_by_its_name(values, named, helm: Helm) -> None:
    done = helm.rendered(values, RECEIVER)
    assert done.returncode != 0
    assert named in done.stderr
