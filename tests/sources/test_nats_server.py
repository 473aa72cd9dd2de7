"""The NATS server of the tests: found, or built once; without one it is said what helps."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hack.nats.program import located
from hack.programs import NoProgram

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def bare(tmp_path) -> dict[str, str]:
    """An environment with neither a NATS server nor Go, and an empty cache."""
    return {"PATH": str(tmp_path / "bin"), "XDG_CACHE_HOME": str(tmp_path / "cache")}


def script(folder: Path, text: str) -> None:
    folder.mkdir(exist_ok=True)
    program = folder / "nats-server"
    program.write_text(f"#!/bin/sh\n{text}\n")
    program.chmod(0o755)


def test_an_installed_server_is_taken_if_it_tells_its_time(bare, tmp_path):
    script(tmp_path / "bin", "echo 'nats-server: v2.10.7'")
    assert located(bare) == tmp_path / "bin" / "nats-server"
    script(tmp_path / "bin", "echo 'nats-server: v2.9.25'")
    with pytest.raises(NoProgram, match=r"no nats-server >= 2.10 in PATH, and no go command"):
        located(bare)


def test_a_server_that_was_built_before_is_used_again(bare, tmp_path):
    (version,) = [
        line.split()[-1].removeprefix("v")
        for line in (ROOT / "hack/nats/go.mod").read_text().splitlines()
        if "nats-server/v2 v" in line
    ]
    kept = tmp_path / "cache" / "licenseusage" / "nats" / f"nats-server-{version}"
    kept.parent.mkdir(parents=True)
    kept.touch()
    assert located(bare) == kept


@pytest.mark.parametrize(("ci", "code"), [({}, 0), ({"CI": "true"}, 3)])
def test_without_a_server_its_tests_may_be_left_out_but_not_in_ci(bare, ci, code):
    env = {name: value for name, value in os.environ.items() if name != "CI"} | bare | ci
    done = subprocess.run(
        [sys.executable, "-m", "hack.nats"], cwd=ROOT, env=env, capture_output=True, text=True
    )
    assert done.returncode == code
    assert "no go command to build one" in done.stderr
