"""Which control plane this is: versions, platform names, and the checksums of prebuilt archives."""

import platform
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from hack.controlplane.errors import ControlPlaneError

VARIABLE: Final = "CONTROLPLANE_VERSION"
"""Names the Kubernetes version to take, fetched or built; unset: whatever can be had first."""

ETCD: Final = "3.7.3"
KUBERNETES: Final = "1.37.2"
"""The Kubernetes that is built where the prebuilt one cannot be fetched."""
BUILDS: Final = (KUBERNETES, "1.36.2")
"""The versions that can be built: each has a go.mod in ``kubernetes/<version>``."""
GO: Final = (1, 26)
"""The oldest Go that builds them; their go.mod files say so, too."""

NAMES: Final = ("etcd", "kube-apiserver", "kubectl")

ENVTEST: Final = "1.36.2"
"""The envtest release whose archive is fetched: controller-tools' tag ``envtest-v1.36.2``."""

ENVTEST_SHA512: Final[dict[str, str]] = {
    # An empty entry skips the archive for that platform, and the binaries are built instead.
    # For another release: take the value of `hash` beside the archive's `selfLink` in
    # envtest-releases.yaml of kubernetes-sigs/controller-tools, and compare it with `sha512sum` of
    # the archive fetched from a second network. Never take it from the archive alone.
    "linux/amd64": "ea743186c8a799f5cf8faf16969f86189d003cb7d130e0ac4b58789f1e5748dc"
    "f30ebe91c837a10d5ac415383da3e10b9e64d65785c938c23e739781cfb76f08",
    "linux/arm64": "2d72ee985a8e262a3c57dc9f7f0fd891f6a8c7bf7ebaa2db6dc6d8eac8ae2818"
    "1afe51c1f368b67756cdb40b10de9b205609e1726e5f27f7c6d824dd9c6649ac",
    "darwin/amd64": "b4fe9f973cd1992e3880f8b230ed32c0c243b83371591e3e3315f4404df2cdbe"
    "f8ee94eeb9bb245b7e5feb987d5c4a76c43e0877654ab73f00d7bbc2b9984514",
    "darwin/arm64": "9278f9e5af556b2f1f2d139769c1f0d717c7b4426917fdebdba898bcb725a916"
    "e4910d6160886194ff9be9589ea7c5c32c2b8ae0754703874b7c8ba8ddfc41ce",
}

_ARCHITECTURES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


def wanted(env: Mapping[str, str]) -> str | None:
    """Return the Kubernetes version that the environment asks for; None: any of those known.

    Raises:
        ControlPlaneError: It asks for one that is not built here, and so not fetched either.
    """
    version = env.get(VARIABLE, "").removeprefix("v")
    if version and version not in BUILDS:
        raise ControlPlaneError(
            f"{VARIABLE}={version} cannot be had: hack/controlplane/versions.py knows "
            f"{' and '.join(BUILDS)}. Unset it, or set it to one of these."
        )
    return version or None


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
