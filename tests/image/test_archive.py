"""The archive without a container runtime: every part has the digest that names it, and the same
files make the same bytes."""

import gzip
import hashlib
import json
import os
import shutil
import subprocess
import tarfile
from pathlib import Path, PurePosixPath

import pytest

from hack.image import archive, layers
from hack.rootfs import Image

SECONDS = 1_796_000_000
PLACE = PurePosixPath("/opt/app")


@pytest.fixture
def small(tmp_path: Path) -> Image:
    """An image with every kind of file, owned and readable as its builder happened to be."""
    root = tmp_path / "root"
    (root / "opt/app/bin").mkdir(parents=True, mode=0o700)
    (root / "opt/other").mkdir()
    (root / "opt/app/bin/run").write_text("#!/bin/sh\n")
    (root / "opt/app/bin/run").chmod(0o700)
    (root / "opt/app/text").write_text("text")
    (root / "opt/app/text").chmod(0o600)
    os.link(root / "opt/app/text", root / "opt/app/twin")
    (root / "opt/app/link").symlink_to("text")
    return Image(
        root=root,
        environment={"PATH": "/opt/app/bin"},
        user="65532:65532",
        entrypoint=["run"],
        command=["operator"],
        ports=["8080"],
        labels={"org.opencontainers.image.title": "LicenseUsage"},
        copied=[PLACE],
    )


@pytest.fixture
def base(tmp_path: Path) -> Path:
    file = tmp_path / "base.tar.gz"
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/os-release").write_text("ID=none\n")
    with tarfile.open(file, "w:gz") as made:
        made.add(tmp_path / "etc", "./etc")
    return file


@pytest.fixture
def written(small: Image, base: Path, tmp_path: Path) -> Path:
    below = layers.of_tarball(base, tmp_path / "below")
    ours = layers.of_tree(small.root, small.copied, SECONDS, tmp_path / "ours")
    file = tmp_path / "image.tar"
    archive.write(small, [below, ours], "licenseusage:1.0", SECONDS, file)
    return file


@pytest.fixture
def parts(written: Path) -> dict[str, bytes]:
    with tarfile.open(written) as opened:
        names = [member.name for member in opened if member.isfile()]
        assert len(names) == len(set(names))
        return {name: opened.extractfile(name).read() for name in names}


def blob(parts: dict[str, bytes], descriptor: dict) -> bytes:
    content = parts[f"blobs/sha256/{descriptor['digest'].removeprefix('sha256:')}"]
    assert len(content) == descriptor["size"]
    return content


def sha256(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def test_every_blob_has_the_digest_that_names_it(parts) -> None:
    blobs = {name: content for name, content in parts.items() if name.startswith("blobs/")}
    assert len(blobs) == 4
    for name, content in blobs.items():
        assert name == f"blobs/sha256/{hashlib.sha256(content).hexdigest()}"


def test_from_the_index_to_the_layers_everything_is_there(parts) -> None:
    assert json.loads(parts["oci-layout"]) == {"imageLayoutVersion": "1.0.0"}
    (entry,) = json.loads(parts["index.json"])["manifests"]
    assert entry["annotations"]["io.containerd.image.name"] == "docker.io/library/licenseusage:1.0"
    manifest = json.loads(blob(parts, entry))
    config = json.loads(blob(parts, manifest["config"]))
    unpacked = [sha256(gzip.decompress(blob(parts, layer))) for layer in manifest["layers"]]
    assert config["rootfs"]["diff_ids"] == unpacked
    assert len(config["history"]) == len(unpacked) == 2


def test_docker_finds_the_same_parts(parts) -> None:
    (docker,) = json.loads(parts["manifest.json"])
    (entry,) = json.loads(parts["index.json"])["manifests"]
    manifest = json.loads(blob(parts, entry))
    assert docker["RepoTags"] == ["licenseusage:1.0"]
    wanted = [manifest["config"], *manifest["layers"]]
    found = [docker["Config"], *docker["Layers"]]
    assert found == [f"blobs/sha256/{each['digest'].removeprefix('sha256:')}" for each in wanted]


def test_the_configuration_is_the_dockerfiles(parts) -> None:
    (docker,) = json.loads(parts["manifest.json"])
    config = json.loads(parts[docker["Config"]])
    assert config["created"] == "2026-11-30T00:53:20Z"
    assert config["config"] == {
        "User": "65532:65532",
        "ExposedPorts": {"8080/tcp": {}},
        "Env": ["PATH=/opt/app/bin"],
        "Entrypoint": ["run"],
        "Cmd": ["operator"],
        "Labels": {"org.opencontainers.image.title": "LicenseUsage"},
    }


def test_our_layer_is_what_was_copied_readable_by_everybody_and_by_nobodys_clock(
    small, tmp_path
) -> None:
    layer = layers.of_tree(small.root, small.copied, SECONDS, tmp_path / "layer")
    with tarfile.open(layer.file) as opened:
        members = {member.name: member for member in opened}
        assert opened.extractfile("opt/app/twin").read() == b"text"
    assert list(members) == [
        *("opt", "opt/app", "opt/app/bin", "opt/app/bin/run"),
        *("opt/app/link", "opt/app/text", "opt/app/twin"),
    ]
    assert {member.mtime for member in members.values()} == {SECONDS}
    assert {(member.uid, member.gid, member.uname) for member in members.values()} == {(0, 0, "")}
    assert members["opt/app/bin"].mode == members["opt/app/bin/run"].mode == 0o755
    assert members["opt/app/text"].mode == 0o644


def test_the_same_files_make_the_same_layer_whenever_they_were_written(small, tmp_path) -> None:
    first = layers.of_tree(small.root, small.copied, SECONDS, tmp_path / "first")
    again = tmp_path / "again"
    shutil.copytree(small.root, again, symlinks=True)
    (again / "opt/app/text").touch()
    second = layers.of_tree(again, small.copied, SECONDS, tmp_path / "second")
    assert (first.digest, first.diff_id) == (second.digest, second.diff_id)


def test_what_is_no_archive_is_refused(tmp_path) -> None:
    (tmp_path / "base").write_text("no archive")
    with pytest.raises(layers.NotALayer, match="base is no tar archive"):
        layers.of_tarball(tmp_path / "base", tmp_path / "layer")


@pytest.mark.parametrize("kind", ["oci-archive", "docker-archive"])
def test_skopeo_reads_it_as_either_kind(written: Path, tmp_path: Path, kind: str) -> None:
    if shutil.which("skopeo") is None:
        pytest.skip("no skopeo in PATH")
    to = tmp_path / kind
    copy = ["skopeo", "--insecure-policy", "copy", f"{kind}:{written}", f"dir:{to}"]
    done = subprocess.run(copy, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (to / "manifest.json").exists()
