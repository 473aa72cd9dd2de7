"""Which modules are broken, and which tests have to notice."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Group:
    """Modules of one package.

    Attributes:
        package: Its name below ``licenseusage``.
        tests: Files and folders, relative to ``tests/``; pure ones, which need no cluster.
        only: Files of the package; empty: all.
    """

    package: str
    tests: tuple[str, ...]
    only: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        """Where the package is."""
        return ROOT / "operator/licenseusage" / self.package.replace(".", "/")

    @property
    def modules(self) -> list[str]:
        """The files that are broken."""
        return list(self.only) or sorted(path.name for path in self.folder.glob("[a-z]*.py"))


GROUPS: Mapping[str, Group] = {
    "metering": Group("metering", ("metering",)),
    "rules": Group(
        "controller.rules",
        (
            "controller/test_entitlement.py",
            "controller/test_rebuilding.py",
            "controller/test_receipts_status.py",
            "controller/test_route.py",
            "controller/test_withheld.py",
        ),
        ("entitlement.py", "imported.py", "rebuilding.py", "route.py", "withheld.py"),
    ),
    "reports": Group(
        "reports",
        (
            "reports/test_keyring.py",
            "reports/test_made_bundles.py",
            "reports/test_vectors.py",
        ),
        ("bundle.py", "keyring.py"),
    ),
}
"""By name. What the number rests on is broken whole; of the rest, the rules that are listed."""
