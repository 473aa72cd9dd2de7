"""Where the programs come from: ``PATH``, if they are new enough."""

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from hack.programs import NoProgram

_OLDEST: Final = (2, 42)
"""The version of Debian 12."""


@dataclass(frozen=True, slots=True)
class Programs:
    """The server and its tool."""

    server: Path
    promtool: Path


@cache
def find() -> Programs:
    """Return the programs.

    Raises:
        NoProgram: One of them is missing, or old.
    """
    return located(os.environ)


def located(env: Mapping[str, str]) -> Programs:
    """Return the programs that this environment has; as ``find``."""
    server, tool = (shutil.which(name, path=env.get("PATH", "")) for name in _NAMES)
    if server is None or tool is None or _version(server) < _OLDEST:
        oldest = ".".join(map(str, _OLDEST))
        raise NoProgram(
            f"there is no prometheus >= {oldest} with promtool in PATH: install them (Debian, "
            "Ubuntu: apt-get install prometheus)"
        )
    return Programs(Path(server), Path(tool))


def _version(program: str) -> tuple[int, ...]:
    shown = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    version = re.search(r"version (\d+)\.(\d+)", shown.stdout + shown.stderr)
    return (int(version[1]), int(version[2])) if version else (0,)


_NAMES = ("prometheus", "promtool")
