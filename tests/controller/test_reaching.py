"""Whom the operator asks and sends credentials to: who lives when it is asked."""

import json
import threading

import pytest

from licenseusage.controller.effects.endpoints import EndpointBook
from licenseusage.controller.effects.reaching import Finder
from licenseusage.controller.effects.secrets import SecretReader
from tests.controller.sample import Product, answers
from tests.controller.stage import Operator, meter_secret, until, usage
from tests.sources.product import source

pytestmark = pytest.mark.controlplane


@pytest.fixture(scope="module")
def place(crds):
    crds.create_namespace("reaching")
    crds.apply(meter_secret("reaching"))
    return "reaching"


@pytest.fixture(scope="module")
def operator(crds, place, tmp_path_factory):
    """It has one worker, so that polls wait for each other."""
    folder = tmp_path_factory.mktemp("operator")
    operator = Operator(crds, place, folder, poll_workers=1).start()
    yield operator
    operator.stop()


@pytest.fixture
def product():
    """Make products; they end with the test."""
    made = []

    def make(*users):
        made.append(Product())
        made[-1].users = {user: made[-1].now() - 3600 for user in users}
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def pod(crds, place):
    def create(name, product):
        labels, ports = {"app": name.rpartition("-")[0]}, {"http": product.port}
        crds.create_pod(place, name, labels=labels, ports=ports)

    return create


async def test_a_pod_is_asked_by_the_name_that_its_source_declares(crds, kube, namespace):
    crds.apply(meter_secret(namespace))
    crds.create_pod(namespace, "x-0", labels={"app": "x"}, ports={"http": 80}, ip="10.1.2.3")
    finder = Finder(
        kube, SecretReader(kube), EndpointBook(namespace, "none"), loopback_allowed=False
    )
    declared = source(pods={"hostHeader": "wiki.example.org"})
    (target,) = (await finder.reach(namespace, declared, "app=x")).targets
    assert (target.host, target.host_sent) == ("10.1.2.3", "wiki.example.org")


async def test_it_is_told_whether_a_selected_pod_is_not_asked(crds, kube, namespace):
    crds.apply(meter_secret(namespace))
    crds.create_pod(namespace, "x-0", labels={"app": "x"}, ports={"http": 80}, ip="10.1.2.3")
    finder = Finder(
        kube, SecretReader(kube), EndpointBook(namespace, "none"), loopback_allowed=False
    )
    assert (await finder.reach(namespace, source(), "app=x")).every_pod
    assert (await finder.look(namespace, source(), "app=x")).every_pod
    crds.create_pod(namespace, "x-1", labels={"app": "x"}, ports={"http": 80}, ready=False)
    assert not (await finder.look(namespace, source(), "app=x")).every_pod


async def test_a_poll_takes_the_secret_of_now_and_not_one_that_is_remembered(crds, kube, namespace):
    """Whoever takes a Secret back must not find it sent afterwards."""
    crds.apply(meter_secret(namespace))
    crds.create_pod(namespace, "x-0", labels={"app": "x"}, ports={"http": 80}, ip="10.1.2.3")
    finder = Finder(
        kube, SecretReader(kube), EndpointBook(namespace, "none"), loopback_allowed=False
    )
    before = await finder.reach(namespace, source(), "app=x")
    crds.apply(meter_secret(namespace) | {"stringData": {"token": "of-now"}})
    now = await finder.reach(namespace, source(), "app=x")
    assert now.credentials.header_value == "Bearer of-now"
    assert now.digest != before.digest
    crds.kubectl("delete", "secret", "meter", "-n", namespace)
    looked = await finder.look(namespace, source(), "app=x")
    assert (looked.credentials, looked.failure.reason) == (None, "SecretNotFound")


async def test_an_endpoint_that_its_administrator_took_back_is_not_called_any_more(
    crds, kube, namespace
):
    operators = f"{namespace}-operator"
    crds.create_namespace(operators)

    def book(*allowed):
        entry = {"address": "10.1.2.3:80", "scheme": "HTTP", "namespaces": allowed}
        body = {"apiVersion": "v1", "kind": "ConfigMap", "data": {"wiki": json.dumps(entry)}}
        return body | {"metadata": {"name": "endpoints", "namespace": operators}}

    crds.apply(meter_secret(namespace))
    crds.apply(book(namespace))
    endpoints = EndpointBook(operators, "endpoints")
    finder = Finder(kube, SecretReader(kube), endpoints, loopback_allowed=False)
    read = source(pods=None, endpoint="wiki")
    (found,) = (await finder.reach(namespace, read, "")).targets
    assert (found.host, found.port) == ("10.1.2.3", 80)
    crds.apply(book("elsewhere"))
    assert (await finder.look(namespace, read, "")).failure.reason == "EndpointNotAllowed"


def test_pods_are_looked_up_when_a_worker_is_free_and_not_before(
    crds, operator, place, product, pod
):
    """A pod that went while its poll was waiting gets no credentials: its address may be used."""
    busy, old, new = product("ann"), product("bob"), product("bob", "cid")
    asked, release = threading.Event(), threading.Event()

    def hold(_handler):
        asked.set()
        release.wait(50)
        return False

    busy.fault = hold
    pod("busy-0", busy)
    crds.apply(usage(place, "busy"))
    assert asked.wait(60)
    pod("late-0", old)
    crds.apply(usage(place, "late"))
    until(lambda: operator.status("late").get("conditions"))
    crds.kubectl("delete", "pod", "late-0", "-n", place, "--grace-period=0", "--force")
    pod("late-1", new)
    release.set()
    until(lambda: operator.status("late").get("activeUsers"), 60)
    assert (operator.status("late")["activeUsers"], old.requests) == (2, 0)


def test_one_replica_that_fails_does_not_stop_the_count_and_is_named(
    crds, operator, place, product, pod
):
    failing, good = product("ann"), product("ann", "bob")
    failing.fault = answers(503, b"starting")
    pod("rep-0", failing)
    pod("rep-1", good)
    crds.apply(usage(place, "rep"))
    until(lambda: operator.status("rep").get("activeUsers"), 60)
    seen = operator.condition("rep", "Collected")
    assert (seen["status"], operator.status("rep")["activeUsers"]) == ("True", 2)
    assert "rep-0 (ServerError) did not answer as it should; rep-1 did." in seen["message"]
    assert '"pod": "rep-1"' in operator.log.read_text()
