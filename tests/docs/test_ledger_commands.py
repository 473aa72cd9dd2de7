"""What docs/operations.md says about the ledger is pasted into a shell, in its order."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.cli.pods import showing
from tests.ledger import book
from tests.ledger.conftest import HOUR_MS
from trials import forked

ROOT = Path(__file__).resolve().parents[2]
SECTIONS = ("Back up", "Restore", "Upgrade")
# `kubectl exec` runs its command here, with the volume's folder in the place of the pod's;
# `kubectl licenseusage ledger` is the plug-in; whatever else is asked of the cluster is noted.
KUBECTL = """#!/bin/bash
if [ "$1 $2" = "licenseusage ledger" ]; then shift; exec licenseusage "$@"; fi
{showing}
if [ "$1" != exec ]; then
  echo "$*" >> {folder}/asked
  if [ "${{*: -1}}" = - ]; then cat > /dev/null; fi
  exit 0
fi
while [ "$1" != -- ]; do shift; done
shift
export LICENSEUSAGE_DATABASE_URL=sqlite:///{folder}/volume/ledger.sqlite
exec "${{@//\\/var\\/lib\\/licenseusage/{escaped}\\/volume}}"
"""
NEXT = book.TERMS.cycle(1)


def pasted(section: str) -> str:
    """Every shell block of a section."""
    text = (ROOT / "docs" / "operations.md").read_text()
    (found,) = re.findall(rf"^## {section}\n(.*?)(?=^## )", text, re.DOTALL | re.MULTILINE)
    return "".join(re.findall(r"^```sh\n(.*?)^```$", found, re.DOTALL | re.MULTILINE))


@pytest.fixture
def shell(tmp_path):
    """Run a section's commands; each must work."""
    (tmp_path / "volume").mkdir()
    (tmp_path / "bin").mkdir()
    kubectl = tmp_path / "bin" / "kubectl"
    kubectl.write_text(
        KUBECTL.format(
            folder=tmp_path, escaped=str(tmp_path).replace("/", "\\/"), showing=showing()
        )
    )
    kubectl.chmod(0o755)
    forked.program(tmp_path / "bin" / "licenseusage")
    path = f"{tmp_path / 'bin'}:{os.environ['PATH']}"

    def run(section: str) -> str:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", pasted(section)],
            cwd=tmp_path,
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


def test_backup_restore_and_upgrade_work_as_they_are_written(shell, tmp_path):
    ledger = tmp_path / "volume" / "ledger.sqlite"
    book.story(ledger)
    assert shell("Back up").endswith("OK\n")
    assert sorted(one.name for one in (tmp_path / "volume").iterdir()) == [
        "ledger.sqlite",
        "ledger.sqlite.lock",
    ]
    with book.opened(ledger) as live:
        book.count(live, NEXT.start_ms + 3 * HOUR_MS, "ada", "zoe", cycle=NEXT)
    told = shell("Restore")
    assert "kept aside" in told
    assert re.search(r"something was added +1$", told, re.MULTILINE)
    with book.opened(ledger) as restored:
        assert book.lower(restored, NEXT) == 2
    assert shell("Upgrade").endswith("OK\n")
    asked = (tmp_path / "asked").read_text()
    assert asked.index("--replicas=0") < asked.index("apply -k manifests/maintenance")
    assert asked.index("delete -k manifests/maintenance") < asked.index("--replicas=1")


@pytest.mark.parametrize("section", SECTIONS)
def test_the_sections_have_commands(section):
    assert "licenseusage ledger " in pasted(section)


def test_every_folder_that_is_applied_exists():
    text = (ROOT / "docs" / "operations.md").read_text()
    folders = set(re.findall(r"kubectl (?:apply|delete) -k ([\w/-]+)", text))
    assert folders >= {"manifests/base", "manifests/maintenance"}
    assert [
        folder for folder in folders if not (ROOT / folder / "kustomization.yaml").exists()
    ] == []
