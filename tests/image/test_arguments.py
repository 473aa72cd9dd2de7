"""What both ways of building are told: labels, a time from the commit, a base that is pinned."""

import io
import os
import subprocess
import tarfile
import tomllib
from pathlib import Path

import pytest

from hack.image.__main__ import Refused, checked_base
from hack.image.arguments import (
    NotPinned,
    arguments,
    check_pinned,
    default_base,
    epoch,
)
from hack.rootfs.base import digest_of
from hack.rootfs.dockerfile import NotUnderstood, labels, read
from tests.image.conftest import DOCKERFILE, ROOT

PINNED = f"example.org/python:3.13@sha256:{'0' * 64}"


def test_a_release_refuses_a_base_without_a_digest() -> None:
    with pytest.raises(NotPinned, match="give BASE=IMAGE@sha256:DIGEST"):
        check_pinned(default_base(), release=True)


def test_a_build_says_that_its_base_is_not_pinned() -> None:
    assert "not pinned" in (check_pinned(default_base(), release=False) or "")
    assert check_pinned(PINNED, release=True) is None


@pytest.fixture
def base(tmp_path: Path) -> Path:
    file = tmp_path / "base.tar"
    with tarfile.open(file, "w") as archive:
        archive.addfile(tarfile.TarInfo("x"), io.BytesIO())
    return file


def test_another_root_file_system_than_the_pinned_is_refused(base: Path) -> None:
    with pytest.raises(Refused, match=f"has the digest {digest_of(base)}, wanted is sha256:0"):
        checked_base(base, "sha256:0", release=False)
    given, named = checked_base(base, digest_of(base), release=True)
    assert (given.file, named) == (base, f"base.tar@{digest_of(base)}")


def test_a_release_refuses_a_root_file_system_without_a_digest(base: Path) -> None:
    with pytest.raises(Refused, match=f"give BASE_DIGEST={digest_of(base)}"):
        checked_base(base, "", release=True)


def test_the_labels_say_what_the_image_is() -> None:
    told = arguments(PINNED, "https://example.org/code", {"SOURCE_DATE_EPOCH": "1796000000"})
    final = read(DOCKERFILE.read_text(), told)[-1]
    values = dict(s.rest.split("=", 1) for s in final.steps if s.name == "ARG")
    (label,) = [step for step in final.steps if step.name == "LABEL"]
    made = {name.rpartition("image.")[2]: v for name, v in labels(label, values).items()}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert made.pop("revision") == told["REVISION"]
    assert made.pop("description").startswith("Counts")
    assert made == {
        "title": "LicenseUsage",
        "licenses": project["license"],
        "version": project["version"],
        "source": "https://example.org/code",
        "created": "2026-11-30T00:53:20Z",
        "base.name": PINNED,
    }


def test_without_an_epoch_the_time_is_the_commits(tmp_path: Path) -> None:
    when = {**os.environ, "GIT_COMMITTER_DATE": "1700000000 +0000"}
    who = ["-c", "user.name=n", "-c", "user.email=e"]
    for words in (["init", "-q"], [*who, "commit", "-q", "--allow-empty", "-m", "m"]):
        subprocess.run(["git", "-C", tmp_path, *words], env=when, check=True)
    assert epoch({}, tmp_path) == 1_700_000_000
    assert epoch({"SOURCE_DATE_EPOCH": "5"}, tmp_path) == 5


def test_an_argument_that_the_dockerfile_does_not_ask_for_is_an_error() -> None:
    with pytest.raises(NotUnderstood, match="there is no ARG TYPO"):
        read("ARG A=1\nFROM $A\n", {"TYPO": "1"})
