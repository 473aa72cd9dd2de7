"""The chart, rendered by a real Helm."""

import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

CHARTS = Path(__file__).resolve().parents[2] / "charts"
CHART = CHARTS / "licenseusage"
RECEIVER = CHARTS / "licenseusage-receiver"


@dataclass(frozen=True, slots=True)
class Helm:
    """The program, and a folder for its files."""

    program: Path
    folder: Path

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command of it, with nothing of the reader's own Helm."""
        homes = {f"HELM_{name}_HOME": str(self.folder) for name in ("CACHE", "CONFIG", "DATA")}
        return subprocess.run(
            [str(self.program), *command],
            env={"HOME": str(self.folder), "PATH": "", **homes},
            capture_output=True,
            text=True,
            check=False,
        )

    def values(self, values: dict[str, Any]) -> tuple[str, str]:
        """Return the flag that gives these values."""
        descriptor, name = tempfile.mkstemp(suffix=".yaml", dir=self.folder)
        with open(descriptor, "w", encoding="utf-8") as file:
            yaml.safe_dump(values, file)
        return ("--values", name)

    def rendered(
        self, values: dict[str, Any], chart: Path = CHART
    ) -> subprocess.CompletedProcess[str]:
        """Render a chart as for the namespace of the manifests."""
        namespace = "licenseusage-system" if chart == CHART else chart.name
        release = ("licenseusage", str(chart), "--namespace", namespace)
        return self.run("template", *release, "--kube-version", "1.37.0", *self.values(values))

    def template(self, values: dict[str, Any], chart: Path = CHART) -> list[dict[str, Any]]:
        """Return a chart's objects."""
        done = self.rendered(values, chart)
        assert done.returncode == 0, done.stderr
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        return [item for item in yaml.load_all(done.stdout, loader) if item]
