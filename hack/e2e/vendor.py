"""The vendor's side: keys, licences, and the Secrets of a receiver in the cluster."""

import base64
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from hack.controlplane import pki
from hack.e2e.claim import OPERATOR, PRODUCT, RECEIVER
from hack.e2e.commands import Commands
from hack.e2e.plan import CYCLE_DAYS, ENTITLED, Plan

HOST: Final = f"{RECEIVER}.{RECEIVER}.svc"
LICENSE_SECRET: Final = "sample-license"  # noqa: S105 - a name
PRODUCT_NAME: Final = "sample-product"
_COUNT: Final = (
    "import sqlite3; d = sqlite3.connect('file:/var/lib/licenseusage/receiver.sqlite?mode=ro', "
    "uri=True); print(d.execute('select count(*) from reports').fetchone()[0])"
)


@dataclass(frozen=True, slots=True)
class Vendor:
    """The vendor of the sample product.

    Attributes:
        commands: Reach the cluster.
        keys: Folder of ``vendor keygen``.
        tls: CA and certificate of the receiver.
        plan: The licence's terms.
    """

    commands: Commands
    keys: Path
    tls: pki.Files
    plan: Plan

    @property
    def jwks(self) -> Path:
        """The public keys."""
        return self.keys / "online" / "jwks.json"

    def receiver_secrets(self) -> list[dict[str, Any]]:
        """Return the three Secrets that manifests/receiver leaves to the vendor."""
        keys = {name: (self.keys / "online" / name) for name in ("jwks.json", "receipt.jwk")}
        pair = {"tls.crt": self.tls.server_certificate, "tls.key": self.tls.server_key}
        password = secrets.token_urlsafe(24)
        return [
            secret(RECEIVER, f"{RECEIVER}-keys", {n: p.read_text() for n, p in keys.items()}),
            secret(RECEIVER, f"{RECEIVER}-pages", {"password": password}),
            secret(
                *(RECEIVER, f"{RECEIVER}-tls", {n: p.read_text() for n, p in pair.items()}),
                kind="kubernetes.io/tls",
            ),
        ]

    def introduce(self) -> None:
        """Give the customer the public keys, and the CA of the receiver's certificate."""
        self.commands.kube(
            *("apply", "--filename", str(self.keys / "online" / "licenseusage-vendor-keys.yaml"))
        )
        metadata = {"name": "licenseusage-vendor-ca", "namespace": OPERATOR}
        data = {"ca.crt": self.tls.ca.read_text()}
        self.commands.apply(
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}
        )

    def license(self) -> None:
        """Give the customer a licence, or renew it: a further report is due then, at once."""
        token = self.commands.ours(
            *("license", "issue", "--keys", str(self.keys), "--vendor", "e2e-vendor"),
            *("--subscription", "e2e-subscription", "--product", PRODUCT_NAME),
            *("--maximum-active-users", str(ENTITLED)),
            *("--anchor-date", self.plan.anchor.isoformat(), "--length-days", str(CYCLE_DAYS)),
            *("--interval-hours", str(self.plan.next_interval_hours())),
            *("--not-before", f"{self.plan.anchor.isoformat()}T00:00:00Z"),
            *("--endpoint", f"https://{HOST}"),
        )
        self.commands.apply(secret(PRODUCT, LICENSE_SECRET, {"license.jwt": token.strip()}))

    def stored(self) -> int:
        """Return how many reports the receiver has stored, as its database counts them."""
        target = ("exec", f"deployment/{RECEIVER}", "-n", RECEIVER, "--", "python", "-c", _COUNT)
        return int(self.commands.kube(*target))


def founded(commands: Commands, folder: Path, plan: Plan) -> Vendor:
    """Make the vendor's keys and the receiver's certificate in a folder."""
    folder.mkdir(parents=True)
    commands.ours("vendor", "keygen", "-o", str(folder / "keys"))
    return Vendor(commands, folder / "keys", pki.create(folder, (HOST,)), plan)


def secret(
    namespace: str, name: str, data: dict[str, str], *, kind: str = "Opaque"
) -> dict[str, Any]:
    """Return a Secret as an object."""
    encoded = {key: base64.b64encode(text.encode()).decode() for key, text in data.items()}
    metadata = {"namespace": namespace, "name": name}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": metadata,
        "type": kind,
        "data": encoded,
    }
