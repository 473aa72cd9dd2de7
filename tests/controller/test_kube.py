"""The client against the real API server: errors with a meaning, no write without a change."""

from dataclasses import replace

import pytest

from licenseusage.controller.effects import listing
from licenseusage.controller.effects.endpoints import EndpointBook
from licenseusage.controller.effects.events import Events
from licenseusage.controller.effects.identity import Keys, Names
from licenseusage.controller.effects.kube import ConflictError, NotFoundError
from licenseusage.controller.effects.pods import ready_pods
from licenseusage.controller.effects.reportobjects import ReportObjects
from licenseusage.controller.effects.secrets import SecretReader
from licenseusage.controller.rules.key import Key
from licenseusage.controller.rules.resources import CONFIGMAPS, EVENTS, SECRETS, USAGES
from licenseusage.controller.rules.transitions import Event, Kind
from licenseusage.controller.steps.licensing import VendorKeysRef
from licenseusage.errors import Stalled
from licenseusage.reports.enrolment import build_enrolment
from licenseusage.reports.keys import SigningKey
from tests.delivery.people import INSTALLATION_KEY, NOW_S, enrolment, licence

pytestmark = pytest.mark.controlplane


def usage(namespace, name="shop"):
    pods = {"selector": {"matchLabels": {"app": "shop"}}, "port": "http", "scheme": "HTTP"}
    return {
        "apiVersion": "licenseusage.dev/v1alpha1",
        "kind": "LicenseUsage",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "product": "shop",
            "cycle": {"anchorDate": "2026-01-15", "lengthDays": 30},
            "sources": [{"name": "list", "preset": "Standard", "pods": pods}],
        },
    }


def configmap(namespace, name):
    meta = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"k": "v"}}


async def test_missing_and_existing_objects_are_told_apart(kube, namespace):
    with pytest.raises(NotFoundError):
        await kube.get(CONFIGMAPS, namespace, "x")
    await kube.create(CONFIGMAPS, namespace, configmap(namespace, "x"))
    with pytest.raises(ConflictError):
        await kube.create(CONFIGMAPS, namespace, configmap(namespace, "x"))
    await kube.delete(CONFIGMAPS, namespace, "x")
    await kube.delete(CONFIGMAPS, namespace, "x")


async def test_applying_the_same_status_twice_changes_nothing(kube, namespace):
    await kube.create(USAGES, namespace, usage(namespace))
    status = {"observedGeneration": 1, "activeText": "12 so far", "activeUsers": 12}
    await kube.apply_status(USAGES, namespace, "shop", "LicenseUsage", status)
    first = await kube.get(USAGES, namespace, "shop")
    await kube.apply_status(USAGES, namespace, "shop", "LicenseUsage", status)
    second = await kube.get(USAGES, namespace, "shop")
    assert first["status"]["activeUsers"] == 12
    assert first["metadata"]["resourceVersion"] == second["metadata"]["resourceVersion"]


async def test_what_a_status_leaves_out_is_removed(kube, namespace):
    await kube.create(USAGES, namespace, usage(namespace))
    full = {"observedGeneration": 1, "activeUsers": 12}
    await kube.apply_status(USAGES, namespace, "shop", "LicenseUsage", full)
    await kube.apply_status(USAGES, namespace, "shop", "LicenseUsage", {"observedGeneration": 1})
    assert "activeUsers" not in (await kube.get(USAGES, namespace, "shop"))["status"]


async def test_status_of_a_deleted_object_creates_nothing(kube, namespace):
    with pytest.raises(NotFoundError):
        await kube.apply_status(USAGES, namespace, "gone", "LicenseUsage", {"activeUsers": 1})


async def test_our_list_finds_objects_of_the_watched_namespaces(kube, namespace):
    await kube.create(USAGES, namespace, usage(namespace))
    version = (await kube.get(USAGES, namespace, "shop"))["metadata"]["resourceVersion"]
    assert await listing.versions(kube, [namespace]) == {Key(namespace, "shop"): version}
    assert (await listing.versions(kube, []))[Key(namespace, "shop")] == version


async def test_a_missing_role_is_a_named_failure_at_start(kube_as, namespace):
    with pytest.raises(Stalled) as caught:
        await listing.first(await kube_as(namespace), [])
    assert caught.value.reason == "RoleMissing"
    assert f"system:serviceaccount:{namespace}:default" in caught.value.message


async def test_a_forbidden_pod_list_names_the_role_binding_for_this_very_account(
    kube_as, namespace
):
    with pytest.raises(Stalled) as caught:
        await ready_pods(await kube_as(namespace), namespace, "app=x", 80, loopback_allowed=False)
    assert caught.value.reason == "ForbiddenByCluster"
    assert f"--serviceaccount={namespace}:default" in caught.value.message
    assert "--clusterrole=licenseusage-collector" in caught.value.message


async def test_what_is_the_operators_own_names_the_role_of_its_own_namespace(kube_as, namespace):
    refused = await kube_as(namespace)
    names = Names(namespace, "licenseusage-identity", "licenseusage-pseudonym")
    own = {(namespace, names.identity), (namespace, names.pseudonym), (namespace, "vendor")}
    own.add((namespace, "endpoints"))
    reader = SecretReader(refused, own)
    keys = Keys(
        refused,
        reader,
        names,
        new_signing_key=lambda: SigningKey.from_seed(b"1" * 32),
        random_bytes=lambda n: b"p" * n,
    )
    for failing in (
        keys.signing_key(0),
        keys.pseudonym_key(0),
        keys.create_if_absent(0),
        VendorKeysRef(namespace, "vendor").read(reader, 0),
        EndpointBook(namespace, "endpoints").find(
            reader, namespace, "nats", read_by="jetstream", loop_s=0
        ),
    ):
        with pytest.raises(Stalled) as caught:
            await failing
        assert caught.value.reason == "ForbiddenByCluster"
        assert f"RoleBinding licenseusage-operator in its own namespace {namespace}" in (
            caught.value.message
        )
        assert "your own kustomization, or helm upgrade" in caught.value.message
        assert "licenseusage-collector" not in caught.value.message
    # A Secret of the object, which is in the same namespace, is a collector's to read.
    with pytest.raises(Stalled, match="clusterrole=licenseusage-collector"):
        await reader.secret(namespace, "meter", "token", 0)


async def test_a_right_over_our_own_kinds_names_the_cluster_role_of_the_operator(
    kube_as, namespace
):
    with pytest.raises(Stalled) as caught:
        await ReportObjects(await kube_as(namespace)).live(Key(namespace, "shop"))
    assert "usagereports" in caught.value.message
    assert "ClusterRoleBinding licenseusage-operator" in caught.value.message
    assert "licenseusage-collector" not in caught.value.message


async def test_pods_are_read_raw_from_the_api_server(crds, kube, namespace):
    crds.create_pod(namespace, "p-0", labels={"app": "x"}, ports={"http": 8080}, ip="10.1.2.3")
    crds.create_pod(namespace, "p-1", labels={"app": "x"}, ports={"http": 8081}, ready=False)
    found, every_pod = await ready_pods(kube, namespace, "app=x", "http", loopback_allowed=False)
    assert [(a.pod, a.host, a.port) for a in found] == [("p-0", "10.1.2.3", 8080)]
    assert not every_pod, "p-1 is selected, too"


async def test_a_pod_that_failed_and_kept_its_address_is_not_asked(crds, kube, namespace):
    for name, ip in (("p-0", "10.1.2.3"), ("p-1", "10.1.2.4")):
        crds.create_pod(namespace, name, labels={"app": "x"}, ports={"http": 8080}, ip=ip)
    evicted = '{"status": {"phase": "Failed", "reason": "Evicted"}}'
    crds.kubectl(
        *("patch", "pod", "p-0", "-n", namespace, "--subresource=status"),
        *("--type=merge", "-p", evicted),
    )
    found, every_pod = await ready_pods(kube, namespace, "app=x", "http", loopback_allowed=False)
    assert [a.pod for a in found] == ["p-1"]
    assert every_pod, "p-0 runs no server any more"


async def test_secrets_are_remembered_for_less_than_a_minute(kube, namespace):
    reader = SecretReader(kube)
    with pytest.raises(Stalled) as caught:
        await reader.configmap(namespace, "x", "k", 0)
    assert caught.value.reason == "ConfigMapNotFound"
    await kube.create(CONFIGMAPS, namespace, configmap(namespace, "x"))
    assert await reader.configmap(namespace, "x", "k", 1) == b"v"
    await kube.merge(CONFIGMAPS, namespace, "x", {"data": {"k": "new"}})
    assert await reader.configmap(namespace, "x", "k", 20) == b"v"
    assert await reader.configmap(namespace, "x", "k", 62) == b"new"
    with pytest.raises(Stalled) as caught:
        await reader.configmap(namespace, "x", "other", 62)
    assert caught.value.reason == "ConfigMapKeyMissing"


async def test_a_repeated_event_is_counted_not_posted_again(kube, namespace):
    made = await kube.create(USAGES, namespace, usage(namespace))
    events = Events(kube, "operator-0")
    for _ in range(3):
        await events.post(made, Event(Kind.WARNING, "Timeout", "Collect", "slow"), 1_780_000_000)
    listed = await kube.items(EVENTS, namespace)
    assert len(listed) == 1
    assert listed[0]["series"]["count"] == 3
    assert listed[0]["reportingController"] == "licenseusage.dev/operator"


async def test_a_note_of_many_bytes_is_cut_as_the_api_server_counts_them(kube, namespace):
    made = await kube.create(USAGES, namespace, usage(namespace))
    events = Events(kube, "operator-0")
    for note in ("ü" * 1024, "a" + "é" * 511 + "x", "€" * 341 + "xy", "x" * 1024):
        await events.post(made, Event(Kind.WARNING, "Timeout", "Collect", note), 1_780_000_000)
    notes = sorted(one["note"] for one in await kube.items(EVENTS, namespace))
    assert [len(note.encode()) for note in notes] == [1024, 1024, 1023, 1023]
    assert notes[2:] == ["ü" * 510 + "…", "€" * 340 + "…"]


@pytest.fixture
def keys(kube, namespace):
    seeds = iter((b"1" * 32, b"2" * 32))
    return Keys(
        kube,
        SecretReader(kube),
        Names(namespace, "licenseusage-identity", "licenseusage-pseudonym"),
        new_signing_key=lambda: SigningKey.from_seed(next(seeds)),
        random_bytes=lambda n: b"p" * n,
    )


async def test_keys_are_made_once_and_then_only_read(keys):
    await keys.create_if_absent(0)
    first = await keys.signing_key(1)
    await keys.create_if_absent(2)
    assert (await keys.signing_key(3)).kid == first.kid
    assert (await keys.pseudonym_key(3)).value == b"p" * 32


async def test_a_lost_key_is_said_and_not_replaced(keys, kube, namespace):
    with pytest.raises(Stalled) as caught:
        await keys.signing_key(0)
    assert caught.value.reason == "IdentityLost"
    with pytest.raises(Stalled) as caught:
        await keys.pseudonym_key(0)
    assert caught.value.reason == "PseudonymKeyLost"
    assert not await kube.items(SECRETS, namespace)


async def test_key_statements_are_kept_beside_the_key(keys, kube, namespace):
    await keys.create_if_absent(0)
    await keys.keep_statements(("a.b.c",), 1)
    before = await kube.get(SECRETS, namespace, "licenseusage-identity")
    await keys.keep_statements(("a.b.c",), 2)
    after = await kube.get(SECRETS, namespace, "licenseusage-identity")
    assert before["metadata"]["resourceVersion"] == after["metadata"]["resourceVersion"]
    assert set(after["data"]) == {"private.jwk", "statements"}


async def test_the_statements_of_one_subscription_leave_those_of_another(keys, kube, namespace):
    await keys.create_if_absent(0)
    renewed = replace(licence(), subscription="sub-2")
    one, other = enrolment(), build_enrolment(renewed, INSTALLATION_KEY, issued_at_s=NOW_S)
    await keys.keep_statements((one,), 1)
    await keys.keep_statements((other,), 1)
    assert await keys.statements(2) == (one, other)
    before = await kube.get(SECRETS, namespace, "licenseusage-identity")
    await keys.keep_statements((one,), 3)  # the two take turns, and write nothing
    after = await kube.get(SECRETS, namespace, "licenseusage-identity")
    assert before["metadata"]["resourceVersion"] == after["metadata"]["resourceVersion"]
