"""Install by Helm: charts/licenseusage and charts/licenseusage-receiver."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from hack.e2e.claim import OPERATOR, PRODUCT, RECEIVER
from hack.e2e.commands import Commands
from hack.e2e.installation import Release, kustomized, licensed

_RELEASE: Final = "licenseusage"


@dataclass(slots=True)
class Chart:
    """Releases of Helm.

    Attributes:
        commands: Reach the cluster.
        folder: For values and kustomizations.
        name: Of this way.
    """

    commands: Commands
    folder: Path
    name: str = "chart"

    def receiver(self, release: Release) -> None:
        """Install the receiver's chart."""
        chart = release.tree / "charts" / "licenseusage-receiver"
        self._upgrade(RECEIVER, chart, RECEIVER, {"image": release.image.values()})

    def operator(self, release: Release) -> None:
        """Install the operator's chart; an upgrade applies the new definitions first."""
        chart = release.tree / "charts" / "licenseusage"
        if _RELEASE in self.commands.charts("list", "--short", "--namespace", OPERATOR).split():
            crds = kustomized(self.commands, self.folder / "crds", release, ["crds"])
            self.commands.apply(*crds)
        self._upgrade(_RELEASE, chart, OPERATOR, values(release))

    def usage(self, release: Release) -> None:
        """Apply the LicenseUsage of manifests/samples/standard; the chart lets the operator in."""
        sample = ["manifests/samples/standard"]
        objects = kustomized(self.commands, self.folder / "usage", release, sample)
        self.commands.apply(*(licensed(item) for item in objects if item["kind"] == "LicenseUsage"))

    def uninstall(self) -> None:
        """Uninstall the operator's release; volumes, keys, definitions and objects stay."""
        self.commands.charts("uninstall", _RELEASE, "--namespace", OPERATOR, "--wait")

    def _upgrade(self, release: str, chart: Path, namespace: str, values: dict[str, Any]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        file = self.folder / f"{release}.json"
        file.write_text(json.dumps(values))
        self.commands.charts(
            *("upgrade", "--install", release, str(chart), "--namespace", namespace),
            *("--values", str(file)),
        )


def values(release: Release) -> dict[str, Any]:
    """Return the values of the operator's chart for the run."""
    return {
        "image": release.image.values(),
        "productNamespaces": [PRODUCT],
        "vendor": {"caConfigMap": "licenseusage-vendor-ca"},
        "settings": {"firstSendSpreadSeconds": 0},
        "podAnnotations": {"licenseusage.dev/e2e-revision": release.revision},
    }
