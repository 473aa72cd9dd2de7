"""The manifests as files: valid for six minor versions, and as narrow as they should be."""

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from hack.install import INSTALL, rendered
from licenseusage.controller.settings import PREFIX, Settings, from_mapping
from tests.manifests.conftest import MANIFESTS, MINORS, ROOT, SAMPLES, objects
from tests.manifests.network import Pod, allowed

FOLDERS = [
    "base",
    "maintenance",
    "receiver",
    "receiver-postgres",
    "../examples/product",
    "components/export",
    "components/receipts",
    *sorted(f"overlays/{path.name}" for path in MANIFESTS.glob("overlays/*")),
    *(f"samples/{name}" for name in SAMPLES),
]
KEPT = {
    "argocd.argoproj.io/sync-options": "Prune=false,Delete=false",
    "kustomize.toolkit.fluxcd.io/prune": "disabled",
}
OPERATORS_OWN_MIB = 256
MEASURED_MIB_OF_TWENTY_OBJECTS = 182
OURS = {"LicenseUsage", "UsageReport", "UsageReceipt"}


def one(objects, kind, name=None):
    (found,) = [o for o in objects if o["kind"] == kind and name in (None, o["metadata"]["name"])]
    return found


def rules(objects, kind, name):
    """Every (resource, verb, name or None) that a role grants."""
    return {
        (f"{group}/{resource}".lstrip("/"), verb, only)
        for rule in one(objects, kind, name)["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
        for only in rule.get("resourceNames", [None])
    }


def container(objects):
    (only,) = one(objects, "Deployment")["spec"]["template"]["spec"]["containers"]
    return only


def mebibytes(quantity: str) -> int:
    number, unit = re.fullmatch(r"(\d+)(Mi|Gi)", quantity).groups()
    return int(number) * {"Mi": 1, "Gi": 1024}[unit]


@pytest.mark.parametrize("version", MINORS)
@pytest.mark.parametrize("folder", FOLDERS)
def test_every_object_fits_the_schemas_of(folder, version, kustomize):
    checked = 0
    for item in kustomize(folder):
        if item["kind"] not in OURS:
            kubernetes_validate.validate(item, version, strict=True)
            checked += 1
    assert checked


@pytest.mark.parametrize("version", MINORS)
def test_the_components_fit_the_schemas_of(version, composed):
    jobs = ("export", "receipts", "statement", "intake", "network-policy", "vendor-ca")
    for made in (
        composed(*jobs, "tamper-guard"),
        composed(*jobs, "single-namespace", namespace="wiki"),
        composed("product-namespace", "product-ingress", namespace="wiki", base=None),
    ):
        for item in made:
            kubernetes_validate.validate(item, version, strict=True)


def test_the_check_against_the_schemas_can_fail(kustomize):
    deployment = one(kustomize("base"), "Deployment")
    deployment["spec"]["replica"] = 1
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(deployment, "1.37", strict=True)


@pytest.mark.parametrize("folder", ["../crds", "overlays/kind"])
def test_the_committed_custom_resources_are_installed_by(folder, kustomize):
    committed = {path.name.split(".", 1)[0] for path in (ROOT / "crds").glob("*.dev.yaml")}
    rendered = [o for o in kustomize(folder) if o["kind"] == "CustomResourceDefinition"]
    assert {o["spec"]["names"]["plural"] for o in rendered} == committed
    assert len(committed) == 3


def test_removing_the_base_removes_no_custom_resource(kustomize):
    assert not [o for o in kustomize("base") if o["kind"] == "CustomResourceDefinition"]


def test_gitops_tools_delete_nothing_that_holds_evidence(composed, kustomize):
    installed = composed("export", "receipts", "statement")
    installed += kustomize("receiver") + kustomize("../crds")
    kept = {"Namespace", "PersistentVolumeClaim", "CustomResourceDefinition"}
    evidence = [item for item in installed if item["kind"] in kept]
    assert len(evidence) == 2 + 5 + 3
    for item in installed:
        annotations = item["metadata"].get("annotations", {})
        assert (annotations == KEPT) == (item in evidence), item["metadata"]["name"]


def test_install_yaml_is_the_overlay_and_names_one_image(binaries):
    assert INSTALL.read_text() == rendered(binaries.kubectl), "run: make generate"
    assert len(re.findall(r"image:", INSTALL.read_text().partition("---")[2])) == 1


def test_the_operator_alone_may_write_status(kustomize):
    base = kustomize("base")
    writers = {
        role["metadata"]["name"]
        for role in base
        if role["kind"] in ("Role", "ClusterRole")
        for rule in role["rules"]
        if any(resource.endswith(("/status", "*")) for resource in rule["resources"])
    }
    assert writers == {"licenseusage-operator"}


def test_the_operator_cannot_change_what_people_wrote(kustomize):
    granted = rules(kustomize("base"), "ClusterRole", "licenseusage-operator")
    verbs = {verb for resource, verb, _ in granted if resource == "licenseusage.dev/licenseusages"}
    assert verbs == {"get", "list", "watch"}


def test_no_role_grants_a_wildcard_or_secrets_everywhere(kustomize):
    base = kustomize("base")
    for role in (o for o in base if o["kind"] in ("Role", "ClusterRole")):
        for rule in role["rules"]:
            assert "*" not in [*rule["apiGroups"], *rule["resources"], *rule["verbs"]]
    bound = [o["roleRef"]["name"] for o in base if o["kind"] == "ClusterRoleBinding"]
    assert bound == ["licenseusage-operator"]
    everywhere = rules(base, "ClusterRole", "licenseusage-operator")
    assert not {r for r in everywhere if r[0] in ("secrets", "configmaps", "pods", "services")}


def test_the_collector_lists_pods_and_reads_all_else_by_name(kustomize):
    assert rules(kustomize("base"), "ClusterRole", "licenseusage-collector") == {
        ("pods", "list", None),
        ("services", "get", None),
        ("configmaps", "get", None),
        ("secrets", "get", None),
    }


def test_the_operators_own_secrets_are_read_by_name(kustomize):
    granted = rules(kustomize("base"), "Role", "licenseusage-operator")
    assert {(verb, name) for resource, verb, name in granted if resource == "secrets"} == {
        ("create", None),
        ("get", Settings().identity_secret),
        ("get", Settings().pseudonym_secret),
        ("update", Settings().identity_secret),
    }


def test_of_configmaps_the_operator_reads_its_own_by_name_and_writes_one(kustomize):
    granted = rules(kustomize("base"), "Role", "licenseusage-operator")
    published = Settings().key_statements_configmap
    assert {(verb, name) for resource, verb, name in granted if resource == "configmaps"} == {
        ("get", Settings().vendor_keys_configmap),
        ("get", Settings().endpoints_configmap),
        *((verb, published) for verb in ("get", "create", "patch")),
    }


def test_there_is_one_operator_and_it_is_replaced_not_doubled(kustomize):
    spec = one(kustomize("base"), "Deployment")["spec"]
    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})


def test_only_the_operators_pod_has_a_token(kustomize):
    base = kustomize("base")
    assert one(base, "ServiceAccount")["automountServiceAccountToken"] is False
    pod = one(base, "Deployment")["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is True


def test_every_setting_in_the_deployment_exists(kustomize):
    for folder in ("base", "overlays/kind"):
        names = [variable["name"] for variable in container(kustomize(folder))["env"]]
        known = {PREFIX + name.upper() for name in Settings.__dataclass_fields__}
        assert set(names) <= known
        assert names


def test_what_the_operator_writes_is_on_a_volume(kustomize):
    operator = container(kustomize("base"))
    env = {variable["name"]: variable.get("value") for variable in operator["env"]}
    ledger = Path(env["LICENSEUSAGE_DATABASE_URL"].removeprefix("sqlite:///"))
    assert str(ledger.parent) in [mount["mountPath"] for mount in operator["volumeMounts"]]
    assert operator["securityContext"]["readOnlyRootFilesystem"] is True


def test_the_memory_limit_holds_the_operator_and_all_its_workers(kustomize):
    operator = container(kustomize("base"))
    limit = mebibytes(operator["resources"]["limits"]["memory"])
    env = {variable["name"]: variable.get("value", "") for variable in operator["env"]}
    settings = from_mapping(env, {"operator_namespace": "licenseusage-system"})
    workers_mib = settings.poll_workers * settings.worker_bytes / 2**20
    assert OPERATORS_OWN_MIB + workers_mib <= limit


def test_the_memory_request_is_what_twenty_large_lists_take_between_their_polls(kustomize):
    asked = container(kustomize("base"))["resources"]["requests"]["memory"]
    assert MEASURED_MIB_OF_TWENTY_OBJECTS <= mebibytes(asked) <= OPERATORS_OWN_MIB


def test_the_documented_memory_is_that_of_the_deployment():
    text = (MANIFESTS / "base" / "deployment.yaml").read_text()
    assert f"the operator's own {OPERATORS_OWN_MIB} MiB" in text
    assert f"{MEASURED_MIB_OF_TWENTY_OBJECTS} MiB with 20 objects" in text


@pytest.mark.parametrize("folder", ["base", "maintenance", "receiver", "../examples/product"])
def test_no_user_is_pinned_but_root_and_its_group_are_refused(folder, kustomize):
    (pod,) = [
        item["spec"]["template"]["spec"] if item["kind"] == "Deployment" else item["spec"]
        for item in kustomize(folder)
        if item["kind"] in ("Deployment", "Pod")
    ]
    context = pod["securityContext"]
    assert context["runAsNonRoot"] is True
    assert not {"runAsUser", "runAsGroup"} & context.keys()
    for each in (*pod["containers"], *pod.get("initContainers", ())):
        own = each["securityContext"]
        assert "runAsUser" not in own
        assert own["runAsGroup"] == 65532
        assert own["readOnlyRootFilesystem"] is True


def test_a_volume_goes_over_to_another_user(kustomize):
    # The ledger's files are their owner's only; a kubelet opens them to the group at every mount,
    # unless it is told to look at the folder alone.
    context = one(kustomize("base"), "Deployment")["spec"]["template"]["spec"]["securityContext"]
    assert context["fsGroup"]
    assert context.get("fsGroupChangePolicy", "Always") == "Always"


def test_the_image_is_set_in_one_place(binaries, tmp_path):
    shutil.copytree(MANIFESTS, tmp_path / "manifests")
    place = tmp_path / "manifests/image/kustomization.yaml"
    text = place.read_text()
    assert text.count("newName: licenseusage\n") == text.count("newTag: 0.1.0\n") == 1
    place.write_text(
        text.replace("newName: licenseusage", "newName: registry.example.org/l").replace(
            "newTag: 0.1.0", "newTag: 0.2.0"
        )
    )
    shutil.copytree(ROOT / "examples/product", tmp_path / "examples/product")
    for folder in ("base", "maintenance", "receiver", "../examples/product"):
        command = [str(binaries.kubectl), "kustomize", str(tmp_path / "manifests" / folder)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        named = set(re.findall(r"^ *image: (.*)", done.stdout, re.M))
        assert named == {"registry.example.org/l:0.2.0"}


def test_the_image_in_the_manifests_is_of_this_version():
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    (image,) = yaml.safe_load((MANIFESTS / "image/kustomization.yaml").read_text())["images"]
    assert image["newTag"] == declared


def test_the_readmes_object_is_the_sample(kustomize):
    blocks = re.findall(r"^```yaml\n(.*?)^```$", (ROOT / "README.md").read_text(), re.M | re.S)
    (block,) = [text for text in blocks if "kind: LicenseUsage" in text]
    shown = {item["kind"]: item for item in objects(block)}
    sample = {item["kind"]: item for item in kustomize("samples/opencloud")}
    assert shown.keys() == {"RoleBinding", "LicenseUsage"}
    assert shown == sample


def test_the_overlay_for_kind_uses_the_image_that_make_builds(kustomize):
    image = re.search(r"^IMAGE \?= (\S+)$", (ROOT / "Makefile").read_text(), re.M).group(1)
    operator = container(kustomize("overlays/kind"))
    assert (operator["image"], operator["imagePullPolicy"]) == (image, "Never")


def test_kind_config_names_the_cluster_that_the_overlay_speaks_of():
    config = yaml.safe_load((ROOT / "kind-config.yaml").read_text())
    assert (config["kind"], config["apiVersion"]) == ("Cluster", "kind.x-k8s.io/v1alpha4")
    overlay = (MANIFESTS / "overlays/kind/kustomization.yaml").read_text()
    assert f"--name {config['name']}" in overlay


@pytest.mark.parametrize("sample", SAMPLES)
def test_a_sample_grants_the_collector_in_the_namespace_it_counts(sample, kustomize):
    rendered = kustomize(f"samples/{sample}")
    binding, usage = one(rendered, "RoleBinding"), one(rendered, "LicenseUsage")
    assert binding["metadata"]["namespace"] == usage["metadata"]["namespace"]
    assert binding["roleRef"]["name"] == "licenseusage-collector"
    (subject,) = binding["subjects"]
    account = one(kustomize("base"), "ServiceAccount")["metadata"]
    assert (subject["namespace"], subject["name"]) == (account["namespace"], account["name"])


@pytest.mark.parametrize("sample", SAMPLES)
def test_a_sample_says_how_to_make_each_secret_it_names(sample):
    text = (MANIFESTS / "samples" / sample / "licenseusage.yaml").read_text()
    usage = yaml.safe_load(text)
    for source in usage["spec"]["sources"]:
        for auth in source["auth"].values():
            name = auth["secretRef"]["name"]
            namespace = usage["metadata"]["namespace"]
            command = f"kubectl -n {namespace} create secret generic {name}"
            assert command in text
            assert "--type=licenseusage.dev/credentials" in text.partition(command)[2][:80]
            assert f"--from-literal={auth['secretRef'].get('key', 'password')}=" in text


def test_the_sample_counts_what_the_sample_product_is(kustomize):
    product, sample = kustomize("../examples/product"), kustomize("samples/standard")
    pod = one(product, "Deployment")["spec"]["template"]
    usage = one(sample, "LicenseUsage")
    (source,) = usage["spec"]["sources"]
    namespaces = {item["metadata"].get("namespace") for item in product} - {None}
    assert namespaces == {usage["metadata"]["namespace"]}
    selected = source["pods"]["selector"]["matchLabels"]
    assert selected.items() <= pod["metadata"]["labels"].items()
    ports = {port["name"] for port in pod["spec"]["containers"][0]["ports"]}
    assert source["pods"]["port"] in ports
    secrets = [v["secret"]["secretName"] for v in pod["spec"]["volumes"] if "secret" in v]
    assert secrets == [source["auth"]["header"]["secretRef"]["name"]]
    people = pod["spec"]["initContainers"][0]["args"]
    cycle = usage["spec"]["cycle"]
    assert f"--first-cycle={cycle['anchorDate']}" in people
    assert f"--cycle-days={cycle['lengthDays']}" in people


def test_the_receiver_can_ask_nobody_and_is_reached_by_its_port_only(kustomize):
    rendered = kustomize("receiver")
    pod = one(rendered, "Deployment")["spec"]["template"]
    ports = {port["name"]: port["containerPort"] for port in pod["spec"]["containers"][0]["ports"]}
    receiver = Pod("licenseusage-receiver", pod["metadata"]["labels"], ports=ports)
    policies = [item for item in rendered if item["kind"] == "NetworkPolicy"]
    for sender in (Pod(""), Pod("any")):
        for port in (8443, 8080):
            # An address outside is everybody's: the rule names no peer.
            assert allowed(policies, sender, receiver, port) == (port == 8443)
        assert not allowed(policies, receiver, sender, 443)
    assert not allowed(policies, receiver, Pod("kube-system", {"k8s-app": "kube-dns"}), 53, "UDP")
    service = one(rendered, "Service")["spec"]
    assert service["selector"].items() <= pod["metadata"]["labels"].items()
    assert service["ports"][0]["targetPort"] in ports
    assert pod["spec"]["automountServiceAccountToken"] is False


def test_the_receiver_on_postgresql_calls_names_and_its_database_only(kustomize):
    rendered = kustomize("receiver-postgres")
    pod = one(rendered, "Deployment")["spec"]["template"]
    receiver = Pod("licenseusage-receiver", pod["metadata"]["labels"])
    policies = [item for item in rendered if item["kind"] == "NetworkPolicy"]
    assert allowed(policies, receiver, Pod("kube-system", {"k8s-app": "kube-dns"}), 53, "UDP")
    assert allowed(policies, receiver, Pod("databases"), 5432)
    assert not allowed(policies, receiver, Pod("databases"), 443)
    assert not [item for item in rendered if item["kind"] == "PersistentVolumeClaim"]
    ca = next(v for v in pod["spec"]["volumes"] if v["name"] == "database-ca")
    assert ca["secret"]["items"] == [{"key": "ca.crt", "path": "ca.crt"}]
    assert one(rendered, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"].items() <= (
        pod["metadata"]["labels"].items()
    )


@pytest.mark.parametrize("folder", ["receiver", "receiver-postgres"])
def test_every_variable_of_the_receiver_is_one_of_its_options(folder, kustomize):
    names = [variable["name"] for variable in container(kustomize(folder))["env"]]
    source = (ROOT / "operator/licenseusage/cli/receiver.py").read_text()
    known = {
        f"LICENSEUSAGE_RECEIVER_{name}" for name in re.findall(r'envvar=f"{_ENV}(\w+)"', source)
    }
    libpq = {"PGSSLMODE", "PGSSLROOTCERT"}
    assert set(names) <= known | libpq
    assert names


def test_the_maintenance_pod_reaches_the_ledger_with_the_operators_rights_and_no_more(kustomize):
    base = kustomize("base")
    operator = one(base, "Deployment")["spec"]["template"]["spec"]
    (pod,) = kustomize("maintenance")
    spec, (shell,) = pod["spec"], pod["spec"]["containers"]
    assert pod["metadata"]["namespace"] == one(base, "Deployment")["metadata"]["namespace"]
    assert shell["image"] == operator["containers"][0]["image"]
    assert spec["securityContext"] == operator["securityContext"]
    assert shell["securityContext"] == operator["containers"][0]["securityContext"]
    assert spec["automountServiceAccountToken"] is False
    assert shell["volumeMounts"][0] in operator["containers"][0]["volumeMounts"]
    assert spec["volumes"][0] in operator["volumes"]
