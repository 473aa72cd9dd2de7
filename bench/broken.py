"""``python -m bench.broken [--objects N] [--seconds N]``: what objects that wait for a person cost.

The real operator on a real API server, with objects that nobody mends: a quarter each names a
preset or a licence that does not exist, the others labels that no pod has. Once each has said why,
and has waited for a while, the operator's processor time is measured. Goal: below 5 % of a core for
1,500.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

from bench.operator import MeasuredOperator
from hack.controlplane import ControlPlane

ROOT = Path(__file__).resolve().parent.parent
PER_NAMESPACE = 50
GOAL = 0.05


def main() -> int:
    """Measure; 1 if the goal is missed."""
    parser = argparse.ArgumentParser(prog="python -m bench.broken", description=__doc__)
    parser.add_argument("--objects", type=int, default=1500)
    parser.add_argument("--seconds", type=int, default=660, help="how long to measure")
    parser.add_argument("--settle", type=int, default=1300, help="how long to wait before")
    options = parser.parse_args()
    with ControlPlane() as plane, tempfile.TemporaryDirectory() as folder:
        plane.apply(ROOT / "crds")
        plane.await_crds()
        names = [f"broken-{at}" for at in range(-(-options.objects // PER_NAMESPACE))]
        for name in names:
            plane.create_namespace(name)
        for at, name in enumerate(names):
            first = at * PER_NAMESPACE
            last = min(options.objects, first + PER_NAMESPACE)
            plane.apply([usage(name, number) for number in range(first, last)])
        share = measured(plane, Path(folder), options)
    print(f"{options.objects:,} objects that wait for a person: {share:.1%} of a core")
    return 0 if share < GOAL else 1


def usage(namespace: str, number: int) -> dict[str, object]:
    """A LicenseUsage that nobody mends."""
    name = f"usage-{number}"
    source = {
        "name": "list",
        "preset": "Unheard" if number % 4 == 0 else "Standard",
        "pods": {"selector": {"matchLabels": {"app": name}}, "port": "http", "scheme": "HTTP"},
        "auth": {"header": {"secretRef": {"name": name, "key": "token"}}},
    }
    terms: dict[str, object] = {"cycle": {"anchorDate": "2026-01-15", "lengthDays": 30}}
    if number % 4 == 1:
        terms = {"license": {"secretRef": {"name": f"{name}-license"}}}
    return {
        "apiVersion": "licenseusage.dev/v1alpha1",
        "kind": "LicenseUsage",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"product": "shop", "sources": [source], **terms},
    }


def measured(plane: ControlPlane, folder: Path, options: argparse.Namespace) -> float:
    """Return the share of a core that the operator uses once everything has been told."""
    with MeasuredOperator(plane, folder, "broken-0") as operator:
        while (explained := _explained(plane)) < options.objects:
            print(f"{explained:,} of {options.objects:,} have said why", flush=True)
            time.sleep(5)
        time.sleep(options.settle)
        before, looks, at = operator.cpu_seconds(), operator.reconciles(), time.monotonic()
        for _ in range(max(1, options.seconds // 30)):
            time.sleep(min(30, options.seconds))
            passed = time.monotonic() - at
            used = operator.cpu_seconds() - before
            print(
                f"after {passed:.0f} s: {used / passed:.1%} of a core, "
                f"{(operator.reconciles() - looks) / passed:.1f} looks a second",
                flush=True,
            )
        return (operator.cpu_seconds() - before) / (time.monotonic() - at)


def _explained(plane: ControlPlane) -> int:
    listed = plane.kubectl("get", "lu", "-A", "-o", "json").stdout
    return sum(
        1 for item in json.loads(listed)["items"] if item.get("status", {}).get("conditions")
    )


if __name__ == "__main__":
    sys.exit(main())
