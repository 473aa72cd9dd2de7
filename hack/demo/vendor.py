"""The vendor's side: keys, a licence, the receiver; made by the commands a vendor would use."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from hack.controlplane import ControlPlane, pki
from hack.demo import stage
from hack.demo.children import Children
from hack.demo.plan import CYCLE_DAYS, Plan
from hack.demo.screen import Screen
from hack.demo.verdict import Point
from hack.demo.watching import Object


class CommandFailed(Exception):
    """A command of ours ended with another exit code than 0; the message holds its words."""


@dataclass(frozen=True, slots=True)
class Vendor:
    """What the vendor has, and gives.

    Attributes:
        url: The receiver's address, https.
        ca: PEM file of the CA that signed the receiver's certificate.
        keys: Folder of the vendor's private and public keys.
        license: The licence, as given to the customer.
    """

    url: str
    ca: Path
    keys: Path
    license: Path


def start(cp: ControlPlane, children: Children, plan: Plan, screen: Screen) -> Vendor:
    """Make the vendor's keys and a licence, and run the receiver over https."""
    folder = cp.folder / "vendor"
    folder.mkdir()
    # A throw-away CA: a licence's endpoint is https, and nothing can switch verification off.
    tls = pki.create(folder)
    (port,) = stage.free_ports(1)
    vendor = Vendor(f"https://127.0.0.1:{port}", tls.ca, folder / "keys", folder / "license.jwt")
    cli(screen, plan, "vendor", "keygen", "-o", str(vendor.keys))
    token = cli(
        *(screen, plan, "license", "issue", "--keys", str(vendor.keys)),
        *("--product", stage.PRODUCT, "--maximum-active-users", str(stage.ENTITLED)),
        *("--anchor-date", plan.anchor.isoformat(), "--length-days", str(CYCLE_DAYS)),
        *("--endpoint", vendor.url, "--interval-hours", "24"),
    )
    vendor.license.write_text(token.strip())
    receiver = [stage.LICENSEUSAGE, "receiver", "--address", f"127.0.0.1:{port}"]
    receiver += ["--database-url", f"sqlite:///{folder / 'receiver.sqlite'}"]
    receiver += ["--tls-cert", str(tls.server_certificate), "--tls-key", str(tls.server_key)]
    receiver += ["--keys", str(vendor.keys)]
    children.start("receiver", receiver, cp.environment() | plan.environment)
    stage.await_http(f"{vendor.url}/", children, vendor.ca)
    return vendor


def give_to_customer(cp: ControlPlane, vendor: Vendor) -> None:
    """Put the vendor's public keys and the licence where the customer's administrator puts them."""
    cp.apply(vendor.keys / "licenseusage-vendor-keys.yaml")
    license_data = {"license.jwt": vendor.license.read_text()}
    cp.apply(stage.secret(stage.NAMESPACE, "sample-license", license_data))


def verified(cp: ControlPlane, vendor: Vendor, report: Object, plan: Plan, screen: Screen) -> Point:
    """Verify the final report and its receipt with the command line; return what it said."""
    folder = cp.folder / "verify"
    folder.mkdir(exist_ok=True)
    name = report["metadata"]["name"]
    token, receipt = folder / f"{name}.jwt", folder / f"{name}.receipt.jwt"
    token.write_text(report["spec"]["token"])
    receipt.write_text((report.get("status") or {}).get("receipt", ""))
    claim = "report and receipt verify"
    try:
        said = cli(
            *(screen, plan, "report", "verify", str(token)),
            *("--receipt", str(receipt), "--vendor-keys", str(vendor.keys / "jwks.json")),
        )
    except CommandFailed as error:
        return Point(claim, str(error), False)
    screen.plain(said)
    return Point(claim, "receipt verified", True)


def cli(screen: Screen, plan: Plan, *arguments: str) -> str:
    """Run ``licenseusage …`` with the simulated clock, show it, and return what it printed.

    Raises:
        CommandFailed: Its exit code is not 0.
    """
    screen.command(["licenseusage", *arguments])
    done = subprocess.run(
        [stage.LICENSEUSAGE, *arguments],
        env={**os.environ, **plan.environment},
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
