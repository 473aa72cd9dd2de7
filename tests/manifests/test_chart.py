"""The Helm chart: the same objects as the manifests, and the values that it refuses."""

import json
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from tests.manifests.conftest import MINORS, ROOT, objects
from tests.manifests.helm import CHART, Helm
from tests.manifests.network import Pod, allowed

NAMESPACE = "licenseusage-system"
OF_HELM = ("app.kubernetes.io/managed-by", "app.kubernetes.io/version", "helm.sh/chart")
KEPT = {
    "helm.sh/resource-policy": "keep",
    "argocd.argoproj.io/sync-options": "Prune=false,Delete=false",
    "kustomize.toolkit.fluxcd.io/prune": "disabled",
}
USAGE = {
    "name": "wiki",
    "namespace": "wiki",
    "spec": {"product": "wiki"},
    "license": {"secret": "wiki-license", "token": "a.b.c"},
}


def by_name(rendered: list[dict[str, Any]]) -> dict[tuple[str, str, str], dict[str, Any]]:
    """Objects by kind, namespace and name, without what only Helm writes; named lists in order."""
    return {
        (item["kind"], item["metadata"].get("namespace", ""), item["metadata"]["name"]): plain(item)
        for item in rendered
    }


def plain(item: dict[str, Any]) -> dict[str, Any]:
    copy: dict[str, Any] = json.loads(json.dumps(item), object_hook=in_order)
    for labels, names in (("labels", OF_HELM), ("annotations", ("helm.sh/resource-policy",))):
        for name in names:
            copy["metadata"].get(labels, {}).pop(name, None)
        if not copy["metadata"].get(labels, True):
            del copy["metadata"][labels]
    return copy


def in_order(members: dict[str, Any]) -> dict[str, Any]:
    """Sort lists whose members have names: the order of variables and ports means nothing."""
    for key, value in members.items():
        listed = value if isinstance(value, list) else []
        if listed and all(isinstance(each, dict) and "name" in each for each in listed):
            members[key] = sorted(listed, key=lambda each: str(each["name"]))
    return members


def the(rendered: list[dict[str, Any]], kind: str, name: str = "") -> dict[str, Any]:
    (item,) = [o for o in rendered if o["kind"] == kind and name in ("", o["metadata"]["name"])]
    return item


def test_helm_finds_no_fault(helm: Helm) -> None:
    assert helm.run("lint", "--strict", str(CHART)).returncode == 0


JOBS = ("export", "statement", "receipts")
ON = {"enabled": True}
COMPOSED: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "alone": ({}, ()),
    "intake": ({"intake": ON}, ("intake",)),
    "network": ({"networkPolicy": ON}, ("network-policy",)),
    "intake and network": (
        {"intake": ON, "networkPolicy": ON},
        ("intake", "network-policy"),
    ),
    "tamper guard": ({"tamperGuard": ON}, ("tamper-guard",)),
    "own authority": ({"vendor": {"caConfigMap": "licenseusage-vendor-ca"}}, ("vendor-ca",)),
    "one namespace": (
        {"singleNamespace": True, "networkPolicy": ON, "intake": ON, **dict.fromkeys(JOBS, ON)},
        (*JOBS, "intake", "network-policy", "single-namespace"),
    ),
}


@pytest.mark.parametrize(("values", "components"), COMPOSED.values(), ids=COMPOSED)
def test_the_chart_is_the_manifests(values, components, helm: Helm, composed) -> None:
    manifests = by_name(composed(*components))
    manifests.pop(("Namespace", "", NAMESPACE), None)  # helm install --create-namespace
    assert by_name(helm.template(values)) == manifests


def test_a_products_namespace_is_the_components(helm: Helm, composed) -> None:
    network = {"enabled": True, "productIngress": True}
    rendered = helm.template({"productNamespaces": ["wiki"], "networkPolicy": network})
    there = [item for item in rendered if item["metadata"].get("namespace") == "wiki"]
    of_wiki = composed("product-namespace", "product-ingress", namespace="wiki", base=None)
    assert by_name(there) == by_name(of_wiki)


@pytest.mark.parametrize("component", JOBS)
def test_a_job_of_the_chart_is_the_component(component, helm: Helm, kustomize) -> None:
    with_it = by_name(helm.template({component: {"enabled": True}}))
    without = by_name(helm.template({}))
    added = {name: item for name, item in with_it.items() if name not in without}
    assert added == by_name(kustomize(f"components/{component}"))


def test_the_custom_resources_are_those_of_this_version() -> None:
    committed = {path.name: path.read_text() for path in (ROOT / "crds").glob("*.dev.yaml")}
    assert {path.name: path.read_text() for path in (CHART / "crds").iterdir()} == committed


def test_the_versions_are_those_of_the_program() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    (image,) = yaml.safe_load((ROOT / "manifests/image/kustomization.yaml").read_text())["images"]
    assert chart["version"] == chart["appVersion"] == image["newTag"]


def test_what_holds_the_evidence_outlives_the_release(helm: Helm) -> None:
    jobs = {name: {"enabled": True} for name in ("export", "statement", "receipts")}
    claims = [o for o in helm.template(jobs) if o["kind"] == "PersistentVolumeClaim"]
    assert len(claims) == 4
    for claim in claims:
        assert claim["metadata"]["annotations"] == KEPT


def test_with_namespaces_to_watch_there_are_no_rights_elsewhere(helm: Helm) -> None:
    rendered = helm.template({"watchNamespaces": ["wiki", "chat"]})
    assert not [o for o in rendered if o["kind"] == "ClusterRoleBinding"]
    watches = [o for o in rendered if o["metadata"]["name"] == "licenseusage-operator-watches"]
    assert {o["metadata"]["namespace"] for o in watches} == {"wiki", "chat"}
    assert variables(rendered)["LICENSEUSAGE_NAMESPACES"] == "wiki,chat"


def test_a_products_namespace_is_granted_by_its_name(helm: Helm) -> None:
    rendered = helm.template({"productNamespaces": ["wiki"]})
    granted = the(rendered, "RoleBinding", "licenseusage-collector")
    assert granted["metadata"]["namespace"] == "wiki"
    assert granted["roleRef"]["name"] == "licenseusage-collector"


def variables(rendered: list[dict[str, Any]]) -> dict[str, Any]:
    (container,) = the(rendered, "Deployment")["spec"]["template"]["spec"]["containers"]
    return {each["name"]: each.get("value") for each in container["env"]}


def test_another_name_reaches_every_object_and_the_operators_settings(helm: Helm) -> None:
    rendered = helm.template({"nameOverride": "meter"})
    assert all(o["metadata"]["name"].startswith("meter-") for o in rendered)
    given = variables(rendered)
    assert given["LICENSEUSAGE_IDENTITY_SECRET"] == "meter-identity"
    assert given["LICENSEUSAGE_ENDPOINTS_CONFIGMAP"] == "meter-endpoints"
    role = the(rendered, "Role")
    named = {name for rule in role["rules"] for name in rule.get("resourceNames", ())}
    assert named == {
        "meter-identity",
        "meter-pseudonym",
        "meter-vendor-keys",
        "meter-endpoints",
        "meter-key-statements",
    }


def test_every_setting_can_be_given(helm: Helm) -> None:
    given = variables(helm.template({"settings": {"pollBytes": 536870912, "logLevel": "debug"}}))
    assert given["LICENSEUSAGE_POLL_BYTES"] == "536870912"
    assert given["LICENSEUSAGE_LOG_LEVEL"] == "debug"


def test_the_vendors_side_is_configured_by_values(helm: Helm) -> None:
    vendor = {"jwks": '{"keys": []}', "proxy": "http://proxy:3128", "caConfigMap": "corporate-ca"}
    rendered = helm.template({"vendor": vendor})
    assert the(rendered, "ConfigMap")["data"] == {"jwks.json": '{"keys": []}'}
    given = variables(rendered)
    assert given["LICENSEUSAGE_VENDOR_PROXY"] == "http://proxy:3128"
    assert given["LICENSEUSAGE_VENDOR_CA_FILE"] == "/etc/licenseusage/vendor-ca/ca.crt"
    pod = the(rendered, "Deployment")["spec"]["template"]["spec"]
    assert {"name": "vendor-ca", "configMap": {"name": "corporate-ca"}} in pod["volumes"]


def test_a_digest_names_the_image_and_a_registry_goes_before_it(helm: Helm) -> None:
    digest = "sha256:" + "0" * 64
    image = {"registry": "registry.example.org", "digest": digest, "pullSecrets": ["robot"]}
    pod = the(helm.template({"image": image}), "Deployment")["spec"]["template"]["spec"]
    assert pod["containers"][0]["image"] == f"registry.example.org/licenseusage@{digest}"
    assert pod["imagePullSecrets"] == [{"name": "robot"}]


def test_where_the_platform_assigns_groups_none_is_pinned(helm: Helm) -> None:
    pod = the(helm.template({"fsGroup": None}), "Deployment")["spec"]["template"]["spec"]
    assert "fsGroup" not in pod["securityContext"]
    assert "runAsGroup" not in pod["containers"][0]["securityContext"]


def test_a_vendor_ships_its_object_and_licence(helm: Helm) -> None:
    rendered = helm.template({"licenseUsages": [USAGE]})
    usage = the(rendered, "LicenseUsage")
    assert usage["spec"] == {"product": "wiki", "license": {"secretRef": {"name": "wiki-license"}}}
    secret = the(rendered, "Secret")
    assert (secret["metadata"]["namespace"], secret["stringData"]) == (
        "wiki",
        {"license.jwt": "a.b.c"},
    )


def test_the_network_is_opened_by_values(helm: Helm) -> None:
    given = {
        "networkPolicy": {
            "enabled": True,
            "dns": {"to": [{"namespaceSelector": {}}], "ports": [5353]},
            "apiServer": {"cidrs": ["10.0.0.1/32"], "ports": [6443]},
            "egress": [{"ports": [{"port": 3128}]}],
        },
        "productNamespaces": ["wiki"],
    }
    policies = [o for o in helm.template(given) if o["kind"] == "NetworkPolicy"]
    operator = Pod(
        NAMESPACE,
        the(policies, "NetworkPolicy", "licenseusage-operator")["spec"]["podSelector"][
            "matchLabels"
        ],
    )
    wiki, outside = Pod("wiki", {"app": "wiki"}), Pod("")
    assert allowed(policies, operator, wiki, 9200)
    assert allowed(policies, operator, wiki, 5353, "UDP")
    assert allowed(policies, operator, wiki, 3128)
    assert not allowed(policies, operator, Pod("chat"), 9200)
    assert allowed(policies, operator, outside, 6443)
    assert not allowed(policies, operator, outside, 443)


def test_others_may_write_where_a_value_names_them(helm: Helm) -> None:
    restorer = "system:serviceaccount:velero:velero"
    rendered = helm.template({"tamperGuard": {"enabled": True, "writers": [restorer]}})
    policies = [o for o in rendered if o["kind"] == "ValidatingAdmissionPolicy"]
    for policy in policies:
        (named,) = [v for v in policy["spec"]["variables"] if v["name"] == "operators"]
        operator = f"system:serviceaccount:{NAMESPACE}:licenseusage-operator"
        assert named["expression"] == f"['{operator}', '{restorer}']"


@pytest.mark.parametrize("version", MINORS)
def test_every_object_fits_the_schemas_of(version, helm: Helm) -> None:
    names = (*JOBS, "intake", "networkPolicy", "tamperGuard")
    everything = {name: {"enabled": True} for name in names}
    for item in helm.template({**everything, "productNamespaces": ["wiki"]}):
        kubernetes_validate.validate(item, version, strict=True)


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"image": {"digest": "sha256:short"}}, "/image/digest"),
        ({"polls": {"workers": 0}}, "/polls/workers"),
        ({"ledger": {"size": "1 GB"}}, "/ledger/size"),
        ({"vendor": {"endpoint": "http://vendor.example"}}, "/vendor/endpoint"),
        ({"productNamespaces": ["Wiki"]}, "/productNamespaces/0"),
        ({"intake": {"enable": True}}, "enable"),
        ({"licenseUsages": [{"name": "wiki"}]}, "spec"),
        ({"settings": {"identitySecret": "mine"}}, "keys.identitySecret"),
        ({"networkPolicy": {"apiServer": {"ports": ["443"]}}}, "/networkPolicy/apiServer/ports/0"),
        ({"networkPolicy": {"productIngress": True}}, "set networkPolicy.enabled"),
        ({"tamperGuard": {"writers": ["o'brien"]}}, "/tamperGuard/writers/0"),
        (
            {"singleNamespace": True, "productNamespaces": ["wiki"]},
            "productNamespaces and singleNamespace",
        ),
        (
            {"singleNamespace": True, "watchNamespaces": ["wiki"]},
            "watchNamespaces and singleNamespace",
        ),
        (
            {"vendor": {"jwks": "{}", "keysConfigMap": "mine"}},
            "vendor.jwks and vendor.keysConfigMap",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_wrong_value_is_refused_by_its_name(values, named, helm: Helm) -> None:
    done = helm.rendered(values)
    assert done.returncode != 0
    assert named in done.stderr


@pytest.mark.controlplane
def test_it_is_installed_upgraded_and_removed_and_the_evidence_stays(
    helm: Helm, control_plane, crds, tmp_path: Path
) -> None:
    name, namespace = "charted", "charted-system"
    values = {"nameOverride": name, "export": {"enabled": True}}
    control_plane.create_namespace(namespace)

    def act(*command: str) -> subprocess.CompletedProcess[str]:
        kubeconfig = f"--kubeconfig={control_plane.kubeconfig}"
        done = helm.run(*command, "--namespace", namespace, kubeconfig)
        assert done.returncode == 0, done.stderr
        return done

    def there(kind: str) -> set[str]:
        listed = control_plane.kubectl("get", kind, "-n", namespace, "-o", "name").stdout
        return {line.partition("/")[2] for line in listed.split() if name in line}

    act("install", name, str(CHART), *helm.values(values))
    assert there("deployments") == {f"{name}-operator"}
    assert there("persistentvolumeclaims") == {f"{name}-ledger", f"{name}-exports"}
    act("upgrade", name, str(CHART), *helm.values({**values, "export": {"enabled": False}}))
    assert there("cronjobs") == set()
    act("uninstall", name)
    assert there("deployments") == set()
    assert there("persistentvolumeclaims") == {f"{name}-ledger", f"{name}-exports"}
    assert len(objects(control_plane.kubectl("get", "crds", "-o", "yaml").stdout)[0]["items"]) == 3
