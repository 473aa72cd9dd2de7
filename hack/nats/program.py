"""Where the nats-server program comes from; the first of three places that has it.

``PATH``, if it is new enough to tell its time; the user's cache; a build from its Go module, whose
version and checksums are those of the committed go.mod and go.sum beside this file.
"""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final

from hack.controlplane.binaries import cache_folder
from hack.controlplane.progress import Progress

_HERE: Final = Path(__file__).parent
_PACKAGE: Final = "github.com/nats-io/nats-server/v2"
_OLDEST: Final = (2, 10)
"""The first version whose answers tell the server's time."""


class NoServer(Exception):
    """There is no NATS server, and none can be built here; the message says what helps."""


@cache
def find() -> Path:
    """Return the program, building it the first time.

    Raises:
        NoServer: There is no Go, or no network.
    """
    return located(os.environ)


def located(env: Mapping[str, str]) -> Path:
    """Return the program that this environment has, or a build of it; as ``find``."""
    installed = shutil.which("nats-server", path=env.get("PATH", ""))
    if installed is not None and _version(installed) >= _OLDEST:
        return Path(installed)
    kept = cache_folder(env).parent / "nats" / f"nats-server-{_module_version()}"
    if not kept.is_file():
        kept.parent.mkdir(parents=True, exist_ok=True)
        _build(kept, env)
    return kept


def _version(program: str) -> tuple[int, int]:
    printed = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    version = re.search(r"v(\d+)\.(\d+)", printed.stdout)
    return (int(version[1]), int(version[2])) if version else (0, 0)


def _module_version() -> str:
    version = re.search(rf"{re.escape(_PACKAGE)} v(\S+)", (_HERE / "go.mod").read_text("utf-8"))
    assert version is not None  # noqa: S101 - the file is ours
    return version[1]


def _build(into: Path, env: Mapping[str, str]) -> None:
    go = shutil.which("go", path=env.get("PATH", ""))
    if go is None:
        raise NoServer(
            "there is no nats-server >= 2.10 in PATH, and no go command to build one: install "
            "either of them (https://go.dev/dl/)"
        )
    ours = {"CGO_ENABLED": "0", "GOWORK": "off", "GOFLAGS": "", "GOTOOLCHAIN": "local"}
    with tempfile.TemporaryDirectory(dir=into.parent) as folder:
        made = Path(folder) / "nats-server"
        command = [go, "build", "-trimpath", "-mod=readonly", "-ldflags", "-s -w"]
        with Progress(about="nats-server").step("built from its Go module, once"):
            done = subprocess.run(
                [*command, "-o", str(made), _PACKAGE],
                cwd=_HERE,
                env={**env, **ours},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
            )
        if done.returncode != 0:
            raise NoServer(
                f"go build of nats-server failed (is there a network?):\n{done.stderr[-2000:]}"
            )
        made.replace(into)
