"""Sets the stage: products, their objects in the cluster, and the operator's environment."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from hack.controlplane import ControlPlane
from hack.demo import stage as demo
from trials.kills.checkout import ROOT
from trials.kills.people import People
from trials.kills.product import TOKEN, Product
from trials.kills.vendor import Vendor

NAMESPACE: Final = "kills"


@dataclass(frozen=True, slots=True)
class Subject:
    """One LicenseUsage that is counted.

    Attributes:
        name: Of the object.
        subscription: Two of the objects share one, and with it an enrolment.
        license: As the vendor has issued it.
    """

    name: str
    product_name: str
    subscription: str
    license: str
    product: Product

    @property
    def people(self) -> People:
        """The truth."""
        return self.product.people


def operator_environment(cp: ControlPlane, vendor: Vendor, ledger: Path) -> dict[str, str]:
    """Return what the operator's lives have in common: all but clock and port."""
    return {
        "KUBECONFIG": str(cp.kubeconfig),
        "LICENSEUSAGE_DEV": "1",
        "LICENSEUSAGE_NAMESPACES": NAMESPACE,
        "LICENSEUSAGE_OPERATOR_NAMESPACE": NAMESPACE,
        "LICENSEUSAGE_DATABASE_URL": f"sqlite:///{ledger}",
        "LICENSEUSAGE_HTTP_ADDRESS": "127.0.0.1:0",
        "LICENSEUSAGE_FIRST_SEND_SPREAD_SECONDS": "0",
        "LICENSEUSAGE_KEEP_FACTS_CYCLES": "24",
        "LICENSEUSAGE_VENDOR_CA_FILE": str(vendor.ca),
    }


def set_up(cp: ControlPlane, vendor: Vendor, subjects: Sequence[Subject]) -> None:
    """Install the custom resources, and everything an administrator applies."""
    cp.apply(ROOT / "crds")
    cp.await_crds()
    cp.create_namespace(NAMESPACE)
    for subject in subjects:
        ports = {"http": subject.product.port}
        cp.create_pod(NAMESPACE, f"{subject.name}-0", labels={"app": subject.name}, ports=ports)
    keys = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"namespace": NAMESPACE, "name": "licenseusage-vendor-keys"},
        "data": {"jwks.json": vendor.keys.to_jwks()},
    }
    licenses = [
        demo.secret(NAMESPACE, f"{subject.name}-license", {"license.jwt": subject.license})
        for subject in subjects
    ]
    meter = demo.credentials(NAMESPACE, "meter", {"token": TOKEN})
    cp.apply([keys, meter, *licenses, *(usage(subject) for subject in subjects)])


def usage(subject: Subject, *, mode: str = "Online", approval: str = "Automatic") -> dict[str, Any]:
    """Return the LicenseUsage of a product, and what becomes of its reports."""
    source = {
        "name": "users",
        "preset": "Standard",
        "intervalMinutes": 1,
        "pods": {
            "selector": {"matchLabels": {"app": subject.name}},
            "port": "http",
            "scheme": "HTTP",
        },
        "auth": {"header": {"secretRef": {"name": "meter", "key": "token"}}},
        "guarantees": {"lagSeconds": 1},
    }
    return {
        "apiVersion": "licenseusage.dev/v1alpha1",
        "kind": "LicenseUsage",
        "metadata": {"namespace": NAMESPACE, "name": subject.name},
        "spec": {
            "product": subject.product_name,
            "license": {"secretRef": {"name": f"{subject.name}-license"}},
            "closeGraceHours": 1,
            "reporting": {"mode": mode, "approval": approval},
            "sources": [source],
        },
    }


def objects(cp: ControlPlane, kind: str) -> list[dict[str, Any]]:
    """Return all objects of a kind, such as ``usagereports``."""
    listed = cp.get(f"/apis/licenseusage.dev/v1alpha1/namespaces/{NAMESPACE}/{kind}")
    items: list[dict[str, Any]] = listed["items"] if listed is not None else []
    return items
