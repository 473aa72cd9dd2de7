"""What Argo CD and Flux say of our objects: the same as the conditions mean, for every case."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from cel_expr_python import cel
from lupa.lua51 import LuaRuntime

from licenseusage.reasons import Reason
from tests.manifests.conftest import MANIFESTS, ROOT
from tests.manifests.test_rendered import one

ARGOCD = MANIFESTS / "gitops" / "argocd"
CASES = [
    pytest.param(ARGOCD / case["inputPath"], case["healthStatus"], id=Path(case["inputPath"]).stem)
    for case in yaml.safe_load((ARGOCD / "health_test.yaml").read_text())["tests"]
]
OF_FLUX = {"Healthy": "Current", "Degraded": "Failed"}
"""Of kstatus; everything else is InProgress there."""


@pytest.fixture(scope="module")
def scripts(kustomize) -> dict[str, str]:
    """Health checks by kind, as Argo CD reads them from its ConfigMap."""
    (configmap,) = kustomize("gitops/argocd")
    assert (configmap["metadata"]["namespace"], configmap["metadata"]["name"]) == (
        "argocd",
        "argocd-cm",
    )
    assert configmap["metadata"]["labels"] == {"app.kubernetes.io/part-of": "argocd"}
    prefix = "resource.customizations.health.licenseusage.dev_"
    assert all(key.startswith(prefix) for key in configmap["data"])
    return {key.removeprefix(prefix): script for key, script in configmap["data"].items()}


@pytest.fixture(scope="module")
def expressions() -> dict[str, dict[str, str]]:
    """Flux's expressions by kind, as docs/gitops.md shows them."""
    text = (ROOT / "docs" / "gitops.md").read_text()
    (shown,) = re.findall(r'^```yaml title="flux.yaml"\n(.*?)^```$', text, re.M | re.S)
    checks = [
        each
        for document in yaml.safe_load_all(shown)
        for each in document["spec"].get("healthCheckExprs", ())
    ]
    assert {each["apiVersion"] for each in checks} == {"licenseusage.dev/v1alpha1"}
    return {each["kind"]: each for each in checks}


def by_argocd(script: str, item: dict[str, Any]) -> dict[str, str]:
    """What Argo CD makes of it: Lua 5.1 without what reaches the machine, ``obj`` the object."""
    lua = LuaRuntime(unpack_returned_tuples=True, register_eval=False, register_builtins=False)
    for library in ("os", "io", "debug", "package", "require", "python"):
        lua.globals()[library] = None
    lua.globals().obj = lua.table_from(item, recursive=True)
    return dict(lua.execute(script))


def by_flux(checks: dict[str, str], item: dict[str, Any]) -> str:
    """What Flux makes of it: first the generation, then inProgress, failed, current."""
    status = item.get("status", {})
    generation = item["metadata"]["generation"]
    if status.get("observedGeneration", generation) != generation:
        return "InProgress"
    environment = cel.NewEnv(variables={"status": cel.Type.DYN})
    for name, said in (("inProgress", "InProgress"), ("failed", "Failed"), ("current", "Current")):
        if name in checks:
            data = {"status": status}
            if environment.compile(checks[name]).eval(data=data).value():
                return said
    return "InProgress"


@pytest.mark.parametrize(("path", "health"), CASES)
def test_argocd_says_it(path, health, scripts):
    item = yaml.safe_load(path.read_text())
    assert by_argocd(scripts[item["kind"]], item) == health


@pytest.mark.parametrize(("path", "health"), CASES)
def test_flux_says_the_same(path, health, expressions):
    item = yaml.safe_load(path.read_text())
    expected = OF_FLUX.get(health["status"], "InProgress")
    assert by_flux(expressions[item["kind"]], item) == expected


def test_there_is_a_case_of_every_file_kind_and_health():
    listed = {param.values[0] for param in CASES}
    assert listed == set((ARGOCD / "testdata").iterdir())
    seen = {
        (yaml.safe_load(param.values[0].read_text())["kind"], param.values[1]["status"])
        for param in CASES
    }
    for kind in ("LicenseUsage", "UsageReceipt", "UsageReport"):
        for status in ("Healthy", "Progressing", "Degraded"):
            assert (kind, status) in seen


def test_every_reason_of_the_cases_exists():
    text = "".join(param.values[0].read_text() for param in CASES)
    reasons = set(re.findall(r"^ *(?:- )?reason: (\w+)", text, re.M))
    assert len(reasons) >= 5
    assert reasons <= {reason.value for reason in Reason}


@pytest.mark.controlplane
@pytest.mark.parametrize(("path", "health"), CASES)
def test_the_api_server_knows_such_objects(path, health, crds, namespace):
    item = yaml.safe_load(path.read_text())
    item["metadata"]["namespace"] = namespace
    item["metadata"].pop("generation")
    crds.apply(item)
    if "status" in item:
        stated = {key: item[key] for key in ("apiVersion", "kind", "status")}
        stated["metadata"] = {"name": item["metadata"]["name"], "namespace": namespace}
        told = crds.kubectl(
            *("apply", "--server-side", "--subresource=status", "--validate=strict", "-f", "-"),
            stdin=yaml.safe_dump(stated),
        )
        assert "serverside-applied" in told.stdout


def test_the_charts_example_has_values_that_exist(helm):
    text = (ROOT / "docs" / "gitops.md").read_text()
    (shown,) = re.findall(r'^```yaml title="helmrelease.yaml"\n(.*?)^```$', text, re.M | re.S)
    release = yaml.safe_load(shown)
    assert one(helm.template(release["spec"]["values"]), "Deployment")
