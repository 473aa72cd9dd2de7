"""What the image will be made of, as far as that can be seen without a container engine."""

import re
import shutil
import subprocess
import sys
import zipfile
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = (ROOT / "operator" / "Dockerfile").read_text().replace("\\\n", " ")
INSTRUCTIONS = [line.split(maxsplit=1) for line in DOCKERFILE.splitlines() if line[:1].isupper()]


def arguments(instruction: str) -> list[str]:
    return [rest for name, rest in INSTRUCTIONS if name == instruction]


def test_the_image_has_two_stages_and_the_second_has_no_build_tool():
    assert len(arguments("FROM")) == 2
    last = DOCKERFILE.rsplit("\nFROM ", 1)[1]
    assert "RUN" not in re.findall(r"^[A-Z]+", last, re.M)
    assert "pip" not in last


def test_the_image_runs_as_nobody_in_particular():
    assert arguments("USER") == ["65532:65532"]
    assert INSTRUCTIONS.index(["USER", "65532:65532"]) > [n for n, _ in INSTRUCTIONS].index("COPY")


def test_no_manifest_and_no_chart_pins_a_user_that_a_platform_assigns():
    files = [f for folder in ("manifests", "charts") for f in (ROOT / folder).rglob("*")]
    texts = {f: f.read_text() for f in files if f.suffix in (".yaml", ".json", ".tpl")}
    assert any("runAsNonRoot" in text for text in texts.values())
    assert [f for f, text in texts.items() if re.search(r"runAsUser\b", text)] == []


def test_byte_code_is_made_in_the_build_for_packages_and_for_ours():
    made = re.findall(r"compileall -q --invalidation-mode unchecked-hash\s+(\S+)", DOCKERFILE)
    assert [path.rpartition("/")[2] for path in made] == ["lib", "licenseusage"]
    assert DOCKERFILE.count(" install --no-compile ") == 3


def test_every_package_in_the_image_is_pinned_by_hash():
    installs = re.findall(r"install ([^&\n]*)", DOCKERFILE)
    assert len(installs) == 3
    pinned, local = installs[:2], installs[2]
    assert all("--require-hashes --only-binary :all:" in one for one in pinned)
    assert "--no-index" in local


def test_what_the_image_copies_is_let_through_to_the_builder():
    allowed = re.findall(r"^!(.*)$", (ROOT / ".dockerignore").read_text(), re.M)
    copied = [
        source
        for copy in arguments("COPY")
        if not copy.startswith("--from")
        for source in copy.split()[:-1]
    ]
    assert {"operator/licenseusage", "requirements/runtime.txt", "LICENSE"} <= set(copied)
    for source in copied:
        assert any(fnmatch(source, pattern) for pattern in allowed), source


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> zipfile.ZipFile:
    """The wheel as the image's first stage builds it, from what is copied there."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    shutil.copytree(
        ROOT / "operator/licenseusage",
        source / "operator/licenseusage",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    build = ["-m", "pip", "wheel", "--quiet", "--no-index", "--no-deps", "--no-build-isolation"]
    subprocess.run([sys.executable, *build, "--wheel-dir", target, "."], cwd=source, check=True)
    return zipfile.ZipFile(next(target.glob("*.whl")))


def test_the_wheel_holds_the_package_and_nothing_else(wheel):
    tops = {Path(name).parts[0] for name in wheel.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"licenseusage"}


def test_the_wheel_holds_every_file_of_the_package(wheel):
    package = ROOT / "operator" / "licenseusage"
    files = {
        str(path.relative_to(package.parent))
        for path in package.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert files <= set(wheel.namelist())
    assert {"licenseusage/py.typed", "licenseusage/sources/definition/presets/opencloud.yaml"} <= {
        name.lower() for name in files
    }
