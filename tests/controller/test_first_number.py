"""From apply to the first number, what an edit does, and that an idle object writes nothing."""

import json
import time
from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client.parser import text_string_to_metric_families

from licenseusage.controller.rules.metricbook import BOOK
from tests.controller.sample import Product
from tests.controller.stage import Operator, meter_secret, until, usage

pytestmark = pytest.mark.controlplane


@pytest.fixture(scope="module")
def place(crds):
    crds.create_namespace("first-number")
    return "first-number"


@pytest.fixture(scope="module")
def product():
    product = Product()
    now = product.now()
    product.users = {f"user-{i:03}": now - 3600 for i in range(12)} | {"never": None}
    yield product
    product.close()


@pytest.fixture(scope="module")
def operator(crds, place, tmp_path_factory):
    operator = Operator(crds, place, tmp_path_factory.mktemp("operator")).start()
    yield operator
    operator.stop()


@pytest.fixture(scope="module")
def counted(crds, operator, place, product):
    """A product with a number; returns the seconds from apply to it."""
    crds.create_pod(place, "shop-0", labels={"app": "shop"}, ports={"http": product.port})
    crds.apply(meter_secret(place))
    began = time.monotonic()
    crds.apply(usage(place))
    until(lambda: operator.status("shop").get("activeUsers"), 60, 0.05)
    return time.monotonic() - began


def test_apply_gives_a_number_and_the_time_is_printed(operator, counted, capsys):
    status = operator.status("shop")
    assert (status["activeText"], status["activeUsers"]) == ("12 so far", 12)
    assert status["accuracy"] == "LowerBound"
    assert status["provisionedUsers"] == 13
    assert status["observedGeneration"] == 1
    assert operator.condition("shop", "Ready")["status"] == "True"
    assert {c["type"] for c in status["conditions"]} == {"Ready", "Collected"}
    with capsys.disabled():
        print(f"\n  apply to first number: {counted:.2f} s")


def test_an_edit_shows_in_the_status_and_the_time_is_printed(
    operator, counted, crds, place, capsys
):
    began = time.monotonic()
    crds.kubectl(
        *("patch", "licenseusage", "shop", "-n", place, "--type=merge"),
        *("-p", json.dumps({"spec": {"maximumActiveUsers": 5}})),
    )
    until(lambda: operator.condition("shop", "WithinEntitlement"), 30, 0.05)
    took = time.monotonic() - began
    seen = operator.condition("shop", "WithinEntitlement")
    assert (seen["status"], seen["reason"]) == ("False", "MaximumExceeded")
    reached = operator.status("shop")["thresholds"]
    assert [threshold["percent"] for threshold in reached] == [80, 90, 100]
    assert operator.condition("shop", "Ready")["status"] == "True"
    assert operator.status("shop")["observedGeneration"] == 2
    with capsys.disabled():
        print(f"\n  edit to visible status: {took:.2f} s")


def test_an_idle_object_writes_nothing(operator, counted, place):
    before = operator.get("shop")["metadata"]["resourceVersion"]
    looks = operator.reconciles()
    time.sleep(5)
    after = operator.get("shop")["metadata"]
    assert before == after["resourceVersion"]
    assert operator.reconciles() <= looks + 1
    assert "finalizers" not in after
    assert all(not key.startswith("kopf") for key in after.get("annotations", {}))


def test_a_request_collects_at_once_and_every_value_is_a_request(operator, counted, crds, product):
    for _ in range(2):
        before = product.requests
        stamp = f"licenseusage.dev/requested-at={time.time_ns()}"
        annotate = ("annotate", "--overwrite", "licenseusage/shop", "-n", operator.namespace)
        crds.kubectl(*annotate, stamp)
        until(lambda before=before: product.requests > before, 15)


def test_a_new_user_is_counted_and_one_who_left_stays_counted(operator, counted, crds, product):
    product.users["user-new"] = product.now() - 60
    product.users["user-000"] = None
    stamp = f"licenseusage.dev/requested-at={time.time_ns()}"
    crds.kubectl("annotate", "--overwrite", "licenseusage/shop", "-n", operator.namespace, stamp)
    until(lambda: operator.status("shop").get("activeUsers") == 13, 15)


def test_kubectl_shows_what_the_design_says(operator, counted, crds, place):
    table = crds.kubectl("get", "licenseusage", "-n", place).stdout.splitlines()
    assert table[0].split() == [
        *("NAME", "ACTIVE", "AS-OF", "ENTITLED", "CYCLE-ENDS", "REPORTED", "READY", "AGE")
    ]
    assert table[1].split()[:4] == ["shop", "13", "so", "far"]
    assert max(map(len, table)) <= 80
    wide = crds.kubectl("get", "lu", "-n", place, "-o", "wide").stdout.splitlines()
    for column in ("PRODUCT", "PROVISIONED", "ACCURACY", "LAST-CYCLE", "REASON"):
        assert column in wide[0].split()
    assert "LowerBound" in wide[1]
    text = crds.kubectl("get", "lu", "shop", "-n", place, "-o", "yaml").stdout
    assert "activeText: 13 so far" in text
    assert "null" not in text
    explained = crds.kubectl("explain", "licenseusage.status.activeText").stdout
    assert "activeText is the number of active users" in explained
    crds.kubectl("wait", "--for=condition=Ready", "licenseusage/shop", "-n", place, "--timeout=5s")


def test_metrics_and_health_are_served_by_their_names(operator, counted):
    status, text = operator.http("/metrics")
    assert status == 200
    labels = '{name="shop",usage_namespace="first-number"}'
    for line in (
        'licenseusage_active_users{bound="lower",name="shop",usage_namespace="first-number"} 13.0',
        f"licenseusage_maximum_active_users{labels} 5.0",
        f"licenseusage_cycle_end_timestamp_seconds{labels}",
        'licenseusage_collections_total{reason="",result="Success"}',
        "licenseusage_collection_duration_seconds_count",
        "licenseusage_collection_age_seconds",
        "licenseusage_collection_last_success_timestamp_seconds{",
        "licenseusage_ledger_volume_available_bytes ",
    ):
        assert line in text, line
    shown = {family.name: family for family in text_string_to_metric_families(text)}
    assert set(shown) == {family.name.removesuffix("_total") for family in BOOK}
    assert shown["licenseusage_ledger_size_bytes"].samples[0].value > 4096
    conditions = {
        (sample.labels["type"], sample.labels["status"], sample.labels["reason"])
        for sample in shown["licenseusage_condition"].samples
        if sample.labels["name"] == "shop"
    }
    assert conditions == {
        (condition["type"], condition["status"], condition["reason"])
        for condition in operator.status("shop")["conditions"]
    }
    assert operator.http("/healthz") == (200, "ok\n")
    assert operator.http("/readyz")[0] == 200


def test_nothing_names_a_person_or_a_secret(operator, counted, crds, place):
    from tests.controller.sample import TOKEN

    objects = crds.kubectl("get", "lu,events", "-n", place, "-o", "yaml").stdout
    told = objects + operator.http("/metrics")[1] + operator.log.read_text()
    for private in ("user-0", "user-new", TOKEN):
        assert private not in told


def test_delete_returns_at_once_and_applying_again_continues_the_cycle(
    operator, counted, crds, place
):
    began = time.monotonic()
    crds.kubectl("delete", "licenseusage", "shop", "-n", place, "--timeout=5s")
    assert time.monotonic() - began < 5
    until(lambda: 'name="shop"' not in operator.http("/metrics")[1], 10)
    crds.apply(usage(place))
    until(lambda: operator.status("shop").get("activeUsers") == 13, 30)


def test_before_its_first_cycle_an_object_names_the_day_on_which_that_begins(
    crds, operator, place, counted
):
    day = (datetime.now(UTC) + timedelta(days=40)).date().isoformat()
    cycle = {"anchorDate": day, "lengthDays": 30}
    crds.apply(usage(place, "later", spec={"cycle": cycle, "product": "later"}))
    seen = operator.wait_condition("later", "Collected", "Unknown", "NotCollectedYet")
    assert f"The next cycle begins on {day} (UTC)" in seen["message"]
