"""Each right of the operator is used, and no other is missing: by what the API server allowed it.

A run that comes to everything the operator ever asks for, under its own service account. The API
server's audit says of each request which Role allowed it.
"""

import datetime as dt
import json
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from tests.controller.sample import TOKEN, Product
from tests.controller.stage import (
    Operator,
    Vendor,
    credentials,
    secret,
    until,
    usage,
    vendor_keys,
)
from tests.manifests.conftest import MANIFESTS, Installed, objects
from tests.manifests.rights import Right, granted, unused

pytestmark = pytest.mark.controlplane

OPERATORS = "licenseusage-system"
SHOP = "rights"
HOUR = 3600
ROLES = ("licenseusage-operator", "licenseusage-collector")


class Run(NamedTuple):
    """What the operator asked for in a run that needs every right.

    Attributes:
        asked: Within it, and before it by others of this control plane: keys are made only once.
        within: Within it.
    """

    asked: list[dict[str, Any]]
    within: list[dict[str, Any]]


@pytest.fixture(scope="module")
def run(installed: Installed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    before = len(installed.requests())
    stage = Stage(installed, tmp_path_factory.mktemp("rights"))
    try:
        # Another module's objects would say that this is not a first start.
        everything = "licenseusages,usagereports,usagereceipts"
        installed.control_plane.kubectl("delete", everything, "--all", "--all-namespaces")
        stage.set_up()
        # Four interims, of as many hours: the oldest one's object goes.
        for hour in range(4, -1, -1):
            stage.live_at(-hour * HOUR)
            until(lambda count=5 - hour: stage.newest() >= count, 30)
        until(lambda: len(stage.reports()) == 3)
        stage.repeat_an_event()
        stage.find_a_report_that_lost_its_label()
        asked = installed.requests()
    except AssertionError:
        print(stage.told())  # pytest shows it beside the failure
        raise
    else:
        yield Run(asked, asked[before:])
    finally:
        stage.close()


class Stage:
    """A licensed object; others name a Service, an endpoint, and a ConfigMap with a preset."""

    def __init__(self, installed: Installed, folder):
        self.installed, self.cp, self.folder = installed, installed.control_plane, folder
        self.vendor, self.product, self.operator = Vendor(folder / "vendor"), Product(), None

    def set_up(self):
        self.cp.create_namespace(SHOP)
        binding = ("create", "rolebinding", "collector", "-n", SHOP)
        self.cp.kubectl(
            *binding,
            "--clusterrole=licenseusage-collector",
            f"--serviceaccount={OPERATORS}:licenseusage-operator",
        )
        ports = {"http": self.product.port}
        self.cp.create_pod(SHOP, "shop-0", labels={"app": "shop"}, ports=ports)
        self.vendor.offset = -6 * HOUR
        begin = dt.datetime.fromtimestamp(time.time() - 6 * HOUR, dt.UTC).date()
        self.license = self.vendor.license(
            anchor=begin - dt.timedelta(days=1), days=30, endpoint=None, interval_hours=1
        )
        licensed = {"license": {"secretRef": {"name": "license"}}}
        elsewhere = {"pods": None, "service": {"name": "absent", "port": 80, "scheme": "HTTP"}}
        self.cp.apply(
            [
                credentials(SHOP, "meter", token=TOKEN),
                secret(SHOP, "license", **{"license.jwt": self.license}),
                vendor_keys(OPERATORS, self.vendor.jwks),
                usage(SHOP, spec=licensed, source={"intervalMinutes": 1}),
                {
                    "apiVersion": "licenseusage.dev/v1alpha1",
                    "kind": "UsageReceipt",
                    "metadata": {"name": "from-the-vendor", "namespace": SHOP},
                    "spec": {"receipts": ["a.b.cccc"]},
                },
                _at(SHOP, "by-service", **elsewhere),
                _at(SHOP, "by-endpoint", pods=None, endpoint="absent"),
                _at(SHOP, "by-preset", preset="Ours", presetConfigMapRef={"name": "absent"}),
            ]
        )

    def live_at(self, offset: int):
        if self.operator is not None:
            self.operator.stop()
        self.product.offset = offset
        self.product.users = {"ann": self.product.now() - 60}
        self.operator = Operator(
            self.cp,
            SHOP,
            self.folder / "operator",
            offset=offset,
            kubeconfig=self.installed.operator_kubeconfig,
            namespaces="",
            operator_namespace=OPERATORS,
        ).start()

    def reports(self):
        return self.operator.reports()

    def newest(self):
        return max((one["spec"]["sequence"] for one in self.reports()), default=0)

    def repeat_an_event(self):
        """The licence breaks in the same way twice within an hour (three times, if one is new)."""

        def repeated():
            for token, status in (("broken", "False"), (self.license, "True")):
                self.cp.apply(secret(SHOP, "license", **{"license.jwt": token}))
                self.ask()
                self.operator.wait_condition("shop", "Licensed", status)
            return self.asked("patch", "events")

        until(repeated, 30)

    def find_a_report_that_lost_its_label(self):
        name = self.reports()[0]["metadata"]["name"]
        self.cp.kubectl("label", "ur", name, "-n", SHOP, "licenseusage.dev/usage-")
        self.ask()
        until(lambda: self.asked("get", "usagereports"))

    def asked(self, verb, resource):
        return any(
            one["verb"] == verb and one.get("objectRef", {}).get("resource") == resource
            for one in self.installed.requests()
        )

    def ask(self):
        stamp = f"licenseusage.dev/requested-at={time.time_ns()}"
        self.cp.kubectl("annotate", "--overwrite", "lu/shop", "-n", SHOP, stamp)

    def told(self):
        """What the operator says of the object and in its log."""
        conditions = self.operator.status("shop").get("conditions")
        return f"{json.dumps(conditions, indent=1)}\n{self.operator.log.read_text()[-8000:]}"

    def close(self):
        if self.operator is not None:
            self.operator.stop()
        self.product.close()


def _at(namespace, name, **place):
    made = usage(namespace, name)
    source = {**made["spec"]["sources"][0], **place}
    made["spec"]["sources"] = [{k: v for k, v in source.items() if v is not None}]
    return made


RIGHTS = granted(
    [
        role
        for name in ("rbac-operator", "rbac-collector")
        for role in objects((MANIFESTS / "base" / f"{name}.yaml").read_text())
    ],
    *ROLES,
)


@pytest.mark.parametrize("right", sorted(RIGHTS, key=str), ids=str)
def test_the_operator_uses_its_right_to(right, run):
    """Without it a request of this run is refused, and the next test fails."""
    assert unused({right}, run.asked) == set()


def test_these_are_all_rights_of_the_operator(kustomize):
    assert granted(kustomize("base"), *ROLES) == RIGHTS


def test_no_right_is_missing(run):
    refused = [
        f"{one['verb']} {one['requestURI']}"
        for one in run.within
        if one["responseStatus"]["code"] in (401, 403)
    ]
    assert refused == []


@pytest.mark.parametrize(
    "right",
    [
        Right("licenseusage-operator", "get", "coordination.k8s.io/leases"),
        Right("licenseusage-operator", "get", "licenseusage.dev/licenseusages/status"),
        Right("licenseusage-operator", "patch", "licenseusage.dev/usagereceipts"),
        Right("licenseusage-operator", "update", "secrets", "licenseusage-pseudonym"),
        Right("licenseusage-operator", "get", "configmaps", "another"),
        Right("licenseusage-collector", "get", "configmaps", "another"),
        Right("licenseusage-collector", "watch", "pods"),
    ],
)
def test_a_right_that_nobody_needs_is_found(run, right):
    assert unused({right}, run.asked) == {right}
