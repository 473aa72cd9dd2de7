"""The object of ``manifests/samples/standard``, and a product for it that runs on this machine."""

import os
import secrets
import sys
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import yaml

from examples.product.generate import generate
from examples.product.store import Store
from hack.controlplane import ControlPlane
from hack.demo.children import Children
from hack.demo.stage import await_http, free_ports

SAMPLE = Path(__file__).resolve().parents[2] / "manifests" / "samples" / "standard"
USAGE = yaml.safe_load((SAMPLE / "licenseusage.yaml").read_text())
NAMESPACE = USAGE["metadata"]["namespace"]
_LABELS = USAGE["spec"]["sources"][0]["pods"]["selector"]["matchLabels"]
_DAY = 86_400


@dataclass(frozen=True)
class Product:
    """A running sample product.

    Attributes:
        port: Where it listens, on 127.0.0.1.
        token: What it lets a collector in with.
        active_users: How many people used it in the sample's running cycle.
    """

    port: int
    token: str
    active_users: int


def start_product(children: Children, folder: Path) -> Product:
    """Start one with 2,000 people; its files are in ``folder``."""
    now = int(datetime.now(UTC).timestamp())
    start, end = _cycle(now)
    with closing(Store(folder / "people.db")) as store:
        # An hour ago: what is a minute old may still be on its way (the preset's lag).
        past = max(now - 3600, start + 1)
        truth = generate(store, start=start, end=end, now=past, people=2_000)
    token, (port,) = secrets.token_urlsafe(24), free_ports(1)
    (folder / "token").write_text(token)
    serve = [sys.executable, "-m", "examples.product", "serve", "--port", str(port)]
    serve += ["--database", str(folder / "people.db"), "--token-file", str(folder / "token")]
    children.start("product", serve, os.environ)
    await_http(f"http://127.0.0.1:{port}/healthz", children)
    return Product(port, token, len(truth.active))


def deploy(control_plane: ControlPlane, namespace: str, product: Product) -> None:
    """What the product's own installation would do."""
    control_plane.kubectl("create", "namespace", namespace, check=False)
    control_plane.kubectl("create", "serviceaccount", "default", "-n", namespace, check=False)
    control_plane.create_pod(namespace, "product-0", labels=_LABELS, ports={"http": product.port})
    control_plane.kubectl(
        *("create", "secret", "generic", "sample-meter", "-n", namespace),
        "--type=licenseusage.dev/credentials",
        f"--from-literal=token={product.token}",
    )


def _cycle(now: int) -> tuple[int, int]:
    """Start and end of the sample's cycle at ``now``, in seconds since the epoch."""
    cycle = USAGE["spec"]["cycle"]
    anchor = int(datetime.fromisoformat(cycle["anchorDate"]).replace(tzinfo=UTC).timestamp())
    length = cycle["lengthDays"] * _DAY
    start = anchor + (now - anchor) // length * length
    return start, start + length
