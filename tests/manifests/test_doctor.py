"""``licenseusage doctor`` against a real API server, on which manifests/base is installed."""

import base64
import json
import os

import pytest

from licenseusage.cli import kubectl
from licenseusage.cli.doctor.command import judged
from licenseusage.cli.doctor.findings import Level
from licenseusage.cli.doctor.looking import look
from licenseusage.cli.doctor.names import Names, operator_container
from licenseusage.cli.doctor.rights import RIGHTS, Scope
from licenseusage.cli.kubectl import Kubectl
from licenseusage.cli.operatorpods import Wanted
from tests.controller.stage import usage
from tests.manifests.conftest import Installed
from tests.manifests.rights import granted

OPERATORS = "licenseusage-system"
SHOP = "doctor-shop"
NAMES = {
    "identity": "licenseusage-identity",
    "pseudonym": "licenseusage-pseudonym",
    "vendor_keys": "licenseusage-vendor-keys",
    "endpoints": "licenseusage-endpoints",
    "statements": "licenseusage-key-statements",
}
ROLES = {
    Scope.CLUSTER: "licenseusage-operator",
    Scope.OWN: "licenseusage-operator",
    Scope.PRODUCT: "licenseusage-collector",
}


def test_the_rights_that_are_asked_about_are_those_of_the_roles(kustomize):
    asked = {
        (
            ROLES[one.scope],
            one.verb,
            f"{one.group}/{one.resource}".lstrip("/"),
            NAMES.get(one.name, one.name) or None,
        )
        for one in RIGHTS
    }
    assert asked == {tuple(right) for right in granted(kustomize("base"), *set(ROLES.values()))}
    assert len(asked) == len(RIGHTS)


@pytest.fixture(scope="module")
def doctor(installed: Installed):
    cp = installed.control_plane
    cp.create_namespace(SHOP)
    cp.apply(usage(SHOP, spec={"cycle": {"anchorDate": "2026-11-01", "lengthDays": 30}}))

    def run(kubeconfig=cp.kubeconfig):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PATH", f"{cp.binaries.folder}:{os.environ['PATH']}")
            facts = look(Kubectl(None, str(kubeconfig)), Wanted(OPERATORS))
            return judged(facts)

    yield run
    cp.kubectl("delete", "licenseusages", "--all", "-n", SHOP)


@pytest.fixture(scope="module")
def found(doctor):
    return doctor()


def of(findings, check):
    return [(one.level, one.about, one.seen) for one in findings if one.check == check]


def levels(findings, check):
    return {level for level, _, _ in of(findings, check)}


@pytest.mark.controlplane
class TestAsAnAdministrator:
    def test_the_definitions_are_those_of_this_program(self, found):
        assert [level for level, _, _ in of(found, "definitions")] == [Level.GOOD] * 3

    def test_the_account_has_all_rights_but_those_of_a_products_namespace(self, found):
        missing = of(found, "rights")
        assert {seen for _, _, seen in missing} == {
            f"it may not {right} in namespace {SHOP}"
            for right in ("list pods", "get services", "get configmaps", "get secrets")
        }

    def test_the_clocks_of_one_machine_do_not_differ(self, found):
        assert (Level.GOOD, "API server", "this machine and the API server differ by 0 s") in of(
            found, "clock"
        )

    def test_a_pod_that_nobody_starts_and_a_volume_that_nobody_makes_are_found(self, found):
        assert levels(found, "pod") == {Level.BAD}
        claim = ("PersistentVolumeClaim licenseusage-system/licenseusage-ledger", "its phase is")
        assert any(
            about == claim[0] and claim[1] in seen for _, about, seen in of(found, "storage")
        )

    def test_an_object_that_no_operator_has_seen_is_found(self, found):
        (unseen,) = [one for one in of(found, "conditions") if SHOP in one[1]]
        assert unseen[0] is Level.BAD
        assert "has seen generation -1 of 1" in unseen[2]

    def test_a_product_without_pods_is_found(self, found):
        (product,) = [one for one in of(found, "product") if SHOP in one[1]]
        assert product[0] is Level.BAD
        assert product[2].startswith("0 pod(s) fit ")

    def test_nothing_of_it_writes(self, installed, doctor):
        cp = installed.control_plane
        everything = "deployments,configmaps,secrets,licenseusages,events,pods"
        before = cp.kubectl("get", everything, "-A", "-o", "name").stdout
        doctor()
        assert cp.kubectl("get", everything, "-A", "-o", "name").stdout == before


@pytest.mark.controlplane
def test_what_the_caller_may_not_see_is_said_and_is_neither_good_nor_bad(installed, doctor):
    cp = installed.control_plane
    cp.kubectl("create", "serviceaccount", "nobody", "-n", SHOP)
    found = doctor(cp.kubeconfig_for(SHOP, "nobody"))
    unseen = {"definitions", "operator", "pod", "rights", "keys", "vendor keys", "conditions"}
    for check in unseen:
        assert levels(found, check) == {Level.UNSEEN}, check
    assert levels(found, "clock") == {Level.GOOD}
    assert all("forbidden" in seen.lower() for _, _, seen in of(found, "rights"))


@pytest.fixture
def transferred(monkeypatch):
    """All that kubectl has printed."""
    heard, original = [], kubectl._done

    def done(*arguments, **named):
        out = original(*arguments, **named)
        heard.append(b"".join(out))
        return out

    monkeypatch.setattr(kubectl, "_done", done)
    return heard


@pytest.mark.controlplane
def test_no_secret_reaches_the_doctor(doctor, transferred):
    doctor()
    assert any(b'"kind": "LicenseUsage"' in answer for answer in transferred)
    assert not any(b'"kind": "Secret"' in answer for answer in transferred)


@pytest.mark.controlplane
def test_of_a_secret_only_its_name_is_transferred(installed, doctor, transferred, monkeypatch):
    cp, canary = installed.control_plane, "canary-4711"
    create = ("create", "secret", "generic", "named", "-n", SHOP)
    cp.kubectl(*create, f"--from-literal=key={canary}", check=False)
    monkeypatch.setenv("PATH", f"{cp.binaries.folder}:{os.environ['PATH']}")
    asked = Kubectl(None, str(cp.kubeconfig))
    assert asked.names("secrets", f"--namespace={SHOP}", "named", "absent") == {"named"}
    (answer,) = transferred
    assert canary.encode() not in answer
    assert base64.b64encode(canary.encode()) not in answer


@pytest.mark.controlplane
def test_a_definition_of_another_version_is_found(installed, doctor):
    cp, name = installed.control_plane, "usagereceipts.licenseusage.dev"
    path = "/spec/versions/0/additionalPrinterColumns"
    before = cp.kubectl("get", "crd", name, "-o", "json").stdout
    try:
        patch = json.dumps([{"op": "remove", "path": path}])
        cp.kubectl("patch", "crd", name, "--type=json", "-p", patch)
        found = doctor()
    finally:
        columns = json.loads(before)["spec"]["versions"][0]["additionalPrinterColumns"]
        patch = json.dumps([{"op": "add", "path": path, "value": columns}])
        cp.kubectl("patch", "crd", name, "--type=json", "-p", patch)
    (other,) = [one for one in of(found, "definitions") if one[0] is not Level.GOOD]
    assert other[:2] == (Level.BAD, name)
    assert "additionalPrinterColumns of v1alpha1 differ" in other[2]


def test_every_object_of_the_base_is_known_to_the_doctor(kustomize):
    """Its Deployment is found by what the manifests say of it."""
    (deployment,) = [one for one in kustomize("base") if one["kind"] == "Deployment"]
    assert operator_container(deployment)["name"] == "operator"
    names = Names.of(deployment)
    assert {key: getattr(names, key) for key in NAMES} == NAMES
    assert names.account == "licenseusage-operator"
