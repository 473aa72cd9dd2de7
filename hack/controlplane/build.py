"""Builds the control plane from its Go modules with the ordinary go tool.

The modules' versions are those of the committed go.mod and go.sum files beside this one, which the
go tool verifies; nothing else is fetched and nothing is patched.
"""

import os
import re
import shutil
import subprocess
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hack.controlplane import versions
from hack.controlplane.progress import Progress

_HERE = Path(__file__).parent


class NoBuild(Exception):
    """The programs cannot be built here; the message says what was seen."""


@dataclass(frozen=True, slots=True)
class Program:
    """One program to build.

    Attributes:
        name: Of the file.
        module: Folder of its go.mod, beside this file.
        package: Go import path of its main package.
        variables: Go variables set at link time, so that it tells its version.
    """

    name: str
    module: str
    package: str
    variables: Mapping[str, str]


_MAJOR, _MINOR, _ = versions.KUBERNETES.split(".")
_KUBERNETES_VERSION = {
    "k8s.io/component-base/version.gitVersion": f"v{versions.KUBERNETES}",
    "k8s.io/component-base/version.gitMajor": _MAJOR,
    "k8s.io/component-base/version.gitMinor": _MINOR,
    "k8s.io/client-go/pkg/version.gitVersion": f"v{versions.KUBERNETES}",
}
ETCD: Final = Program("etcd", "etcd", "go.etcd.io/etcd/server/v3", {})
KUBE_APISERVER: Final = Program(
    "kube-apiserver", "kubernetes", "k8s.io/kubernetes/cmd/kube-apiserver", _KUBERNETES_VERSION
)
KUBECTL: Final = Program(
    "kubectl", "kubernetes", "k8s.io/kubernetes/cmd/kubectl", _KUBERNETES_VERSION
)


def build(
    into: Path,
    progress: Progress,
    env: Mapping[str, str] = os.environ,
    programs: tuple[Program, ...] = (ETCD, KUBE_APISERVER, KUBECTL),
) -> None:
    """Build ``programs`` into the folder ``into``.

    Raises:
        NoBuild: There is no Go, it is too old, or its build failed (with the end of what it said).
    """
    go = _go(env)
    progress.say(
        f"etcd {versions.ETCD} and Kubernetes {versions.KUBERNETES} are built once, "
        f"in about 8 minutes on 2 cores, and then kept"
    )
    for program in programs:
        with progress.step(f"building {program.name}"):
            _build(go, program, into, progress, env)


def _go(env: Mapping[str, str]) -> str:
    wanted = ".".join(str(part) for part in versions.GO)
    go = shutil.which("go", path=env.get("PATH"))
    if go is None:
        raise NoBuild(f"no go command in PATH to build it with; Go >= {wanted} is needed")
    said = _run([go, "env", "GOVERSION"], env)
    found = re.match(r"go(\d+)\.(\d+)", said.stdout)
    if found is None or (int(found[1]), int(found[2])) < versions.GO:
        seen = said.stdout.strip() or said.stderr.strip()
        raise NoBuild(f"{go} is {seen}, but Go >= {wanted} is needed to build it")
    return go


def _build(
    go: str, program: Program, into: Path, progress: Progress, env: Mapping[str, str]
) -> None:
    linked = " ".join(["-s -w", *(f"-X {key}={value}" for key, value in program.variables.items())])
    command = [go, "build", "-v", "-trimpath", "-mod=readonly", "-ldflags", linked]
    command += ["-o", str(into / program.name), program.package]
    compiled, tail = 0, deque[str](maxlen=15)
    with subprocess.Popen(
        command,
        cwd=_HERE / program.module,
        env=_environment(env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None  # noqa: S101 - for mypy: it was asked for
        try:
            for line in process.stderr:  # -v names each package as it is compiled
                if line.startswith("go: downloading "):
                    progress.detail(line.strip().removeprefix("go: "))
                    continue
                tail.append(line.rstrip())
                compiled += 1
                progress.detail(f"{compiled} packages")
        except BaseException:
            process.kill()
            raise
    if process.returncode != 0:
        said = "\n    ".join(tail)
        raise NoBuild(f"go build of {program.package} failed (is there a network?):\n    {said}")


def _run(command: list[str], env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, env=_environment(env), cwd="/", capture_output=True, text=True, check=False
    )


def _environment(env: Mapping[str, str]) -> dict[str, str]:
    """Return the user's environment without what would change the programs' contents."""
    ours = {"CGO_ENABLED": "0", "GOWORK": "off", "GOFLAGS": "", "GOTOOLCHAIN": "local"}
    return {**env, **ours}
