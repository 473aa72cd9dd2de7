"""Shared by all tests: one control plane per run, a namespace per test, no other API server."""

import itertools
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from hack.controlplane import ControlPlane
from hack.nats import NoServer, find

ROOT = Path(__file__).resolve().parent.parent
CRDS = ROOT / "crds"

# "default" keeps each area within a minute. `make soak` runs the same properties for long; a test
# that sets max_examples itself opts out of that, so prefer not to.
hypothesis.settings.register_profile("default", max_examples=100, deadline=None)
hypothesis.settings.register_profile(
    "soak",
    max_examples=5_000,
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("default")

# An empty kubeconfig would mean http://localhost:8080; nobody listens on port 1.
NO_CLUSTER = """\
apiVersion: v1
kind: Config
current-context: refused
contexts: [{name: refused, context: {cluster: refused, user: refused}}]
clusters: [{name: refused, cluster: {server: "https://127.0.0.1:1"}}]
users: [{name: refused, user: {token: none}}]
"""

_numbers = itertools.count(1)


@pytest.fixture(scope="session", autouse=True)
def _clean_environment() -> Iterator[None]:
    """Forget what the reader's shell has set for Python, for Kubernetes clients and for us.

    Tests start subprocesses with this environment; ``python -O`` by ``PYTHONOPTIMIZE`` or a module
    from ``PYTHONPATH`` would make them another program; and a run in the background of a script
    (``make test &``) ignores Ctrl-C, which they would inherit.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith(("KUBERNETES_", "LICENSEUSAGE_", "PYTHON")):
                patch.delenv(name)
        yield


@pytest.fixture(scope="session", autouse=True)
def _no_other_api_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Refuse any API server that this run did not start.

    The reader's own cluster is a kubeconfig away, so there is none: clients get theirs from a
    `ControlPlane`, by path.
    """
    nowhere = tmp_path_factory.mktemp("kube") / "no-cluster.kubeconfig"
    nowhere.write_text(NO_CLUSTER)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KUBECONFIG", str(nowhere))
        yield


@pytest.fixture(scope="session")
def control_plane() -> Iterator[ControlPlane]:
    """A real Kubernetes API for this run, started when the first test asks for it."""
    with ControlPlane() as started:
        yield started


@pytest.fixture(scope="session")
def crds(control_plane: ControlPlane) -> ControlPlane:
    """The control plane with our custom resources installed and served."""
    control_plane.apply(CRDS)
    control_plane.await_crds()
    return control_plane


@pytest.fixture(scope="session")
def nats_program() -> Path:
    """A real NATS server's program, built from its Go module where none is installed.

    Skipped where neither is possible; in CI (``CI`` is set) that is a failure.
    """
    try:
        return find()
    except NoServer as missing:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(missing))


@pytest.fixture
def namespace(control_plane: ControlPlane, request: pytest.FixtureRequest) -> str:
    """A namespace of this test's own, with its ServiceAccount ``default``.

    It stays until the control plane is thrown away: without a namespace controller it could only
    become Terminating.
    """
    words = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower()).strip("-")
    name = f"t{next(_numbers)}-{words}"[:50].rstrip("-")
    control_plane.create_namespace(name)
    return name
