"""The image's root file system, and pods of it as a kubelet would start them."""

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from hack.controlplane.progress import Progress
from hack.demo.children import Children
from hack.rootfs import Container, Image, NoContainers, build

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = ROOT / "operator" / "Dockerfile"


class User(NamedTuple):
    """Whom a pod runs as; none of them is in the image's /etc/passwd."""

    name: str
    uid: int
    gid: int
    fs_group: int


USERS = [
    User("the image's own user", 65532, 65532, 65532),
    User("a uid of the cluster's choice", 1_000_730_000, 65532, 1_000_730_000),
]


@pytest.fixture(scope="session")
def image() -> Image:
    """The image as its Dockerfile says.

    Skipped where no root file system can be entered; in CI (``CI`` is set) that is a failure.
    """
    try:
        return build(ROOT, DOCKERFILE, Progress(about="root file system"))
    except NoContainers as missing:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(missing))


@pytest.fixture(scope="module", params=USERS, ids=lambda user: str(user.uid))
def user(request: pytest.FixtureRequest) -> User:
    return request.param


@pytest.fixture(scope="module")
def children(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Children]:
    with Children(tmp_path_factory.mktemp("logs")) as started:
        yield started


def volume(folder: Path, user: User) -> Path:
    """Return a volume as a kubelet hands it over: of root, writable for the pod's fsGroup."""
    folder.mkdir(parents=True)
    if os.geteuid() == 0:
        os.chown(folder, 0, user.fs_group)
    folder.chmod(0o2775)
    return folder


def container(image: Image, user: User, **more: Any) -> Container:
    """Return a container of the image: root read-only, /tmp the only place to write to."""
    environment = {**image.environment, **more.pop("environment", {})}
    return Container(
        root=image.root,
        environment=environment,
        uid=user.uid,
        gid=user.gid,
        groups=[user.fs_group],
        tmp_mebibytes=more.pop("tmp_mebibytes", 64),
        **more,
    )


@dataclass
class Pod:
    """A container that runs, and its log."""

    process: subprocess.Popen[bytes]
    log: Path

    @classmethod
    def start(cls, container: Container, argv: Sequence[str], log: Path) -> "Pod":
        with log.open("wb") as out:
            process = subprocess.Popen(
                # Ends with this process, however that ends.
                ["setpriv", "--pdeathsig", "KILL", *container.command(argv)],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        return cls(process, log)

    def terminate(self) -> int:
        """Send SIGTERM to process 1 of the container, as a kubelet does; return its exit code."""
        shim = self.process.pid
        (first,) = Path(f"/proc/{shim}/task/{shim}/children").read_text().split()
        os.kill(int(first), signal.SIGTERM)
        return self.process.wait(30)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def told(self) -> str:
        return self.log.read_text(errors="replace")


def run(container: Container, *argv: str) -> subprocess.CompletedProcess[str]:
    """Run one command in a container to its end."""
    return subprocess.run(
        container.command(argv),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def environment_of(container: Mapping[str, Any], pod: Mapping[str, str]) -> dict[str, str]:
    """Return what a kubelet makes of a container's ``env``; ``pod`` has the fields by path."""
    return {
        variable["name"]: (
            variable["value"]
            if "value" in variable
            else pod[variable["valueFrom"]["fieldRef"]["fieldPath"]]
        )
        for variable in container["env"]
    }
