"""The statement for people: written at the end, into a file that stays."""

import os
from pathlib import Path
from typing import Final

from hack.controlplane import ControlPlane
from hack.demo import stage, vendor
from hack.demo.plan import Plan
from hack.demo.screen import Screen
from hack.demo.verdict import Point

STATEMENT: Final = stage.ROOT / "build" / "demo-statement.html"
"""Not in the demo's own folder, which is gone when the demo is."""


def statement(
    cp: ControlPlane, seller: vendor.Vendor, enrolment: Path, plan: Plan, screen: Screen
) -> Point:
    """Write the statement of the ended cycle with the command that a customer would use.

    Args:
        cp: Holds the reports.
        seller: Whose keys verify licence and receipts.
        enrolment: File of the installation's key statements.
        plan: The simulated time.
        screen: Shows the command.
    """
    claim = "a statement for people is written"
    STATEMENT.parent.mkdir(exist_ok=True)
    command = [
        *("statement", stage.USAGE, "-n", stage.NAMESPACE, "--kubeconfig", str(cp.kubeconfig)),
        *("--vendor-keys", str(seller.keys / "online" / "jwks.json")),
        *("--enrolment", str(enrolment), "--last", "--file", str(STATEMENT)),
    ]
    path = f"{cp.binaries.folder}{os.pathsep}{os.environ['PATH']}"
    try:
        vendor.cli(screen, plan, *command, path=path)
    except vendor.CommandFailed as error:
        return Point(claim, str(error), False)
    return Point(claim, f"open file://{STATEMENT}", True)
