"""What a run may begin on, and what it may remove: only what it made."""

from datetime import UTC, datetime

import pytest

from hack.controlplane import ControlPlane
from hack.e2e import claim
from hack.e2e.claim import LABEL, Found, foreign, objection
from hack.e2e.commands import Commands
from hack.e2e.errors import Failed, Missing, Refused
from tests.conftest import CRDS

NOBODY = "https://127.0.0.1:1"
NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)


@pytest.fixture
def names(monkeypatch):
    """The installation's namespaces under other names: other tests install it on this cluster."""
    monkeypatch.setattr(claim, "NAMESPACES", ("claimed-one", "claimed-two"))
    return claim.NAMESPACES


def commands(control_plane: ControlPlane, folder, kubeconfig=None) -> Commands:
    used = kubeconfig or control_plane.kubeconfig
    return Commands(control_plane.binaries.kubectl, None, used, folder)


def test_an_empty_cluster_may_be_used():
    assert objection(Found(None, {}, ())) is None


def test_an_installation_is_left_alone():
    found = Found(None, {"licenseusage-system": False}, ("clusterroles/licenseusage-view",))
    reason = objection(found)
    assert reason is not None
    assert "namespace/licenseusage-system, clusterroles/licenseusage-view" in reason


def test_a_second_run_is_refused_with_the_begin_of_the_first():
    reason = objection(Found("2026-12-01T12:00:00+00:00", {}, ()))
    assert reason is not None
    assert "2026-12-01T12:00:00+00:00" in reason
    assert "ARGS=--clean" in reason


def test_a_namespace_without_our_label_is_foreign():
    assert foreign(Found("then", {"sample-product": True, "licenseusage-system": False}, ())) == [
        "licenseusage-system"
    ]


def test_definitions_on_a_real_cluster_are_an_installation(control_plane, tmp_path):
    control_plane.apply(CRDS)
    with pytest.raises(Refused, match=r"customresourcedefinitions/licenseusages.licenseusage.dev"):
        claim.take(commands(control_plane, tmp_path), NOW)
    assert control_plane.get(f"/api/v1/namespaces/{claim.CLAIM}") is None


def test_nothing_is_removed_while_a_namespace_under_our_names_is_anothers(
    control_plane, tmp_path, names
):
    control_plane.create_namespace(names[0])
    try:
        with pytest.raises(Failed, match=f"^namespace/{names[0]}: not made by a run"):
            claim.clean(commands(control_plane, tmp_path))
        left = control_plane.get(f"/api/v1/namespaces/{names[0]}")
        assert left is not None
        assert "deletionTimestamp" not in left["metadata"]
    finally:
        control_plane.kubectl("delete", "namespace", names[0], "--wait=false")


def test_the_namespaces_of_a_run_are_known_by_their_label(control_plane, tmp_path, names):
    ours, made = commands(control_plane, tmp_path), names[1]
    claim.make_namespaces(ours, [made])
    try:
        assert claim.look(ours).namespaces[made] is True
        control_plane.kubectl("label", "namespace", made, f"{LABEL}-")
        assert claim.look(ours).namespaces[made] is False
    finally:
        control_plane.kubectl("delete", "namespace", made, "--wait=false")


def test_a_cluster_that_does_not_answer_is_said_so(control_plane, tmp_path):
    nowhere = tmp_path / "kubeconfig"
    nowhere.write_text(control_plane.kubeconfig.read_text().replace(control_plane.url, NOBODY))
    with pytest.raises(Missing, match="the cluster does not answer"):
        claim.look(commands(control_plane, tmp_path, nowhere))
