import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hack.controlplane.binaries import built_name
from hack.controlplane.versions import Platform

ROOT = Path(__file__).resolve().parents[2]


def command(*args: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "hack.controlplane", *args],
        cwd=ROOT,
        env={**os.environ, "CONTROLPLANE_VERSION": "", **env},
        capture_output=True,
        text=True,
    )


def test_path_is_what_kubebuilder_assets_takes(tmp_path):
    folder = tmp_path / "licenseusage/controlplane" / built_name(Platform.current())
    folder.mkdir(parents=True)
    done = command("path", XDG_CACHE_HOME=str(tmp_path))
    assert (done.returncode, done.stdout) == (0, f"{folder}\n")


def test_path_builds_nothing_and_says_what_to_do(tmp_path):
    done = command("path", XDG_CACHE_HOME=str(tmp_path))
    assert done.returncode == 1
    assert "make controlplane" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_had_is_said_without_a_traceback(tmp_path):
    done = command("prepare", KUBEBUILDER_ASSETS=str(tmp_path))
    assert done.returncode == 3
    assert done.stderr.startswith(f"error: KUBEBUILDER_ASSETS={tmp_path} has no executable")
    assert "Traceback" not in done.stderr


def test_without_network_go_and_cache_one_message_says_what_to_install(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "hack.controlplane", "prepare"],
        cwd=ROOT,
        env={
            "PATH": str(tmp_path),
            "XDG_CACHE_HOME": str(tmp_path / "cache"),
            "HTTPS_PROXY": "http://127.0.0.1:9",
        },
        capture_output=True,
        text=True,
    )
    assert done.returncode == 3
    told, _, message = done.stderr.partition("error: ")
    assert "building" not in told  # it does not begin what cannot be done
    for way in ("go online once", "install Go", "KUBEBUILDER_ASSETS"):
        assert message.count(way) == 1
    assert "Traceback" not in done.stderr


def test_make_without_a_package_index_says_in_one_message_what_is_needed(tmp_path):
    for name in ("Makefile", "pyproject.toml", "requirements"):
        (tmp_path / name).symlink_to(ROOT / name)
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PIP_CONFIG_FILE": os.devnull}
    env |= {"PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_RETRIES": "0", "no_proxy": "*"}
    done = subprocess.run(
        ["make", f"PYTHON={sys.executable}", "demo"],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
    )
    assert done.returncode != 0
    for needed in ("Python package index", "Go >= 1.26", "KUBEBUILDER_ASSETS", "pip said at last"):
        assert done.stderr.count(needed) == 1
    assert len(done.stderr.splitlines()) < 10


@pytest.mark.controlplane
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_run_serves_until_it_is_stopped(control_plane, end):
    with subprocess.Popen(
        [sys.executable, "-m", "hack.controlplane", "run"],
        cwd=ROOT,
        env={**os.environ, "KUBEBUILDER_ASSETS": str(control_plane.binaries.folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        kubeconfig = Path(running.stdout.readline().strip().removeprefix("export KUBECONFIG="))
        kubectl = [str(control_plane.binaries.kubectl), "get", "--raw", "/readyz"]
        answer = subprocess.check_output([*kubectl, f"--kubeconfig={kubeconfig}"], text=True)
        assert answer == "ok"
        running.send_signal(end)
        assert running.wait() == 0
        assert "Traceback" not in running.stderr.read()
    assert not kubeconfig.exists()
