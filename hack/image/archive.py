"""An image in one file, for ``docker load``, ``ctr images import`` and ``skopeo``.

The file is an OCI image layout with the one file more that older ``docker load`` reads.
Sources: https://github.com/opencontainers/image-spec (image-layout.md, config.md, manifest.md).
"""

import hashlib
import io
import json
import platform
import tarfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hack.image.layers import Layer
from hack.rootfs import Image

_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


def architecture() -> str:
    """Return what images call this machine's processor, for which they are built here."""
    return _ARCHITECTURES.get(platform.machine(), platform.machine())


def write(image: Image, layers: Sequence[Layer], name: str, seconds: int, file: Path) -> str:
    """Write the archive; return the digest of the image's manifest.

    Args:
        image: What it is and how it is started.
        layers: From the base's to ours.
        name: Of the image, such as ``registry.example.org/licenseusage:0.1.0``.
        seconds: When it was made, as epoch seconds.
        file: Where it is written.
    """
    config = _json(_configuration(image, layers, seconds))
    manifest = _json(
        {
            "schemaVersion": 2,
            "mediaType": _MANIFEST,
            "config": _descriptor(_CONFIG, config),
            "layers": [
                {"mediaType": _LAYER, "digest": layer.digest, "size": layer.size}
                for layer in layers
            ],
        }
    )
    named = {
        "io.containerd.image.name": _full(name),
        "org.opencontainers.image.ref.name": _tag(name),
    }
    index = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [
            {
                **_descriptor(_MANIFEST, manifest),
                "platform": {"architecture": architecture(), "os": "linux"},
                "annotations": named,
            }
        ],
    }
    docker = {
        "Config": _blob(_digest(config)),
        "RepoTags": [name],
        "Layers": [_blob(layer.digest) for layer in layers],
    }
    with tarfile.open(file, "w", format=tarfile.PAX_FORMAT) as archive:
        _add(archive, "oci-layout", _json({"imageLayoutVersion": "1.0.0"}), seconds)
        _add(archive, "index.json", _json(index), seconds)
        _add(archive, "manifest.json", _json([docker]), seconds)
        for content in (config, manifest):
            _add(archive, _blob(_digest(content)), content, seconds)
        for layer in {layer.digest: layer for layer in layers}.values():
            info = _entry(_blob(layer.digest), layer.size, seconds)
            with layer.file.open("rb") as opened:
                archive.addfile(info, opened)
    return _digest(manifest)


def _configuration(image: Image, layers: Sequence[Layer], seconds: int) -> dict[str, Any]:
    created = datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")
    return {
        "created": created,
        "architecture": architecture(),
        "os": "linux",
        "config": {
            "User": image.user,
            "ExposedPorts": {f"{port}/tcp": {} for port in image.ports},
            "Env": [f"{name}={value}" for name, value in image.environment.items()],
            "Entrypoint": image.entrypoint,
            "Cmd": image.command,
            "Labels": dict(image.labels),
        },
        "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]},
        "history": [
            {"created": created, "created_by": "operator/Dockerfile", "comment": "hack/image"}
            for _ in layers
        ],
    }


def _full(name: str) -> str:
    """Return the name as containerd keeps it: with a registry."""
    first, slash, _ = name.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        return name
    return f"docker.io/{name}" if slash else f"docker.io/library/{name}"


def _tag(name: str) -> str:
    tag = name.rpartition("/")[2].partition(":")[2]
    return tag or "latest"


def _descriptor(kind: str, content: bytes) -> dict[str, Any]:
    return {"mediaType": kind, "digest": _digest(content), "size": len(content)}


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _blob(digest: str) -> str:
    return f"blobs/sha256/{digest.removeprefix('sha256:')}"


def _json(value: Mapping[str, Any] | Sequence[Any]) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _entry(name: str, size: int, seconds: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size, info.mtime, info.mode = size, seconds, 0o644
    return info


def _add(archive: tarfile.TarFile, name: str, content: bytes, seconds: int) -> None:
    archive.addfile(_entry(name, len(content), seconds), io.BytesIO(content))
