"""Install by kustomize: an overlay on manifests/base, as a user writes one."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hack.e2e.claim import OPERATOR
from hack.e2e.commands import Commands, listed
from hack.e2e.installation import (
    OPERATOR_DEPLOYMENT,
    Release,
    kustomized,
    licensed,
    without_namespaces,
)

_SPREAD = {"name": "LICENSEUSAGE_FIRST_SEND_SPREAD_SECONDS", "value": "0"}


@dataclass(slots=True)
class Overlay:
    """Objects rendered by kustomize, applied and deleted by kubectl.

    Attributes:
        commands: Reach the cluster.
        folder: For the kustomizations.
        name: Of this way.
        installed: The objects of the operator's last installation.
    """

    commands: Commands
    folder: Path
    name: str = "overlay"
    installed: list[dict[str, Any]] = field(default_factory=list)

    def receiver(self, release: Release) -> None:
        """Apply manifests/receiver."""
        self.commands.apply(*self._rendered("receiver", release, ["manifests/receiver"]))

    def operator(self, release: Release) -> None:
        """Apply crds, then manifests/base with the vendor's CA; an upgrade is the same."""
        self.commands.apply(*self._rendered("crds", release, ["crds"]))
        self.installed = self._operator(release)
        self.commands.apply(*self.installed)

    def usage(self, release: Release) -> None:
        """Apply manifests/samples/standard, with a licence."""
        objects = self._rendered("usage", release, ["manifests/samples/standard"])
        changed = [licensed(item) if item["kind"] == "LicenseUsage" else item for item in objects]
        self.commands.apply(*changed)

    def uninstall(self) -> None:
        """Delete what the kustomization contains, and the namespace with ledger and keys."""
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": OPERATOR}}
        text = listed([*self.installed, namespace])
        self.commands.kube("delete", "--filename", "-", "--timeout=180s", stdin=text)

    def _operator(self, release: Release) -> list[dict[str, Any]]:
        # The kubelet pulls nothing that is there, so a fresh pod of the same image is a restart.
        patch = (
            "- {op: add, path: /spec/template/metadata/annotations, value: "
            f'{{licenseusage.dev/e2e-revision: "{release.revision}"}}}}\n'
            "- {op: add, path: /spec/template/spec/containers/0/env/-, value: "
            f'{{name: {_SPREAD["name"]}, value: "{_SPREAD["value"]}"}}}}\n'
        )
        target = {"kind": "Deployment", "name": OPERATOR_DEPLOYMENT}
        more = {
            "components": ["manifests/components/vendor-ca"],
            "patches": [{"target": target, "patch": patch}],
        }
        return self._rendered("operator", release, ["manifests/base"], more)

    def _rendered(
        self, name: str, release: Release, resources: list[str], more: dict[str, Any] | None = None
    ) -> list[dict[str, Any]]:
        folder = self.folder / name
        return without_namespaces(kustomized(self.commands, folder, release, resources, more))
