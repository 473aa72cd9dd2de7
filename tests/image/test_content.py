"""What is in the image: exactly the pinned packages, said by its SBOM, within a budget of size."""

import importlib.util
import json
import struct
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.image.conftest import ROOT, USERS, container, run

UNPACKED_MEGABYTES = 160
"""With byte code, before compression to a third of it; the base weighs another 45 MB compressed."""


def pinned() -> set[tuple[str, str]]:
    """Name and version of what requirements/runtime.txt installs for this Python."""
    found = set()
    for line in (ROOT / "requirements/runtime.txt").read_text().splitlines():
        if line[:1].isalnum():
            one = Requirement(line.removesuffix("\\"))
            if one.marker is None or one.marker.evaluate():
                found.add((canonicalize_name(one.name), str(one.specifier).removeprefix("==")))
    return found


@pytest.fixture
def sbom(image) -> dict[str, Any]:
    return json.loads((image.root / "opt/licenseusage/sbom.cdx.json").read_text())


@pytest.fixture
def packages(image) -> Path:
    (folder,) = (image.root / "opt/licenseusage/lib").glob("python3*/site-packages")
    return folder


def test_the_sbom_lists_the_pinned_packages_and_nothing_else(sbom) -> None:
    assert (sbom["bomFormat"], sbom["metadata"]["component"]["name"]) == (
        "CycloneDX",
        "licenseusage",
    )
    listed = {(canonicalize_name(c["name"]), c["version"]) for c in sbom["components"]}
    assert {each for each in listed if each[0] != "licenseusage"} == pinned()


def test_the_sbom_names_each_components_license(sbom, packages) -> None:
    without = [c["name"] for c in sbom["components"] if not c.get("licenses")]
    assert without == ["pyrage"], "its metadata declares none; its licence's text is in the image"
    (text,) = packages.glob("pyrage-*.dist-info/licenses/LICENSE")
    assert "Permission is hereby granted, free of charge" in text.read_text()


def test_the_image_stays_within_its_budget(image) -> None:
    files = [path for path in (image.root / "opt/licenseusage").rglob("*") if path.is_file()]
    megabytes = sum(path.lstat().st_size for path in files) / 1_000_000
    assert 20 < megabytes <= UNPACKED_MEGABYTES, "python -m hack.image size says what is heavy"


def test_no_build_tool_and_no_second_client_library_is_in_the_image(packages) -> None:
    tops = {path.name for path in packages.iterdir()}
    assert tops & {"pip", "setuptools", "wheel", "hatchling", "cyclonedx_py", "kubernetes"} == set()


def test_byte_code_is_valid_whatever_time_its_source_has(packages) -> None:
    """Else every start compiles all of it again: layers have one time for all files."""
    sources = list(packages.rglob("*.py"))
    unchecked_hash = struct.pack("<L", 0b01)  # PEP 552
    for source in sources:
        code = source.parent / "__pycache__" / Path(importlib.util.cache_from_source(source)).name
        assert code.read_bytes()[4:8] == unchecked_hash, source
    assert len(sources) > 1000


def test_every_file_that_a_package_records_is_there(image) -> None:
    script = (
        "from importlib.metadata import distributions as d\n"
        "print(*[f for x in d() for f in x.files or () if not f.locate().exists()])"
    )
    done = run(container(image, USERS[1]), "python", "-c", script)
    assert (done.returncode, done.stdout, done.stderr) == (0, "\n", "")
