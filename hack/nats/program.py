"""Where the nats-server program comes from; the first of three places that has it.

``PATH``, if it is new enough to tell its time; the user's cache; a build from its Go module.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final

from hack.programs import GoModule

_SERVER: Final = GoModule(
    name="nats-server",
    folder=Path(__file__).parent,
    module="github.com/nats-io/nats-server/v2",
    wanted="nats-server >= 2.10",
)
_OLDEST: Final = (2, 10)
"""The first version whose answers tell the server's time."""


@cache
def find() -> Path:
    """Return the program, building it the first time.

    Raises:
        NoProgram: There is no Go, or no network.
    """
    return located(os.environ)


def located(env: Mapping[str, str]) -> Path:
    """Return the program that this environment has, or a build of it; as ``find``."""
    installed = shutil.which("nats-server", path=env.get("PATH", ""))
    if installed is not None and _version(installed) >= _OLDEST:
        return Path(installed)
    return _SERVER.built(env)


def _version(program: str) -> tuple[int, int]:
    printed = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    version = re.search(r"v(\d+)\.(\d+)", printed.stdout)
    return (int(version[1]), int(version[2])) if version else (0, 0)
