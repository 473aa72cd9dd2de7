"""The component that lets nobody but the operator write numbers, reports and keys."""

import json
from dataclasses import dataclass

import pytest

from hack.controlplane import ControlPlane, KubectlError
from tests.controller.stage import until
from tests.delivery.people import reports, usage_report
from tests.manifests.conftest import OPERATOR, Installed, objects
from tests.manifests.test_rendered import one

pytestmark = pytest.mark.controlplane

SYSTEM, SHOP = "licenseusage-system", "guarded"
NAMESPACES = "system:serviceaccount:kube-system:namespace-controller"


@pytest.fixture(scope="module")
def rendered(composed):
    return composed("tamper-guard")


def test_it_knows_the_operators_account(rendered):
    account = one(rendered, "ServiceAccount")["metadata"]
    name = f"['system:serviceaccount:{account['namespace']}:{account['name']}']"
    policies = [item for item in rendered if item["kind"] == "ValidatingAdmissionPolicy"]
    assert len(policies) == 2
    for policy in policies:
        (operators,) = [v for v in policy["spec"]["variables"] if v["name"] == "operators"]
        assert operators["expression"] == name
        assert policy["spec"]["failurePolicy"] == "Fail"
        binding = one(rendered, "ValidatingAdmissionPolicyBinding", policy["metadata"]["name"])
        assert binding["spec"]["policyName"] == policy["metadata"]["name"]


@dataclass
class Guarded:
    """A control plane with the guard, a report, and the operator's evidence."""

    cp: ControlPlane
    report: str

    def act(self, *command: str, user: str | None = None, stdin: str | None = None) -> str:
        """Do it as the cluster's administrator, or as somebody else; return kubectl's words."""
        who = () if user is None else (f"--as={user}",)
        return self.cp.kubectl(*command, *who, stdin=stdin).stdout

    def refused(self, *command: str, user: str | None = None, stdin: str | None = None) -> str:
        """Fail unless the guard refuses it; return its words."""
        with pytest.raises(KubectlError) as refusal:
            self.act(*command, user=user, stdin=stdin)
        assert "ValidatingAdmissionPolicy 'licenseusage-" in str(refusal.value)
        return str(refusal.value)


def patch(kind: str, name: str, namespace: str, change: dict, *more: str) -> tuple[str, ...]:
    return (
        *("patch", kind, name, "-n", namespace, "--type=merge", "-p", json.dumps(change)),
        *more,
        "--dry-run=server",
    )


@pytest.fixture(scope="module")
def guarded(installed: Installed, kustomization):
    cp, (token,) = installed.control_plane, reports(1)
    cp.create_namespace(SHOP)
    cp.apply(usage_report(token, SHOP, "production-000001"))
    usage = {
        "apiVersion": "licenseusage.dev/v1alpha1",
        "kind": "LicenseUsage",
        "metadata": {"name": "shop", "namespace": SHOP},
        "spec": {
            "product": "shop",
            "cycle": {"anchorDate": "2026-01-15", "lengthDays": 30},
            "sources": [
                {
                    "name": "list",
                    "preset": "Standard",
                    "pods": {"selector": {"matchLabels": {"app": "shop"}}, "port": 80},
                    "auth": {"header": {"secretRef": {"name": "meter", "key": "token"}}},
                }
            ],
        },
    }
    cp.apply(usage)
    evidence = {
        "secret/licenseusage-identity": "secret generic licenseusage-identity",
        "secret/licenseusage-pseudonym": "secret generic licenseusage-pseudonym",
        "secret/another": "secret generic another",
        "configmap/licenseusage-key-statements": "configmap licenseusage-key-statements",
    }
    literals = ("--from-literal=private.jwk=k", "--from-literal=statements=s", "-n", SYSTEM)
    # What the operator of another module has made stays.
    made = [
        what
        for what, words in evidence.items()
        if cp.kubectl("create", *words.split(), *literals, check=False).returncode == 0
    ]
    guard = kustomization("tamper-guard", base=None)
    cp.kubectl("apply", "-k", str(guard))
    found = Guarded(cp, "production-000001")
    # The API server takes up a policy after a moment.
    for command in (status("shop"), ("delete", "ns", SYSTEM, "--dry-run=server")):
        until(lambda command=command: cp.kubectl(*command, check=False).returncode)
    yield found
    cp.kubectl("delete", "-k", str(guard))
    cp.kubectl("delete", "clusterrolebinding", "namespace-controller", "--ignore-not-found")
    # Until the API server has let go of the policy; what it let through before is gone already.
    gone = ("delete", "--ignore-not-found", *made, "-n", SYSTEM)
    until(lambda: cp.kubectl(*gone, check=False).returncode == 0)


def status(name: str) -> tuple[str, ...]:
    return patch("lu", name, SHOP, {"status": {"activeUsers": 1}}, "--subresource=status")


def test_an_administrator_of_the_cluster_cannot_write_a_number(guarded):
    words = guarded.refused(*status("shop"))
    assert "only the LicenseUsage operator writes licenseusages/status" in words
    assert "may not. A count is corrected by what is counted (spec.sources)" in words
    assert "denied request" in words
    guarded.act(*patch("lu", "shop", SHOP, {"spec": {"maximumActiveUsers": 9}}))


def test_the_operator_writes_numbers_and_deliveries(guarded):
    apply = ("apply", "--server-side", "--subresource=status", "--dry-run=server", "-f", "-")
    for kind, name, stated in (
        ("LicenseUsage", "shop", {"activeUsers": 1}),
        ("UsageReport", guarded.report, {"delivery": "Accepted"}),
    ):
        written = {
            "apiVersion": "licenseusage.dev/v1alpha1",
            "kind": kind,
            "metadata": {"name": name, "namespace": SHOP},
            "status": stated,
        }
        guarded.act(*apply, user=OPERATOR, stdin=json.dumps(written))
        words = guarded.refused(*apply, stdin=json.dumps(written))
        assert f"writes {kind.lower()}s/status: " in words


def test_a_report_is_made_by_the_operator_and_approved_by_people(guarded):
    (token,) = reports(1)
    mine = json.dumps(usage_report(token, SHOP, "mine-000001"))
    create = ("create", "--dry-run=server", "-f", "-")
    assert "writes usagereports: " in guarded.refused(*create, stdin=mine)
    guarded.act(*create, stdin=mine, user=OPERATOR)
    approval = {"metadata": {"annotations": {"licenseusage.dev/approve": "yes"}}}
    guarded.act(*patch("ur", guarded.report, SHOP, approval))
    label = {"metadata": {"labels": {"licenseusage.dev/usage": "another"}}}
    guarded.refused(*patch("ur", guarded.report, SHOP, label))
    guarded.act("delete", "ur", guarded.report, "-n", SHOP, "--dry-run=server")


@pytest.mark.parametrize("name", ["licenseusage-identity", "licenseusage-pseudonym"])
def test_a_key_is_neither_changed_nor_deleted(name, guarded):
    (secret,) = objects(guarded.act("get", "secret", name, "-n", SYSTEM, "-o", "yaml"))
    member = min(secret["data"])
    for change in (
        {"stringData": {member: "mine"}},
        {"stringData": {"next.jwk": "mine"}},
        {"data": {member: None}},
        {"data": None},
    ):
        words = guarded.refused(*patch("secret", name, SYSTEM, change))
        assert f"only the LicenseUsage operator changes secrets/{name}" in words
    words = guarded.refused("delete", "secret", name, "-n", SYSTEM, "--dry-run=server")
    assert f"only the LicenseUsage operator deletes secrets/{name}" in words
    assert "keys export" in words
    assert "ValidatingAdmissionPolicyBinding licenseusage-evidence" in words


def test_people_ask_for_another_key_and_note_an_export_as_the_commands_do(guarded):
    for wish in ({"rotate": "Scheduled"}, {"exported": "k 2026-11-30T00:00:00Z"}):
        change = {"stringData": wish}
        guarded.act(*patch("secret", "licenseusage-identity", SYSTEM, change))
    labelled = {"metadata": {"labels": {"team": "billing"}}}
    guarded.act(*patch("secret", "licenseusage-identity", SYSTEM, labelled))


def test_the_operator_replaces_its_key(guarded):
    (secret,) = objects(
        guarded.act("get", "secret", "licenseusage-identity", "-n", SYSTEM, "-o", "yaml")
    )
    secret["stringData"] = {"next.jwk": "k2"}
    replace = ("replace", "--dry-run=server", "-f", "-")
    guarded.refused(*replace, stdin=json.dumps(secret))
    guarded.act(*replace, stdin=json.dumps(secret), user=OPERATOR)


def test_ledger_statements_and_namespace_stay(guarded):
    for kind, name in (
        ("persistentvolumeclaims", "licenseusage-ledger"),
        ("configmaps", "licenseusage-key-statements"),
        ("namespaces", SYSTEM),
    ):
        words = guarded.refused("delete", kind, name, "-n", SYSTEM, "--dry-run=server")
        assert f"only the LicenseUsage operator deletes {kind}/{name}" in words
    forged = {"data": {"statements": "mine"}}
    guarded.refused(*patch("configmap", "licenseusage-key-statements", SYSTEM, forged))


def test_all_at_once_is_refused_as_each_is(guarded):
    before = guarded.act("get", "secrets", "-n", SYSTEM, "-o", "name")
    guarded.refused("delete", "--raw", f"/api/v1/namespaces/{SYSTEM}/secrets?dryRun=All")
    assert guarded.act("get", "secrets", "-n", SYSTEM, "-o", "name") == before


def test_other_objects_are_as_before(guarded):
    guarded.act(*patch("secret", "another", SYSTEM, {"stringData": {"private.jwk": "x"}}))
    guarded.act("delete", "secret", "another", "-n", SYSTEM, "--dry-run=server")
    create = ("create", "secret", "generic", "licenseusage-identity", "-n", SHOP)
    guarded.act(*create, "--from-literal=private.jwk=x")
    guarded.act("delete", "secret", "licenseusage-identity", "-n", SHOP)
    guarded.act("delete", "ns", SHOP, "--dry-run=server")


def test_controllers_finish_what_was_begun(guarded):
    bound = ("create", "clusterrolebinding", "namespace-controller", f"--user={NAMESPACES}")
    guarded.act(*bound, "--clusterrole=cluster-admin")
    gone = ("delete", "secret", "licenseusage-identity", "-n", SYSTEM, "--dry-run=server")
    guarded.act(*gone, user=NAMESPACES)
