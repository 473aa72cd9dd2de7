"""Lists that server-side apply knows as a whole only leave no default to the API server.

Otherwise `kubectl apply --server-side` after `kubectl apply` meets a conflict with the default.
"""

import pytest
import yaml

from tests.manifests.conftest import ROOT

POLICIES = sorted(ROOT.glob("manifests/**/networkpolicy.yaml"))


def test_there_are_policies():
    assert len(POLICIES) >= 4


@pytest.mark.parametrize("path", POLICIES, ids=lambda path: path.parent.name)
def test_every_port_of_a_network_policy_states_its_protocol(path):
    for policy in yaml.safe_load_all(path.read_text()):
        for rule in policy["spec"].get("ingress", []) + policy["spec"].get("egress", []):
            for port in rule.get("ports", []):
                assert "protocol" in port, (policy["metadata"]["name"], port)
