"""The statement for people: written at the end, into a file that stays."""

import os
from pathlib import Path
from typing import Final

from hack.controlplane import ControlPlane
from hack.demo import stage, vendor
from hack.demo.plan import Plan
from hack.demo.screen import Screen
from hack.demo.verdict import Point
from hack.demo.way import Way

_FOLDER: Final = stage.ROOT / "build"
"""Not the demo's own folder, which is gone when the demo is."""


def statement_file(way: Way) -> Path:
    """Return where the statement is written; two demos at once do not write the same file."""
    return _FOLDER / ("demo-export-statement.html" if way is Way.EXPORT else "demo-statement.html")


def statement(
    cp: ControlPlane,
    seller: vendor.Vendor,
    enrolment: Path,
    plan: Plan,
    screen: Screen,
    file: Path,
) -> Point:
    """Write the statement of the ended cycle with the command that a customer would use.

    Args:
        cp: Holds the reports.
        seller: Whose keys verify licence and receipts.
        enrolment: File of the installation's key statements.
        plan: The simulated time.
        screen: Shows the command.
        file: What is written.
    """
    claim = "a statement for people is written"
    file.parent.mkdir(exist_ok=True)
    command = [
        *("statement", stage.USAGE, "-n", stage.NAMESPACE, "--kubeconfig", str(cp.kubeconfig)),
        *("--vendor-keys", str(seller.keys / "online" / "jwks.json")),
        *("--enrolment", str(enrolment), "--last", "--file", str(file)),
    ]
    path = f"{cp.binaries.folder}{os.pathsep}{os.environ['PATH']}"
    try:
        vendor.cli(screen, plan, *command, environment={"PATH": path})
    except vendor.CommandFailed as error:
        return Point(claim, str(error), False)
    return Point(claim, f"open file://{file}", True)
