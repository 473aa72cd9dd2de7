"""Where the redis-server program comes from: ``PATH``, if it is new enough."""

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final

from hack.programs import NoProgram

_OLDEST: Final = 7
"""The first version that tells how many entries were ever added to a stream."""


@cache
def find() -> Path:
    """Return the program.

    Raises:
        NoProgram: There is none, or only an old one.
    """
    return located(os.environ)


def located(env: Mapping[str, str]) -> Path:
    """Return the program that this environment has; as ``find``."""
    installed = shutil.which("redis-server", path=env.get("PATH", ""))
    if installed is None or _version(installed) < _OLDEST:
        raise NoProgram(
            f"there is no redis-server >= {_OLDEST} in PATH: install one (Debian, Ubuntu: apt-get "
            "install redis-server)"
        )
    return Path(installed)


def _version(program: str) -> int:
    printed = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    version = re.search(r"\bv=(\d+)\.", printed.stdout)
    return int(version[1]) if version else 0
