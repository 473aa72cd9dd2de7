"""Where etcd, kube-apiserver and kubectl come from; the first of four places that has them."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hack.controlplane import archive, build, versions
from hack.controlplane.errors import ControlPlaneError
from hack.controlplane.progress import Progress

ASSETS: Final = "KUBEBUILDER_ASSETS"


@dataclass(frozen=True, slots=True)
class Binaries:
    """Paths of the three programs.

    Attributes:
        etcd: The store.
        kube_apiserver: The API server.
        kubectl: The client; embeds kustomize.
        source: Where they were found, for people.
    """

    etcd: Path
    kube_apiserver: Path
    kubectl: Path
    source: str

    @property
    def folder(self) -> Path:
        """The folder that holds them, usable as ``KUBEBUILDER_ASSETS``."""
        return self.etcd.parent


def find(
    env: Mapping[str, str] = os.environ,
    *,
    progress: Progress | None = None,
    releases: archive.Releases | None = None,
    platform: versions.Platform | None = None,
) -> Binaries:
    """Return the control plane's programs, fetching or building them the first time.

    In this order: ``KUBEBUILDER_ASSETS``; the user's cache; the envtest release archive, if its
    checksum is known; a build from their Go modules. The last two fill the cache.

    Raises:
        ControlPlaneError: None of these can be had; the message says what to install. Also if
            ``KUBEBUILDER_ASSETS`` is set but incomplete, or an archive has not the known checksum.
    """
    progress = progress if progress is not None else Progress()
    releases = releases if releases is not None else archive.Releases.from_env(env)
    platform = platform if platform is not None else versions.Platform.current()
    if env.get(ASSETS):
        return _from_assets(Path(env[ASSETS]))
    cache = cache_folder(env)
    fetched = cache / f"envtest-{releases.version}-{platform.os}-{platform.arch}"
    built = cache / built_name(platform)
    if (found := cached(env, releases=releases, platform=platform)) is not None:
        return found
    with _lock(cache, progress):
        if (found := cached(env, releases=releases, platform=platform)) is not None:
            return found
        missing: list[str] = []
        if releases.checksum(platform) is not None:
            try:
                _fill(fetched, lambda into: archive.fetch(releases, platform, into, progress))
                return _complete(fetched, "envtest release archive")
            except archive.Unavailable as error:
                progress.say(f"{error}; building instead")
                missing.append(str(error))
        try:
            _fill(built, lambda into: build.build(into, progress, env))
        except build.NoBuild as error:
            raise ControlPlaneError(_advice([*missing, str(error)])) from error
        return _complete(built, "built from Go modules")


def cached(
    env: Mapping[str, str] = os.environ,
    *,
    releases: archive.Releases | None = None,
    platform: versions.Platform | None = None,
) -> Binaries | None:
    """Return what the user's cache holds of these versions, or None; fetches and builds nothing."""
    releases = releases if releases is not None else archive.Releases.from_env(env)
    platform = platform if platform is not None else versions.Platform.current()
    cache = cache_folder(env)
    fetched = cache / f"envtest-{releases.version}-{platform.os}-{platform.arch}"
    # Both names hold the versions, and a folder appears whole or not at all.
    if releases.checksum(platform) is not None and fetched.is_dir():
        return _complete(fetched, "cache, from the envtest release archive")
    built = cache / built_name(platform)
    return _complete(built, "cache, built from Go modules") if built.is_dir() else None


def built_name(platform: versions.Platform) -> str:
    """Return the cache entry's name of a build: it changes with each version that goes into it."""
    return f"etcd-{versions.ETCD}-kubernetes-{versions.KUBERNETES}-{platform.os}-{platform.arch}"


def cache_folder(env: Mapping[str, str]) -> Path:
    """Return the user's cache folder for control planes (XDG base directories)."""
    base = env.get("XDG_CACHE_HOME", "")
    # The XDG specification: a relative path is invalid and must be ignored.
    root = (
        Path(base) if base.startswith("/") else Path(env.get("HOME", "~")).expanduser() / ".cache"
    )
    return root / "licenseusage" / "controlplane"


def _from_assets(folder: Path) -> Binaries:
    absent = [name for name in versions.NAMES if not os.access(folder / name, os.X_OK)]
    if absent:
        raise ControlPlaneError(
            f"{ASSETS}={folder} has no executable {', '.join(absent)}. "
            f"Unset it, or point it to a folder with {', '.join(versions.NAMES)}."
        )
    return _complete(folder, ASSETS)


def _complete(folder: Path, source: str) -> Binaries:
    etcd, kube_apiserver, kubectl = (folder / name for name in versions.NAMES)
    return Binaries(etcd, kube_apiserver, kubectl, source)


def _fill(entry: Path, fill: Callable[[Path], None]) -> None:
    """Let ``fill`` write into a new folder and put it in place whole, or leave nothing."""
    work = Path(tempfile.mkdtemp(prefix=f".{entry.name}-", dir=entry.parent))
    try:
        fill(work)
        work.chmod(0o755)
        work.rename(entry)
    finally:
        shutil.rmtree(work, ignore_errors=True)


@contextmanager
def _lock(cache: Path, progress: Progress) -> Iterator[None]:
    """Hold the cache's lock: of several processes one fetches or builds and the others wait."""
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with progress.step("waiting for another process that prepares the same"):
                fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _advice(seen: list[str]) -> str:
    reasons = "\n".join(f"  - {reason}" for reason in seen)
    go = ".".join(str(part) for part in versions.GO)
    return (
        f"no control plane (etcd {versions.ETCD}, Kubernetes {versions.KUBERNETES}) can be had:\n"
        f"{reasons}\n"
        f"One of these helps:\n"
        f"  - install Go >= {go} (https://go.dev/dl/) and go online once: the programs are built\n"
        f"    in about 8 minutes on 2 cores, then kept in the cache;\n"
        f"  - set {ASSETS} to a folder with {', '.join(versions.NAMES)}\n"
        f"    (setup-envtest of controller-runtime makes one)."
    )
