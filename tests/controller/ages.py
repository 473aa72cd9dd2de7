"""An operator that lives at several simulated times, with product and vendor in step."""

import time
from datetime import UTC, datetime

from tests.controller.sample import Product
from tests.controller.stage import Operator, Vendor, meter_secret, secret, usage, vendor_keys

DAY = 86_400
NOW = int(time.time())
MIDNIGHT = NOW // DAY * DAY


class Ages:
    """An operator that is started at several simulated times, with product and vendor in step."""

    def __init__(self, crds, namespace, folder):
        self.crds, self.namespace, self.folder = crds, namespace, folder
        self.product = Product()
        self.vendor = Vendor(folder / "vendor")
        self.operator, self.at = None, 0.0

    def travel(self, at: float, *, vendor_late: int = 0, script=None, **settings) -> Operator:
        """Start everything at a simulated time, in seconds since the epoch."""
        self.stop()
        self.at, offset = at, int(at - time.time())
        self.product.offset, self.vendor.offset = offset, offset - vendor_late
        self.vendor.start()
        self.operator = Operator(
            self.crds,
            self.namespace,
            self.folder / "operator",
            offset=offset,
            vendor_ca_file=self.vendor.tls.ca_file,
            **settings,
        ).start(script=script)
        return self.operator

    def finals(self, name="shop"):
        found = [
            r
            for r in self.operator.reports()
            if r["spec"]["kind"] == "Final" and r["spec"]["usageName"] == name
        ]
        return sorted(found, key=lambda r: r["spec"]["cycle"]["startTime"])

    def accepted(self, count):
        finals = self.finals()
        good = [r for r in finals if r.get("status", {}).get("delivery") == "Accepted"]
        return good if len(good) >= count else None

    def stop(self):
        if self.operator is not None:
            self.operator.stop()
        self.vendor.stop()

    def close(self):
        self.stop()
        self.product.close()


def licensed(ages, *, days=1, subscription="sub-1", anchor, at, **terms):
    """The objects of a usage whose licence is issued at a simulated time, in epoch seconds."""
    ages.vendor.offset = int(at - time.time())
    token = ages.vendor.license(anchor=anchor, days=days, subscription=subscription, **terms)
    return [
        meter_secret(ages.namespace),
        secret(ages.namespace, "license", **{"license.jwt": token}),
        vendor_keys(ages.namespace, ages.vendor.jwks),
        usage(
            ages.namespace,
            spec={"license": {"secretRef": {"name": "license"}}, "closeGraceHours": 24},
        ),
    ]


def day(at):
    return datetime.fromtimestamp(at, UTC).date()
