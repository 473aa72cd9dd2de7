"""A product that states numbers: what is said of its cycle in status and report, and beside a list.

One day's cycle ends while one watches. Three objects read the same product: a gauge of the last 24
hours (licensed), a number that is asked for the cycle, and a list with such a number beside it.
"""

import time
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest

from licenseusage.reports.report import read_report
from tests.controller.sample import Product, reply
from tests.controller.stage import (
    Operator,
    Vendor,
    meter_secret,
    offset_before_midnight,
    secret,
    until,
    usage,
    vendor_keys,
)

pytestmark = pytest.mark.controlplane

WHERE = {"pods": {"selector": {"matchLabels": {"app": "shop"}}, "port": "http", "scheme": "HTTP"}}
PROMISED = {"removal": "Never", "completeness": "Complete"}
GAUGE = WHERE | {
    "name": "gauge",
    "prometheus": {"path": "/metrics", "metric": "users_active", "matchLabels": {"period": "24h"}},
    "count": {"warmupSeconds": 0},
    "window": {"type": "Rolling", "hours": 24},
    "guarantees": {"lagSeconds": 1},
}
ASKED = WHERE | {
    "name": "asked",
    "http": {
        "path": "/stats",
        "query": [
            {"name": "from", "value": "{{cycle.start.epoch}}"},
            {"name": "to", "value": "{{cycle.end.epoch}}"},
        ],
    },
    "count": {"value": "active", "warmupSeconds": 0},
    "window": {"type": "Cycle"},
    "guarantees": {"lagSeconds": 1, **PROMISED},
}


class Scene:
    """A product with 20 people, all active in the cycle that is about to end."""

    def __init__(self, crds, folder):
        crds.create_namespace("numbers")
        self.offset = offset_before_midnight(45)
        self.midnight = int(time.time() + self.offset) // 86_400 * 86_400 + 86_400
        self.product = Product(self.offset)
        self.product.users = {f"user-{i:03}": self.midnight - 600 - i for i in range(20)}
        self.product.fault = self.numbers
        self.lines = ['users_active{period="24h"} 20', 'users_active{period="7d"} 31']
        self.vendor = Vendor(folder / "vendor", offset=self.offset).start()
        self.operator = Operator(
            crds,
            "numbers",
            folder / "operator",
            offset=self.offset,
            vendor_ca_file=self.vendor.tls.ca_file,
        ).start()
        end = datetime.fromtimestamp(self.midnight, UTC)
        anchor = (end - timedelta(days=1)).date()
        days = {"cycle": {"anchorDate": anchor.isoformat(), "lengthDays": 1}}
        crds.create_pod(
            "numbers", "shop-0", labels={"app": "shop"}, ports={"http": self.product.port}
        )
        listed = usage("numbers", "beside", spec=days)
        listed["spec"]["sources"][0]["pods"] |= WHERE["pods"]
        listed["spec"]["sources"].append(ASKED)
        crds.apply(
            [
                meter_secret("numbers"),
                secret("numbers", "license", **{"license.jwt": self.vendor.license(anchor=anchor)}),
                vendor_keys("numbers", self.vendor.jwks),
                usage(
                    "numbers",
                    "gauged",
                    spec={"license": {"secretRef": {"name": "license"}}, "sources": [GAUGE]},
                ),
                usage("numbers", "asked", spec=days | {"sources": [ASKED]}),
                listed,
            ]
        )

    def numbers(self, handler) -> bool:
        """Answer for the metrics and the statistics; the list answers for itself."""
        parts = urlsplit(handler.path)
        if parts.path == "/metrics":
            text = "".join(f"{line}\n" for line in ["# TYPE users_active gauge", *self.lines])
            reply(handler, 200, text.encode(), "text/plain; version=0.0.4")
            return True
        if parts.path == "/stats":
            ended = int(parse_qs(parts.query)["to"][0]) <= self.midnight
            reply(handler, 200, b'{"active": 25}' if ended else b'{"active": 0}')
            return True
        return False

    def final_of(self, name):
        """The status' last ended cycle, once it is final."""
        history = self.operator.status(name).get("history") or [{}]
        return history[0] if history[0].get("state") == "Final" else None

    def close(self):
        self.operator.stop()
        self.vendor.stop()
        self.product.close()


@pytest.fixture(scope="module")
def scene(crds, tmp_path_factory):
    scene = Scene(crds, tmp_path_factory.mktemp("scene"))
    yield scene
    scene.close()


def test_a_gauge_as_long_as_the_cycle_ends_as_an_estimate_in_status_and_report(scene):
    ended = until(lambda: scene.final_of("gauged"), 90)
    assert (ended["activeText"], ended["accuracy"]) == ("~20", "Estimate")
    assert "upperBound" not in ended
    finals = until(
        lambda: [r for r in scene.operator.reports() if r["spec"]["kind"] == "Final"], 60
    )
    content = read_report(finals[0]["spec"]["token"]).content
    assert (content.active_users, content.active_users_upper_bound) == (20, None)
    assert (content.accuracy, content.commitment) == ("Estimate", None)
    assert content.rules.definition == (
        "The product counts the user as active in the last 24 hours, in users_active"
    )
    assert [each.reason for each in content.uncertainty] == ["UnprovedCounts"]


def test_a_number_that_is_asked_for_the_cycle_after_its_end_is_exact(scene):
    ended = until(lambda: scene.final_of("asked"), 90)
    assert (ended["activeText"], ended["accuracy"]) == ("25", "Exact")


def test_beside_a_list_the_number_changes_nothing_and_is_said_to_disagree(scene):
    ended = until(lambda: scene.final_of("beside"), 90)
    assert (ended["activeText"], ended["accuracy"]) == ("20", "Exact")
    found = scene.operator.wait_condition("beside", "GuaranteesHold", "False", "CountDisagrees")
    assert (
        "source asked states that at least 25 were active in the cycle, and 20 are proved"
        in (found["message"])
    )
    assert scene.operator.condition("beside", "Ready")["status"] == "True"


def test_a_gauge_that_is_absent_is_a_named_failure_and_no_number(scene, crds):
    until(lambda: scene.final_of("gauged"), 90)
    assert scene.operator.condition("gauged", "WithinEntitlement")["reason"] == "CountUnknown"
    scene.lines = ['users_active{period="7d"} 31']
    crds.kubectl(
        *("annotate", "licenseusage", "gauged", "-n", "numbers"),
        f"licenseusage.dev/requested-at={time.time_ns()}",
    )
    scene.operator.wait_condition("gauged", "Collected", "False", "MetricNotFound", 90)
    status = scene.operator.status("gauged")
    assert status["sources"][0]["statedNumber"] == 20
    assert "activeUsers" not in status
    assert status["history"][0]["activeText"] == "~20"
