"""A LicenseUsage of a real product, counted by the real operator on a real Kubernetes API."""

import json
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from hack.controlplane import ControlPlane
from hack.demo.children import Children
from tests.e2e.reading import SECRET

_LABELS = {"app": "product"}
_NAME = "product"


class Counted:
    """An object under test, as kubectl sees it."""

    def __init__(self, cp: ControlPlane, namespace: str, children: Children) -> None:
        self.cp, self.namespace, self.children = cp, namespace, children

    def create(self, source: Mapping[str, Any], port: int, secret: Mapping[str, str]) -> None:
        """Apply it, with the pod and the Secret that its source needs.

        Args:
            source: Without its pods; the Secret's name is ``SECRET``.
            port: Of the product, on loopback.
            secret: The Secret's values.
        """
        self.cp.create_pod(self.namespace, "product-0", labels=_LABELS, ports={"http": port})
        credentials = {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "licenseusage.dev/credentials",
            "metadata": {"name": SECRET},
            "stringData": secret,
        }
        self.cp.kubectl("apply", "-n", self.namespace, "-f", "-", stdin=json.dumps(credentials))
        anchor = (datetime.now(UTC) - timedelta(days=10)).date().isoformat()
        pods = {"selector": {"matchLabels": _LABELS}, "port": "http", "scheme": "HTTP"}
        whole = {"name": "product", "intervalMinutes": 1, "pods": pods, **source}
        self.cp.apply(
            {
                "apiVersion": "licenseusage.dev/v1alpha1",
                "kind": "LicenseUsage",
                "metadata": {"name": _NAME, "namespace": self.namespace},
                "spec": {
                    "product": "product",
                    "cycle": {"anchorDate": anchor, "lengthDays": 30},
                    "sources": [whole],
                },
            }
        )

    def status(self) -> dict[str, Any]:
        """What is said now."""
        group = f"/apis/licenseusage.dev/v1alpha1/namespaces/{self.namespace}"
        shown = self.cp.get(f"{group}/licenseusages/{_NAME}")
        assert shown is not None, "the object is gone"
        status: dict[str, Any] = shown.get("status") or {}
        return status

    def await_status(self, what: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Wait until something is said."""
        deadline = time.monotonic() + 60
        while not what(status := self.status()):
            self.children.check()
            if time.monotonic() > deadline:
                raise AssertionError(f"{status}\n{self.children.tail('operator')}")
            time.sleep(0.2)
        return status

    def collect_now(self) -> None:
        """Ask for a collection, as an administrator does."""
        self.cp.kubectl(
            *("annotate", "licenseusage", _NAME, "-n", self.namespace, "--overwrite"),
            f"licenseusage.dev/requested-at={datetime.now(UTC).isoformat()}",
        )

    def await_condition(self, condition: str) -> None:
        """Wait as ``kubectl wait`` does."""
        self.cp.kubectl(
            *("wait", f"--for=condition={condition}", "--timeout=30s"),
            *("licenseusage", _NAME, "-n", self.namespace),
        )
