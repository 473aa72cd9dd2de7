"""The real operator on an event log: counted, gone on after a kill, losses stated."""

import json
import ssl
import time
from itertools import pairwise

import pytest

from hack.nats import NatsServer
from tests.controller import sample
from tests.controller.sample import Product
from tests.controller.stage import Authority, Operator, credentials, secret, until, usage
from tests.sources.broker import Broker, message, now_ms

pytestmark = pytest.mark.controlplane

NAMESPACE = "event-log"


@pytest.fixture(scope="module")
def place(crds):
    crds.create_namespace(NAMESPACE)
    return NAMESPACE


@pytest.fixture(scope="module")
def broker(tmp_path_factory, nats_program):
    with NatsServer(tmp_path_factory.mktemp("nats"), program=nats_program) as server:
        made = Broker(server)
        made.create()
        yield made


@pytest.fixture
def operator(crds, place, tmp_path):
    operator = Operator(crds, place, tmp_path).start()
    yield operator
    operator.stop()


def log_usage(name="cloud"):
    """A LicenseUsage with the preset and nothing but what only the user knows."""
    made = usage(NAMESPACE, name, product="opencloud")
    made["spec"]["sources"] = [
        {
            "name": "events",
            "preset": "OpenCloudEvents",
            "pods": {"selector": {"matchLabels": {"app": name}}},
            "intervalMinutes": 1,
        }
    ]
    return made


def poll_now(crds, operator, name="cloud"):
    """Ask for a poll, and wait until it has ended."""
    before = operator.status(name)["sources"][0].get("lastSuccessTime")
    time.sleep(max(0.0, 1.01 - (time.time() % 1)))  # times of the status have whole seconds
    stamp = f"licenseusage.dev/requested-at={time.time_ns()}"
    crds.kubectl("annotate", "--overwrite", f"licenseusage/{name}", "-n", NAMESPACE, stamp)
    until(lambda: operator.status(name)["sources"][0].get("lastSuccessTime") != before, 30)


def test_an_event_log_is_counted_and_goes_on_after_a_kill(crds, place, broker, operator):
    broker.publish(*(message(name, now_ms()) for name in "abc"))
    broker.publish(message("a", now_ms(), "events.FileDownloaded"))
    crds.create_pod(place, "cloud-0", labels={"app": "cloud"}, ports={"nats": broker.server.port})
    crds.apply(log_usage())
    until(lambda: operator.status("cloud").get("activeUsers") == 3, 60)
    status = operator.status("cloud")
    assert status["activeText"] == "3 so far"
    assert operator.condition("cloud", "Ready")["status"] == "True"
    (source,) = status["sources"]
    assert "usersListed" not in source
    # The stream of a test is younger than the cycle: what was before is not known, and said.
    collected = operator.condition("cloud", "Collected")
    assert (collected["status"], collected["reason"]) == ("True", "PollSucceeded")
    assert "StreamBegan" in collected["message"]

    operator.kill()
    broker.publish(message("d", now_ms()))
    operator.start()
    poll_now(crds, operator)
    until(lambda: operator.status("cloud").get("activeUsers") == 4, 60)
    assert broker.consumers() == []

    broker.publish(message("e", now_ms()))
    broker.purge()
    broker.publish(message("f", now_ms()))
    poll_now(crds, operator)
    until(lambda: operator.status("cloud").get("activeUsers") == 5, 30)
    assert "StreamPurged" in operator.condition("cloud", "Collected")["message"]
    whole = json.dumps(operator.get("cloud"))
    for name in "abcdef":
        assert f"{name}@example.org" not in whole


def test_a_busy_log_is_read_on_at_once_and_lets_other_sources_have_their_turn(
    crds, tmp_path, nats_program
):
    """One worker, two logs: none waits for its interval, nor until the other has come to an end."""
    people, place = 60, "busy-logs"
    crds.create_namespace(place)
    with (
        NatsServer(tmp_path / "busy", program=nats_program) as first,
        NatsServer(tmp_path / "other", program=nats_program) as second,
    ):
        for name, server in (("busy", first), ("other", second)):
            log = Broker(server)
            log.create()
            log.publish(*(message(f"{name}-{n}", now_ms()) for n in range(people)))
            crds.create_pod(place, f"{name}-0", labels={"app": name}, ports={"nats": server.port})
            made = log_usage(name)
            made["metadata"]["namespace"] = place
            made["spec"]["sources"][0]["intervalMinutes"] = 60
            crds.apply(made)
        bounds = {"poll_workers": 1, "poll_bytes": 5_000}
        operator = Operator(crds, place, tmp_path, **bounds).start()
        try:
            for name in ("busy", "other"):
                until(lambda name=name: operator.status(name).get("activeUsers") == people, 60)
                seen = operator.condition(name, "Collected")
                assert seen["reason"] == "PollSucceeded"
        finally:
            operator.stop()
        lines = [json.loads(line) for line in operator.log.read_text().splitlines()]
    polls = [one["object"].rpartition("/")[2] for one in lines if one["message"] == "poll ended"]
    assert polls.count("busy") >= 3
    assert sum(before != after for before, after in pairwise(polls)) > 2, polls


def test_a_server_that_is_down_is_a_condition_and_recovers(
    crds, place, operator, tmp_path, nats_program
):
    with NatsServer(tmp_path / "nats", program=nats_program) as server:
        other = Broker(server)
        other.create()
        other.publish(message("a", now_ms()))
        crds.create_pod(place, "down-0", labels={"app": "down"}, ports={"nats": server.port})
        server.stop()
        crds.apply(log_usage("down"))
        seen = operator.wait_condition("down", "Ready", "False", "Unreachable", 60)
        assert "cannot be reached: connection refused" in seen["message"]
        assert "activeUsers" not in operator.status("down")
        server.start()
        poll_now(crds, operator, "down")
        operator.wait_condition("down", "Ready", "True", seconds=90)
        assert operator.status("down")["activeUsers"] == 1


def test_a_second_log_is_remembered_while_its_pod_is_not_ready(
    crds, place, broker, operator, tmp_path, nats_program
):
    with NatsServer(tmp_path / "second", program=nats_program) as second:
        Broker(second).create()
        labels = {"app": "split"}
        for name, server in (("split-0", broker.server), ("split-1", second)):
            crds.create_pod(place, name, labels=labels, ports={"nats": server.port})
        crds.apply(log_usage("split"))
        operator.wait_condition("split", "Ready", "False", "SeveralLogs", 60)
        unready = {"status": {"conditions": [{"type": "Ready", "status": "False"}]}}
        crds.kubectl(
            *("patch", "pod", "split-1", "-n", place, "--subresource=status"),
            *("--type=merge", "-p", json.dumps(unready)),
        )
        poll_now(crds, operator, "split")
        seen = operator.wait_condition("split", "GuaranteesHold", "False", "GuaranteeRefuted", 60)
        assert seen["message"].startswith("Source events: pods that it selects each kept an event")
        crds.kubectl("delete", "pod", "split-1", "-n", place, "--force", "--grace-period=0")
        poll_now(crds, operator, "split")
        until(lambda: _held(operator, "split").startswith("This cycle: source events: pods"), 30)


def _held(operator, name):
    return operator.condition(name, "GuaranteesHold")["message"]


def test_tls_user_and_password_come_from_secrets_of_the_namespace(
    crds, place, operator, tmp_path, nats_program
):
    authority = Authority(tmp_path / "tls")
    tls = {"cert_file": str(authority.cert_file), "key_file": str(authority.key_file)}
    guard = {"user": "meter", "password": "s3cret"}
    with NatsServer(
        tmp_path / "nats", program=nats_program, tls=tls, authorization=guard
    ) as server:
        context = ssl.create_default_context(cafile=str(authority.ca_file))
        other = Broker(server, tls=context, **guard)
        other.create()
        other.publish(message("a", now_ms()))
        crds.create_pod(place, "safe-0", labels={"app": "safe"}, ports={"nats": server.port})
        crds.apply(secret(place, "nats-ca", **{"ca.crt": authority.ca_file.read_text()}))
        crds.apply(credentials(place, "nats-meter", username="meter", password="wrong"))
        made = log_usage("safe")
        made["spec"]["sources"][0] |= {"auth": {"basic": {"secretRef": {"name": "nats-meter"}}}}
        made["spec"]["sources"][0]["pods"] |= {
            "scheme": "TLS",
            "tls": {"caSecretRef": {"name": "nats-ca", "key": "ca.crt"}},
        }
        crds.apply(made)
        seen = operator.wait_condition("safe", "Ready", "False", "Unauthorized", 60)
        assert "Check Secret nats-meter" in seen["message"]
        crds.apply(credentials(place, "nats-meter", username="meter", password="s3cret"))
        operator.wait_condition("safe", "Ready", "True", seconds=60)
        assert operator.status("safe")["activeUsers"] == 1
        assert "s3cret" not in json.dumps(operator.get("safe")) + operator.log.read_text()


def test_an_endpoint_of_the_operators_settings_is_read_over_tls_with_its_name_and_authority(
    crds, place, operator, tmp_path, nats_program
):
    """The NATS of another namespace, as with the chart's high availability."""
    authority = Authority(tmp_path / "tls")
    tls = {"cert_file": str(authority.cert_file), "key_file": str(authority.key_file)}
    guard = {"user": "meter", "password": "s3cret"}
    with NatsServer(
        tmp_path / "nats", program=nats_program, tls=tls, authorization=guard
    ) as server:
        context = ssl.create_default_context(cafile=str(authority.ca_file))
        other = Broker(server, tls=context, **guard)
        other.create()
        other.publish(message("a", now_ms()))
        entry = {
            "address": f"localhost:{server.port}",
            "scheme": "TLS",
            "serverName": "127.0.0.1",
            "ca": authority.ca_file.read_text(),
            "namespaces": ["elsewhere"],
        }
        book = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "licenseusage-endpoints", "namespace": place},
            "data": {"nats": json.dumps(entry)},
        }
        crds.apply(book)
        crds.apply(credentials(place, "nats-far", username="meter", password="s3cret"))
        made = log_usage("far")
        (source,) = made["spec"]["sources"]
        del source["pods"]
        source |= {"endpoint": "nats", "auth": {"basic": {"secretRef": {"name": "nats-far"}}}}
        crds.apply(made)
        seen = operator.wait_condition("far", "Ready", "False", "EndpointNotAllowed", 60)
        assert f"ConfigMap {place}/licenseusage-endpoints, key nats" in seen["message"]
        assert "elsewhere" not in seen["message"]
        book["data"]["nats"] = json.dumps(entry | {"namespaces": [place]})
        crds.apply(book)
        operator.wait_condition("far", "Ready", "True", seconds=90)
        assert operator.status("far")["activeUsers"] == 1


def test_the_list_without_any_sign_in_points_to_the_event_log(crds, place, operator):
    """OpenCloud with read-only LDAP: users, and nobody with signInActivity."""
    product = Product()
    users = [{"id": f"0f0f0f0f-0000-4000-8000-{n:012}", "displayName": "x"} for n in range(3)]
    product.fault = sample.answers(200, json.dumps({"value": users}).encode())
    try:
        crds.create_pod(place, "graph-0", labels={"app": "graph"}, ports={"http": product.port})
        crds.apply(credentials(place, "graph", username="admin", password="admin"))
        made = usage(place, "graph", product="opencloud")
        made["spec"]["sources"] = [
            {
                "name": "graph",
                "preset": "OpenCloud",
                "pods": {
                    "selector": {"matchLabels": {"app": "graph"}},
                    "port": "http",
                    "scheme": "HTTP",
                },
                "auth": {"basic": {"secretRef": {"name": "graph"}}},
            }
        ]
        crds.apply(made)
        seen = operator.wait_condition("graph", "Collected", "True", "PollSucceeded", 60)
    finally:
        product.close()
    assert "No user has signInActivity" in seen["message"]
    assert "OC_LDAP_SERVER_WRITE_ENABLED=false" in seen["message"]
    assert "Use preset OpenCloudEvents" in seen["message"]
    assert operator.status("graph")["activeText"] == "none seen so far"
