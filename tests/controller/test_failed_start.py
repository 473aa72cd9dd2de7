"""A start that fails in a way nobody foresaw: the pod's log says where, and what to do."""

import json
import subprocess
import sys

import pytest

from tests.controller.stage import Operator

BEFORE_ANYTHING = """
from licenseusage.controller.process import start
async def run(*_, **__):
    raise OSError("secret-of-ann")
start.run = run
"""
WHILE_IT_WATCHES = """
import kopf
async def operator(**_):
    raise OSError("secret-of-ann")
kopf.operator = operator
"""
START = """
from licenseusage.cli import main
main()
"""


def said_by(broken: str, environment: dict[str, str]) -> tuple[int, list[dict], str]:
    """Run the operator with one thing broken; return exit code, JSON lines, and all it said."""
    done = subprocess.run(
        [sys.executable, "-c", broken + START, "operator"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    lines = [line for line in done.stderr.splitlines() if line.startswith("{")]
    return done.returncode, [json.loads(line) for line in lines], done.stdout + done.stderr


@pytest.mark.controlplane
@pytest.mark.parametrize(
    ("broken", "code", "message"),
    [(BEFORE_ANYTHING, 3, "the operator failed"), (WHILE_IT_WATCHES, 1, "task failed")],
)
def test_it_shows_frames_and_a_fix(crds, namespace, tmp_path, broken, code, message):
    ended, lines, everything = said_by(broken, Operator(crds, namespace, tmp_path).env)
    assert ended == code
    (line,) = [line for line in lines if line["message"] == message]
    assert (line["level"], line["exception"]) == ("error", "OSError")
    assert line["frames"][-1].startswith("<string>:")
    assert "manifests/base" in line["fix"]
    assert "secret-of-ann" not in everything
    last = everything.splitlines()[-1]
    assert "OSError" in last
    assert "manifests/base" in last
