"""``licenseusage doctor``: each check says ok of what is in order, and what is wrong otherwise."""

import copy
import json
from dataclasses import replace

import pytest

from licenseusage import __version__
from licenseusage.cli.doctor import command, installation, keys, products, usages
from licenseusage.cli.doctor.facts import Facts, Place, Unseen
from licenseusage.cli.doctor.findings import Level, Result, result
from licenseusage.cli.doctor.looking import shipped
from licenseusage.cli.doctor.rights import asked
from licenseusage.reasons import Reason
from licenseusage.reasons.book import BOOK
from tests.cli.pods import URL, pod

NOW = 1_795_000_000.0
NAMESPACE = "licenseusage-system"
DEPLOYMENT = {
    "metadata": {"namespace": NAMESPACE, "name": "licenseusage-operator"},
    "spec": {
        "replicas": 1,
        "template": {
            "metadata": {"labels": {"app.kubernetes.io/component": "operator"}},
            "spec": {
                "serviceAccountName": "licenseusage-operator",
                "containers": [
                    {"name": "operator", "image": f"licenseusage:{__version__}", "env": [URL]}
                ],
                "volumes": [{"persistentVolumeClaim": {"claimName": "licenseusage-ledger"}}],
            },
        },
    },
}
METRICS = f"""\
# TYPE licenseusage_build_info gauge
licenseusage_build_info{{version="{__version__}"}} 1
# TYPE licenseusage_ledger_volume_size_bytes gauge
licenseusage_ledger_volume_size_bytes 1000
# TYPE licenseusage_ledger_volume_available_bytes gauge
licenseusage_ledger_volume_available_bytes 900
# TYPE licenseusage_license_expiry_timestamp_seconds gauge
licenseusage_license_expiry_timestamp_seconds{{usage_namespace="shop",usage="wiki"}} {NOW + 9e6}
"""
STATUS = {
    "identity": {"keyId": "k1"},
    "pseudonym": {"keyId": "p1"},
    "exportTime": "2026-11-01T00:00:00Z",
}
USAGE = {
    "metadata": {"namespace": "shop", "name": "wiki", "generation": 2},
    "spec": {"license": {"secretRef": {"name": "license"}}},
    "status": {
        "observedGeneration": 2,
        "activeText": "412 so far",
        "lastReport": {"acceptedTime": "2026-11-20T00:00:00Z"},
        "conditions": [
            {"type": kind, "status": "True", "reason": "Fine"}
            for kind in ("Ready", "Collected", "Licensed", "Reported")
        ],
    },
}
PRODUCT = {
    "metadata": {"namespace": "shop", "name": "wiki-0", "labels": {"app": "wiki"}},
    "spec": {"containers": [{"ports": [{"name": "http", "containerPort": 80}]}]},
    "status": {"conditions": [{"type": "Ready", "status": "True"}]},
}
POLICY = {
    "metadata": {"namespace": "shop", "name": "deny"},
    "spec": {"podSelector": {}, "policyTypes": ["Ingress"]},
}
PLACE = Place("shop/wiki", "users", selector="app=wiki", port="http", pods=[PRODUCT])


def established(crd):
    return {**crd, "status": {"conditions": [{"type": "Established", "status": "True"}]}}


def facts(**changed):
    """An installation in which everything is as it should be, but for what is changed."""
    names = Facts(
        **dict.fromkeys(["namespace", "version"], NAMESPACE),
        now_s=NOW,
        ahead_s=0,
        crds={},
        deployments=[DEPLOYMENT],
        pods=[],
    ).names
    healthy = Facts(
        namespace=NAMESPACE,
        version=__version__,
        now_s=NOW,
        ahead_s=0.0,
        crds={name: established(crd) for name, crd in shipped().items()},
        deployments=[DEPLOYMENT],
        pods=[pod()],
        claims={"licenseusage-ledger": {"status": {"phase": "Bound"}}},
        metrics=METRICS,
        rights=[(one, True) for one in asked(names, NAMESPACE, ["shop"])],
        secrets=frozenset({"licenseusage-identity", "licenseusage-pseudonym"}),
        configmaps={
            "licenseusage-vendor-keys": {"data": {"jwks.json": '{"keys": [{"kid": "v"}]}'}},
            "licenseusage-key-statements": {"data": {"status.json": json.dumps(STATUS)}},
        },
        usages=[USAGE],
        places=[PLACE],
    )
    return replace(healthy, **changed)


def changed(original, path, value):
    made = copy.deepcopy(original)
    *way, last = path.split(".")
    at = made
    for step in way:
        at = at[int(step)] if step.isdigit() else at[step]
    at[int(last) if last.isdigit() else last] = value
    return made


def only(findings):
    """The one finding that is not ok."""
    (found,) = [one for one in findings if one.level is not Level.GOOD]
    return found


def condition(kind, status, reason, **more):
    one = {"type": kind, "status": status, "reason": reason, "message": "seen", **more}
    kept = [each for each in USAGE["status"]["conditions"] if each["type"] != kind]
    return [changed(USAGE, "status.conditions", [*kept, one])]


def published(**status):
    data = {"data": {"status.json": json.dumps({**STATUS, **status})}}
    return {**facts().configmaps, "licenseusage-key-statements": data}


def test_an_installation_in_order_is_ok_in_every_check():
    found = command.judged(facts())
    assert {one.level for one in found} == {Level.GOOD}
    assert result(found) is Result.OK
    assert {one.check for one in found} == {
        *("definitions", "operator", "version", "pod", "rights", "clock", "storage", "keys"),
        *("key backup", "rotation", "vendor keys", "conditions", "licence", "delivery"),
        *("product", "network"),
    }


def test_a_failure_outweighs_what_was_not_seen_and_a_warning_is_none():
    good, warning, bad, unseen = (
        replace(command.judged(facts())[0], level=level)
        for level in (Level.GOOD, Level.WARNING, Level.BAD, Level.UNSEEN)
    )
    assert result([good, warning]) is Result.OK
    assert result([good, warning, unseen]) is Result.UNDETERMINED
    assert result([unseen, bad]) is Result.NOT_OK


@pytest.mark.parametrize(
    ("crd", "seen", "fix"),
    [
        (None, "it is not installed", "kubectl apply -k crds"),
        (
            lambda crd: changed(crd, "spec.versions.0.schema", {"openAPIV3Schema": {}}),
            "schema of v1alpha1 differ",
            "kubectl apply -k crds",
        ),
        (lambda crd: {**crd, "status": {}}, "does not serve it", "kubectl describe crd"),
        (
            lambda crd: changed(crd, "spec.versions.0.served", False),
            "version v1alpha1 (not served)",
            "kubectl apply -k crds",
        ),
    ],
)
def test_definitions(crd, seen, fix):
    name = "usagereports.licenseusage.dev"
    there = dict(facts().crds)
    there[name] = crd and crd(there[name])
    found = only(installation.definitions(facts(crds=there), shipped()))
    assert (found.level, found.about) == (Level.BAD, name)
    assert seen in found.seen
    assert fix in found.fix


@pytest.mark.parametrize(
    ("path", "value", "level", "seen"),
    [
        ("spec.replicas", 0, Level.BAD, "scaled to zero"),
        ("spec.replicas", 2, Level.BAD, "one file that only one can use"),
    ],
)
def test_the_deployment(path, value, level, seen):
    found = only(installation.operator(facts(deployments=[changed(DEPLOYMENT, path, value)])))
    assert (found.check, found.level) == ("operator", level)
    assert seen in found.seen


def test_several_replicas_are_right_with_a_database():
    template = "spec.template.spec.containers.0.env"
    env = [{**URL, "value": "postgresql://db/ledger"}]
    two = changed(changed(DEPLOYMENT, "spec.replicas", 2), template, env)
    assert {one.level for one in installation.operator(facts(deployments=[two]))} == {Level.GOOD}


def test_no_deployment():
    found = only(installation.operator(facts(deployments=[])))
    assert found.level is Level.BAD
    assert "--operator-namespace" in found.fix


def test_another_version_than_this_program():
    metrics = METRICS.replace(f'"{__version__}"', '"9.8.7"')
    found = only(installation.operator(facts(metrics=metrics)))
    assert (found.check, found.level) == ("version", Level.WARNING)
    assert "the operator is licenseusage 9.8.7" in found.seen
    image = changed(DEPLOYMENT, "spec.template.spec.containers.0.image", "r.example:5000/l:v9.8.7")
    found = only(installation.operator(facts(metrics=Unseen("no"), deployments=[image])))
    assert "9.8.7" in found.seen


WAITING = {"waiting": {"reason": "ImagePullBackOff"}}
KILLED = {"terminated": {"reason": "OOMKilled", "exitCode": 137}}


def restarted():
    one = pod()
    one["status"]["containerStatuses"][0] |= {"restartCount": 7, "lastState": KILLED}
    return one


@pytest.mark.parametrize(
    ("pods", "level", "seen"),
    [
        ([], Level.BAD, "no pod is there"),
        ([pod(state=WAITING)], Level.BAD, "ImagePullBackOff"),
        ([pod(ready=False)], Level.BAD, "not ready"),
        ([restarted()], Level.WARNING, "7 restarts, last: OOMKilled (exit code 137)"),
    ],
)
def test_the_pod(pods, level, seen):
    found = only(installation.operator(facts(pods=pods)))
    assert (found.check, found.level) == ("pod", level)
    assert seen in found.seen


def test_a_right_that_is_missing_is_named_with_the_way_to_grant_it():
    rights = facts().rights
    for at, (one, _) in enumerate(rights):
        (found,) = installation.rights(facts(rights=[(one, False), *rights[:at]]))
        assert found.seen == f"it may not {one}"
        assert found.level is (Level.WARNING if one.right.optional else Level.BAD)
        product = "licenseusage-collector" if one.namespace == "shop" else "manifests/base"
        assert product in found.fix


@pytest.mark.parametrize(
    ("ahead", "level"),
    [(0, Level.GOOD), (-5, Level.GOOD), (6, Level.WARNING), (-301, Level.BAD), (301, Level.BAD)],
)
def test_the_clock_of_this_machine(ahead, level):
    (found,) = installation.clock(facts(ahead_s=ahead))
    assert found.level is level
    assert f"{abs(ahead)} s" in found.seen


def test_the_clock_of_the_operator():
    skewed = condition("Ready", "False", "ClockSkewed")
    found = only(usages.operator_clock(facts(usages=skewed)))
    assert (found.check, found.about, found.level) == ("clock", "operator", Level.BAD)
    assert "NTP" in found.fix


@pytest.mark.parametrize(
    ("free", "level"), [(900, Level.GOOD), (199, Level.WARNING), (49, Level.BAD)]
)
def test_free_space(free, level):
    metrics = METRICS.replace("available_bytes 900", f"available_bytes {free}")
    *_, found = installation.storage(facts(metrics=metrics))
    assert (found.about, found.level) == ("free space", level)


@pytest.mark.parametrize(
    ("claims", "seen"),
    [
        ({}, "it is not there"),
        ({"licenseusage-ledger": {"status": {"phase": "Pending"}}}, "its phase is Pending"),
    ],
)
def test_the_volume_claim(claims, seen):
    found = only(installation.storage(facts(claims=claims)))
    assert (found.level, found.seen) == (Level.BAD, seen)


def test_a_ledger_without_a_volume_is_lost_with_the_pod():
    without = changed(DEPLOYMENT, "spec.template.spec.volumes", [])
    found = only(installation.storage(facts(deployments=[without])))
    assert found.level is Level.BAD
    assert "lost with the pod" in found.seen


def test_a_key_that_is_lost():
    found = only(keys.keys(facts(secrets=frozenset({"licenseusage-identity"}))))
    assert (found.level, found.about) == (Level.BAD, f"Secret {NAMESPACE}/licenseusage-pseudonym")
    assert "keys import" in found.fix
    found = only(keys.keys(facts(configmaps=published(pseudonym=None))))
    assert found.seen == "the operator cannot read its pseudonym key"


def test_a_key_without_a_backup():
    found = only(keys.keys(facts(configmaps=published(exportTime=None))))
    assert (found.check, found.level) == ("key backup", Level.WARNING)
    assert "keys export" in found.fix
    env = [URL, {"name": "LICENSEUSAGE_KEYS_BACKUP", "value": "Elsewhere"}]
    elsewhere = changed(DEPLOYMENT, "spec.template.spec.containers.0.env", env)
    at_rest = facts(configmaps=published(exportTime=None), deployments=[elsewhere])
    assert {one.level for one in keys.keys(at_rest)} == {Level.GOOD}


def test_an_operator_that_has_published_nothing():
    maps = {**facts().configmaps, "licenseusage-key-statements": None}
    found = only(keys.keys(facts(configmaps=maps)))
    assert (found.level, found.fix) == (Level.WARNING, "Create the licence's Secret.")
    unlicensed = facts(configmaps=maps, usages=[{**USAGE, "spec": {}}])
    assert {one.level for one in keys.keys(unlicensed)} == {Level.GOOD}


def test_a_rotation_that_is_half_done():
    identity = {"keyId": "k1", "nextKeyId": "k2", "rotation": "Scheduled"}
    found = only(keys.keys(facts(configmaps=published(identity=identity))))
    assert (found.check, found.level) == ("rotation", Level.WARNING)
    assert "Scheduled" in found.seen


@pytest.mark.parametrize("data", [None, {"data": {}}, {"data": {"jwks.json": '{"keys": []}'}}])
def test_the_vendors_keys(data):
    maps = {**facts().configmaps, "licenseusage-vendor-keys": data}
    (found,) = keys.vendor_keys(facts(configmaps=maps))
    assert found.level is Level.BAD
    (found,) = keys.vendor_keys(facts(configmaps=maps, usages=[{**USAGE, "spec": {}}]))
    assert found.level is Level.GOOD


@pytest.mark.parametrize(
    ("days", "level"),
    [(31, Level.GOOD), (29, Level.WARNING), (6, Level.WARNING), (0.9, Level.BAD), (-3, Level.BAD)],
)
def test_a_licence_that_ends_soon(days, level):
    metrics = METRICS.replace(str(NOW + 9e6), str(NOW + days * 86_400))
    found = [one for one in usages.usages(facts(metrics=metrics)) if one.check == "licence"]
    assert [one.level for one in found] == [level]


def test_a_licence_that_is_not_valid():
    unlicensed = facts(usages=condition("Licensed", "False", "LicenseNotFound"))
    (found,) = [one for one in usages.usages(unlicensed) if one.check == "licence"]
    assert (found.level, found.seen) == (Level.BAD, "it is not valid: LicenseNotFound")
    assert found.fix


@pytest.mark.parametrize(
    ("kind", "status", "level"),
    [
        ("Ready", "False", Level.BAD),
        ("Stalled", "True", Level.BAD),
        ("GuaranteesHold", "False", Level.BAD),
        ("Collected", "False", Level.WARNING),
        ("Reconciling", "True", Level.WARNING),
        ("CountedOnce", "Unknown", Level.WARNING),
        ("Stalled", "False", None),
    ],
)
def test_a_condition_that_is_not_good_has_the_fix_of_its_reason(kind, status, level):
    found = [
        one
        for one in usages.usages(facts(usages=condition(kind, status, "NoReadyPods")))
        if one.check == "conditions" and one.level is not Level.GOOD
    ]
    assert [one.level for one in found] == ([level] if level else [])
    for one in found:
        assert one.seen == f"{kind}={status} NoReadyPods: seen"
        assert one.fix == BOOK[Reason.NO_READY_PODS].fix


def test_an_object_that_the_operator_has_not_seen():
    (found,) = [
        one
        for one in usages.usages(facts(usages=[changed(USAGE, "metadata.generation", 3)]))
        if one.level is Level.BAD
    ]
    assert "generation 2 of 3" in found.seen


def test_an_object_in_a_namespace_that_is_not_watched():
    env = [URL, {"name": "LICENSEUSAGE_NAMESPACES", "value": "other"}]
    one = changed(DEPLOYMENT, "spec.template.spec.containers.0.env", env)
    found = [each for each in usages.usages(facts(deployments=[one])) if each.check == "conditions"]
    assert found[0].level is Level.WARNING
    assert "watches other namespaces only (other)" in found[0].seen


def test_a_report_that_is_late():
    since = "2026-11-17T00:00:00Z"
    late = condition("Reported", "False", "VendorUnreachable", lastTransitionTime=since)
    (found,) = [one for one in usages.usages(facts(usages=late)) if one.check == "delivery"]
    assert found.level is Level.BAD
    assert found.seen.startswith("VendorUnreachable for ")
    assert "accepted the last report at 2026-11-20T00:00:00Z" in found.seen


@pytest.mark.parametrize(
    ("place", "seen"),
    [
        (replace(PLACE, pods=[]), "0 pod(s) fit app=wiki, 0 ready"),
        (
            replace(PLACE, pods=[changed(PRODUCT, "status.conditions.0.status", "False")]),
            "1 pod(s) fit app=wiki, 0 ready",
        ),
        (replace(PLACE, port="metrics"), "pod wiki-0 declares no port named metrics"),
        (Place("shop/wiki", "users", service="wiki", port=80), "Service wiki is not there"),
        (
            Place(
                *("shop/wiki", "users", "", "wiki", 81),
                services=[{"spec": {"ports": [{"name": "http", "port": 80}]}}],
            ),
            "Service wiki has no port 81; it has http",
        ),
        (Place("shop/wiki", "users", problem="users.id is missing"), "users.id is missing"),
    ],
)
def test_a_product_that_cannot_be_asked(place, seen):
    found = only(products.products(facts(places=[place])))
    assert (found.check, found.level, found.seen) == ("product", Level.BAD, seen)


@pytest.mark.parametrize(
    ("rule", "open_"),
    [
        (None, False),
        ([{}], True),
        ([{"from": [{"podSelector": {}}]}], False),
        ([{"from": [{"namespaceSelector": {}}]}], True),
        (
            [
                {
                    "from": [
                        {
                            "namespaceSelector": {
                                "matchLabels": {"kubernetes.io/metadata.name": NAMESPACE}
                            },
                            "podSelector": {
                                "matchExpressions": [
                                    {
                                        "key": "app.kubernetes.io/component",
                                        "operator": "In",
                                        "values": ["operator"],
                                    }
                                ]
                            },
                        }
                    ]
                }
            ],
            True,
        ),
        (
            [{"from": [{"namespaceSelector": {"matchLabels": {"a": "b"}}}]}],
            False,
        ),
    ],
)
def test_a_network_policy_that_keeps_the_operator_out(rule, open_):
    policy = changed(POLICY, "spec.ingress", rule)
    found = [*products.products(facts(places=[replace(PLACE, policies=[policy])]))]
    (network,) = [one for one in found if one.check == "network"]
    assert network.level is (Level.GOOD if open_ else Level.BAD)
    assert ("deny" in network.seen) is not open_


def test_a_policy_of_other_pods_or_of_egress_keeps_nobody_out():
    other = changed(POLICY, "spec.podSelector", {"matchLabels": {"app": "db"}})
    egress = changed(POLICY, "spec.policyTypes", ["Egress"])
    policies = [other, egress]
    found = [*products.products(facts(places=[replace(PLACE, policies=policies)]))]
    assert {one.level for one in found} == {Level.GOOD}


@pytest.mark.parametrize(
    ("unseen", "checks"),
    [
        ("crds", {"definitions"}),
        ("rights", {"rights"}),
        ("ahead_s", {"clock"}),
        ("metrics", {"storage", "licence"}),
        ("secrets", {"keys"}),
        ("usages", {"conditions"}),
        ("pods", {"pod"}),
        ("claims", {"storage"}),
    ],
)
def test_what_could_not_be_looked_at_is_said_with_the_reason(unseen, checks):
    found = command.judged(facts(**{unseen: Unseen("forbidden: jo may not")}))
    assert {one.check for one in found if one.level is Level.UNSEEN} == checks
    assert all("jo may not" in one.seen for one in found if one.level is Level.UNSEEN)
    assert result(found) is Result.UNDETERMINED


class TestShown:
    def test_as_json_with_the_exit_code_of_what_failed(self, run, monkeypatch):
        monkeypatch.setattr(command, "look", lambda *_: facts(pods=[]))
        done = run("doctor", "--output", "json")
        assert done.code == 1
        told = json.loads(done.out)
        assert (told["result"], told["operatorNamespace"]) == ("NOT OK", NAMESPACE)
        (bad,) = [one for one in told["checks"] if one["result"] == "failed"]
        assert set(bad) == {"check", "object", "result", "seen", "fix"}
        assert bad["check"] == "pod"

    def test_for_people_with_the_fixes_below(self, run, monkeypatch):
        monkeypatch.setattr(command, "look", lambda *_: facts(secrets=Unseen("forbidden")))
        done = run("doctor")
        assert done.code == 3
        assert done.out.splitlines()[0].split() == ["CHECK", "RESULT", "OBJECT", "SEEN"]
        assert f"- keys, Secrets of {NAMESPACE}: Ask for the right to get Secrets" in done.out
        assert done.out.endswith("NOT DETERMINED\n")

    def test_an_installation_in_order_is_exit_code_0(self, run, monkeypatch):
        monkeypatch.setattr(command, "look", lambda *_: facts())
        done = run("doctor")
        assert (done.code, done.err) == (0, "")
        assert done.out.endswith("\nOK\n")

    def test_without_kubectl_nothing_is_claimed(self, run, tmp_path):
        done = run("doctor", PATH=str(tmp_path))
        assert done.code == 3
        assert done.err.startswith("error: NotInstalled: ")
