"""Which pods may be asked, and what is said when none may."""

import msgspec
import pytest

from licenseusage.controller.pods import Pod, choose
from licenseusage.errors import Retryable


def pod(
    name="p-0", ip="10.1.2.3", *, ready=True, spec=None, meta=None, host_ip="10.9.9.9", ports=None
):
    ports = [{"name": "http", "containerPort": 9200}] if ports is None else ports
    raw = {
        "metadata": {"name": name, **(meta or {})},
        "spec": {"containers": [{"name": "c", "ports": ports}], **(spec or {})},
        "status": {
            "podIP": ip,
            "hostIP": host_ip,
            "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
        },
    }
    return msgspec.convert(raw, Pod)


def ask(*pods, port="http", loopback=False):
    return choose(pods, "shop", "app=x", port, loopback_allowed=loopback)


def refusal(*pods, **kwargs):
    with pytest.raises(Retryable) as caught:
        ask(*pods, **kwargs)
    return caught.value


def test_ready_pods_are_asked_by_name_order_and_named_ports_are_resolved_per_pod():
    other = pod("p-1", "10.1.2.4", ports=[{"name": "http", "containerPort": 9300}])
    assert [(a.pod, a.host, a.port) for a in ask(other, pod())] == [
        ("p-0", "10.1.2.3", 9200),
        ("p-1", "10.1.2.4", 9300),
    ]


def test_a_numbered_port_needs_no_container_port():
    assert ask(pod(ports=[]), port=80)[0].port == 80


def test_a_sidecars_port_counts():
    spec = {"initContainers": [{"ports": [{"name": "metrics", "containerPort": 1234}]}]}
    assert ask(pod(spec=spec), port="metrics")[0].port == 1234


def test_no_pod_names_the_selector():
    error = refusal()
    assert error.reason == "NoPods"
    assert "app=x" in error.message


def test_pods_that_are_not_ready_or_are_terminating_are_not_asked():
    error = refusal(
        pod(ready=False), pod("p-1", meta={"deletionTimestamp": "2026-01-01T00:00:00Z"})
    )
    assert error.reason == "NoReadyPods"
    assert "0 of 2" in error.message


def test_an_unknown_port_name_lists_the_known_ones():
    error = refusal(pod(), port="web")
    assert error.reason == "PortNotFound"
    assert "'web'" in error.message
    assert "http" in error.message


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "169.254.169.254", "::1", "fe80::1", "0.0.0.0", "::ffff:127.0.0.1", "224.0.0.1"],
)
def test_loopback_link_local_and_other_special_addresses_are_refused(address):
    assert refusal(pod(ip=address)).reason == "AddressRefused"


def test_development_permits_loopback_and_nothing_else():
    assert ask(pod(ip="127.0.0.1"), loopback=True)[0].host == "127.0.0.1"
    assert refusal(pod(ip="169.254.169.254"), loopback=True).reason == "AddressRefused"


def test_node_addresses_are_refused():
    assert refusal(pod(spec={"hostNetwork": True})).reason == "AddressRefused"
    assert refusal(pod(ip="10.9.9.9")).reason == "AddressRefused"


def test_one_refused_pod_does_not_stop_the_others():
    assert [a.pod for a in ask(pod(ip="127.0.0.1"), pod("p-1"))] == ["p-1"]
