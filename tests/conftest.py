"""Shared by all tests: one control plane per run, a namespace per test, no other API server."""

import gc
import itertools
import os
import re
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest

from hack import helm, nats, redis
from hack.controlplane import ControlPlane
from hack.controlplane.processes import GO_GARBAGE_PERCENT
from hack.programs import NoProgram
from tests import properties
from trials.compiledsql import share_compiled_sql

ROOT = Path(__file__).resolve().parent.parent
CRDS = ROOT / "crds"

# "default" is for each change. `make soak` runs the same properties for long; a test that needs
# another number of examples sets it by tests.properties.examples, or it opts out of that.
hypothesis.settings.register_profile("default", max_examples=properties.USUAL, deadline=None)
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

PATIENT = ("e2e", "kills", "image", "soak", "controller", "manifests", "demo", "docs")
"""Folders of tests that wait for programs and clusters, the longest files first."""

MEMORY = Path("/dev/shm")
MEMORY_BYTES = 8 * 2**30
"""How much must be free there; a whole run has used 3 GiB at most."""

# jsonschema uses it where another package has brought it; its import takes seconds.
sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]

_numbers = itertools.count(1)


def pytest_configure(config: pytest.Config) -> None:
    """Share compiled SQL; keep temporary files in memory where there is room (``TMPDIR`` wins).

    Ledgers and the API's database write through to the disk with each transaction. The tests need
    that order, but not the disk: half of their time was waiting for it.
    """
    share_compiled_sql()
    if hasattr(config, "workerinput") or "TMPDIR" in os.environ or not _roomy(MEMORY):
        return
    for left in MEMORY.glob("licenseusage-tests-*-*"):  # by a run that was killed
        if not Path("/proc", left.name.split("-")[2]).exists():
            shutil.rmtree(left, ignore_errors=True)
    folder = tempfile.mkdtemp(prefix=f"licenseusage-tests-{os.getpid()}-", dir=MEMORY)
    Path(folder).chmod(0o711)  # other users open what they may, by its name
    os.environ["TMPDIR"], tempfile.tempdir = folder, None
    config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))


def _roomy(folder: Path) -> bool:
    return folder.is_dir() and shutil.disk_usage(folder).free >= MEMORY_BYTES


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that wait most of their time, in the order of `PATIENT`.

    So several of them share a core, and none is left alone at the end while nothing else runs.
    """
    last = len(PATIENT)
    order = {folder: place for place, folder in enumerate(PATIENT)}
    items.sort(key=lambda item: order.get(item.path.relative_to(ROOT).parts[1], last))


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Never look for garbage in what the collection makes: it stays until the end.

    Looking through it again and again took a tenth of the tests' time.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.fixture(scope="session", autouse=True)
def _clean_environment() -> Iterator[None]:
    """Forget what the reader's shell has set for Python, for Kubernetes clients and for us.

    Tests start subprocesses with this environment; ``python -O`` by ``PYTHONOPTIMIZE`` or a module
    from ``PYTHONPATH`` would make them another program; and a run in the background of a script
    (``make test &``) ignores Ctrl-C, which they would inherit.

    kubectl, helm and promtool end before garbage matters, and are told so.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith(("KUBERNETES_", "LICENSEUSAGE_", "PYTHON")):
                patch.delenv(name)
        patch.setenv("GOGC", os.environ.get("GOGC", GO_GARBAGE_PERCENT))
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
    """A real NATS server's program, built from its Go module where none is installed."""
    return _found(nats.find)


@pytest.fixture(scope="session")
def redis_program() -> Path:
    """A real Redis server's program."""
    return _found(redis.find)


@pytest.fixture(scope="session")
def helm_program() -> Path:
    """A real Helm's program, built from its Go module where none is installed."""
    return _found(helm.find)


def _found(find: Callable[[], Path]) -> Path:
    """Skip where there is no such program; in CI (``CI`` is set) that is a failure."""
    try:
        return find()
    except NoProgram as missing:
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
