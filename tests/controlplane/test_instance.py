import json
import os
import select
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from hack.controlplane import ControlPlane, ControlPlaneError, KubectlError, instance

pytestmark = pytest.mark.controlplane
ROOT = Path(__file__).resolve().parents[2]


def names(control_plane: ControlPlane, *args: str) -> list[str]:
    return control_plane.kubectl("get", *args, "-o", "name").stdout.split()


def connection(url: str) -> socket.socket:
    """A TCP connection that ends when the server does."""
    return socket.create_connection(("127.0.0.1", int(url.rsplit(":", 1)[1])), timeout=60)


def has_ended(server: socket.socket) -> bool:
    """Wait until the other side is gone."""
    try:
        return server.recv(1) == b""
    except ConnectionResetError:
        return True


# -- what it is


def test_a_namespace_has_its_default_service_account(control_plane, namespace):
    assert names(control_plane, "serviceaccounts", "-n", namespace) == ["serviceaccount/default"]


def test_a_namespace_that_is_there_is_not_made_twice(control_plane, namespace):
    with pytest.raises(ControlPlaneError, match=f"namespaces/{namespace} cannot be .* already exi"):
        control_plane.create_namespace(namespace)


def test_an_object_is_read_without_kubectl(control_plane, namespace):
    accounts = f"/api/v1/namespaces/{namespace}/serviceaccounts"
    assert control_plane.get(f"{accounts}/default")["metadata"]["namespace"] == namespace
    assert control_plane.get(f"{accounts}/nobody") is None


def test_system_namespaces_are_there(control_plane):
    assert {"namespace/default", "namespace/kube-system"} <= set(names(control_plane, "namespaces"))


def test_rbac_is_enforced_for_service_account_tokens(control_plane, namespace):
    theirs = control_plane.kubeconfig_for(namespace, "default")
    listing = ("get", "configmaps", "-n", namespace)
    with pytest.raises(KubectlError, match=f"system:serviceaccount:{namespace}:default"):
        control_plane.kubectl(*listing, kubeconfig=theirs)
    control_plane.kubectl(
        *("create", "role", "readers", "-n", namespace),
        *("--verb=list", "--resource=configmaps"),
    )
    control_plane.kubectl(
        *("create", "rolebinding", "readers", "-n", namespace),
        *("--role=readers", f"--serviceaccount={namespace}:default"),
    )
    assert control_plane.kubectl(*listing, kubeconfig=theirs).returncode == 0


def test_a_foreign_token_is_refused(control_plane, namespace, tmp_path):
    theirs = tmp_path / "foreign"
    text = control_plane.kubeconfig_for(namespace, "default").read_text()
    token = control_plane.token_for(namespace, "default")
    head, body, _ = token.split(".")
    theirs.write_text(
        "\n".join(
            f"    token: {head}.{body}.AAAA" if "token:" in line else line
            for line in text.splitlines()
        )
    )
    with pytest.raises(KubectlError, match="must be logged in"):
        control_plane.kubectl("get", "pods", kubeconfig=theirs)


def test_a_pod_looks_alive_and_can_be_deleted(control_plane, namespace):
    control_plane.create_pod(namespace, "p", labels={"app": "x"}, ports={"http": 18080})
    listed = control_plane.kubectl("get", "pods", "-n", namespace, "-l", "app=x").stdout
    assert "1/1" in listed
    control_plane.set_pod_ready(namespace, "p", False)
    assert "0/1" in control_plane.kubectl("get", "pods", "-n", namespace).stdout
    control_plane.kubectl("delete", "pod", "p", "-n", namespace, "--timeout=20s")
    assert names(control_plane, "pods", "-n", namespace) == []


def test_apply_takes_text_objects_files_and_kustomizations(control_plane, namespace, tmp_path):
    def config_map(name: str) -> dict:
        metadata = {"namespace": namespace, "name": name}
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}

    file = tmp_path / "one.yaml"
    file.write_text(json.dumps(config_map("from-file")))
    control_plane.apply(json.dumps(config_map("from-text")))
    control_plane.apply(config_map("from-object"))
    control_plane.apply([config_map("from-list")])
    control_plane.apply(file)
    (tmp_path / "two.yaml").write_text(json.dumps(config_map("from-kustomization")))
    (tmp_path / "kustomization.yaml").write_text("resources: [two.yaml]\n")
    control_plane.apply(tmp_path)
    kinds = ("text", "object", "list", "file", "kustomization")
    assert {f"configmap/from-{kind}" for kind in kinds} <= set(
        names(control_plane, "configmaps", "-n", namespace)
    )


# -- side by side, and alone


def test_two_run_side_by_side_and_know_nothing_of_each_other(control_plane, namespace):
    with ControlPlane(control_plane.binaries) as other:
        assert other.url != control_plane.url
        assert f"namespace/{namespace}" not in names(other, "namespaces")
        folder = other.folder
    assert not folder.exists()
    assert f"namespace/{namespace}" in names(control_plane, "namespaces")


def test_tests_have_no_other_api_server(control_plane):
    done = subprocess.run(
        [str(control_plane.binaries.kubectl), "get", "pods"], capture_output=True, text=True
    )
    assert done.returncode != 0
    assert "127.0.0.1:1" in done.stderr
    assert not [name for name in os.environ if name.startswith("KUBERNETES_")]


# -- the end


def test_nothing_outlives_a_parent_that_is_killed(control_plane, tmp_path):
    program = (
        "import sys, time\n"
        "from hack.controlplane import ControlPlane\n"
        "with ControlPlane() as cp:\n"
        "    print(cp.url, cp.folder, flush=True)\n"
        "    sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={**os.environ, "KUBEBUILDER_ASSETS": str(control_plane.binaries.folder)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as parent:
        url, folder = parent.stdout.readline().split()
        with connection(url) as api_server:
            parent.send_signal(signal.SIGKILL)
            assert has_ended(api_server)
        # The guard has its parent's stderr and ends last: so the end of it is the end of all.
        parent.stderr.read()
    assert not Path(folder).exists()
    with pytest.raises(ConnectionRefusedError):
        connection(url)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells children of a parent's death")
def test_nothing_outlives_a_guard_that_is_killed(control_plane):
    with ControlPlane(control_plane.binaries) as other, connection(other.url) as api_server:
        other._processes._guard.kill()
        assert has_ended(api_server)
        folder = other.folder
    assert not folder.exists()


def test_half_a_control_plane_does_not_go_on(control_plane):
    with ControlPlane(control_plane.binaries) as other, connection(other.url) as api_server:
        guard = other._processes._guard
        children = Path(f"/proc/{guard.pid}/task/{guard.pid}/children")
        listed = (
            children.read_text()
            if children.exists()
            else subprocess.check_output(["pgrep", "-P", str(guard.pid)], text=True)
        )
        os.kill(min(map(int, listed.split())), signal.SIGKILL)  # etcd was started first
        assert has_ended(api_server)
        assert select.select([guard.stdout], [], [], 60)[0]
        with pytest.raises(ControlPlaneError, match="etcd ended by itself"):
            other._processes.check("etcd")


def test_a_failed_start_says_why_and_leaves_nothing(control_plane, monkeypatch):
    broken = ControlPlane(control_plane.binaries, api_server_flags=["--no-such-flag"])
    with pytest.raises(ControlPlaneError, match="unknown flag: --no-such-flag"):
        broken.__enter__()
    assert not broken.folder.exists()


def test_a_start_that_takes_too_long_says_what_was_seen(control_plane):
    late = ControlPlane(control_plane.binaries, start_seconds=0.0)
    with pytest.raises(ControlPlaneError, match="etcd was not ready after 0 s"):
        late.__enter__()
    assert not late.folder.exists()


def test_a_port_that_somebody_else_took_is_replaced(control_plane, monkeypatch):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        given = iter([taken.getsockname()[1]])
        free = instance.free_port
        monkeypatch.setattr(instance, "free_port", lambda: next(given, None) or free())
        with ControlPlane(control_plane.binaries) as other:
            assert "namespace/default" in names(other, "namespaces")
