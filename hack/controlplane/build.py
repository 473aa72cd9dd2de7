"""Builds the control plane from its Go modules with the ordinary go tool.

The modules' versions are those of the committed go.mod and go.sum files below this folder, which
the go tool verifies; nothing else is fetched and nothing is patched.
"""

import os
import re
import shutil
import subprocess
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

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
        module: Folder of its go.mod, relative to this file's.
        package: Go import path of its main package.
        variables: Go variables set at link time, so that it tells its version.
    """

    name: str
    module: str
    package: str
    variables: Mapping[str, str]


def programs(kubernetes: str) -> tuple[Program, ...]:
    """Return what is built for a Kubernetes version of `versions.BUILDS`; etcd is always ours."""
    major, minor, _ = kubernetes.split(".")
    variables = {
        "k8s.io/component-base/version.gitVersion": f"v{kubernetes}",
        "k8s.io/component-base/version.gitMajor": major,
        "k8s.io/component-base/version.gitMinor": minor,
        "k8s.io/client-go/pkg/version.gitVersion": f"v{kubernetes}",
    }
    module = f"kubernetes/{kubernetes}"
    return (
        Program("etcd", "etcd", "go.etcd.io/etcd/server/v3", {}),
        Program("kube-apiserver", module, "k8s.io/kubernetes/cmd/kube-apiserver", variables),
        Program("kubectl", module, "k8s.io/kubernetes/cmd/kubectl", variables),
    )


def build(
    go: str,
    into: Path,
    progress: Progress,
    env: Mapping[str, str] = os.environ,
    kubernetes: str = versions.KUBERNETES,
) -> None:
    """Build the three programs into the folder ``into`` with the go command ``go``.

    Raises:
        NoBuild: A build failed (with the end of what it said).
    """
    progress.say(
        f"etcd {versions.ETCD} and Kubernetes {kubernetes} are built once, in 8 to 16 minutes on "
        f"2 cores, and then kept"
    )
    for program in programs(kubernetes):
        with progress.step(f"building {program.name}"):
            _build(go, program, into, progress, env)


def go_command(env: Mapping[str, str]) -> str:
    """Return the go command to build with.

    Raises:
        NoBuild: There is none in PATH, or it is too old.
    """
    wanted = ".".join(str(part) for part in versions.GO)
    go = shutil.which("go", path=env.get("PATH"))
    if go is None:
        raise NoBuild(f"no go command in PATH to build it with; Go >= {wanted} is needed")
    printed = _run([go, "env", "GOVERSION"], env)
    version = re.match(r"go(\d+)\.(\d+)", printed.stdout)
    if version is None or (int(version[1]), int(version[2])) < versions.GO:
        seen = printed.stdout.strip() or printed.stderr.strip()
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
        last_lines = "\n    ".join(tail)
        raise NoBuild(
            f"go build of {program.package} failed (is there a network?):\n    {last_lines}"
        )


def _run(command: list[str], env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, env=_environment(env), cwd="/", capture_output=True, text=True, check=False
    )


def _environment(env: Mapping[str, str]) -> dict[str, str]:
    """Return the user's environment without what would change the programs' contents."""
    ours = {"CGO_ENABLED": "0", "GOWORK": "off", "GOFLAGS": "", "GOTOOLCHAIN": "local"}
    return {**env, **ours}
