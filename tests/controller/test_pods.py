"""Which pods may be asked, and what is said when none may."""

import msgspec
import pytest

from licenseusage.controller.effects.pods import Pod, choose
from licenseusage.errors import Retryable


def pod(
    name="p-0",
    ip="10.1.2.3",
    *,
    ready=True,
    phase="Running",
    spec=None,
    meta=None,
    host_ip="10.9.9.9",
    ports=None,
):
    ports = [{"name": "http", "containerPort": 9200}] if ports is None else ports
    raw = {
        "metadata": {"name": name, **(meta or {})},
        "spec": {"containers": [{"name": "c", "ports": ports}], **(spec or {})},
        "status": {
            "phase": phase,
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


def init_container(number, name="front", **fields):
    ports = [{"name": name, "containerPort": number}]
    return {"initContainers": [{"name": "i", "ports": ports, **fields}]}


def test_of_two_containers_with_one_port_name_the_first_is_asked_as_by_a_service():
    containers = [
        {"name": name, "ports": [{"name": "http", "containerPort": number}]}
        for name, number in (("app", 9200), ("exporter", 9300))
    ]
    assert ask(pod(spec={"containers": containers}))[0].port == 9200


def test_a_sidecars_port_counts():
    spec = init_container(1234, restartPolicy="Always")
    assert ask(pod(spec=spec), port="front")[0].port == 1234


def test_a_containers_port_goes_before_a_sidecars():
    spec = init_container(1234, "http", restartPolicy="Always")
    assert ask(pod(spec=spec))[0].port == 9200


@pytest.mark.parametrize("fields", [{}, {"restartPolicy": "OnFailure"}])
def test_the_port_of_an_init_container_that_has_ended_does_not_count(fields):
    error = refusal(pod(spec=init_container(1234, **fields)), port="front")
    assert (error.reason, "named ports: http" in error.message) == ("PortNotFound", True)


def test_a_port_of_another_protocol_does_not_count():
    ports = [
        {"name": "web", "containerPort": 53, "protocol": "UDP"},
        {"name": "web", "containerPort": 80, "protocol": "TCP"},
    ]
    assert ask(pod(ports=ports), port="web")[0].port == 80
    assert refusal(pod(ports=ports[:1]), port="web").reason == "PortNotFound"


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


@pytest.mark.parametrize("phase", ["Failed", "Succeeded"])
def test_a_pod_that_has_ended_is_not_asked_whatever_its_conditions_say(phase):
    """Its address may be another pod's by now."""
    assert refusal(pod(phase=phase)).reason == "NoReadyPods"
    assert [a.pod for a in ask(pod(phase=phase), pod("p-1", "10.1.2.4"))] == ["p-1"]


def test_a_pod_without_the_condition_ready_is_not_asked():
    silent = pod()
    silent.status.conditions = []
    assert refusal(silent).reason == "NoReadyPods"


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
