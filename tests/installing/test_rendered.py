"""What `make e2e` applies is what the manifests have, with its image, cycle and licence."""

from datetime import date
from pathlib import Path

import pytest

from hack.controlplane import find
from hack.e2e.chart import values
from hack.e2e.commands import Commands
from hack.e2e.image import Image
from hack.e2e.installation import ROOT, Release, kustomized, licensed, product, since
from hack.e2e.overlay import Overlay
from hack.e2e.plan import Plan

PLAN = Plan(date(2026, 12, 1))
RELEASE = Release(ROOT, Image("registry.example.org/a", "7"), "after")


@pytest.fixture
def commands(tmp_path) -> Commands:
    return Commands(find().kubectl, None, Path("/dev/null"), tmp_path)


def containers(deployment):
    spec = deployment["spec"]["template"]["spec"]
    return [*spec.get("initContainers", ()), *spec["containers"]]


def test_each_container_runs_the_image_that_is_tried(commands, tmp_path):
    folders = ["manifests/base", "manifests/receiver", "examples/product"]
    objects = kustomized(commands, tmp_path / "k", RELEASE, folders)
    used = [c["image"] for o in objects if o["kind"] == "Deployment" for c in containers(o)]
    assert used == ["registry.example.org/a:7"] * 4


def test_the_people_of_the_product_are_active_in_the_plans_cycle(commands, tmp_path):
    (deployment,) = [
        one
        for one in product(commands, tmp_path / "k", RELEASE, PLAN)
        if one["kind"] == "Deployment"
    ]
    assert "--first-cycle=2026-11-21" in containers(deployment)[0]["args"]


def test_a_product_that_makes_no_people_is_refused():
    maker = {"args": ["generate"]}
    with pytest.raises(ValueError, match="no container has one argument --first-cycle="):
        since({"spec": {"template": {"spec": {"initContainers": [maker]}}}}, PLAN)


def test_the_sample_is_counted_under_the_licence_and_else_as_it_is(commands, tmp_path):
    objects = kustomized(commands, tmp_path / "k", RELEASE, ["manifests/samples/standard"])
    (sample,) = [one for one in objects if one["kind"] == "LicenseUsage"]
    usage = licensed(sample)
    assert usage["spec"]["license"] == {
        "secretRef": {"name": "sample-license", "key": "license.jwt"}
    }
    assert "cycle" not in usage["spec"]
    (source,), (before,) = usage["spec"]["sources"], sample["spec"]["sources"]
    assert source == {**before, "intervalMinutes": 1}


def test_the_operators_pods_are_new_for_a_new_release_and_its_namespace_is_the_runs(
    commands, tmp_path
):
    way = Overlay(commands, tmp_path)
    rendered = way._operator(RELEASE)
    assert not [one for one in rendered if one["kind"] == "Namespace"]
    (deployment,) = [one for one in rendered if one["kind"] == "Deployment"]
    template = deployment["spec"]["template"]
    assert template["metadata"]["annotations"] == {"licenseusage.dev/e2e-revision": "after"}
    settings = {one["name"]: one.get("value") for one in containers(deployment)[0]["env"]}
    assert settings["LICENSEUSAGE_FIRST_SEND_SPREAD_SECONDS"] == "0"
    assert settings["LICENSEUSAGE_VENDOR_CA_FILE"] == "/etc/licenseusage/vendor-ca/ca.crt"


def test_the_charts_values_say_the_same():
    assert values(RELEASE) == {
        "image": {"repository": "registry.example.org/a", "tag": "7"},
        "productNamespaces": ["sample-product"],
        "vendor": {"caConfigMap": "licenseusage-vendor-ca"},
        "settings": {"firstSendSpreadSeconds": 0},
        "podAnnotations": {"licenseusage.dev/e2e-revision": "after"},
    }
