"""``python -m bench.scale [--objects N …] [--seconds N]``: what idle licensed objects cost.

The real operator on a real API server. Every object has a licence in a Secret of its own and a
product that was polled once; nothing else is due within the hour. Printed are the share of a core
(the operator's processor seconds per second), its requests to the API server per second, how often
it looks at an object, and its resident memory without the workers.
"""

import argparse
import json
import os
import re
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from bench.operator import MeasuredOperator
from hack.controlplane import ControlPlane
from licenseusage.reports.keys import SigningKey, VendorKey, VendorKeys
from licenseusage.reports.licence import LicenseTerms, build_license
from licenseusage.reports.terms import CycleTerms
from licenseusage.reports.typs import LICENSE

ROOT = Path(__file__).resolve().parent.parent
SYSTEM = "licenseusage-system"
PER_NAMESPACE = 50
_TOKEN = "bench"  # noqa: S105 - of a product that does not exist
_READ = "licenseusages|usagereports|secrets|configmaps|pods|events"
_REQUESTS = re.compile(rf'apiserver_request_total{{[^}}]*resource="(?:{_READ})"[^}}]*}} (\S+)')


@dataclass(frozen=True, slots=True)
class Cost:
    """What idle objects cost: shares of a core, requests and looks per second, MiB."""

    cores: float
    requests: float
    looks: float
    memory_mib: float


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.scale", description=__doc__)
    parser.add_argument("--objects", type=int, nargs="*", default=[300, 1000])
    parser.add_argument("--seconds", type=int, default=180, help="how long to measure")
    parser.add_argument("--settle", type=int, default=90, help="how long to wait before")
    options = parser.parse_args()
    print("| idle licensed objects | core | requests/s | looks/s | memory MiB |")
    print("|---|---|---|---|---|")
    for objects in options.objects:
        cost = measured(objects, options.seconds, options.settle)
        print(
            f"| {objects:,} | {cost.cores:.3f} | {cost.requests:.1f} | {cost.looks:.2f} "
            f"| {cost.memory_mib:.0f} |",
            flush=True,
        )
    return 0


def measured(objects: int, seconds: int, settle: int) -> Cost:
    """Return what so many objects cost once each of them has a number."""
    with (
        ControlPlane() as plane,
        tempfile.TemporaryDirectory() as folder,
        product() as port,
    ):
        install(plane, objects, port)
        settings = {
            "DEV": 1,  # permits a product on loopback
            "POLL_WORKERS": 2,
        }
        with MeasuredOperator(plane, Path(folder), SYSTEM, **settings) as operator:
            while (ready := _ready(plane)) < objects:
                print(f"{ready:,} of {objects:,} are Ready", file=sys.stderr, flush=True)
                time.sleep(5)
            time.sleep(settle)
            asked, looks = _requests(plane), operator.reconciles()
            used, at = operator.cpu_seconds(), time.monotonic()
            time.sleep(seconds)
            passed = time.monotonic() - at
            return Cost(
                (operator.cpu_seconds() - used) / passed,
                (_requests(plane) - asked) / passed,
                (operator.reconciles() - looks) / passed,
                operator.memory_mib(),
            )


@contextmanager
def product() -> Iterator[int]:
    """Serve one user to everybody who asks; give its port."""
    signed_in = datetime.now(UTC) - timedelta(hours=1)
    user = {"id": "ann", "lastActive": f"{signed_in:%Y-%m-%dT%H:%M:%SZ}"}
    body = json.dumps({"users": [user], "next": None}).encode()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()


def install(
    plane: ControlPlane,
    objects: int,
    port: int,
    made: Callable[[str, int], dict[str, Any]] | None = None,
    *,
    pods: int = 1,
) -> None:
    """Make custom resources, namespaces with pods, the vendor's keys and the objects.

    Args:
        plane: The cluster.
        objects: How many.
        port: Of the product, for all pods.
        made: Makes an object of a namespace and its number; None: `usage`.
        pods: Of each namespace.
    """
    plane.apply(ROOT / "crds")
    plane.await_crds()
    key = SigningKey.from_seed(os.urandom(32))
    jwks = VendorKeys([VendorKey(key.public, frozenset({LICENSE}))]).to_jwks()
    plane.create_namespace(SYSTEM)
    plane.apply(
        [_object("v1", "ConfigMap", SYSTEM, "licenseusage-vendor-keys", data={"jwks.json": jwks})]
    )
    for first in range(0, objects, PER_NAMESPACE):
        namespace = f"idle-{first // PER_NAMESPACE}"
        plane.create_namespace(namespace)
        for pod in range(pods):
            plane.create_pod(namespace, f"shop-{pod}", labels={"app": "shop"}, ports={"http": port})
        numbers = range(first, min(objects, first + PER_NAMESPACE))
        plane.apply([_meter(namespace), *_licences(namespace, numbers, key)])
        plane.apply([(made or usage)(namespace, number) for number in numbers])


def usage(namespace: str, number: int) -> dict[str, Any]:
    """A licensed LicenseUsage whose product is polled once in a day."""
    source = {
        "name": "list",
        "preset": "Standard",
        "pods": {"selector": {"matchLabels": {"app": "shop"}}, "port": "http", "scheme": "HTTP"},
        "auth": {"header": {"secretRef": {"name": "meter", "key": "token"}}},
        "intervalMinutes": 1440,
    }
    spec = {
        "product": "shop",
        "license": {"secretRef": {"name": f"license-{number}"}},
        "closeGraceHours": 72,
        "sources": [source],
    }
    return _object(
        "licenseusage.dev/v1alpha1", "LicenseUsage", namespace, f"usage-{number}", spec=spec
    )


def _meter(namespace: str) -> dict[str, Any]:
    kind = "licenseusage.dev/credentials"
    return _object("v1", "Secret", namespace, "meter", type=kind, stringData={"token": _TOKEN})


def _licences(namespace: str, numbers: Sequence[int], key: SigningKey) -> list[dict[str, Any]]:
    """Return a Secret with a licence of its own for each object."""
    now_s = int(time.time())
    terms = {
        "vendor": "vendor.example",
        "issued_at_s": now_s - 60,
        "not_before_s": now_s - 60,
        "expires_s": now_s + 86_400 * 400,
        "product": "shop",
        "cycle": CycleTerms((datetime.now(UTC) - timedelta(days=9)).date(), length_days=30),
        "interval_hours": 24,
        "reporting_required": True,
        "maximum_active_users": 500,
        "endpoint": None,  # reports are made and kept
    }
    secrets = []
    for number in numbers:
        name = {"subscription": f"sub-{number}", "license_id": f"lic-{number}"}
        token = build_license(LicenseTerms(**{**terms, **name}), key)  # type: ignore[arg-type]
        data = {"license.jwt": token}
        secrets.append(_object("v1", "Secret", namespace, f"license-{number}", stringData=data))
    return secrets


def _object(version: str, kind: str, namespace: str, name: str, **rest: object) -> dict[str, Any]:
    meta = {"name": name, "namespace": namespace}
    return {"apiVersion": version, "kind": kind, "metadata": meta, **rest}


def _ready(plane: ControlPlane) -> int:
    listed = plane.kubectl("get", "lu", "-A", "-o", "json").stdout
    conditions = [
        {
            condition["type"]: condition["status"]
            for condition in item.get("status", {}).get("conditions", ())
        }
        for item in json.loads(listed)["items"]
    ]
    return sum(statuses.get("Ready") == "True" for statuses in conditions)


def _requests(plane: ControlPlane) -> float:
    """Requests so far for the kinds that the operator reads and writes."""
    text = plane.kubectl("get", "--raw", "/metrics").stdout
    return sum(float(count) for count in _REQUESTS.findall(text))


if __name__ == "__main__":
    sys.exit(main())
