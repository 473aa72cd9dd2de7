"""Tenants share the workers: who hangs delays itself.

Eight products of one namespace accept a request and never answer; a product of another namespace
answers, and its polls stay on time, from the operator's first moment on.
"""

import json
import threading
import time

import pytest

from tests.controller.sample import Product
from tests.controller.stage import Operator, create_pods, meter_secret, until, usage

pytestmark = pytest.mark.controlplane

BAD, GOOD = "fair-hanging", "fair-honest"
HANGING = [f"hangs-{number}" for number in range(8)]


@pytest.fixture(scope="module")
def stage(crds, tmp_path_factory):
    released = threading.Event()

    def hang(_):
        released.wait(600)
        return True

    bad, good = Product(), Product()
    bad.fault, good.users = hang, {"ann": time.time() - 60}
    for namespace in (BAD, GOOD):
        crds.create_namespace(namespace)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KUBECONFIG", str(crds.kubeconfig))
        create_pods(BAD, {name: (bad.port, True) for name in HANGING})
        create_pods(GOOD, {"shop": (good.port, True)})
    crds.apply([meter_secret(BAD), *(usage(BAD, name) for name in HANGING)])
    operator = Operator(
        crds,
        GOOD,
        tmp_path_factory.mktemp("operator"),
        namespaces=f"{BAD},{GOOD}",
        poll_request_seconds=300,
        poll_seconds=300,
    ).start()
    until(lambda: bad.requests >= 2)  # they have what they can get
    yield operator, bad, good
    operator.stop()
    released.set()
    for product in (bad, good):
        product.close()


def test_a_new_object_beside_hanging_ones_is_counted_at_once(stage, crds):
    operator, _, _ = stage
    crds.apply([meter_secret(GOOD), usage(GOOD)])
    operator.wait_condition("shop", "Ready", "True", seconds=15)


def test_its_polls_stay_on_time(stage, crds):
    operator, _, good = stage
    operator.wait_condition("shop", "Ready", "True")
    for number in range(5):
        before, asked = good.requests, time.monotonic()
        stamp = f"licenseusage.dev/requested-at={number}-{time.time_ns()}"
        crds.kubectl("annotate", "--overwrite", "lu/shop", "-n", GOOD, stamp)
        until(lambda before=before: good.requests > before, 15)
        assert time.monotonic() - asked < 60, "and not once somebody else's poll has ended"


def test_the_hanging_ones_share_half_of_the_workers(stage, crds):
    _, bad, _ = stage
    assert bad.requests == 2
    found = json.loads(crds.kubectl("get", "lu", "-n", BAD, "-o", "json").stdout)["items"]
    assert not any("activeUsers" in one.get("status", {}) for one in found)
