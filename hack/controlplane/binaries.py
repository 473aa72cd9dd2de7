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
    ``CONTROLPLANE_VERSION`` says which Kubernetes it must be, but for ``KUBEBUILDER_ASSETS``.

    Raises:
        ControlPlaneError: None of these can be had; the message says what to install. Also if
            ``KUBEBUILDER_ASSETS`` is set but incomplete, the version is unknown, or an archive has
            not the known checksum.
    """
    progress = progress if progress is not None else Progress()
    releases = releases if releases is not None else archive.Releases.from_env(env)
    platform = platform if platform is not None else versions.Platform.current()
    if env.get(ASSETS):
        return _from_assets(Path(env[ASSETS]))
    if (binaries := cached(env, releases=releases, platform=platform)) is not None:
        return binaries
    wanted = versions.wanted(env)
    cache = cache_folder(env)
    with _lock(cache, progress):
        if (binaries := cached(env, releases=releases, platform=platform)) is not None:
            return binaries
        missing: list[str] = []
        if wanted in (None, releases.version) and releases.checksum(platform) is not None:
            fetched = cache / fetched_name(releases, platform)
            try:
                _fill(fetched, lambda into: archive.fetch(releases, platform, into, progress))
                return _complete(fetched, "envtest release archive")
            except archive.Unavailable as error:
                missing.append(str(error))
        kubernetes = wanted or versions.KUBERNETES
        built = cache / built_name(platform, kubernetes)
        try:
            go = build.go_command(env)
            for reason in missing:
                progress.say(f"{reason}; building instead")
            _fill(built, lambda into: build.build(go, into, progress, env, kubernetes))
        except build.NoBuild as error:
            raise ControlPlaneError(_advice([*missing, str(error)])) from error
        return _complete(built, "built from Go modules")


def cached(
    env: Mapping[str, str] = os.environ,
    *,
    releases: archive.Releases | None = None,
    platform: versions.Platform | None = None,
) -> Binaries | None:
    """Return what the user's cache holds of these versions, or None; fetches and builds nothing.

    Raises:
        ControlPlaneError: The environment asks for a version that is not known.
    """
    releases = releases if releases is not None else archive.Releases.from_env(env)
    platform = platform if platform is not None else versions.Platform.current()
    cache, wanted = cache_folder(env), versions.wanted(env)
    # All names hold the versions, and a folder appears whole or not at all.
    fetched = cache / fetched_name(releases, platform)
    if wanted in (None, releases.version) and releases.checksum(platform) and fetched.is_dir():
        return _complete(fetched, "cache, from the envtest release archive")
    built = cache / built_name(platform, wanted or versions.KUBERNETES)
    return _complete(built, "cache, built from Go modules") if built.is_dir() else None


def fetched_name(releases: archive.Releases, platform: versions.Platform) -> str:
    """Return the cache entry's name of an unpacked archive."""
    return f"envtest-{releases.version}-{platform.os}-{platform.arch}"


def built_name(platform: versions.Platform, kubernetes: str = versions.KUBERNETES) -> str:
    """Return the cache entry's name of a build: it changes with each version that goes into it."""
    return f"etcd-{versions.ETCD}-kubernetes-{kubernetes}-{platform.os}-{platform.arch}"


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
        f"no control plane (etcd, kube-apiserver, kubectl) can be had:\n"
        f"{reasons}\n"
        f"One of these helps:\n"
        f"  - go online once (HTTPS_PROXY names a proxy): the archive is fetched in seconds to a\n"
        f"    minute, then kept in the cache; {archive.BASE_URL_VARIABLE} names a mirror of it;\n"
        f"  - install Go >= {go} (https://go.dev/dl/) and let it reach its module proxy once: the\n"
        f"    programs are built in 8 to 16 minutes on 2 cores, then kept in the cache;\n"
        f"  - set {ASSETS} to a folder with {', '.join(versions.NAMES)}\n"
        f"    (setup-envtest of controller-runtime makes one). This needs no network."
    )
