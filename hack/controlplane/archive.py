"""The prebuilt control plane: controller-tools' envtest release archive, checksum verified."""

import hashlib
import http.client
import tarfile
import threading
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final

from hack.controlplane import versions
from hack.controlplane.errors import ControlPlaneError
from hack.controlplane.progress import Progress

BASE_URL: Final = "https://github.com/kubernetes-sigs/controller-tools/releases/download"
BASE_URL_VARIABLE: Final = "LICENSEUSAGE_ENVTEST_URL"
"""Names a mirror that is laid out like the releases; the checksum protects against its mistakes."""

_MAXIMUM_BYTES = 1 << 30


class Unavailable(Exception):
    """The archive cannot be had from here; another way may work."""


@dataclass(frozen=True, slots=True)
class Releases:
    """Where archives are and what they must be.

    Attributes:
        base_url: Folder of all releases, without a slash at its end.
        version: Kubernetes version of the release, such as ``1.37.0``.
        sha512: Lower-case hex by ``os/arch``; an empty one means: unknown, skip.
        answer_seconds: How long to wait for the server's answer, and for each further piece of it.
    """

    base_url: str = BASE_URL
    version: str = versions.ENVTEST
    sha512: Mapping[str, str] = field(default_factory=lambda: versions.ENVTEST_SHA512)
    answer_seconds: float = 10.0

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> "Releases":
        """Return the committed table with the address the environment may name."""
        return cls(base_url=env.get(BASE_URL_VARIABLE, "").rstrip("/") or BASE_URL)

    def checksum(self, platform: versions.Platform) -> str | None:
        """Return the archive's known SHA-512, or None: this platform's archive is not used."""
        return self.sha512.get(str(platform)) or None

    def url(self, platform: versions.Platform) -> str:
        """Return the archive's address."""
        name = f"envtest-v{self.version}-{platform.os}-{platform.arch}.tar.gz"
        return f"{self.base_url}/envtest-v{self.version}/{name}"


def fetch(releases: Releases, platform: versions.Platform, into: Path, progress: Progress) -> None:
    """Download, verify and unpack the archive of ``platform``.

    Raises:
        Unavailable: No answer, or not this file: the caller goes on with the next way.
        ControlPlaneError: It is not the archive we know, which nobody should ignore.
    """
    url, expected = releases.url(platform), releases.checksum(platform)
    packed = into / "archive.tar.gz"
    with progress.step(f"fetching {url}"):
        try:
            actual = _download(url, packed, releases.answer_seconds, progress)
        except (OSError, http.client.HTTPException) as error:
            raise Unavailable(f"{url}: {error}") from error
    if actual != expected:
        raise ControlPlaneError(
            f"{url} has the SHA-512 {actual}, but hack/controlplane/versions.py expects "
            f"{expected}. It was not used. Fetch it from another network and compare; empty the "
            f"table's entry to build the programs instead."
        )
    try:
        _unpack(packed, into)
    except tarfile.TarError as error:
        raise ControlPlaneError(f"{url} is no readable archive: {error}") from error
    packed.unlink()


def _download(url: str, to: Path, answer_seconds: float, progress: Progress) -> str:
    """Write the body to ``to`` and return its SHA-512."""
    digest, size = hashlib.sha512(), 0
    with _open(url, answer_seconds) as response, to.open("wb") as file:
        while chunk := response.read(1 << 20):
            size += len(chunk)
            if size > _MAXIMUM_BYTES:
                raise OSError(f"more than {_MAXIMUM_BYTES} bytes")
            digest.update(chunk)
            file.write(chunk)
            progress.detail(f"{size >> 20} MiB")
    return digest.hexdigest()


def _open(url: str, answer_seconds: float) -> http.client.HTTPResponse:
    """Open ``url``, waiting ``answer_seconds`` in all for an answer.

    The socket's own limit holds for each address of the host and each redirect, so it alone could
    take a multiple of it; name resolution has none.
    """
    answer: list[http.client.HTTPResponse | Exception] = []

    def ask() -> None:
        try:
            answer.append(urllib.request.urlopen(url, timeout=answer_seconds))  # noqa: S310
        except Exception as error:
            answer.append(error)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(answer_seconds)
    if not answer:
        raise TimeoutError(f"no answer within {answer_seconds:g} s")
    if isinstance(answer[0], Exception):
        raise answer[0]
    return answer[0]


def _unpack(packed: Path, into: Path) -> None:
    """Write the three programs, by their names only: paths inside the archive are not followed."""
    with tarfile.open(packed) as archive:
        for member in archive:
            name = PurePosixPath(member.name).name
            content = archive.extractfile(member) if member.isfile() else None
            if name not in versions.NAMES or content is None:
                continue
            target = into / name
            with target.open("wb") as file:
                while chunk := content.read(1 << 20):
                    file.write(chunk)
            target.chmod(0o755)
    absent = [name for name in versions.NAMES if not (into / name).exists()]
    if absent:
        raise tarfile.TarError(f"{', '.join(absent)} missing")
