"""Presets that come with a product: read by name from the object's namespace, and waited for."""

import pytest

from licenseusage.controller.effects.secrets import SecretReader
from licenseusage.controller.effects.shippedpresets import preset_configmaps, shipped_presets
from licenseusage.controller.rules.declared import declared, rules_digest
from licenseusage.controller.rules.key import Key
from licenseusage.controller.rules.resources import CONFIGMAPS, Dependency
from licenseusage.controller.rules.subject import Subject
from licenseusage.errors import Failure, Retryable, Stalled
from licenseusage.reasons import Reason
from tests.controller.stage import usage
from tests.sources.test_shipped_presets import preset

LABEL = "licenseusage.dev/preset"
BY_CONFIGMAP = {"preset": "Ours", "presetConfigMapRef": {"name": "presets"}}


def model(**source):
    return Subject.read(Key("shop", "shop"), usage("shop", source=BY_CONFIGMAP | source)).usage


def unforeseen(error, _):
    raise error


class Absent:
    """A reader of a namespace in which nothing is."""

    def __init__(self, error):
        self.error = error

    async def preset(self, *_):
        raise self.error


GONE = Stalled(Reason.CONFIGMAP_NOT_FOUND, "ConfigMap shop/presets does not exist.")


async def test_an_object_waits_for_the_preset_of_a_configmap_that_is_not_there():
    """As while a chart is upgraded: a cycle that ends now is not decided without this source."""
    shipped = await shipped_presets(Absent(GONE), "shop", model(), 0)
    (one,) = declared(model(), unforeseen, shipped)
    assert (one.source, one.problem.reason) == (None, "ConfigMapNotFound")
    assert not one.unusable


def test_nobody_waits_for_a_preset_that_the_operator_does_not_have():
    (one,) = declared(model(presetConfigMapRef=None), unforeseen, {})
    assert one.problem.reason == "UnknownPreset"
    assert one.unusable


async def test_an_api_server_that_does_not_answer_says_nothing_about_a_preset():
    away = Retryable(Reason.API_UNAVAILABLE, "It does not answer.")
    with pytest.raises(Retryable):
        await shipped_presets(Absent(away), "shop", model(), 0)


def test_an_object_depends_on_the_configmaps_that_it_names():
    assert preset_configmaps("shop", model()) == {Dependency(CONFIGMAPS, "shop", "presets")}
    plain = model(preset="Standard", presetConfigMapRef=None)
    assert preset_configmaps("shop", plain) == frozenset()


def configmap(namespace, labels, **data):
    meta = {"name": "presets", "namespace": namespace, "labels": labels}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": data}


@pytest.mark.controlplane
async def test_a_configmap_is_read_once_its_owner_has_labelled_it(crds, kube, namespace):
    reader = SecretReader(kube)
    text = preset()
    await kube.create(CONFIGMAPS, namespace, configmap(namespace, {}, **{"Ours.yaml": text}))
    read = {"usage": model(), "namespace": namespace, "reader": reader}
    refused = (await shipped_presets(**read, loop_s=0))["list"]
    assert isinstance(refused, Failure)
    assert refused.reason == "ConfigMapNotPreset"
    assert "title" not in refused.message

    crds.kubectl(*refused.message.partition("kubectl ")[2].split())
    (one,) = declared(model(), unforeseen, await shipped_presets(**read, loop_s=62))
    assert one.problem is None
    first = rules_digest([one], "Union")

    changed = preset(http={"path": "/v2", "items": "accounts"})
    await kube.merge(CONFIGMAPS, namespace, "presets", {"data": {"Ours.yaml": changed}})
    (one,) = declared(model(), unforeseen, await shipped_presets(**read, loop_s=124))
    assert rules_digest([one], "Union") != first
