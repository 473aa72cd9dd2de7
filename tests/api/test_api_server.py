"""What the real API server accepts and refuses, and what it says."""

import json
import re
from typing import Any

import pytest

from hack.controlplane import ControlPlane

pytestmark = pytest.mark.controlplane

NAMESPACE = "api-objects"


@pytest.fixture(scope="module")
def cluster(crds: ControlPlane) -> ControlPlane:
    crds.create_namespace(NAMESPACE)
    return crds


def apply(cluster: ControlPlane, document: dict[str, Any], *options: str) -> str:
    """Apply as a user does; return what kubectl printed, on both streams."""
    done = cluster.kubectl(
        "apply", "-n", NAMESPACE, *options, "-f", "-", stdin=json.dumps(document), check=False
    )
    return done.stdout + done.stderr


def test_good_object_is_accepted(cluster: ControlPlane, good: dict[str, Any]) -> None:
    said = apply(cluster, good)
    assert said.strip().endswith(("created", "configured", "unchanged")), said
    assert "Warning" not in said


def test_bad_object_is_refused_with_words_that_name_the_fix(
    cluster: ControlPlane, bad: Any
) -> None:
    version, kind = bad.document["apiVersion"], bad.document["kind"].lower()
    says = cluster.refusal(f"/apis/{version}/namespaces/{NAMESPACE}/{kind}s", bad.document)
    assert bad.says in says


def test_kubectl_shows_the_api_servers_words(
    cluster: ControlPlane, bad_objects: dict[str, Any]
) -> None:
    bad = next(iter(bad_objects.values()))
    assert bad.says in apply(cluster, bad.document, "--dry-run=server")


def _usage(name: str, product: str) -> dict[str, Any]:
    return {
        "apiVersion": "licenseusage.dev/v1alpha1",
        "kind": "LicenseUsage",
        "metadata": {"name": name},
        "spec": {
            "product": product,
            "cycle": {"anchorDate": "2026-01-15", "lengthDays": 30},
            "sources": [
                {
                    "name": "s",
                    "preset": "Standard",
                    "pods": {"selector": {"matchLabels": {"app": "x"}}},
                }
            ],
        },
    }


def _patch(cluster: ControlPlane, target: str, patch: object, kind: str = "merge") -> str:
    done = cluster.kubectl(
        "patch", target, "-n", NAMESPACE, f"--type={kind}", "-p", json.dumps(patch), check=False
    )
    return done.stdout + done.stderr


def test_product_is_immutable_when_changed(cluster: ControlPlane) -> None:
    apply(cluster, _usage("immutable", "one"))
    said = _patch(cluster, "lu/immutable", {"spec": {"product": "two"}})
    assert (
        'spec.product: Forbidden: product cannot be changed from "one" to "two": delete the object '
        "and create one for the other product" in said
    )


def test_product_is_immutable_when_removed(cluster: ControlPlane) -> None:
    apply(cluster, _usage("removed", "one"))
    said = _patch(cluster, "lu/removed", [{"op": "remove", "path": "/spec/product"}], "json")
    assert "spec.product: Required value" in said


def test_product_is_immutable_when_the_spec_is_removed(cluster: ControlPlane) -> None:
    apply(cluster, _usage("emptied", "one"))
    said = _patch(cluster, "lu/emptied", [{"op": "remove", "path": "/spec"}], "json")
    assert "spec: Required value" in said


def test_everything_else_of_a_usage_may_change(cluster: ControlPlane) -> None:
    apply(cluster, _usage("changing", "one"))
    change = {
        "suspend": "Reporting",
        "closeGraceHours": 48,
        "cycle": None,
        "license": {"secretRef": {"name": "l"}},
    }
    assert "patched" in _patch(cluster, "lu/changing", {"spec": change})


def _report(name: str) -> dict[str, Any]:
    return {
        "apiVersion": "licenseusage.dev/v1alpha1",
        "kind": "UsageReport",
        "metadata": {"name": name},
        "spec": {
            "usageName": "x",
            "kind": "Final",
            "sequence": 1,
            "cycle": {
                "index": 0,
                "startTime": "2026-01-01T00:00:00Z",
                "endTime": "2026-01-31T00:00:00Z",
            },
            "activeText": "1",
            "token": "a.b.c",
        },
    }


@pytest.mark.parametrize(
    "operation",
    [
        pytest.param({"op": "replace", "path": "/spec/activeText", "value": "2"}, id="change"),
        pytest.param(
            {"op": "replace", "path": "/spec/cycle/index", "value": 1}, id="change-within"
        ),
        pytest.param({"op": "add", "path": "/spec/cycle/endDate", "value": "2026-01-31"}, id="add"),
    ],
)
def test_report_is_immutable(
    cluster: ControlPlane, operation: dict[str, Any], request: pytest.FixtureRequest
) -> None:
    name = f"report-{request.node.callspec.id}"
    apply(cluster, _report(name))
    said = _patch(cluster, f"ur/{name}", [operation], "json")
    assert "spec: Forbidden: a report cannot be changed once it is made" in said


@pytest.mark.parametrize("member", ["usageName", "token", "cycle"])
def test_report_is_immutable_when_a_member_is_removed(cluster: ControlPlane, member: str) -> None:
    name = f"report-without-{member.lower()}"
    apply(cluster, _report(name))
    said = _patch(cluster, f"ur/{name}", [{"op": "remove", "path": f"/spec/{member}"}], "json")
    assert f"spec.{member}: Required value" in said


def test_report_without_its_optional_member_cannot_lose_it(cluster: ControlPlane) -> None:
    report = _report("report-with-dates")
    report["spec"]["cycle"]["endDate"] = "2026-01-31"
    apply(cluster, report)
    removal = [{"op": "remove", "path": "/spec/cycle/endDate"}]
    said = _patch(cluster, "ur/report-with-dates", removal, "json")
    assert "spec: Forbidden: a report cannot be changed once it is made" in said


def test_report_applied_again_is_unchanged(cluster: ControlPlane) -> None:
    apply(cluster, _report("again"))
    assert "unchanged" in apply(cluster, _report("again"))


def test_new_usage_is_not_current_for_kstatus(cluster: ControlPlane) -> None:
    apply(cluster, _usage("fresh", "one"))
    shown = cluster.kubectl("get", "lu/fresh", "-n", NAMESPACE, "-o", "json").stdout
    assert json.loads(shown)["status"] == {"observedGeneration": -1}


def test_defaults_stay_out_of_lists(cluster: ControlPlane) -> None:
    written = _usage("drift", "one")
    apply(cluster, written)
    live = json.loads(cluster.kubectl("get", "lu/drift", "-n", NAMESPACE, "-o", "json").stdout)
    assert live["spec"]["sources"] == written["spec"]["sources"]
    assert live["spec"] == written["spec"] | {
        "closeGraceHours": 24,
        "combine": "Union",
        "suspend": "None",
    }


STATUS = {
    "observedGeneration": 1,
    "cycle": {
        "index": 10,
        "startTime": "2026-11-11T00:00:00Z",
        "endTime": "2026-12-11T00:00:00Z",
        "startDate": "2026-11-11",
        "endDate": "2026-12-11",
    },
    "activeText": "412 so far",
    "activeUsers": 412,
    "accuracy": "LowerBound",
    "asOfTime": "2026-11-23T12:00:00Z",
    "provisionedUsers": 2300,
    "maximumActiveUsers": 500,
    "coverage": {
        "observedSeconds": 1_000_000,
        "gaps": [
            {
                "startTime": "2026-11-12T00:00:00Z",
                "endTime": "2026-11-12T01:00:00Z",
                "reason": "NoReadyPods",
            }
        ],
    },
    "history": [
        {
            "index": 9,
            "startTime": "2026-10-12T00:00:00Z",
            "endTime": "2026-11-11T00:00:00Z",
            "state": "Final",
            "activeText": "412–419",  # noqa: RUF001
            "activeUsers": 412,
            "activeUsersUpperBound": 419,
            "accuracy": "Bounded",
            "report": "opencloud-8ee9a1f2-000301",
        }
    ],
    "sources": [
        {
            "name": "graph",
            "lastSuccessTime": "2026-11-23T12:00:00Z",
            "lastPollSeconds": 1,
            "lastPollBytes": 40_000_000_000,
            "nextPollTime": "2026-11-23T12:15:00Z",
            "intervalSeconds": 900,
            "intervalReason": "AsDeclared",
            "usersListed": 2300,
            "skipped": [{"reason": "NeverActive", "count": 1888}],
        }
    ],
    "lastReport": {
        "name": "opencloud-8ee9a1f2-000313",
        "sequence": 313,
        "kind": "Interim",
        "delivery": "Accepted",
        "acceptedTime": "2026-11-23T09:00:00Z",
    },
    "conditions": [
        {
            "type": "Ready",
            "status": "True",
            "observedGeneration": 1,
            "lastTransitionTime": "2026-11-01T00:00:00Z",
            "reason": "Succeeded",
            "message": "",
        }
    ],
}


@pytest.fixture(scope="module")
def shown(cluster: ControlPlane) -> ControlPlane:
    """A namespace with one usage and one report, with status, as in the design's example."""
    cluster.create_namespace("api-shown")
    usage, report = _usage("opencloud", "opencloud"), _report("opencloud-8ee9a1f2-000301")
    report["spec"] |= {"activeText": "398", "usageName": "opencloud"}
    report["spec"]["cycle"]["startDate"] = "2026-10-12"
    for document in (usage, report):
        cluster.kubectl("create", "-n", "api-shown", "-f", "-", stdin=json.dumps(document))
    for target, status in (
        ("lu/opencloud", STATUS),
        ("ur/opencloud-8ee9a1f2-000301", {"delivery": "Accepted"}),
    ):
        cluster.kubectl(
            *("patch", target, "-n", "api-shown", "--subresource=status", "--type=merge"),
            *("-p", json.dumps({"status": status})),
        )
    return cluster


def _table(cluster: ControlPlane, *args: str) -> list[str]:
    return cluster.kubectl("get", *args, "-n", "api-shown").stdout.splitlines()


def test_columns_of_a_usage_fit_a_terminal(shown: ControlPlane) -> None:
    header, row = _table(shown, "licenseusage")
    assert header.split() == [
        *("NAME", "ACTIVE", "AS-OF", "ENTITLED", "CYCLE-ENDS", "REPORTED", "READY", "AGE")
    ]
    cells = re.split(r"\s{2,}", row.strip())
    assert [cells[n] for n in (0, 1, 3, 4, 6)] == [
        *("opencloud", "412 so far", "500", "2026-12-11", "True")
    ]
    for age in (cells[2], cells[5]):  # the machine's clock decides
        assert re.fullmatch(r"\d+[smhdy].*|<invalid>", age)
    assert max(len(header), len(row)) <= 80


def test_columns_of_a_usage_wide(shown: ControlPlane) -> None:
    header, row = _table(shown, "lu", "-o", "wide")
    assert header.split()[8:] == ["PRODUCT", "PROVISIONED", "ACCURACY", "LAST-CYCLE", "REASON"]
    cells = re.split(r"\s{2,}", row.strip())
    assert cells[8:] == ["opencloud", "2300", "LowerBound", "412–419", "Succeeded"]  # noqa: RUF001


def test_columns_of_a_report_fit_a_terminal(shown: ControlPlane) -> None:
    header, row = _table(shown, "usagereports")
    assert header.split() == ["NAME", "KIND", "ACTIVE", "CYCLE-STARTS", "DELIVERY", "AGE"]
    cells = re.split(r"\s{2,}", row.strip())
    assert cells[:5] == ["opencloud-8ee9a1f2-000301", "Final", "398", "2026-10-12", "Accepted"]
    assert max(len(header), len(row)) <= 80


def test_columns_of_a_receipt(cluster: ControlPlane, good_objects: dict[str, Any]) -> None:
    apply(cluster, good_objects["UsageReceipt from-the-vendor"])
    header = cluster.kubectl("get", "urc", "-n", NAMESPACE).stdout.splitlines()[0]
    assert header.split() == ["NAME", "RECEIPTS", "ACCEPTED", "READY", "REASON", "AGE"]


def test_usages_are_selected_by_product(shown: ControlPlane) -> None:
    found = _table(shown, "lu", "-o", "name", "--field-selector", "spec.product=opencloud")
    assert found == ["licenseusage.licenseusage.dev/opencloud"]
    assert _table(shown, "lu", "-o", "name", "--field-selector", "spec.product=other") == []


def test_reports_are_selected_by_usage(shown: ControlPlane) -> None:
    found = _table(shown, "ur", "-o", "name", "--field-selector", "spec.usageName=opencloud")
    assert found == ["usagereport.licenseusage.dev/opencloud-8ee9a1f2-000301"]


def test_wait_for_ready_succeeds(shown: ControlPlane) -> None:
    args = ("--for=condition=Ready", "licenseusage/opencloud", "-n", "api-shown", "--timeout=5s")
    assert "condition met" in shown.kubectl("wait", *args).stdout


def test_delete_returns_at_once(cluster: ControlPlane) -> None:
    apply(cluster, _usage("short-lived", "one"))
    args = ("delete", "licenseusage/short-lived", "-n", NAMESPACE)
    cluster.kubectl(*args, timeout_seconds=10)
    left = cluster.kubectl("get", "lu/short-lived", "-n", NAMESPACE, check=False)
    assert "NotFound" in left.stderr


def _objects(schema: dict[str, Any], path: str) -> dict[str, dict[str, Any]]:
    """Path -> schema of every object below, looking through lists."""
    while schema.get("type") == "array":
        schema = schema["items"]
    if "properties" not in schema:
        return {}
    found = {path: schema}
    for name, member in schema["properties"].items():
        found |= _objects(member, f"{path}.{name}")
    return found


@pytest.mark.parametrize("kind", ["licenseusage", "usagereport", "usagereceipt"])
def test_explain_describes_every_field(cluster: ControlPlane, kind: str) -> None:
    crd = json.loads(
        cluster.kubectl("get", "crd", f"{kind}s.licenseusage.dev", "-o", "json").stdout
    )
    root = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    objects = {
        path: schema
        for part in ("spec", "status")
        for path, schema in _objects(root["properties"][part], f"{kind}.{part}").items()
    }
    group = cluster.get("/openapi/v3/apis/licenseusage.dev/v1alpha1")
    assert group is not None
    served = {
        name.rpartition(".")[2].lower(): of for name, of in group["components"]["schemas"].items()
    }
    for path, schema in objects.items():
        explained = served[kind]
        for name in path.split(".")[1:]:
            explained = explained["properties"][name]
            while "items" in explained:
                explained = explained["items"]
        for name, member in schema["properties"].items():
            assert explained["properties"][name]["description"] == member["description"], path
    told = " ".join(cluster.kubectl("explain", f"{kind}.spec").stdout.split())
    for member in objects[f"{kind}.spec"]["properties"].values():
        assert " ".join(member["description"].split()) in told
