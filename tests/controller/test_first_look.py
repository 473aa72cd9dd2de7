"""Before the custom resources or the roles are there, the operator ends with what to apply.

Kubernetes starts it again: GitOps tools may bring them in any order.
"""

import pytest

from licenseusage.controller.effects import listing
from licenseusage.controller.rules.resources import Resource
from licenseusage.errors import Stalled
from licenseusage.reasons import Reason

pytestmark = pytest.mark.controlplane

UNKNOWN = Resource("licenseusage.dev", "v1alpha1", "notinstalled")


class NotInstalled:
    """A cluster that answers for real, and knows no LicenseUsages."""

    def __init__(self, kube):
        self.host, self._kube = kube.host, kube

    def pages(self, _resource, namespace, **more):
        return self._kube.pages(UNKNOWN, namespace, **more)


async def test_without_custom_resources_it_says_how_to_install_them(kube):
    with pytest.raises(Stalled) as ended:
        await listing.first(NotInstalled(kube), ())
    assert ended.value.reason == Reason.CRDS_MISSING
    assert "kubectl apply -k crds" in ended.value.message
    await listing.first(kube, ())


async def test_without_its_role_it_says_which_to_apply(kube_as, namespace):
    nobody = await kube_as(namespace)
    for namespaces, where in (((), "in all namespaces"), ((namespace,), f"namespaces {namespace}")):
        with pytest.raises(Stalled) as ended:
            await listing.first(nobody, namespaces)
        assert ended.value.reason == Reason.ROLE_MISSING
        assert where in ended.value.message
        assert "manifests/base" in ended.value.message
