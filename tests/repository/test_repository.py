"""What the repository promises about itself."""

import json
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LOCKS = sorted(
    [
        *(ROOT / "requirements").glob("*.txt"),
        *(ROOT / "tests" / "e2e" / "products" / "requirements").glob("*.txt"),
    ]
)
NPM_LOCKS = sorted((ROOT / "tests").rglob("package-lock.json"))


def test_operator_is_no_package():
    # With an __init__.py, `import operator` from the root loads this folder instead of the
    # standard library's, and pytest dies of it.
    assert not (ROOT / "operator" / "__init__.py").exists()


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_every_locked_requirement_has_a_hash(lock):
    pinned = re.findall(
        r"^([a-z0-9.-]+)==[^\s\\]+(?: ;[^\n\\]*)? \\\n +--hash=sha256:", lock.read_text(), re.M
    )
    named = re.findall(r"^[a-zA-Z0-9][^\s=]*", lock.read_text(), re.M)
    assert pinned == named
    assert pinned


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_locks_hold_no_address(lock):
    assert not re.search(r"://|^-|--(?:index|extra-index|find-links)", lock.read_text(), re.M)


@pytest.mark.parametrize("lock", NPM_LOCKS, ids=lambda lock: lock.parent.name)
def test_every_package_of_npm_has_a_hash_and_no_address(lock):
    packages = json.loads(lock.read_text())["packages"]
    own = packages.pop("")
    assert own["dependencies"]
    assert all(package["integrity"] for package in packages.values())
    assert not any("resolved" in package for package in packages.values())


def test_what_is_shipped_is_what_is_tested():
    runtime, build, dev = (
        set(re.findall(r"^[a-z0-9.-]+==[^\s\\]+", (ROOT / "requirements" / name).read_text(), re.M))
        for name in ("runtime.txt", "build.txt", "dev.txt")
    )
    assert runtime | build <= dev


def test_make_alone_explains_every_target():
    said = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    targets = {
        "demo",
        "test",
        "lint",
        "fmt",
        "bench",
        "soak",
        "e2e",
        "test-products",
        "image",
        "clean",
        "lock",
    }
    assert targets <= set(re.findall(r"^  (\S+)  +\S", said, re.M))


def test_both_commands_are_installed():
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert scripts == dict.fromkeys(
        ("licenseusage", "kubectl-licenseusage"), "licenseusage.cli:main"
    )


def test_ci_runs_what_the_readme_names():
    script = (ROOT / ".ci" / "run").read_text()
    assert re.findall(r"^make .*$", script, re.M) == ["make lint", "make test"]
    assert "set -euo pipefail" in script
