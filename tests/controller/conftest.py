"""Fixtures of the controller's tests: a client of the shared control plane."""

import pytest

from licenseusage.controller.kube import Kube


@pytest.fixture
async def kube(crds, monkeypatch):
    monkeypatch.setenv("KUBECONFIG", str(crds.kubeconfig))
    client = await Kube.connect()
    yield client
    await client.close()


@pytest.fixture
async def kube_as(crds, monkeypatch):
    """Connect as a service account."""
    opened = []

    async def connect(namespace: str, account: str = "default") -> Kube:
        monkeypatch.setenv("KUBECONFIG", str(crds.kubeconfig_for(namespace, account)))
        opened.append(await Kube.connect())
        return opened[-1]

    yield connect
    for client in opened:
        await client.close()
