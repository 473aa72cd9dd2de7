"""Which cluster `make e2e` may use: only one that a local tool made, or that somebody named."""

import pytest

from hack.e2e.errors import Refused
from hack.e2e.target import Target, chosen, near, refusal

LOOPBACK = "https://127.0.0.1:6443"


def config(*contexts: tuple[str, str], current: str = "") -> dict[str, object]:
    """A kubeconfig with these contexts, each with its server's address."""
    return {
        "current-context": current,
        "contexts": [{"name": n, "context": {"cluster": f"of-{n}"}} for n, _ in contexts],
        "clusters": [{"name": f"of-{n}", "cluster": {"server": s}} for n, s in contexts],
    }


@pytest.mark.parametrize("name", ["kind-licenseusage", "k3d-trial", "minikube", "docker-desktop"])
@pytest.mark.parametrize("server", [LOOPBACK, "https://[::1]:6443", "https://192.168.49.2:8443"])
def test_a_cluster_of_a_local_tool_is_used_by_itself(name, server):
    assert chosen(config((name, server), current=name), "").context == name


@pytest.mark.parametrize("name", ["admin", "kindergarten", "my-kind-cluster", "k3dx", "minikube2"])
def test_a_name_that_is_not_a_local_tools_has_to_be_said(name):
    with pytest.raises(Refused) as refused:
        chosen(config((name, LOOPBACK), current=name), "")
    assert f"context {name} (cluster of-{name}, {LOOPBACK})" in str(refused.value)
    assert str(refused.value).endswith(f"E2E_CONTEXT={name}")


@pytest.mark.parametrize("server", ["https://203.0.113.7:6443", "https://api.example.org"])
def test_a_local_tools_name_with_a_far_server_has_to_be_said(server):
    with pytest.raises(Refused, match=r"not an address of this machine .* E2E_CONTEXT=kind-x$"):
        chosen(config(("kind-x", server), current="kind-x"), "")


@pytest.mark.parametrize(
    "server", [LOOPBACK, "https://203.0.113.7:6443", "https://api.example.org"]
)
def test_a_cluster_that_was_named_is_used(server):
    contexts = config(("kind-other", LOOPBACK), ("trial", server), current="kind-other")
    assert chosen(contexts, "trial") == Target("trial", "of-trial", server)


@pytest.mark.parametrize(
    ("context", "cluster", "server"),
    [
        ("prod", "c", LOOPBACK),
        ("kind-prod", "c", LOOPBACK),
        ("eu-production-1", "c", LOOPBACK),
        ("Live", "c", LOOPBACK),
        ("trial", "prd2", LOOPBACK),
        ("trial", "c", "https://api.prod.example.org"),
    ],
)
def test_what_is_called_production_is_never_used(context, cluster, server):
    reason = refusal(Target(context, cluster, server), named=context)
    assert reason is not None
    assert "taken for production" in reason
    assert context in reason


@pytest.mark.parametrize("name", ["kind-product", "kind-delivery", "kind-reproduction"])
def test_a_word_that_only_contains_one_of_those_is_no_production(name):
    assert refusal(Target(name, "c", LOOPBACK), named="") is None


def test_naming_another_context_is_no_permission_for_this_one():
    assert refusal(Target("trial", "c", LOOPBACK), named="other") is not None


def test_a_name_that_the_kubeconfig_has_not_is_refused_with_those_that_it_has():
    with pytest.raises(Refused, match=r"E2E_CONTEXT=c: .* It has a, b"):
        chosen(config(("b", LOOPBACK), ("a", LOOPBACK), current="a"), "c")


def test_a_kubeconfig_without_a_context_says_how_to_make_a_cluster():
    with pytest.raises(Refused, match=r"kind create cluster --config kind-config.yaml"):
        chosen({"contexts": None}, "")


def test_a_context_without_a_server_is_refused():
    with pytest.raises(Refused, match=r"names no API server"):
        chosen(config(("kind-x", ""), current="kind-x"), "kind-x")


@pytest.mark.parametrize(
    ("host", "is_near"),
    [
        ("127.0.0.1", True),
        ("localhost", True),
        ("10.0.0.1", True),
        ("fd00::1", True),
        ("8.8.8.8", False),
        ("172.32.0.1", False),
        ("169.254.169.254", False),
        ("localhost.example.org", False),
    ],
)
def test_near_is_this_machine_or_a_private_network(host, is_near):
    assert near(host) is is_near
