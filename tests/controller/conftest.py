"""Fixtures of the controller's tests: a client of the shared control plane."""

import pytest

from licenseusage.controller.effects.kube import Kube
from licenseusage.controller.process.login import connect
from tests.controller.ages import Ages
from tests.controller.stage import create_pods


@pytest.fixture
async def kube(crds, monkeypatch):
    monkeypatch.setenv("KUBECONFIG", str(crds.kubeconfig))
    client = await connect()
    yield client
    await client.close()


@pytest.fixture
async def kube_as(crds, monkeypatch):
    """Connect as a service account."""
    opened = []

    async def connect_as(namespace: str, account: str = "default") -> Kube:
        monkeypatch.setenv("KUBECONFIG", str(crds.kubeconfig_for(namespace, account)))
        opened.append(await connect())
        return opened[-1]

    yield connect_as
    for client in opened:
        await client.close()


@pytest.fixture
def ages(crds, namespace, tmp_path, monkeypatch):
    monkeypatch.setenv("KUBECONFIG", str(crds.kubeconfig))
    ages = Ages(crds, namespace, tmp_path)
    create_pods(namespace, {"shop": (ages.product.port, True)})
    yield ages
    ages.close()
