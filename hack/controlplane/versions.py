"""Which control plane this is: versions, platform names, and the checksums of prebuilt archives."""

import platform
import sys
from dataclasses import dataclass
from typing import Final

ETCD: Final = "3.7.3"
KUBERNETES: Final = "1.37.2"
GO: Final = (1, 26)
"""The oldest Go that builds them; their go.mod files say so, too."""

NAMES: Final = ("etcd", "kube-apiserver", "kubectl")

ENVTEST: Final = "1.37.0"
"""The envtest release whose archive is fetched: controller-tools' tag ``envtest-v1.37.0``."""

ENVTEST_SHA512: Final[dict[str, str]] = {
    # An empty entry skips the archive for that platform, and the binaries are built instead.
    # To fill one: take the value of `hash` beside the archive's `selfLink` in envtest-releases.yaml
    # of kubernetes-sigs/controller-tools, and compare it with `sha512sum` of the archive fetched
    # from a second network. Never take it from the archive alone.
    "linux/amd64": "",
    "linux/arm64": "",
    "darwin/amd64": "",
    "darwin/arm64": "",
}

_ARCHITECTURES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


@dataclass(frozen=True, slots=True)
class Platform:
    """Operating system and processor by their Go names, such as ``linux`` and ``amd64``."""

    os: str
    arch: str

    def __str__(self) -> str:
        """Return ``os/arch``, as ``go version`` prints it."""
        return f"{self.os}/{self.arch}"

    @classmethod
    def current(cls) -> "Platform":
        """Return the platform this Python runs on."""
        machine = platform.machine().lower()
        return cls(sys.platform, _ARCHITECTURES.get(machine, machine))
