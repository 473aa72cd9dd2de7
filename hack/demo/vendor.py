"""The vendor's side: keys, a licence, the receiver; made by the commands a vendor would use."""

import base64
import json
import os
import sqlite3
import subprocess
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from hack.controlplane import ControlPlane, pki
from hack.demo import stage
from hack.demo.children import Children
from hack.demo.plan import CYCLE_DAYS, Plan
from hack.demo.screen import Screen
from hack.demo.verdict import Point


class CommandFailed(Exception):
    """A command of ours ended with another exit code than 0; the message holds its words."""


@dataclass(frozen=True, slots=True)
class Vendor:
    """What the vendor has, and gives.

    Attributes:
        url: The receiver's address, https.
        ca: PEM file of the CA that signed the receiver's certificate.
        keys: Folder of the vendor's keys, with ``online`` and ``offline``.
        license: The licence, as given to the customer.
        database: What the receiver stores, SQLite.
    """

    url: str
    ca: Path
    keys: Path
    license: Path
    database: Path

    def reports(self) -> int:
        """Return how many reports the receiver has stored."""
        with closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)) as database:
            (count,) = database.execute("select count(*) from reports").fetchone()
        return int(count)


def start(
    cp: ControlPlane, children: Children, plan: Plan, screen: Screen, *, online: bool
) -> Vendor:
    """Make the vendor's keys and a licence, and run the receiver over https.

    ``online``: the licence names the receiver; else reports have to be carried to it.
    """
    folder = cp.folder / "vendor"
    folder.mkdir()
    # A throw-away CA: a licence's endpoint is https, and nothing can switch verification off.
    tls = pki.create(folder)
    (port,) = stage.free_ports(1)
    vendor = Vendor(
        *(f"https://127.0.0.1:{port}", tls.ca, folder / "keys", folder / "license.jwt"),
        folder / "receiver.sqlite",
    )
    cli(screen, plan, "vendor", "keygen", "-o", str(vendor.keys))
    token = cli(
        *(screen, plan, "license", "issue", "--keys", str(vendor.keys)),
        *("--vendor", "demo-vendor", "--subscription", "demo-subscription"),
        *("--product", stage.PRODUCT, "--maximum-active-users", str(stage.ENTITLED)),
        *("--anchor-date", plan.anchor.isoformat(), "--length-days", str(CYCLE_DAYS)),
        *(("--endpoint", vendor.url) if online else ()),
        *("--interval-hours", "24"),
        *("--not-before", plan.anchor.isoformat() + "T00:00:00Z"),
    )
    vendor.license.write_text(token.strip())
    receiver = [stage.LICENSEUSAGE, "receiver", "--address", f"127.0.0.1:{port}"]
    receiver += ["--database-url", f"sqlite:///{vendor.database}"]
    receiver += ["--tls-cert", str(tls.server_certificate), "--tls-key", str(tls.server_key)]
    # What it needs to answer, and not the key that mints licences.
    receiver += ["--keys", str(vendor.keys / "online")]
    children.start("receiver", receiver, cp.environment() | plan.environment)
    stage.await_http(f"{vendor.url}/healthz", children, vendor.ca)
    return vendor


def give_to_customer(cp: ControlPlane, vendor: Vendor) -> None:
    """Put the vendor's public keys and the licence where the customer's administrator puts them."""
    cp.apply(vendor.keys / "online" / "licenseusage-vendor-keys.yaml")
    license_data = {"license.jwt": vendor.license.read_text()}
    cp.apply(stage.secret(stage.NAMESPACE, "sample-license", license_data))


def verified(cp: ControlPlane, vendor: Vendor, up_to: int, plan: Plan, screen: Screen) -> Point:
    """Verify the reports, their chain and their receipts with the command line.

    Args:
        cp: Holds the reports, and the installation's identity.
        vendor: Whose keys the receipts are verified with.
        up_to: The last report's sequence; a newer one, of the next cycle, may be on its way still.
        plan: The simulated time.
        screen: Shows the command and what it says.
    """
    folder = cp.folder / "verify"
    folder.mkdir(exist_ok=True)
    reports, enrolment = folder / "reports.json", enrolment_file(cp)
    listed = cp.kubectl("get", "usagereports", "-n", stage.NAMESPACE, "-o", "json").stdout
    items = [i for i in json.loads(listed)["items"] if i["spec"]["sequence"] <= up_to]
    reports.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
    command = [
        *("report", "verify", str(reports), "--enrolment", str(enrolment)),
        *("--vendor-keys", str(vendor.keys / "online" / "jwks.json")),
    ]
    claim = "report and receipt verify"
    try:
        screen.plain(cli(screen, plan, *command))
        checks = json.loads(cli(None, plan, *command, "--output", "json"))["checks"]
    except CommandFailed as error:
        return Point(claim, str(error), False)
    # The command ends well if what could be checked is in order; here all of it must be checked.
    bad = [f"{c['document']} {c['check']}: {c['result']}" for c in checks if c["result"] != "ok"]
    receipts = [c for c in checks if c["check"] == "receipt"]
    true = bool(receipts) and not bad
    return Point(claim, "receipt verified" if true else "; ".join(bad) or "no receipt", true)


def enrolment_file(cp: ControlPlane) -> Path:
    """Write the installation's own statement of its key into a file, and return its path.

    It is kept beside the key, and enrolled with the vendor.
    """
    identity = ("secret", "licenseusage-identity", "-n", stage.OPERATOR_NAMESPACE)
    statements = cp.kubectl("get", *identity, "-o", "jsonpath={.data.statements}").stdout
    path = cp.folder / "enrolment.jwt"
    path.write_bytes(base64.b64decode(statements))
    return path


def cli(
    screen: Screen | None,
    plan: Plan,
    *arguments: str,
    environment: Mapping[str, str] | None = None,
) -> str:
    """Run ``licenseusage …`` with the simulated clock and return what it printed.

    Args:
        screen: Shows the command; None: it is not worth a line.
        plan: The simulated time.
        arguments: What follows ``licenseusage``.
        environment: Variables that this process does not have, or with another value.

    Raises:
        CommandFailed: Its exit code is not 0.
    """
    if screen is not None:
        screen.command(["licenseusage", *arguments])
    done = subprocess.run(
        [stage.LICENSEUSAGE, *arguments],
        env={**os.environ, **plan.environment, **(environment or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if done.returncode != 0:
        command = f"licenseusage {' '.join(arguments)}"
        raise CommandFailed(f"{command}: exit {done.returncode}\n{done.stderr}{done.stdout}")
    return done.stdout
