"""The real operator says when exclusions leave nobody out, and when it counts itself."""

import json
import time

import pytest

from tests.controller.sample import Product, answers, stamp
from tests.controller.stage import Operator, credentials, usage

pytestmark = pytest.mark.controlplane

NAMESPACE = "excluded"


@pytest.fixture(scope="module")
def place(crds):
    crds.create_namespace(NAMESPACE)
    return NAMESPACE


@pytest.fixture
def operator(crds, place, tmp_path):
    operator = Operator(crds, place, tmp_path).start()
    yield operator
    operator.stop()


def account(name, number):
    return {
        "id": f"4c510ada-c86b-4815-8820-{number:012}",
        "onPremisesSamAccountName": name,
        "signInActivity": {"lastSuccessfulSignInDateTime": stamp(time.time() - 3600)},
    }


def test_who_counts_the_collector_is_told_and_who_follows_the_readme_does_not(
    crds, place, operator
):
    product = Product()
    listed = {"value": [account("ada", 1), account("license-meter", 2)]}
    product.fault = answers(200, json.dumps(listed).encode())
    crds.create_pod(place, "cloud-0", labels={"app": "cloud"}, ports={"http": product.port})
    crds.apply(credentials(place, "meter", username="license-meter", password="t0ken"))
    source = {
        "name": "graph",
        "preset": "OpenCloud",
        "pods": {"selector": {"matchLabels": {"app": "cloud"}}, "port": "http", "scheme": "HTTP"},
        "auth": {"basic": {"secretRef": {"name": "meter"}}},
        "users": {"excludeIds": ["00000000-0000-0000-0000-000000000000"]},
    }
    made = usage(place, "cloud", product="opencloud", spec={"sources": [source]})
    crds.apply(made)
    operator.wait_condition("cloud", "Ready", "True", seconds=60)
    seen = operator.condition("cloud", "Collected")
    assert seen["status"] == "True"
    assert "users.excludeIds[0] is on nobody's row of a complete list" in seen["message"]
    assert "account, that of Secret meter, is counted as a person" in seen["message"]
    assert "00000000" not in seen["message"]
    assert operator.status("cloud")["activeUsers"] == 2

    source["users"] = {"exclude": "onPremisesSamAccountName == 'license-meter'"}
    made = usage(place, "heeded", product="opencloud", spec={"sources": [source]})
    crds.apply(made)
    operator.wait_condition("heeded", "Ready", "True", seconds=60)
    assert "users.exclude" not in operator.condition("heeded", "Collected")["message"]
    assert operator.status("heeded")["activeUsers"] == 1
    product.close()
