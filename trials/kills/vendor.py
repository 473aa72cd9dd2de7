"""The vendor's side: keys, licences, the receiver over TLS, and what it has stored."""

import sqlite3
import sys
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from hack.controlplane import pki
from hack.demo import stage
from hack.demo.children import Children
from licenseusage.reports.keys import VendorKey, VendorKeys, generate_key
from licenseusage.reports.licence import LicenseTerms, build_license
from licenseusage.reports.terms import CycleTerms
from licenseusage.reports.typs import LICENSE, RECEIPT
from trials.kills.checkout import environment

VENDOR: Final = "vendor.example"
_YEARS: Final = 3 * 366 * 86_400


@dataclass(frozen=True, slots=True)
class Stored:
    """A document in the receiver's store."""

    token: str
    typ: str
    chain_id: str
    sequence: int
    verdict: str
    receipt: str


class Vendor:
    """Keys, licences and one receiver.

    Attributes:
        ca: PEM file of the throw-away CA behind the receiver's certificate.
        keys: The public keys, as a customer pins them.
        endpoint: Where reports go.
    """

    def __init__(self, folder: Path) -> None:
        """Make keys and certificates; nothing runs yet."""
        folder.mkdir()
        self._folder = folder
        self._tls = pki.create(folder)
        self.ca = self._tls.ca
        self._license_key, receipt_key = generate_key(), generate_key()
        self.keys = VendorKeys(
            [
                VendorKey(self._license_key.public, frozenset({LICENSE})),
                VendorKey(receipt_key.public, frozenset({RECEIPT})),
            ]
        )
        online = folder / "keys"
        online.mkdir(mode=0o700)
        (online / "jwks.json").write_text(self.keys.to_jwks())
        (online / "receipt.jwk").write_text(receipt_key.to_jwk())
        (port,) = stage.free_ports(1)
        self.endpoint = f"https://127.0.0.1:{port}"
        self._address = f"127.0.0.1:{port}"
        self._store = folder / "receiver.sqlite"
        self.set_clock(0)

    def start(self, children: Children) -> None:
        """Run the receiver and wait until it answers."""
        arguments = [str(self._folder / "offset"), "--address", self._address]
        arguments += ["--keys", str(self._folder / "keys")]
        arguments += ["--database-url", f"sqlite:///{self._store}"]
        arguments += ["--tls-cert", str(self._tls.server_certificate)]
        arguments += ["--tls-key", str(self._tls.server_key)]
        command = [sys.executable, "-m", "trials.kills.receiver", *arguments]
        children.start("receiver", command, environment())
        stage.await_http(f"{self.endpoint}/healthz", children, self.ca)

    def set_clock(self, offset_seconds: int) -> None:
        """Move the receiver's clock."""
        written = self._folder / "offset.new"
        written.write_text(str(offset_seconds))
        written.rename(self._folder / "offset")

    def license(self, product: str, subscription: str, anchor_s: int) -> str:
        """Return a licence whose cycles have one day, from the midnight ``anchor_s`` on."""
        terms = LicenseTerms(
            vendor=VENDOR,
            subscription=subscription,
            license_id=f"license-of-{subscription}",
            issued_at_s=anchor_s,
            not_before_s=anchor_s,
            expires_s=anchor_s + _YEARS,
            product=product,
            cycle=CycleTerms(datetime.fromtimestamp(anchor_s, UTC).date(), length_days=1),
            interval_hours=12,
            reporting_required=True,
            maximum_active_users=500,
            endpoint=self.endpoint,
        )
        return build_license(terms, self._license_key)

    def stored(self) -> list[Stored]:
        """Return every document that the receiver holds, conflicts too."""
        query = """
        select token, typ, chain_id, sequence, verdict, receipt from documents
        order by chain_id, sequence
        """
        uri = f"file:{self._store}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True, timeout=10)) as database:
            return [Stored(*row) for row in database.execute(query)]
