"""Applied in every way, nothing differs from what is committed: for people and GitOps tools."""

import re
import shlex
import subprocess

import pytest

from tests.controller.stage import until
from tests.manifests.conftest import MANIFESTS, ROOT

pytestmark = pytest.mark.controlplane

BASE = str(MANIFESTS / "base")
OVERLAYS = ["install", "airgap"]
"""What people apply: `airgap` has every job, the network, and the guard."""


@pytest.fixture
def kubectl(installed):
    """kubectl as the administrator; afterwards the base is as other modules expect it."""
    kubectl = installed.control_plane.kubectl
    yield kubectl
    for policy in ("reports", "evidence"):
        file = MANIFESTS / "components" / "tamper-guard" / f"policy-{policy}.yaml"
        kubectl("delete", "--ignore-not-found", "-f", str(file))
    kubectl("apply", "-k", BASE)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_nothing_drifts_and_server_side_apply_takes_over_without_a_conflict(
    overlay, kubectl, binaries
):
    command = [str(binaries.kubectl), "kustomize", str(MANIFESTS / "overlays" / overlay)]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    kubectl("apply", "-f", "-", stdin=text)
    assert kubectl("diff", "-f", "-", stdin=text).stdout == ""
    # What changes with an upgrade must not belong to whoever applied it client-side.
    upgraded = text.replace("image: licenseusage:0.1.0", "image: licenseusage:0.2.0")
    assert upgraded != text
    kubectl("apply", "--server-side", "-f", "-", stdin=upgraded)
    assert kubectl("diff", "--server-side", "-f", "-", stdin=upgraded).stdout == ""


def test_a_difference_is_seen(kubectl):
    scale = ("scale", "deployment/licenseusage-operator", "-n", "licenseusage-system")
    kubectl(*scale, "--replicas=0")
    drifted = kubectl("diff", "-k", BASE, check=False)
    assert drifted.returncode == 1
    assert "+  replicas: 1" in drifted.stdout


def test_the_production_overlay_is_removed_as_documented(kubectl):
    overlay = str(MANIFESTS / "overlays" / "production")
    kubectl("apply", "-k", overlay)
    text = (ROOT / "docs" / "operations.md").read_text()
    first, second, last = re.findall(
        r"^kubectl (delete .*(?:tamper-guard|production).*)$", text, re.M
    )
    remove = [
        shlex.split(line.replace(" manifests/", f" {MANIFESTS}/")) for line in (first, second)
    ]
    whole = shlex.split(last.replace(" manifests/", f" {MANIFESTS}/"))
    # Namespaces of this API server never go: it is only asked.
    until(lambda: kubectl(*whole, "--dry-run=server", check=False).returncode != 0)
    for command in remove:
        kubectl(*command)
    until(lambda: kubectl(*whole, "--dry-run=server", check=False).returncode == 0)
