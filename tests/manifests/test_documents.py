"""Kustomizations in the documents can be built, from the repository's folder."""

import os
import re
import subprocess

import pytest
import yaml

from tests.manifests.conftest import ROOT, objects

BLOCK = re.compile(r'^```yaml title="kustomization.yaml"\n(.*?)^```$', re.M | re.S)
SHOWN = [
    pytest.param(block, id=f"{path.name}:{path.read_text().count(chr(10), 0, at) + 1}")
    for path in sorted((ROOT / "docs").glob("*.md"))
    for match in BLOCK.finditer(path.read_text())
    for block, at in [(match[1], match.start())]
]


@pytest.mark.parametrize("text", SHOWN)
def test_a_kustomization_that_is_shown_can_be_built(text, binaries, tmp_path):
    shown = yaml.safe_load(text)
    there = os.path.relpath(ROOT.resolve(), tmp_path.resolve())
    for key in ("resources", "components"):
        shown[key] = [f"{there}/{each}" for each in shown[key]]
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(shown))
    command = [str(binaries.kubectl), "kustomize", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Deployment" in {item["kind"] for item in objects(done.stdout)}


def test_there_are_some():
    assert len(SHOWN) >= 3
